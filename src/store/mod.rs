//! Where tenants, Apps, Users, credentials and the audit trail live: a small trait per aggregate.
//!
//! House rules. "Not found" is `Ok(None)`. What belongs to a tenant is reached only with its
//! [`TenantId`], and a row of another tenant reads as not found. A mutation takes its [`AuditEvent`] and commits row,
//! event and change together, durably (fsync), and every cache of this process has dropped what the
//! change touches before the call returns. Row MACs and tags are computed by the caller: the store holds
//! no pepper. Reads run inline on the calling thread; mutations are handed to one writer thread and
//! block until they are durable, so async callers go through `tokio::task::spawn_blocking`.
//!
//! [`sqlite`] is the implementation, `fake` the one for faults and speed in tests; `suite_tests.rs` holds
//! both to the same contract. No caller knows the driver.

#[cfg(any(test, feature = "test-support"))]
pub mod fake;
pub mod feed;
mod host_copy;
mod issuers;
mod links;
pub mod marks;
mod record;
pub mod sqlite;
mod tokens;

use crate::audit::checkpoint::Checkpoint;
use crate::audit::verify::Stored;
use crate::domain::imported::{Handle, Method};
use crate::domain::{
    App, AppId, AuditEvent, Change, Credential, CredentialId, Generation, LostPepper, Operator, PepperFingerprint,
    Position, Tenant, TenantId, User, UserId,
};

pub use host_copy::{HostChange, HostCopy};
pub use issuers::{IssuerPlace, Issuers, KeptKeys, MOST_ISSUERS, MOST_OF_ISS, OTHERS_ISS, Sharing};
pub use links::{LinkPlace, Links};
pub use record::{Once, Record, RequestKey, Requests, Room};
pub use tokens::{KEPT_AFTER_END_MS, SWEPT_AT_ONCE, TokenAndParent, TokenPlace, Tokens};

