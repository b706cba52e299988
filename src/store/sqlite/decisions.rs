//! The decision log: a database of its own, capped in size, with its own chain and writer (rule R11).
//!
//! Refusals of a known credential are kept one by one up to a rate; everything else is counted by reason and second.
//! Recording never blocks: what the queue cannot take is counted as dropped, so that kept + counted +
//! dropped = decisions.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use rusqlite::{Connection, params};
use sha2::{Digest as _, Sha256};

use crate::audit::decisions::{DecisionRecord, DecisionSink};
use crate::clock::Clock;
use crate::domain::{AppId, CredentialId, Reason, TenantId, UserId};
use crate::store::sqlite::{COMMON_PRAGMAS, OpenError, guard};

/// The database's name in the data directory.
pub const FILE_NAME: &str = "decisions.db";
/// Records that may wait for the writer.
const QUEUE: usize = 4_096;
/// Alarms kept one by one each second, at least.
const ALARMS_PER_SECOND: u32 = 10;
/// How often what was gathered is written.
const FLUSH: Duration = Duration::from_secs(1);

const SCHEMA: &str = include_str!("../../../migrations/decisions/0001_create_decisions.sql");

struct Refusal {
    at_ms: i64,
    reason: Reason,
    stage: &'static str,
    known: Option<(CredentialId, TenantId, AppId, UserId)>,
    request_id: String,
}

enum Message {
    Refused(Refusal),
    Flush(SyncSender<()>),
}

/// Counters that the writer empties each second.
#[derive(Default)]
struct Gathered {
    accepted: AtomicU64,
    dropped: AtomicU64,
}

/// The decision log of one process.
pub struct DecisionLog {
    queue: SyncSender<Message>,
    gathered: Arc<Gathered>,
    clock: Arc<dyn Clock>,
}

impl DecisionLog {
    /// Opens (or makes) the log in `data_dir` and starts its writer. At most `max_rows` rows are kept; at
    /// most `per_second` refusals of known credentials are kept one by one each second.
    ///
    /// # Errors
    /// When the database cannot be opened.
    pub fn start(data_dir: &Path, max_rows: u64, per_second: u32, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let path = data_dir.join(FILE_NAME);
        match guard::create_file(&path) {
            Ok(()) | Err(guard::GuardError::Exists { .. }) => guard::check_file(&path)?,
            Err(error) => return Err(error.into()),
        }
        let failed = |source| OpenError::Sqlite { operation: "open", path: path.clone(), source };
        let connection = connect(&path).map_err(failed)?;
        let (queue, messages) = sync_channel(QUEUE);
        let gathered = Arc::new(Gathered::default());
        let writer = Writer {
            connection,
            gathered: Arc::clone(&gathered),
            clock: Arc::clone(&clock),
            kept: Vec::new(),
            counts: HashMap::new(),
            second: 0,
            kept_this_second: 0,
            alarms_this_second: 0,
            per_second,
            max_rows,
        };
        std::thread::Builder::new()
            .name("decision-log".to_owned())
            .spawn(move || writer.work(&messages))
            .map_err(|error| OpenError::System { what: error.to_string() })?;
        Ok(Self { queue, gathered, clock })
    }

    /// Waits until what was recorded before is written, for at most `within`.
    pub fn flush(&self, within: Duration) {
        let (done, wait) = sync_channel(1);
        if self.queue.try_send(Message::Flush(done)).is_ok() {
            let _ = wait.recv_timeout(within);
        }
    }
}

