//! That no tenant takes all: of the places for Apps, and of the calls to the host.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::{AppId, TenantId};

/// Calls to the host at once.
const CALLS: usize = 16;
/// And for one tenant.
const CALLS_OF_ONE: usize = 8;

/// What one tenant has in the cache, in the order in which it came.
#[derive(Default)]
struct Holding {
    next: u64,
    by_app: HashMap<AppId, u64>,
    by_age: BTreeMap<u64, AppId>,
}

/// Which Apps each tenant has in the cache.
pub(super) struct Shares {
    of_one: usize,
    held: Mutex<HashMap<TenantId, Holding>>,
}

impl Shares {
    /// Of this many places half at most are one tenant's.
    pub(super) fn new(entries: u64) -> Self {
        Self { of_one: usize::try_from(entries / 2).unwrap_or(usize::MAX).max(1), held: Mutex::default() }
    }

    /// An App of a tenant got a place: which of the same tenant loses its own for it, the oldest.
    pub(super) fn entered(&self, tenant: TenantId, app: AppId) -> Option<AppId> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let own = held.entry(tenant).or_default();
        own.next += 1;
        if let Some(before) = own.by_app.insert(app, own.next) {
            own.by_age.remove(&before);
        }
        own.by_age.insert(own.next, app);
        if own.by_app.len() <= self.of_one {
            return None;
        }
        let (_, oldest) = own.by_age.pop_first()?;
        own.by_app.remove(&oldest);
        Some(oldest)
    }
}

/// The calls under way.
pub(super) struct Calls {
    all: Arc<Semaphore>,
    of_one: Mutex<HashMap<TenantId, Weak<Semaphore>>>,
}

/// The right to call.
pub(super) struct CallTurn {
    _of_all: Option<OwnedSemaphorePermit>,
    _of_one: Option<OwnedSemaphorePermit>,
}

impl Default for Calls {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(CALLS)), of_one: Mutex::default() }
    }
}

impl Calls {
    /// Waits for a tenant's turn: in its own queue first, so that those who wait for all are few of each.
    pub(super) async fn turn(&self, tenant: TenantId) -> CallTurn {
        let own = self.of(tenant);
        let of_one = own.acquire_owned().await.ok();
        let of_all = Arc::clone(&self.all).acquire_owned().await.ok();
        CallTurn { _of_all: of_all, _of_one: of_one }
    }

    fn of(&self, tenant: TenantId) -> Arc<Semaphore> {
        let mut of_one = self.of_one.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = of_one.get(&tenant).and_then(Weak::upgrade) {
            return own;
        }
        of_one.retain(|_, other| other.strong_count() > 0);
        let own = Arc::new(Semaphore::new(CALLS_OF_ONE));
        of_one.insert(tenant, Arc::downgrade(&own));
        own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r12_a_tenant_with_many_apps_crowds_out_its_own() {
        let (shares, app) = (Shares::new(4), |id| AppId::new(id).unwrap());
        let (one, other) = (TenantId::from_bytes([1; 16]), TenantId::from_bytes([2; 16]));
        assert_eq!([1, 2].map(|id| shares.entered(one, app(id))), [None, None]);
        assert_eq!(shares.entered(other, app(9)), None);
        assert_eq!(shares.entered(one, app(1)), None, "it is there: now the younger of the two");
        assert_eq!(shares.entered(one, app(3)), Some(app(2)));
        assert_eq!(shares.entered(one, app(4)), Some(app(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn r12_a_tenant_whose_calls_hang_leaves_room_for_others() {
        let calls = Calls::default();
        let (one, other) = (TenantId::from_bytes([1; 16]), TenantId::from_bytes([2; 16]));
        let mut hanging = Vec::new();
        for _ in 0..CALLS_OF_ONE {
            hanging.push(calls.turn(one).await);
        }
        let wait = std::time::Duration::from_secs(1);
        assert!(tokio::time::timeout(wait, calls.turn(one)).await.is_err());
        assert!(tokio::time::timeout(wait, calls.turn(other)).await.is_ok());
        hanging.pop();
        assert!(tokio::time::timeout(wait, calls.turn(one)).await.is_ok());
    }
}
