//! What may prove a secret, never the secret.

use std::fmt;

use crate::domain::hex;
use crate::domain::imported::Prehash;

/// HMAC-SHA-256 of a secret under a pepper. Compared in constant time only, hence no `PartialEq`.
#[derive(Clone)]
pub struct Tag(pub [u8; 32]);

/// Names a pepper without telling anything about it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PepperFingerprint(pub [u8; 16]);

impl fmt::Debug for PepperFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for PepperFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl std::str::FromStr for PepperFingerprint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        hex::array(text).map(Self).ok_or("a fingerprint is 32 hexadecimal digits")
    }
}

/// A pepper that a store knows: which rows may name it, and whether it is still to be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PepperVersion {
    /// Names it.
    pub fingerprint: PepperFingerprint,
    /// Since when, milliseconds since the epoch.
    pub added_at_ms: i64,
    /// No row names it any more, since then.
    pub retired_at_ms: Option<i64>,
    /// It was lost, and an operator said so.
    pub lost: Option<LostPepper>,
}

/// That rows of a lost pepper may be proven anew by Argon2id, for a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LostPepper {
    /// Until then, milliseconds since the epoch.
    pub until_ms: i64,
    /// MAC of this record under the pepper that took its place, so that nobody without it can start a recovery.
    pub mac: [u8; 32],
}

/// All peppers of a store.
#[derive(Clone, Debug)]
pub struct Peppers {
    /// The one that new rows get.
    pub current: PepperFingerprint,
    /// Every one that the store knows, oldest first.
    pub versions: Vec<PepperVersion>,
}

/// The stored side of a credential's secret.
#[derive(Clone)]
pub struct Verifier {
    /// Argon2id in PHC string form: the durable record. Of a key of another system perhaps that system's slow hash.
    pub phc: String,
    /// The tag, for secrets of at least 112 bits; absent for what a person chose. Where it is there
    /// and its pepper is loaded, it alone decides (security rule R4).
    pub tag: Option<Tag>,
    /// The pepper under which the tag and the row's MAC were made.
    pub pepper: PepperFingerprint,
    /// For a key of another system: how it is found and proven. Such a row is found by its handle alone.
    pub prehash: Option<Prehash>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("pepper", &self.pepper).finish_non_exhaustive()
    }
}
