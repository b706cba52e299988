//! Turns at something that waits for others: few at once, and a share of them at most for one tenant (rule R12).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::TenantId;

/// All turns there are.
pub struct Turns {
    all: Arc<Semaphore>,
    of_one: Mutex<HashMap<TenantId, Weak<Semaphore>>>,
    most_of_one: usize,
}

/// One of them, until it is dropped.
pub struct Turn {
    _of_all: Option<OwnedSemaphorePermit>,
    _of_one: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// So many at once, and of one tenant.
    pub fn new(all: usize, most_of_one: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), of_one: Mutex::default(), most_of_one }
    }

    /// Waits for a tenant's turn: in its own queue first, so that those who wait for all are few of each.
    pub async fn turn(&self, tenant: TenantId) -> Turn {
        let own = self.of(tenant);
        let of_one = own.acquire_owned().await.ok();
        let of_all = Arc::clone(&self.all).acquire_owned().await.ok();
        Turn { _of_all: of_all, _of_one: of_one }
    }

    fn of(&self, tenant: TenantId) -> Arc<Semaphore> {
        let mut of_one = self.of_one.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = of_one.get(&tenant).and_then(Weak::upgrade) {
            return own;
        }
        of_one.retain(|_, other| other.strong_count() > 0);
        let own = Arc::new(Semaphore::new(self.most_of_one));
        of_one.insert(tenant, Arc::downgrade(&own));
        own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn r12_a_tenant_whose_calls_hang_leaves_room_for_others() {
        let turns = Turns::new(4, 2);
        let (one, other) = (TenantId::from_bytes([1; 16]), TenantId::from_bytes([2; 16]));
        let mut hanging = Vec::new();
        for _ in 0..2 {
            hanging.push(turns.turn(one).await);
        }
        let wait = std::time::Duration::from_secs(1);
        assert!(tokio::time::timeout(wait, turns.turn(one)).await.is_err());
        assert!(tokio::time::timeout(wait, turns.turn(other)).await.is_ok());
        hanging.pop();
        assert!(tokio::time::timeout(wait, turns.turn(one)).await.is_ok());
    }
}
