//! Keys that other systems made: how they are found, and how they are proven (rule R6).

use std::fmt;

use crate::domain::hex;

/// A digest of FIPS 180-4.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// Every one.
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
        Self::ALL.iter().copied().find(|algorithm| algorithm.as_str() == text)
    }

    /// Bytes of a digest.
    pub const fn length(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// Names the constant key of another system's HMAC without telling it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct HmacKeyId(pub [u8; 8]);

/// Bytes of the public beginning of a key that may lead to it.
pub const PREFIX_LENGTHS: std::ops::RangeInclusive<usize> = 6..=64;

/// What of a presented key it is found by. In the order in which they are tried: what covers the whole key first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Method {
    /// A digest of the whole, without a salt.
    Digest(Algorithm),
    /// HMAC of the whole under a constant key (RFC 2104).
    Hmac(Algorithm, HmacKeyId),
    /// Its public beginning, so many bytes of it.
    Prefix(u8),
}

impl Method {
    /// From its stable text.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(length) = text.strip_prefix("prefix:") {
            let length: u8 = length.parse().ok()?;
            return PREFIX_LENGTHS.contains(&usize::from(length)).then_some(Self::Prefix(length));
        }
        if let Some((algorithm, key)) = text.strip_prefix("hmac-").and_then(|rest| rest.split_once(':')) {
            let key = hex::array(key)?;
            return Some(Self::Hmac(Algorithm::parse(algorithm)?, HmacKeyId(key)));
        }
        Algorithm::parse(text).map(Self::Digest)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(algorithm) => f.write_str(algorithm.as_str()),
            Self::Hmac(algorithm, key) => write!(f, "hmac-{}:{}", algorithm.as_str(), hex::encode(&key.0)),
            Self::Prefix(length) => write!(f, "prefix:{length}"),
        }
    }
}

/// What of a presented key its stored hash or tag is made over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Proof {
    /// What it is found by, a digest.
    Found,
    /// A digest of the whole key: how a key that is found by its beginning is kept once it was seen.
    Digest(Algorithm),
    /// The whole key: the stored hash is another system's. `high`: it has the entropy of a generated one, so that a tag
    /// takes the hash's place once the key was seen.
    Key {
        /// Whether it has.
        high: bool,
    },
    /// A digest of the whole key with a salt.
    Salted {
        /// Of which kind.
        algorithm: Algorithm,
        /// The salt.
        salt: Box<[u8]>,
        /// Whether it stands before the key, and not after it.
        first: bool,
    },
}

/// How a key of another system is found and proven. Stored as text, which the row's MAC covers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Prehash {
    /// By what it is found.
    pub found_by: Method,
    /// How it is proven.
    pub proof: Proof,
}

impl Prehash {
    /// How a key is kept that came as it is.
    pub const SHA256: Self = Self { found_by: Method::Digest(Algorithm::Sha256), proof: Proof::Found };

    /// Whether it is proven by a digest without a salt, so that nothing is gained by keeping it another way.
    pub fn is_settled(&self) -> bool {
        matches!(self.proof, Proof::Found | Proof::Digest(_))
    }

    /// From its stable text.
    pub fn parse(text: &str) -> Option<Self> {
        let (found_by, proof) = match text.split_once(' ') {
            None => (text, Proof::Found),
            Some((found_by, "key-high")) => (found_by, Proof::Key { high: true }),
            Some((found_by, "key-low")) => (found_by, Proof::Key { high: false }),
            Some((found_by, digest)) if !digest.contains(':') => (found_by, Proof::Digest(Algorithm::parse(digest)?)),
            Some((found_by, salted)) => {
                let mut parts = salted.splitn(3, ':');
                let algorithm = Algorithm::parse(parts.next()?)?;
                let first = match parts.next()? {
                    "salt-first" => true,
                    "salt-last" => false,
                    _ => return None,
                };
                (found_by, Proof::Salted { algorithm, first, salt: hex::decode(parts.next()?)?.into() })
            }
        };
        let found_by = Method::parse(found_by)?;
        // The beginning of a key is public: it proves nothing.
        let proves_nothing = matches!(found_by, Method::Prefix(_)) && proof == Proof::Found;
        (!proves_nothing).then_some(Self { found_by, proof })
    }
}

impl fmt::Display for Prehash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { found_by, proof } = self;
        match proof {
            Proof::Found => write!(f, "{found_by}"),
            Proof::Digest(algorithm) => write!(f, "{found_by} {}", algorithm.as_str()),
            Proof::Key { high: true } => write!(f, "{found_by} key-high"),
            Proof::Key { high: false } => write!(f, "{found_by} key-low"),
            Proof::Salted { algorithm, salt, first } => {
                let place = if *first { "salt-first" } else { "salt-last" };
                write!(f, "{found_by} {}:{place}:{}", algorithm.as_str(), hex::encode(salt))
            }
        }
    }
}

/// What an imported key is found by: a MAC under a pepper of what [`Method`] makes of it. A leaked digest finds nothing,
/// for what is presented is always digested first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Handle(pub [u8; 32]);

/// The shortest and the longest key of another system, in bytes.
pub const LENGTHS: std::ops::RangeInclusive<usize> = 8..=512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r6_what_is_stored_reads_as_what_was_written_and_a_public_prefix_never_proves() {
        let hmac = Method::Hmac(Algorithm::Sha512, HmacKeyId([1, 2, 3, 4, 5, 6, 7, 8]));
        let salted = |first| Proof::Salted { algorithm: Algorithm::Sha256, salt: Box::new([0, 255]), first };
        let all = [
            (Prehash::SHA256, "sha256"),
            (Prehash { found_by: Method::Prefix(12), proof: Proof::Digest(Algorithm::Sha512) }, "prefix:12 sha512"),
            (Prehash { found_by: hmac, proof: Proof::Found }, "hmac-sha512:0102030405060708"),
            (Prehash { found_by: Method::Prefix(12), proof: Proof::Key { high: true } }, "prefix:12 key-high"),
            (Prehash { found_by: Method::Prefix(12), proof: Proof::Key { high: false } }, "prefix:12 key-low"),
            (Prehash { found_by: Method::Prefix(6), proof: salted(true) }, "prefix:6 sha256:salt-first:00ff"),
            (Prehash { found_by: Method::Prefix(64), proof: salted(false) }, "prefix:64 sha256:salt-last:00ff"),
        ];
        for (prehash, text) in all {
            assert_eq!(prehash.to_string(), text);
            assert_eq!(Prehash::parse(text), Some(prehash.clone()));
            assert_eq!(prehash.is_settled(), text.len() < 17 || text.starts_with("hmac"), "{text}");
        }
        let bad = [
            "",
            "md5",
            "prefix:12",
            "prefix:5 key-high",
            "prefix:65 key-low",
            "prefix:x key-low",
            "hmac-sha256:01",
            "prefix:12 sha256:salt-first:0",
            "prefix:12 sha256:salt:00",
            "prefix:12 key",
            "sha256 ",
        ];
        for text in bad {
            assert_eq!(Prehash::parse(text), None, "{text}");
        }
    }
}
