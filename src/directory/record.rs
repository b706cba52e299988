//! What the audit trail says of changes that a host told of. Names and addresses of people stay out of it.

use std::collections::BTreeMap;

use crate::domain::event::{Actor, DetailKey};
use crate::domain::{Action, AuditEvent, Subject, TenantId};
use crate::store::HostChange;

/// One event for each thing that begins to work, stops or is given up, one for each tenant for all the rest.
pub(super) fn events(changes: &[HostChange], at_ms: i64) -> Vec<AuditEvent> {
    let mut events = Vec::new();
    let mut rest: BTreeMap<Option<TenantId>, (Vec<u32>, Vec<u32>)> = BTreeMap::new();
    let event = |action, subject, tenant, mut details: Vec<(DetailKey, String)>| {
        details.push((DetailKey::Source, "host".to_owned()));
        AuditEvent { at_ms, actor: Actor::System, action, subject, tenant, details, request_id: String::new() }
    };
    let active = |is: bool| vec![(DetailKey::Active, is.to_string())];
    for change in changes {
        match change {
            HostChange::Claim(app) => {
                events.push(event(Action::AppAdded, Subject::App(app.id), Some(app.tenant), active(app.is_active())));
            }
            HostChange::RemoveApp { tenant, id, .. } => {
                events.push(event(Action::AppRemoved, Subject::App(*id), Some(*tenant), Vec::new()));
            }
            HostChange::RemoveUser { tenant, id, .. } => {
                events.push(event(Action::UserRemoved, Subject::User(*id), Some(*tenant), Vec::new()));
            }
            HostChange::User { user, .. } => {
                let details = active(user.is_active());
                events.push(event(Action::UserChanged, Subject::User(user.id), Some(user.tenant), details));
            }
            HostChange::App { app, .. } if !app.host.permits() => {
                events.push(event(Action::AppChanged, Subject::App(app.id), Some(app.tenant), active(false)));
            }
            HostChange::App { app, .. } => rest.entry(Some(app.tenant)).or_default().0.push(app.id.get()),
            HostChange::Unclaimed(app) => rest.entry(None).or_default().0.push(app.id.get()),
            HostChange::Forget(id) => rest.entry(None).or_default().1.push(id.get()),
        }
    }
    for (tenant, (ids, forgotten)) in rest {
        let subject = tenant.map_or(Subject::Everything, Subject::Tenant);
        let list = |ids: &[u32]| ids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let mut details = vec![(DetailKey::Count, (ids.len() + forgotten.len()).to_string())];
        details.extend(Some((DetailKey::Apps, list(&ids))).filter(|_| !ids.is_empty()));
        details.extend(Some((DetailKey::Forgotten, list(&forgotten))).filter(|_| !forgotten.is_empty()));
        events.push(event(Action::DirectoryReconciled, subject, tenant, details));
    }
    events
}
