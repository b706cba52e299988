//! What was proven of a credential: whose it is, and how far it goes. Facts, which may be cached; whether they are in force
//! is judged at each use.

use ipnet::IpNet;

use crate::domain::{
    AppId, Credential, CredentialId, Environment, IssuerId, LinkId, LlmId, Position, Reason, Subject, TenantId,
    TokenId, UserId,
};
use crate::jwks::KeysMark;
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
    /// A token that we signed for a key, whose row is here with it.
    Issued(Credential, Issued),
    /// A token of an outside issuer.
    Federated(Federated),
}

/// What a token of ours says beside its parent's row. All of it narrows that.
pub(super) struct Issued {
    pub(super) id: TokenId,
    pub(super) scopes: Vec<String>,
    pub(super) llms: Option<Vec<LlmId>>,
    /// First invalid moment, milliseconds since the epoch: its own, or its signing key's.
    pub(super) ends_at_ms: i64,
}

/// What a token of an outside issuer says, by its issuer's rules.
pub(super) struct Federated {
    pub(super) issuer: IssuerId,
    pub(super) iss: String,
    pub(super) tenant: TenantId,
    pub(super) link: Option<LinkId>,
    pub(super) app: AppId,
    pub(super) user: UserId,
    pub(super) scopes: Vec<String>,
    /// As the token says, milliseconds since the epoch.
    pub(super) expires_at_ms: i64,
    /// First invalid moment, by its issuer's rules.
    pub(super) ends_at_ms: i64,
    /// What says whether the key that signed it is still its issuer's; none where keys are not fetched.
    pub(super) keys: Option<KeysMark>,
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

    pub(super) fn issued(parent: Credential, token: Issued, position: Position) -> Self {
        Self { basis: Basis::Issued(parent, token), position }
    }

    pub(super) fn federated(token: Federated, position: Position) -> Self {
        Self { basis: Basis::Federated(token), position }
    }

    /// Whom it stands for, and from where.
    pub fn holder(&self) -> Holder<'_> {
        match &self.basis {
            Basis::Key(row) | Basis::Issued(row, _) => Holder::from(row),
            Basis::Federated(token) => Holder { tenant: token.tenant, app: token.app, user: token.user, cidrs: &[] },
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
            Basis::Issued(..) | Basis::Federated(_) => None,
        }
    }

    /// The stored credential whose use this is: a key's own, or that of a token's parent.
    pub fn credential(&self) -> Option<&Credential> {
        match &self.basis {
            Basis::Key(row) | Basis::Issued(row, _) => Some(row),
            Basis::Federated(_) => None,
        }
    }

    /// Whose it is, for log and audit.
    pub fn known(&self) -> Known {
        let (tenant, app, user) = self.linkage();
        Known { id: self.id(), tenant, app, user }
    }

    /// What it is called by in log, audit and claims: a key's own id, its parent's of a token that we signed; of an
    /// outside issuer's token the id of the link, or where there is none that of the issuer.
    pub fn id(&self) -> CredentialId {
        match &self.basis {
            Basis::Key(row) | Basis::Issued(row, _) => row.id,
            Basis::Federated(token) => {
                let of_issuer = *token.issuer.as_bytes();
                CredentialId::from_bytes(token.link.map_or(of_issuer, |link| *link.as_bytes()))
            }
        }
    }

    /// What proved it, and what was read beside that.
    pub fn proved_by(&self) -> (Subject, Option<Subject>) {
        match &self.basis {
            Basis::Key(row) => (Subject::Credential(row.id), None),
            Basis::Issued(row, token) => (Subject::Credential(row.id), Some(Subject::Token(token.id))),
            Basis::Federated(token) => (Subject::Issuer(token.issuer), token.link.map(Subject::Link)),
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
        let ends_at_ms = match &self.basis {
            Basis::Key(row) => return row.check_validity(now_ms),
            Basis::Issued(row, token) => {
                row.check_validity(now_ms)?;
                token.ends_at_ms
            }
            Basis::Federated(token) => token.ends_at_ms,
        };
        if now_ms < ends_at_ms { Ok(()) } else { Err(Reason::Expired) }
    }

    /// Whether the keys that proved it are still its issuer's, at this moment of the boot clock.
    pub fn keys_hold(&self, now_ns: u64) -> bool {
        match &self.basis {
            Basis::Federated(Federated { keys: Some(keys), .. }) => keys.is_current(now_ns),
            _ => true,
        }
    }

    /// The LLMs that it is for, where it is for fewer than its App.
    pub fn llms(&self) -> Option<&[LlmId]> {
        match &self.basis {
            Basis::Issued(_, token) => token.llms.as_deref(),
            Basis::Key(_) | Basis::Federated(_) => None,
        }
    }

    /// Of a token that we signed: for which credential, and its first invalid moment, milliseconds since the epoch.
    pub fn issued_for(&self) -> Option<(CredentialId, i64)> {
        match &self.basis {
            Basis::Issued(row, token) => Some((row.id, issued_end_ms(row, token))),
            Basis::Key(_) | Basis::Federated(_) => None,
        }
    }

    /// What the gateway is told of it, but for its tenant.
    pub fn claims(&self) -> Vec<(&'static str, String)> {
        match &self.basis {
            Basis::Key(row) => {
                let mut claims = self.told("api_key", &row.scopes, row.environment, row.end_ms());
                // Said only while an old credential lives out its grace (RFC 8594 names the idea).
                claims.extend(row.replaced.and(row.end_ms()).map(|end| ("sunset", crate::clock::rfc3339(end))));
                claims
            }
            Basis::Issued(row, token) => {
                self.told("jwt", &token.scopes, row.environment, Some(issued_end_ms(row, token)))
            }
            Basis::Federated(token) => {
                let mut claims = self.told("jwt", &token.scopes, Environment::Live, Some(token.expires_at_ms));
                claims.push(("issuer", token.iss.clone()));
                claims
            }
        }
    }

    fn told(
        &self,
        kind: &str,
        scopes: &[String],
        environment: Environment,
        end_ms: Option<i64>,
    ) -> Vec<(&'static str, String)> {
        vec![
            ("credential_id", self.id().to_string()),
            ("credential_kind", kind.to_owned()),
            ("scopes", scopes.join(" ")),
            ("environment", environment.as_str().to_owned()),
            ("expires_at", end_ms.map_or_else(String::new, crate::clock::rfc3339)),
        ]
    }

    /// The memory of its texts and lists, about, in bytes.
    pub fn bytes(&self) -> usize {
        match &self.basis {
            Basis::Key(row) => row_bytes(row),
            Basis::Issued(row, token) => {
                row_bytes(row) + texts(&token.scopes) + token.llms.as_ref().map_or(0, |llms| llms.len() * 4)
            }
            Basis::Federated(token) => texts(&token.scopes) + token.iss.len(),
        }
    }

    /// The feed position of the oldest snapshot that was read.
    pub fn position(&self) -> Position {
        self.position
    }
}

/// A token ends with its parent.
fn issued_end_ms(parent: &Credential, token: &Issued) -> i64 {
    parent.end_ms().map_or(token.ends_at_ms, |end| end.min(token.ends_at_ms))
}

fn texts(list: &[String]) -> usize {
    list.iter().map(|text| text.len() + size_of::<String>()).sum()
}

fn row_bytes(row: &Credential) -> usize {
    row.label.len() + row.verifier.phc.len() + texts(&row.scopes) + row.cidrs.len() * 18
}
