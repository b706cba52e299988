//! Rotation and change, over the in-memory store with a clock in hand.

use super::tests::{request, world};
use super::*;
use crate::domain::Status;
use crate::domain::credential::RevocationReason;
use crate::store::Store as _;

const HOUR_MS: i64 = 3_600_000;

fn rotate(grace_ms: i64) -> RotateRequest {
    RotateRequest { grace_ms, expires_at_ms: None, cost: crate::verify::argon::DEFAULT_COST, etag: None }
}

#[test]
fn b3_a_rotated_key_is_good_until_its_grace_ends_and_the_new_one_is_bound_as_it_was() {
    let world = world();
    let mut wanted = request();
    wanted.scopes = vec!["chat".to_owned()];
    wanted.cidrs = vec!["192.0.2.0/24".parse().unwrap()];
    let first = world.admin.issue_key("acme", &wanted).unwrap().credential;
    let now = world.admin.now_ms();
    let rotated = world.admin.rotate_key(first.id, rotate(HOUR_MS)).unwrap();
    let (old, new) = (world.admin.key(first.id).unwrap(), world.admin.key(rotated.new.credential.id).unwrap());
    assert_eq!(old.end_ms(), Some(now + HOUR_MS));
    assert!(old.check_validity(now + HOUR_MS - 1).is_ok());
    assert_eq!(old.check_validity(now + HOUR_MS), Err(crate::domain::Reason::GraceEnded));
    assert_eq!((new.replaces, old.replaced.map(|replaced| replaced.by)), (Some(old.id), Some(new.id)));
    assert_eq!((new.app, new.user, new.environment, &new.label), (old.app, old.user, old.environment, &old.label));
    assert_eq!((&new.scopes, &new.cidrs, new.expires_at_ms), (&old.scopes, &old.cidrs, None));
    for row in [&old, &new] {
        assert_eq!(row.row_mac, world.tagger.credential_mac(row));
    }
    let event = world.store.audit().list(0, 1_000).unwrap().pop().unwrap().event;
    assert_eq!((event.action, event.subject), (Action::CredentialRotated, Subject::Credential(old.id)));
    assert!(event.details.contains(&(DetailKey::ReplacedBy, new.id.to_string())));
}

#[test]
fn b3_grace_never_extends_the_old_keys_own_expiry() {
    let world = world();
    let now = world.admin.now_ms();
    let mut wanted = request();
    wanted.expires_at_ms = Some(now + HOUR_MS);
    let first = world.admin.issue_key("acme", &wanted).unwrap().credential;
    world.clock.advance(std::time::Duration::from_secs(1800));
    let rotated = world.admin.rotate_key(first.id, rotate(24 * HOUR_MS)).unwrap();
    assert_eq!(rotated.old.end_ms(), Some(now + HOUR_MS));
    let lives = rotated.new.credential.expires_at_ms;
    assert_eq!(lives, Some(world.admin.now_ms() + HOUR_MS), "as long a life as the old one was made for");
    let longer = KeyChanges { expires_at_ms: Some(None), ..KeyChanges::default() };
    let changed = world.admin.change_key(first.id, &longer).unwrap();
    assert_eq!(changed.end_ms(), Some(now + HOUR_MS), "an expiry put off later does not put off the end of the grace");
}

#[test]
fn no_grace_ends_the_old_key_at_once() {
    let world = world();
    let first = world.admin.issue_key("acme", &request()).unwrap().credential;
    let rotated = world.admin.rotate_key(first.id, rotate(0)).unwrap();
    assert!(rotated.old.check_validity(world.admin.now_ms()).is_err());
}

#[test]
fn what_has_ended_or_was_replaced_is_not_rotated() {
    let world = world();
    let refused = |id| match world.admin.rotate_key(id, rotate(HOUR_MS)) {
        Err(AdminError::NotInForce { state, .. }) => state,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("rotated"),
    };
    let issue = |change: fn(&mut IssueRequest, i64)| {
        let mut wanted = request();
        change(&mut wanted, world.admin.now_ms());
        world.admin.issue_key("acme", &wanted).unwrap().credential.id
    };
    let revoked = issue(|_, _| {});
    world.admin.revoke_key(revoked, RevocationReason::KeyCompromise).unwrap();
    assert!(refused(revoked).contains("revoked"));
    let replaced = issue(|_, _| {});
    let by = world.admin.rotate_key(replaced, rotate(HOUR_MS)).unwrap().new.credential.id;
    assert!(refused(replaced).contains(&by.to_string()));
    assert!(refused(issue(|r, _| r.decoy = true)).contains("honey"));
    let expired = issue(|r, now| r.expires_at_ms = Some(now + 5));
    world.clock.advance(std::time::Duration::from_millis(5));
    assert!(refused(expired).contains("expired"));
    let forged = issue(|_, _| {});
    world.store.tamper(forged, |row| row.scopes.push("admin".to_owned()));
    assert!(matches!(world.admin.rotate_key(forged, rotate(0)), Err(AdminError::Forged(_))));
    assert!(matches!(world.admin.change_key(forged, &KeyChanges::default()), Err(AdminError::Forged(_))));
    let long = world.admin.rotate_key(issue(|_, _| {}), rotate(MAX_GRACE_MS + 1));
    assert!(matches!(long, Err(AdminError::Invalid { field: "grace", .. })));
}

#[test]
fn a_change_is_checked_sealed_and_told() {
    let world = world();
    let id = world.admin.issue_key("acme", &request()).unwrap().credential.id;
    let changes = KeyChanges {
        label: Some("new".to_owned()),
        scopes: Some(vec!["chat".to_owned()]),
        expires_at_ms: Some(Some(world.admin.now_ms() + 1)),
        ..KeyChanges::default()
    };
    let row = world.admin.change_key(id, &changes).unwrap();
    assert_eq!((row.label.as_str(), row.row_mac), ("new", world.tagger.credential_mac(&row)));
    let event = world.store.audit().list(0, 1_000).unwrap().pop().unwrap().event;
    assert_eq!(event.details, [(DetailKey::Fields, "label,scopes,expires_at".to_owned())]);
    let events = world.store.audit().head().unwrap();
    world.admin.change_key(id, &changes).unwrap();
    assert_eq!(world.store.audit().head().unwrap(), events, "nothing to change, nothing to tell");
    let past = KeyChanges { expires_at_ms: Some(Some(world.admin.now_ms())), ..KeyChanges::default() };
    assert!(matches!(world.admin.change_key(id, &past), Err(AdminError::Invalid { field: "expires", .. })));
    world.admin.revoke_key(id, RevocationReason::Unspecified).unwrap();
    assert!(matches!(world.admin.change_key(id, &changes), Err(AdminError::NotInForce { .. })));
    assert!(matches!(world.admin.key(id).unwrap().status, Status::Revoked { .. }));
}
