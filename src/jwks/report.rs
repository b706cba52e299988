//! What is told of an issuer's keys: once for each change of how it is, and never by whoever sends tokens.

use crate::jwks::fault::FetchError;
use crate::jwks::line::{Change, KeysHandle, Source};

/// Names of keys in one line at most, and characters of one.
const NAMES: usize = 16;
const NAME: usize = 64;

/// A fetch failed. Told when it did not before, or otherwise.
pub(super) fn failed(source: &Source, error: FetchError, before: Option<FetchError>) {
    if before != Some(error) {
        let (issuer, code) = (source.issuer.to_string(), error.code());
        tracing::warn!(issuer, code, %error, "an issuer's keys cannot be fetched; what is held is used on");
    }
}

/// A fetch succeeded.
pub(super) fn held(source: &Source, change: &Change, keys: Option<&KeysHandle>, failed_before: bool) {
    let count = keys.map_or(0, |keys| keys.set().keys().len());
    let issuer = source.issuer.to_string();
    if *change != Change::default() {
        let (added, removed) = (names(&change.added), names(&change.removed));
        tracing::info!(issuer, keys = count, added, removed, "an issuer's keys are not what they were");
    } else if failed_before {
        tracing::info!(issuer, keys = count, "an issuer's keys can be fetched again");
    }
}

/// What was held has become too old.
pub(super) fn outlived(source: &Source) {
    let issuer = source.issuer.to_string();
    tracing::warn!(issuer, "an issuer's keys are too old to be used, and newer ones cannot be fetched");
}

/// Its provider has taken back all of its keys.
pub(super) fn emptied(source: &Source) {
    let issuer = source.issuer.to_string();
    tracing::warn!(issuer, "an issuer publishes no keys any more: its tokens are refused");
}

/// Names are its maker's: whatever they are, they make one short field.
fn names(all: &[String]) -> String {
    let one = |name: &String| name.chars().filter(char::is_ascii_graphic).take(NAME).collect::<String>();
    let mut named = all.iter().take(NAMES).map(one).collect::<Vec<_>>();
    if all.len() > NAMES {
        named.push(format!("and {} more", all.len() - NAMES));
    }
    named.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_keys_make_one_short_field() {
        assert_eq!(names(&["a".to_owned(), "b\nc\u{202e}d".to_owned()]), "a bcd");
        let many: Vec<String> = (0..100).map(|n| format!("{n}{}", "x".repeat(300))).collect();
        let text = names(&many);
        assert!(text.len() < 1_200 && text.ends_with(" and 84 more"), "{text}");
    }
}
