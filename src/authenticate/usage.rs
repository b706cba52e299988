//! When credentials were last used: gathered on the answer path with one comparison, written in batches off it.
//!
//! Known to about a minute, and lost where the process dies before a batch is written: nothing rests on it. What the
//! queue or a batch cannot take is left out, and noted at the credential's next use.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use crate::authenticate::attempt::{Attempt, Stage};
use crate::authenticate::entry::Entry;
use crate::clock::Clock;
use crate::domain::CredentialId;
use crate::store::Store;

/// A use is noted when the one noted before is at least as old, in milliseconds.
pub const RESOLUTION_MS: i64 = 60_000;
/// How often what was gathered is written.
pub const INTERVAL: Duration = Duration::from_secs(10);
/// Uses that may wait for the writer.
const QUEUE: usize = 4_096;
/// Most credentials gathered between two writes; bounds memory and the writer's work.
const MOST: usize = 32_768;
/// Most rows in one transaction, so that no admin's change waits long behind one.
const BATCH: usize = 500;

enum Message {
    Used(CredentialId, i64),
    Flush(SyncSender<()>),
}

/// Takes uses; never blocks.
pub struct Usage {
    queue: SyncSender<Message>,
}

impl Usage {
    /// Starts the writer, which ends when this is dropped and all is written.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(store: Arc<dyn Store>, clock: Arc<dyn Clock>, interval: Duration) -> std::io::Result<Self> {
        let (queue, messages) = sync_channel(QUEUE);
        let run = move || work(store.as_ref(), clock.as_ref(), &messages, interval);
        std::thread::Builder::new().name("last-used".to_owned()).spawn(run)?;
        Ok(Self { queue })
    }

    /// Notes that a gateway's request was accepted at `now_ms`, if none was within the last minute.
    pub(super) fn note(&self, entry: &Entry, attempt: &Attempt<'_>, now_ms: i64) {
        if attempt.stage == Stage::Auth && entry.use_is_due(now_ms, RESOLUTION_MS) {
            let _ = self.queue.try_send(Message::Used(entry.verified().credential().id, now_ms));
        }
    }

    /// Waits until what was noted before is written, for at most `within`. Blocks.
    pub fn flush(&self, within: Duration) {
        let (done, wait) = sync_channel(1);
        if self.queue.try_send(Message::Flush(done)).is_ok() {
            let _ = wait.recv_timeout(within);
        }
    }
}

fn work(store: &dyn Store, clock: &dyn Clock, messages: &Receiver<Message>, interval: Duration) {
    let mut uses = HashMap::new();
    let mut written_ns = clock.boot_ns();
    loop {
        let since = Duration::from_nanos(clock.boot_ns().saturating_sub(written_ns));
        match messages.recv_timeout(interval.saturating_sub(since)) {
            Ok(Message::Used(id, at_ms)) => {
                if uses.len() < MOST || uses.contains_key(&id) {
                    uses.insert(id, at_ms);
                }
                if since < interval {
                    continue;
                }
                write(store, &mut uses);
            }
            Ok(Message::Flush(done)) => {
                write(store, &mut uses);
                let _ = done.send(());
            }
            Err(RecvTimeoutError::Timeout) => write(store, &mut uses),
            Err(RecvTimeoutError::Disconnected) => return write(store, &mut uses),
        }
        written_ns = clock.boot_ns();
    }
}

fn write(store: &dyn Store, uses: &mut HashMap<CredentialId, i64>) {
    // In the order of ids, so that neighbours share pages.
    let mut batch: Vec<(CredentialId, i64)> = uses.drain().collect();
    batch.sort_unstable();
    for part in batch.chunks(BATCH) {
        if let Err(error) = store.credentials().used(part) {
            tracing::warn!(%error, "when credentials were last used could not be noted; nothing else is affected");
            return;
        }
    }
}
