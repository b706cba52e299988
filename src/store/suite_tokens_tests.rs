//! The contract of short-lived tokens and the keys that sign them, for [`super`]'s stores.

use super::*;
use crate::domain::{Algorithm, IssuedToken, JtiHash, SigningKeyRow};
use crate::store::{KEPT_AFTER_END_MS, SWEPT_AT_ONCE, TokenPlace};

const NOW: i64 = 1_800_000_000_000;
const PARENT: CredentialId = CredentialId::from_bytes([1; 16]);
/// As the suite's credentials have it.
const GENERATION: Generation = Generation(11);

pub(crate) fn token(hash: u8, issued_at_ms: i64) -> IssuedToken {
    IssuedToken {
        jti: JtiHash([hash; 32]),
        tenant: ACME,
        credential: PARENT,
        parent: GENERATION,
        content: [7; 32],
        issued_at_ms,
        expires_at_ms: issued_at_ms + 900_000,
        revoked_at_ms: None,
        mac: [8; 32],
    }
}

fn with_parents(store: &dyn Store) {
    furnished(store);
    for id in [1, 2] {
        store.credentials().issue(&credential(ACME, id, 100), event().into()).unwrap();
    }
}

fn issue(store: &dyn Store, token: &IssuedToken) {
    store.tokens().issue(token, 1_000, event().into()).unwrap();
}

fn subjects_since(store: &dyn Store, position: Position) -> Vec<Subject> {
    match store.feed().news(position).unwrap() {
        News::Changes(changes) => changes.iter().map(|change| change.subject).collect(),
        News::Nothing => Vec::new(),
        lost @ News::Lost { .. } => panic!("{lost:?}"),
    }
}

pub(super) fn a_token_comes_back_as_it_went_in_and_is_there_once(store: &dyn Store) {
    with_parents(store);
    let (tokens, row) = (store.tokens(), token(1, NOW));
    assert_eq!(tokens.look_up(row.jti).unwrap().row, None);
    let before = (store.feed().position().unwrap(), store.audit().list(0, 100).unwrap().len());
    issue(store, &row);
    let found = tokens.look_up(row.jti).unwrap();
    assert_eq!((found.row, found.position), (Some(row.clone()), store.feed().position().unwrap()));
    assert_eq!(tokens.by_id(row.jti.id()).unwrap(), Some(row.clone()));
    let again = tokens.issue(&row, 1_000, event().into());
    assert!(matches!(again, Err(StoreError::Exists { what: "token" })));
    assert_eq!(subjects_since(store, before.0), [Subject::Token(row.jti.id())]);
    assert_eq!(store.audit().list(0, 100).unwrap().len(), before.1 + 1);
}

pub(super) fn a_token_is_issued_only_for_the_parent_that_was_read(store: &dyn Store) {
    with_parents(store);
    let issue = |token: &IssuedToken| store.tokens().issue(token, 1_000, event().into());
    let changed = issue(&IssuedToken { parent: Generation(12), ..token(1, NOW) });
    assert!(matches!(changed, Err(StoreError::Conflict { what: "credential" })));
    for stray in [
        IssuedToken { tenant: GLOBEX, ..token(1, NOW) },
        IssuedToken { credential: CredentialId::from_bytes([9; 16]), ..token(1, NOW) },
    ] {
        assert!(matches!(issue(&stray), Err(StoreError::Missing { what: "credential" })));
    }
    assert_eq!(store.tokens().look_up(token(1, NOW).jti).unwrap().row, None);
}

pub(super) fn a_token_and_its_parent_are_read_together_and_each_may_be_missing(store: &dyn Store) {
    with_parents(store);
    issue(store, &token(1, NOW));
    let read = |hash, credential| store.tokens().look_up_with_parent(JtiHash([hash; 32]), credential).unwrap();
    let both = read(1, PARENT);
    assert_eq!(both.position, store.feed().position().unwrap());
    assert_eq!(both.row.0, Some(token(1, NOW)));
    assert_eq!(both.row.1.as_ref().map(told), Some(told(&credential(ACME, 1, 100))));
    let nobody = CredentialId::from_bytes([9; 16]);
    let there = |(token, parent): (Option<IssuedToken>, Option<Credential>)| (token.is_some(), parent.is_some());
    assert_eq!(there(read(1, nobody).row), (true, false));
    assert_eq!(there(read(2, PARENT).row), (false, true));
    assert_eq!(there(read(2, nobody).row), (false, false));
}

pub(super) fn a_token_that_was_taken_back_stays_so_and_has_no_seal(store: &dyn Store) {
    with_parents(store);
    let (tokens, row) = (store.tokens(), token(1, NOW));
    issue(store, &row);
    issue(store, &token(2, NOW));
    let before = store.feed().position().unwrap();
    tokens.revoke(ACME, row.jti, NOW + 1, event()).unwrap();
    tokens.revoke(ACME, row.jti, NOW + 2, event()).unwrap();
    let revoked = IssuedToken { revoked_at_ms: Some(NOW + 1), mac: [0; 32], ..row.clone() };
    assert_eq!(tokens.look_up(row.jti).unwrap().row, Some(revoked), "the first time stands");
    assert_eq!(tokens.look_up(token(2, NOW).jti).unwrap().row, Some(token(2, NOW)));
    assert_eq!(subjects_since(store, before), [Subject::Token(row.jti.id()); 2]);
    let missing = tokens.revoke(ACME, JtiHash([9; 32]), NOW, event());
    assert!(matches!(missing, Err(StoreError::Missing { what: "token" })));
}

