//! Control A1: the secret of a key is at least 128 bits from the operating system's generator, uniform over
//! its alphabet, and never repeats. A million keys, and the generator's failure.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a failed test is a panic"
)]

use latchkey::clock::{Entropy, EntropyError, SystemEntropy};
use latchkey::domain::ids::BASE62;
use latchkey::domain::key_format::{self, CHECK_LEN, Minted, SECRET_LEN};
use latchkey::domain::{CredentialId, Environment};
use latchkey::secret::ApiKeyText;

const KEYS: usize = 1_000_000;

fn mint(entropy: &dyn Entropy) -> Result<Minted<ApiKeyText>, EntropyError> {
    let id = CredentialId::from_bytes([7; 16]);
    key_format::mint("lk", Some(Environment::Live), id, entropy)
}

#[test]
fn a1_a_million_secrets_are_uniform_and_never_repeat() {
    let mut counts = vec![[0_u64; 256]; SECRET_LEN];
    let mut seen = std::collections::HashSet::with_capacity(KEYS);
    for _ in 0..KEYS {
        let minted = mint(&SystemEntropy).unwrap();
        let secret = minted.secret_part();
        for (count, &character) in counts.iter_mut().zip(secret) {
            count[usize::from(character)] += 1;
        }
        // 22 of 43 characters are 131 bits: enough to tell that none repeats.
        let head: [u8; 22] = *secret.first_chunk().unwrap();
        assert!(seen.insert(head), "a secret repeats");
    }
    // 61 degrees of freedom: 150 is passed by chance about twice in a thousand million, at any of 43 places.
    for (place, count) in counts.iter().enumerate() {
        let expected = KEYS as f64 / 62.0;
        let chi: f64 = BASE62.iter().map(|&c| (count[usize::from(c)] as f64 - expected).powi(2) / expected).sum();
        assert!(chi < 150.0, "place {place}: chi-square {chi}");
    }
}

#[test]
fn a1_a_generator_with_a_bias_is_found_by_that_measure() {
    struct Biased;
    impl Entropy for Biased {
        fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
            SystemEntropy.fill(buffer)?;
            // What a plain remainder would do: 256 is not a multiple of 62, so 8 characters come more often.
            for byte in buffer {
                *byte %= 62 * 4;
            }
            Ok(())
        }
    }
    let mut count = [0_u64; 256];
    for _ in 0..20_000 {
        for &c in mint(&Biased).unwrap().secret_part() {
            count[usize::from(c)] += 1;
        }
    }
    let expected = (20_000 * SECRET_LEN) as f64 / 62.0;
    let chi: f64 = BASE62.iter().map(|&c| (count[usize::from(c)] as f64 - expected).powi(2) / expected).sum();
    assert!(chi > 150.0, "chi-square {chi}");
}

#[test]
fn a1_the_secret_carries_256_bits_and_is_no_uuid() {
    assert!(62_f64.log2() * SECRET_LEN as f64 >= 256.0);
    assert_eq!(CHECK_LEN, 6);
    let minted = mint(&SystemEntropy).unwrap();
    assert!(!minted.secret_part().contains(&b'-'));
}
