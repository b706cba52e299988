//! Tests of public keys in PEM. The keys were made by `openssl`; their private halves are nowhere.
use super::*;
use crate::domain::algorithm::Algorithm;
use crate::jwt::keys::KeySet;
use proptest::prelude::*;

const P256_PEM: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEJu8deulI9B4MP7bPqOOJCbpZNQXZ
Fhim5uKnTSHAZ1MNuFKWix4ajeZT9kHwd7M/4/nu8j/oonPKsV7SoR0gCw==
-----END PUBLIC KEY-----
";
const P384_PEM: &str = "-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE5eWK7/cVU4lRPvYDwzQVrg8ptQgOiTKU
mJ5DPUHRwM7AeIL2gMjPkm51xlQh/xWzUpcb/Hw4b4dCPyzNuJ/oFlbcn4zEhsIo
+ychrVX83DqJIO/jMKA6HvYy+Twn5EUR
-----END PUBLIC KEY-----
";
const ED: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAdmADr7ClP/Un9vnCi6uaA+Vmy611IwxchB/W5DNRTnw=
-----END PUBLIC KEY-----
";
const RSA2048: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAp3Hzzl5ficUI7mbQ9yue
QbJdUJCswNQRzsql5IyxcAGXKdAIjNFcbe2LXim6Muk+UuNs2IkphSe4aduWz77X
xLeyQLTLIKP8YX/ymK8bUCW4Xie1jODl8ltaNS9wTYb0cdwgGwJqTKd48GUEi+Nm
PIbcoe/oCchcg9O0Hp6kRGmhG2EL6f9XmYXlc3HkQztVCEaYrjqM7/OvKFEsZPye
TVfPndB4mw2R96/Sl/kthgENd0hcPVgEC7eyj+0lubGSNK9mHSFzFuUwu37uTFrg
xfHkmgztdhs3+vAXGSWSU7+ibmAoyy88LKAGOJcwrO5anTSXPtQo4fGto88fSfKE
ywIDAQAB
-----END PUBLIC KEY-----
";
const RSA1024: &str = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDVWPKogGJo2v6amN7u2KEwfJnF
0CpKQND9YKV4HM44ORrlToewvbLlrHDiitu05W7hurdMdg3d9BFl7MEWC5fmBHdj
qcNZ8BQtv/HYUqKdu2kEq2dgeRlLPAEIuRJc9HOijLCxefiz+sgdeyiLE/fN7KDe
jKCPWxvI/WvlITiLAQIDAQAB
-----END PUBLIC KEY-----
";
const P521: &str = "-----BEGIN PUBLIC KEY-----
MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQAEFZyPNIc4py49gqAsMky+nZU9Gqu
CNX2iDtiJIadf8kF2mYbTfc1OXfd5XXtjJDm0YORFCOKzNlST+HW6IEzRlsAB/gW
6nOfJrJeOU1Btt8OXp1KxJftwbbecdtVf/dSU6Y1B8LbweIy+VpqLd9KVXY/pfMF
rtWs9afQ7e8Ufi3axt8=
-----END PUBLIC KEY-----
";

fn first(pem: &str) -> KeySet {
    KeySet::from_jwks(to_jwks(pem, Some("k")).unwrap().as_bytes()).unwrap()
}

proptest! {
    #[test]
    fn any_text_ends_in_an_answer(text in any::<String>(), bytes in any::<Vec<u8>>(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let _ = to_jwks(&text, None);
        let _ = key(&bytes);
        let mut der = block(RSA2048).unwrap();
        let place = at.index(der.len());
        der[place] = byte;
        let _ = key(&der);
        let _ = key(&der[..place]);
    }
}

#[test]
fn a_public_key_becomes_a_set_of_one() {
    for (pem, algorithm, bits) in [
        (P256_PEM, Algorithm::ES256, 256),
        (P384_PEM, Algorithm::ES384, 384),
        (ED, Algorithm::EdDSA, 256),
        (RSA2048, Algorithm::PS256, 2048),
    ] {
        let set = first(pem);
        let key = set.select(algorithm, Some("k")).unwrap();
        assert_eq!(key.bits(), bits);
        assert!(first(&format!("about this key\n{}", pem.replace('\n', "\r\n"))).has_kid("k"));
        assert!(KeySet::from_jwks(to_jwks(pem, None).unwrap().as_bytes()).unwrap().keys()[0].kid().is_none());
    }
}

#[test]
fn anything_else_is_refused() {
    let why = |pem: &str| to_jwks(pem, None).err();
    for label in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY"] {
        assert_eq!(why(&P256_PEM.replace("PUBLIC KEY", label)), Some(Fault::PemPrivate), "{label}");
    }
    for label in ["CERTIFICATE", "RSA PUBLIC KEY", "EC PARAMETERS"] {
        assert_eq!(why(&P256_PEM.replace("PUBLIC KEY", label)), Some(Fault::PemForm), "{label}");
    }
    for wrong in ["", "-----BEGIN PUBLIC KEY-----", "{}", &format!("{P256_PEM}{ED}"), &P256_PEM.replace("MFk", "M*k")] {
        assert_eq!(why(wrong), Some(Fault::PemForm), "{wrong}");
    }
    assert_eq!(why(&format!("{}{P256_PEM}", " ".repeat(MAX_LEN))), Some(Fault::PemForm));
    assert_eq!(why(P521), Some(Fault::PemKind));
    assert_eq!(why(RSA1024), Some(Fault::RsaSize));
    let der = block(RSA2048).unwrap();
    assert_eq!(key(&[&der[..], &[0]].concat()).err(), Some(Fault::PemKind), "something after it");
    let point = block(P256_PEM).unwrap();
    assert_eq!(key(&[&point[..], &[0]].concat()).err(), Some(Fault::JwkMember), "something after it");
    assert_eq!(to_jwks(ED, Some("a\n")).err(), Some(Fault::KidInvalid));
}
