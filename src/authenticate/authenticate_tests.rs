//! The decision as a whole, over the in-memory store with a clock in hand.

use super::*;
use crate::authenticate::testing::{LLM, World, attempt};
use crate::domain::credential::{Replaced, RevocationReason, Status};
use crate::domain::{LlmId, Reason, TenantStatus};
use crate::store::fake::Fault;

#[tokio::test]
async fn a_good_key_is_granted_as_its_app_and_user() {
    let world = World::new();
    let (_, key) = world.issue(|_| {});
    let told = world
        .authenticator
        .authenticate(&key, &attempt(), |decision| match decision {
            Decision::Grant(grant) => (grant.app_id().get(), grant.user_id().get(), grant.claims().to_vec()),
            Decision::Deny(denial) => panic!("{:?}", denial.reason()),
        })
        .await;
    assert_eq!((told.0, told.1), (7, 9));
    let names: Vec<_> = told.2.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["tenant", "credential_id", "credential_kind", "scopes", "environment", "expires_at"]);
}

#[tokio::test]
async fn each_thing_that_must_hold_is_needed_cold_and_warm() {
    type Change = fn(&World);
    let changes: [(Change, Reason); 7] = [
        (|w| w.change_tenant(|t| t.status = TenantStatus::Suspended), Reason::TenantSuspended),
        (|w| w.change_tenant(|t| t.namespaces = vec!["other".into()]), Reason::NamespaceNotAllowed),
        (|w| w.change_app(|a| a.active = false), Reason::AppInactive),
        (|w| w.change_app(|a| a.llms.clear()), Reason::LlmNotGranted),
        (|w| w.change_user(|u| u.active = false), Reason::UserInactive),
        (World::remove_app, Reason::AppUnknown),
        (World::remove_user, Reason::UserUnknown),
    ];
    for (change, reason) in changes {
        let world = World::new();
        let (_, key) = world.issue(|_| {});
        assert_eq!(world.ask(&key).await, Ok(7));
        change(&world);
        assert_eq!(world.ask(&key).await, Err(reason), "warm: effective for the very next request");
        world.authenticator.cache.clear();
        assert_eq!(world.ask(&key).await, Err(reason), "cold");
    }
}

#[tokio::test]
async fn times_and_revocation_are_judged_on_every_request() {
    let world = World::new();
    let now = world.clock.wall_ms();
    let (_, expiring) = world.issue(|row| row.expires_at_ms = Some(now + 1_000));
    let (_, early) = world.issue(|row| row.not_before_ms = Some(now + 1_000));
    let (id, revoked) = world.issue(|_| {});
    assert_eq!(world.ask(&expiring).await, Ok(7));
    assert_eq!(world.ask(&early).await, Err(Reason::NotYetValid));
    assert_eq!(world.ask(&revoked).await, Ok(7));
    world.change_credential(id, |row| {
        row.status = Status::Revoked { at_ms: now, reason: RevocationReason::KeyCompromise };
    });
    assert_eq!(world.ask(&revoked).await, Err(Reason::Revoked));
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.ask(&expiring).await, Err(Reason::Expired), "a cached yes ends with the credential");
    assert_eq!(world.ask(&early).await, Ok(7));
    world.clock.step_wall_ms(-3_600_000);
    assert_eq!(world.ask(&expiring).await, Err(Reason::Expired), "a clock set back brings nothing back");
}

#[tokio::test]
async fn v5_the_llm_must_be_granted_by_id_and_slug() {
    let world = World::new();
    let (_, key) = world.issue(|_| {});
    let llm = |id: u32, slug| RequestedLlm { id: LlmId::new(id), slug };
    let cases = [
        (llm(LLM, None), Ok(7)),
        (llm(LLM, Some("gpt")), Ok(7)),
        (llm(0, Some("gpt")), Ok(7)),
        (llm(4, Some("anything")), Ok(7)),
        (llm(5, None), Err(Reason::LlmNotGranted)),
        (llm(0, Some("other")), Err(Reason::LlmNotGranted)),
        (llm(LLM, Some("other")), Err(Reason::LlmContradiction)),
        (llm(4, Some("gpt")), Err(Reason::LlmContradiction)),
        (llm(5, Some("gpt")), Err(Reason::LlmContradiction)),
        (llm(0, None), Err(Reason::LlmMissing)),
    ];
    for (asked, expected) in cases {
        let attempt = Attempt { llm: asked, ..attempt() };
        assert_eq!(world.ask_with(&key, &attempt).await, expected, "{asked:?}");
    }
    let look_up = Attempt { llm: llm(0, None), stage: Stage::LookUp, ..attempt() };
    assert_eq!(world.ask_with(&key, &look_up).await, Ok(7));
    let look_up = Attempt { llm: llm(5, None), stage: Stage::LookUp, ..attempt() };
    assert_eq!(world.ask_with(&key, &look_up).await, Err(Reason::LlmNotGranted));
}

