//! Keys that other systems made: how they are digested, and by what they are found (rule R6).

use std::fmt;

/// A digest without a salt, of the whole key as it is presented.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Method {
    /// SHA-256 (FIPS 180-4).
    Sha256,
    /// SHA-512 (FIPS 180-4).
    Sha512,
}

impl Method {
    /// Every method.
    pub const ALL: &'static [Self] = &[Self::Sha256, Self::Sha512];

    /// The stable name, as stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// From its stable name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|method| method.as_str() == text)
    }

    /// Bytes of a digest.
    pub const fn length(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an imported key is found by: a MAC of its digest, under a pepper. A leaked digest finds nothing, for what is
/// presented is always digested first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Handle(pub [u8; 32]);

/// The shortest and the longest key of another system, in bytes.
pub const LENGTHS: std::ops::RangeInclusive<usize> = 8..=512;
