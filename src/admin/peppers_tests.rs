//! Peppers over the in-memory store.

use std::sync::Arc;

use super::tests::{request, world};
use super::*;
use crate::domain::credential::RevocationReason;
use crate::domain::event::Actor;
use crate::domain::{AppId, LlmGrants, UserId};
use crate::store::Store as _;
use crate::verify::keyring::Keyring;
use crate::verify::pepper::{self, Source};
use crate::verify::tag::Tagger;

struct Peppered {
    admin: Admin,
    store: Arc<crate::store::fake::FakeStore>,
    path: std::path::PathBuf,
    first: PepperFingerprint,
    _dir: tempfile::TempDir,
}

/// An admin whose pepper is in a file.
fn peppered() -> Peppered {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pepper");
    let first = Tagger::new(&pepper::create(&path, &crate::clock::SystemEntropy).unwrap()).unwrap().fingerprint();
    let made = world();
    made.store.peppers().add(first, event(&made.admin)).unwrap();
    let keyring = Keyring::load(Source::File(path.clone()), &made.store.peppers().list().unwrap()).unwrap();
    let parts = (Arc::clone(&made.store) as _, Arc::new(keyring), made.clock.clone() as _);
    let entropy = Arc::new(crate::clock::SystemEntropy);
    let backend = Backend::new(parts.0, parts.1, parts.2, entropy, LlmGrants::Required);
    let admin = backend.admin(Caller::unbound_owner(Actor::Local { uid: 1 }));
    Peppered { admin, store: made.store, path, first, _dir: dir }
}

fn event(admin: &Admin) -> AuditEvent {
    admin.event(Action::PepperAdded, Subject::Pepper, None, Vec::new())
}

fn rotate(world: &Peppered) -> PepperFingerprint {
    let new = Tagger::new(&pepper::append(&world.path, &crate::clock::SystemEntropy).unwrap()).unwrap();
    world.admin.rotate_pepper(new.fingerprint(), std::time::Duration::ZERO).unwrap();
    new.fingerprint()
}

#[test]
fn a3_after_a_rotation_new_rows_get_the_new_pepper_and_old_ones_stay_good() {
    let world = peppered();
    let old = world.admin.issue_key("acme", &request()).unwrap().credential;
    let operator = world.admin.add_owner("first").unwrap().operator;
    let second = rotate(&world);
    let new = world.admin.issue_key("acme", &request()).unwrap().credential;
    assert_eq!((old.verifier.pepper, new.verifier.pepper), (world.first, second));
    let changed = KeyChanges { label: Some("x".into()), ..KeyChanges::default() };
    let kept = world.admin.change_key(old.id, &changed).unwrap();
    assert_eq!(kept.verifier.pepper, world.first, "sealed under the pepper that its tag is under");
    assert_eq!(world.admin.backend.keyring.ring().is_genuine(&kept), Some(true));
    let operator = world.store.operators().look_up(operator.id).unwrap().unwrap();
    assert_eq!(operator.verifier.pepper, second);
    assert!(operator.verifier.tag.is_none(), "its token was not at hand");
    let states = world.admin.peppers().unwrap();
    let told: Vec<_> = states.iter().map(|s| (s.version.fingerprint, s.current, s.held, s.credentials)).collect();
    assert_eq!(told, [(world.first, false, true, 1), (second, true, true, 1)]);
}

#[test]
fn a3_a_pepper_is_retired_only_when_no_row_names_it() {
    let world = peppered();
    let [used, revoked] = [(), ()].map(|()| world.admin.issue_key("acme", &request()).unwrap().credential.id);
    let current = world.admin.retire_pepper(world.first, true);
    assert!(matches!(current, Err(AdminError::Invalid { .. })), "the current one stays");
    let second = rotate(&world);
    world.admin.revoke_key(revoked, RevocationReason::Superseded).unwrap();
    match world.admin.retire_pepper(world.first, false) {
        Err(AdminError::PepperInUse { fingerprint, count: 1 }) => assert_eq!(fingerprint, world.first),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.admin.key(revoked).unwrap().verifier.pepper, second, "nobody uses it again");
    assert!(world.admin.issue_key("acme", &request()).is_ok());
    assert_eq!(world.admin.retire_pepper(world.first, true).unwrap().resealed, 1);
    let row = world.admin.key(used).unwrap();
    assert!(row.verifier.tag.is_none() && row.verifier.pepper == second);
    assert_eq!(world.admin.backend.keyring.ring().is_genuine(&row), Some(true));
    assert!(world.admin.backend.keyring.ring().of(world.first).is_none());
    let back = world.store.peppers().add(world.first, event(&world.admin));
    assert!(matches!(back, Err(StoreError::Exists { .. })), "a retired one does not come back");
}

#[test]
fn a_forged_row_is_never_sealed_and_keeps_its_pepper() {
    let world = peppered();
    let forged = world.admin.issue_key("acme", &request()).unwrap().credential.id;
    world.store.tamper(forged, |row| row.app = AppId::new(8).unwrap());
    rotate(&world);
    assert!(matches!(world.admin.retire_pepper(world.first, true), Err(AdminError::PepperInUse { .. })));
    assert_eq!(world.admin.key(forged).unwrap().verifier.pepper, world.first);
}

#[test]
fn r11_a_key_under_a_lost_pepper_can_still_be_revoked_and_nothing_else() {
    let world = peppered();
    let id = world.admin.issue_key("acme", &request()).unwrap().credential.id;
    std::fs::remove_file(&world.path).unwrap();
    let new = Arc::new(Tagger::new(&pepper::create(&world.path, &crate::clock::SystemEntropy).unwrap()).unwrap());
    let other = |keyring: Keyring| {
        let parts = (Arc::clone(&world.store) as _, Arc::new(keyring), Arc::clone(&world.admin.backend.clock));
        let entropy = Arc::new(crate::clock::SystemEntropy);
        let backend = Backend::new(parts.0, parts.1, parts.2, entropy, LlmGrants::Required);
        backend.admin(Caller::unbound_owner(Actor::Local { uid: 1 }))
    };
    let undeclared = other(Keyring::single(Arc::clone(&new)));
    let refused = undeclared.revoke_key(id, RevocationReason::KeyCompromise);
    assert!(matches!(refused, Err(AdminError::PepperMissing(_))), "a second process with another pepper signs nothing");
    undeclared.lose_pepper(world.first, &new, undeclared.now_ms() + 1_000).unwrap();
    let state = world.store.peppers().list().unwrap();
    let admin = other(Keyring::load(Source::File(world.path.clone()), &state).unwrap());
    assert!(matches!(admin.change_key(id, &KeyChanges::default()), Err(AdminError::PepperMissing(_))));
    admin.revoke_key(id, RevocationReason::KeyCompromise).unwrap();
    let row = admin.key(id).unwrap();
    assert_eq!(admin.backend.keyring.ring().is_genuine(&row), Some(true));
    assert_eq!(row.user, UserId::new(9).unwrap());
}
