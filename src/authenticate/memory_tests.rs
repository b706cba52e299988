//! What is remembered of credentials, and when it ends.

use super::*;
use crate::authenticate::testing::{World, attempt};
use crate::domain::credential::RevocationReason;
use crate::domain::{CredentialId, Reason, Status, TenantStatus};

#[tokio::test]
async fn a_refusal_is_remembered_by_the_whole_credential_and_only_while_it_stands() {
    let world = World::new();
    let (id, key) = world.issue(|_| {});
    let wrong = World::forged_key(id);
    assert_eq!(world.ask(&wrong).await, Err(Reason::WrongSecret));
    let spent = world.work();
    assert_eq!(world.ask(&wrong).await, Err(Reason::WrongSecret));
    assert_eq!(world.work(), spent, "told again without a read");
    assert_eq!(world.ask(&key).await, Ok(7), "of the same id, and not refused for it");
    world.change_credential(id, |row| row.scopes.clear());
    assert_eq!(world.ask(&wrong).await, Err(Reason::WrongSecret));
    assert!(world.work().0 > spent.0, "read again after a change");
}

#[tokio::test]
async fn r13_an_unknown_credential_that_is_made_is_known_at_once() {
    let world = World::new();
    let (id, key) = world.issue(|_| {});
    world.store.hide(id);
    assert_eq!(world.ask(&key).await, Err(Reason::UnknownCredential));
    world.store.show(id);
    assert_eq!(world.ask(&key).await, Ok(7));
}

#[tokio::test]
async fn every_kind_of_refusal_is_remembered_alike_and_time_ends_the_one_that_time_ends() {
    let world = World::new();
    let now = world.clock.wall_ms();
    let (revoked_id, revoked) = world.issue(|_| {});
    world.change_credential(revoked_id, |row| {
        row.status = Status::Revoked { at_ms: now, reason: RevocationReason::Unspecified };
    });
    let (_, expired) = world.issue(|row| row.expires_at_ms = Some(now));
    let (_, early) = world.issue(|row| row.not_before_ms = Some(now + 50));
    let unknown = World::forged_key(CredentialId::from_bytes([77; 16]));
    for (key, reason) in [
        (&revoked, Reason::Revoked),
        (&expired, Reason::Expired),
        (&early, Reason::NotYetValid),
        (&unknown, Reason::UnknownCredential),
    ] {
        assert_eq!(world.ask(key).await, Err(reason));
        let spent = world.work();
        assert_eq!(world.ask(key).await, Err(reason));
        assert_eq!(world.work(), spent, "{reason}");
    }
    world.clock.advance(Duration::from_millis(50));
    assert_eq!(world.ask(&early).await, Ok(7));
}

#[tokio::test]
async fn what_could_not_be_decided_is_not_remembered() {
    let world = World::new();
    let (_, key) = world.issue(|_| {});
    world.store.fail(crate::store::fake::Fault::Reads);
    assert_eq!(world.ask(&key).await, Err(Reason::StoreUnavailable));
    world.store.heal();
    assert_eq!(world.ask(&key).await, Ok(7));
    assert_eq!(world.authenticator.cache.refusals(), 0);
}

#[tokio::test]
async fn h16_facts_are_read_again_after_their_time_changed_or_not() {
    let world = World::new();
    let (id, key) = world.issue(|_| {});
    assert_eq!(world.ask(&key).await, Ok(7));
    // A change that no feed tells of: what the time to live is there for.
    world.store.hide(id);
    assert_eq!(world.ask(&key).await, Ok(7));
    world.clock.advance(Settings::default().cache.ttl + Duration::from_millis(1));
    assert_eq!(world.ask(&key).await, Err(Reason::UnknownCredential));
}

#[tokio::test]
async fn b4_credentials_with_a_long_common_beginning_are_told_apart() {
    let world = World::new();
    let (_, key) = world.issue(|_| {});
    assert_eq!(world.ask(&key).await, Ok(7));
    let near = World::near(&key);
    assert_eq!(world.ask(&near).await, Err(Reason::WrongSecret), "the same in its first 64 characters");
    assert_eq!(world.ask(&key).await, Ok(7));
}

#[tokio::test]
async fn many_who_ask_at_once_are_one_read_and_one_hash() {
    let world = World::new();
    let (_, key) = world.issue_untagged();
    let before = world.work();
    let asked = futures::future::join_all((0..50).map(|_| world.ask(&key))).await;
    assert!(asked.iter().all(|answer| *answer == Ok(7)));
    let after = world.work();
    assert_eq!((after.0 - before.0, after.2 - before.2), (1, 1));
}

#[tokio::test]
async fn a_leader_that_hangs_up_fails_nobody() {
    let world = World::new();
    let (_, key) = world.issue(|_| {});
    let attempt = attempt();
    world.hang_directory(true);
    let mut leader = Box::pin(world.ask_with(&key, &attempt));
    assert!(futures::poll!(leader.as_mut()).is_pending());
    world.hang_directory(false);
    let followers = futures::future::join_all((0..10).map(|_| world.ask(&key)));
    let (followers, ()) = tokio::join!(followers, async {
        tokio::task::yield_now().await;
        drop(leader);
    });
    assert!(followers.iter().all(|answer| *answer == Ok(7)), "{followers:?}");
}

#[tokio::test]
async fn followers_do_not_take_what_was_read_before_a_revocation() {
    let world = World::new();
    let (id, key) = world.issue(|_| {});
    world.meanwhile(move |world| {
        world.change_credential(id, |row| {
            row.status = Status::Revoked { at_ms: 1, reason: RevocationReason::Unspecified };
        });
    });
    let asked = futures::future::join_all((0..10).map(|_| world.ask(&key))).await;
    assert!(asked.iter().all(|answer| *answer == Err(Reason::Revoked)), "{asked:?}");
}

#[tokio::test]
async fn r12_a_proof_outlives_the_facts_and_ends_with_the_stored_hash() {
    let world = World::new();
    let (id, key) = world.issue_untagged();
    assert_eq!((world.ask(&key).await, world.argon_jobs()), (Ok(7), 1));
    let again: [fn(&World, CredentialId); 4] = [
        |w, _| w.change_tenant(|tenant| tenant.name = "Other".into()),
        |w, id| w.change_credential(id, |row| row.scopes.clear()),
        |w, _| w.clock.advance(Settings::default().cache.ttl * 2),
        |w, _| w.authenticator.cache.clear(),
    ];
    for (index, change) in again.iter().enumerate() {
        change(&world, id);
        assert_eq!((world.ask(&key).await, world.argon_jobs()), (Ok(7), 1), "change {index}: a point read is enough");
    }
    world.change_tenant(|tenant| tenant.status = TenantStatus::Suspended);
    assert_eq!(world.ask(&key).await, Err(Reason::TenantSuspended), "a proof is no yes");
    world.change_tenant(|tenant| tenant.status = TenantStatus::Active);
    let other = crate::verify::argon::hash(
        crate::verify::argon::Cost { memory_kib: 64, passes: 1, lanes: 1 },
        b"another secret",
        &crate::clock::SystemEntropy,
    );
    world.change_credential(id, |row| row.verifier.phc = other.unwrap());
    assert_eq!((world.ask(&key).await, world.argon_jobs()), (Err(Reason::WrongSecret), 2));
}