pub(super) fn r9_all_tokens_of_a_credential_go_with_its_generation_or_none(store: &dyn Store) {
    with_parents(store);
    let others = IssuedToken { credential: CredentialId::from_bytes([2; 16]), ..token(3, NOW) };
    for row in [&token(1, NOW), &token(2, NOW), &others] {
        issue(store, row);
    }
    store.tokens().revoke(ACME, token(2, NOW).jti, NOW + 1, event()).unwrap();
    let parent = Credential { generation: Generation(12), row_mac: [9; 32], ..credential(ACME, 1, 100) };
    let faster = store.tokens().revoke_of(&parent, Generation(10), NOW + 2, event());
    assert!(matches!(faster, Err(StoreError::Conflict { what: "credential" })));
    let revoked_at = |hash| store.tokens().look_up(JtiHash([hash; 32])).unwrap().row.unwrap().revoked_at_ms;
    assert_eq!([1, 2, 3].map(revoked_at), [None, Some(NOW + 1), None]);
    let before = store.feed().position().unwrap();
    store.tokens().revoke_of(&parent, GENERATION, NOW + 2, event()).unwrap();
    assert_eq!([1, 2, 3].map(revoked_at), [Some(NOW + 2), Some(NOW + 1), None]);
    assert_eq!(store.tokens().look_up(token(1, NOW).jti).unwrap().row.unwrap().mac, [0; 32]);
    let found = store.credentials().look_up(PARENT).unwrap().row.unwrap();
    assert_eq!((found.generation, found.row_mac), (Generation(12), [9; 32]));
    assert_eq!(subjects_since(store, before), [Subject::Credential(PARENT)]);
    let late = store.tokens().issue(&token(4, NOW), 1_000, event().into());
    assert!(matches!(late, Err(StoreError::Conflict { what: "credential" })), "issued for what it was before");
}

pub(super) fn r16_a_token_of_another_tenant_reads_as_not_there(store: &dyn Store) {
    with_parents(store);
    let row = token(1, NOW);
    issue(store, &row);
    assert!(store.tokens().list_of(GLOBEX, PARENT, &page(10)).unwrap().is_empty());
    let foreign = store.tokens().revoke(GLOBEX, row.jti, NOW, event());
    assert!(matches!(foreign, Err(StoreError::Missing { what: "token" })));
    let beside = JtiHash([[1; 16], [2; 16]].concat().try_into().unwrap());
    assert_eq!(store.tokens().look_up(beside).unwrap().row, None, "the whole hash finds it on the answer path");
    assert_eq!(store.tokens().by_id(beside.id()).unwrap(), Some(row));
}

pub(super) fn tokens_are_listed_oldest_first(store: &dyn Store) {
    with_parents(store);
    for (hash, issued_at_ms) in [(3, 200), (1, 300), (2, 200), (4, 100)] {
        issue(store, &token(hash, NOW + issued_at_ms));
    }
    issue(store, &IssuedToken { credential: CredentialId::from_bytes([2; 16]), ..token(5, NOW) });
    let hashes = |after: Option<TokenPlace>, limit| {
        let rows = store.tokens().list_of(ACME, PARENT, &Page { after, limit }).unwrap();
        rows.iter().map(|row| row.jti.0[0]).collect::<Vec<_>>()
    };
    assert_eq!(hashes(None, 10), [4, 2, 3, 1]);
    store.tokens().revoke(ACME, JtiHash([2; 32]), NOW, event()).unwrap();
    assert_eq!(hashes(Some((NOW + 200, JtiHash([2; 32]))), 1), [3]);
    assert!(hashes(Some((NOW + 300, JtiHash([1; 32]))), 1).is_empty());
    // All but the one that was taken back, and that of another credential.
    assert_eq!(store.tokens().forget_all(NOW).unwrap(), 4);
    assert!(hashes(None, 10).is_empty());
}

