use std::sync::Arc;

use super::*;
use crate::clock::SystemEntropy;
use crate::domain::event::Actor;
use crate::domain::{Action, AuditEvent, Subject, key_format};
use crate::store::Store;
use crate::store::fake::FakeStore;
use crate::verify::argon::{self, Cost};
use crate::verify::keyring::Keyring;
use crate::verify::pool::ArgonPool;
use crate::verify::tag::Tagger;

const CHEAP: Cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };

struct World {
    store: Arc<FakeStore>,
    tagger: Arc<Tagger>,
    verifier: Verifier,
}

fn world() -> World {
    let store = Arc::new(FakeStore::default());
    let tagger = Arc::new(Tagger::new(&Secret::new(vec![7; 32])).unwrap());
    let keyring = Arc::new(Keyring::single(Arc::clone(&tagger)));
    let verifier = Verifier::new(Arc::clone(&store) as _, keyring, ArgonPool::start(1, 8).unwrap());
    World { store, tagger, verifier }
}

fn event(id: CredentialId) -> AuditEvent {
    let (actor, action) = (Actor::System, Action::OperatorAdded);
    let subject = Subject::Operator(id);
    AuditEvent { at_ms: 1, actor, action, subject, tenant: None, details: Vec::new(), request_id: String::new() }
}

impl World {
    /// An operator, changed before its row is sealed, and its token.
    fn add(&self, name: &str, change: impl FnOnce(&mut Operator)) -> (Operator, Vec<u8>) {
        let id = CredentialId::random(&SystemEntropy).unwrap();
        let minted: key_format::Minted<crate::secret::OperatorText> =
            key_format::mint(key_format::OPERATOR_PREFIX, None, id, &SystemEntropy).unwrap();
        let verifier = crate::domain::Verifier {
            phc: argon::hash(CHEAP, minted.body(), &SystemEntropy).unwrap(),
            tag: Some(self.tagger.tag(CredentialKind::Operator, NO_TENANT, id, minted.body())),
            pepper: self.tagger.fingerprint(),
            prehash: None,
        };
        let mut row = absent(id, &self.tagger);
        (row.name, row.verifier) = (name.to_owned(), verifier);
        change(&mut row);
        row.row_mac = self.tagger.operator_mac(&row);
        self.store.operators().add(&row, event(id).into()).unwrap();
        #[expect(clippy::disallowed_methods, reason = "tests present what they minted")]
        (row, minted.text.expose().to_vec())
    }

    async fn reason(&self, token: &[u8]) -> Option<Reason> {
        self.verifier.operator(&Secret::new(token.to_vec())).await.err()
    }
}

/// The same text with another secret, its checksum right.
fn with_other_secret(token: &[u8]) -> Vec<u8> {
    let body = token.len() - 6;
    let mut text = token[..body].to_vec();
    text[body - 1] = if text[body - 1] == b'x' { b'y' } else { b'x' };
    let check = key_format::checksum(&text);
    text.extend_from_slice(&check);
    text
}

#[tokio::test]
async fn r18_a_token_is_its_operators_and_nobody_elses() {
    let world = world();
    let (ann, token) = world.add("ann", |_| {});
    let (_, other) = world.add("bob", |_| {});
    let proven = world.verifier.operator(&Secret::new(token.clone())).await.unwrap();
    assert!(proven.operator.id == ann.id && proven.retagged.is_none());
    let bearer = [b"Bearer ".as_slice(), &token].concat();
    assert_eq!(world.reason(&bearer).await, None);
    assert_eq!(world.reason(&with_other_secret(&token)).await, Some(Reason::WrongSecret));
    assert_eq!(world.reason(&token[..token.len() - 1]).await, Some(Reason::CredentialForm));
    assert_eq!(world.reason(b"lkop_").await, Some(Reason::CredentialForm));
    assert_eq!(world.reason(b"a.b.c").await, Some(Reason::JwtNotAccepted));
    assert_eq!(world.reason(b"").await, Some(Reason::CredentialEmpty));
    assert_eq!(world.reason(&other).await, None);
    // The id of one with the secret of the other.
    let mut mixed = token[..27].to_vec();
    mixed.extend_from_slice(&other[27..other.len() - 6]);
    mixed.extend_from_slice(&key_format::checksum(&mixed.clone()));
    assert_eq!(world.reason(&mixed).await, Some(Reason::WrongSecret));
}

