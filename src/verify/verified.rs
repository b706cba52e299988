//! What was proven of a credential: whose it is, and how far it goes. Facts, which may be cached; whether they are in force
//! is judged at each use.

use ipnet::IpNet;

use crate::domain::{AppId, Credential, CredentialId, LlmId, Position, Reason, Subject, TenantId, UserId};
use crate::verify::{Known, Linkage, subjects};

/// A credential that was proven: a key against a row that only a holder of the pepper can have written, or a token
/// against its issuer's key.
pub struct Verified {
    basis: Basis,
    position: Position,
}

/// What it rests on.
pub(super) enum Basis {
    /// A key, by its row.
    Key(Credential),
}

/// What the rules about links are judged on, whatever was proven.
#[derive(Clone, Copy)]
pub struct Holder<'a> {
    /// The tenant it names.
    pub tenant: TenantId,
    /// The App it acts as.
    pub app: AppId,
    /// The User it acts for.
    pub user: UserId,
    /// The addresses it may be used from; empty means any.
    pub cidrs: &'a [IpNet],
}

impl<'a> From<&'a Credential> for Holder<'a> {
    fn from(row: &'a Credential) -> Self {
        Self { tenant: row.tenant, app: row.app, user: row.user, cidrs: &row.cidrs }
    }
}

impl Verified {
    pub(super) fn key(row: Credential, position: Position) -> Self {
        Self { basis: Basis::Key(row), position }
    }

    /// Whom it stands for, and from where.
    pub fn holder(&self) -> Holder<'_> {
        match &self.basis {
            Basis::Key(row) => Holder::from(row),
        }
    }

    /// The tenant, App and User that it names.
    pub fn linkage(&self) -> Linkage {
        let holder = self.holder();
        (holder.tenant, holder.app, holder.user)
    }

    /// Its own row, where it is a key.
    pub fn key_row(&self) -> Option<&Credential> {
        match &self.basis {
            Basis::Key(row) => Some(row),
        }
    }

    /// The stored credential whose use this is: a key's own.
    pub fn credential(&self) -> Option<&Credential> {
        match &self.basis {
            Basis::Key(row) => Some(row),
        }
    }

    /// Whose it is, for log and audit.
    pub fn known(&self) -> Known {
        let (tenant, app, user) = self.linkage();
        Known { id: self.id(), tenant, app, user }
    }

    /// What it is called by in log, audit and claims: a key's own id.
    pub fn id(&self) -> CredentialId {
        match &self.basis {
            Basis::Key(row) => row.id,
        }
    }

    /// What proved it, and what was read beside that.
    pub fn proved_by(&self) -> (Subject, Option<Subject>) {
        match &self.basis {
            Basis::Key(row) => (Subject::Credential(row.id), None),
        }
    }

    /// What the facts rest on.
    pub fn subjects(&self) -> [Subject; 5] {
        let (proved, beside) = self.proved_by();
        subjects(proved, beside, Some(self.linkage()))
    }

    /// Whether it is in force at `now_ms`.
    ///
    /// # Errors
    /// The reason why it is not.
    pub fn check_validity(&self, now_ms: i64) -> Result<(), Reason> {
        match &self.basis {
            Basis::Key(row) => row.check_validity(now_ms),
        }
    }

    /// The LLMs that it is for where it is for fewer than its App.
    pub fn llms(&self) -> Option<&[LlmId]> {
        match &self.basis {
            Basis::Key(_) => None,
        }
    }

    /// What the gateway is told of it, but for its tenant.
    pub fn claims(&self) -> Vec<(&'static str, String)> {
        match &self.basis {
            Basis::Key(row) => key_claims(row),
        }
    }

    /// The memory of its texts and lists, about, in bytes.
    pub fn bytes(&self) -> usize {
        match &self.basis {
            Basis::Key(row) => row_bytes(row),
        }
    }

    /// The feed position of the oldest snapshot that was read.
    pub fn position(&self) -> Position {
        self.position
    }
}

fn key_claims(row: &Credential) -> Vec<(&'static str, String)> {
    let mut claims = vec![
        ("credential_id", row.id.to_string()),
        ("credential_kind", "api_key".to_owned()),
        ("scopes", row.scopes.join(" ")),
        ("environment", row.environment.as_str().to_owned()),
        ("expires_at", row.end_ms().map_or_else(String::new, crate::clock::rfc3339)),
    ];
    // Said only while an old credential lives out its grace (RFC 8594 names the idea).
    claims.extend(row.replaced.and(row.end_ms()).map(|end| ("sunset", crate::clock::rfc3339(end))));
    claims
}

fn row_bytes(row: &Credential) -> usize {
    let scopes: usize = row.scopes.iter().map(|scope| scope.len() + size_of::<String>()).sum();
    row.label.len() + row.verifier.phc.len() + scopes + row.cidrs.len() * 18
}
