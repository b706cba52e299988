//! What people may do, for every caller: command line, admin RPC, pages. No gRPC and no JSON in here.
//!
//! Each use case first asks whether its caller may ([`authority`]), reads, decides, and hands the store one mutation with
//! its audit event. What is read may change meanwhile; the store then says so, and the use case reads and decides again,
//! unless the caller said what they had read (an etag).

mod apps;
pub mod audit_log;
pub mod authority;
pub mod checklist;
mod credentials;
mod decisions;
mod explain;
mod export;
mod foreign;
pub mod formats;
pub mod import;
mod issuers;
mod lifecycle;
pub mod limits;
mod links;
mod operators;
mod own;
pub mod pages;
mod peppers;
mod tenants;
mod tokens;
mod trail_keys;
mod urgent;
mod users;

use crate::domain::event::DetailKey;
use crate::domain::{
    Action, AuditEvent, CredentialId, CredentialKind, Generation, PepperFingerprint, Subject, Tenant, TenantId,
    Verifier,
};
use crate::jwt::lint::{self, Finding};
use crate::store::{Record, StoreError};
use crate::verify::argon::{Cost, HashError};
use crate::verify::keyring::KeyringError;
use crate::verify::pool::Unproven;

use authority::{Act, Claim};

pub use authority::{Backend, Caller, Scope};

pub use apps::{AppChanges, NewApp};
pub use credentials::{IssueRequest, Issued, KeyFilter, Revoked};
pub use decisions::{DecisionFilter, DecisionRow, Decisions};
pub use issuers::{
    CheckedKey, Discovered, IssuerChanges, IssuerCheck, IssuerKeysSource, IssuerState, JudgedIssuer, NewIssuer,
    NewKeys, UNREACHABLE,
};
pub use lifecycle::{KeyChanges, MAX_GRACE_MS, RotateRequest, Rotated};
pub use links::{JudgedLink, LinkFilter, LinkState, NewLink};
pub use operators::{IssuedToken, NewOperator};
pub use own::PortalRules;
pub use peppers::{PepperState, Retired};
pub use tenants::{NewTenant, TenantChanges};
pub use tokens::client::client;
pub use tokens::{
    Inspection, JudgedSigningKey, JudgedToken, MintedToken, RotatedSigningKey, SigningKeyState, TokenRef, TokenRequest,
    TokenRules, TokenState, Verdict,
};
pub use trail_keys::{Announce, TrailKeys};
pub use users::{NewUser, UserChanges};

/// How often a use case starts again because somebody else changed the row meanwhile.
const ATTEMPTS: usize = 8;

