//! Who may do what, and that nobody reaches what is another tenant's.

use super::tests::{World, request, world};
use super::*;
use crate::authenticate::explain::Asked;
use crate::authenticate::{Attempt, RequestedLlm, Stage};
use crate::domain::credential::RevocationReason;
use crate::domain::event::Actor;
use crate::domain::{AppId, CredentialId, LlmGrants, Role, TenantStatus, UserId};
use crate::store::{Page, Store as _};

fn first<K>() -> Page<K> {
    Page { after: None, limit: 100 }
}

fn attempt() -> Attempt<'static> {
    let llm = RequestedLlm::default();
    Attempt { stage: Stage::CommandLine, llm, namespace: None, remote: None, request_id: "" }
}

/// Everything that there is to do, by name, with what it needs at least.
type Deed = (&'static str, Act, fn(&Admin, CredentialId) -> AdminResult<()>);

const DEEDS: &[Deed] = &[
    ("read a tenant", Act::Read, |a, _| a.tenant("acme").map(drop)),
    ("list tenants", Act::Read, |a, _| a.list_tenants(first()).map(drop)),
    ("read an App", Act::ReadKeys, |a, _| a.app("acme", app()).map(drop)),
    ("list Apps", Act::ReadKeys, |a, _| a.list_apps("acme", first()).map(drop)),
    ("read a User", Act::Read, |a, _| a.user("acme", user()).map(drop)),
    ("list Users", Act::Read, |a, _| a.list_users("acme", first()).map(drop)),
    ("read a key", Act::ReadKeys, |a, id| a.key(id).map(drop)),
    ("list keys", Act::ReadKeys, |a, _| a.list_keys("acme", &KeyFilter::default(), first()).map(drop)),
    ("list links", Act::Read, |a, _| a.list_links("acme", &LinkFilter::default(), first()).map(drop)),
    ("add a link", Act::Link, |a, _| {
        let (issuer, subject) = ("https://id.example".to_owned(), "ann".to_owned());
        match a.add_link("acme", &NewLink { issuer, subject, app: app(), user: user() }) {
            // This world has no key for it: the caller got as far as that.
            Err(AdminError::SubjectKey(_)) => Ok(()),
            other => other.map(drop),
        }
    }),
    ("list issuers", Act::Read, |a, _| a.list_issuers("acme", first()).map(drop)),
    ("may switch an issuer", Act::Trust, |a, _| absent(a.may_switch_issuer("acme", no_issuer()).map(drop))),
    ("change an issuer", Act::Trust, |a, _| match a.set_issuer("acme", no_issuer(), &IssuerChanges::default()) {
        Err(AdminError::SubjectKey(_)) => Ok(()),
        other => other.map(drop),
    }),
    ("check an issuer", Act::Trust, |a, _| absent(a.check_issuer("acme", no_issuer()).map(drop))),
    ("remove an issuer", Act::Trust, |a, _| absent(a.remove_issuer("acme", no_issuer()))),
    ("set the subject key", Act::Govern, |a, _| a.set_subject_key(crate::domain::SubjectKeyFingerprint([1; 16]))),
    ("list operators", Act::Read, |a, _| a.list_operators(&first()).map(drop)),
    ("read the trail", Act::Read, |a, _| a.events(&audit_log::EventFilter::default(), 0, 10).map(drop)),
    ("explain by id", Act::Read, |a, id| a.explain_key(Asked::Id(id), &attempt()).map(drop)),
    ("verify the trail", Act::ReadAll, |a, _| {
        a.verify_trail(&crate::audit::verify::Trust::First, Vec::new()).map(drop)
    }),
    ("export the trail", Act::ReadAll, |a, _| a.export_trail(|_| Ok(())).map(drop)),
    ("issue", Act::Issue, |a, _| a.issue_key("acme", &request()).map(drop)),
    ("change a key", Act::Change, |a, id| a.change_key(id, &KeyChanges::default()).map(drop)),
    ("may revoke", Act::Issue, |a, id| a.may_revoke_key(id).map(drop)),
    ("change an App", Act::Manage, |a, _| a.set_app("acme", app(), &AppChanges::default()).map(drop)),
    ("change a User", Act::Manage, |a, _| a.set_user("acme", user(), &UserChanges::default()).map(drop)),
    ("change a tenant", Act::Govern, |a, _| a.set_tenant("acme", &TenantChanges::default()).map(drop)),
    ("suspend", Act::Govern, |a, _| a.set_tenant_status("acme", TenantStatus::Active).map(drop)),
    ("grant an LLM", Act::Govern, |a, _| {
        let changes = AppChanges { llms: Some(Vec::new()), ..AppChanges::default() };
        a.set_app("acme", app(), &changes).map(drop)
    }),
    ("export keys", Act::Govern, |a, _| a.export_keys("acme", |_| true).map(drop)),
    ("peppers", Act::ReadAll, |a, _| a.peppers().map(drop)),
    ("note a backup", Act::Govern, |a, _| a.note_backup()),
    ("add an operator", Act::Govern, |a, _| a.add_owner(&format!("o{}", rand(a))).map(drop)),
    ("prune the trail", Act::Govern, |a, _| match a.prune_trail(0) {
        Err(AdminError::Invalid { .. }) => Ok(()),
        other => other.map(drop),
    }),
];

fn no_issuer() -> crate::domain::IssuerId {
    crate::domain::IssuerId::from_bytes([1; 16])
}

/// There is no issuer here: the caller got as far as that.
fn absent(done: AdminResult<()>) -> AdminResult<()> {
    match done {
        Err(AdminError::NotFound { what: "issuer", .. }) => Ok(()),
        other => other,
    }
}

fn rand(admin: &Admin) -> String {
    CredentialId::random(admin.backend.entropy.as_ref()).unwrap().to_string()
}

fn app() -> AppId {
    AppId::new(7).unwrap()
}

fn user() -> UserId {
    UserId::new(9).unwrap()
}

fn caller(world: &World, role: Role, scope: Option<&str>) -> Admin {
    // Not an operator, whom the store would have to know.
    let actor = Actor::Studio;
    let scope = scope.map_or(Scope::All, |slug| Scope::Tenants(vec![world.admin.tenant(slug).unwrap().id]));
    world.backend.admin(Caller::new(actor, role, scope))
}

/// What each role may, bound to a tenant and not: written down here once more, so that a slip there shows.
fn allowed(role: Role, bound: bool) -> &'static [Act] {
    use Act::{Change, Govern, Issue, Link, Manage, Read, ReadAll, ReadKeys, Trust};
    match (role, bound) {
        (Role::Owner, false) => &[ReadKeys, Read, ReadAll, Issue, Change, Link, Manage, Trust, Govern],
        (Role::Owner, true) => &[ReadKeys, Read, Issue, Change, Link, Manage, Trust],
        (Role::Issuer, false) => &[ReadKeys, Read, ReadAll, Issue, Change, Link],
        (Role::Issuer, true) => &[ReadKeys, Read, Issue, Change, Link],
        (Role::Auditor, false) => &[ReadKeys, Read, ReadAll],
        (Role::Auditor, true) => &[ReadKeys, Read],
    }
}

