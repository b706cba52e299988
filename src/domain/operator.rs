//! People and programs that may administer a store.

use crate::domain::ids::{CredentialId, Generation, TenantId};
use crate::domain::verifier::Verifier;

/// What an operator may do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// Everything.
    Owner,
    /// Issue, rotate, revoke and read.
    Issuer,
    /// Read, and verify the audit trail.
    Auditor,
}

impl Role {
    /// As stored and printed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Issuer => "issuer",
            Self::Auditor => "auditor",
        }
    }

    /// From its stored name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Owner, Self::Issuer, Self::Auditor].into_iter().find(|r| r.as_str() == text)
    }
}

/// Operators belong to no tenant: the domain of their tags has this in its place.
pub const NO_TENANT: TenantId = TenantId::from_bytes([0; 16]);

/// An operator as stored. Its token is kept like an API key, in a tag domain of its own (rule R18).
#[derive(Clone, Debug)]
pub struct Operator {
    /// Also the id in its token.
    pub id: CredentialId,
    /// A name for people and audit.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The tenants it is bound to; none means all.
    pub tenants: Vec<TenantId>,
    /// What proves its token.
    pub verifier: Verifier,
    /// SHA-256 of the public key (`SubjectPublicKeyInfo`, DER) of the client certificate that it may come with.
    pub certificate: Option<[u8; 32]>,
    /// Changes with each change of the row.
    pub generation: Generation,
    /// MAC under the pepper over what the row asserts.
    pub row_mac: [u8; 32],
    /// When it was made, milliseconds since the epoch.
    pub created_at_ms: i64,
    /// When it was revoked, if it was.
    pub revoked_at_ms: Option<i64>,
}

impl Operator {
    /// Whether it is in force and may do everything: the last one that is stays.
    pub fn governs(&self) -> bool {
        self.role == Role::Owner && self.tenants.is_empty() && self.revoked_at_ms.is_none()
    }
}
