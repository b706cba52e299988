//! Links, over the store in memory.

use super::*;
use crate::admin::tests::{World, new_user, world};
use crate::admin::{Caller, Scope};
use crate::clock::SystemEntropy;
use crate::domain::event::Actor;
use crate::domain::{Role, TenantStatus};
use crate::store::Store as _;

const ISSUER: &str = "https://id.example/realms/acme";
const ANN: &str = "ann-3f1c-the-subject";

fn app(id: u32) -> AppId {
    AppId::new(id).unwrap()
}

fn user(id: u32) -> UserId {
    UserId::new(id).unwrap()
}

fn new(subject: &str) -> NewLink {
    NewLink { issuer: ISSUER.to_owned(), subject: subject.to_owned(), app: app(7), user: user(9) }
}

struct Linking {
    world: World,
    admin: Admin,
    path: std::path::PathBuf,
    _dir: tempfile::TempDir,
}

/// With a key of subject hashes.
fn linking() -> Linking {
    let (world, dir) = (world(), tempfile::tempdir().unwrap());
    let path = dir.path().join("subject.key");
    let key = SubjectKey::create(&path, &SystemEntropy).unwrap();
    world.admin.set_subject_key(key.fingerprint()).unwrap();
    let admin = caller(&world, &path, Caller::unbound_owner(Actor::Local { uid: 1000 }));
    Linking { world, admin, path, _dir: dir }
}

fn caller(world: &World, path: &std::path::Path, caller: Caller) -> Admin {
    world.backend.clone().with_subject_key(path.to_owned()).admin(caller)
}

fn first() -> Page<LinkPlace> {
    Page { after: None, limit: 100 }
}

fn list(admin: &Admin, filter: &LinkFilter) -> Vec<JudgedLink> {
    admin.list_links("acme", filter, first()).unwrap().rows
}

#[test]
fn a_link_is_added_found_by_its_subject_and_removed() {
    let linking = linking();
    let Linking { world, admin, .. } = &linking;
    let made = admin.add_link("acme", &new(ANN)).unwrap();
    assert_eq!((made.state, made.link.app, made.link.user), (LinkState::Genuine, app(7), user(9)));
    assert_eq!(admin.link("acme", made.link.id).unwrap(), made);
    let by = |issuer: &str, subject: &str| {
        let filter = LinkFilter { issuer: Some(issuer.to_owned()), subject: Some(subject.to_owned()) };
        list(admin, &filter)
    };
    assert_eq!(by(ISSUER, ANN), std::slice::from_ref(&made));
    assert!(by(ISSUER, "Ann").is_empty() && by("https://id.example", ANN).is_empty());
    let alone = LinkFilter { issuer: None, subject: Some(ANN.to_owned()) };
    assert!(matches!(admin.list_links("acme", &alone, first()), Err(AdminError::Invalid { field: "issuer", .. })));
    let again = admin.add_link("acme", &NewLink { user: user(9), ..new(ANN) }).unwrap_err().to_string();
    assert_eq!(again, format!("link {} exists already", made.link.id));
    admin.remove_link("acme", made.link.id).unwrap();
    assert!(matches!(admin.remove_link("acme", made.link.id), Err(AdminError::NotFound { what: "link", .. })));
    assert!(matches!(admin.link("acme", made.link.id), Err(AdminError::NotFound { .. })) && by(ISSUER, ANN).is_empty());
    let events = world.store.audit().list(0, 1_000).unwrap();
    let told: Vec<_> = events.iter().rev().take(2).map(|entry| &entry.event).collect();
    assert_eq!((told[1].action, told[0].action), (Action::LinkAdded, Action::LinkRemoved));
    assert!(told.iter().all(|event| event.subject == Subject::Link(made.link.id)));
    assert!(told[1].details.contains(&(DetailKey::Issuer, ISSUER.to_owned())));
    assert!(!format!("{events:?}").contains(ANN), "the subject is not in the trail");
}

#[test]
fn r4_a_row_that_was_edited_without_the_key_is_not_genuine_and_can_be_removed() {
    let linking = linking();
    let Linking { world, admin, .. } = &linking;
    world.admin.add_user("acme", &new_user(10)).unwrap();
    let [kept, edited] = ["ann", "bob"].map(|subject| admin.add_link("acme", &new(subject)).unwrap().link.id);
    world.store.tamper_link(edited, |row| row.user = user(10));
    let states: Vec<_> = list(admin, &LinkFilter::default()).iter().map(|row| (row.link.id, row.state)).collect();
    assert!(states.contains(&(kept, LinkState::Genuine)) && states.contains(&(edited, LinkState::Forged)));
    assert_eq!(admin.link("acme", edited).unwrap().state, LinkState::Forged);
    admin.remove_link("acme", edited).unwrap();
}

#[test]
fn r5_without_its_key_nothing_is_added_or_found_and_none_is_made_up() {
    let linking = linking();
    let Linking { world, admin, path, .. } = &linking;
    let id = admin.add_link("acme", &new("ann")).unwrap().link.id;
    let refused = |admin: &Admin| {
        let find = LinkFilter { issuer: Some(ISSUER.to_owned()), subject: Some("ann".to_owned()) };
        let texts = [admin.add_link("acme", &new("bob")).err(), admin.list_links("acme", &find, first()).err()];
        texts.map(|error| match error {
            Some(AdminError::SubjectKey(text)) => text,
            other => panic!("{other:?}"),
        })
    };
    let key = std::fs::read(path).unwrap();
    std::fs::remove_file(path).unwrap();
    for text in refused(admin) {
        assert!(text.contains("missing") && !text.contains("subject.key"), "{text}");
    }
    assert!(!path.exists(), "made up");
    assert_eq!(admin.link("acme", id).unwrap().state, LinkState::KeyMissing);
    SubjectKey::create(path, &SystemEntropy).unwrap();
    assert!(refused(admin).iter().all(|text| text.contains("not the one of this store")));
    assert_eq!(admin.link("acme", id).unwrap().state, LinkState::KeyMissing, "not judged by another key");
    assert!(refused(&world.admin).iter().all(|text| text.contains("migrate up")), "where there is none");
    admin.remove_link("acme", id).unwrap();
    std::fs::write(path, key).unwrap();
    admin.add_link("acme", &new("ann")).unwrap();
}