#[test]
fn f1_each_role_may_do_what_it_is_for_and_no_more() {
    for role in [Role::Owner, Role::Issuer, Role::Auditor] {
        for bound in [false, true] {
            let world = world();
            let id = world.admin.issue_key("acme", &request()).unwrap().credential.id;
            let admin = caller(&world, role, bound.then_some("acme"));
            for (name, act, deed) in DEEDS {
                let done = deed(&admin, id);
                let forbidden = matches!(done, Err(AdminError::Forbidden { .. }));
                assert_eq!(!forbidden, allowed(role, bound).contains(act), "{role:?} bound {bound}: {name}: {done:?}");
                assert!(forbidden || done.is_ok(), "{role:?} bound {bound}: {name}: {done:?}");
            }
        }
    }
}

#[test]
fn f1_what_is_another_tenants_reads_as_what_is_not_there() {
    let world = world();
    let id = world.admin.issue_key("acme", &request()).unwrap().credential.id;
    let unknown = CredentialId::from_bytes([3; 16]);
    let bound = [Role::Owner, Role::Issuer, Role::Auditor].map(|role| caller(&world, role, Some("globex")));
    let before = world.store.audit().list(0, 1_000).unwrap().len();
    for admin in &bound {
        for (name, act, deed) in DEEDS {
            if !allowed(admin.caller().role, true).contains(act) || name.starts_with("list ") || name.contains("trail")
            {
                continue;
            }
            let foreign = deed(admin, id).unwrap_err().to_string();
            assert!(foreign.starts_with("there is no "), "{name}: {foreign}");
            let absent = deed(admin, unknown).unwrap_err().to_string();
            assert_eq!(foreign.replace(&id.to_string(), "ID"), absent.replace(&unknown.to_string(), "ID"), "{name}");
        }
        assert_eq!(
            admin.list_tenants(first()).unwrap().rows.iter().map(|t| t.slug.as_str()).collect::<Vec<_>>(),
            ["globex"]
        );
        assert!(admin.list_operators(&first()).unwrap().rows.is_empty());
        let events = admin.events(&audit_log::EventFilter::default(), 0, 100).unwrap().events;
        let globex = world.admin.tenant("globex").unwrap().id;
        assert!(!events.is_empty() && events.iter().all(|event| event.event.tenant == Some(globex)));
    }
    assert!(matches!(world.admin.key(id).unwrap().status, crate::domain::Status::Active));
    assert_eq!(world.store.audit().list(0, 1_000).unwrap().len(), before, "nothing was done");
}

