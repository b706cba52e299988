//! The decision log's file: made, brought up to date, opened to be read.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::store::sqlite::decisions::FILE_NAME;
use crate::store::sqlite::migrate::{self, MigrateError};
use crate::store::sqlite::{COMMON_PRAGMAS, OpenError, connect_reader, guard};

/// Every migration in order; its number is its place. The first finds files of before there were numbers, and leaves them
/// as they are.
const MIGRATIONS: &[(&str, &str)] = &[
    ("0001_create_decisions", include_str!("../../../../migrations/decisions/0001_create_decisions.sql")),
    ("0002_add_sources", include_str!("../../../../migrations/decisions/0002_add_sources.sql")),
];

/// Opens (or makes) the log in `data_dir` for its writer.
pub(super) fn open(data_dir: &Path) -> Result<Connection, OpenError> {
    let path = data_dir.join(FILE_NAME);
    match guard::create_file(&path) {
        Ok(()) | Err(guard::GuardError::Exists { .. }) => guard::check_file(&path)?,
        Err(error) => return Err(error.into()),
    }
    let failed = |source| OpenError::Sqlite { operation: "open", path: path.clone(), source };
    let mut connection = connect(&path).map_err(failed)?;
    migrate::apply(&mut connection, &path, MIGRATIONS)?;
    Ok(connection)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(2))?;
    connection.execute_batch(COMMON_PRAGMAS)?;
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")?;
    Ok(connection)
}

/// A log that is open to be read, beside whoever writes it.
pub(super) struct Reading {
    pub(super) connection: Connection,
    /// Whether rows say where they came from; those of a file that no process of this version wrote yet do not.
    pub(super) has_sources: bool,
}

/// Opens the log in `data_dir` to be read; none where nothing was ever decided.
pub(super) fn open_to_read(data_dir: &Path) -> Result<Option<Reading>, OpenError> {
    let path = data_dir.join(FILE_NAME);
    match guard::check_file(&path) {
        Err(guard::GuardError::NotInitialised { .. }) => return Ok(None),
        checked => checked?,
    }
    let failed = |source| OpenError::Sqlite { operation: "read", path: path.clone(), source };
    let connection = connect_reader(&path).map_err(failed)?;
    let found = migrate::version(&connection).map_err(failed)?;
    if found > MIGRATIONS.len() {
        return Err(MigrateError::Newer { path, found, known: MIGRATIONS.len() }.into());
    }
    if !connection.table_exists(None, "decisions").map_err(failed)? {
        return Ok(None);
    }
    Ok(Some(Reading { connection, has_sources: found > 1 }))
}
