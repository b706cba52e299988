//! The decision log, for those who read it.

use crate::admin::authority::Act;
use crate::admin::{Admin, AdminError, AdminResult};
use crate::domain::{CredentialId, TenantId};
use crate::store::StoreResult;

/// Which decisions to list. Nothing given is all of them.
#[derive(Clone, Debug, Default)]
pub struct DecisionFilter {
    /// Of this reason code.
    pub reason: Option<String>,
    /// About this credential.
    pub credential: Option<CredentialId>,
    /// From this moment on, milliseconds since the epoch.
    pub since_ms: Option<i64>,
    /// Before this moment.
    pub until_ms: Option<i64>,
}

/// A decision, or several that were counted together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DecisionRow {
    /// Its number in the log.
    pub sequence: u64,
    /// When, milliseconds since the epoch.
    pub at_ms: i64,
    /// `refused` or `accepted` one by one, `counted` for several.
    pub kind: String,
    /// The reason code.
    pub reason: String,
    /// At which point of the request.
    pub stage: String,
    /// The credential, where one was known.
    pub credential: Option<CredentialId>,
    /// Its tenant.
    pub tenant: Option<TenantId>,
    /// Its App, by the host's id.
    pub app: Option<u32>,
    /// Its User, by the host's id.
    pub user: Option<u32>,
    /// The host's id of the request.
    pub request_id: String,
    /// The client's address, where it is known.
    pub source: String,
    /// How many calls it stands for.
    pub calls: u64,
}

/// Where decisions are kept: apart from the store.
pub trait Decisions: Send + Sync {
    /// Those that fit, after the one of that number, at most `limit`, oldest first.
    ///
    /// # Errors
    /// When they cannot be read.
    fn list(&self, filter: &DecisionFilter, after: u64, limit: u32) -> StoreResult<Vec<DecisionRow>>;
}

impl Admin {
    /// Decisions that fit, oldest first.
    ///
    /// # Errors
    /// When the caller may not, or they cannot be read.
    pub fn decisions(&self, filter: &DecisionFilter, after: u64, limit: u32) -> AdminResult<Vec<DecisionRow>> {
        self.permit(Act::ReadAll)?;
        let decisions = self.backend.decisions.as_ref();
        let decisions = decisions.ok_or_else(|| AdminError::Unavailable("there is no decision log here".to_owned()))?;
        Ok(decisions.list(filter, after, limit)?)
    }
}