#[tokio::test]
async fn r18_a_gateways_key_is_no_token_whatever_its_id() {
    let world = world();
    let (_, token) = world.add("ann", |_| {});
    let mut key = b"lk_live_".to_vec();
    key.extend_from_slice(&token[5..token.len() - 6]);
    key.extend_from_slice(&key_format::checksum(&key.clone()));
    assert_eq!(world.reason(&key).await, Some(Reason::WrongKind));
}

#[tokio::test]
async fn r18_what_was_taken_back_or_written_by_others_is_refused() {
    let world = world();
    let (_, revoked) = world.add("gone", |row| row.revoked_at_ms = Some(1));
    assert_eq!(world.reason(&revoked).await, Some(Reason::Revoked));
    assert_eq!(world.reason(&with_other_secret(&revoked)).await, Some(Reason::WrongSecret), "judged after the secret");
    let (row, token) = world.add("ann", |_| {});
    // Somebody who may write the file makes an owner of an auditor.
    let forged = Operator { role: Role::Owner, ..row.clone() };
    world.store.operators().revoke(&forged, row.generation, event(row.id)).unwrap_err();
    world.add("an owner", |row| row.role = Role::Owner);
    world.store.operators().revoke(&forged, row.generation, event(row.id)).unwrap();
    assert_eq!(world.reason(&token).await, Some(Reason::RowForged));
    let bound = world.add("bound", |row| row.tenants = vec![crate::domain::TenantId::from_bytes([1; 16])]);
    let unbound = Operator { tenants: Vec::new(), ..bound.0.clone() };
    world.store.operators().revoke(&unbound, bound.0.generation, event(bound.0.id)).unwrap();
    assert_eq!(world.reason(&bound.1).await, Some(Reason::RowForged));
}

#[tokio::test]
async fn r5_a_token_under_a_pepper_that_is_not_here_is_refused() {
    let world = world();
    let (_, token) = world.add("ann", |row| row.verifier.pepper = crate::domain::PepperFingerprint([9; 16]));
    assert_eq!(world.reason(&token).await, Some(Reason::PepperMissing));
}

#[tokio::test]
async fn r5_a_row_without_a_tag_is_proven_once_by_argon2id_and_gets_one() {
    let world = world();
    let (row, token) = world.add("ann", |row| row.verifier.tag = None);
    assert_eq!(world.reason(&with_other_secret(&token)).await, Some(Reason::WrongSecret));
    assert_eq!(world.verifier.pool().taken(), 1);
    let proven = world.verifier.operator(&Secret::new(token.clone())).await.unwrap();
    let retagged = proven.retagged.expect("a row with a tag");
    world.store.peppers().reseal_operator(&retagged, row.generation, event(row.id)).unwrap();
    assert_eq!(world.reason(&token).await, None);
    assert_eq!(world.verifier.pool().taken(), 2, "the tag decides from now on");
    // A forged row buys no hash.
    let (row, token) = world.add("bob", |row| row.verifier.tag = None);
    world.add("an owner", |row| row.role = Role::Owner);
    let forged = Operator { role: Role::Owner, ..row.clone() };
    world.store.operators().revoke(&forged, row.generation, event(row.id)).unwrap();
    assert_eq!(world.reason(&token).await, Some(Reason::RowForged));
    assert_eq!(world.verifier.pool().taken(), 2);
}

#[tokio::test]
async fn a5_refusals_of_tokens_cost_the_same() {
    let world = world();
    let (_, token) = world.add("ann", |_| {});
    let (_, revoked) = world.add("gone", |row| row.revoked_at_ms = Some(1));
    let mut unknown = b"lkop_0000000000000000000001_".to_vec();
    unknown.extend_from_slice(&token[28..token.len() - 6]);
    unknown.extend_from_slice(&key_format::checksum(&unknown.clone()));
    let mut counts = Vec::new();
    for text in [&with_other_secret(&token), &revoked, &unknown] {
        let before = world.tagger.computed();
        assert!(world.reason(text).await.is_some());
        counts.push(world.tagger.computed() - before);
    }
    assert!(counts.iter().all(|count| *count == counts[0]), "{counts:?}");
    assert_eq!(world.reason(&unknown).await, Some(Reason::UnknownCredential));
}