#[test]
fn f1_a_link_needs_who_may_issue_and_what_the_tenant_has() {
    let linking = linking();
    let Linking { world, admin, path, .. } = &linking;
    let of = |slug: &str| Scope::Tenants(vec![world.admin.tenant(slug).unwrap().id]);
    let by = |role, scope| caller(world, path, Caller::new(Actor::Studio, role, scope));
    for (n, (role, may)) in [(Role::Auditor, false), (Role::Issuer, true), (Role::Owner, true)].into_iter().enumerate()
    {
        for scope in [of("acme"), Scope::All] {
            let added = by(role, scope.clone()).add_link("acme", &new(&format!("{n} {scope:?}")));
            assert_eq!(added.is_ok(), may, "{role:?} {scope:?}");
            assert!(may || matches!(added, Err(AdminError::Forbidden { needs: "the role issuer or owner" })));
        }
    }
    let tenant = world.admin.tenant("acme").unwrap().id;
    let portal = caller(world, path, Caller::portal(user(9), tenant));
    assert!(matches!(portal.add_link("acme", &new("x")), Err(AdminError::Forbidden { .. })), "nobody for themselves");
    assert!(matches!(portal.list_links("acme", &LinkFilter::default(), first()), Err(AdminError::Forbidden { .. })));
    let theirs = by(Role::Owner, of("globex"));
    assert!(matches!(theirs.add_link("acme", &new("x")), Err(AdminError::NotFound { what: "tenant", .. })));
    assert!(matches!(theirs.add_link("globex", &new("x")), Err(AdminError::NotFound { what: "App", .. })));
    let foreign = admin.add_link("acme", &new("x")).unwrap().link.id;
    assert!(matches!(theirs.link("globex", foreign), Err(AdminError::NotFound { what: "link", .. })));
    assert!(matches!(theirs.remove_link("globex", foreign), Err(AdminError::NotFound { what: "link", .. })));
    assert!(matches!(by(Role::Auditor, of("acme")).remove_link("acme", foreign), Err(AdminError::Forbidden { .. })));
    let none = admin.add_link("acme", &NewLink { user: user(10), ..new("y") });
    assert!(matches!(none, Err(AdminError::NotFound { what: "User", .. })));
    world.admin.set_tenant_status("acme", TenantStatus::Suspended).unwrap();
    assert!(matches!(admin.add_link("acme", &new("y")), Err(AdminError::Suspended(_))));
    by(Role::Issuer, of("acme")).remove_link("acme", foreign).unwrap();
}

#[test]
fn r3_one_subject_is_another_for_each_tenant_and_issuer() {
    let linking = linking();
    let Linking { world, admin, .. } = &linking;
    world.admin.add_app("globex", &crate::admin::tests::new_app(20)).unwrap();
    world.admin.add_user("globex", &new_user(21)).unwrap();
    let acme = admin.add_link("acme", &new(ANN)).unwrap().link;
    let other = NewLink { issuer: "https://other.example".to_owned(), ..new(ANN) };
    let theirs = NewLink { app: app(20), user: user(21), ..new(ANN) };
    let hashes = [acme.subject, admin.add_link("acme", &other).unwrap().link.subject];
    let globex = admin.add_link("globex", &theirs).unwrap().link;
    assert!(hashes[0] != hashes[1] && !hashes.contains(&globex.subject));
    assert_eq!(list(admin, &LinkFilter::default()).len(), 2);
}

#[test]
fn r18_a_repeated_request_is_the_same_link_and_what_is_kept_of_it_tries_no_subject() {
    let linking = linking();
    let Linking { world, path, .. } = &linking;
    let asked = |request_hash| {
        let (request_id, owner) = ("r-1".to_owned(), Caller::unbound_owner(Actor::Local { uid: 1 }));
        caller(world, path, Caller { request_id, request_hash, ..owner }).add_link("acme", &new(ANN))
    };
    let made = asked([1; 32]).unwrap().link.id.to_string();
    assert!(matches!(asked([1; 32]), Err(AdminError::Replayed { resource }) if resource == made));
    assert!(matches!(asked([2; 32]), Err(AdminError::RequestReused { .. })));
    let tenant = Some(world.admin.tenant("acme").unwrap().id);
    let key = crate::store::RequestKey { actor: "local:1", tenant, method: "CreateLink", request_id: "r-1" };
    let (kept, _) = world.store.requests().find(&key).unwrap().unwrap();
    assert_ne!(kept, [1; 32], "the plain hash of the request");
}

#[test]
fn what_does_not_fit_a_link_is_refused_with_its_field() {
    let linking = linking();
    let Linking { admin, .. } = &linking;
    for bad in ["", "a\nb", &"x".repeat(513)] {
        let field = |new: NewLink| match admin.add_link("acme", &new) {
            Err(AdminError::Invalid { field, .. }) => field,
            other => panic!("{other:?}"),
        };
        assert_eq!(field(NewLink { issuer: bad.to_owned(), ..new(ANN) }), "issuer");
        assert_eq!(field(new(bad)), "subject");
    }
    admin.add_link("acme", &new(&"é".repeat(512))).unwrap();
    admin.add_link("acme", &new(" ")).unwrap();
}
