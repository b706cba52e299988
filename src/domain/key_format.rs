//! The text of an API key: made once, told from junk without a look-up.
//!
//! `lk_live_<id>_<secret><check>`: a prefix, the environment, the public id (22 base62 characters),
//! 43 base62 characters of secret, and 6 of CRC-32 over everything before them. An operator token has
//! the prefix `lkop` and no environment. The checksum is no defence, it only stops mistyped and
//! made-up keys, and lets a scanner tell a real key in a repository.

use crate::clock::{Entropy, EntropyError};
use crate::domain::credential::{CredentialKind, Environment};
use crate::domain::ids::{BASE62, CredentialId, ID_TEXT_LEN, base62_value};
use crate::secret::{Kind, Secret};
use zeroize::Zeroize as _;

/// The prefix that a tenant without its own uses.
pub const DEFAULT_PREFIX: &str = "lk";
/// The prefix of operator tokens, which no tenant may choose.
pub const OPERATOR_PREFIX: &str = "lkop";
/// Characters of the secret: uniformly chosen of 62, so 43 carry 256.03 bits.
pub const SECRET_LEN: usize = 43;
/// Characters of the checksum: 62^6 exceeds 2^32.
pub const CHECK_LEN: usize = 6;
/// The longest prefix a tenant may choose.
pub const MAX_PREFIX_LEN: usize = 12;
/// The longest possible key: prefix, `_live_`, id, `_`, secret, checksum.
pub const MAX_KEY_LEN: usize = MAX_PREFIX_LEN + 6 + ID_TEXT_LEN + 1 + SECRET_LEN + CHECK_LEN;
/// The pattern by which a scanner finds keys in text; verify the checksum of each hit.
pub const SCAN_PATTERN: &str = r"\b[a-z][a-z0-9]{1,11}(_(live|test))?_[0-9A-Za-z]{22}_[0-9A-Za-z]{49}\b";

/// Why a text is not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFormatError {
    /// The length or the separators do not fit.
    #[error("not of the form of a key")]
    Form,
    /// A well-formed text whose checksum differs: mistyped, cut or made up.
    #[error("the checksum does not fit")]
    Checksum,
}

/// A key taken apart. Borrowed from the presented text, so nothing is copied.
#[derive(Clone, Copy)]
pub struct KeyParts<'a> {
    /// Whether a gateway's or an operator's.
    pub kind: CredentialKind,
    /// `live` or `test`; operator tokens have none.
    pub environment: Option<Environment>,
    /// The text before the environment.
    pub prefix: &'a [u8],
    /// The public id.
    pub id: CredentialId,
    /// Everything but the checksum: what verifiers are made over, so that prefix and environment cannot be exchanged
    /// either. No `Debug` on this type, because of the secret in it.
    pub body: &'a [u8],
}

/// Takes a key apart and checks its checksum. Runs in the time of its length; at most
/// [`MAX_KEY_LEN`] bytes are looked at.
///
/// # Errors
/// When the text has not the form of a key, or its checksum differs.
pub fn parse(text: &[u8]) -> Result<KeyParts<'_>, KeyFormatError> {
    if text.len() > MAX_KEY_LEN {
        return Err(KeyFormatError::Form);
    }
    let (body, check) = split_last(text, CHECK_LEN)?;
    let (head, secret) = split_last(body, SECRET_LEN)?;
    let head = head.strip_suffix(b"_").ok_or(KeyFormatError::Form)?;
    let (head, id) = split_last(head, ID_TEXT_LEN)?;
    let head = head.strip_suffix(b"_").ok_or(KeyFormatError::Form)?;
    let (prefix, environment) = split_environment(head);
    let kind = match (prefix == OPERATOR_PREFIX.as_bytes(), environment) {
        (true, None) => CredentialKind::Operator,
        (false, Some(_)) => CredentialKind::ApiKey,
        _ => return Err(KeyFormatError::Form),
    };
    if !is_prefix(prefix) || !secret.iter().chain(check).all(|&c| base62_value(c).is_some()) {
        return Err(KeyFormatError::Form);
    }
    let id = CredentialId::parse(id).map_err(|_| KeyFormatError::Form)?;
    if checksum(body) != check {
        return Err(KeyFormatError::Checksum);
    }
    Ok(KeyParts { kind, environment, prefix, id, body })
}

