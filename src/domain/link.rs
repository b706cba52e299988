//! A link: an identity of an outside issuer, and the App and User that it stands for.
//!
//! The issuer is named by its exact `iss`; the subject is kept as a keyed hash and in no other form.

use std::fmt;

use crate::domain::ids::{AppId, Generation, LinkId, TenantId, UserId};

/// HMAC-SHA-256 of a subject, for this tenant and issuer alone, under the key of subject hashes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubjectHash(pub [u8; 32]);

impl fmt::Debug for SubjectHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectHash(…)")
    }
}

/// Names the key of subject hashes without telling anything about it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SubjectKeyFingerprint(pub [u8; 16]);

impl fmt::Display for SubjectKeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SubjectKeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// That an identity of an issuer acts as an App for a User.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// Whose it is.
    pub tenant: TenantId,
    /// Its public id.
    pub id: LinkId,
    /// The issuer, by the exact text of `iss`.
    pub issuer: String,
    /// Who there.
    pub subject: SubjectHash,
    /// The App it acts as.
    pub app: AppId,
    /// The User it acts for.
    pub user: UserId,
    /// When it was made, milliseconds since the epoch.
    pub created_at_ms: i64,
    /// Another for each link.
    pub generation: Generation,
    /// Over all that it asserts, under the key of subject hashes.
    pub mac: [u8; 32],
}
