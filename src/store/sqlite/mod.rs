//! The store in one SQLite file: WAL, one writer thread, readers inline.
//!
//! `SqliteStore` is cheap to share. Mutations go to `writer`, which commits row, audit event and change
//! together, durably, and tells the listener before it answers. Reads run on the calling thread over
//! `reader`'s connection of that thread. [`guard`] decides whether a directory may be opened at all;
//! no code but SQLite opens the database, its WAL or its shared memory while it is in use (closing any
//! handle on them would drop SQLite's locks).

mod aggregates;
pub mod backup;
mod checkpoints;
mod credentials;
pub mod decisions;
mod directory;
mod error;
mod feed;
pub mod guard;
mod host_copy;
mod imports;
mod issuers;
mod linked;
mod links;
pub mod lock;
pub mod migrate;
mod operators;
mod peppers;
mod processes;
mod reader;
mod requests;
pub mod reserve;
mod rows;
mod tenants;
mod tokens;
mod trail;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::Connection;

use crate::clock::{Clock, Entropy};
use crate::domain::{AuditEvent, CredentialId, PepperFingerprint, Position};
use crate::store::{CommitListener, StoreError, StoreResult};

pub use error::OpenError;
pub use guard::{FileSystem, GuardError};
pub use links::NewKeys;
pub use migrate::MigrateError;

/// The database's name in the data directory.
pub const FILE_NAME: &str = "latchkey.db";
/// How long a statement waits for another process's commit.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// What a process opens the store for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProcessKind {
    /// One command; leaves no trace of its process.
    Command,
    /// Started by a host.
    Plugin,
    /// A server of its own.
    Serve,
}

impl ProcessKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Plugin => "plugin",
            Self::Serve => "serve",
        }
    }
}

/// How to open a store.
pub struct OpenOptions {
    /// Permits tmpfs and overlay file systems.
    pub dev: bool,
    /// Who opens it.
    pub kind: ProcessKind,
    /// The machine's clocks.
    pub clock: Arc<dyn Clock>,
    /// The machine's randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// What every part of one open store shares.
struct Shared {
    path: PathBuf,
    realm: String,
    instance: u64,
    reads: AtomicU64,
    /// The highest number of a credential's row that was seen.
    rows: AtomicI64,
    clock: Arc<dyn Clock>,
}

impl Shared {
    /// The number of some row, to be read in the place of a credential that is not there.
    fn other_row(&self, id: CredentialId) -> i64 {
        let rows = self.rows.load(Ordering::Relaxed).max(1);
        let drawn = u64::from_be_bytes(*id.as_bytes().last_chunk().unwrap_or(&[0; 8]));
        i64::try_from(drawn % rows.unsigned_abs()).unwrap_or(0) + 1
    }
}

/// The store.
pub struct SqliteStore {
    shared: Arc<Shared>,
    // Dropped before the writer: whoever closes the database last folds its write-ahead log in, and a reader cannot.
    feed: feed::FeedReader,
    writer: writer::Writer,
    pepper_fingerprint: PepperFingerprint,
    epoch: [u8; 16],
    // Last: given back when nothing of the store is open any more.
    _lock: lock::DirLock,
}

static INSTANCES: AtomicU64 = AtomicU64::new(1);

impl SqliteStore {
    /// Makes a new store in `dir`, which must exist and be ours alone, with `event` as the first of its trail. Durable
    /// when it returns.
    ///
    /// # Errors
    /// When there is one already, or the directory is not fit.
    pub fn create(
        dir: &Path,
        realm: &str,
        keys: impl Into<NewKeys>,
        event: &AuditEvent,
        options: OpenOptions,
    ) -> Result<Self, OpenError> {
        guard::check_dir(dir, options.dev)?;
        let path = dir.join(FILE_NAME);
        guard::create_file(&path)?;
        let mut connection = connect_writer(&path)?;
        migrate::up(&mut connection, &path)?;
        let mut epoch = [0; 16];
        options.entropy.fill(&mut epoch).map_err(|error| OpenError::System { what: error.to_string() })?;
        let NewKeys { pepper, subject_key } = keys.into();
        let initialise = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            transaction.execute(
                "INSERT INTO store_meta (id, epoch, realm, pepper_fingerprint, created_at_ms, subject_key) \
                 VALUES (1, ?1, ?2, ?3, ?4, ?5)",
                rusqlite::params![epoch, realm, pepper.0, options.clock.wall_ms(), subject_key.map(|key| key.0)],
            )?;
            transaction.execute(
                "INSERT INTO peppers (fingerprint, added_at_ms) VALUES (?1, ?2)",
                rusqlite::params![pepper.0, options.clock.wall_ms()],
            )?;
            trail::append(&transaction, &epoch, event)?;
            transaction.commit()
        };
        initialise(&mut connection).map_err(|source| OpenError::Sqlite {
            operation: "initialise",
            path: path.clone(),
            source,
        })?;
        drop(connection);
        Self::open(dir, options)
    }

