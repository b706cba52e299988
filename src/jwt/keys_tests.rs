//! Tests of sets of keys, and of which key a token means.
use super::*;
use crate::jwt::compact;

const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

fn ec(more: &str) -> String {
    format!(r#"{{"kty":"EC","crv":"P-256","x":"{X}","y":"{Y}"{more}}}"#)
}

fn ed(more: &str) -> String {
    format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"{more}}}"#)
}

fn set(keys: &[String]) -> Result<KeySet, Fault> {
    KeySet::from_jwks(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes())
}

fn selected(keys: &[String], algorithm: Algorithm, kid: Option<&str>) -> Result<Option<String>, Fault> {
    set(keys).unwrap().select(algorithm, kid).map(|key| key.kid().map(str::to_owned))
}

#[test]
fn a_set_is_a_list_of_objects_within_limits() {
    for wrong in ["{}", r#"{"keys":{}}"#, r#"{"keys":[1]}"#, r#"{"keys":null}"#, &ec("")] {
        assert_eq!(KeySet::from_jwks(wrong.as_bytes()).err(), Some(Fault::JwksForm), "{wrong}");
    }
    assert_eq!(KeySet::from_jwks(b"<html>").err(), Some(Fault::JsonSyntax));
    assert_eq!(KeySet::from_jwks(&vec![b' '; MAX_JWKS_LEN + 1]).err(), Some(Fault::JwksTooLarge));
    assert_eq!(set(&vec!["{}".to_owned(); MAX_KEYS + 1]).err(), Some(Fault::JwksTooMany));
    assert_eq!(set(&vec!["{}".to_owned(); MAX_KEYS]).unwrap().skipped().len(), MAX_KEYS);
    assert!(set(&[]).unwrap().keys().is_empty());
}

#[test]
fn what_should_not_have_been_published_refuses_the_whole_set() {
    for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "priv"] {
        assert_eq!(set(&[ec(""), ed(&format!(r#","{name}":"AA""#))]).err(), Some(Fault::JwkPrivate), "{name}");
    }
    let oct = format!(r#"{{"kty":"oct","k":"{}"}}"#, compact::encode(&[7; 32]));
    assert_eq!(set(&[ec(""), oct.clone()]).err(), Some(Fault::JwkSecret));
    assert_eq!(set(&[ec(r#","k":"AA""#)]).err(), Some(Fault::JwkSecret));
    // An operator's own file may have them.
    let allowed = Allowed { secrets: true, private: true };
    let file = KeySet::from_file(oct.as_bytes(), allowed).unwrap();
    assert_eq!((file.keys()[0].family(), file.keys()[0].bits()), (KeyFamily::Secret, 256));
    assert!(file.keys()[0].to_public_jwk_json().is_none());
    assert_eq!(KeySet::from_file(ec(r#","d":"AA""#).as_bytes(), allowed).unwrap().keys().len(), 1);
}

#[test]
fn a_name_is_that_of_one_key() {
    assert_eq!(set(&[ec(r#","kid":"a""#), ed(r#","kid":"a""#)]).err(), Some(Fault::JwksDuplicate));
    let mixed = set(&[ec(r#","kid":"a","use":"enc""#), ed(r#","kid":"a""#), ec(r#","kid":"b","alg":"x""#)]).unwrap();
    assert!(mixed.has_kid("a") && !mixed.has_kid("b") && !mixed.has_kid("A"));
    assert_eq!(
        mixed.skipped().iter().map(|skipped| skipped.why).collect::<Vec<_>>(),
        [Fault::JwkUse, Fault::JwkAlgorithm]
    );
    assert_eq!(mixed.select(Algorithm::ES256, Some("b")).err(), Some(Fault::KeyUnusable));
}

#[test]
fn the_key_that_is_meant_is_the_named_one_or_the_only_one_that_fits() {
    let keys = [ec(r#","kid":"a""#), ed(r#","kid":"b","alg":"EdDSA""#)];
    assert_eq!(selected(&keys, Algorithm::ES256, Some("a")), Ok(Some("a".to_owned())));
    assert_eq!(selected(&keys, Algorithm::ES256, Some("b")), Err(Fault::KeyFamily));
    assert_eq!(selected(&keys, Algorithm::ES384, Some("a")), Err(Fault::KeyFamily));
    for other in ["A", "a ", "c", "../a"] {
        assert_eq!(selected(&keys, Algorithm::ES256, Some(other)), Err(Fault::KeyUnknown), "{other}");
    }
    assert_eq!(selected(&keys, Algorithm::EdDSA, None), Ok(Some("b".to_owned())));
    assert_eq!(selected(&keys, Algorithm::RS256, None), Err(Fault::KeyNone));
    let two = [ec(r#","kid":"a""#), ec(r#","kid":"b""#)];
    assert_eq!(selected(&two, Algorithm::ES256, None), Err(Fault::KeyAmbiguous));
    // A single key without a name is meant by any name; a key without a name beside others by none.
    assert_eq!(selected(&[ec("")], Algorithm::ES256, Some("x")), Ok(None));
    assert_eq!(selected(&[ec(""), ed(r#","kid":"b""#)], Algorithm::ES256, Some("x")), Err(Fault::KeyUnknown));
    assert_eq!(selected(&[ec(r#","kid":"a""#)], Algorithm::ES256, Some("x")), Err(Fault::KeyUnknown));
    // The set's own word on the algorithm holds.
    assert_eq!(set(&[]).unwrap().select(Algorithm::ES256, Some("a")).err(), Some(Fault::KeyUnknown));
}

#[test]
fn a_secret_is_long_and_not_known() {
    let of = |bytes: &[u8]| KeySet::from_secret(&Secret::new(bytes.to_vec())).err();
    let good: Vec<u8> = (0..64_u8).map(|i| i.wrapping_mul(71)).collect();
    assert_eq!(of(&good), None);
    assert_eq!(of(&good[..32]), None);
    assert_eq!(of(&good[..31]), Some(Fault::SecretShort));
    for short in [&b""[..], b"secret", b"your-256-bit-secret"] {
        assert_eq!(of(short), Some(Fault::SecretShort));
    }
    for known in [vec![b'a'; 32], vec![0; 64], b"changeme".repeat(5), b"secret".repeat(6), KNOWN[0].to_vec()] {
        assert_eq!(of(&known), Some(Fault::SecretGuessable));
    }
    // The key of RFC 7515 section A.1.1, as text and as bytes.
    let published = b"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    assert_eq!(of(published), Some(Fault::SecretGuessable));
    assert_eq!(of(&compact::decode(published).unwrap()), Some(Fault::SecretGuessable));
    // Of the hash's length (RFC 7518 section 3.2).
    let set = KeySet::from_secret(&Secret::new(good[..32].to_vec())).unwrap();
    assert!(set.select(Algorithm::HS256, Some("any")).is_ok());
    assert_eq!(set.select(Algorithm::HS512, Some("any")).err(), Some(Fault::KeyShort));
    assert_eq!(set.select(Algorithm::RS256, Some("any")).err(), Some(Fault::KeyFamily));
}
