//! What becomes of a published set in which not every key is good.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::domain::{Algorithm, TenantId};
use crate::jwt::keys::VerifyingKey;
use crate::store::suite::issuers::issuer;

const NOW: i64 = 1_800_000_000_000;
/// RFC 7517 section A.1.
const RSA: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64\
                   tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbO\
                   pbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

fn set(keys: &[&str]) -> Arc<KeySet> {
    Arc::new(KeySet::from_jwks(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes()).unwrap())
}

fn good() -> String {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let x = URL_SAFE_NO_PAD.encode(rcgen::PublicKeyData::der_bytes(&key));
    format!(r#"{{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"good","x":"{x}"}}"#)
}

/// Two algorithms of RSA, so that a key must say which it is for.
fn trusted() -> (Issuer, Trusted) {
    let mut row = issuer(TenantId::from_bytes([1; 16]), 1, "gateway");
    row.rules.algorithms = vec![Algorithm::EdDSA, Algorithm::PS256, Algorithm::PS384];
    let trusted = Trusted { generation: row.generation, source: source(&row), own: None, fetched: Mutex::default() };
    (row, trusted)
}

fn names(set: &KeySet) -> Vec<Option<&str>> {
    set.keys().iter().map(VerifyingKey::kid).collect()
}

#[test]
fn c_one_bad_key_of_a_provider_is_left_out_and_stops_none_of_its_good_ones() {
    let (good, short) = (good(), URL_SAFE_NO_PAD.encode([0xff; 128]));
    let rsa = |n: &str, more: &str| format!(r#"{{"kty":"RSA","e":"AQAB","n":"{n}"{more}}}"#);
    let bad = [
        (rsa(RSA, r#","kid":"bad""#), false),
        (rsa(&URL_SAFE_NO_PAD.encode([0xff; 640]), r#","kid":"bad","alg":"PS256""#), false),
        (rsa(&short, r#","kid":"bad","alg":"PS256""#), false),
        (rsa(RSA, r#","alg":"PS256""#), false),
        (rsa(RSA, r#","kid":"fine","alg":"PS256""#), true),
    ];
    for (n, (key, is_fine)) in bad.iter().enumerate() {
        let (row, trusted) = trusted();
        let (keys, until) = trusted.judge(&row, &set(&[&good, key]), NOW).unwrap();
        let expected = if *is_fine { vec![Some("good"), Some("fine")] } else { vec![Some("good")] };
        assert_eq!((names(&keys), until), (expected, None), "{n}");
        if !is_fine {
            let alone = trusted.judge(&row, &set(&[key]), NOW);
            // A key that no token needs to name is good where it is the only one.
            assert!(alone.is_err_and(|reason| reason == Reason::IssuerPolicy) || n == 3, "{n}");
            assert!(keys.select(Algorithm::PS256, Some("bad")).is_err(), "{n}");
        }
    }
    // Strictly, what has less than 128 bits is bad too; what is against the issuer itself is against every key.
    let (mut row, trusted) = trusted();
    let both = set(&[&good, &bad[4].0]);
    row.strict = true;
    assert_eq!(names(&trusted.judge(&row, &both, NOW).unwrap().0), [Some("good")]);
    row.rules.leeway_s = 61;
    assert!(trusted.judge(&row, &set(&[&good, &bad[4].0]), NOW).is_err());
}

#[test]
fn c_a_key_that_is_waived_is_good_until_that_ends_and_then_left_out() {
    let (mut row, trusted) = trusted();
    let (rule, owner, until_ms) = ("key_algorithm_ambiguous".to_owned(), "ops".to_owned(), NOW + 10);
    row.waivers = vec![Waiver { rule, owner, until_ms }];
    let both = set(&[&good(), &format!(r#"{{"kty":"RSA","e":"AQAB","n":"{RSA}","kid":"waived"}}"#)]);
    let (keys, until) = trusted.judge(&row, &both, NOW).unwrap();
    assert_eq!((names(&keys), until), (vec![Some("good"), Some("waived")], Some(NOW + 10)));
    let (keys, until) = trusted.judge(&row, &both, NOW + 10).unwrap();
    assert_eq!((names(&keys), until), (vec![Some("good")], None));
}

#[test]
fn r5_a_secret_that_is_not_here_is_looked_for_once_a_second_and_taken_when_it_is_back() {
    let (dir, id) = (tempfile::tempdir().unwrap(), crate::domain::IssuerId::from_bytes([9; 16]));
    let key = SubjectKey::create(&dir.path().join("subject.key"), &crate::clock::SystemEntropy).unwrap();
    let registry = Registry::new(dir.path().to_owned());
    let secret: Vec<u8> = (0..64).map(|n: u8| n.wrapping_mul(37) ^ 0x5a).collect();
    let secret = crate::secret::Secret::new(secret);
    let mut row = issuer(TenantId::from_bytes([1; 16]), 1, "gateway");
    (row.id, row.rules.algorithms) = (id, vec![Algorithm::HS256]);
    row.keys = KeySource::Secret(key.secret_fingerprint(id, &secret));
    let of = |now_ms| registry.of(&row, &key, now_ms).err();
    assert_eq!(of(NOW), Some(Reason::KeysUnavailable));
    issuer_secret::create(dir.path(), id, &secret).unwrap();
    assert_eq!(of(NOW + AGAIN_MS - 1), Some(Reason::KeysUnavailable), "not looked for yet");
    assert_eq!(of(NOW + AGAIN_MS), None);
    // Another one in its place is none.
    let other = Registry::new(dir.path().to_owned());
    row.keys = KeySource::Secret([1; 32]);
    assert_eq!(other.of(&row, &key, NOW).err(), Some(Reason::KeysUnavailable));
}
