//! Trusted issuers of JWTs, and the last good keys of those that publish theirs.

use crate::domain::{AuditEvent, Generation, Issuer, IssuerId, TenantId};
use crate::store::{At, Page, Record, StoreResult};

/// What a listing of issuers goes by: when they were added, and their id.
pub type IssuerPlace = (i64, IssuerId);

/// Issuers that one tenant may have: what reads all of them at once stays small.
pub const MOST_ISSUERS: u32 = 64;
/// Rows that one `iss` may have, of all tenants: anybody can send a token of it, and then all of them are read.
pub const MOST_OF_ISS: u32 = 64;

/// The keys of an issuer as they were last fetched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptKeys {
    /// The JWK set, as it came.
    pub jwks: String,
    /// When, milliseconds since the epoch.
    pub fetched_at_ms: i64,
    /// Over both, the issuer and where they came from, under the key of subject hashes.
    pub mac: [u8; 32],
}

/// Whether an `iss` may be several tenants', which only one who is bound to none may say (rule R16).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sharing {
    /// It may.
    Allowed,
    /// It is refused where another tenant has a row of it, whatever its audiences.
    Refused,
}

/// What stands in the way where it may not be shared, as [`StoreError::Exists`](crate::store::StoreError::Exists) names it.
pub const OTHERS_ISS: &str = "issuer of another tenant";

/// Issuers. Each change of one is told of itself and of which are trusted at all
/// ([`Subject::Issuers`](crate::domain::Subject::Issuers)); adding or changing one, of all others of its `iss` too.
pub trait Issuers: Send + Sync {
    /// Adds one. `Missing` when the tenant is not there, or an App or User that it names is not its tenant's; `Exists`
    /// where any tenant has the `iss` with one of these audiences; `Full` beyond [`MOST_ISSUERS`] or [`MOST_OF_ISS`];
    /// `Exists` of [`OTHERS_ISS`] where another tenant has the `iss` and it may not be shared.
    fn add(&self, issuer: &Issuer, sharing: Sharing, record: Record) -> StoreResult<()>;
    /// Of this tenant.
    fn by_id(&self, tenant: TenantId, id: IssuerId) -> StoreResult<Option<Issuer>>;
    /// For the answer path: all rows of an `iss`, of whatever tenant and active or not, one indexed read, with the feed
    /// position of the same snapshot.
    fn by_iss(&self, iss: &str) -> StoreResult<At<Vec<Issuer>>>;
    /// Of this tenant, newest last, in the order of (created, id).
    fn list(&self, tenant: TenantId, page: &Page<IssuerPlace>) -> StoreResult<Vec<Issuer>>;
    /// Of all tenants, in no order: for the linter when a process starts.
    fn all(&self) -> StoreResult<Vec<Issuer>>;
    /// Replaces the row where its generation is `expected`; tenant, `iss` and what was noted when it was added stay.
    /// `Exists` as for [`Issuers::add`]. Keys that were kept go with a change of where they come from.
    fn update(&self, issuer: &Issuer, expected: Generation, sharing: Sharing, event: AuditEvent) -> StoreResult<()>;
    /// Removes it with its audiences and kept keys, whoever wrote it; with the last one of its `iss` that the tenant has also
    /// the tenant's links of that `iss`.
    fn remove(&self, tenant: TenantId, id: IssuerId, event: AuditEvent) -> StoreResult<()>;
    /// The keys that were kept.
    fn keys_of(&self, id: IssuerId) -> StoreResult<Option<KeptKeys>>;
    /// Keeps keys in the place of older ones, where the issuer is still there. Neither an act nor a change of what is
    /// trusted: without audit event and change.
    fn keep_keys(&self, id: IssuerId, keys: &KeptKeys) -> StoreResult<()>;
}