    /// Opens the store in `dir`, migrating it to this version's schema.
    ///
    /// # Errors
    /// What is wrong and what to do about it.
    pub fn open(dir: &Path, options: OpenOptions) -> Result<Self, OpenError> {
        guard::check_dir(dir, options.dev)?;
        let path = dir.join(FILE_NAME);
        guard::check_file(&path)?;
        let lock = lock::shared(dir)?;
        let identity = guard::identity(&path)?;
        let mut connection = connect_writer(&path)?;
        migrate::up(&mut connection, &path)?;
        let meta = connection.query_row("SELECT epoch, realm, pepper_fingerprint FROM store_meta", [], |row| {
            Ok((row.get::<_, [u8; 16]>(0)?, row.get::<_, String>(1)?, row.get::<_, [u8; 16]>(2)?))
        });
        let (epoch, realm, pepper) = meta.map_err(|source| OpenError::Corrupt { path: path.clone(), source })?;
        processes::register(&connection, &path, &options)?;
        let instance = INSTANCES.fetch_add(1, Ordering::Relaxed);
        let rows = connection.query_row("SELECT coalesce(max(row_id), 0) FROM credentials", [], |row| row.get(0));
        let rows = rows.map_err(|source| OpenError::Corrupt { path: path.clone(), source })?;
        let shared = Arc::new(Shared {
            path: path.clone(),
            realm,
            instance,
            reads: AtomicU64::new(0),
            rows: AtomicI64::new(rows),
            clock: options.clock,
        });
        let feed = feed::FeedReader::open(&path, identity, epoch)?;
        let writer = writer::Writer::start(connection, Arc::clone(&shared), epoch, options.kind)?;
        Ok(Self { shared, feed, writer, pepper_fingerprint: PepperFingerprint(pepper), epoch, _lock: lock })
    }

