//! The contract of the copy of a host's directory.

use super::*;
use crate::domain::{HostState, HostSync, LlmId, UnclaimedApp};

fn id(number: u32) -> AppId {
    AppId::new(number).unwrap()
}

fn unclaimed(number: u32) -> UnclaimedApp {
    UnclaimedApp { id: id(number), name: "New".into(), namespace: "eu".into(), owner: UserId::new(5), active: true }
}

fn all<K>(after: Option<K>) -> Page<K> {
    Page { after, limit: 100 }
}

fn remove(number: u32, generation: i64) -> HostChange {
    HostChange::RemoveApp { tenant: ACME, id: id(number), expected: Generation(generation) }
}

/// Run on each implementation.
pub(super) fn the_copy_of_a_hosts_directory_is_written_whole_or_not_at_all(store: &dyn Store) {
    store.tenants().create(&tenant(ACME, "acme"), event().into()).unwrap();
    for number in [7, 8, 9] {
        store.apps().add(&app(ACME, number), event().into()).unwrap();
    }
    store.users().add(&user(ACME, 9), event().into()).unwrap();
    let copy = store.host_copy();
    let ids = |apps: Vec<App>| apps.into_iter().map(|app| app.id.get()).collect::<Vec<_>>();
    assert_eq!(copy.claimed(&[id(9), id(7), id(50)]).unwrap(), [app(ACME, 7), app(ACME, 9)]);
    assert_eq!(ids(copy.list_claimed(&all(Some(id(7)))).unwrap()), [8, 9]);
    assert_eq!(ids(copy.with_llm(LlmId::new(3).unwrap(), &all(None)).unwrap()), [7, 8, 9]);
    assert_eq!(ids(copy.with_llm(LlmId::new(4).unwrap(), &all(None)).unwrap()), [0_u32; 0]);
    let annes = UserId::new(9).unwrap();
    assert_eq!(copy.user(annes).unwrap(), Some(user(ACME, 9)));

    let (before, position) = (store.audit().list(0, 100).unwrap().len(), store.feed().position().unwrap());
    let mut changed = app(ACME, 7);
    changed.host = HostState { active: false, gone_at_ms: Some(5) };
    (changed.tools, changed.datasources, changed.llms) = (vec![1, u32::MAX], vec![2], Vec::new());
    changed.generation = Generation(70);
    let mut left = user(ACME, 9);
    left.host = HostState { active: true, gone_at_ms: Some(6) };
    left.generation = Generation(90);
    let told = vec![
        HostChange::App { app: changed.clone(), expected: Generation(7) },
        HostChange::User { user: left.clone(), expected: Generation(7) },
        HostChange::Claim(app(ACME, 20)),
        HostChange::Unclaimed(unclaimed(30)),
        HostChange::Unclaimed(unclaimed(31)),
    ];
    copy.apply(told, vec![event(), event()]).unwrap();
    assert_eq!(store.apps().by_id(ACME, id(7)).unwrap(), Some(changed.clone()));
    assert_eq!(store.users().by_id(ACME, annes).unwrap(), Some(left.clone()));
    let linked = store.credentials().linked(ACME, id(7), annes).unwrap().row;
    assert_eq!((linked.app, linked.user), (Some(changed.clone()), Some(left.clone())), "what a request sees");
    assert!(!changed.is_active() && !left.is_active());
    assert_eq!(store.audit().list(0, 100).unwrap().len(), before + 2, "an event for each tenant");
    let News::Changes(told) = store.feed().news(position).unwrap() else { panic!("no news") };
    let told: Vec<_> = told.into_iter().map(|change| change.subject).collect();
    assert_eq!(told, [Subject::App(id(7)), Subject::User(annes), Subject::App(id(20))]);
    assert_eq!(copy.unclaimed(&[id(31), id(99)]).unwrap(), [unclaimed(31)]);
    assert_eq!(copy.list_unclaimed(&all(None)).unwrap(), [unclaimed(30), unclaimed(31)]);
    let (apps, users) = copy.gone_before(6, 10).unwrap();
    assert_eq!((ids(apps), users.len()), (vec![7], 0), "of before the moment, not of it");
    let (apps, users) = copy.gone_before(7, 10).unwrap();
    assert_eq!((apps, users), (vec![changed], vec![left]));

    // All or nothing.
    let stale = vec![HostChange::Forget(id(30)), HostChange::App { app: app(ACME, 8), expected: Generation(1) }];
    assert!(matches!(copy.apply(stale, vec![event()]), Err(StoreError::Conflict { .. })));
    let taken = vec![remove(9, 7), HostChange::Claim(app(ACME, 8))];
    assert!(matches!(copy.apply(taken, vec![event()]), Err(StoreError::Exists { .. })));
    assert!(copy.unclaimed(&[id(30)]).unwrap().len() == 1 && store.apps().by_id(ACME, id(9)).unwrap().is_some());

    let gone = vec![
        remove(7, 70),
        HostChange::RemoveUser { tenant: ACME, id: annes, expected: Generation(90) },
        HostChange::Forget(id(30)),
    ];
    copy.apply(gone, vec![event()]).unwrap();
    assert!(store.apps().by_id(ACME, id(7)).unwrap().is_none() && store.users().by_id(ACME, annes).unwrap().is_none());
    assert_eq!(copy.released(&[id(7), id(8), id(31)]).unwrap(), [id(7)]);
    store.apps().remove(ACME, id(8), event()).unwrap();
    store.apps().add(&app(ACME, 7), event().into()).unwrap();
    assert_eq!(copy.released(&[id(7), id(8)]).unwrap(), [id(8)], "let go by an admin; and claimed again");
    store.apps().add(&app(ACME, 31), event().into()).unwrap();
    assert_eq!(copy.list_unclaimed(&all(None)).unwrap(), [], "what was claimed meanwhile is not listed");

    assert_eq!(copy.last_sync().unwrap(), None);
    let sync = HostSync { started_at_ms: 1, finished_at_ms: 2, listed: 3, changed: 4, gone: 5, unclaimed: 6 };
    copy.synced(&sync).unwrap();
    assert_eq!(copy.last_sync().unwrap(), Some(sync));
}
