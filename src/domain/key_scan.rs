//! Finds keys in any text: in sources, logs, configuration.
//!
//! What is looked for, as a regular expression for other scanners (control A7):
//! `(?:[a-z][a-z0-9]{1,11}_(?:live|test)|lkop)_[0-9A-Za-z]{22}_[0-9A-Za-z]{49}`, the last six of its characters being a
//! CRC-32 over all before them. A text that has this form by accident has the checksum of one in four thousand million.

use crate::domain::credential::{CredentialKind, Environment};
use crate::domain::ids::{CredentialId, ID_TEXT_LEN};
use crate::domain::key_format::{
    CHECK_LEN, KeyFormatError, MAX_KEY_LEN, MAX_PREFIX_LEN, OPERATOR_PREFIX, SECRET_LEN, parse,
};

/// The regular expression of the documents.
pub const PATTERN: &str = r"(?:[a-z][a-z0-9]{1,11}_(?:live|test)|lkop)_[0-9A-Za-z]{22}_[0-9A-Za-z]{49}";
/// So many bytes at the end of a piece may be the beginning of a key.
pub const OVERLAP: usize = MAX_KEY_LEN + 1;

/// A key in a text. Nothing of its secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// Where it begins, in bytes.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// The prefix, environment included.
    pub prefix: String,
    /// Key or operator token.
    pub kind: CredentialKind,
    /// Its public id.
    pub id: CredentialId,
    /// Whether its checksum is right: then somebody made it, and nobody mistyped it.
    pub checksum: bool,
}

/// Every key in a text, in order.
pub fn find(text: &[u8]) -> impl Iterator<Item = Found> + '_ {
    let tail = 1 + ID_TEXT_LEN + 1 + SECRET_LEN + CHECK_LEN;
    let underscores = text.iter().enumerate().filter(|(_, c)| **c == b'_').map(|(at, _)| at);
    underscores.filter_map(move |at| {
        // The underscore between head and id: the one after the id and two runs of the right length follow.
        if text.get(at + 1 + ID_TEXT_LEN) != Some(&b'_') {
            return None;
        }
        let end = at.checked_add(tail)?;
        let body = text.get(at + 1..end)?;
        let (id, secret) = (body.get(..ID_TEXT_LEN)?, body.get(ID_TEXT_LEN + 1..)?);
        let alphanumeric = |part: &[u8]| part.iter().all(u8::is_ascii_alphanumeric);
        if !alphanumeric(id) || !alphanumeric(secret) || text.get(end).is_some_and(u8::is_ascii_alphanumeric) {
            return None;
        }
        let start = head(text, at)?;
        let (prefix, whole) = (text.get(start..at)?, text.get(start..end)?);
        let checksum = match parse(whole) {
            Ok(_) => true,
            Err(KeyFormatError::Checksum) => false,
            Err(KeyFormatError::Form) => return None,
        };
        let operator = prefix == OPERATOR_PREFIX.as_bytes();
        let kind = if operator { CredentialKind::Operator } else { CredentialKind::ApiKey };
        let prefix = String::from_utf8_lossy(prefix).into_owned();
        Some(Found { start, end, prefix, kind, id: CredentialId::parse(id).ok()?, checksum })
    })
}

/// Where the head begins that ends before the underscore at `end`: `prefix_live`, `prefix_test` or the operators' own.
fn head(text: &[u8], end: usize) -> Option<usize> {
    let before = text.get(..end)?;
    if before.ends_with(OPERATOR_PREFIX.as_bytes()) {
        return Some(end - OPERATOR_PREFIX.len());
    }
    let environments = [Environment::Live, Environment::Test];
    let before = environments.iter().find_map(|environment| {
        before.strip_suffix(environment.as_str().as_bytes()).and_then(|rest| rest.strip_suffix(b"_"))
    })?;
    let of_prefix = |c: &&u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let length = before.iter().rev().take_while(of_prefix).take(MAX_PREFIX_LEN).count();
    // A prefix begins with a letter; digits before it belong to something else.
    let run = before.get(before.len() - length..)?;
    let letter = run.iter().position(u8::is_ascii_lowercase)?;
    Some(before.len() - length + letter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Entropy as _, SystemEntropy};
    use crate::domain::key_format::mint;
    use crate::secret::ApiKeyText;
    use proptest::prelude::*;

    #[expect(clippy::disallowed_methods, reason = "tests look inside secrets")]
    fn key(prefix: &str) -> String {
        let id = CredentialId::random(&SystemEntropy).unwrap();
        let minted = mint::<ApiKeyText>(prefix, Some(Environment::Live), id, &SystemEntropy).unwrap();
        String::from_utf8(minted.text.expose().to_vec()).unwrap()
    }

    #[test]
    fn a7_keys_are_found_wherever_they_stand_and_told_from_mistyped_ones() {
        for prefix in ["lk", "acme7"] {
            let key = key(prefix);
            for text in [
                key.clone(),
                format!("KEY={key}\n"),
                format!("\"Bearer {key}\","),
                format!("X_{key}-y"),
                format!("https://h/?k={key}&x"),
                format!("é{key}é"),
            ] {
                let found: Vec<Found> = find(text.as_bytes()).collect();
                assert_eq!(found.len(), 1, "{text}");
                assert_eq!(&text[found[0].start..found[0].end], key);
                assert!(found[0].checksum && found[0].prefix == format!("{prefix}_live"));
            }
            let mut wrong = key.into_bytes();
            let last = wrong.last_mut().unwrap();
            *last = if *last == b'0' { b'1' } else { b'0' };
            let found: Vec<Found> = find(&wrong).collect();
            assert!(found.len() == 1 && !found[0].checksum);
            wrong.push(b'x');
            assert_eq!(find(&wrong).count(), 0, "longer than a key");
        }
    }

    #[test]
    fn a7_ten_million_random_strings_of_the_form_have_no_right_checksum_but_by_chance() {
        let base62 = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut seed = [0; 8];
        SystemEntropy.fill(&mut seed).unwrap();
        let mut state = u64::from_ne_bytes(seed) | 1;
        let mut text = b"lk_live_0000000000000000000000_0000000000000000000000000000000000000000000000000".to_vec();
        let (mut right, mut formed) = (0, 0);
        for _ in 0..10_000_000_u32 {
            // The places that change are enough: a CRC spreads each of them.
            for place in text.iter_mut().skip(68) {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                *place = base62[usize::try_from(state % 62).unwrap()];
            }
            match parse(&text) {
                Ok(_) => right += 1,
                Err(KeyFormatError::Checksum) => formed += 1,
                Err(KeyFormatError::Form) => panic!("they have the form"),
            }
        }
        // Expected 0.0023; three or more have a chance of one in five hundred million.
        assert!(right <= 2, "{right} of ten million");
        assert_eq!(right + formed, 10_000_000);
    }

    proptest! {
        #[test]
        fn whatever_is_searched_nothing_but_the_form_is_found(text in prop::collection::vec(any::<u8>(), 0..400)) {
            for found in find(&text) {
                prop_assert!(parse(&text[found.start..found.end]).is_ok() == found.checksum);
            }
        }

        #[test]
        fn a_key_between_any_two_texts_is_found(before in "[^0-9a-zA-Z]{0,20}", after in "[^0-9A-Za-z]{0,20}") {
            let key = key("lk");
            let text = format!("{before}{key}{after}");
            prop_assert_eq!(find(text.as_bytes()).filter(|found| found.checksum).count(), 1);
        }
    }
}
