use std::time::Duration;

use super::*;
use crate::authenticate::denied::By;
use crate::authenticate::testing::World;
use crate::clock::SystemEntropy;
use crate::domain::operator::NO_TENANT;
use crate::domain::{CredentialId, CredentialKind, Generation, Role, Verifier, key_format};
use crate::secret::OperatorText;
use crate::store::Store as _;
use crate::store::fake::Fault;
use crate::verify::argon::{self, Cost};

const CHEAP: Cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };

fn event(id: CredentialId) -> AuditEvent {
    let (actor, action, subject) = (Actor::System, Action::OperatorAdded, Subject::Operator(id));
    AuditEvent { at_ms: 1, actor, action, subject, tenant: None, details: Vec::new(), request_id: String::new() }
}

/// An operator, with a tag or as a rotation of the pepper leaves it, and its token.
#[expect(clippy::disallowed_methods, reason = "a test presents what it minted")]
fn operator(world: &World, tagged: bool) -> (Operator, Secret<CredentialText>) {
    let (ring, id) = (world.keyring.ring(), CredentialId::random(&SystemEntropy).unwrap());
    let minted: key_format::Minted<OperatorText> =
        key_format::mint(key_format::OPERATOR_PREFIX, None, id, &SystemEntropy).unwrap();
    let phc = argon::hash(CHEAP, minted.body(), &SystemEntropy).unwrap();
    let tag = tagged.then(|| ring.current().tag(CredentialKind::Operator, NO_TENANT, id, minted.body()));
    let mut row = Operator {
        id,
        name: id.to_string(),
        role: Role::Owner,
        tenants: Vec::new(),
        verifier: Verifier { phc, tag, pepper: ring.current().fingerprint(), prehash: None },
        certificate: None,
        generation: Generation(1),
        row_mac: [0; 32],
        created_at_ms: 1,
        revoked_at_ms: None,
    };
    row.row_mac = ring.current().operator_mac(&row);
    world.store.operators().add(&row, event(id).into()).unwrap();
    (row, Secret::new(minted.text.expose().to_vec()))
}

fn stored(world: &World, id: CredentialId) -> Operator {
    world.store.operators().look_up(id).unwrap().unwrap()
}

#[tokio::test]
async fn r5_an_operator_without_a_tag_gets_one_after_the_answer_and_the_trail_says_so() {
    let world = World::new();
    let (row, token) = operator(&world, false);
    assert_eq!(world.authenticator.operator(&token).await.unwrap().id, row.id);
    // Nobody waits for it: so does a test, but not for ever.
    for _ in 0..1000 {
        if stored(&world, row.id).verifier.tag.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(stored(&world, row.id).verifier.tag.is_some());
    let last = world.store.audit().list(0, 1000).unwrap().pop().unwrap().event;
    assert_eq!((last.actor, last.action), (Actor::System, Action::CredentialsResealed));
    assert_eq!(last.subject, Subject::Operator(row.id));
    assert_eq!(world.authenticator.operator(&token).await.unwrap().id, row.id);
    assert_eq!(world.argon_jobs(), 1);
}

#[tokio::test]
async fn r5_a_tag_that_cannot_be_written_costs_nobody_the_answer() {
    let world = World::new();
    let (row, token) = operator(&world, false);
    world.store.fail(Fault::Writes);
    for _ in 0..3 {
        assert_eq!(world.authenticator.operator(&token).await.unwrap().id, row.id);
    }
    assert_eq!(world.argon_jobs(), 1, "nor another hash");
    assert!(stored(&world, row.id).verifier.tag.is_none());
}

#[tokio::test]
async fn r18_a_token_opens_no_gateway_and_a_key_no_office() {
    let world = World::new();
    let (_, token) = operator(&world, true);
    assert_eq!(world.ask(&token).await, Err(Reason::WrongKind));
    let (_, key) = world.issue(|_| {});
    assert_eq!(world.ask(&key).await, Ok(7));
    assert_eq!(world.authenticator.operator(&key).await.unwrap_err(), Reason::WrongKind);
}

#[tokio::test]
async fn r11_an_operator_who_is_denied_here_is_refused_after_the_secret() {
    let world = World::new();
    let (row, token) = operator(&world, true);
    assert!(world.authenticator.denied.deny(Subject::Operator(row.id), By::Admin));
    assert_eq!(world.authenticator.operator(&token).await.unwrap_err(), Reason::DeniedHere);
    world.authenticator.denied.lift(Subject::Operator(row.id), By::Admin);
    assert_eq!(world.authenticator.operator(&token).await.unwrap().id, row.id);
}
