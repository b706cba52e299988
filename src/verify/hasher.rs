//! Where fresh secrets are hashed, for those who issue them.

use std::sync::Arc;

use crate::clock::Entropy;
use crate::domain::{CredentialId, TenantId};
use crate::verify::argon::{self, Cost};
use crate::verify::pool::{ArgonPool, Unproven};

/// Hashes fresh secrets.
#[derive(Clone, Default)]
pub enum Hasher {
    /// On the calling thread: for a command, which has nobody to take turns with.
    #[default]
    Here,
    /// On the threads that prove secrets too: for a process that serves, so that issuing takes turns with answering
    /// (rule R12).
    Pool(Arc<ArgonPool>),
}

impl Hasher {
    /// Hashes the secret of a credential into a PHC string. Blocks for milliseconds, or for as long as others have their
    /// turns: not for an async thread.
    ///
    /// # Errors
    /// When the cost is out of bounds, there is no randomness, or too many wait.
    pub fn hash(
        &self,
        tenant: TenantId,
        credential: CredentialId,
        cost: Cost,
        secret: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<String, Unproven> {
        match self {
            Self::Here => Ok(argon::hash(cost, secret, entropy)?),
            Self::Pool(pool) => pool.hash_blocking(tenant, credential, cost, secret, argon::salt(entropy)?),
        }
    }
}

#[cfg(test)]
#[path = "hasher_tests.rs"]
mod tests;