impl DecisionSink for DecisionLog {
    fn record(&self, record: &DecisionRecord<'_>) {
        match record {
            DecisionRecord::Accepted => {
                self.gathered.accepted.fetch_add(1, Ordering::Relaxed);
            }
            DecisionRecord::Refused { reason, stage, known, request_id } => {
                let refusal = Refusal {
                    at_ms: self.clock.wall_ms(),
                    reason: *reason,
                    stage,
                    known: *known,
                    request_id: request_id.chars().take(128).collect(),
                };
                if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
                    self.queue.try_send(Message::Refused(refusal))
                {
                    self.gathered.dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    use rusqlite::OpenFlags;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(2))?;
    connection.execute_batch(COMMON_PRAGMAS)?;
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")?;
    connection.execute_batch(SCHEMA)?;
    Ok(connection)
}

struct Writer {
    connection: Connection,
    gathered: Arc<Gathered>,
    clock: Arc<dyn Clock>,
    kept: Vec<Refusal>,
    counts: HashMap<(i64, &'static str, &'static str), u64>,
    second: i64,
    kept_this_second: u32,
    alarms_this_second: u32,
    per_second: u32,
    max_rows: u64,
}

impl Writer {
    fn work(mut self, messages: &Receiver<Message>) {
        loop {
            match messages.recv_timeout(FLUSH) {
                Ok(Message::Refused(refusal)) => self.take(refusal),
                Ok(Message::Flush(done)) => {
                    self.write();
                    let _ = done.send(());
                }
                Err(RecvTimeoutError::Timeout) => self.write(),
                Err(RecvTimeoutError::Disconnected) => {
                    self.write();
                    return;
                }
            }
        }
    }

    fn take(&mut self, refusal: Refusal) {
        let second = refusal.at_ms / 1000;
        if second != self.second {
            // A steady stream of messages never times out: write as each second ends.
            self.write();
            (self.second, self.kept_this_second, self.alarms_this_second) = (second, 0, 0);
        }
        // Alarms have a bound of their own, so that a flood of other refusals hides none.
        let (kept, most) = match refusal.reason.alarm() {
            Some(_) => (&mut self.alarms_this_second, self.per_second.max(ALARMS_PER_SECOND)),
            None => (&mut self.kept_this_second, self.per_second),
        };
        if refusal.known.is_some() && *kept < most {
            *kept += 1;
            self.kept.push(refusal);
        } else {
            *self.counts.entry((second, refusal.reason.code(), refusal.stage)).or_default() += 1;
        }
    }

    fn write(&mut self) {
        let accepted = self.gathered.accepted.swap(0, Ordering::Relaxed);
        let dropped = self.gathered.dropped.swap(0, Ordering::Relaxed);
        let second = self.clock.wall_ms() / 1000;
        if accepted > 0 {
            *self.counts.entry((second, "accepted", "")).or_default() += accepted;
        }
        if dropped > 0 {
            *self.counts.entry((second, "dropped", "")).or_default() += dropped;
        }
        if self.kept.is_empty() && self.counts.is_empty() {
            return;
        }
        let (kept, counts) = (std::mem::take(&mut self.kept), std::mem::take(&mut self.counts));
        let total = kept.len() as u64 + counts.values().sum::<u64>();
        if let Err(error) = self.append(&kept, &counts) {
            tracing::warn!(%error, lost = total, "decisions could not be written to the decision log");
            self.gathered.dropped.fetch_add(total, Ordering::Relaxed);
        }
    }

    fn append(
        &mut self,
        kept: &[Refusal],
        counts: &HashMap<(i64, &'static str, &'static str), u64>,
    ) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let head: Option<[u8; 32]> = transaction
            .query_row("SELECT hash FROM decisions ORDER BY sequence DESC LIMIT 1", [], |row| row.get(0))
            .map(Some)
            .or_else(|error| match error {
                rusqlite::Error::QueryReturnedNoRows => Ok(None),
                other => Err(other),
            })?;
        let base = || transaction.query_row("SELECT hash FROM decisions_base", [], |row| row.get::<_, [u8; 32]>(0));
        let mut previous = head.map_or_else(base, Ok)?;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO decisions (at_ms, kind, reason, stage, credential_id, tenant_id, app_id, user_id, \
                 request_id, calls, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?;
            for refusal in kept {
                let known = refusal.known;
                let (id, tenant, app, user) =
                    (known.map(|k| k.0), known.map(|k| k.1), known.map(|k| k.2), known.map(|k| k.3));
                let id = id.map(|id| *id.as_bytes());
                let tenant = tenant.map(|tenant| *tenant.as_bytes());
                let fields = Fields {
                    at_ms: refusal.at_ms,
                    kind: "refused",
                    reason: refusal.reason.code(),
                    stage: refusal.stage,
                    request_id: &refusal.request_id,
                    id,
                    calls: 1,
                };
                previous = fields.hash(&previous);
                insert.execute(params![
                    fields.at_ms,
                    fields.kind,
                    fields.reason,
                    fields.stage,
                    id,
                    tenant,
                    app.map(AppId::get),
                    user.map(UserId::get),
                    fields.request_id,
                    1,
                    previous
                ])?;
            }
            let mut counts: Vec<_> = counts.iter().collect();
            counts.sort_unstable();
            for (&(second, reason, stage), &calls) in counts {
                let calls = i64::try_from(calls).unwrap_or(i64::MAX);
                let fields =
                    Fields { at_ms: second * 1000, kind: "counted", reason, stage, request_id: "", id: None, calls };
                previous = fields.hash(&previous);
                let none: Option<i64> = None;
                insert.execute(params![
                    fields.at_ms,
                    fields.kind,
                    reason,
                    stage,
                    None::<[u8; 16]>,
                    None::<[u8; 16]>,
                    none,
                    none,
                    "",
                    calls,
                    previous
                ])?;
            }
        }
        trim(&transaction, self.max_rows)?;
        transaction.commit()
    }
}

/// Drops the oldest rows above `max_rows`; the hash before the oldest that stays is kept, so that the rest can
/// still be verified.
fn trim(transaction: &rusqlite::Transaction<'_>, max_rows: u64) -> rusqlite::Result<()> {
    let keep_from: i64 = transaction.query_row(
        "SELECT coalesce(max(sequence), 0) - ?1 FROM decisions",
        [i64::try_from(max_rows).unwrap_or(i64::MAX)],
        |row| row.get(0),
    )?;
    let oldest: Option<i64> = transaction.query_row("SELECT min(sequence) FROM decisions", [], |row| row.get(0))?;
    if oldest.is_none_or(|oldest| oldest > keep_from) {
        return Ok(());
    }
    transaction.execute(
        "UPDATE decisions_base SET hash = (SELECT hash FROM decisions WHERE sequence = ?1), sequence = ?1",
        [keep_from],
    )?;
    transaction.execute("DELETE FROM decisions WHERE sequence <= ?1", [keep_from]).map(drop)
}

struct Fields<'a> {
    at_ms: i64,
    kind: &'a str,
    reason: &'a str,
    stage: &'a str,
    request_id: &'a str,
    id: Option<[u8; 16]>,
    calls: i64,
}

impl Fields<'_> {
    fn hash(&self, previous: &[u8; 32]) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(b"latchkey decision v1");
        hasher.update(previous);
        hasher.update(self.at_ms.to_be_bytes());
        hasher.update(self.calls.to_be_bytes());
        let id = self.id.as_ref().map_or(&[][..], |id| id.as_slice());
        for text in
            [self.kind.as_bytes(), self.reason.as_bytes(), self.stage.as_bytes(), self.request_id.as_bytes(), id]
        {
            hasher.update((text.len() as u64).to_be_bytes());
            hasher.update(text);
        }
        hasher.finalize().into()
    }
}

#[cfg(test)]
#[path = "decisions_tests.rs"]
mod tests;
