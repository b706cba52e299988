//! What is written beside a mutation, in its transaction, and the conditions that it hangs on.

use crate::domain::{AuditEvent, TenantId};
use crate::store::StoreResult;

/// That a create was asked for with a request id, so that it happens once. Actor, time and the id itself are the audit
/// event's.
#[derive(Clone, Debug)]
pub struct Once {
    /// For which tenant; none for what belongs to no tenant.
    pub tenant: Option<TenantId>,
    /// What was called.
    pub method: &'static str,
    /// SHA-256 of what was asked.
    pub hash: [u8; 32],
    /// The id of what was made.
    pub resource: String,
}

/// What is written beside a mutation, in its transaction.
#[derive(Clone, Debug)]
pub struct Record {
    /// For the trail.
    pub event: AuditEvent,
    /// For a second call with the same request id. One that finds the id taken is `Exists` of a request.
    pub once: Option<Once>,
    /// How many credentials there may be, where one is added.
    pub room: Option<Room>,
}

impl From<AuditEvent> for Record {
    fn from(event: AuditEvent) -> Self {
        Self { event, once: None, room: None }
    }
}

/// How many credentials of the new one's App and User may be in force once it is there, the old one of a rotation included
/// while its grace lasts. Counted in the transaction, so that of two at once only one gets the last place.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// At most.
    pub most: u32,
    /// The time that they are judged by, milliseconds since the epoch.
    pub now_ms: i64,
}

/// Whose request it was.
#[derive(Clone, Debug)]
pub struct RequestKey<'a> {
    /// As in the trail.
    pub actor: &'a str,
    /// For which tenant; none for what belongs to no tenant.
    pub tenant: Option<TenantId>,
    /// What was called.
    pub method: &'a str,
    /// The caller's id of the request.
    pub request_id: &'a str,
}

/// Creates that were asked for with a request id.
pub trait Requests: Send + Sync {
    /// What a request asked, as its hash, and the id of what it made.
    fn find(&self, key: &RequestKey<'_>) -> StoreResult<Option<([u8; 32], String)>>;
}
