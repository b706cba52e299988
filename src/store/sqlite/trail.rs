//! The audit trail's rows: appended in the transaction of the change, chained to the row before.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::audit::chain;
use crate::domain::event::{Actor, DetailKey};
use crate::domain::{Action, AuditEvent, Subject, TenantId};
use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::rows::{convert, json, to_json};
use crate::store::{Audit, ChainedEvent, StoreResult};

const COLUMNS: &str = "sequence, at_ms, actor, action, subject_kind, subject_id, tenant_id, details, request_id, hash";

/// Appends one event after the last.
pub(super) fn append(connection: &Connection, epoch: &[u8; 16], event: &AuditEvent) -> rusqlite::Result<()> {
    let (last, previous) = head(connection)?.unwrap_or_else(|| (0, chain::genesis(epoch)));
    let sequence = last + 1;
    let hash = chain::hash(&previous, sequence, event);
    let details: Vec<(&str, &str)> = event.details.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let mut insert = connection.prepare_cached(&format!(
        "INSERT INTO audit_events ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
    ))?;
    insert
        .execute(params![
            i64::try_from(sequence).unwrap_or(i64::MAX),
            event.at_ms,
            event.actor.to_text(),
            event.action.as_str(),
            event.subject.kind(),
            event.subject.id_text(),
            event.tenant.as_ref().map(TenantId::as_bytes),
            to_json(&details),
            event.request_id,
            hash
        ])
        .map(drop)
}

fn head(connection: &Connection) -> rusqlite::Result<Option<(u64, [u8; 32])>> {
    let mut statement =
        connection.prepare_cached("SELECT sequence, hash FROM audit_events ORDER BY sequence DESC LIMIT 1")?;
    statement.query_row([], |row| Ok((u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0), row.get(1)?))).optional()
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<ChainedEvent> {
    let details: Vec<(String, String)> = json(row, 7, "details")?;
    let details = details.into_iter().map(|(key, value)| DetailKey::parse(&key).map(|key| (key, value)));
    let details = details.collect::<Option<Vec<_>>>();
    let subject_id: String = row.get(5)?;
    let event = AuditEvent {
        at_ms: row.get(1)?,
        actor: convert(row, 2, "actor", |text: String| Actor::parse(&text))?,
        action: convert(row, 3, "action", |text: String| Action::parse(&text))?,
        subject: convert(row, 4, "subject", |kind: String| Subject::parse(&kind, &subject_id))?,
        tenant: row.get::<_, Option<[u8; 16]>>(6)?.map(TenantId::from_bytes),
        details: convert(row, 7, "details", |_: String| details)?,
        request_id: row.get(8)?,
    };
    Ok(ChainedEvent { sequence: u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0), event, hash: row.get(9)? })
}

/// Walks the whole trail; the number and hash of its last event, or what is wrong with it.
#[expect(clippy::type_complexity, reason = "what can be wrong is not an error of the database")]
pub(super) fn verify(connection: &Connection) -> rusqlite::Result<Result<(u64, Option<[u8; 32]>), chain::Damage>> {
    let beginning =
        connection.query_row("SELECT coalesce(trail_epoch, epoch) FROM store_meta", [], |row| row.get(0))?;
    let mut walk = chain::Walk::new(&beginning);
    let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM audit_events ORDER BY sequence"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let ChainedEvent { sequence, event, hash } = from_row(row)?;
        if let Err(damage) = walk.step(sequence, &event, &hash) {
            return Ok(Err(damage));
        }
    }
    let (length, head) = walk.head();
    Ok(Ok((length, (length > 0).then_some(head))))
}

impl Audit for SqliteStore {
    fn list(&self, after: u64, limit: u32) -> StoreResult<Vec<ChainedEvent>> {
        self.read("list audit events", |connection| {
            let sql = format!("SELECT {COLUMNS} FROM audit_events WHERE sequence > ?1 ORDER BY sequence LIMIT ?2");
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_map(params![i64::try_from(after).unwrap_or(i64::MAX), limit], from_row)?.collect()
        })
    }

    fn note(&self, event: AuditEvent) -> StoreResult<()> {
        self.writer.commit("note an event", event, Vec::new(), |_| Ok(()))
    }

    fn head(&self) -> StoreResult<Option<(u64, [u8; 32])>> {
        self.read("read the head of the audit trail", head)
    }
}