#[tokio::test]
async fn r2_a_tenant_cannot_loosen_llm_grants_by_itself() {
    for (local, expected) in
        [(crate::domain::LlmGrants::Required, Err(Reason::LlmNotGranted)), (crate::domain::LlmGrants::Unchecked, Ok(7))]
    {
        let world = World::with(Settings { llm_grants: local, ..Settings::default() });
        let (_, key) = world.issue(|_| {});
        let foreign = Attempt { llm: RequestedLlm { id: LlmId::new(5), slug: None }, ..attempt() };
        assert_eq!(world.ask_with(&key, &foreign).await, Err(Reason::LlmNotGranted));
        world.change_tenant(|t| t.llm_grants = crate::domain::LlmGrants::Unchecked);
        assert_eq!(world.ask_with(&key, &foreign).await, expected);
    }
}

#[tokio::test]
async fn r14_what_depends_on_the_request_is_judged_with_cached_facts_too() {
    let world = World::new();
    let (_, key) = world.issue(|row| row.cidrs = vec!["192.0.2.0/24".parse().unwrap()]);
    let from = |address: Option<&str>| Attempt { remote: address.map(|a| a.parse().unwrap()), ..attempt() };
    for _ in 0..2 {
        assert_eq!(world.ask_with(&key, &from(Some("192.0.2.7"))).await, Ok(7));
        assert_eq!(world.ask_with(&key, &from(Some("::ffff:192.0.2.7"))).await, Ok(7));
        assert_eq!(world.ask_with(&key, &from(Some("198.51.100.7"))).await, Err(Reason::AddressNotAllowed));
        assert_eq!(world.ask_with(&key, &from(None)).await, Err(Reason::AddressNotAllowed));
    }
}

#[tokio::test]
async fn r14_a_failure_counts_once_per_request_and_credential() {
    let world = World::new();
    let (_, key) = world.issue(|_| {});
    world.change_app(|a| a.active = false);
    let one = Attempt { request_id: "req_1", ..attempt() };
    let refused = || world.metrics.summary().refused_count;
    for stage in [Stage::PreAuth, Stage::Auth] {
        assert!(world.ask_with(&key, &Attempt { stage, ..one }).await.is_err());
    }
    assert_eq!(refused(), 1, "pre-auth and auth of one request");
    assert!(world.ask_with(&key, &Attempt { request_id: "req_2", ..one }).await.is_err());
    assert!(world.ask_with(&key, &Attempt { request_id: "", ..one }).await.is_err());
    assert!(world.ask_with(&key, &Attempt { request_id: "", ..one }).await.is_err());
    assert_eq!(refused(), 4);
}

#[tokio::test]
async fn r18_an_operator_token_is_no_credential() {
    let world = World::new();
    let token = World::operator_token();
    assert_eq!(world.ask(&token).await, Err(Reason::WrongKind));
}

#[tokio::test]
async fn r4_a_row_written_without_the_pepper_is_refused() {
    type Forgery = fn(&mut crate::domain::Credential);
    let forgeries: [Forgery; 6] = [
        |row| row.expires_at_ms = None,
        |row| row.app = crate::domain::AppId::new(8).unwrap(),
        |row| row.scopes = vec!["admin".into()],
        |row| row.cidrs.clear(),
        |row| row.generation = crate::domain::Generation(77),
        |row| row.verifier.tag = None,
    ];
    for (index, forge) in forgeries.into_iter().enumerate() {
        let world = World::new();
        let (id, key) = world.issue(|row| {
            row.expires_at_ms = Some(i64::MAX);
            row.cidrs = vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
        });
        world.forge(id, forge);
        let attempt = Attempt { remote: Some("192.0.2.1".parse().unwrap()), ..attempt() };
        assert_eq!(world.ask_with(&key, &attempt).await, Err(Reason::RowForged), "forgery {index}");
        assert_eq!(world.argon_jobs(), 0, "forgery {index} buys no work");
    }
}

