//! The audit trail's rows: appended in the transaction of the change, chained to the row before.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::audit::chain;
use crate::audit::checkpoint::Checkpoint;
use crate::audit::verify::Stored;
use crate::domain::event::{Actor, DetailKey};
use crate::domain::{Action, AuditEvent, Subject, TenantId};
use crate::store::sqlite::checkpoints::{self, number};
use crate::store::sqlite::rows::{convert, json, to_json};
use crate::store::sqlite::{SqliteStore, store_error};
use crate::store::{Audit, ChainedEvent, StoreResult};

/// Events that a walk takes at once.
const PAGE: u32 = 1_000;
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
            number(sequence),
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

/// The last event; of a trail that was given up to its end, what it was given up for.
pub(super) fn head(connection: &Connection) -> rusqlite::Result<Option<(u64, [u8; 32])>> {
    let mut statement =
        connection.prepare_cached("SELECT sequence, hash FROM audit_events ORDER BY sequence DESC LIMIT 1")?;
    let last = statement
        .query_row([], |row| Ok((u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0), row.get(1)?)))
        .optional()?;
    match last {
        Some(last) => Ok(Some(last)),
        None => Ok(checkpoints::base(connection)?.map(|base| (base.sequence, base.head))),
    }
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

/// Events after `after` as they lie there, at most `limit`.
pub(super) fn stored(connection: &Connection, after: u64, limit: u32) -> rusqlite::Result<Vec<Stored>> {
    let sql = format!("SELECT {COLUMNS} FROM audit_events WHERE sequence > ?1 ORDER BY sequence LIMIT ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params![number(after), limit], |row| {
        let sequence = u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0);
        let hash = row.get(9).unwrap_or([0; 32]);
        Ok(Stored { sequence, hash, event: from_row(row).ok().map(|chained| chained.event) })
    })?;
    rows.collect()
}

/// Takes a walk on to the last event; what is wrong on the way.
pub(super) fn follow(connection: &Connection, walk: &mut chain::Walk) -> rusqlite::Result<Option<chain::Damage>> {
    loop {
        let page = stored(connection, walk.head().0, PAGE)?;
        if page.is_empty() {
            return Ok(None);
        }
        for Stored { sequence, hash, event } in page {
            let step = event
                .as_ref()
                .map_or(Err(chain::Damage::Changed { sequence }), |event| walk.step(sequence, event, &hash));
            if let Err(damage) = step {
                return Ok(Some(damage));
            }
        }
    }
}

/// Walks the whole trail; the number and hash of its last event, or what is wrong with it. Signatures are another matter.
#[expect(clippy::type_complexity, reason = "what can be wrong is not an error of the database")]
pub(super) fn verify(connection: &Connection) -> rusqlite::Result<Result<(u64, Option<[u8; 32]>), chain::Damage>> {
    let base = checkpoints::base(connection)?;
    let mut walk = match &base {
        Some(base) => chain::Walk::after(base.sequence, base.head),
        None => chain::Walk::new(&checkpoints::beginning(connection)?),
    };
    if let Some(damage) = follow(connection, &mut walk)? {
        return Ok(Err(damage));
    }
    let (length, head) = walk.head();
    Ok(Ok((length, (length > 0).then_some(head))))
}

impl Audit for SqliteStore {
    fn list(&self, after: u64, limit: u32) -> StoreResult<Vec<ChainedEvent>> {
        self.read("list audit events", |connection| {
            let sql = format!("SELECT {COLUMNS} FROM audit_events WHERE sequence > ?1 ORDER BY sequence LIMIT ?2");
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_map(params![number(after), limit], from_row)?.collect()
        })
    }

    fn note(&self, event: AuditEvent) -> StoreResult<()> {
        self.writer.commit("note an event", event, Vec::new(), |_| Ok(()))
    }

    fn head(&self) -> StoreResult<Option<(u64, [u8; 32])>> {
        self.read("read the head of the audit trail", head)
    }

    fn stored(&self, after: u64, limit: u32) -> StoreResult<Vec<Stored>> {
        self.read("read audit events", |connection| stored(connection, after, limit))
    }

    fn beginning(&self) -> StoreResult<([u8; 16], Option<Checkpoint>)> {
        self.read("read the beginning of the audit trail", |connection| {
            Ok((checkpoints::beginning(connection)?, checkpoints::base(connection)?))
        })
    }

    fn checkpoints(&self, after: u64, limit: u32) -> StoreResult<Vec<Checkpoint>> {
        self.read("read checkpoints of the audit trail", |connection| checkpoints::after(connection, after, limit))
    }

    fn checkpoint_at_most(&self, sequence: u64) -> StoreResult<Option<Checkpoint>> {
        self.read("read a checkpoint of the audit trail", |connection| checkpoints::last(connection, sequence))
    }

    fn add_checkpoints(&self, signed: &[Checkpoint]) -> StoreResult<()> {
        const OPERATION: &str = "add a checkpoint";
        let signed = signed.to_vec();
        self.writer.commit_unrecorded(OPERATION, move |transaction| {
            let added = signed.iter().try_for_each(|checkpoint| checkpoints::add(transaction, checkpoint));
            added.map_err(store_error(OPERATION, "checkpoint"))
        })
    }

    fn prune(&self, base: &Checkpoint, event: AuditEvent) -> StoreResult<()> {
        const OPERATION: &str = "give up the beginning of the audit trail";
        let base = base.clone();
        self.writer.commit(OPERATION, event, Vec::new(), move |transaction| {
            checkpoints::give_up(transaction, &base).map(drop).map_err(store_error(OPERATION, "checkpoint"))
        })
    }
}
