//! Calls that may wait for an outside server: few at once and two for whom they are, apart from all other calls.
//!
//! Whoever names an issuer names a server that may take its time, three times five seconds for one call. No other tenant's
//! admins wait for that, and nobody queues for it: who has enough under way is told so (rule R12).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::admin::{AdminError, AdminResult, Caller, Scope};
use crate::domain::TenantId;
use crate::pb::admin::v1 as pb;
use crate::transport::admin::{Asks, Desk};

/// Such calls at once, each on a thread of its own.
const FETCHING: usize = 16;
/// And of one tenant.
const FETCHING_OF_ONE: usize = 2;

/// On whose account a call is. What a caller is bound to comes first: nobody uses up what another tenant may.
#[derive(Clone, PartialEq, Eq)]
enum Account {
    /// Who is bound to these.
    Bound(Vec<TenantId>),
    /// Who is bound to none and names this one.
    Named(String),
}

/// Those under way.
#[derive(Clone, Default)]
pub(super) struct Fetching(Arc<Mutex<Vec<Account>>>);

/// One of them, until it is dropped.
pub(super) struct FetchTurn {
    all: Fetching,
    account: Account,
}

impl Fetching {
    fn under_way(&self) -> MutexGuard<'_, Vec<Account>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A turn at once, or none.
    pub(super) fn turn(&self, caller: &Caller, tenant: &str) -> AdminResult<FetchTurn> {
        let account = match &caller.scope {
            Scope::Tenants(ids) => Account::Bound(ids.clone()),
            Scope::All => Account::Named(tenant.to_owned()),
        };
        let mut under_way = self.under_way();
        let of_one = under_way.iter().filter(|other| **other == account).count();
        if under_way.len() >= FETCHING || of_one >= FETCHING_OF_ONE {
            return Err(AdminError::Busy("issuers are asked for their keys already: try again when one has answered"));
        }
        under_way.push(account.clone());
        drop(under_way);
        Ok(FetchTurn { all: self.clone(), account })
    }
}

impl Drop for FetchTurn {
    fn drop(&mut self) {
        let mut under_way = self.all.under_way();
        if let Some(at) = under_way.iter().position(|other| *other == self.account) {
            under_way.swap_remove(at);
        }
    }
}

/// What a call holds while it runs.
pub(super) enum CallTurn {
    /// One of all calls.
    Usual(#[expect(dead_code, reason = "held")] tokio::sync::OwnedSemaphorePermit),
    /// One that may wait for an outside server.
    Outside(#[expect(dead_code, reason = "held")] FetchTurn),
}

impl Desk {
    /// A turn for a call: it waits for those of others, unless it is one that may wait for an outside server.
    pub(super) async fn turn(&self, caller: &Caller, asked: &impl Asks) -> AdminResult<CallTurn> {
        if let Some(tenant) = asked.asks_outside() {
            return self.fetching.turn(caller, tenant).map(CallTurn::Outside);
        }
        let turn = Arc::clone(&self.calls).acquire_owned().await;
        turn.map(CallTurn::Usual).map_err(|_| AdminError::Unavailable("the server is going down".to_owned()))
    }
}

impl Asks for pb::CreateIssuerRequest {
    fn request_id(&self) -> &str {
        &self.request_id
    }

    fn asks_outside(&self) -> Option<&str> {
        let issuer = self.issuer.as_ref()?;
        (self.discover || !issuer.jwks_url.is_empty()).then_some(issuer.tenant.as_str())
    }
}

impl Asks for pb::UpdateIssuerRequest {
    fn request_id(&self) -> &str {
        &self.request_id
    }

    fn asks_outside(&self) -> Option<&str> {
        self.issuer.as_ref().map(|issuer| issuer.tenant.as_str())
    }
}

impl Asks for pb::CheckIssuerRequest {
    fn asks_outside(&self) -> Option<&str> {
        Some(&self.tenant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Role;
    use crate::domain::event::Actor;

    #[test]
    fn r12_two_of_each_few_of_all_and_nobody_waits() {
        let fetching = Fetching::default();
        let bound = |id| Caller::new(Actor::Studio, Role::Owner, Scope::Tenants(vec![TenantId::from_bytes([id; 16])]));
        let unbound = Caller::unbound_owner(Actor::Studio);
        let mut turns = vec![fetching.turn(&bound(1), "acme").unwrap(), fetching.turn(&bound(1), "acme").unwrap()];
        for tenant in ["acme", "globex", ""] {
            assert!(matches!(fetching.turn(&bound(1), tenant), Err(AdminError::Busy(_))), "whatever it names");
        }
        turns.push(fetching.turn(&unbound, "acme").unwrap());
        turns.extend((2..FETCHING).filter_map(|id| fetching.turn(&bound(u8::try_from(id).unwrap()), "x").ok()));
        assert!(turns.len() == FETCHING && fetching.turn(&unbound, "initech").is_err());
        turns.remove(0);
        drop(fetching.turn(&bound(1), "acme").unwrap());
        turns.clear();
        assert!(fetching.under_way().is_empty());
    }
}
