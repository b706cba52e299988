//! The one thread that changes the store.
//!
//! A mutation is one transaction: the row, its audit event, its changes. It is durable (WAL, fsync) and the
//! listener has dropped what it touches before the caller hears of it. A closure that panics takes only its own
//! transaction with it.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use crate::audit::key::Signer;
use crate::domain::{AuditEvent, Change, Position, Subject};
use crate::store::sqlite::checkpoints::{self, Signed};
use crate::store::sqlite::processes::boot_id;
use crate::store::sqlite::reserve::Reserve;
use crate::store::sqlite::{OpenError, ProcessKind, Shared, requests, trail};
use crate::store::{CommitListener, Record, StoreError, StoreResult};

/// Mutations that may wait for the writer.
const QUEUE: usize = 256;
/// How often an idle writer tends the file.
const IDLE: Duration = Duration::from_secs(1);
/// How often a long-lived process says that it lives.
const HEARTBEAT_MS: i64 = 10_000;
/// How long a writer that is never idle leaves the file untended: its log grows, and its life is not told.
const BUSY: Duration = Duration::from_secs(5);
/// Pages that the writer keeps in memory, in KiB (SQLite's default).
const CACHE_KIB: u32 = 2_000;
/// The same while rows come by the ten thousand.
const CACHE_BULK_KIB: u32 = 64 * 1024;
/// Changes kept: a process that missed more drops everything.
const CHANGES_KEPT: i64 = 100_000;

type Job = Box<dyn FnOnce(&mut State) + Send>;
/// How the trail is signed.
#[derive(Clone)]
pub(super) struct Signing {
    /// The key's file.
    pub(super) key: PathBuf,
    /// A file that each checkpoint is appended to.
    pub(super) anchors: Option<PathBuf>,
}

type Listener = Arc<Mutex<Option<Arc<dyn CommitListener>>>>;

/// The sending side. Dropping it ends the thread after what is queued.
pub(super) struct Writer {
    queue: Option<SyncSender<Job>>,
    thread: Option<std::thread::JoinHandle<()>>,
    listener: Listener,
    signing: Arc<OnceLock<Signing>>,
}

