//! When credentials were last used: gathered on the answer path with one comparison, written in batches off it.
//!
//! Known to about a minute, and lost where the process dies before a batch is written: nothing rests on it. What a batch
//! cannot take is left out, and noted at the credential's next use after a minute.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::authenticate::attempt::{Attempt, Stage};
use crate::authenticate::entry::Entry;
use crate::domain::CredentialId;
use crate::store::Store;

/// A use is noted when the one noted before is at least as old, in milliseconds.
pub const RESOLUTION_MS: i64 = 60_000;
/// How often what was gathered is written.
pub const INTERVAL: Duration = Duration::from_secs(10);
/// Most credentials gathered between two writes; bounds memory and what the writer and the disk have to do. Where more are
/// in use, each is noted later than a minute.
const MOST: usize = 5_000;
/// Most rows in one transaction, so that no admin's change waits long behind one.
const BATCH: usize = 250;

struct Shared {
    store: Arc<dyn Store>,
    uses: Mutex<HashMap<CredentialId, i64>>,
}

/// Takes uses. A note is a lock that nobody holds for long, and wakes nobody.
pub struct Usage {
    shared: Arc<Shared>,
}

impl Usage {
    /// Starts the writer, which ends when this is dropped.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(store: Arc<dyn Store>, interval: Duration) -> std::io::Result<Self> {
        let shared = Arc::new(Shared { store, uses: Mutex::default() });
        let weak = Arc::downgrade(&shared);
        let run = move || {
            loop {
                std::thread::sleep(interval);
                match weak.upgrade() {
                    Some(shared) => shared.write(),
                    None => return,
                }
            }
        };
        std::thread::Builder::new().name("last-used".to_owned()).spawn(run)?;
        Ok(Self { shared })
    }

    /// Notes that a gateway's request was accepted at `now_ms`, or a program got a token for its key, if nothing was within
    /// the last minute.
    pub(super) fn note(&self, entry: &Entry, attempt: &Attempt<'_>, now_ms: i64) {
        if matches!(attempt.stage, Stage::Auth | Stage::Client) && entry.use_is_due(now_ms, RESOLUTION_MS) {
            let Some(id) = entry.verified().credential().map(|row| row.id) else { return };
            let mut uses = self.shared.uses();
            if uses.len() < MOST || uses.contains_key(&id) {
                uses.insert(id, now_ms);
            }
        }
    }

    /// Writes what was noted before. Blocks.
    pub fn flush(&self) {
        self.shared.write();
    }
}

impl Shared {
    fn uses(&self) -> MutexGuard<'_, HashMap<CredentialId, i64>> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) {
        // In the order of ids, so that neighbours share pages.
        let mut batch: Vec<(CredentialId, i64)> = self.uses().drain().collect();
        batch.sort_unstable();
        for part in batch.chunks(BATCH) {
            if let Err(error) = self.store.credentials().used(part) {
                tracing::warn!(%error, "when credentials were last used could not be noted; nothing else is affected");
                return;
            }
        }
    }
}
