//! The decision log: a database of its own, capped in size, with its own chain and writer (rule R11).
//!
//! Refusals of a known credential are kept one by one up to a rate, acceptances by a share; everything else is counted by
//! reason, source and second. Recording never blocks: what the queue cannot take is counted as dropped, so that kept +
//! counted + dropped = decisions (control E1). [`list`] and [`verify`] read it beside its writer.

mod gather;
mod read;
mod row;
mod schema;
mod source;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Duration;

pub use read::{Damage, DecisionFilter, Verified, list, verify};
pub use row::{Kind, Row};

use crate::audit::decisions::{DecisionRecord, DecisionSink};
use crate::clock::Clock;
use crate::store::sqlite::OpenError;
use gather::Decided;

/// The database's name in the data directory.
pub const FILE_NAME: &str = "decisions.db";
/// The reason of acceptances, kept or counted.
pub const ACCEPTED: &str = "accepted";
/// The reason of what could not be taken or written.
pub const DROPPED: &str = "dropped";

/// Records that may wait for the writer.
const QUEUE: usize = 4_096;
/// Of them, so many may be of unknown credentials: a flood of junk leaves room for the rest.
const QUEUE_OF_UNKNOWN: usize = QUEUE / 4 * 3;
/// The longest request id that is kept, in characters.
const MAX_REQUEST_ID: usize = 128;

/// How much is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Most rows; the oldest go first.
    pub max_rows: u64,
    /// Refusals of known credentials kept one by one each second, at most.
    pub per_second: u32,
    /// Each so many-th acceptance is kept one by one; 0 keeps none.
    pub accepted_one_in: u32,
}

enum Message {
    Decided(Decided),
    Flush(SyncSender<()>),
}

/// What callers and the writer share.
#[derive(Default)]
struct Shared {
    /// All acceptances ever. From it alone both sides know which are kept.
    accepted: AtomicU64,
    dropped: AtomicU64,
    waiting: AtomicUsize,
}

/// The decision log of one process.
pub struct DecisionLog {
    queue: SyncSender<Message>,
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    accepted_one_in: u64,
}

impl DecisionLog {
    /// Opens (or makes) the log in `data_dir`, brings it up to this version's schema and starts its writer.
    ///
    /// # Errors
    /// When the database cannot be opened, or is of a newer version.
    pub fn start(data_dir: &Path, limits: Limits, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let connection = schema::open(data_dir)?;
        let (queue, messages) = sync_channel(QUEUE);
        let shared = Arc::new(Shared::default());
        let writer = writer::Writer::new(connection, Arc::clone(&shared), Arc::clone(&clock), limits);
        std::thread::Builder::new()
            .name("decision-log".to_owned())
            .spawn(move || writer.work(&messages))
            .map_err(|error| OpenError::System { what: error.to_string() })?;
        Ok(Self { queue, shared, clock, accepted_one_in: u64::from(limits.accepted_one_in) })
    }

    /// Waits until what was recorded before is written, for at most `within`.
    pub fn flush(&self, within: Duration) {
        const AGAIN: Duration = Duration::from_millis(1);
        let (done, wait) = sync_channel(1);
        let (mut message, mut left) = (Message::Flush(done), within);
        // The queue may be full, now of all times: what is in it is not to be lost.
        while let Err(TrySendError::Full(unsent)) = self.queue.try_send(message) {
            if left < AGAIN {
                return;
            }
            std::thread::sleep(AGAIN);
            (message, left) = (unsent, left.saturating_sub(AGAIN));
        }
        let _ = wait.recv_timeout(left);
    }

    fn send(&self, decided: Decided) {
        let room = if decided.known.is_some() { QUEUE } else { QUEUE_OF_UNKNOWN };
        if self.shared.waiting.fetch_add(1, Ordering::Relaxed) >= room
            || self.queue.try_send(Message::Decided(decided)).is_err()
        {
            self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl DecisionSink for DecisionLog {
    fn record(&self, record: &DecisionRecord<'_>) {
        let (reason, stage, remote, known, request_id) = match *record {
            DecisionRecord::Accepted { known, stage, remote, request_id } => {
                let number = self.shared.accepted.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
                if self.accepted_one_in == 0 || !number.is_multiple_of(self.accepted_one_in) {
                    return;
                }
                (None, stage, remote, Some(known), request_id)
            }
            DecisionRecord::Refused { reason, stage, known, remote, request_id } => {
                // Without a credential it is counted, and the request's id would be copied for nothing.
                let request_id = if known.is_some() { request_id } else { "" };
                (Some(reason), stage, remote, known, request_id)
            }
        };
        let request_id = request_id.chars().take(MAX_REQUEST_ID).collect();
        self.send(Decided { at_ms: self.clock.wall_ms(), reason, stage, remote, known, request_id });
    }
}

#[cfg(test)]
#[path = "decisions_tests.rs"]
mod tests;
