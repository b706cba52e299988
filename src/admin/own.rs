//! What people make for themselves in the portal: keys within the bounds of this machine's settings. They hold for every
//! caller that is bound to what is their own, so that no way to a use case goes past them.

use crate::admin::authority::Permit;
use crate::admin::limits::{self, invalid};
use crate::admin::{AdminError, AdminResult, IssueRequest};
use crate::store::{Room, StoreError};
use crate::verify::argon::DEFAULT_COST;

const DAY_MS: i64 = 24 * 3_600_000;

/// The bounds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortalRules {
    /// What a key may be told to be good for.
    pub scopes: Vec<String>,
    /// Days that a key may live.
    pub max_days: u32,
    /// Keys in force that one User may have of one App.
    pub max_keys: u32,
}

impl Default for PortalRules {
    fn default() -> Self {
        Self { scopes: Vec::new(), max_days: 365, max_keys: 20 }
    }
}

impl PortalRules {
    /// A request for a new key as it may be carried out at that time. An end that was `asked` for and lies too far is
    /// refused, one that comes from an old key is brought near.
    fn bound(&self, request: &IssueRequest, asked: bool, now_ms: i64) -> AdminResult<IssueRequest> {
        if request.decoy {
            return Err(invalid("decoy", "honey keys are for operators"));
        }
        if request.scopes.iter().any(|scope| !self.scopes.contains(scope)) {
            let problem = match self.scopes.as_slice() {
                [] => "keys of the portal have none (`portal.scopes`): ask an operator".to_owned(),
                scopes => format!("keys of the portal have at most {} (`portal.scopes`)", scopes.join(", ")),
            };
            return Err(invalid("scope", problem));
        }
        let last_ms = now_ms.saturating_add(i64::from(self.max_days) * DAY_MS).min(limits::MAX_TIME_MS);
        if asked && request.expires_at_ms.is_some_and(|end| end > last_ms) {
            return Err(invalid("expires", format!("at most {} days from now (`portal.max_days`)", self.max_days)));
        }
        let expires_at_ms = Some(request.expires_at_ms.map_or(last_ms, |end| end.min(last_ms)));
        Ok(IssueRequest { expires_at_ms, cost: DEFAULT_COST, ..request.clone() })
    }
}

impl Permit<'_> {
    /// The request as its caller may have it carried out, and how many keys there may be then.
    pub(super) fn bound(
        &self,
        rules: &PortalRules,
        request: &IssueRequest,
        asked: bool,
        now_ms: i64,
    ) -> AdminResult<(IssueRequest, Option<Room>)> {
        if self.caller().own.is_none() {
            return Ok((request.clone(), None));
        }
        Ok((rules.bound(request, asked, now_ms)?, Some(Room { most: rules.max_keys, now_ms })))
    }
}

/// With how many there may be.
pub(super) fn full(error: AdminError, rules: &PortalRules) -> AdminError {
    match error {
        AdminError::Store(StoreError::Full { .. }) => AdminError::TooMany { most: rules.max_keys },
        error => error,
    }
}
