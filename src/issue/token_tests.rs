use super::*;
use crate::clock::SystemEntropy;
use crate::domain::Algorithm;
use crate::domain::token::{GENERATION, LLMS};
use crate::issue::keys;

const CLAIMS: Claims<'static> = Claims {
    issuer: "urn:latchkey:test",
    audience: "urn:gateway",
    credential: CredentialId::from_bytes([1; 16]),
    generation: Generation(i64::MIN),
    tenant: "acme",
    issued_at_s: 1_800_000_000,
    expires_at_s: 1_800_000_900,
    scopes: &[],
    llms: None,
};

#[expect(clippy::disallowed_methods, reason = "tests look inside secrets")]
fn parts(minted: &Minted) -> [Vec<u8>; 3] {
    let text = std::str::from_utf8(minted.text.expose()).unwrap();
    let parts: Vec<Vec<u8>> = text.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
    parts.try_into().unwrap()
}

fn signer(algorithm: Algorithm) -> Signer {
    let dir = tempfile::tempdir().unwrap();
    let public = keys::create(dir.path(), algorithm).unwrap();
    keys::load(dir.path(), &public.kid, algorithm).unwrap()
}

#[test]
fn a_token_says_what_rfc_9068_asks_for_and_nothing_unasked() {
    for &algorithm in crate::domain::SigningKeyRow::ALGORITHMS {
        let signer = signer(algorithm);
        let minted = mint(&signer, &CLAIMS, &SystemEntropy).unwrap();
        let [header, payload, signature] = parts(&minted);
        let kid = &signer.public().kid;
        let expected = format!(r#"{{"alg":"{algorithm}","typ":"at+jwt","kid":"{kid}"}}"#);
        assert_eq!(String::from_utf8(header).unwrap(), expected);
        let claims: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        let jti = claims["jti"].as_str().unwrap();
        let credential = CLAIMS.credential.to_string();
        let expected = format!(
            r#"{{"iss":"urn:latchkey:test","sub":"{credential}","aud":"urn:gateway","client_id":"{credential}","iat":1800000000,"exp":1800000900,"jti":"{jti}","tenant":"acme","lk_gen":"-9223372036854775808"}}"#
        );
        assert_eq!(String::from_utf8(payload.clone()).unwrap(), expected);
        assert!(TokenId::parse(jti.as_bytes()).is_ok(), "128 bits in base62");
        assert_eq!((minted.jti, minted.content), (JtiHash::of(CLAIMS.issuer, jti), content_hash(&payload)));
        assert_eq!(signature.len(), 64);
        let again = mint(&signer, &CLAIMS, &SystemEntropy).unwrap();
        assert_ne!(again.jti, minted.jti);
    }
}

#[test]
fn scopes_and_llms_are_there_where_they_say_something() {
    let signer = signer(Algorithm::EdDSA);
    let (scopes, llms) = (["a:read".to_owned(), "b".to_owned()], [3, 4].map(|id| LlmId::new(id).unwrap()));
    let claims = Claims { scopes: &scopes, llms: Some(&llms), ..CLAIMS };
    let [_, payload, _] = parts(&mint(&signer, &claims, &SystemEntropy).unwrap());
    let said: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!((&said["scope"], &said[LLMS]), (&"a:read b".into(), &serde_json::json!([3, 4])));
    assert_eq!((&said[TENANT], said[GENERATION].is_string()), (&"acme".into(), true));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "tests look inside secrets")]
fn a_token_is_one_that_our_own_strict_reading_takes() {
    use crate::domain::SigningKeyRow;
    use crate::domain::issuer::{ClaimPath, TokenRules};
    use crate::jwt::keys::KeySet;
    use crate::jwt::token::Unverified;

    for &algorithm in SigningKeyRow::ALGORITHMS {
        let signer = signer(algorithm);
        let keys::PublicHalf { kid, jwk, .. } = signer.public().clone();
        let row =
            SigningKeyRow { kid, algorithm, public_jwk: jwk, created_at_ms: 1, retires_at_ms: None, mac: [0; 32] };
        let set = crate::issue::jwks::published(&[row], 2).to_string();
        let set = KeySet::from_jwks(set.as_bytes()).unwrap();
        let rules = TokenRules {
            iss: CLAIMS.issuer.to_owned(),
            audiences: vec![CLAIMS.audience.to_owned()],
            algorithms: vec![algorithm],
            types: vec![TYP.to_owned()],
            leeway_s: 0,
            max_age_s: None,
            required: [GENERATION, "jti", "sub", "client_id"].map(|name| ClaimPath::parse(name).unwrap()).to_vec(),
        };
        let minted = mint(&signer, &CLAIMS, &SystemEntropy).unwrap();
        let verified = |now_s: i64| {
            let token = Unverified::parse(minted.text.expose()).unwrap();
            token.verify(&set, &rules, now_s * 1_000).map(|token| token.claims().subject().map(str::to_owned))
        };
        assert_eq!(verified(CLAIMS.issued_at_s).unwrap(), Some(CLAIMS.credential.to_string()));
        assert!(verified(CLAIMS.expires_at_s - 1).is_ok() && verified(CLAIMS.expires_at_s).is_err());
    }
}
