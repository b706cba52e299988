//! Copies of a live store, and what is looked at before one is believed.

use std::fs::File;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use crate::store::sqlite::{OpenError, SqliteStore, connect_reader, guard, migrate, trail};

/// Pages copied at once, between which the thread breathes.
const PAGES: i32 = 4_096;

/// What a database holds, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Its schema.
    pub schema: usize,
    /// Credentials in it.
    pub credentials: u64,
    /// The last audit event's number.
    pub trail_length: u64,
    /// The last audit event's hash.
    pub trail_head: Option<[u8; 32]>,
    /// Findings; none means whole.
    pub damage: Vec<String>,
}

/// Looks through a whole database: its pages, its references, its trail. Takes a while on a large one.
///
/// # Errors
/// When it cannot be read at all.
pub fn inspect(path: &Path) -> Result<Inspection, OpenError> {
    let failed = |source| OpenError::Corrupt { path: path.to_owned(), source };
    let connection = connect_reader(path).map_err(failed)?;
    inspect_connection(&connection).map_err(failed)
}

fn inspect_connection(connection: &Connection) -> rusqlite::Result<Inspection> {
    super::reader::in_snapshot(connection, |connection| {
        let mut damage = Vec::new();
        let mut pages = connection.prepare("PRAGMA integrity_check(10)")?;
        for finding in pages.query_map([], |row| row.get::<_, String>(0))? {
            damage.extend(Some(finding?).filter(|text| text != "ok"));
        }
        let mut references = connection.prepare("PRAGMA foreign_key_check")?;
        let mut broken = references.query([])?;
        if let Some(row) = broken.next()? {
            damage.push(format!("a row of {} refers to one that is not there", row.get::<_, String>(0)?));
        }
        let lonely: i64 = connection.query_row(
            "SELECT count(*) FROM credentials AS c LEFT JOIN verifiers AS v ON v.row_id = c.row_id \
             WHERE v.row_id IS NULL",
            [],
            |row| row.get(0),
        )?;
        if lonely > 0 {
            damage.push(format!("{lonely} credentials have no verifier"));
        }
        let schema = migrate::version(connection)?;
        let (trail_length, trail_head) = match trail::verify(connection)? {
            Ok(head) => head,
            Err(found) => {
                damage.push(format!("the audit trail: {found}"));
                (0, None)
            }
        };
        let count = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        let credentials = u64::try_from(count("SELECT count(*) FROM credentials")?).unwrap_or(0);
        Ok(Inspection { schema, credentials, trail_length, trail_head, damage })
    })
}

impl SqliteStore {
    /// Copies the store as it is at one moment to a new file, and looks the copy through. Others go on meanwhile. The
    /// pepper is not in it. Durable when it returns; nothing is left when it fails.
    ///
    /// # Errors
    /// When the file exists, cannot be written, or the copy is damaged.
    pub fn backup(&self, to: &Path) -> Result<Inspection, OpenError> {
        if to.symlink_metadata().is_ok() {
            return Err(guard::GuardError::Exists { path: to.to_owned() }.into());
        }
        let mut beside = to.as_os_str().to_owned();
        beside.push(".partial");
        let beside = PathBuf::from(beside);
        guard::create_file(&beside)?;
        let copied = self.copy_to(&beside).and_then(|inspection| {
            put_in_place(&beside, to)?;
            Ok(inspection)
        });
        if copied.is_err() {
            let _ = std::fs::remove_file(&beside);
        }
        copied
    }

    fn copy_to(&self, to: &Path) -> Result<Inspection, OpenError> {
        let sqlite = |operation| {
            let path = to.to_owned();
            move |source| OpenError::Sqlite { operation, path, source }
        };
        let source = connect_reader(&self.shared.path).map_err(sqlite("read the store for"))?;
        // One snapshot for the whole copy: without it each commit of another process starts it again.
        source.execute_batch("BEGIN; SELECT count(*) FROM store_meta;").map_err(sqlite("read the store for"))?;
        let mut copy = Connection::open(to).map_err(sqlite("open"))?;
        let backup = Backup::new(&source, &mut copy).map_err(sqlite("write"))?;
        loop {
            match backup.step(PAGES).map_err(sqlite("write"))? {
                StepResult::Done => break,
                StepResult::More => {}
                _ => std::thread::sleep(std::time::Duration::from_millis(20)),
            }
        }
        drop(backup);
        // One file, not three.
        copy.execute_batch("PRAGMA journal_mode = DELETE;").map_err(sqlite("write"))?;
        let inspection = inspect_connection(&copy).map_err(sqlite("check"))?;
        drop(copy);
        if let Some(damage) = inspection.damage.first() {
            return Err(OpenError::Damaged { path: to.to_owned(), damage: damage.clone() });
        }
        File::open(to).and_then(|file| file.sync_all()).map_err(|source| guard::GuardError::Io {
            operation: "sync",
            path: to.to_owned(),
            source,
        })?;
        Ok(inspection)
    }
}

/// A link never replaces anything.
fn put_in_place(from: &Path, to: &Path) -> Result<(), OpenError> {
    let io = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::AlreadyExists => guard::GuardError::Exists { path: to.to_owned() },
        _ => guard::GuardError::Io { operation: "make", path: to.to_owned(), source },
    };
    std::fs::hard_link(from, to).map_err(io)?;
    let _ = std::fs::remove_file(from);
    let dir = to.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io)?;
    Ok(())
}
