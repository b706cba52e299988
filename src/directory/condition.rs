//! How the host's Service API has been: what says whether stale facts may be used, and what people are told.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::directory::service::HostError;

/// As of the last call.
#[derive(Default)]
pub struct Condition {
    struggles: AtomicBool,
    last: Mutex<Option<HostError>>,
}

impl Condition {
    /// Whether it could not be asked, and has not been since.
    pub fn struggles(&self) -> bool {
        self.struggles.load(Ordering::Acquire)
    }

    /// Why its last call gave no answer.
    pub fn problem(&self) -> Option<HostError> {
        self.last().clone()
    }

    /// Nothing is known of it: it is another generation.
    pub(super) fn is_another(&self) {
        self.struggles.store(false, Ordering::Release);
    }

    /// How a call ended. What fails of one App says nothing of the others: only a host that cannot be reached or asked
    /// struggles.
    pub(super) fn note<T>(&self, found: &Result<T, HostError>) {
        let mut last = self.last();
        match found {
            Ok(_) => {
                self.struggles.store(false, Ordering::Release);
                if last.take().is_some() {
                    tracing::info!("the host's Service API answers again");
                }
            }
            Err(error) => {
                if matches!(error, HostError::Unreachable | HostError::TimedOut | HostError::Forbidden { .. }) {
                    self.struggles.store(true, Ordering::Release);
                }
                if last.as_ref() != Some(error) {
                    tracing::warn!(%error, "Apps cannot be fetched from the host");
                }
                *last = Some(error.clone());
            }
        }
    }

    fn last(&self) -> MutexGuard<'_, Option<HostError>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
