//! Which processes have the store open: all of one kernel (rule R10).

use std::path::Path;

use rusqlite::{Connection, params};

use crate::store::sqlite::{OpenError, ProcessKind};

/// A heartbeat older than this is a dead process's.
pub(super) const DEAD_AFTER_MS: i64 = 30_000;

/// Refuses a store that a live process of another boot has open, forgets dead ones, and enters this process
/// if it is long-lived (rule R10).
pub(super) fn register(connection: &Connection, path: &Path, options: &super::OpenOptions) -> Result<(), OpenError> {
    let failed = |source| OpenError::Sqlite { operation: "register with", path: path.to_owned(), source };
    let (now, boot) = (options.clock.wall_ms(), boot_id());
    let other: Result<i64, _> = connection.query_row(
        "SELECT pid FROM processes WHERE boot_id <> ?1 AND heartbeat_at_ms > ?2",
        params![boot, now.saturating_sub(DEAD_AFTER_MS)],
        |row| row.get(0),
    );
    match other {
        Ok(pid) => return Err(OpenError::OtherKernel { path: path.to_owned(), pid }),
        Err(rusqlite::Error::QueryReturnedNoRows) => {}
        Err(error) => return Err(failed(error)),
    }
    if options.kind == ProcessKind::Command {
        return Ok(());
    }
    connection
        .execute("DELETE FROM processes WHERE heartbeat_at_ms <= ?1", [now.saturating_sub(DEAD_AFTER_MS)])
        .map_err(failed)?;
    connection
        .execute(
            "INSERT OR REPLACE INTO processes (pid, boot_id, kind, started_at_ms, heartbeat_at_ms) VALUES (?1, ?2, ?3, ?4, ?4)",
            params![std::process::id(), boot, options.kind.as_str(), now],
        )
        .map_err(failed)?;
    Ok(())
}

/// Names this boot of this kernel; empty where the system has no such thing.
pub(super) fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}
