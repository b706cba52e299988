//! The key of subject hashes as the answer path holds it: read once, and again where the store names another.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;

use crate::clock::{Clock as _, SystemClock};
use crate::domain::{Reason, SubjectKeyFingerprint};
use crate::store::Store;
use crate::verify::subject::SubjectKey;

/// The key, where it is here.
pub(super) struct Seals {
    store: Arc<dyn Store>,
    path: PathBuf,
    key: ArcSwapOption<SubjectKey>,
    /// When reading it failed last, on the boot clock.
    failed: Mutex<Option<u64>>,
}

/// How long a key that is not here is not looked for again, in nanoseconds.
const AGAIN_NS: u64 = 1_000_000_000;

impl Seals {
    pub(super) fn new(store: Arc<dyn Store>, path: PathBuf) -> Self {
        Self { store, path, key: ArcSwapOption::empty(), failed: Mutex::new(None) }
    }

    /// The key that the store's issuers and links are under.
    pub(super) fn key(&self) -> Result<Arc<SubjectKey>, Reason> {
        let known = self.store.links().key().map_err(|_| Reason::StoreUnavailable)?;
        match self.key.load_full() {
            Some(key) if known == Some(key.fingerprint()) => Ok(key),
            _ => self.read(known),
        }
    }

    /// Reads the file, at most once a second while there is no use in it: anybody can ask.
    fn read(&self, known: Option<SubjectKeyFingerprint>) -> Result<Arc<SubjectKey>, Reason> {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ns = SystemClock.boot_ns();
        if failed.is_some_and(|at_ns| now_ns.saturating_sub(at_ns) < AGAIN_NS) {
            return Err(Reason::SubjectKeyMissing);
        }
        match SubjectKey::load_known(&self.path, known) {
            Ok(key) => {
                let key = Arc::new(key);
                self.key.store(Some(Arc::clone(&key)));
                *failed = None;
                Ok(key)
            }
            Err(error) => {
                if failed.is_none() {
                    tracing::error!(%error, "JWTs are refused");
                }
                *failed = Some(now_ns);
                Err(Reason::SubjectKeyMissing)
            }
        }
    }
}
