//! The contract of links, for [`super`]'s stores.

use super::*;
use crate::domain::{Link, LinkId, SubjectHash, SubjectKeyFingerprint};
use crate::store::LinkPlace;

const ISSUER: &str = "https://id.example";

fn link(tenant: TenantId, id: u8, subject: u8) -> Link {
    Link {
        tenant,
        id: LinkId::from_bytes([id; 16]),
        issuer: ISSUER.to_owned(),
        subject: SubjectHash([subject; 32]),
        app: AppId::new(7).unwrap(),
        user: UserId::new(9).unwrap(),
        created_at_ms: 100,
        generation: Generation(i64::MIN),
        mac: [6; 32],
    }
}

pub(super) fn links_are_found_by_whom_they_are_about_and_each_is_there_once(store: &dyn Store) {
    furnished(store);
    let links = store.links();
    let row = link(ACME, 1, 1);
    links.add(&row, event().into()).unwrap();
    assert_eq!(links.by_id(ACME, row.id).unwrap(), Some(row.clone()));
    assert_eq!(links.find(ACME, ISSUER, row.subject).unwrap(), Some(row.clone()));
    assert_eq!(links.find(ACME, "https://id.example/", row.subject).unwrap(), None, "the exact issuer");
    assert_eq!(links.find(ACME, ISSUER, SubjectHash([2; 32])).unwrap(), None);
    // The answer path reads the same, with the feed's position.
    let at = links.look_up(ACME, ISSUER, row.subject).unwrap();
    assert_eq!((at.row.as_ref(), at.position), (Some(&row), store.feed().position().unwrap()));
    assert_eq!(links.look_up(ACME, ISSUER, SubjectHash([2; 32])).unwrap().row, None);
    assert_eq!(links.look_up(GLOBEX, ISSUER, row.subject).unwrap().row, None);
    for taken in [link(ACME, 2, 1), link(ACME, 1, 2)] {
        assert!(matches!(links.add(&taken, event().into()), Err(StoreError::Exists { what: "link" })));
    }
    links.add(&Link { issuer: "https://other.example".to_owned(), ..link(ACME, 2, 1) }, event().into()).unwrap();
}

pub(super) fn r3_a_link_is_one_tenants_and_names_what_that_tenant_has(store: &dyn Store) {
    furnished(store);
    let links = store.links();
    let row = link(ACME, 1, 1);
    links.add(&row, event().into()).unwrap();
    assert_eq!(links.by_id(GLOBEX, row.id).unwrap(), None);
    assert_eq!(links.find(GLOBEX, ISSUER, row.subject).unwrap(), None);
    assert!(links.list(GLOBEX, None, &page(10)).unwrap().is_empty());
    assert!(matches!(links.remove(GLOBEX, row.id, event()), Err(StoreError::Missing { what: "link" })));
    let mut foreign = link(GLOBEX, 2, 1);
    assert!(matches!(links.add(&foreign, event().into()), Err(StoreError::Missing { what: "App" })));
    store.apps().add(&app(GLOBEX, 20), event().into()).unwrap();
    foreign.app = AppId::new(20).unwrap();
    assert!(matches!(links.add(&foreign, event().into()), Err(StoreError::Missing { what: "User" })));
    store.users().add(&user(GLOBEX, 21), event().into()).unwrap();
    foreign.user = UserId::new(21).unwrap();
    links.add(&foreign, event().into()).unwrap();
}

pub(super) fn a_link_outlives_its_app_until_it_is_removed_and_every_change_is_told(store: &dyn Store) {
    furnished(store);
    let links = store.links();
    let row = link(ACME, 1, 1);
    let before = (store.feed().position().unwrap(), store.audit().list(0, 100).unwrap().len());
    links.add(&row, event().into()).unwrap();
    store.apps().remove(ACME, row.app, event()).unwrap();
    store.users().remove(ACME, row.user, event()).unwrap();
    assert_eq!(links.by_id(ACME, row.id).unwrap(), Some(row.clone()));
    links.remove(ACME, row.id, event()).unwrap();
    assert_eq!(links.by_id(ACME, row.id).unwrap(), None);
    assert!(matches!(links.remove(ACME, row.id, event()), Err(StoreError::Missing { what: "link" })));
    assert_eq!(store.audit().list(0, 100).unwrap().len(), before.1 + 4);
    let News::Changes(changes) = store.feed().news(before.0).unwrap() else { panic!("there are news") };
    let subjects: Vec<Subject> = changes.iter().map(|change| change.subject).collect();
    assert_eq!(
        subjects,
        [
            Subject::Link(row.id),
            Subject::Links,
            Subject::App(row.app),
            Subject::User(row.user),
            Subject::Link(row.id),
            Subject::Links
        ]
    );
}

pub(super) fn links_are_listed_oldest_first_and_by_issuer(store: &dyn Store) {
    furnished(store);
    for (id, created_at_ms, issuer) in [(3, 200, "b"), (1, 300, "a"), (2, 200, "a"), (4, 100, "b")] {
        let row = Link { created_at_ms, issuer: issuer.to_owned(), ..link(ACME, id, id) };
        store.links().add(&row, event().into()).unwrap();
    }
    let ids = |issuer, after: Option<LinkPlace>, limit| {
        let rows = store.links().list(ACME, issuer, &Page { after, limit }).unwrap();
        rows.iter().map(|row| row.id.as_bytes()[0]).collect::<Vec<_>>()
    };
    assert_eq!(ids(None, None, 10), [4, 2, 3, 1]);
    assert_eq!(ids(Some("a"), None, 10), [2, 1]);
    assert_eq!(ids(None, Some((200, LinkId::from_bytes([2; 16]))), 1), [3]);
    assert_eq!(ids(Some("b"), Some((100, LinkId::from_bytes([4; 16]))), 10), [3]);
    assert!(ids(Some("A"), None, 10).is_empty());
}

pub(super) fn r5_another_subject_key_is_taken_only_while_there_is_no_link(store: &dyn Store) {
    furnished(store);
    let (links, keys) = (store.links(), [1, 2].map(|byte| SubjectKeyFingerprint([byte; 16])));
    assert_eq!((links.key().unwrap(), links.any().unwrap()), (None, false));
    for key in keys {
        links.set_key(key, event()).unwrap();
        assert_eq!(links.key().unwrap(), Some(key));
    }
    links.add(&link(ACME, 1, 1), event().into()).unwrap();
    assert!(links.any().unwrap());
    assert!(matches!(links.set_key(keys[0], event()), Err(StoreError::Conflict { .. })));
    assert_eq!(links.key().unwrap(), Some(keys[1]));
}
