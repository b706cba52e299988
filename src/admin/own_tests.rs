//! Who comes through a host, and what people may make for themselves.

use super::tests::{World, new_user, request, world};
use super::*;
use crate::domain::credential::RevocationReason;
use crate::domain::event::Actor;
use crate::domain::{Role, TenantStatus, UserId};
use crate::store::Store as _;

const DAY_MS: i64 = 24 * 3_600_000;

fn user(id: u32) -> UserId {
    UserId::new(id).unwrap()
}

/// With Ann (9) who owns App 7, and these bounds.
fn bounded(rules: PortalRules) -> (World, Admin) {
    let world = world();
    let owned = AppChanges { owner: Some(Some(user(9))), ..AppChanges::default() };
    world.admin.set_app("acme", request().app, &owned).unwrap();
    let backend = world.backend.clone().with_portal_rules(rules);
    let ann = backend.admin(backend.portal(user(9)).unwrap());
    (world, ann)
}

fn rotate(expires_at_ms: Option<i64>, grace_ms: i64) -> RotateRequest {
    RotateRequest { grace_ms, expires_at_ms, cost: crate::verify::argon::DEFAULT_COST, etag: None }
}

#[test]
fn r1_the_portal_knows_active_users_of_active_tenants_and_refuses_all_others_alike() {
    let world = world();
    world.admin.add_user("acme", &new_user(10)).unwrap();
    let caller = world.backend.portal(user(10)).unwrap();
    assert_eq!((caller.actor, caller.role, caller.own), (Actor::Portal(user(10)), Role::Issuer, Some(user(10))));
    assert_eq!(caller.scope, Scope::Tenants(vec![world.admin.tenant("acme").unwrap().id]));
    let refused = |id: u32| world.backend.portal(user(id)).unwrap_err().to_string();
    let unknown = refused(99);
    let inactive = UserChanges { active: Some(false), ..UserChanges::default() };
    world.admin.set_user("acme", user(10), &inactive).unwrap();
    assert_eq!(refused(10), unknown, "an inactive User");
    assert!(world.backend.portal(user(9)).is_ok());
    world.admin.set_tenant_status("acme", TenantStatus::Suspended).unwrap();
    assert_eq!(refused(9), unknown, "a suspended tenant");
}

#[test]
fn r18_a_page_is_an_issuer_at_most_and_an_operator_is_looked_up_anew() {
    let world = world();
    let (caller, unknown) = world.backend.studio(&["acme".to_owned(), "nobody".to_owned()], Role::Owner).unwrap();
    assert_eq!((caller.actor, caller.role), (Actor::Studio, Role::Issuer));
    assert_eq!(caller.scope, Scope::Tenants(vec![world.admin.tenant("acme").unwrap().id]));
    assert_eq!(unknown, ["nobody"]);
    let owner = world.admin.add_owner("first").unwrap().operator;
    let raised = world.backend.raised(owner.id).unwrap().unwrap();
    assert_eq!((raised.role, raised.scope, raised.source.as_str()), (Role::Issuer, Scope::All, "studio"));
    let new = NewOperator {
        name: "ann".to_owned(),
        role: Role::Auditor,
        tenants: vec!["acme".to_owned()],
        certificate: None,
    };
    let ann = world.admin.add_operator(&new).unwrap().operator;
    assert_eq!(world.backend.raised(ann.id).unwrap().unwrap().role, Role::Auditor, "never more than they are");
    // A row that somebody without the pepper wrote counts for nothing.
    let mut forged = ann.clone();
    forged.role = Role::Owner;
    forged.tenants.clear();
    let event = world.store.audit().list(0, 1).unwrap().pop().unwrap().event;
    world.store.peppers().reseal_operator(&forged, ann.generation, event).unwrap();
    assert!(world.backend.raised(ann.id).unwrap().is_none());
    world.admin.add_owner("second").unwrap();
    world.admin.revoke_operator("first").unwrap();
    assert!(world.backend.raised(owner.id).unwrap().is_none());
}

#[test]
fn a_key_of_the_portal_ends_and_has_the_scopes_that_this_machine_allows() {
    let rules = PortalRules { scopes: vec!["chat".to_owned()], max_days: 30, max_keys: 20 };
    let (world, ann) = bounded(rules);
    let last_ms = ann.now_ms() + 30 * DAY_MS;
    let issued = |request: IssueRequest| ann.issue_key("acme", &request).map(|issued| issued.credential);
    assert_eq!(issued(request()).unwrap().expires_at_ms, Some(last_ms), "an end where none is given");
    let until = |ms| IssueRequest { expires_at_ms: Some(ms), ..request() };
    assert_eq!(issued(until(last_ms)).unwrap().expires_at_ms, Some(last_ms));
    assert!(matches!(issued(until(last_ms + 1)), Err(AdminError::Invalid { field: "expires", .. })));
    let scoped = |scope: &str| IssueRequest { scopes: vec![scope.to_owned()], ..request() };
    assert!(issued(scoped("chat")).is_ok());
    assert!(matches!(issued(scoped("admin")), Err(AdminError::Invalid { field: "scope", .. })));
    let cheap =
        IssueRequest { cost: crate::verify::argon::Cost { memory_kib: 65_536, passes: 9, lanes: 1 }, ..request() };
    assert!(issued(cheap).unwrap().verifier.phc.contains("m=19456,t=2,p=1"), "work is not theirs to choose");
    // An operator's key lives as long as it likes; what takes its place in the portal does not.
    let long = until(ann.now_ms() + 900 * DAY_MS);
    let old = world.admin.issue_key("acme", &long).unwrap().credential;
    assert!(matches!(ann.rotate_key(old.id, rotate(Some(last_ms + 1), 0)), Err(AdminError::Invalid { .. })));
    let new = ann.rotate_key(old.id, rotate(None, 0)).unwrap().new.credential;
    assert_eq!(new.expires_at_ms, Some(last_ms));
    // Nor is a key with more scopes given out anew to somebody who may never have seen it.
    let strong = world.admin.issue_key("acme", &scoped("admin")).unwrap().credential;
    assert!(matches!(ann.rotate_key(strong.id, rotate(None, 0)), Err(AdminError::Invalid { field: "scope", .. })));
    let changes = KeyChanges { label: Some("new".to_owned()), ..KeyChanges::default() };
    assert!(matches!(ann.change_key(new.id, &changes), Err(AdminError::Forbidden { .. })));
}

#[test]
fn a_user_has_so_many_keys_of_an_app_in_force_and_no_more() {
    let (_world, ann) = bounded(PortalRules { max_keys: 2, ..PortalRules::default() });
    let issue = || ann.issue_key("acme", &request()).map(|issued| issued.credential.id);
    let (first, second) = (issue().unwrap(), issue().unwrap());
    assert!(matches!(issue(), Err(AdminError::TooMany { most: 2 })));
    assert!(matches!(ann.rotate_key(first, rotate(None, 60_000)), Err(AdminError::TooMany { most: 2 })));
    ann.rotate_key(first, rotate(None, 0)).unwrap();
    assert!(matches!(issue(), Err(AdminError::TooMany { .. })));
    ann.revoke_key(second, RevocationReason::Unspecified).unwrap();
    issue().unwrap();
}