    /// Gives the store another epoch, after a restore: whoever held facts of the one before drops them. The trail goes on.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn renew_epoch(&self, event: AuditEvent, epoch: [u8; 16]) -> StoreResult<()> {
        const OPERATION: &str = "renew the epoch";
        self.writer.commit(OPERATION, event, vec![crate::domain::Subject::Everything], move |transaction| {
            let renew = "UPDATE store_meta SET trail_epoch = coalesce(trail_epoch, epoch), epoch = ?1";
            transaction.execute(renew, [epoch]).map_err(store_error(OPERATION, "store"))?;
            transaction.execute("DELETE FROM processes", []).map(drop).map_err(store_error(OPERATION, "store"))
        })
    }

    /// Long-lived processes that have the store open, as far as they said so lately: their ids and kinds.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn processes(&self) -> StoreResult<Vec<(u32, String)>> {
        let since = self.shared.clock.wall_ms().saturating_sub(processes::DEAD_AFTER_MS);
        self.read("list processes", |connection| {
            let mut statement =
                connection.prepare_cached("SELECT pid, kind FROM processes WHERE heartbeat_at_ms > ?1 ORDER BY pid")?;
            statement.query_map([since], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
    }

    /// When the last change was committed, milliseconds since the epoch.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn last_change_ms(&self) -> StoreResult<Option<i64>> {
        self.read("read the last change", |connection| {
            connection.query_row("SELECT max(at_ms) FROM changes", [], |row| row.get(0))
        })
    }

    /// Closes a store that nobody else uses, and leaves one whole file: for moving it.
    ///
    /// # Errors
    /// When somebody has it open, so that its write-ahead log stays.
    pub fn close(self) -> Result<(), OpenError> {
        let path = self.shared.path.clone();
        drop(self);
        let mut wal = path.into_os_string();
        wal.push("-wal");
        if Path::new(&wal).exists() {
            return Err(OpenError::System { what: "the store is still in use".to_owned() });
        }
        Ok(())
    }

    /// Who is told of each commit. One listener; a later one replaces it.
    pub fn set_listener(&self, listener: Arc<dyn CommitListener>) {
        self.writer.set_listener(listener);
    }

    /// Signs the trail with the key in this file, some time after each change, and appends what was signed to `anchors`.
    pub fn sign_with(&self, key: PathBuf, anchors: Option<PathBuf>) {
        self.writer.set_signing(writer::Signing { key, anchors });
    }

    /// Signs the trail now.
    ///
    /// # Errors
    /// When the key cannot be read, or the trail does not go on as it was signed before.
    pub fn sign_now(&self) -> StoreResult<()> {
        self.writer.sign()
    }

    /// The pepper that this store was made with.
    pub fn pepper_fingerprint(&self) -> PepperFingerprint {
        self.pepper_fingerprint
    }

    /// The store's random epoch: another one after a restore.
    pub fn epoch(&self) -> [u8; 16] {
        self.epoch
    }

    /// Where the feed stands.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn position(&self) -> StoreResult<Position> {
        self.feed.position()
    }

    /// Point reads of credentials so far: the same for every kind of refusal (control A5).
    pub fn reads(&self) -> u64 {
        self.shared.reads.load(Ordering::Relaxed)
    }

    fn read<T>(
        &self,
        operation: &'static str,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> StoreResult<T> {
        reader::with(&self.shared, operation, read)
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        // So that the writer, which goes last, can fold the write-ahead log in: one command leaves one file.
        reader::forget(&self.shared);
    }
}

/// Settings of every connection. Temporary tables stay in memory, so that `SQLITE_TMPDIR` is never used
/// (rule R17); no memory map, so that an I/O error is an error and not a signal (rule R10).
const COMMON_PRAGMAS: &str = "PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0; PRAGMA trusted_schema = OFF; \
     PRAGMA foreign_keys = ON; PRAGMA cell_size_check = ON;";

fn connect_writer(path: &Path) -> Result<Connection, OpenError> {
    use rusqlite::OpenFlags;
    let failed = |operation| {
        move |source: rusqlite::Error| match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => {
                OpenError::Corrupt { path: path.to_owned(), source }
            }
            _ => OpenError::Sqlite { operation, path: path.to_owned(), source },
        }
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags).map_err(failed("open"))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed("configure"))?;
    connection.execute_batch(COMMON_PRAGMAS).map_err(failed("configure"))?;
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; \
             PRAGMA wal_autocheckpoint = 0;",
        )
        .map_err(failed("open"))?;
    Ok(connection)
}

fn connect_reader(path: &Path) -> rusqlite::Result<Connection> {
    use rusqlite::OpenFlags;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    // Readers wait for nobody but a checkpoint that restarts the WAL, which takes microseconds.
    connection.busy_timeout(Duration::from_millis(100))?;
    connection.execute_batch(COMMON_PRAGMAS)?;
    // Plans must not depend on what is bound: without this some statements are parsed anew at each execution.
    connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Inner pages of the indexes stay in memory up to millions of keys; leaves come from the system's cache.
    connection.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -8192;")?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// What a failed statement means to the caller. `what` names the thing that was to be written.
fn store_error(operation: &'static str, what: &'static str) -> impl FnOnce(rusqlite::Error) -> StoreError {
    use rusqlite::ffi;
    move |source| match source.sqlite_error().map(|error| error.extended_code) {
        Some(ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY) => StoreError::Exists { what },
        Some(ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => StoreError::Missing { what: "tenant" },
        _ => StoreError::Failed { operation, source: source.into() },
    }
}

#[cfg(test)]
#[path = "sqlite_tests.rs"]
mod tests;