#[tokio::test]
async fn r4_a_revoked_row_cannot_be_made_active_again_without_the_pepper() {
    let world = World::new();
    let (id, key) = world.issue(|_| {});
    world.change_credential(id, |row| row.status = Status::Revoked { at_ms: 1, reason: RevocationReason::Unspecified });
    world.forge(id, |row| row.status = Status::Active);
    assert_eq!(world.ask(&key).await, Err(Reason::RowForged));
}

#[tokio::test]
async fn r4_a_wrong_secret_is_final_and_argon2_is_not_tried() {
    let world = World::new();
    let (id, _) = world.issue(|_| {});
    assert_eq!(world.ask(&World::forged_key(id)).await, Err(Reason::WrongSecret));
    assert_eq!(world.argon_jobs(), 0);
}

#[tokio::test]
async fn r5_a_row_of_another_pepper_denies_and_is_not_tagged_again() {
    let world = World::new();
    let (id, key) = world.issue(|_| {});
    world.forge(id, |row| row.verifier.pepper = crate::domain::PepperFingerprint([9; 16]));
    assert_eq!(world.ask(&key).await, Err(Reason::PepperMissing));
    assert_eq!(world.argon_jobs(), 0);
}

#[tokio::test]
async fn an_untagged_secret_is_proven_by_argon2() {
    let world = World::new();
    let (id, key) = world.issue_untagged();
    assert_eq!(world.ask(&key).await, Ok(7));
    assert_eq!(world.ask(&key).await, Ok(7));
    assert_eq!(world.argon_jobs(), 1, "the second answer rests on what the first proved");
    assert_eq!(world.ask(&World::forged_key(id)).await, Err(Reason::WrongSecret));
}

#[tokio::test]
async fn a5_every_refusal_costs_the_same_work() {
    let world = World::new();
    let now = world.clock.wall_ms();
    let (id, _) = world.issue(|_| {});
    let (_, expired) = world.issue(|row| row.expires_at_ms = Some(now));
    let (revoked_id, revoked) = world.issue(|_| {});
    world.change_credential(revoked_id, |row| {
        row.status = Status::Revoked { at_ms: now, reason: RevocationReason::Unspecified };
    });
    let unknown = World::forged_key(crate::domain::CredentialId::from_bytes([77; 16]));
    let cases = [
        (&unknown, Reason::UnknownCredential),
        (&World::forged_key(id), Reason::WrongSecret),
        (&expired, Reason::Expired),
        (&revoked, Reason::Revoked),
    ];
    for (key, reason) in cases {
        let before = world.work();
        assert_eq!(world.ask(key).await, Err(reason));
        let after = world.work();
        let spent = (after.0 - before.0, after.1 - before.1, after.2 - before.2);
        assert_eq!(spent, (1, 2, 0), "{reason}: one read, a tag and a row MAC, no Argon2");
    }
}

#[tokio::test]
async fn r8_a_hit_rests_on_a_young_look_at_the_feed() {
    let world = World::new();
    let (_, key) = world.issue(|_| {});
    assert_eq!(world.ask(&key).await, Ok(7));
    world.clock.advance(Duration::from_millis(101));
    world.store.fail(Fault::Reads);
    assert_eq!(world.ask(&key).await, Err(Reason::FeedStale), "nothing cached may be used");
    world.store.heal();
    assert_eq!(world.ask(&key).await, Ok(7), "and it recovers by itself");
}

#[tokio::test]
async fn r8_a_row_read_before_a_revocation_is_not_kept_after_it() {
    let world = World::new();
    let (id, key) = world.issue(|_| {});
    // The revocation commits between the read of the credential and that of its App.
    world.meanwhile(move |world| {
        world.change_credential(id, |row| {
            row.status = Status::Revoked { at_ms: 1, reason: RevocationReason::Unspecified };
        });
    });
    assert_eq!(world.ask(&key).await, Err(Reason::Revoked), "seen by the request that was under way");
    assert_eq!(world.ask(&key).await, Err(Reason::Revoked), "and by the next one");
}

