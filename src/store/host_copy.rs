//! What the store keeps of a host's own directory, as whoever keeps it in step reads and writes it.
//!
//! Across tenants: a host knows none. Nobody but the host's own process does this, and admins who are bound to no tenant.

use crate::domain::{
    App, AppId, AuditEvent, Generation, HostSync, LlmId, Subject, TenantId, UnclaimedApp, User, UserId,
};
use crate::store::{Page, StoreResult};

/// One change that a host told of.
#[derive(Clone, Debug)]
pub enum HostChange {
    /// A row with its grants, where its generation is `expected`.
    App {
        /// As it is from now on.
        app: App,
        /// As it was read.
        expected: Generation,
    },
    /// An App that a rule of this machine gives to a tenant.
    Claim(App),
    /// A row that is given up, some time after the host gave it up.
    RemoveApp {
        /// Whose it is.
        tenant: TenantId,
        /// Which.
        id: AppId,
        /// As it was read.
        expected: Generation,
    },
    /// A User's row, where its generation is `expected`.
    User {
        /// As it is from now on.
        user: User,
        /// As it was read.
        expected: Generation,
    },
    /// The same of a User.
    RemoveUser {
        /// Whose they are.
        tenant: TenantId,
        /// Who.
        id: UserId,
        /// As it was read.
        expected: Generation,
    },
    /// An App that no tenant has: new, or changed.
    Unclaimed(UnclaimedApp),
    /// One that is not listed any more.
    Forget(AppId),
}

impl HostChange {
    /// What caches drop for it.
    pub fn subject(&self) -> Option<Subject> {
        match self {
            Self::App { app, .. } | Self::Claim(app) => Some(Subject::App(app.id)),
            Self::RemoveApp { id, .. } => Some(Subject::App(*id)),
            Self::User { user, .. } => Some(Subject::User(user.id)),
            Self::RemoveUser { id, .. } => Some(Subject::User(*id)),
            Self::Unclaimed(_) | Self::Forget(_) => None,
        }
    }
}

/// The copy of a host's directory.
pub trait HostCopy: Send + Sync {
    /// Those of these Apps that a tenant has, with their grants, in the order of ids.
    fn claimed(&self, ids: &[AppId]) -> StoreResult<Vec<App>>;
    /// All Apps that tenants have, in the order of ids.
    fn list_claimed(&self, page: &Page<AppId>) -> StoreResult<Vec<App>>;
    /// Those that may use an LLM, in the order of ids.
    fn with_llm(&self, llm: LlmId, page: &Page<AppId>) -> StoreResult<Vec<App>>;
    /// A User, whatever tenant has it.
    fn user(&self, id: UserId) -> StoreResult<Option<User>>;
    /// Apps and Users that the host gave up before this moment, at most `limit` of each.
    fn gone_before(&self, at_ms: i64, limit: u32) -> StoreResult<(Vec<App>, Vec<User>)>;
    /// Those of these Apps that are kept as unclaimed, in the order of ids.
    fn unclaimed(&self, ids: &[AppId]) -> StoreResult<Vec<UnclaimedApp>>;
    /// Those of these Apps that a tenant let go, and that nobody claimed since.
    fn released(&self, ids: &[AppId]) -> StoreResult<Vec<AppId>>;
    /// All Apps that no tenant has, in the order of ids.
    fn list_unclaimed(&self, page: &Page<AppId>) -> StoreResult<Vec<UnclaimedApp>>;
    /// Writes all of these, or none: `Conflict` where a row is not as it was read, `Exists` where a tenant has it already.
    fn apply(&self, changes: Vec<HostChange>, events: Vec<AuditEvent>) -> StoreResult<()>;
    /// When the store was last brought in step.
    fn last_sync(&self) -> StoreResult<Option<HostSync>>;
    /// It was just brought in step. Neither an act nor a fact that is cached.
    fn synced(&self, sync: &HostSync) -> StoreResult<()>;
}
