//! Identifiers, each a type of its own so that one cannot stand for another.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use crate::clock::{Entropy, EntropyError};

/// Digits, upper case, lower case: the order fixes every stored and printed id.
pub const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Characters that 128 bits take in base62, zero-padded.
pub const ID_TEXT_LEN: usize = 22;

/// An id text that is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not 22 base62 characters below 2^128.
    #[error("expected {ID_TEXT_LEN} base62 characters")]
    NotBase62,
    /// Not a decimal from 1 to 4294967295.
    #[error("expected a decimal from 1 to 4294967295")]
    NotHostId,
}

/// The value of one base62 character.
pub fn base62_value(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'A'..=b'Z' => Some(character - b'A' + 10),
        b'a'..=b'z' => Some(character - b'a' + 36),
        _ => None,
    }
}

fn encode_base62(value: u128) -> [u8; ID_TEXT_LEN] {
    let mut rest = value;
    let mut text = [b'0'; ID_TEXT_LEN];
    for slot in text.iter_mut().rev() {
        let digit = usize::try_from(rest % 62).unwrap_or(0);
        *slot = BASE62.get(digit).copied().unwrap_or(b'0');
        rest /= 62;
    }
    text
}

fn decode_base62(text: &[u8]) -> Result<u128, IdError> {
    if text.len() != ID_TEXT_LEN {
        return Err(IdError::NotBase62);
    }
    text.iter().try_fold(0_u128, |value, &character| {
        let digit = base62_value(character).ok_or(IdError::NotBase62)?;
        value.checked_mul(62).and_then(|v| v.checked_add(u128::from(digit))).ok_or(IdError::NotBase62)
    })
}

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// From its 16 stored bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 16 bytes as stored.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// A new one: 128 random bits.
            ///
            /// # Errors
            /// When there is no randomness to be had.
            pub fn random(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
                let mut bytes = [0; 16];
                entropy.fill(&mut bytes)?;
                Ok(Self(bytes))
            }

            /// From its 22 base62 characters.
            ///
            /// # Errors
            /// When the text is not 22 base62 characters below 2^128.
            pub fn parse(text: &[u8]) -> Result<Self, IdError> {
                decode_base62(text).map(|value| Self(value.to_be_bytes()))
            }

            /// Its 22 base62 characters.
            pub fn to_text(&self) -> [u8; ID_TEXT_LEN] {
                encode_base62(u128::from_be_bytes(self.0))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.to_text().iter().try_for_each(|&c| fmt::Write::write_char(f, char::from(c)))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text.as_bytes())
            }
        }
    };
}

random_id! {
    /// A credential's public id: 128 random bits, not a secret.
    CredentialId
}
random_id! {
    /// A tenant's internal id; people use its slug.
    TenantId
}
random_id! {
    /// An operator of the admin interface.
    OperatorId
}
random_id! {
    /// A link's public id.
    LinkId
}
random_id! {
    /// A trusted issuer's public id.
    IssuerId
}
random_id! {
    /// The public id of a token that we signed: the first half of the hash of its `jti`.
    TokenId
}

macro_rules! host_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(NonZeroU32);

        impl $name {
            /// From the host's number; 0 is none (the host turns an App id of 0 into App 1, hazard H1).
            pub fn new(value: u32) -> Option<Self> {
                NonZeroU32::new(value).map(Self)
            }

            /// The greatest one.
            pub const MAX: Self = Self(NonZeroU32::MAX);

            /// The host's number, from 1 to 4294967295.
            pub const fn get(self) -> u32 {
                self.0.get()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                // `parse` would take a sign; the host's ParseUint does not.
                let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                digits.then(|| text.parse().ok()).flatten().and_then(Self::new).ok_or(IdError::NotHostId)
            }
        }
    };
}

host_id! {
    /// An App of the host.
    AppId
}
host_id! {
    /// A User of the host.
    UserId
}
host_id! {
    /// An LLM of the host.
    LlmId
}

/// A random 64-bit value that changes with each change of a row; never a counter (security rule R9).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Generation(pub i64);

impl Generation {
    /// A new one.
    ///
    /// # Errors
    /// When there is no randomness to be had.
    pub fn random(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut bytes = [0; 8];
        entropy.fill(&mut bytes)?;
        Ok(Self(i64::from_be_bytes(bytes)))
    }
}

impl CredentialId {
    /// A random id in a neighbourhood: rows that are stored together lie together. The neighbourhood is random too.
    ///
    /// # Errors
    /// When there is no randomness to be had.
    pub fn random_near(neighbourhood: [u8; 8], entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let Self(mut bytes) = Self::random(entropy)?;
        for (byte, shared) in bytes.iter_mut().zip(neighbourhood) {
            *byte = shared;
        }
        Ok(Self(bytes))
    }
}

/// A position in the change feed: the number of the last change seen. Grows with each commit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Position(pub u64);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn id_texts_round_trip(bytes in any::<[u8; 16]>()) {
            let id = CredentialId::from_bytes(bytes);
            prop_assert_eq!(CredentialId::parse(&id.to_text()), Ok(id));
        }

        #[test]
        fn arbitrary_text_never_panics(text in any::<Vec<u8>>()) {
            let _ = CredentialId::parse(&text);
        }
    }

    #[test]
    fn a_text_above_128_bits_is_refused() {
        assert_eq!(CredentialId::parse(&[b'z'; ID_TEXT_LEN]), Err(IdError::NotBase62));
    }

    #[test]
    fn h1_an_app_id_is_a_plain_decimal_from_1() {
        assert_eq!("7".parse::<AppId>().map(AppId::get), Ok(7));
        assert_eq!("4294967295".parse::<AppId>().map(AppId::get), Ok(u32::MAX));
        for bad in ["", "0", "+7", "-1", "4294967296", "7 ", "1e3", "app"] {
            assert_eq!(bad.parse::<AppId>(), Err(IdError::NotHostId), "{bad:?}");
        }
    }
}
