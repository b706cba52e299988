//! What a client sent, told apart without a look-up. Junk stops here.
//!
//! A text with dots is a JWT and is never tried as a key, nor the reverse (decision 10). A JWT is told
//! by its dots and not by `eyJ`, because old keys of other products begin so (security rule R6).

use crate::domain::denial::Reason;
use crate::domain::key_format::{self, KeyFormatError, KeyParts};
use crate::secret::{CredentialText, Secret};

/// The longest credential looked at, in bytes; longer ones are refused unread.
pub const MAX_CREDENTIAL_LEN: usize = 16 * 1024;

/// A credential that has the form of one. Only [`Presented::parse`] makes it.
pub struct Presented<'a> {
    text: &'a [u8],
    scheme: Scheme<'a>,
}

/// The kinds of credential, told by form alone.
#[derive(Clone, Copy)]
pub enum Scheme<'a> {
    /// One of our keys, checksum right.
    Key(KeyParts<'a>),
    /// Something with the dots of a JWT.
    Jwt,
    /// Neither: perhaps a key that another system made. Only where there are any is it looked for.
    Foreign(&'a [u8]),
}

impl<'a> Presented<'a> {
    /// Checks length, characters, form and checksum.
    ///
    /// # Errors
    /// The reason why the text cannot be a credential of ours; for the log, never for the caller.
    #[expect(clippy::disallowed_methods, reason = "the one place where a presented credential is read")]
    pub fn parse(credential: &'a Secret<CredentialText>) -> Result<Self, Reason> {
        let text = credential.expose();
        let text = text.strip_prefix(b"Bearer ").unwrap_or(text);
        if text.is_empty() {
            return Err(Reason::CredentialEmpty);
        }
        if text.len() > MAX_CREDENTIAL_LEN {
            return Err(Reason::CredentialTooLong);
        }
        if !text.iter().all(u8::is_ascii_graphic) {
            return Err(Reason::CredentialCharacters);
        }
        if text.contains(&b'.') {
            return Ok(Self { text, scheme: Scheme::Jwt });
        }
        match key_format::parse(text) {
            Ok(parts) => Ok(Self { text, scheme: Scheme::Key(parts) }),
            Err(KeyFormatError::Form) => Ok(Self { text, scheme: Scheme::Foreign(text) }),
            Err(KeyFormatError::Checksum) => Err(Reason::CredentialChecksum),
        }
    }

    /// The whole credential without `Bearer `: what the cache's keyed digest covers.
    pub fn text(&self) -> &'a [u8] {
        self.text
    }

    /// What form it has.
    pub fn scheme(&self) -> Scheme<'a> {
        self.scheme
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_is_presented_is_judged_in_its_length(text in any::<Vec<u8>>(), bearer in any::<bool>()) {
            let text = if bearer { [b"Bearer ".as_slice(), &text].concat() } else { text };
            let secret = Secret::new(text.clone());
            if let Ok(presented) = Presented::parse(&secret) {
                prop_assert!(presented.text().iter().all(u8::is_ascii_graphic) && text.ends_with(presented.text()));
                prop_assert_eq!(matches!(presented.scheme(), Scheme::Jwt), presented.text().contains(&b'.'));
            }
        }

        #[test]
        fn text_of_a_keys_characters_is_a_key_only_with_its_checksum(text in "lk_(live|test)_[0-9A-Za-z]{20,24}_[0-9A-Za-z]{47,51}") {
            let secret = Secret::new(text.clone().into_bytes());
            let sealed = text.get(..text.len() - 6).is_some_and(|body| text.as_bytes().ends_with(&key_format::checksum(body.as_bytes())));
            let is_key = Presented::parse(&secret).is_ok_and(|p| matches!(p.scheme(), Scheme::Key(_)));
            prop_assert!(!is_key || sealed);
        }
    }

    fn reason(text: &[u8]) -> Option<Reason> {
        Presented::parse(&Secret::new(text.to_vec())).err()
    }

    fn is_foreign(text: &[u8]) -> bool {
        let secret = Secret::new(text.to_vec());
        Presented::parse(&secret).is_ok_and(|p| matches!(p.scheme(), Scheme::Foreign(whole) if whole == text))
    }

    #[test]
    fn junk_is_named_by_what_is_wrong_with_it() {
        assert_eq!(reason(b""), Some(Reason::CredentialEmpty));
        assert_eq!(reason(b"Bearer "), Some(Reason::CredentialEmpty));
        assert_eq!(reason(&vec![b'a'; MAX_CREDENTIAL_LEN + 1]), Some(Reason::CredentialTooLong));
        assert_eq!(reason(b"lk_live_\0"), Some(Reason::CredentialCharacters));
        assert_eq!(reason("clé".as_bytes()), Some(Reason::CredentialCharacters));
        assert_eq!(reason(b"a b"), Some(Reason::CredentialCharacters));
        assert!(is_foreign(b"hunter2"), "perhaps somebody else's");
    }

    #[test]
    fn dots_make_a_jwt_and_nothing_else_does() {
        let jwt = Secret::new(b"a.b.c".to_vec());
        assert!(matches!(Presented::parse(&jwt).map(|p| p.scheme()), Ok(Scheme::Jwt)));
        assert!(is_foreign(b"eyJhbGciOiJub25lIn0"), "r6: old keys of other systems begin so");
    }
}