#[test]
fn r18_a_certificate_is_the_operators_whose_row_says_so_under_the_pepper() {
    let world = world();
    let (row, _) = world.add("ann", |row| row.certificate = Some([5; 32]));
    assert_eq!(world.verifier.operator_by_certificate(&[5; 32]).unwrap().id, row.id);
    assert_eq!(world.verifier.operator_by_certificate(&[6; 32]).unwrap_err(), Reason::UnknownCredential);
    let (bob, _) = world.add("bob", |_| {});
    world.add("an owner", |row| row.role = Role::Owner);
    let forged = Operator { certificate: Some([6; 32]), ..bob.clone() };
    world.store.operators().revoke(&forged, bob.generation, event(bob.id)).unwrap();
    assert_eq!(world.verifier.operator_by_certificate(&[6; 32]).unwrap_err(), Reason::RowForged);
    let taken = Operator { id: CredentialId::from_bytes([1; 16]), name: "eve".to_owned(), ..row.clone() };
    assert!(world.store.operators().add(&taken, event(taken.id).into()).is_err(), "one key, one operator");
    let mut gone = Operator { revoked_at_ms: Some(1), ..row.clone() };
    gone.row_mac = world.tagger.operator_mac(&gone);
    world.store.operators().revoke(&gone, row.generation, event(row.id)).unwrap();
    assert_eq!(world.verifier.operator_by_certificate(&[5; 32]).unwrap_err(), Reason::UnknownCredential);
}

#[tokio::test]
async fn r12_a_token_that_was_proven_is_not_hashed_again_even_where_its_row_got_no_tag() {
    let world = world();
    let (row, token) = world.add("ann", |row| row.verifier.tag = None);
    for _ in 0..3 {
        assert_eq!(world.reason(&token).await, None);
    }
    assert_eq!(world.verifier.pool().taken(), 1, "what was proven is remembered");
    assert_eq!(world.reason(&with_other_secret(&token)).await, Some(Reason::WrongSecret));
    assert_eq!(world.verifier.pool().taken(), 2, "of that secret alone");
    // Another hash in the row: what was proven against the old one says nothing.
    let mut other = row.clone();
    other.verifier.phc = argon::hash(CHEAP, b"another", &SystemEntropy).unwrap();
    other.row_mac = world.tagger.operator_mac(&other);
    world.store.peppers().reseal_operator(&other, row.generation, event(row.id)).unwrap();
    assert_eq!(world.reason(&token).await, Some(Reason::WrongSecret));
}

#[tokio::test]
async fn r5_after_a_rotation_the_old_pepper_proves_and_the_row_moves_to_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pepper");
    let old = Arc::new(Tagger::new(&crate::verify::pepper::create(&path, &SystemEntropy).unwrap()).unwrap());
    let new = Tagger::new(&crate::verify::pepper::append(&path, &SystemEntropy).unwrap()).unwrap();
    let version = |tagger: &Tagger| crate::domain::PepperVersion {
        fingerprint: tagger.fingerprint(),
        added_at_ms: 1,
        retired_at_ms: None,
        lost: None,
    };
    let state = crate::domain::Peppers { current: new.fingerprint(), versions: vec![version(&old), version(&new)] };
    let keyring = Arc::new(Keyring::load(crate::verify::pepper::Source::File(path), &state).unwrap());
    let store = Arc::new(FakeStore::default());
    let verifier = Verifier::new(Arc::clone(&store) as _, keyring, ArgonPool::start(1, 8).unwrap());
    let world = World { store, tagger: old, verifier };
    let (_, tagged) = world.add("ann", |_| {});
    assert_eq!(world.reason(&tagged).await, None, "its pepper is held");
    assert_eq!(world.verifier.pool().taken(), 0);
    let (row, untagged) = world.add("bob", |row| row.verifier.tag = None);
    let retagged = world.verifier.operator(&Secret::new(untagged.clone())).await.unwrap().retagged.unwrap();
    assert!(retagged.verifier.pepper == new.fingerprint() && retagged.verifier.tag.is_some());
    let asserted = |row: &Operator| (row.role, row.tenants.clone(), row.certificate, row.revoked_at_ms, row.generation);
    assert_eq!(asserted(&retagged), asserted(&row), "nothing else changes");
    world.store.peppers().reseal_operator(&retagged, row.generation, event(row.id)).unwrap();
    let proven = world.verifier.operator(&Secret::new(untagged)).await.unwrap();
    assert!(proven.retagged.is_none() && world.verifier.pool().taken() == 1);
}