struct State {
    connection: Connection,
    shared: Arc<Shared>,
    epoch: [u8; 16],
    listener: Listener,
    signing: Arc<OnceLock<Signing>>,
    heartbeat_at_ms: i64,
    kind: ProcessKind,
    reserve: Reserve,
    /// Rows came by the ten thousand: the log is long, and the cache large.
    bulk: bool,
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        shared: Arc<Shared>,
        epoch: [u8; 16],
        kind: ProcessKind,
    ) -> Result<Self, OpenError> {
        let listener: Listener = Arc::default();
        let (queue, jobs) = sync_channel::<Job>(QUEUE);
        let heartbeat_at_ms = shared.clock.wall_ms();
        let reserve = Reserve::beside(&shared.path);
        reserve.tend();
        let signing: Arc<OnceLock<Signing>> = Arc::default();
        let state = State {
            connection,
            shared,
            epoch,
            listener: Arc::clone(&listener),
            signing: Arc::clone(&signing),
            heartbeat_at_ms,
            kind,
            reserve,
            bulk: false,
        };
        let thread = std::thread::Builder::new().name("store-writer".to_owned()).spawn(move || work(state, &jobs));
        let thread = thread.map_err(|error| OpenError::System { what: error.to_string() })?;
        Ok(Self { queue: Some(queue), thread: Some(thread), listener, signing })
    }

    pub(super) fn set_listener(&self, listener: Arc<dyn CommitListener>) {
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(listener);
    }

    /// Signs the trail from now on, some time after each change. The first word counts.
    pub(super) fn set_signing(&self, signing: Signing) {
        let _ = self.signing.set(signing);
    }

    /// Signs the trail now.
    pub(super) fn sign(&self) -> StoreResult<()> {
        self.run("sign the audit trail", |state| {
            state.sign().map_err(|source| StoreError::Failed { operation: "sign the audit trail", source })
        })
    }

    /// Runs a mutation and waits until it is durable and known to every cache of this process.
    pub(super) fn commit(
        &self,
        operation: &'static str,
        record: impl Into<Record>,
        subjects: Vec<Subject>,
        change: impl FnOnce(&Transaction<'_>) -> StoreResult<()> + Send + 'static,
    ) -> StoreResult<()> {
        let Record { event, once, room: _ } = record.into();
        self.run(operation, move |state| {
            state.commit(operation, std::slice::from_ref(&event), &subjects, |transaction| {
                // First, so that a repeated create is told as that, and not as a name that is taken.
                once.map_or(Ok(()), |once| requests::take(transaction, &event, &once))?;
                change(transaction)
            })
        })
    }

    /// The same where only the change itself shows whom it is about.
    pub(super) fn commit_and_tell(
        &self,
        operation: &'static str,
        record: impl Into<Record>,
        change: impl FnOnce(&Transaction<'_>) -> StoreResult<Vec<Subject>> + Send + 'static,
    ) -> StoreResult<()> {
        let Record { event, once, room: _ } = record.into();
        self.run(operation, move |state| {
            state.commit_told(operation, std::slice::from_ref(&event), |transaction| {
                once.map_or(Ok(()), |once| requests::take(transaction, &event, &once))?;
                change(transaction)
            })
        })
    }

    /// The same for thousands of rows at once, whose pages outgrow the usual cache and log.
    pub(super) fn commit_bulk(
        &self,
        operation: &'static str,
        event: AuditEvent,
        subjects: Vec<Subject>,
        change: impl FnOnce(&Transaction<'_>) -> StoreResult<()> + Send + 'static,
    ) -> StoreResult<()> {
        self.run(operation, move |state| {
            state.keep_pages(true);
            state.commit(operation, &[event], &subjects, change)
        })
    }

    /// The same with an event for each tenant that it is about.
    pub(super) fn commit_for_all(
        &self,
        operation: &'static str,
        events: Vec<AuditEvent>,
        subjects: Vec<Subject>,
        change: impl FnOnce(&Transaction<'_>) -> StoreResult<()> + Send + 'static,
    ) -> StoreResult<()> {
        self.run(operation, move |state| state.commit(operation, &events, &subjects, change))
    }

    /// The same for what is no act of anybody's and no cached fact: no audit event, no change.
    pub(super) fn commit_unrecorded(
        &self,
        operation: &'static str,
        change: impl FnOnce(&Transaction<'_>) -> StoreResult<()> + Send + 'static,
    ) -> StoreResult<()> {
        self.run(operation, move |state| state.commit(operation, &[], &[], change))
    }

    fn run(
        &self,
        operation: &'static str,
        mutation: impl FnOnce(&mut State) -> StoreResult<()> + Send + 'static,
    ) -> StoreResult<()> {
        let (answer, answered) = sync_channel(1);
        let job: Job = Box::new(move |state| {
            let done = catch_unwind(AssertUnwindSafe(|| mutation(state)));
            let _ = answer.send(done.unwrap_or(Err(StoreError::Failed {
                operation,
                source: "the mutation panicked; nothing was changed".into(),
            })));
        });
        self.queue.as_ref().ok_or(StoreError::Closed)?.send(job).map_err(|_| StoreError::Closed)?;
        answered.recv().map_err(|_| StoreError::Closed)?
    }
}

#[cfg(test)]
impl Writer {
    /// Runs something on the writer's connection, outside any transaction.
    pub(super) fn on_connection(&self, run: impl FnOnce(&Connection) + Send + 'static) {
        let (answer, answered) = sync_channel(1);
        let job: Job = Box::new(move |state| {
            run(&state.connection);
            let _ = answer.send(());
        });
        self.queue.as_ref().unwrap().send(job).unwrap();
        answered.recv().unwrap();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Whether the disk had no room.
fn is_full(error: &StoreError) -> bool {
    let StoreError::Failed { source, .. } = error else { return false };
    let code = source.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error);
    code.is_some_and(|code| {
        code.code == rusqlite::ErrorCode::DiskFull || code.extended_code == rusqlite::ffi::SQLITE_IOERR_WRITE
    })
}

impl State {
    fn commit(
        &mut self,
        operation: &'static str,
        events: &[AuditEvent],
        subjects: &[Subject],
        change: impl FnOnce(&Transaction<'_>) -> StoreResult<()>,
    ) -> StoreResult<()> {
        self.commit_told(operation, events, |transaction| change(transaction).map(|()| subjects.to_vec()))
    }

    /// Runs a mutation. One that takes back and finds the disk full gets the reserve, and is to be tried again.
    fn commit_told(
        &mut self,
        operation: &'static str,
        events: &[AuditEvent],
        change: impl FnOnce(&Transaction<'_>) -> StoreResult<Vec<Subject>>,
    ) -> StoreResult<()> {
        match self.commit_once(operation, events, change) {
            Err(error) if is_full(&error) && self.reserve.release_for(events) => {
                tracing::error!("the disk is full: the reserve was given up so that something could be taken back");
                Err(StoreError::Conflict { what: "space on the disk" })
            }
            other => other,
        }
    }

    fn commit_once(
        &mut self,
        operation: &'static str,
        events: &[AuditEvent],
        change: impl FnOnce(&Transaction<'_>) -> StoreResult<Vec<Subject>>,
    ) -> StoreResult<()> {
        let failed = |source: rusqlite::Error| StoreError::Failed { operation, source: source.into() };
        let at_ms = self.shared.clock.wall_ms();
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let subjects = change(&transaction)?;
        for event in events {
            trail::append(&transaction, &self.epoch, event).map_err(failed)?;
        }
        let changes = record_changes(&transaction, &subjects, at_ms).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        let listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(listener) = listener
            && !changes.is_empty()
        {
            listener.committed(&changes);
        }
        Ok(())
    }

    /// Takes memory for many pages, or gives it back. Failing costs time alone.
    fn keep_pages(&mut self, bulk: bool) {
        if self.bulk != bulk {
            self.bulk = bulk;
            let kib = if bulk { CACHE_BULK_KIB } else { CACHE_KIB };
            let pragmas = format!("PRAGMA cache_size = -{kib}; PRAGMA shrink_memory;");
            let _ = self.connection.execute_batch(&pragmas);
        }
    }

    /// Signs how far the trail goes, if it goes on as it was signed before. In a long-lived process the checkpoint is a
    /// line of the log, too (rule R19).
    fn sign(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let Some(signing) = self.signing.get() else { return Ok(()) };
        let load = || Signer::load(&signing.key);
        match checkpoints::sign(&self.connection, load, self.shared.clock.wall_ms())? {
            Signed::Already => Ok(()),
            Signed::Now(checkpoint) => {
                if self.kind != ProcessKind::Command {
                    tracing::info!(checkpoint = checkpoint.to_line(), "the audit trail was signed");
                }
                let Some(anchors) = &signing.anchors else { return Ok(()) };
                let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(anchors)?;
                Ok(writeln!(file, "{}", checkpoint.to_line())?)
            }
            Signed::Damaged(damage) => Err(damage.into()),
        }
    }

    /// Moves the WAL into the database, trims the feed, says that we live. No caller waits for it but one that comes
    /// meanwhile.
    fn tend(&mut self) -> rusqlite::Result<()> {
        let now = self.shared.clock.wall_ms();
        self.reserve.tend();
        if self.kind != ProcessKind::Command && now.saturating_sub(self.heartbeat_at_ms) >= HEARTBEAT_MS {
            self.heartbeat_at_ms = now;
            self.connection.execute(
                "UPDATE processes SET heartbeat_at_ms = ?1 WHERE pid = ?2 AND boot_id = ?3",
                params![now, std::process::id(), boot_id()],
            )?;
            self.connection.execute(
                "DELETE FROM changes WHERE seq <= (SELECT seq FROM sqlite_sequence WHERE name = 'changes') - ?1",
                [CHANGES_KEPT],
            )?;
            requests::sweep(&self.connection, now)?;
        }
        if let Err(error) = self.sign() {
            tracing::error!(%error, "the audit trail could not be signed");
        }
        self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
    }

    fn leave(&mut self, tended: bool) {
        if !tended {
            // A machine that sees nothing but commands must not let its log grow; failing is as good as not trying.
            let _ = self.tend();
        }
        if self.kind != ProcessKind::Command {
            // If this fails the row goes stale, which is as good.
            let _ = self.connection.execute(
                "DELETE FROM processes WHERE pid = ?1 AND boot_id = ?2",
                params![std::process::id(), boot_id()],
            );
        }
    }
}

fn work(mut state: State, jobs: &Receiver<Job>) {
    let mut untended_since = None;
    loop {
        match jobs.recv_timeout(IDLE) {
            Ok(job) => {
                let now = Duration::from_nanos(state.shared.clock.boot_ns());
                job(&mut state);
                let since = *untended_since.get_or_insert(now);
                if !state.bulk && now.saturating_sub(since) < BUSY {
                    continue;
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                state.keep_pages(false);
                let due = state.shared.clock.wall_ms().saturating_sub(state.heartbeat_at_ms) >= HEARTBEAT_MS;
                if untended_since.is_none() && !due {
                    continue;
                }
            }
            Err(RecvTimeoutError::Disconnected) => return state.leave(untended_since.is_none()),
        }
        if let Err(error) = state.tend() {
            tracing::warn!(%error, "the store could not be tended; it will be tried again");
        }
        untended_since = None;
    }
}

fn record_changes(transaction: &Transaction<'_>, subjects: &[Subject], at_ms: i64) -> rusqlite::Result<Vec<Change>> {
    let mut insert = transaction
        .prepare_cached("INSERT INTO changes (subject_kind, subject_id, at_ms) VALUES (?1, ?2, ?3) RETURNING seq")?;
    let changes = subjects.iter().map(|&subject| {
        let seq: i64 = insert.query_row(params![subject.kind(), subject.id_text(), at_ms], |row| row.get(0))?;
        Ok(Change { position: Position(u64::try_from(seq).unwrap_or(0)), subject, at_ms })
    });
    changes.collect()
}