/// Why nothing was done: what, and of which thing.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// There is no such thing, or it is not theirs: the two read alike (rule R3).
    #[error("there is no {what} {name}{place}")]
    NotFound {
        /// What was looked for.
        what: &'static str,
        /// By which name or id.
        name: String,
        /// Where: ` in tenant acme`, or nothing.
        place: String,
    },
    /// The name or id is taken.
    #[error("{what} {name} exists already")]
    Exists {
        /// What exists.
        what: &'static str,
        /// Its name or id.
        name: String,
    },
    /// A host id that some tenant has.
    #[error("{what} {id} belongs to a tenant already: an id of the host belongs to at most one")]
    Claimed {
        /// App or User.
        what: &'static str,
        /// The host's id.
        id: u32,
    },
    /// A value that cannot be taken.
    #[error("{field}: {problem}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// What is wrong, and what it may be.
        problem: String,
    },
    /// The caller's role or tenants do not reach that far.
    #[error("not permitted: this needs {needs}")]
    Forbidden {
        /// Who may.
        needs: &'static str,
    },
    /// The thing is not as the caller read it.
    #[error("{what} {name} was changed since it was read: read it again, and decide again")]
    Stale {
        /// What was to be changed.
        what: &'static str,
        /// Which.
        name: String,
    },
    /// The create happened before; this is what it made.
    #[error("this request was carried out before: it made {resource}")]
    Replayed {
        /// The id of what was made.
        resource: String,
    },
    /// A request id for something else than before.
    #[error("request id {request_id} was used for another request: use a new one")]
    RequestReused {
        /// The id.
        request_id: String,
    },
    /// Nobody could administer the store any more.
    #[error("operator {0} is the last owner that is bound to no tenant: add another one first")]
    LastOwner(String),
    /// A suspended tenant issues nothing.
    #[error("tenant {0} is suspended: `latchkey tenant resume {0}` first")]
    Suspended(String),
    /// A row that somebody without the pepper wrote: nothing is signed on top of it (rule R4).
    #[error("the row of credential {0} was not written by Latchkey: it is refused everywhere, and stays so")]
    Forged(String),
    /// The same of an issuer, without the key of subject hashes.
    #[error("the row of issuer {0} was not written by Latchkey, and counts for nothing: remove it, and add it anew")]
    IssuerForged(String),
    /// What would be taken of an issuer must not be.
    #[error("this must not be taken of an issuer: {}", told(.0))]
    Policy(Vec<Finding>),
    /// An issuer's keys are needed and are not to be had.
    #[error("the issuer's keys cannot be had: {0}")]
    IssuerKeys(&'static str),
    /// The secret of an issuer cannot be kept or read.
    #[error("the issuer's secret cannot be kept: {0}")]
    IssuerSecret(String),
    /// A row whose pepper this process does not hold.
    #[error(
        "credential {0} was stored under a pepper that is not here: put the pepper back (`latchkey pepper status`); it is \
         refused everywhere meanwhile"
    )]
    PepperMissing(String),
    /// A pepper cannot be read, made or used.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// A pepper is still needed.
    #[error(
        "{count} credentials are still under pepper {fingerprint}: they move to the current one at their next use, or at \
         once with --drop-tags, which leaves each one hash to be done at its next use"
    )]
    PepperInUse {
        /// Which.
        fingerprint: PepperFingerprint,
        /// How many rows name it.
        count: u64,
    },
    /// A credential that is past what was asked for.
    #[error("credential {id} {state}")]
    NotInForce {
        /// Which.
        id: String,
        /// What it is, and what to do instead.
        state: String,
    },
    /// The key that signs the trail.
    #[error("{0}")]
    SigningKey(String),
    /// The key of subject hashes, and what to do about it.
    #[error("{0}")]
    SubjectKey(&'static str),
    /// The key that signs tokens, and what to do about it.
    #[error("{0}")]
    TokenKey(&'static str),
    /// As many tokens as this machine lets a credential have.
    #[error(
        "as many tokens of the credential are in force as may be, {most}: use one until it ends, or take them back"
    )]
    TooManyTokens {
        /// How many.
        most: u32,
    },
    /// Taken back in this process alone.
    #[error(
        "denied here, not durable: this server refuses it from now on, the store could not commit that and it is tried again; \
         other processes on the store do not know of it yet, and a restart of this one forgets it"
    )]
    DeniedHere,
    /// Too much is asked at once.
    #[error("{0}")]
    Busy(&'static str),
    /// As many keys as this machine lets people make for themselves.
    #[error(
        "as many keys are in force as may be, {most} of an App: revoke one that is not needed, or rotate without grace"
    )]
    TooMany {
        /// How many.
        most: u32,
    },
    /// The server is not ready for this.
    #[error("{0}")]
    Unavailable(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No randomness.
    #[error("the operating system's random generator failed")]
    Entropy(#[from] crate::clock::EntropyError),
    /// The secret could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
}

/// What stands against it, each with where that comes from.
fn told(findings: &[Finding]) -> String {
    let against = findings.iter().filter(|finding| lint::refuses(std::slice::from_ref(finding)));
    let texts: Vec<String> = against.map(|f| format!("{}: {} ({})", f.rule, f.text, f.clause)).collect();
    texts.join("; ")
}

impl From<Unproven> for AdminError {
    fn from(unproven: Unproven) -> Self {
        match unproven {
            Unproven::Full => Self::Busy("too many hashes wait: try again"),
            Unproven::Hash(error) => Self::Hash(error),
        }
    }
}

/// Shorthand for results of use cases.
pub type AdminResult<T> = Result<T, AdminError>;

/// The use cases, for one caller.
pub struct Admin {
    backend: Backend,
    caller: Caller,
}

impl Admin {
    /// The time that expiry is shown by.
    pub fn now_ms(&self) -> i64 {
        self.backend.clock.wall_ms()
    }

    /// The tenant of that slug.
    ///
    /// # Errors
    /// When there is none that is the caller's.
    pub fn tenant(&self, slug: &str) -> AdminResult<Tenant> {
        self.permit(Act::Read)?.tenant(slug)
    }

    /// Says in the trail that a backup was made.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn note_backup(&self) -> AdminResult<()> {
        let event = self.event(Action::StoreBackedUp, Subject::Everything, None, Vec::new());
        Ok(self.permit(Act::Govern)?.store().audit().note(event)?)
    }

    fn event(
        &self,
        action: Action,
        subject: Subject,
        tenant: Option<TenantId>,
        mut details: Vec<(DetailKey, String)>,
    ) -> AuditEvent {
        if !self.caller.source.is_empty() {
            details.push((DetailKey::Source, self.caller.source.clone()));
        }
        details.sort_unstable_by_key(|(key, _)| *key);
        let (at_ms, actor, request_id) = (self.now_ms(), self.caller.actor, self.caller.request_id.clone());
        AuditEvent { at_ms, actor, action, subject, tenant, details, request_id }
    }

    /// What is stored of a fresh secret. Takes milliseconds.
    fn verifier(
        &self,
        kind: CredentialKind,
        tenant: TenantId,
        id: CredentialId,
        body: &[u8],
        cost: Cost,
    ) -> AdminResult<Verifier> {
        let phc = self.backend.hasher.hash(tenant, id, cost, body, self.backend.entropy.as_ref())?;
        let ring = self.backend.keyring.ring();
        let tag = Some(ring.current().tag(kind, tenant, id, body));
        Ok(Verifier { phc, tag, pepper: ring.current().fingerprint(), prehash: None })
    }

    fn generation(&self) -> AdminResult<Generation> {
        Ok(Generation::random(self.backend.entropy.as_ref())?)
    }
}