#[tokio::test]
async fn a5_each_refusal_of_a_token_is_one_tag_and_one_row_mac() {
    let world = world();
    let (_, revoked) = world.add("gone", |row| row.revoked_at_ms = Some(1));
    let (_, token) = world.add("ann", |_| {});
    let (_, elsewhere) = world.add("bob", |row| row.verifier.pepper = crate::domain::PepperFingerprint([9; 16]));
    world.add("an owner", |row| row.role = Role::Owner);
    let (eve, eves) = world.add("eve", |row| row.verifier.tag = None);
    let forged = Operator { role: Role::Owner, ..eve.clone() };
    world.store.operators().revoke(&forged, eve.generation, event(eve.id)).unwrap();
    let mut unknown = token.clone();
    unknown.truncate(token.len() - 6);
    unknown[5..9].copy_from_slice(b"0000");
    unknown.extend_from_slice(&key_format::checksum(&unknown.clone()));
    for (text, reason) in [
        (with_other_secret(&token), Reason::WrongSecret),
        (revoked, Reason::Revoked),
        (unknown, Reason::UnknownCredential),
        (elsewhere, Reason::PepperMissing),
        (eves, Reason::RowForged),
    ] {
        let before = world.tagger.computed();
        assert_eq!(world.reason(&text).await, Some(reason));
        assert_eq!(world.tagger.computed() - before, 2, "{reason}");
    }
    assert_eq!(world.verifier.pool().taken(), 0);
    assert_eq!(world.reason(&token).await, None);
}

#[tokio::test]
async fn r18_a_store_that_cannot_be_read_makes_nobody_an_operator() {
    let world = world();
    let (_, token) = world.add("ann", |row| row.certificate = Some([5; 32]));
    world.store.fail(crate::store::fake::Fault::Reads);
    assert_eq!(world.reason(&token).await, Some(Reason::StoreUnavailable));
    assert_eq!(world.verifier.operator_by_certificate(&[5; 32]).unwrap_err(), Reason::StoreUnavailable);
    world.store.heal();
    assert_eq!(world.reason(&token).await, None);
}

#[test]
fn r18_no_change_of_the_file_makes_a_certificate_mean_more() {
    let world = world();
    world.add("an owner", |row| row.role = Role::Owner);
    let tenant = crate::domain::TenantId::from_bytes([1; 16]);
    let changes: [fn(&mut Operator); 3] =
        [|row| row.role = Role::Owner, |row| row.tenants = Vec::new(), |row| row.revoked_at_ms = None];
    for (n, change) in (10..).zip(changes) {
        let (row, _) = world.add(&n.to_string(), |row| {
            (row.certificate, row.tenants) = (Some([n; 32]), vec![tenant]);
            // The last is one that was taken back.
            row.revoked_at_ms = (n == 12).then_some(1);
        });
        let mut forged = row.clone();
        change(&mut forged);
        world.store.operators().revoke(&forged, row.generation, event(row.id)).unwrap();
        assert_eq!(world.verifier.operator_by_certificate(&[n; 32]).unwrap_err(), Reason::RowForged, "{n}");
    }
    world.add("elsewhere", |row| {
        (row.certificate, row.verifier.pepper) = (Some([9; 32]), crate::domain::PepperFingerprint([9; 16]));
    });
    assert_eq!(world.verifier.operator_by_certificate(&[9; 32]).unwrap_err(), Reason::PepperMissing);
}