/// Whether a tenant may have this prefix: a lower-case letter, then lower-case letters and digits,
/// 2 to [`MAX_PREFIX_LEN`] in all.
pub fn is_prefix(text: &[u8]) -> bool {
    (2..=MAX_PREFIX_LEN).contains(&text.len())
        && text.first().is_some_and(u8::is_ascii_lowercase)
        && text.iter().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
}

/// A key that was just made: its text, to be shown once, and what its verifier is made over.
pub struct Minted<K: Kind> {
    /// The whole text.
    pub text: Secret<K>,
}

impl<K: Kind> Minted<K> {
    /// Everything but the checksum, for the verifier.
    #[expect(clippy::disallowed_methods, reason = "the verifier of a fresh key is made from it")]
    pub fn body(&self) -> &[u8] {
        let text = self.text.expose();
        text.get(..text.len().saturating_sub(CHECK_LEN)).unwrap_or_default()
    }

    /// The secret's characters alone.
    pub fn secret_part(&self) -> &[u8] {
        let body = self.body();
        body.get(body.len().saturating_sub(SECRET_LEN)..).unwrap_or_default()
    }
}

/// Makes a key for `id`. `environment` is none for operator tokens.
///
/// # Errors
/// When there is no randomness to be had.
pub fn mint<K: Kind>(
    prefix: &str,
    environment: Option<Environment>,
    id: CredentialId,
    entropy: &dyn Entropy,
) -> Result<Minted<K>, EntropyError> {
    let mut text = Vec::with_capacity(MAX_KEY_LEN);
    text.extend_from_slice(prefix.as_bytes());
    if let Some(environment) = environment {
        text.push(b'_');
        text.extend_from_slice(environment.as_str().as_bytes());
    }
    text.push(b'_');
    text.extend_from_slice(&id.to_text());
    text.push(b'_');
    push_random_base62(&mut text, SECRET_LEN, entropy)?;
    let check = checksum(&text);
    text.extend_from_slice(&check);
    Ok(Minted { text: Secret::new(text) })
}

/// The checksum of everything before it.
pub fn checksum(body: &[u8]) -> [u8; CHECK_LEN] {
    let mut rest = crc32fast::hash(body);
    let mut text = [b'0'; CHECK_LEN];
    for slot in text.iter_mut().rev() {
        *slot = usize::try_from(rest % 62).ok().and_then(|d| BASE62.get(d)).copied().unwrap_or(b'0');
        rest /= 62;
    }
    text
}

/// Uniform over the alphabet: bytes of 248 and above are thrown away (248 is 4 times 62).
fn push_random_base62(text: &mut Vec<u8>, count: usize, entropy: &dyn Entropy) -> Result<(), EntropyError> {
    let full = text.len() + count;
    let mut random = [0_u8; 64];
    while text.len() < full {
        entropy.fill(&mut random)?;
        let digits = random.iter().filter(|&&b| b < 248).filter_map(|&b| BASE62.get(usize::from(b % 62)));
        text.extend(digits.take(full - text.len()));
    }
    random.zeroize();
    Ok(())
}

fn split_last(text: &[u8], count: usize) -> Result<(&[u8], &[u8]), KeyFormatError> {
    text.len().checked_sub(count).map(|at| text.split_at(at)).ok_or(KeyFormatError::Form)
}

fn split_environment(head: &[u8]) -> (&[u8], Option<Environment>) {
    for environment in [Environment::Live, Environment::Test] {
        let prefix = head.strip_suffix(environment.as_str().as_bytes()).and_then(|h| h.strip_suffix(b"_"));
        if let Some(prefix) = prefix {
            return (prefix, Some(environment));
        }
    }
    (head, None)
}

#[cfg(test)]
#[path = "key_format_tests.rs"]
mod tests;