#[tokio::test]
async fn faults_deny_and_recover() {
    let world = World::new();
    let (_, key) = world.issue(|_| {});
    world.store.fail(Fault::Reads);
    assert_eq!(world.ask(&key).await, Err(Reason::StoreUnavailable));
    world.store.heal();
    assert_eq!(world.ask(&key).await, Ok(7));
}

#[tokio::test(start_paused = true)]
async fn h10_a_directory_that_does_not_answer_is_given_up_on() {
    let world = World::new();
    let (_, key) = world.issue(|_| {});
    world.hang_directory(true);
    let started = tokio::time::Instant::now();
    assert_eq!(world.ask(&key).await, Err(Reason::DeadlineExceeded));
    assert_eq!(started.elapsed(), Settings::default().deadline);
    world.hang_directory(false);
    assert_eq!(world.ask(&key).await, Ok(7));
}

#[tokio::test]
async fn b3_an_old_key_is_good_during_its_grace_and_says_when_it_ends() {
    let world = World::new();
    let now = world.clock.wall_ms();
    let (id, key) = world.issue(|row| row.expires_at_ms = Some(now + 9_000));
    assert_eq!(world.ask(&key).await, Ok(7));
    let by = crate::domain::CredentialId::from_bytes([8; 16]);
    world.change_credential(id, |row| row.replaced = Some(Replaced { by, grace_until_ms: now + 5_000 }));
    let claims = |decision: Decision<'_>| match decision {
        Decision::Grant(grant) => grant.claims().to_vec(),
        Decision::Deny(denial) => panic!("{:?}", denial.reason()),
    };
    let told = world.authenticator.authenticate(&key, &attempt(), claims).await;
    let end = crate::clock::rfc3339(now + 5_000);
    assert!(told.contains(&("sunset", end.clone())) && told.contains(&("expires_at", end)), "{told:?}");
    world.clock.advance(Duration::from_millis(4_999));
    assert_eq!(world.ask(&key).await, Ok(7));
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(world.ask(&key).await, Err(Reason::GraceEnded), "cached or not");
}

#[tokio::test]
async fn a_honey_key_is_refused_only_when_its_secret_was_shown() {
    let world = World::new();
    let (id, key) = world.issue(|row| row.decoy = true);
    assert_eq!(world.ask(&World::forged_key(id)).await, Err(Reason::WrongSecret), "a guess is no alarm");
    assert_eq!(world.ask(&key).await, Err(Reason::HoneyKey));
    assert_eq!(world.ask(&key).await, Err(Reason::HoneyKey), "never cached as good");
    assert!(Reason::HoneyKey.alarm().is_some());
}

#[tokio::test]
async fn a_use_is_noted_once_a_minute_and_only_for_gateways() {
    let world = World::new();
    let (id, key) = world.issue(|_| {});
    let noted = |world: &World| {
        world.authenticator.flush(Duration::from_secs(5));
        world.store.credentials().look_up(id).unwrap().row.unwrap().last_used_at_ms
    };
    let looking = Attempt { stage: Stage::LookUp, ..attempt() };
    assert_eq!(world.ask_with(&key, &looking).await, Ok(7));
    assert_eq!(noted(&world), None, "a look-up is no use");
    let first = world.clock.wall_ms();
    assert_eq!(world.ask(&key).await, Ok(7));
    assert_eq!(noted(&world), Some(first));
    world.clock.advance(Duration::from_secs(59));
    assert_eq!(world.ask(&key).await, Ok(7));
    assert_eq!(noted(&world), Some(first), "within a minute of the last");
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.ask(&key).await, Ok(7));
    assert_eq!(noted(&world), Some(first + 60_000));
    world.change_credential(id, |row| row.status = Status::Revoked { at_ms: 1, reason: RevocationReason::Superseded });
    world.clock.advance(Duration::from_secs(600));
    assert_eq!(world.ask(&key).await, Err(Reason::Revoked));
    assert_eq!(noted(&world), Some(first + 60_000), "a refusal is no use");
}
