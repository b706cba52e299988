//! A row of the decision log and its hash, which covers the row before it.
//!
//! Rows of form 1 are from before `migrations/decisions/0002`: their hash leaves out the number, the source, the tenant,
//! the App and the User. Rows of form 2 are covered whole.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use sha2::{Digest as _, Sha256};

use crate::domain::{AppId, CredentialId, TenantId, UserId};

/// SHA-256.
pub(super) type Hash = [u8; 32];

/// The form of the rows that this version writes.
pub(super) const FORM: u8 = 2;

/// What a row tells of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// One refusal of a known credential.
    Refused,
    /// One acceptance, of those that are kept one by one.
    Accepted,
    /// Several decisions, counted together.
    Counted,
}

impl Kind {
    /// As it stands in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Accepted => "accepted",
            Self::Counted => "counted",
        }
    }
}

impl FromSql for Kind {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        let kind = [Self::Refused, Self::Accepted, Self::Counted].into_iter().find(|kind| kind.as_str() == text);
        kind.ok_or(FromSqlError::InvalidType)
    }
}

/// One row of the decision log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// Its number, from 1, without gaps.
    pub sequence: u64,
    /// When, milliseconds since the epoch; of a count the second's beginning.
    pub at_ms: i64,
    /// What it tells of.
    pub kind: Kind,
    /// A reason code, `accepted`, or `dropped` for what could not be taken.
    pub reason: String,
    /// At which point of the request; empty where that is not told apart.
    pub stage: String,
    /// The client's address where it is known for certain, an IPv6 network of 64 bits in a count, `others` for those without
    /// a row of their own; else empty.
    pub source: String,
    /// The credential, of a single decision.
    pub credential: Option<CredentialId>,
    /// Its tenant.
    pub tenant: Option<TenantId>,
    /// Its App.
    pub app: Option<AppId>,
    /// Its User.
    pub user: Option<UserId>,
    /// The host's id of the request, as the host sent it: escape it before it is shown.
    pub request_id: String,
    /// How many decisions the row stands for.
    pub calls: u64,
    /// The form of its hash: 1 for rows of earlier versions, 2 now.
    pub form: u8,
    /// Covers the row and the hash before it.
    pub hash: [u8; 32],
}

impl Row {
    pub(super) fn fields(&self) -> Fields<'_> {
        Fields {
            sequence: self.sequence,
            at_ms: self.at_ms,
            kind: self.kind,
            reason: &self.reason,
            stage: &self.stage,
            source: &self.source,
            known: Known { credential: self.credential, tenant: self.tenant, app: self.app, user: self.user },
            request_id: &self.request_id,
            calls: self.calls,
        }
    }
}

/// Whose decision it was.
#[derive(Clone, Copy, Default)]
pub(super) struct Known {
    pub(super) credential: Option<CredentialId>,
    pub(super) tenant: Option<TenantId>,
    pub(super) app: Option<AppId>,
    pub(super) user: Option<UserId>,
}

impl From<(CredentialId, TenantId, AppId, UserId)> for Known {
    fn from((credential, tenant, app, user): (CredentialId, TenantId, AppId, UserId)) -> Self {
        Self { credential: Some(credential), tenant: Some(tenant), app: Some(app), user: Some(user) }
    }
}

/// What a row says, to be hashed.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    pub(super) sequence: u64,
    pub(super) at_ms: i64,
    pub(super) kind: Kind,
    pub(super) reason: &'a str,
    pub(super) stage: &'a str,
    pub(super) source: &'a str,
    pub(super) known: Known,
    pub(super) request_id: &'a str,
    pub(super) calls: u64,
}

impl Fields<'_> {
    /// The same under another number.
    pub(super) fn at(self, sequence: u64) -> Self {
        Self { sequence, ..self }
    }

    /// The hash after `previous`, in a form; none where there is no such form, or it has no room for what is said.
    pub(super) fn hash(&self, form: u8, previous: &Hash) -> Option<Hash> {
        let (at_ms, calls) = (self.at_ms.to_be_bytes(), self.calls.to_be_bytes());
        let (kind, reason, stage) = (self.kind.as_str().as_bytes(), self.reason.as_bytes(), self.stage.as_bytes());
        let (source, request_id) = (self.source.as_bytes(), self.request_id.as_bytes());
        let credential = self.known.credential.as_ref().map_or(&[][..], |id| id.as_bytes().as_slice());
        match form {
            1 if source.is_empty() => Some(digest(
                &[b"latchkey decision v1", previous, &at_ms, &calls],
                &[kind, reason, stage, request_id, credential],
            )),
            FORM => {
                let tenant = self.known.tenant.as_ref().map_or(&[][..], |id| id.as_bytes().as_slice());
                let app = self.known.app.map(|app| app.get().to_be_bytes());
                let user = self.known.user.map(|user| user.get().to_be_bytes());
                let number = |bytes: Option<[u8; 4]>| bytes.map_or(Vec::new(), Vec::from);
                Some(digest(
                    &[b"latchkey decision v2", previous, &self.sequence.to_be_bytes(), &at_ms, &calls],
                    &[kind, reason, stage, source, credential, tenant, &number(app), &number(user), request_id],
                ))
            }
            _ => None,
        }
    }
}

/// Of what has a fixed length, and then of texts, each led by its length, so that no two rows encode alike.
fn digest(fixed: &[&[u8]], texts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    for bytes in fixed {
        hasher.update(bytes);
    }
    for text in texts {
        hasher.update((text.len() as u64).to_be_bytes());
        hasher.update(text);
    }
    hasher.finalize().into()
}
