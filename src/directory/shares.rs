//! That no tenant takes all of the places for Apps.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use crate::domain::{AppId, TenantId};

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
}
