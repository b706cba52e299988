//! Checkpoints of the audit trail, and what is kept of one whose beginning was given up.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::audit::chain::{self, Hash};
use crate::audit::checkpoint::Checkpoint;
use crate::audit::key::{KeyError, Signer};
use crate::store::sqlite::trail;

/// What the trail begins with: the epoch of the store's first day.
pub(super) fn beginning(connection: &Connection) -> rusqlite::Result<[u8; 16]> {
    connection.query_row("SELECT coalesce(trail_epoch, epoch) FROM store_meta", [], |row| row.get(0))
}

fn from_row(beginning: [u8; 16]) -> impl Fn(&Row<'_>) -> rusqlite::Result<Checkpoint> {
    move |row| {
        Ok(Checkpoint {
            beginning,
            sequence: u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0),
            key: row.get(1)?,
            at_ms: row.get(2)?,
            head: row.get(3)?,
            signature: row.get(4)?,
        })
    }
}

const COLUMNS: &str = "sequence, public_key, at_ms, head, signature";

/// The checkpoint before which events were given up.
pub(super) fn base(connection: &Connection) -> rusqlite::Result<Option<Checkpoint>> {
    let beginning = beginning(connection)?;
    let sql = format!("SELECT {COLUMNS} FROM audit_base");
    connection.prepare_cached(&sql)?.query_row([], from_row(beginning)).optional()
}

/// Checkpoints after an event, in the order of events, oldest key first.
pub(super) fn after(connection: &Connection, sequence: u64, limit: u32) -> rusqlite::Result<Vec<Checkpoint>> {
    let beginning = beginning(connection)?;
    let sql = format!(
        "SELECT {COLUMNS} FROM audit_checkpoints WHERE sequence > ?1 ORDER BY sequence, at_ms, public_key LIMIT ?2"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_map(params![number(sequence), limit], from_row(beginning))?.collect()
}

/// The last checkpoint at or before an event.
pub(super) fn last(connection: &Connection, at_most: u64) -> rusqlite::Result<Option<Checkpoint>> {
    let beginning = beginning(connection)?;
    let sql = format!(
        "SELECT {COLUMNS} FROM audit_checkpoints WHERE sequence <= ?1 ORDER BY sequence DESC, at_ms DESC LIMIT 1"
    );
    connection.prepare_cached(&sql)?.query_row([number(at_most)], from_row(beginning)).optional()
}

pub(super) fn add(connection: &Connection, checkpoint: &Checkpoint) -> rusqlite::Result<()> {
    // Another process may have signed the same.
    let sql = format!("INSERT OR IGNORE INTO audit_checkpoints ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5)");
    let Checkpoint { sequence, key, at_ms, head, signature, .. } = checkpoint;
    connection.prepare_cached(&sql)?.execute(params![number(*sequence), key, at_ms, head, signature]).map(drop)
}

/// Gives up the events and checkpoints up to a checkpoint, which stays.
pub(super) fn give_up(connection: &Connection, base: &Checkpoint) -> rusqlite::Result<u64> {
    let Checkpoint { sequence, key, at_ms, head, signature, .. } = base;
    connection.execute(
        &format!("INSERT OR REPLACE INTO audit_base (id, {COLUMNS}) VALUES (1, ?1, ?2, ?3, ?4, ?5)"),
        params![number(*sequence), key, at_ms, head, signature],
    )?;
    connection.execute("DELETE FROM audit_checkpoints WHERE sequence <= ?1", [number(*sequence)])?;
    let events = connection.execute("DELETE FROM audit_events WHERE sequence <= ?1", [number(*sequence)])?;
    Ok(events as u64)
}

/// What became of an attempt to sign.
pub(super) enum Signed {
    /// The head was signed already, or there is nothing.
    Already,
    /// Now it is.
    Now(Box<Checkpoint>),
    /// The tail does not follow from what was signed last: nothing is signed on top of it.
    Damaged(chain::Damage),
}

/// Signs the head, if what came since the last checkpoint follows from it.
pub(super) fn sign(
    connection: &Connection,
    load: impl FnOnce() -> Result<Signer, KeyError>,
    at_ms: i64,
) -> Result<Signed, Box<dyn std::error::Error + Send + Sync>> {
    let Some((head, _)) = trail::head(connection)? else { return Ok(Signed::Already) };
    let beginning = beginning(connection)?;
    let signed = last(connection, head)?.or(base(connection)?);
    let (from, hash): (u64, Hash) =
        signed.as_ref().map_or_else(|| (0, chain::genesis(&beginning)), |signed| (signed.sequence, signed.head));
    if from >= head {
        return Ok(Signed::Already);
    }
    let mut walk = chain::Walk::after(from, hash);
    if let Some(damage) = trail::follow(connection, &mut walk)? {
        return Ok(Signed::Damaged(damage));
    }
    let (sequence, hash) = walk.head();
    let checkpoint = load()?.checkpoint(beginning, sequence, hash, at_ms);
    add(connection, &checkpoint)?;
    Ok(Signed::Now(Box::new(checkpoint)))
}

pub(super) fn number(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}
