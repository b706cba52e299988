//! The stored record of a credential: whose it is, how long it holds, what it is bound to.

use std::fmt;

use ipnet::IpNet;

use crate::domain::denial::Reason;
use crate::domain::ids::{AppId, CredentialId, Generation, TenantId, UserId};
use crate::domain::verifier::Verifier;

/// Most scopes of a credential or a token.
pub const MAX_SCOPES: usize = 64;
/// Longest scope, in bytes.
pub const MAX_SCOPE: usize = 128;

/// Whether a text is a scope: a token of RFC 6749 section 3.3, for it ends up in a claim that is split at spaces.
pub fn is_scope(text: &str) -> bool {
    (1..=MAX_SCOPE).contains(&text.len()) && text.bytes().all(|c| matches!(c, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

/// The kinds of credential that are proven by a secret of ours.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CredentialKind {
    /// A gateway client's key.
    ApiKey,
    /// An operator's token; verifies nothing on the auth path (security rule R18).
    Operator,
}

impl CredentialKind {
    /// The stable name in claims, logs and the tag's domain.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::Operator => "operator",
        }
    }
}

/// Which of a tenant's environments a key is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Environment {
    /// Production.
    Live,
    /// Anything else.
    Test,
}

impl Environment {
    /// As in the key and the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
        }
    }

    /// From its stored name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Live, Self::Test].into_iter().find(|e| e.as_str() == text)
    }
}

/// Whether a credential was taken back. The time is the state: there is no flag beside it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Status {
    /// In force, within its times.
    Active,
    /// Taken back for good.
    Revoked {
        /// When, in milliseconds since the epoch.
        at_ms: i64,
        /// Why, for people and audit.
        reason: RevocationReason,
    },
}

/// Why a credential was revoked, after RFC 5280 section 5.3.1.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum RevocationReason {
    /// The secret may be known to others.
    KeyCompromise,
    /// Whoever held it left or changed.
    AffiliationChanged,
    /// Another credential took its place.
    Superseded,
    /// No longer needed.
    CessationOfOperation,
    /// The right to it was withdrawn.
    PrivilegeWithdrawn,
    /// Not said.
    #[default]
    Unspecified,
}

impl RevocationReason {
    /// Every reason.
    pub const ALL: &'static [Self] = &[
        Self::KeyCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::PrivilegeWithdrawn,
        Self::Unspecified,
    ];

    /// The stable name, as on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KeyCompromise => "key_compromise",
            Self::AffiliationChanged => "affiliation_changed",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation_of_operation",
            Self::PrivilegeWithdrawn => "privilege_withdrawn",
            Self::Unspecified => "unspecified",
        }
    }

    /// From its stable name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == text)
    }
}

impl fmt::Display for RevocationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What took a credential's place, and until when it is still good beside it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Replaced {
    /// The credential that took its place.
    pub by: CredentialId,
    /// First invalid moment, milliseconds since the epoch. Never extends the credential's own expiry.
    pub grace_until_ms: i64,
}

/// A gateway credential as stored.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The public id.
    pub id: CredentialId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The App it acts as.
    pub app: AppId,
    /// The User it acts for.
    pub user: UserId,
    /// A name for people.
    pub label: String,
    /// Live or test.
    pub environment: Environment,
    /// What the gateway is told it may do; opaque to us.
    pub scopes: Vec<String>,
    /// The addresses it may be used from; empty means any.
    pub cidrs: Vec<IpNet>,
    /// First valid moment, milliseconds since the epoch.
    pub not_before_ms: Option<i64>,
    /// First invalid moment, milliseconds since the epoch.
    pub expires_at_ms: Option<i64>,
    /// In force or revoked.
    pub status: Status,
    /// The credential whose place it took, where it was made by a rotation.
    pub replaces: Option<CredentialId>,
    /// What took its place, where it was rotated.
    pub replaced: Option<Replaced>,
    /// A honey key: laid out to be found, refused like any other, and an alarm when it is used.
    pub decoy: bool,
    /// What proves its secret.
    pub verifier: Verifier,
    /// Changes with each change of the row.
    pub generation: Generation,
    /// MAC under the pepper over what the row asserts; see `verify::tag`.
    pub row_mac: [u8; 32],
    /// Who made it.
    pub created_by: String,
    /// When, milliseconds since the epoch.
    pub created_at_ms: i64,
    /// About when it was last accepted, milliseconds since the epoch: minutes late, and nothing rests on it,
    /// so the row's MAC does not cover it.
    pub last_used_at_ms: Option<i64>,
}

/// One condition on a credential's own record: the reason to refuse, if it fails at the given time.
pub type ValidityCheck = fn(&Credential, i64) -> Option<Reason>;

/// Every condition in the order in which it is judged, with what it asserts.
pub const VALIDITY: &[(&str, ValidityCheck)] = &[
    ("it is not revoked", |c, _| matches!(c.status, Status::Revoked { .. }).then_some(Reason::Revoked)),
    ("it is no honey key", |c, _| c.decoy.then_some(Reason::HoneyKey)),
    ("it has not expired", |c, now| c.expires_at_ms.is_some_and(|end| now >= end).then_some(Reason::Expired)),
    ("its grace after a rotation has not ended", |c, now| {
        c.replaced.is_some_and(|replaced| now >= replaced.grace_until_ms).then_some(Reason::GraceEnded)
    }),
    ("it is valid already", |c, now| c.not_before_ms.is_some_and(|start| now < start).then_some(Reason::NotYetValid)),
];

impl Credential {
    /// Whether it is in force at `now_ms`. Judged only after the secret was proven (security rule R13).
    ///
    /// # Errors
    /// The reason why it is not.
    pub fn check_validity(&self, now_ms: i64) -> Result<(), Reason> {
        VALIDITY.iter().find_map(|(_, check)| check(self, now_ms)).map_or(Ok(()), Err)
    }

    /// The first moment at which it is no longer good, milliseconds since the epoch: its expiry or the end of its
    /// grace, whichever is earlier.
    pub fn end_ms(&self) -> Option<i64> {
        let grace = self.replaced.map(|replaced| replaced.grace_until_ms);
        match (self.expires_at_ms, grace) {
            (Some(expiry), Some(grace)) => Some(expiry.min(grace)),
            (one, other) => one.or(other),
        }
    }
}
