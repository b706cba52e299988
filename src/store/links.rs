//! Links: which App and User an identity of an outside issuer stands for.

use crate::domain::{AuditEvent, Generation, IssuerId, Link, LinkId, SubjectHash, SubjectKeyFingerprint, TenantId};
use crate::store::{At, Page, Record, StoreResult};

/// What a listing of links goes by: when they were made, and their id.
pub type LinkPlace = (i64, LinkId);

/// Links. One outlives its App and its User, as credentials do.
pub trait Links: Send + Sync {
    /// The key of subject hashes that all of them are under, and all issuers; none as long as nobody made one.
    fn key(&self) -> StoreResult<Option<SubjectKeyFingerprint>>;
    /// Whether anything is under the key: a link or an issuer, of whatever tenant.
    fn any(&self) -> StoreResult<bool>;
    /// Makes the key known. `Conflict` where there are links or issuers under another.
    fn set_key(&self, key: SubjectKeyFingerprint, event: AuditEvent) -> StoreResult<()>;
    /// Adds one. `Missing` when tenant, App or User is not there or the latter two belong to another tenant, `Exists`
    /// where the tenant has one for the subject.
    fn add(&self, link: &Link, record: Record) -> StoreResult<()>;
    /// Adds one at a subject's first use under the rule of this issuer, which must be there and as it was read (`Conflict`).
    /// `Exists` where the subject has a link or had one by this rule, `Full` where the rule made `cap` of them.
    fn add_first(&self, link: &Link, issuer: (IssuerId, Generation), cap: u32, event: AuditEvent) -> StoreResult<()>;
    /// Whether one may be added so, as far as can be told before: a read, so that a rule that made all it may costs no commit.
    fn may_be_first(&self, issuer: IssuerId, subject: SubjectHash, cap: u32) -> StoreResult<bool>;
    /// Of this tenant.
    fn by_id(&self, tenant: TenantId, id: LinkId) -> StoreResult<Option<Link>>;
    /// Of this tenant, by whom it is about.
    fn find(&self, tenant: TenantId, issuer: &str, subject: SubjectHash) -> StoreResult<Option<Link>>;
    /// The same for the answer path, with the feed position of the snapshot.
    fn look_up(&self, tenant: TenantId, issuer: &str, subject: SubjectHash) -> StoreResult<At<Option<Link>>>;
    /// Of this tenant, of one issuer where it is given, newest last, in the order of (created, id).
    fn list(&self, tenant: TenantId, issuer: Option<&str>, page: &Page<LinkPlace>) -> StoreResult<Vec<Link>>;
    /// Removes it, whoever wrote it.
    fn remove(&self, tenant: TenantId, id: LinkId, event: AuditEvent) -> StoreResult<()>;
}
