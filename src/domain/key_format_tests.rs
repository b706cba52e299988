#![expect(clippy::disallowed_methods, clippy::cast_precision_loss, reason = "tests look inside keys")]
use super::*;
use crate::clock::SystemEntropy;
use crate::secret::{ApiKeyText, OperatorText};
use proptest::prelude::*;

fn key() -> (CredentialId, Minted<ApiKeyText>) {
    let id = CredentialId::random(&SystemEntropy).unwrap();
    let minted = mint(DEFAULT_PREFIX, Some(Environment::Live), id, &SystemEntropy).unwrap();
    (id, minted)
}

#[test]
fn a_minted_key_parses_to_its_parts() {
    let (id, minted) = key();
    let parts = parse(minted.text.expose()).unwrap();
    assert_eq!(parts.id, id);
    assert_eq!(parts.kind, CredentialKind::ApiKey);
    assert_eq!(parts.environment, Some(Environment::Live));
    assert_eq!(parts.prefix, b"lk");
    assert_eq!(parts.body, minted.body());
    assert!(minted.body().ends_with(minted.secret_part()) && minted.secret_part().len() == SECRET_LEN);
    assert_eq!(minted.text.len(), 80);
}

#[test]
fn an_operator_token_is_of_its_own_kind() {
    let id = CredentialId::random(&SystemEntropy).unwrap();
    let minted: Minted<OperatorText> = mint(OPERATOR_PREFIX, None, id, &SystemEntropy).unwrap();
    assert_eq!(parse(minted.text.expose()).map(|p| p.kind), Ok(CredentialKind::Operator));
}

#[test]
fn every_changed_character_is_noticed() {
    let (_, minted) = key();
    let text = minted.text.expose().to_vec();
    for at in 0..text.len() {
        let mut bad = text.clone();
        bad[at] = if bad[at] == b'A' { b'B' } else { b'A' };
        assert!(parse(&bad).is_err(), "position {at}");
    }
}

#[test]
fn every_cut_is_noticed() {
    let (_, minted) = key();
    let text = minted.text.expose();
    for end in 0..text.len() {
        assert!(parse(&text[..end]).is_err());
    }
}

#[test]
fn a1_the_secret_is_uniform_over_its_alphabet_and_never_repeats() {
    // Chi-square over 62 characters, 61 degrees of freedom: 126 is passed by chance less than once in a million.
    const KEYS: usize = 20_000;
    let mut counts = [0_u64; 256];
    let mut seen = std::collections::HashSet::new();
    for _ in 0..KEYS {
        let (_, minted) = key();
        for &c in minted.secret_part() {
            counts[usize::from(c)] += 1;
        }
        assert!(seen.insert(minted.secret_part().to_vec()));
    }
    let expected = (KEYS * SECRET_LEN) as f64 / 62.0;
    let chi: f64 = BASE62.iter().map(|&c| (counts[usize::from(c)] as f64 - expected).powi(2) / expected).sum();
    assert!(chi < 126.0, "chi-square {chi}");
}

#[test]
fn a1_a_failing_generator_mints_nothing() {
    struct Broken;
    impl Entropy for Broken {
        fn fill(&self, _: &mut [u8]) -> Result<(), EntropyError> {
            Err(EntropyError)
        }
    }
    let id = CredentialId::from_bytes([1; 16]);
    assert!(mint::<ApiKeyText>("lk", Some(Environment::Live), id, &Broken).is_err());
}

#[test]
fn prefixes_of_tenants_are_bounded() {
    for good in ["lk", "acme", "a1", "abcdefghijkl"] {
        assert!(is_prefix(good.as_bytes()), "{good}");
    }
    for bad in ["", "a", "1a", "Acme", "a_b", "abcdefghijklm", "a-b"] {
        assert!(!is_prefix(bad.as_bytes()), "{bad}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_and_never_pass(text in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(parse(&text).is_err());
    }

    #[test]
    fn key_shaped_text_passes_only_with_its_checksum(
        id in any::<[u8; 16]>(), secret in "[0-9A-Za-z]{43}", check in "[0-9A-Za-z]{6}"
    ) {
        let body = format!("lk_test_{}_{secret}", CredentialId::from_bytes(id));
        let right = checksum(body.as_bytes());
        let text = format!("{body}{check}");
        prop_assert_eq!(parse(text.as_bytes()).is_ok(), right == check.as_bytes());
    }
}