/// Why the store could not do what was asked. Says nothing about a credential's validity.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The row changed since it was read: read again and decide again.
    #[error("the {what} was changed by somebody else meanwhile")]
    Conflict {
        /// What was to be changed.
        what: &'static str,
    },
    /// A unique name or id is taken.
    #[error("the {what} exists already")]
    Exists {
        /// What exists.
        what: &'static str,
    },
    /// Something that the row refers to is not there.
    #[error("the {what} does not exist")]
    Missing {
        /// What is missing.
        what: &'static str,
    },
    /// As many as there may be are there already.
    #[error("there are as many of {what} as there may be")]
    Full {
        /// What there may be no more of.
        what: &'static str,
    },
    /// The store, or what is under it, failed. The text names the operation, never a value.
    #[error("the store failed to {operation}")]
    Failed {
        /// What was being done.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A stored row is not what it must be.
    #[error("stored data is inconsistent: {table}, {what}")]
    Corrupt {
        /// Where.
        table: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Another file is where the store was: it must be opened anew.
    #[error("the store's file was replaced under a live process")]
    Replaced,
    /// The writer is gone; the process is going down.
    #[error("the store is closed")]
    Closed,
}

/// Shorthand for results of the store.
pub type StoreResult<T> = Result<T, StoreError>;

/// A page of a listing: rows after `after`, at most `limit`, in the order of their keys.
#[derive(Clone, Debug)]
pub struct Page<K> {
    /// The key of the last row of the page before.
    pub after: Option<K>,
    /// At most this many rows.
    pub limit: u32,
}

/// A row and the position of the feed in the very snapshot that it was read from (rule R8).
#[derive(Clone, Debug)]
pub struct At<T> {
    /// No change up to here is missing from `row`.
    pub position: Position,
    /// What was read.
    pub row: T,
}

/// What a verified credential is linked to, read in one snapshot. Absent parts are absent in the store,
/// or belong to another tenant.
#[derive(Clone, Debug)]
pub struct LinkedRows {
    /// The tenant.
    pub tenant: Option<Tenant>,
    /// Its App.
    pub app: Option<App>,
    /// Its User.
    pub user: Option<User>,
}

/// All aggregates of one store.
pub trait Store: Send + Sync {
    /// Tenants.
    fn tenants(&self) -> &dyn Tenants;
    /// Apps and their LLM grants.
    fn apps(&self) -> &dyn Apps;
    /// Users.
    fn users(&self) -> &dyn Users;
    /// Links of outside identities.
    fn links(&self) -> &dyn Links;
    /// Trusted issuers of JWTs.
    fn issuers(&self) -> &dyn Issuers;
    /// Short-lived tokens that we sign.
    fn tokens(&self) -> &dyn Tokens;
    /// Gateway credentials with their verifiers.
    fn credentials(&self) -> &dyn Credentials;
    /// Operators with their verifiers.
    fn operators(&self) -> &dyn Operators;
    /// Peppers, and the rows under them.
    fn peppers(&self) -> &dyn Peppers;
    /// Keys of other systems.
    fn imports(&self) -> &dyn Imports;
    /// The audit trail.
    fn audit(&self) -> &dyn Audit;
    /// Creates that were asked for with a request id.
    fn requests(&self) -> &dyn Requests;
    /// The copy of the host's own directory.
    fn host_copy(&self) -> &dyn HostCopy;
    /// The change feed.
    fn feed(&self) -> &dyn Feed;
}

/// Tenants. All are visible to whoever holds the store; tenant-bound callers are restricted above it.
pub trait Tenants: Send + Sync {
    /// Adds a tenant. `Exists` when slug or key prefix-and-slug is taken.
    fn create(&self, tenant: &Tenant, record: Record) -> StoreResult<()>;
    /// By its slug.
    fn by_slug(&self, slug: &str) -> StoreResult<Option<Tenant>>;
    /// By its id.
    fn by_id(&self, id: TenantId) -> StoreResult<Option<Tenant>>;
    /// In the order of slugs.
    fn list(&self, page: &Page<String>) -> StoreResult<Vec<Tenant>>;
    /// Replaces the row whose generation is `expected`.
    fn update(&self, tenant: &Tenant, expected: Generation, event: AuditEvent) -> StoreResult<()>;
}

/// Apps. A host id belongs to at most one tenant (rule R3): claiming one that another tenant has is
/// `Exists`, and callers that are bound to a tenant report it as not found.
pub trait Apps: Send + Sync {
    /// Claims a host App for a tenant, with its grants.
    fn add(&self, app: &App, record: Record) -> StoreResult<()>;
    /// Of this tenant, by host id.
    fn by_id(&self, tenant: TenantId, id: AppId) -> StoreResult<Option<App>>;
    /// Of this tenant, in the order of ids.
    fn list(&self, tenant: TenantId, page: &Page<AppId>) -> StoreResult<Vec<App>>;
    /// Replaces row and grants where the generation is `expected`.
    fn update(&self, app: &App, expected: Generation, event: AuditEvent) -> StoreResult<()>;
    /// Removes it with its grants. Its credentials stay and are refused.
    fn remove(&self, tenant: TenantId, id: AppId, event: AuditEvent) -> StoreResult<()>;
}

/// Users, by the same rules as [`Apps`].
pub trait Users: Send + Sync {
    /// Claims a host User for a tenant.
    fn add(&self, user: &User, record: Record) -> StoreResult<()>;
    /// Of this tenant, by host id.
    fn by_id(&self, tenant: TenantId, id: UserId) -> StoreResult<Option<User>>;
    /// The tenant that has a host User: at most one (rule R3).
    fn owner_of(&self, id: UserId) -> StoreResult<Option<TenantId>>;
    /// Of this tenant, in the order of ids.
    fn list(&self, tenant: TenantId, page: &Page<UserId>) -> StoreResult<Vec<User>>;
    /// Replaces the row where the generation is `expected`.
    fn update(&self, user: &User, expected: Generation, event: AuditEvent) -> StoreResult<()>;
    /// Removes it. Its credentials stay and are refused.
    fn remove(&self, tenant: TenantId, id: UserId, event: AuditEvent) -> StoreResult<()>;
}

/// Gateway credentials.
pub trait Credentials: Send + Sync {
    /// Adds a credential with its verifier. `Missing` when tenant, App or User is not there or the
    /// latter two belong to another tenant, `Full` where the record leaves no [`Room`].
    fn issue(&self, credential: &Credential, record: Record) -> StoreResult<()>;
    /// For the answer path: by public id alone, one indexed read whatever it finds (rule R13), with the
    /// feed position of the same snapshot.
    fn look_up(&self, id: CredentialId) -> StoreResult<At<Option<Credential>>>;
    /// For the answer path: what the credential is linked to, with the feed position of the snapshot.
    fn linked(&self, tenant: TenantId, app: AppId, user: UserId) -> StoreResult<At<LinkedRows>>;
    /// For administration: of this tenant.
    fn by_id(&self, tenant: TenantId, id: CredentialId) -> StoreResult<Option<Credential>>;
    /// Of this tenant, newest last, in the order of (created, id).
    fn list(&self, tenant: TenantId, page: &Page<(i64, CredentialId)>) -> StoreResult<Vec<Credential>>;
    /// Of this tenant that act for this User, in the same order.
    fn list_of(&self, tenant: TenantId, user: UserId, page: &Page<(i64, CredentialId)>)
    -> StoreResult<Vec<Credential>>;
    /// Replaces the row where the generation is `expected`.
    fn update(&self, credential: &Credential, expected: Generation, event: AuditEvent) -> StoreResult<()>;
    /// Adds `new` and replaces `old` where its generation is `expected`, both or neither. `Missing` and `Full` as
    /// for [`Credentials::issue`].
    fn rotate(&self, new: &Credential, old: &Credential, expected: Generation, record: Record) -> StoreResult<()>;
    /// Notes when credentials were last accepted, where that is later than what is noted. Neither an act nor a
    /// fact that is cached: the one mutation without audit event and change.
    fn used(&self, uses: &[(CredentialId, i64)]) -> StoreResult<()>;
}

/// Operators.
pub trait Operators: Send + Sync {
    /// Adds an operator. `Exists` of a certificate where another in force has it.
    fn add(&self, operator: &Operator, record: Record) -> StoreResult<()>;
    /// By public id: one indexed read.
    fn look_up(&self, id: CredentialId) -> StoreResult<Option<Operator>>;
    /// The one in force whose client certificate has this public key, as its SHA-256.
    fn by_certificate(&self, public_key: &[u8; 32]) -> StoreResult<Option<Operator>>;
    /// All of them, in the order of ids.
    fn list(&self) -> StoreResult<Vec<Operator>>;
    /// Replaces the row of one that is revoked in it, where its generation is `expected`: `Missing` of an owner where no
    /// unbound one would be left, `Conflict` where somebody was faster.
    fn revoke(&self, operator: &Operator, expected: Generation, event: AuditEvent) -> StoreResult<()>;
}

/// A credential's row sealed anew: the same facts, another pepper.
#[derive(Clone)]
pub struct Resealed {
    /// Which.
    pub id: CredentialId,
    /// The row's MAC as it was read: it stands for all that the row asserts.
    pub was: [u8; 32],
    /// What proves the secret from now on.
    pub verifier: crate::domain::Verifier,
    /// The row's MAC from now on.
    pub row_mac: [u8; 32],
    /// By what a key of another system is found from now on, in the place of what it was found by.
    pub handle: Option<(Method, Handle)>,
}

/// A key of another system as it is to be stored.
#[derive(Clone)]
pub struct Imported {
    /// The record.
    pub credential: Credential,
    /// By what it is found; none for a key of ours, which carries its id.
    pub handle: Option<(Method, Handle)>,
}

/// Keys of other systems.
pub trait Imports: Send + Sync {
    /// What of a presented key one may be found by, and under which pepper the handle is.
    fn methods(&self) -> StoreResult<Vec<(Method, PepperFingerprint)>>;
    /// For the answer path: those of these handles, in their order, one indexed read each, with the feed position of the
    /// snapshot.
    fn look_up(&self, handles: &[Handle]) -> StoreResult<At<Vec<Credential>>>;
    /// Which of these are there already: by any of their handles, or by id where one has none.
    fn stored(&self, rows: &[(CredentialId, Vec<Handle>)]) -> StoreResult<Vec<bool>>;
    /// Adds all of them with one event, or none: `Exists` where a handle or id is taken, `Missing` as for
    /// [`Credentials::issue`].
    fn import(&self, rows: Vec<Imported>, event: AuditEvent) -> StoreResult<()>;
}

/// Peppers, and the rows under them. Rows may name only peppers that are listed and not retired: writing one that does
/// is `Missing`.
pub trait Peppers: Send + Sync {
    /// All of them.
    fn list(&self) -> StoreResult<crate::domain::Peppers>;
    /// Makes one known, or current. `Exists` where a retired one would come back.
    fn add(&self, fingerprint: PepperFingerprint, event: AuditEvent) -> StoreResult<()>;
    /// New rows get it from now on. `Missing` when it is not listed.
    fn make_current(&self, fingerprint: PepperFingerprint, event: AuditEvent) -> StoreResult<()>;
    /// No row may name it from now on; or again, with none.
    fn set_retired(&self, fingerprint: PepperFingerprint, at_ms: Option<i64>, event: AuditEvent) -> StoreResult<()>;
    /// Declares one lost and makes `current` current, which is added.
    fn set_lost(
        &self,
        fingerprint: PepperFingerprint,
        lost: LostPepper,
        current: PepperFingerprint,
        event: AuditEvent,
    ) -> StoreResult<()>;
    /// Credentials under a pepper, in the order of ids, at most `limit`.
    fn credentials_under(
        &self,
        fingerprint: PepperFingerprint,
        page: &Page<CredentialId>,
    ) -> StoreResult<Vec<Credential>>;
    /// How many credentials are under it. Reads every row: not for the answer path.
    fn count_under(&self, fingerprint: PepperFingerprint) -> StoreResult<u64>;
    /// Seals rows anew where they are still as they were read; the others are left alone. Nothing that is cached changes,
    /// so no change is told. Returns how many were.
    fn reseal(&self, rows: &[Resealed], event: &dyn Fn(u64) -> AuditEvent) -> StoreResult<u64>;
    /// Replaces the verifier and MAC of an operator where its generation is `expected`.
    fn reseal_operator(&self, operator: &Operator, expected: Generation, event: AuditEvent) -> StoreResult<()>;
}

/// An audit event in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainedEvent {
    /// Its number, from 1, without gaps.
    pub sequence: u64,
    /// What happened.
    pub event: AuditEvent,
    /// SHA-256 over the canonical encoding and the hash before it.
    pub hash: [u8; 32],
}

