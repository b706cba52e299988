//! Is a credential genuine and current? Says nothing about what it may do.
//!
//! [`Verifier::verify`] takes a [`Presented`] and gives a [`Verified`], which nothing else can make. There
//! is one scheme per kind of credential and no fall-through: what has the form of a JWT is never tried as
//! a key, nor the reverse (decision 10).

pub mod api_key;
pub mod argon;
mod hasher;
pub mod imported;
pub mod issuer_secret;
pub mod jwt;
pub mod keyring;
pub mod operator;
pub mod pepper;
pub mod pool;
pub mod slow;
pub mod subject;
pub mod tag;
mod verified;

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::domain::presented::Scheme;
use crate::domain::{
    AppId, Credential, CredentialId, CredentialKind, Position, Presented, Reason, Subject, TenantId, UserId,
};
use crate::fair_cache::{Digest, FairCache, Held};
use crate::store::Store;
use crate::verify::imported::Methods;
use crate::verify::keyring::Keyring;
use crate::verify::pool::ArgonPool;

pub use hasher::Hasher;
pub use verified::{Holder, Verified};

/// Whose credential it was, for log and audit only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Known {
    /// The credential.
    pub id: CredentialId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Its App.
    pub app: AppId,
    /// Its User.
    pub user: UserId,
}

impl From<Known> for (CredentialId, TenantId, AppId, UserId) {
    fn from(known: Known) -> Self {
        (known.id, known.tenant, known.app, known.user)
    }
}

impl From<&Credential> for Known {
    fn from(row: &Credential) -> Self {
        Self { id: row.id, tenant: row.tenant, app: row.app, user: row.user }
    }
}

/// What a refusal rests on: it stands while nothing of this changed.
#[derive(Clone, Copy, Debug)]
pub struct RestsOn {
    /// The feed position of the oldest snapshot that was read.
    pub position: Position,
    /// What was read, or looked for.
    pub proved: Subject,
    /// What was read beside it.
    pub beside: Option<Subject>,
    /// Whether tenant, App and User were read too: those of [`Refused::known`].
    pub linked: bool,
    /// It stands only before this moment, milliseconds since the epoch.
    pub until_ms: Option<i64>,
}

/// What a credential names.
pub type Linkage = (TenantId, AppId, UserId);

/// What facts rest on: what proved them, what beside it, and the tenant, App and User, where these were read too.
pub fn subjects(proved: Subject, beside: Option<Subject>, linked: Option<Linkage>) -> [Subject; 5] {
    let beside = beside.unwrap_or(proved);
    linked.map_or([proved, beside, proved, proved, proved], |(tenant, app, user)| {
        [proved, beside, Subject::Tenant(tenant), Subject::App(app), Subject::User(user)]
    })
}

/// A refusal.
#[derive(Clone, Copy, Debug)]
pub struct Refused {
    /// Why.
    pub reason: Reason,
    /// The stored credential that the presented id named, if there is one, proven or not.
    pub known: Option<Known>,
    /// What it rests on; none where nothing was read, or we could not decide.
    pub rests_on: Option<RestsOn>,
}

impl From<Reason> for Refused {
    fn from(reason: Reason) -> Self {
        Self { reason, known: None, rests_on: None }
    }
}

/// What is known of a presented credential beside its text.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// The keyed digest of the whole.
    pub digest: Digest,
    /// It comes from where much failed lately: work that others wait for is done first.
    pub suspect: bool,
    /// How long its issuer's keys may be waited for at most.
    pub patience: std::time::Duration,
    /// Whether a gateway asks for a request, so that a subject may be linked at its first use: a trial changes nothing.
    pub may_link: bool,
}

/// That a secret was proven against a stored hash. Kept apart from all facts: a change of the row drops the facts, and a
/// point read restores them without another hash (rule R12).
#[derive(Clone)]
struct Proof {
    tenant: TenantId,
    credential: CredentialId,
    /// SHA-256 of the stored hash.
    against: [u8; 32],
}

impl Held for Proof {
    fn owner(&self) -> TenantId {
        self.tenant
    }

    fn bytes(&self) -> usize {
        // With its key and its places in the maps.
        size_of::<Self>() + 160
    }
}

/// Most proofs kept.
const PROOFS: usize = 32_768;

/// Proves credentials against the store.
pub struct Verifier {
    store: Arc<dyn Store>,
    keyring: Arc<Keyring>,
    pool: Arc<ArgonPool>,
    proofs: FairCache<Proof>,
    methods: ArcSwap<Methods>,
    jwts: Option<jwt::Jwts>,
}

impl Verifier {
    /// Verifies against this store, under these peppers. The pool may be one that others share.
    pub fn new(store: Arc<dyn Store>, keyring: Arc<Keyring>, pool: impl Into<Arc<ArgonPool>>) -> Self {
        let (proofs, methods) = (FairCache::new(PROOFS, usize::MAX), ArcSwap::default());
        Self { store, keyring, pool: pool.into(), proofs, methods, jwts: None }
    }

    /// The same, that takes JWTs too.
    #[must_use]
    pub fn with_jwts(self, jwts: jwt::Jwts) -> Self {
        Self { jwts: Some(jwts), ..self }
    }

    /// The hashing threads, to be shared.
    pub fn pool(&self) -> &Arc<ArgonPool> {
        &self.pool
    }

    /// When a refusal of this form leaves after it came, whatever was found; none where the work itself is always the same.
    pub fn quantum(&self, scheme: Scheme<'_>) -> Option<std::time::Duration> {
        match scheme {
            Scheme::Key(_) => None,
            Scheme::Jwt => Some(jwt::QUANTUM),
            Scheme::Foreign(_) => Some(self.foreign_quantum()),
        }
    }

    /// Proves the presented credential's secret, then judges whether it is in force.
    ///
    /// # Errors
    /// The refusal. Unknown and wrong cost the same: one read, one tag, one row MAC (rule R13).
    pub async fn verify(&self, presented: &Presented<'_>, asked: &Asked, now_ms: i64) -> Result<Verified, Refused> {
        match presented.scheme() {
            Scheme::Key(parts) if parts.kind == CredentialKind::ApiKey => self.api_key(&parts, asked, now_ms).await,
            Scheme::Key(_) => Err(Reason::WrongKind.into()),
            // Boxed, so that every call of a key is not as large as this.
            Scheme::Jwt => Box::pin(self.jwt(presented.text(), asked, now_ms)).await,
            Scheme::Foreign(text) => self.imported(text, asked, now_ms).await,
        }
    }
}
