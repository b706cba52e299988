//! What may prove a secret, never the secret.

use std::fmt;

/// HMAC-SHA-256 of a secret under a pepper. Compared in constant time only, hence no `PartialEq`.
#[derive(Clone)]
pub struct Tag(pub [u8; 32]);

/// Names a pepper without telling anything about it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PepperFingerprint(pub [u8; 16]);

impl fmt::Debug for PepperFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The stored side of a credential's secret.
#[derive(Clone)]
pub struct Verifier {
    /// Argon2id in PHC string form: the durable record.
    pub phc: String,
    /// The tag, for secrets of at least 112 bits; absent for what a person chose. Where it is there
    /// and its pepper is loaded, it alone decides (security rule R4).
    pub tag: Option<Tag>,
    /// The pepper under which the tag and the row's MAC were made.
    pub pepper: PepperFingerprint,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("pepper", &self.pepper).finish_non_exhaustive()
    }
}