/// The audit trail.
pub trait Audit: Send + Sync {
    /// Events after `after`, at most `limit`, oldest first.
    fn list(&self, after: u64, limit: u32) -> StoreResult<Vec<ChainedEvent>>;
    /// Adds an event that goes with no change.
    fn note(&self, event: AuditEvent) -> StoreResult<()>;
    /// The last event's number and hash.
    fn head(&self) -> StoreResult<Option<(u64, [u8; 32])>>;
    /// Events after `after` as they lie there, readable or not, at most `limit`.
    fn stored(&self, after: u64, limit: u32) -> StoreResult<Vec<Stored>>;
    /// What the trail begins with, and the checkpoint before which events were given up.
    fn beginning(&self) -> StoreResult<([u8; 16], Option<Checkpoint>)>;
    /// Checkpoints after an event, in the order of their events, at most `limit`.
    fn checkpoints(&self, after: u64, limit: u32) -> StoreResult<Vec<Checkpoint>>;
    /// The last checkpoint at or before an event.
    fn checkpoint_at_most(&self, sequence: u64) -> StoreResult<Option<Checkpoint>>;
    /// Adds checkpoints; those that are there already stay.
    fn add_checkpoints(&self, signed: &[Checkpoint]) -> StoreResult<()>;
    /// Gives up the events up to a checkpoint.
    fn prune(&self, base: &Checkpoint, event: AuditEvent) -> StoreResult<()>;
}

/// What a look at the feed told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Nothing was committed since `since`.
    Nothing,
    /// These were, in order, without a gap.
    Changes(Vec<Change>),
    /// More than can be told, or the store was replaced: drop everything and go on from here.
    Lost {
        /// Where the feed stands now.
        position: Position,
    },
}

/// The change feed of the store itself: what other processes committed.
pub trait Feed: Send + Sync {
    /// Where the feed stands.
    fn position(&self) -> StoreResult<Position>;
    /// What was committed after `since`. Cheap when nothing was (`PRAGMA data_version`); holds no
    /// transaction afterwards.
    fn news(&self, since: Position) -> StoreResult<News>;
}

/// Told by the writer of each commit of this process, after it is durable and before the caller hears of it.
pub trait CommitListener: Send + Sync {
    /// These changes were just committed.
    fn committed(&self, changes: &[Change]);
}

#[cfg(test)]
#[path = "suite_tests.rs"]
pub(crate) mod suite;
