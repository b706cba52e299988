//! Is a credential genuine and current? Says nothing about what it may do.
//!
//! [`Verifier::verify`] takes a [`Presented`] and gives a [`Verified`], which nothing else can make. There
//! is one scheme per kind of credential and no fall-through: what has the form of a JWT is never tried as
//! a key, nor the reverse (decision 10).

pub mod api_key;
pub mod argon;
pub mod pepper;
pub mod tag;

use std::sync::Arc;

use crate::domain::presented::Scheme;
use crate::domain::{Credential, CredentialKind, Position, Presented, Reason};
use crate::store::Store;
use crate::verify::argon::ArgonPool;
use crate::verify::tag::Tagger;

/// A credential whose secret was proven against a row that only a holder of the pepper can have
/// written. A fact, which may be cached; whether it is in force is judged at each use.
pub struct Verified {
    credential: Credential,
    position: Position,
}

impl Verified {
    /// The proven record.
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// The feed position of the snapshot that the record was read from.
    pub fn position(&self) -> Position {
        self.position
    }
}

/// A refusal, and whose credential it was where that is known and proven or not: for log and audit only.
pub struct Refused {
    /// Why.
    pub reason: Reason,
    /// The stored credential that the presented id named, if there is one.
    pub known: Option<Box<Credential>>,
}

impl From<Reason> for Refused {
    fn from(reason: Reason) -> Self {
        Self { reason, known: None }
    }
}

/// Proves credentials against the store.
pub struct Verifier {
    store: Arc<dyn Store>,
    tagger: Arc<Tagger>,
    pool: ArgonPool,
}

impl Verifier {
    /// Verifies against this store, under this pepper.
    pub fn new(store: Arc<dyn Store>, tagger: Arc<Tagger>, pool: ArgonPool) -> Self {
        Self { store, tagger, pool }
    }

    /// The hashing threads.
    pub fn pool(&self) -> &ArgonPool {
        &self.pool
    }

    /// Proves the presented credential's secret, then judges whether it is in force.
    ///
    /// # Errors
    /// The refusal. Unknown and wrong cost the same: one read, one tag, one row MAC (rule R13).
    pub async fn verify(&self, presented: &Presented<'_>, now_ms: i64) -> Result<Verified, Refused> {
        match presented.scheme() {
            Scheme::Key(parts) if parts.kind == CredentialKind::ApiKey => self.api_key(&parts, now_ms).await,
            Scheme::Key(_) => Err(Reason::WrongKind.into()),
            Scheme::Jwt => Err(Reason::JwtNotAccepted.into()),
        }
    }
}
