//! The writer's thread: gathers, and appends a batch as each second ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use crate::clock::Clock;
use crate::domain::{AppId, CredentialId, Reason, TenantId, UserId};
use crate::store::sqlite::decisions::gather::{Counted, Decided, Gather, counted_between};
use crate::store::sqlite::decisions::row::{FORM, Fields, Hash, Kind, Known};
use crate::store::sqlite::decisions::{ACCEPTED, DROPPED, Limits, Message, Shared};

/// How often what was gathered is written.
const FLUSH: Duration = Duration::from_secs(1);
/// Single decisions that are written before the second ends: what is held in memory is bounded.
const BATCH: usize = 4_096;

pub(super) struct Writer {
    connection: Connection,
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    gather: Gather,
    limits: Limits,
    /// Acceptances written so far, counted or kept.
    accepted: u64,
}

impl Writer {
    pub(super) fn new(connection: Connection, shared: Arc<Shared>, clock: Arc<dyn Clock>, limits: Limits) -> Self {
        let gather = Gather::new(limits.per_second);
        Self { connection, shared, clock, gather, limits, accepted: 0 }
    }

    pub(super) fn work(mut self, messages: &Receiver<Message>) {
        loop {
            match messages.recv_timeout(FLUSH) {
                Ok(Message::Decided(decided)) => {
                    self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
                    self.take(decided);
                }
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

    fn take(&mut self, decided: Decided) {
        if self.gather.begins_with(&decided) {
            // A steady stream of messages never times out: write as each second ends.
            self.write();
            self.gather.begin(decided.at_ms / 1000);
        } else if self.gather.waiting() >= BATCH {
            self.write();
        }
        self.gather.take(decided);
    }

    fn write(&mut self) {
        let accepted = self.shared.accepted.load(Ordering::Relaxed);
        let counted = counted_between(self.accepted, accepted, u64::from(self.limits.accepted_one_in));
        self.accepted = accepted;
        let dropped = self.shared.dropped.swap(0, Ordering::Relaxed);
        let second = self.clock.wall_ms() / 1000;
        self.gather.count(Counted::all(second, ACCEPTED), counted);
        self.gather.count(Counted::all(second, DROPPED), dropped);
        let (kept, counts) = self.gather.drain();
        if kept.is_empty() && counts.is_empty() {
            return;
        }
        let total = kept.len() as u64 + counts.iter().map(|(_, calls)| calls).sum::<u64>();
        if let Err(error) = self.append(&kept, &counts) {
            tracing::warn!(%error, lost = total, "decisions could not be written to the decision log");
            self.shared.dropped.fetch_add(total, Ordering::Relaxed);
        }
    }

    fn append(&mut self, kept: &[Decided], counts: &[(Counted, u64)]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut chain = Chain::of(&transaction)?;
        for decided in kept {
            let (kind, reason) = match decided.reason {
                Some(reason) => (Kind::Refused, Reason::code(reason)),
                None => (Kind::Accepted, ACCEPTED),
            };
            let source = decided.remote.map(|address| address.to_canonical().to_string()).unwrap_or_default();
            chain.append(Fields {
                sequence: 0,
                at_ms: decided.at_ms,
                kind,
                reason,
                stage: decided.stage,
                source: &source,
                known: decided.known.map(Known::from).unwrap_or_default(),
                request_id: &decided.request_id,
                calls: 1,
            })?;
        }
        for (counted, calls) in counts {
            chain.append(Fields {
                sequence: 0,
                at_ms: counted.second.saturating_mul(1000),
                kind: Kind::Counted,
                reason: counted.reason,
                stage: counted.stage,
                source: &counted.source.to_string(),
                known: Known::default(),
                request_id: "",
                calls: *calls,
            })?;
        }
        trim(&transaction, self.limits.max_rows)?;
        transaction.commit()
    }
}

/// The end of the chain, in a transaction that nobody else can write beside.
struct Chain<'a> {
    transaction: &'a Transaction<'a>,
    last: i64,
    head: Hash,
}

impl<'a> Chain<'a> {
    fn of(transaction: &'a Transaction<'a>) -> rusqlite::Result<Self> {
        // A hash that somebody damaged must not stop the log: the damage is found where it is.
        let of_row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Hash>(1).unwrap_or_default()));
        let last = transaction
            .query_row("SELECT sequence, hash FROM decisions ORDER BY sequence DESC LIMIT 1", [], of_row)
            .optional()?;
        let base = transaction.query_row("SELECT sequence, hash FROM decisions_base", [], of_row).optional()?;
        let (last, head) = last.or(base).unwrap_or_default();
        // After the highest number that was ever given, so that a cut end leaves a gap.
        let given = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'decisions'";
        let given: i64 = transaction.query_row(given, [], |row| row.get(0))?;
        Ok(Self { transaction, last: last.max(given), head })
    }

    fn append(&mut self, mut fields: Fields<'_>) -> rusqlite::Result<()> {
        let sequence = self.last.saturating_add(1);
        fields.sequence = u64::try_from(sequence).unwrap_or(0);
        let head = fields.hash(FORM, &self.head).unwrap_or_default();
        let mut insert = self.transaction.prepare_cached(
            "INSERT INTO decisions (sequence, at_ms, kind, reason, stage, source, credential_id, tenant_id, app_id, user_id, \
             request_id, calls, form, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        )?;
        insert.execute(params![
            sequence,
            fields.at_ms,
            fields.kind.as_str(),
            fields.reason,
            fields.stage,
            fields.source,
            fields.known.credential.as_ref().map(CredentialId::as_bytes),
            fields.known.tenant.as_ref().map(TenantId::as_bytes),
            fields.known.app.map(AppId::get),
            fields.known.user.map(UserId::get),
            fields.request_id,
            i64::try_from(fields.calls).unwrap_or(i64::MAX),
            FORM,
            head
        ])?;
        (self.last, self.head) = (sequence, head);
        Ok(())
    }
}

/// Drops the oldest rows above `max_rows`; the hash before the oldest that stays is kept, so that the rest can
/// still be verified.
fn trim(transaction: &Transaction<'_>, max_rows: u64) -> rusqlite::Result<()> {
    let keep_from: i64 = transaction.query_row(
        "SELECT coalesce(max(sequence), 0) - ?1 FROM decisions",
        [i64::try_from(max_rows).unwrap_or(i64::MAX)],
        |row| row.get(0),
    )?;
    let last = "SELECT max(sequence) FROM decisions WHERE sequence <= ?1";
    let Some(last) = transaction.query_row(last, [keep_from], |row| row.get::<_, Option<i64>>(0))? else {
        return Ok(());
    };
    transaction.execute(
        "UPDATE decisions_base SET hash = (SELECT hash FROM decisions WHERE sequence = ?1), sequence = ?1",
        [last],
    )?;
    transaction.execute("DELETE FROM decisions WHERE sequence <= ?1", [last]).map(drop)
}