#[test]
fn f1_a_tenant_grants_itself_nothing_that_others_pay_for() {
    let world = world();
    let owner = caller(&world, Role::Owner, Some("acme"));
    let named = |changes: AppChanges| owner.set_app("acme", app(), &changes);
    assert!(named(AppChanges { name: Some("New".to_owned()), ..AppChanges::default() }).is_ok());
    for changes in [
        AppChanges { llms: Some(Vec::new()), ..AppChanges::default() },
        AppChanges { monthly_budget: Some(1.0), ..AppChanges::default() },
        AppChanges { rate_limit: Some(1), ..AppChanges::default() },
    ] {
        assert!(matches!(named(changes), Err(AdminError::Forbidden { .. })));
    }
    let foreign = AppChanges { owner: Some(UserId::new(10)), ..AppChanges::default() };
    assert!(matches!(named(foreign), Err(AdminError::NotFound { what: "User", .. })), "the owner is one of the tenant");
}

/// A caller from the portal.
fn portal(world: &World, user: u32) -> Admin {
    let user = UserId::new(user).unwrap();
    world.backend.admin(Caller::portal(user, world.admin.tenant("acme").unwrap().id))
}

#[test]
fn r1_who_comes_from_the_portal_reaches_their_own_apps_and_keys_alone() {
    let world = world();
    let owned = AppChanges { owner: Some(Some(user())), ..AppChanges::default() };
    let of = |admin: &Admin| admin.list_keys("acme", &KeyFilter::default(), first()).map(|listed| listed.rows.len());
    let id = world.admin.issue_key("acme", &request()).unwrap().credential.id;
    let (ann, bob) = (portal(&world, 9), portal(&world, 10));
    assert!(ann.app("acme", app()).is_err() && ann.key(id).is_err(), "an App is nobody's until it is said to be");
    world.admin.set_app("acme", app(), &owned).unwrap();
    assert!(ann.app("acme", app()).is_ok() && ann.key(id).is_ok());
    assert_eq!((of(&ann).unwrap(), of(&bob).unwrap()), (1, 0));
    assert!(ann.issue_key("acme", &request()).is_ok());
    let decoy = IssueRequest { decoy: true, ..request() };
    assert!(ann.issue_key("acme", &decoy).is_err());
    for (name, act, deed) in DEEDS {
        let done = deed(&bob, id);
        match act {
            Act::ReadKeys if name.starts_with("list ") => assert!(done.is_ok(), "{name}"),
            Act::ReadKeys | Act::Issue => assert!(matches!(done, Err(AdminError::NotFound { .. })), "{name}: {done:?}"),
            _ => assert!(matches!(done, Err(AdminError::Forbidden { .. })), "{name}: {done:?}"),
        }
        if !matches!(act, Act::ReadKeys | Act::Issue) {
            assert!(matches!(deed(&ann, id), Err(AdminError::Forbidden { .. })), "{name}");
        }
    }
    // A key of the App that acts for somebody else is not theirs.
    world.admin.add_user("acme", &NewUser { id: UserId::new(10).unwrap(), ..super::tests::new_user(10) }).unwrap();
    let other = IssueRequest { user: UserId::new(10).unwrap(), ..request() };
    let others = world.admin.issue_key("acme", &other).unwrap().credential.id;
    assert!(ann.key(others).is_err() && ann.revoke_key(others, RevocationReason::Unspecified).is_err());
    assert!(ann.issue_key("acme", &other).is_err());
    assert!(ann.list_apps("globex", first()).is_err());
}