pub(super) fn tokens_in_force_are_counted_and_those_of_long_ago_removed_a_few_at_a_time(store: &dyn Store) {
    with_parents(store);
    let issue = |token: &IssuedToken, most| store.tokens().issue(token, most, event().into());
    issue(&token(1, NOW), 2).unwrap();
    issue(&token(2, NOW), 2).unwrap();
    assert!(matches!(issue(&token(3, NOW), 2), Err(StoreError::Full { what: "tokens" })));
    let others = IssuedToken { credential: CredentialId::from_bytes([2; 16]), ..token(4, NOW) };
    issue(&others, 2).unwrap();
    store.tokens().revoke(ACME, token(1, NOW).jti, NOW, event()).unwrap();
    issue(&token(3, NOW), 2).unwrap();
    let end = token(2, NOW).expires_at_ms;
    assert!(matches!(issue(&token(5, end - 1), 2), Err(StoreError::Full { what: "tokens" })));
    issue(&token(5, end), 2).unwrap();
    let changed = Credential { generation: Generation(12), ..credential(ACME, 1, 100) };
    store.credentials().update(&changed, GENERATION, event()).unwrap();
    issue(&IssuedToken { parent: Generation(12), ..token(9, end) }, 1).unwrap();
    store.credentials().update(&credential(ACME, 1, 100), Generation(12), event()).unwrap();

    let many = SWEPT_AT_ONCE + 50;
    let old = |n: u32| {
        let mut hash = [0xee; 32];
        hash[..4].copy_from_slice(&n.to_be_bytes());
        IssuedToken { jti: JtiHash(hash), ..token(0, NOW - 10 * KEPT_AFTER_END_MS + i64::from(n)) }
    };
    for n in 0..many {
        issue(&old(n), 1_000).unwrap();
    }
    let left = || (0..many).filter(|n| store.tokens().look_up(old(*n).jti).unwrap().row.is_some()).collect::<Vec<_>>();
    issue(&token(6, end), 1_000).unwrap();
    assert_eq!(left(), (SWEPT_AT_ONCE..many).collect::<Vec<_>>(), "the oldest first");
    issue(&token(7, end + KEPT_AFTER_END_MS), 1_000).unwrap();
    assert!(left().is_empty());
    let is_there = |hash| store.tokens().look_up(JtiHash([hash; 32])).unwrap().row.is_some();
    assert!(is_there(2), "for a day after its end");
    issue(&token(8, end + KEPT_AFTER_END_MS + 1), 1_000).unwrap();
    assert!(!is_there(2) && is_there(5));
}

fn key(kid: &str, created_at_ms: i64) -> SigningKeyRow {
    SigningKeyRow {
        kid: kid.to_owned(),
        algorithm: Algorithm::ES256,
        public_jwk: format!(r#"{{"kid":"{kid}"}}"#),
        created_at_ms,
        retires_at_ms: None,
        mac: [1; 32],
    }
}

pub(super) fn a_key_that_nobody_named_is_a_conflict_and_only_its_retirement_ever_changes(store: &dyn Store) {
    let tokens = store.tokens();
    assert!(tokens.keys().unwrap().row.is_empty());
    let before = store.feed().position().unwrap();
    tokens.put_keys(&[key("b", 5)], vec![event()]).unwrap();
    assert!(matches!(
        tokens.put_keys(&[key("a", 6)], vec![event()]),
        Err(StoreError::Conflict { what: "signing key" })
    ));
    let retired = SigningKeyRow { retires_at_ms: Some(9), mac: [2; 32], ..key("b", 5) };
    let forged = SigningKeyRow { public_jwk: "{}".to_owned(), created_at_ms: 0, ..retired.clone() };
    let events = store.audit().list(0, 100).unwrap().len();
    tokens.put_keys(&[key("a", 6), forged], vec![event(), event()]).unwrap();
    let found = tokens.keys().unwrap();
    assert_eq!(found.row, [retired, key("a", 6)], "oldest first");
    assert_eq!(found.position, store.feed().position().unwrap());
    assert_eq!(store.audit().list(0, 100).unwrap().len(), events + 2);
    assert_eq!(subjects_since(store, before), [Subject::SigningKeys; 2]);
    tokens.put_keys(&[key("c", 7), SigningKeyRow { retires_at_ms: Some(1), ..key("a", 6) }], vec![event()]).unwrap();
    assert_eq!(SigningKeyRow::signing(&tokens.keys().unwrap().row), Some(&key("c", 7)));
}

pub(super) fn r15_a_rotation_ends_for_good_what_a_change_had_ended_and_a_change_in_the_grace_ends_all(
    store: &dyn Store,
) {
    use crate::domain::credential::Replaced;
    with_parents(store);
    let revoked = |hash: u8| store.tokens().look_up(JtiHash([hash; 32])).unwrap().row.unwrap().revoked_at_ms.is_some();
    issue(store, &token(1, NOW));
    let changed = Credential { generation: Generation(12), ..credential(ACME, 1, 100) };
    store.credentials().update(&changed, GENERATION, event()).unwrap();
    issue(store, &IssuedToken { parent: Generation(12), ..token(2, NOW) });
    let (new, by) = (credential(ACME, 3, 100), CredentialId::from_bytes([3; 16]));
    let replaced = Some(Replaced { by, grace_until_ms: i64::MAX });
    let old = Credential { generation: Generation(13), replaced, ..changed };
    let new = Credential { replaces: Some(old.id), ..new };
    store.credentials().rotate(&new, &old, Generation(12), event().into()).unwrap();
    assert_eq!([1, 2].map(revoked), [true, false], "what the change ended, the rotation does not bring back");
    let narrowed = Credential { generation: Generation(14), scopes: Vec::new(), ..old };
    store.credentials().update(&narrowed, Generation(13), event()).unwrap();
    assert!(revoked(2));
}
