//! The trail as lines of JSON: what `audit list` prints, and what `audit export` writes for another machine.

use serde::{Deserialize, Serialize};

use crate::audit::checkpoint::Checkpoint;
use crate::audit::verify::Stored;
use crate::domain::event::{Actor, DetailKey};
use crate::domain::{Action, AuditEvent, Subject, TenantId, hex};

/// The first line of an export.
#[derive(Serialize, Deserialize)]
pub struct Header {
    /// The format's version.
    pub latchkey_audit: u8,
    /// What the trail begins with, 32 hexadecimal digits.
    pub beginning: String,
    /// The checkpoint before which events were given up, as a line of its own inside this one.
    pub base: Option<String>,
}

impl Header {
    /// Of a trail that begins so.
    pub fn new(beginning: &[u8; 16], base: Option<&Checkpoint>) -> Self {
        Self { latchkey_audit: 1, beginning: hex::encode(beginning), base: base.map(Checkpoint::to_line) }
    }

    /// What it says; none where it does not read as such a line.
    pub fn understood(&self) -> Option<([u8; 16], Option<Checkpoint>)> {
        let beginning = hex::array(&self.beginning)?;
        let base = match &self.base {
            Some(line) => Some(Checkpoint::parse(line)?),
            None => None,
        };
        (self.latchkey_audit == 1).then_some((beginning, base))
    }
}

/// An event as a line. Every field but `at` is hashed.
#[derive(Serialize, Deserialize)]
pub struct EventLine {
    /// Its number.
    pub sequence: u64,
    /// When, for people; `at_ms` is what counts.
    pub at: String,
    /// When, milliseconds since the epoch.
    pub at_ms: i64,
    /// Who: `local:UID`, `operator:ID`, `studio`, `system`.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// To what kind of thing.
    pub subject_kind: String,
    /// To which one.
    pub subject_id: String,
    /// Whose it is.
    pub tenant_id: Option<String>,
    /// What else is worth keeping.
    pub details: Vec<(String, String)>,
    /// Ties the event to a request.
    pub request_id: String,
    /// 64 hexadecimal digits.
    pub hash: String,
}

impl EventLine {
    /// Of an event in its place; `at` as people read it.
    pub fn new(sequence: u64, event: &AuditEvent, hash: &[u8; 32], at: String) -> Self {
        Self {
            sequence,
            at,
            at_ms: event.at_ms,
            actor: event.actor.to_text(),
            action: event.action.as_str().to_owned(),
            subject_kind: event.subject.kind().to_owned(),
            subject_id: event.subject.id_text(),
            tenant_id: event.tenant.map(|tenant| tenant.to_string()),
            details: event.details.iter().map(|(key, value)| (key.as_str().to_owned(), value.clone())).collect(),
            request_id: event.request_id.clone(),
            hash: hex::encode(hash),
        }
    }

    /// The event; without one where a field does not read as what it should be.
    pub fn stored(&self) -> Stored {
        let hash = hex::array(&self.hash);
        let event = hash.and_then(|_| self.event());
        Stored { sequence: self.sequence, hash: hash.unwrap_or([0; 32]), event }
    }

    fn event(&self) -> Option<AuditEvent> {
        let details = self.details.iter().map(|(key, value)| Some((DetailKey::parse(key)?, value.clone())));
        let tenant = match &self.tenant_id {
            Some(id) => Some(id.parse::<TenantId>().ok()?),
            None => None,
        };
        Some(AuditEvent {
            at_ms: self.at_ms,
            actor: Actor::parse(&self.actor)?,
            action: Action::parse(&self.action)?,
            subject: Subject::parse(&self.subject_kind, &self.subject_id)?,
            tenant,
            details: details.collect::<Option<_>>()?,
            request_id: self.request_id.clone(),
        })
    }
}