#[test]
fn a_create_with_a_request_id_happens_once() {
    let world = world();
    let asking = |id: &str, hash: u8| {
        let caller = Caller::unbound_owner(Actor::Local { uid: 1 });
        world.backend.admin(Caller { request_id: id.to_owned(), request_hash: [hash; 32], ..caller })
    };
    let issued = asking("r1", 1).issue_key("acme", &request()).unwrap().credential.id;
    let Err(AdminError::Replayed { resource }) = asking("r1", 1).issue_key("acme", &request()) else {
        panic!("replayed")
    };
    assert_eq!(resource, issued.to_string());
    assert!(matches!(asking("r1", 2).issue_key("acme", &request()), Err(AdminError::RequestReused { .. })));
    let rotate =
        RotateRequest { grace_ms: 0, expires_at_ms: None, cost: crate::verify::argon::DEFAULT_COST, etag: None };
    let new = asking("r2", 1).rotate_key(issued, rotate).unwrap().new.credential.id;
    let Err(AdminError::Replayed { resource }) = asking("r2", 1).rotate_key(issued, rotate) else { panic!("replayed") };
    assert_eq!(resource, new.to_string());
    // Another method, another caller, no id: not the same request.
    assert!(asking("r1", 1).add_user("acme", &super::tests::new_user(77)).is_ok());
    assert!(asking("", 1).issue_key("acme", &request()).is_ok() && asking("", 1).issue_key("acme", &request()).is_ok());
    let other = world.backend.admin(Caller {
        request_id: "r1".to_owned(),
        request_hash: [1; 32],
        ..Caller::unbound_owner(Actor::Local { uid: 2 })
    });
    assert!(other.issue_key("acme", &request()).is_ok());
    let told = world.store.audit().list(0, 1_000).unwrap();
    assert_eq!(told.iter().filter(|event| event.event.request_id == "r1").count(), 3);
}

#[test]
fn an_etag_that_is_not_the_last_changes_nothing() {
    let world = world();
    let read = world.admin.app("acme", app()).unwrap().generation;
    let named = |name: &str, etag| AppChanges { name: Some(name.to_owned()), etag, ..AppChanges::default() };
    let changed = world.admin.set_app("acme", app(), &named("One", Some(read))).unwrap();
    assert_ne!(changed.generation, read);
    let stale = world.admin.set_app("acme", app(), &named("Two", Some(read)));
    assert!(matches!(stale, Err(AdminError::Stale { .. })), "{stale:?}");
    assert_eq!(world.admin.app("acme", app()).unwrap().name, "One");
    world.admin.set_app("acme", app(), &named("Two", None)).unwrap();
    let key = world.admin.issue_key("acme", &request()).unwrap().credential;
    let label = |etag| KeyChanges { label: Some("new".to_owned()), etag, ..KeyChanges::default() };
    world.admin.change_key(key.id, &label(Some(key.generation))).unwrap();
    assert!(matches!(world.admin.change_key(key.id, &label(Some(key.generation))), Err(AdminError::Stale { .. })));
    let rotate = RotateRequest {
        grace_ms: 0,
        expires_at_ms: None,
        cost: crate::verify::argon::DEFAULT_COST,
        etag: Some(key.generation),
    };
    assert!(matches!(world.admin.rotate_key(key.id, rotate), Err(AdminError::Stale { .. })));
    let tenant = world.admin.tenant("acme").unwrap().generation;
    let grants = |etag| TenantChanges { llm_grants: Some(LlmGrants::Unchecked), etag, ..TenantChanges::default() };
    world.admin.set_tenant("acme", &grants(Some(tenant))).unwrap();
    let again = TenantChanges { llm_grants: Some(LlmGrants::Required), ..grants(Some(tenant)) };
    assert!(matches!(world.admin.set_tenant("acme", &again), Err(AdminError::Stale { .. })));
}

#[test]
fn a_key_that_has_ended_is_not_brought_back() {
    let world = world();
    let ending = IssueRequest { expires_at_ms: Some(world.admin.now_ms() + 1_000), ..request() };
    let id = world.admin.issue_key("acme", &ending).unwrap().credential.id;
    world.clock.advance(std::time::Duration::from_secs(2));
    let longer = KeyChanges { expires_at_ms: Some(None), ..KeyChanges::default() };
    assert!(matches!(world.admin.change_key(id, &longer), Err(AdminError::NotInForce { .. })));
}

#[test]
fn e1_an_event_says_from_where_it_was_asked() {
    let world = world();
    let admin = world.backend.admin(Caller::unbound_owner(Actor::Studio).from_there("studio"));
    admin.set_tenant_status("acme", TenantStatus::Suspended).unwrap();
    let last = world.store.audit().list(0, 1_000).unwrap().pop().unwrap().event;
    assert!(last.details.contains(&(DetailKey::Source, "studio".to_owned())), "{last:?}");
}
