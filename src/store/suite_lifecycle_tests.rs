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

pub(super) fn room_is_counted_by_app_and_user_of_what_is_in_force(store: &dyn Store) {
    furnished(store);
    store.apps().add(&app(ACME, 8), event().into()).unwrap();
    store.users().add(&user(ACME, 10), event().into()).unwrap();
    let within = |most| Record { room: Some(Room { most, now_ms: 1_000 }), ..event().into() };
    let issue = |id: u8, most: u32, change: &dyn Fn(&mut Credential)| {
        let mut row = credential(ACME, id, 100);
        change(&mut row);
        store.credentials().issue(&row, within(most))
    };
    issue(1, 2, &|_| {}).unwrap();
    // None of these counts: revoked, expired, past its grace, a honey key, another App's, another User's.
    issue(2, 2, &|row| row.status = Status::Revoked { at_ms: 1, reason: RevocationReason::Unspecified }).unwrap();
    issue(3, 2, &|row| row.expires_at_ms = Some(1_000)).unwrap();
    let ended = Replaced { by: CredentialId::from_bytes([1; 16]), grace_until_ms: 1_000 };
    issue(4, 2, &|row| row.replaced = Some(ended)).unwrap();
    issue(5, 2, &|row| row.decoy = true).unwrap();
    issue(6, 2, &|row| row.app = AppId::new(8).unwrap()).unwrap();
    issue(7, 2, &|row| row.user = UserId::new(10).unwrap()).unwrap();
    issue(8, 2, &|row| row.expires_at_ms = None).unwrap();
    assert!(matches!(issue(9, 2, &|_| {}), Err(StoreError::Full { .. })));
    assert!(store.credentials().by_id(ACME, CredentialId::from_bytes([9; 16])).unwrap().is_none());
    let ids = |user: u32| {
        let rows = store.credentials().list_of(ACME, UserId::new(user).unwrap(), &page(100)).unwrap();
        rows.iter().map(|row| row.id.as_bytes()[0]).collect::<Vec<_>>()
    };
    assert_eq!((ids(9), ids(10)), (vec![1, 2, 3, 4, 5, 6, 8], vec![7]));
    // A rotation with grace leaves two in force, one without leaves as many as there were.
    let first = store.credentials().by_id(ACME, CredentialId::from_bytes([1; 16])).unwrap().unwrap();
    let (mut old, mut new) = (first.clone(), credential(ACME, 10, 200));
    (old.generation, new.replaces) = (Generation(12), Some(old.id));
    let rotate = |old: &Credential, most| store.credentials().rotate(&new, old, first.generation, within(most));
    old.replaced = Some(Replaced { by: new.id, grace_until_ms: 2_000 });
    assert!(matches!(rotate(&old, 2), Err(StoreError::Full { .. })));
    assert_eq!(told(&store.credentials().by_id(ACME, first.id).unwrap().unwrap()), told(&first), "nothing was changed");
    old.replaced = Some(Replaced { by: new.id, grace_until_ms: 1_000 });
    rotate(&old, 2).unwrap();
}