/// The event, and that it was asked for.
fn record(event: AuditEvent, claim: Claim, resource: &impl ToString) -> Record {
    Record { event, once: claim.of(resource), room: None }
}

fn not_found(what: &'static str, name: &impl ToString, tenant: &Tenant) -> AdminError {
    AdminError::NotFound { what, name: name.to_string(), place: format!(" in tenant {}", tenant.slug) }
}

/// Reads, decides and writes again as long as somebody else was faster, or asked the same at the same time.
fn retrying<T>(mut attempt: impl FnMut() -> AdminResult<T>) -> AdminResult<T> {
    for _ in 1..ATTEMPTS {
        match attempt() {
            Err(AdminError::Store(StoreError::Conflict { .. } | StoreError::Exists { what: "request" })) => {}
            other => return other,
        }
    }
    attempt()
}

/// What is read must be what the caller read, where they say so.
fn check_etag(
    expected: Option<Generation>,
    found: Generation,
    what: &'static str,
    name: &impl ToString,
) -> AdminResult<()> {
    match expected {
        Some(expected) if expected != found => Err(AdminError::Stale { what, name: name.to_string() }),
        _ => Ok(()),
    }
}

/// Takes a value over and notes the name of its field.
fn take<T: Clone + PartialEq>(field: &'static str, new: Option<&T>, into: &mut T, changed: &mut Vec<&'static str>) {
    if let Some(new) = new
        && new != into
    {
        into.clone_from(new);
        changed.push(field);
    }
}

#[cfg(test)]
#[path = "admin_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "authority_tests.rs"]
mod authority_tests;

#[cfg(test)]
#[path = "issuers_tests.rs"]
mod issuers_tests;

#[cfg(test)]
#[path = "own_tests.rs"]
mod own_tests;

#[cfg(test)]
#[path = "lifecycle_tests.rs"]
mod lifecycle_tests;

#[cfg(test)]
#[path = "peppers_tests.rs"]
mod peppers_tests;

#[cfg(test)]
#[path = "checklist_tests.rs"]
mod checklist_tests;
