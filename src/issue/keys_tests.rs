use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};

use super::*;

fn private_dir() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn point(public: &PublicHalf) -> Vec<u8> {
    let jwk: serde_json::Value = serde_json::from_str(&public.jwk).unwrap();
    let member = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    match public.algorithm {
        Algorithm::EdDSA => member("x"),
        _ => [vec![4], member("x"), member("y")].concat(),
    }
}

#[test]
fn a_key_is_made_once_is_ours_alone_and_signs_what_its_public_half_verifies() {
    for &algorithm in SigningKeyRow::ALGORITHMS {
        let dir = private_dir();
        let public = create(dir.path(), algorithm).unwrap();
        let file = path(dir.path(), &public.kid).unwrap();
        let mode = std::fs::metadata(&file).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode, found(dir.path()).unwrap()), (0o600, vec![public.kid.clone()]));
        let signer = load(dir.path(), &public.kid, algorithm).unwrap();
        assert_eq!(*signer.public(), public);
        let signature = signer.sign(b"message").unwrap();
        let verifies = |message: &[u8]| match algorithm {
            Algorithm::EdDSA => UnparsedPublicKey::new(&ED25519, point(&public)).verify(message, &signature).is_ok(),
            _ => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point(&public)).verify(message, &signature).is_ok(),
        };
        assert!(verifies(b"message") && !verifies(b"massage"));
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.starts_with(BEGIN) && text.ends_with(END) && text.lines().all(|line| line.len() <= LINE));
    }
    assert!(matches!(create(private_dir().path(), Algorithm::RS256), Err(TokenKeyError::Library(_))));
}

#[test]
fn a_thumbprint_is_that_of_rfc_8037_appendix_a_3() {
    let jwk = r#"{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    assert_eq!(thumbprint(jwk), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn a_key_that_is_missing_exposed_malformed_or_another_is_none() {
    let dir = private_dir();
    let (one, other) = (create(dir.path(), Algorithm::EdDSA).unwrap(), create(dir.path(), Algorithm::EdDSA).unwrap());
    let file = path(dir.path(), &one.kid).unwrap();
    let load = |kid: &str, algorithm| load(dir.path(), kid, algorithm).map(drop);
    assert!(matches!(load(&one.kid, Algorithm::ES256), Err(TokenKeyError::Malformed { .. })));
    for mode in [0o640, 0o604, 0o660] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        assert!(matches!(load(&one.kid, Algorithm::EdDSA), Err(TokenKeyError::Exposed { .. })));
    }
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let pem = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, std::fs::read(path(dir.path(), &other.kid).unwrap()).unwrap()).unwrap();
    assert!(matches!(load(&one.kid, Algorithm::EdDSA), Err(TokenKeyError::Wrong { .. })));
    for bad in [String::new(), pem.replace("PRIVATE", "PUBLIC"), pem.replace("MC4C", "MC5C"), format!("{pem}\n")] {
        std::fs::write(&file, bad).unwrap();
        assert!(matches!(load(&one.kid, Algorithm::EdDSA), Err(TokenKeyError::Malformed { .. })));
    }
    std::fs::remove_file(&file).unwrap();
    assert!(matches!(load(&one.kid, Algorithm::EdDSA), Err(TokenKeyError::Missing { .. })));
    std::fs::create_dir(&file).unwrap();
    assert!(matches!(load(&one.kid, Algorithm::EdDSA), Err(TokenKeyError::Exposed { .. })));
}

#[test]
fn a_name_that_is_no_thumbprint_is_never_a_path() {
    let (dir, long) = (private_dir(), "a".repeat(44));
    for bad in
        ["", "../../../../etc/passwd", "a", &long, &format!("{}/", "a".repeat(42)), &format!("{}é", "a".repeat(41))]
    {
        assert!(matches!(load(dir.path(), bad, Algorithm::EdDSA), Err(TokenKeyError::Name)), "{bad}");
    }
}
