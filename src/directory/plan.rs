//! What is to be written of what a host said: pure, so that every case can be tried.
//!
//! Of an App that a tenant has, the host says what `facts` calls the host's; the store keeps the rest. An App that no tenant
//! has is listed, and given to a tenant only where a rule of this machine names one for its namespace (rule R3): never taken
//! from one, never moved. An App that is gone is refused at once and keeps its row for a day, so that a host that was wrong
//! costs nobody their claims.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::directory::facts::HostApp;
use crate::domain::{App, Generation, HostState, LlmGrant, TenantId, UnclaimedApp};
use crate::store::HostChange;

/// How long a row stays after its host gave the thing up.
pub const KEPT_WHEN_GONE: Duration = Duration::from_secs(24 * 3600);
/// Names as the store takes them.
const MAX_NAME: usize = 200;
const MAX_DESCRIPTION: usize = 2_000;

/// What there is of an App already.
#[derive(Clone, Copy, Debug)]
pub enum Kept<'a> {
    /// A tenant has it.
    Claimed(&'a App),
    /// No tenant has it, and it is listed as that.
    Listed(&'a UnclaimedApp),
    /// Nothing.
    Nothing,
}

/// What the rules of this machine say, and what new rows get.
pub struct Rules<'a> {
    /// Tenants by the namespaces that are theirs.
    pub namespaces: &'a BTreeMap<String, TenantId>,
    /// For a row that is changed.
    pub generation: &'a dyn Fn() -> Generation,
}

/// What is to be written of an App that the host has; none if nothing is.
pub fn of_app(kept: Kept<'_>, host: &HostApp, rules: &Rules<'_>) -> Option<HostChange> {
    let row = match kept {
        Kept::Claimed(row) => row,
        Kept::Listed(_) | Kept::Nothing => {
            let namespace = host.namespace.as_deref().unwrap_or_default();
            if let Some(tenant) = rules.namespaces.get(namespace).filter(|_| !namespace.is_empty()) {
                let generation = (rules.generation)();
                return Some(HostChange::Claim(told(&App::blank(*tenant, host.id, generation), host)));
            }
            let listed = UnclaimedApp {
                id: host.id,
                name: tidy(&host.name, MAX_NAME),
                namespace: tidy(namespace, MAX_NAME),
                owner: host.owner,
                active: host.active,
            };
            let same = matches!(kept, Kept::Listed(before) if *before == listed);
            return (!same).then_some(HostChange::Unclaimed(listed));
        }
    };
    let app = told(row, host);
    (app != *row)
        .then(|| HostChange::App { app: App { generation: (rules.generation)(), ..app }, expected: row.generation })
}

/// What is to be written of an App that the host does not have.
pub fn of_gone(row: &App, now_ms: i64, generation: Generation) -> Option<HostChange> {
    let host = HostState { active: false, gone_at_ms: row.host.gone_at_ms.or(Some(now_ms)) };
    (host != row.host)
        .then(|| HostChange::App { app: App { host, generation, ..row.clone() }, expected: row.generation })
}

/// The row with what the host says of it, its generation as it was.
fn told(row: &App, host: &HostApp) -> App {
    let mut app = host.merged_into(App { active: true, ..row.clone() });
    // Kept apart: what the tenant's admins switched off stays off when the host switches it on.
    app.active = row.active;
    app.host = HostState { active: host.active, gone_at_ms: None };
    app.name = tidy(&host.name, MAX_NAME);
    app.description = tidy(&host.description, MAX_DESCRIPTION);
    app.owner_email = tidy(&app.owner_email, MAX_NAME);
    // As the store gives them back.
    app.llms.sort_unstable_by_key(|grant: &LlmGrant| grant.id);
    app.llms.dedup_by_key(|grant| grant.id);
    app
}

/// Text of another program as people may read it: no control characters, no longer than the store takes.
pub fn tidy(text: &str, most: usize) -> String {
    text.chars().take(most).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
