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
