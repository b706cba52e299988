//! The contract of rotation and of last use, for [`super`]'s stores.

use super::*;
use crate::domain::credential::Replaced;

fn rotated(expected: &Credential) -> (Credential, Credential) {
    let (mut old, mut new) = (expected.clone(), credential(ACME, 2, 200));
    old.replaced = Some(Replaced { by: new.id, grace_until_ms: 77 });
    old.generation = Generation(12);
    new.replaces = Some(old.id);
    new.decoy = true;
    (old, new)
}

pub(super) fn b3_a_rotation_writes_both_rows_or_neither(store: &dyn Store) {
    furnished(store);
    let first = credential(ACME, 1, 100);
    store.credentials().issue(&first, event().into()).unwrap();
    let (old, new) = rotated(&first);
    let wrong = store.credentials().rotate(&new, &old, Generation(99), event().into());
    assert!(matches!(wrong, Err(StoreError::Conflict { .. })));
    let mut orphan = new.clone();
    orphan.app = AppId::new(8).unwrap();
    let missing = store.credentials().rotate(&orphan, &old, first.generation, event().into());
    assert!(matches!(missing, Err(StoreError::Missing { what: "App" })));
    assert_eq!(told(&store.credentials().by_id(ACME, first.id).unwrap().unwrap()), told(&first));
    assert!(store.credentials().by_id(ACME, new.id).unwrap().is_none());
    let before = store.feed().position().unwrap();
    store.credentials().rotate(&new, &old, first.generation, event().into()).unwrap();
    assert_eq!(told(&store.credentials().look_up(old.id).unwrap().row.unwrap()), told(&old));
    assert_eq!(told(&store.credentials().look_up(new.id).unwrap().row.unwrap()), told(&new));
    let News::Changes(changes) = store.feed().news(before).unwrap() else { panic!("no news") };
    let subjects: Vec<Subject> = changes.iter().map(|change| change.subject).collect();
    assert_eq!(subjects, [Subject::Credential(old.id), Subject::Credential(new.id)]);
}

pub(super) fn last_use_only_grows_and_is_neither_event_nor_change(store: &dyn Store) {
    furnished(store);
    let row = credential(ACME, 1, 100);
    store.credentials().issue(&row, event().into()).unwrap();
    let (position, head) = (store.feed().position().unwrap(), store.audit().head().unwrap());
    let unknown = CredentialId::from_bytes([99; 16]);
    store.credentials().used(&[(row.id, 500), (unknown, 500)]).unwrap();
    store.credentials().used(&[(row.id, 400)]).unwrap();
    let now = store.credentials().look_up(row.id).unwrap().row.unwrap();
    assert_eq!(now.last_used_at_ms, Some(500));
    assert_eq!(now.generation, row.generation);
    assert_eq!((store.feed().position().unwrap(), store.audit().head().unwrap()), (position, head));
}
