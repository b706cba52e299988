//! The place of one App in the cache: what is known of it, and the call under way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::directory::lease::Lease;
use crate::directory::service::HostError;
use crate::domain::{AppId, Generation, TenantId};

/// How long one who has a stale answer waits for a fresh one, while the host was not known to be slow.
pub(super) const PATIENCE: Duration = Duration::from_millis(50);

/// How a call ended, for those who wait.
#[derive(Clone)]
pub(super) enum Landed {
    Answer(Arc<Lease>),
    Failed(HostError),
    /// The host told of a change meanwhile.
    Changed,
}

pub(super) type Flight = watch::Receiver<Option<Landed>>;

#[derive(Default)]
pub(super) struct State {
    pub(super) lease: Option<Arc<Lease>>,
    pub(super) flight: Option<Flight>,
    pub(super) failed: Option<(u64, HostError)>,
    /// Grows with each change that the host told of.
    pub(super) told: u64,
    /// The store's row that the lease was last used with.
    pub(super) row: Option<Generation>,
    /// The call under way takes longer than one waits who has something else.
    pub(super) slow: bool,
    /// It lost its place: nothing is kept in it any more.
    pub(super) dead: bool,
}

impl State {
    /// A row that changed in the store may have changed because the host did: what is kept of it is asked for again.
    pub(super) fn met(&mut self, row: Generation, stale_is_used: bool) {
        if self.row.replace(row).is_some_and(|before| before != row) {
            self.told += 1;
            self.failed = None;
            match &self.lease {
                Some(lease) if stale_is_used => lease.doubt(),
                Some(lease) => lease.end(),
                None => {}
            }
        }
    }

    /// Whether the host was asked about this very App and gave no answer, or not soon.
    pub(super) fn is_unanswered(&self) -> bool {
        self.slow || self.failed.is_some()
    }
}

/// What is known of one App.
pub(super) struct Slot {
    pub(super) app: AppId,
    pub(super) tenant: TenantId,
    pub(super) state: Mutex<State>,
}

impl Slot {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The call under way takes longer than one waits.
    pub(super) fn is_slow(&self) {
        let mut state = self.state();
        state.slow = state.flight.is_some();
    }

    /// It lost its place.
    pub(super) fn give_up(&self) {
        self.state().dead = true;
        self.end();
    }

    /// Nothing of it is true any more.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.told += 1;
        state.failed = None;
        if let Some(lease) = state.lease.take() {
            lease.end();
        }
    }
}

/// Ends a flight whatever becomes of it: a call that panics must not be waited for for ever.
pub(super) struct Grounded<'a>(pub(super) Option<(&'a Slot, watch::Sender<Option<Landed>>)>);

impl Grounded<'_> {
    pub(super) fn land(mut self, landed: Landed) {
        if let Some((_, land)) = self.0.take() {
            land.send_replace(Some(landed));
        }
    }
}

impl Drop for Grounded<'_> {
    fn drop(&mut self) {
        if let Some((slot, land)) = self.0.take() {
            slot.state().flight = None;
            land.send_replace(Some(Landed::Failed(HostError::TimedOut)));
        }
    }
}

/// What comes of a flight; none if that is longer than one who has something else waits.
pub(super) async fn landing(mut flight: Flight, impatient: bool) -> Option<Landed> {
    let over = async { flight.wait_for(Option::is_some).await.ok().and_then(|landed| landed.clone()) };
    if impatient { tokio::time::timeout(PATIENCE, over).await.ok().flatten() } else { over.await }
}
