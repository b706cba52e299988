//! Tests of the one way, with tokens of every family.
use super::*;
use crate::domain::issuer::ClaimPath;
use crate::secret::Secret;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use proptest::prelude::*;
use std::sync::LazyLock;

const NOW_MS: i64 = 1_800_000_000_000;
const CLAIMS: &str = r#"{"iss":"https://id.example","aud":"us","exp":1800000060,"sub":"ann","jti":"t1"}"#;

struct Signer {
    pair: EcdsaKeyPair,
    keys: KeySet,
}

static SIGNER: LazyLock<Signer> = LazyLock::new(|| {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = &pair.public_key().as_ref()[1..];
    let (x, y) = (compact::encode(&point[..32]), compact::encode(&point[32..]));
    let jwk = format!(r#"{{"keys":[{{"kty":"EC","crv":"P-256","kid":"k1","x":"{x}","y":"{y}"}}]}}"#);
    Signer { keys: KeySet::from_jwks(jwk.as_bytes()).unwrap(), pair }
});

fn token(header: &str, claims: &str) -> String {
    let message = format!("{}.{}", compact::encode(header.as_bytes()), compact::encode(claims.as_bytes()));
    let signature = SIGNER.pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
    format!("{message}.{}", compact::encode(signature.as_ref()))
}

fn rules() -> TokenRules {
    TokenRules {
        iss: "https://id.example".into(),
        audiences: vec!["us".into()],
        algorithms: vec![Algorithm::ES256],
        types: vec!["at+jwt".into(), String::new()],
        leeway_s: 0,
        max_age_s: None,
        required: vec![],
    }
}

fn judged(token: &str, rules: &TokenRules) -> Result<VerifiedToken, Fault> {
    Unverified::parse(token.as_bytes())?.verify(&SIGNER.keys, rules, NOW_MS)
}

static GOOD: LazyLock<String> = LazyLock::new(|| token(r#"{"alg":"ES256","kid":"k1","typ":"at+jwt"}"#, CLAIMS));

proptest! {
    #[test]
    fn any_bytes_end_in_an_answer(bytes in any::<Vec<u8>>(), parts in "[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,90}") {
        let _ = Unverified::parse(&bytes);
        let _ = Unverified::parse(parts.as_bytes());
    }
}

#[test]
fn any_one_bit_that_changes_refuses() {
    assert!(judged(&GOOD, &rules()).is_ok());
    for at in 0..GOOD.len() {
        for bit in 0..8 {
            let mut bytes = GOOD.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let verdict = Unverified::parse(&bytes).and_then(|token| token.verify(&SIGNER.keys, &rules(), NOW_MS));
            assert!(verdict.is_err(), "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn a_token_says_what_it_says() {
    let read = Unverified::parse(GOOD.as_bytes()).unwrap();
    assert_eq!(
        (read.issuer(), read.kid(), read.algorithm()),
        (Some("https://id.example"), Some("k1"), Algorithm::ES256)
    );
    assert_eq!(read.audiences(), ["us"]);
    let verified = judged(&GOOD, &rules()).unwrap();
    let claims = verified.claims();
    assert_eq!((claims.issuer(), claims.subject(), claims.token_id()), ("https://id.example", Some("ann"), Some("t1")));
    assert_eq!(claims.expires_at_ms(), 1_800_000_060_000);
    assert_eq!(verified.header().typ(), "at+jwt");
    assert_eq!(Unverified::parse(token(r#"{"alg":"ES256"}"#, "{}").as_bytes()).unwrap().issuer(), None);
}

#[test]
fn checks_come_in_their_order() {
    let claims = |iss: &str, aud: &str, exp: u32| format!(r#"{{"iss":"{iss}","aud":"{aud}","exp":{exp},"cnf":{{}}}}"#);
    let all_wrong = &claims("x", "y", 1);
    let with = |header: &str, claims: &str, rules: &TokenRules| judged(&token(header, claims), rules).err();
    let head = r#"{"alg":"ES256","kid":"k1","typ":"x"}"#;
    let others = TokenRules { algorithms: vec![Algorithm::EdDSA], ..rules() };
    assert_eq!(with(head, all_wrong, &others), Some(Fault::AlgorithmNotAllowed));
    assert_eq!(with(r#"{"alg":"ES256","kid":"k2"}"#, all_wrong, &rules()), Some(Fault::KeyUnknown));
    let forged = format!("{}A", &GOOD[..GOOD.len() - 1]);
    let broken = if forged == *GOOD { format!("{}Q", &GOOD[..GOOD.len() - 1]) } else { forged };
    assert_eq!(judged(&broken, &TokenRules { iss: "x".into(), ..rules() }).err(), Some(Fault::SignatureWrong));
    assert_eq!(with(head, all_wrong, &rules()), Some(Fault::TypeNotAllowed));
    let head = r#"{"alg":"ES256","kid":"k1"}"#;
    assert_eq!(with(head, all_wrong, &rules()), Some(Fault::IssuerOther));
    assert_eq!(with(head, &claims("https://id.example", "y", 1), &rules()), Some(Fault::AudienceOther));
    let needs = TokenRules { required: vec![ClaimPath::parse("role").unwrap()], ..rules() };
    assert_eq!(with(head, &claims("https://id.example", "us", 1_800_000_000), &needs), Some(Fault::Expired));
    let current = claims("https://id.example", "us", 1_800_000_001);
    assert_eq!(with(head, &current, &needs), Some(Fault::ClaimMissing));
    assert_eq!(with(head, &current, &rules()), Some(Fault::Confirmation));
}

#[test]
fn a_public_key_is_no_secret() {
    // The key of the issuer as the secret of an HMAC (RFC 8725 section 2.1), whatever form it is written in.
    let header = compact::encode(br#"{"alg":"HS256","kid":"k1"}"#);
    let message = format!("{header}.{}", compact::encode(CLAIMS.as_bytes()));
    let public = SIGNER.keys.keys()[0].to_public_jwk_json().unwrap();
    let mac = aws_lc_rs::hmac::sign(
        &aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, public.as_bytes()),
        message.as_bytes(),
    );
    let forged = format!("{message}.{}", compact::encode(mac.as_ref()));
    assert_eq!(judged(&forged, &rules()).err(), Some(Fault::AlgorithmNotAllowed));
    let both = TokenRules { algorithms: vec![Algorithm::ES256, Algorithm::HS256], ..rules() };
    assert_eq!(judged(&forged, &both).err(), Some(Fault::KeyFamily), "even where a record would allow both");
    let secret = KeySet::from_secret(&Secret::new((0..32_u8).collect())).unwrap();
    let verdict = Unverified::parse(GOOD.as_bytes()).unwrap().verify(&secret, &both, NOW_MS);
    assert_eq!(verdict.err(), Some(Fault::KeyFamily));
}
