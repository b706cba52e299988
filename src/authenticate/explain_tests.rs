//! An explanation names the reason that a request is refused for, whatever is wrong.

use super::*;
use crate::authenticate::testing::{World, attempt};
use crate::clock::Clock as _;
use crate::domain::credential::{Replaced, RevocationReason, Status};
use crate::domain::{CredentialId, TenantStatus};

fn explain(world: &World, key: &Secret<CredentialText>, attempt: &Attempt<'_>) -> Explanation {
    let explainer = Explainer {
        store: world.store.as_ref(),
        ring: &world.keyring.ring(),
        llm_grants: LlmGrants::Required,
        now_ms: world.clock.wall_ms(),
    };
    explainer.explain(Asked::Credential(key), attempt).unwrap()
}

#[tokio::test]
async fn b1_the_first_condition_that_fails_is_the_reason_of_the_refusal() {
    type Shape = fn(&mut Credential, i64);
    type Change = fn(&World, CredentialId);
    let shapes: [Shape; 8] = [
        |_, _| {},
        |row, now| row.expires_at_ms = Some(now),
        |row, now| row.not_before_ms = Some(now + 1),
        |row, now| row.status = Status::Revoked { at_ms: now, reason: RevocationReason::Superseded },
        |row, _| row.decoy = true,
        |row, now| row.replaced = Some(Replaced { by: CredentialId::from_bytes([8; 16]), grace_until_ms: now }),
        |row, now| row.replaced = Some(Replaced { by: CredentialId::from_bytes([8; 16]), grace_until_ms: now + 1 }),
        |row, _| row.cidrs = vec!["192.0.2.0/24".parse().unwrap()],
    ];
    let changes: [Change; 7] = [
        |_, _| {},
        |w, _| w.change_tenant(|t| t.status = TenantStatus::Suspended),
        |w, _| w.change_app(|a| a.active = false),
        |w, _| w.change_app(|a| a.llms.clear()),
        |w, _| w.change_user(|u| u.active = false),
        |w, _| w.remove_app(),
        |w, id| w.forge(id, |row| row.scopes.push("admin".into())),
    ];
    for (shape_at, shape) in shapes.iter().enumerate() {
        for (change_at, change) in changes.iter().enumerate() {
            let world = World::new();
            let now = world.clock.wall_ms();
            let (id, key) = world.issue(|row| shape(row, now));
            change(&world, id);
            let told = explain(&world, &key, &attempt());
            let asked = world.ask(&key).await;
            assert_eq!(told.refused_for(), asked.err(), "shape {shape_at}, change {change_at}");
            let wrong = World::forged_key(id);
            let told = explain(&world, &wrong, &attempt());
            assert_eq!(told.refused_for(), world.ask(&wrong).await.err(), "shape {shape_at}, change {change_at}");
        }
    }
}

#[tokio::test]
async fn a_secret_that_only_argon2_can_prove_is_explained_too() {
    let world = World::new();
    let (id, key) = world.issue_untagged();
    assert_eq!(explain(&world, &key, &attempt()).refused_for(), None);
    assert_eq!(explain(&world, &World::forged_key(id), &attempt()).refused_for(), Some(Reason::WrongSecret));
}

#[tokio::test]
async fn junk_tokens_and_unknown_ids_are_explained() {
    let world = World::new();
    let junk = Secret::new(b"lk_live_x".to_vec());
    assert_eq!(explain(&world, &junk, &attempt()).refused_for(), Some(Reason::CredentialForm));
    let unknown = World::forged_key(CredentialId::from_bytes([7; 16]));
    assert_eq!(explain(&world, &unknown, &attempt()).refused_for(), Some(Reason::UnknownCredential));
    let token = World::operator_token();
    assert_eq!(explain(&world, &token, &attempt()).refused_for(), Some(Reason::WrongKind));
    let jwt = Secret::new(b"a.b.c".to_vec());
    assert_eq!(explain(&world, &jwt, &attempt()).refused_for(), Some(Reason::JwtNotAccepted));
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_at_once() {
    let world = World::new();
    let now = world.clock.wall_ms();
    let (id, _) = world.issue(|row| row.expires_at_ms = Some(now));
    world.change_app(|app| app.active = false);
    let ring = world.keyring.ring();
    let explainer =
        Explainer { store: world.store.as_ref(), ring: &ring, llm_grants: LlmGrants::Required, now_ms: now };
    let told = explainer.explain(Asked::Id(id), &attempt()).unwrap();
    let failed: Vec<_> = told.steps.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Fails(_))).collect();
    assert_eq!(failed.len(), 2);
    assert!(told.steps.iter().any(|(_, outcome)| *outcome == Outcome::NotJudged), "no secret was given");
}
