//! Rows that are worth sealing anew: under the current pepper, with a tag. Gathered from accepted requests, which showed the
//! secret, and written in batches off the answer path (rules R5 and R6). What the queue cannot take comes again with the
//! credential's next use.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use crate::clock::{Clock, Entropy};
use crate::domain::event::{Actor, DetailKey};
use crate::domain::{Action, AuditEvent, Subject};
use crate::store::{Resealed, Store};
use crate::verify::imported::Reseal;

/// Rows that may wait for the writer.
const QUEUE: usize = 4_096;
/// Most rows in one transaction, which is one audit event.
const BATCH: usize = 256;
/// How long a batch is gathered.
const GATHER: Duration = Duration::from_millis(500);

enum Message {
    Reseal(Reseal),
    Flush(SyncSender<()>),
}

/// Takes rows; never blocks.
pub struct Upgrades {
    queue: SyncSender<Message>,
}

impl Upgrades {
    /// Starts the writer, which ends when this is dropped and all is written.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(store: Arc<dyn Store>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> std::io::Result<Self> {
        let (queue, messages) = sync_channel(QUEUE);
        let run = move || work(store.as_ref(), clock.as_ref(), entropy.as_ref(), &messages);
        std::thread::Builder::new().name("resealer".to_owned()).spawn(run)?;
        Ok(Self { queue })
    }

    pub(super) fn note(&self, row: Reseal) {
        let _ = self.queue.try_send(Message::Reseal(row));
    }

    /// Waits until what was noted before is written, for at most `within`. Blocks.
    pub fn flush(&self, within: Duration) {
        let (done, wait) = sync_channel(1);
        if self.queue.try_send(Message::Flush(done)).is_ok() {
            let _ = wait.recv_timeout(within);
        }
    }
}

fn work(store: &dyn Store, clock: &dyn Clock, entropy: &dyn Entropy, messages: &Receiver<Message>) {
    // Some need a hash first, and nobody waits for it.
    let _ = rustix::process::setpriority_process(None, 15);
    let mut rows = Vec::new();
    loop {
        let wait = if rows.is_empty() { Duration::from_secs(3600) } else { GATHER };
        match messages.recv_timeout(wait) {
            Ok(Message::Reseal(row)) => {
                rows.extend(row.finish(entropy));
                if rows.len() < BATCH {
                    continue;
                }
                write(store, clock, &mut rows);
            }
            Ok(Message::Flush(done)) => {
                write(store, clock, &mut rows);
                let _ = done.send(());
            }
            Err(RecvTimeoutError::Timeout) => write(store, clock, &mut rows),
            Err(RecvTimeoutError::Disconnected) => return write(store, clock, &mut rows),
        }
    }
}

fn write(store: &dyn Store, clock: &dyn Clock, rows: &mut Vec<Resealed>) {
    let rows = std::mem::take(rows);
    if rows.is_empty() {
        return;
    }
    let event = |count: u64| AuditEvent {
        at_ms: clock.wall_ms(),
        actor: Actor::System,
        action: Action::CredentialsResealed,
        subject: Subject::Pepper,
        tenant: None,
        details: vec![(DetailKey::Count, count.to_string())],
        request_id: String::new(),
    };
    if let Err(error) = store.peppers().reseal(&rows, &event) {
        tracing::warn!(%error, "credentials could not be sealed anew; it is tried again when they are next used");
    }
}
