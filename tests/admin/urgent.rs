//! Rule R11: what takes something back holds here at once, whatever the store can commit.

use std::time::{Duration, Instant};

use latchkey::pb::admin::v1 as pb;
use rusqlite::Connection;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::desk::{ACME, AdminServer, operator, store};
use crate::support::{APP, LLM, Setup, TestHost, TestStore, USER, run, sleep_ms};

/// Somebody who holds the store, so that nothing can be committed.
fn hold(store: &TestStore) -> Connection {
    let held = Connection::open(store.data.join("latchkey.db")).unwrap();
    held.execute_batch("BEGIN IMMEDIATE").unwrap();
    held
}

fn reason(status: &tonic::Status) -> String {
    status.get_error_details().error_info().map(|info| info.reason.clone()).unwrap_or_default()
}

async fn until_revoked(store: &TestStore, id: &str) {
    let start = Instant::now();
    loop {
        if store.ok(&["key", "show", id]).contains("revoked") {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "never committed");
        sleep_ms(200).await;
    }
}

#[test]
fn r11_a_revocation_that_cannot_be_committed_denies_here_at_once_and_is_not_told_as_done() {
    run(90, async {
        let store = store();
        let (revoked, other) = (store.issue(APP, USER), store.issue(APP, USER));
        let server = AdminServer::start(&store, &[]);
        let host = TestHost::attach(server.listening(), Setup::on(&store).without_session()).await;
        let elsewhere = AdminServer::start(&store, &[]);
        let other_process = TestHost::attach(elsewhere.listening(), Setup::on(&store).without_session()).await;
        assert!(host.passes(&revoked.text, LLM).await && host.passes(&other.text, LLM).await);
        let mut owner = server.rpc(None).await;
        let held = hold(&store);
        let ask = || pb::RevokeCredentialRequest { credential_id: revoked.id.clone(), ..Default::default() };
        let start = Instant::now();
        let status = owner.revoke_credential(ask()).await.unwrap_err();
        let took = start.elapsed();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::Unavailable, "DENIED_HERE_NOT_DURABLE"),
            "{status:?}"
        );
        assert!(status.message().contains("not durable"), "{status:?}");
        assert!((Duration::from_millis(1_900)..Duration::from_secs(4)).contains(&took), "{took:?}");
        assert!(!host.passes(&revoked.text, LLM).await, "denied here");
        assert!(host.passes(&other.text, LLM).await, "and nothing else is");
        assert!(other_process.passes(&revoked.text, LLM).await, "as it said: nobody else knows");
        // Asked again it says the same, at once.
        let start = Instant::now();
        assert_eq!(reason(&owner.revoke_credential(ask()).await.unwrap_err()), "DENIED_HERE_NOT_DURABLE");
        assert!(start.elapsed() < Duration::from_secs(1));
        let health = owner.get_health(pb::GetHealthRequest {}).await.unwrap().into_inner();
        assert_eq!(health.status, "degraded");
        assert!(health.problems.iter().any(|problem| problem.code == "denied_here"), "{health:?}");
        drop(held);
        until_revoked(&store, &revoked.id).await;
        sleep_ms(1_000).await;
        assert!(!host.passes(&revoked.text, LLM).await && !other_process.passes(&revoked.text, LLM).await);
        assert!(host.passes(&other.text, LLM).await);
        let health = owner.get_health(pb::GetHealthRequest {}).await.unwrap().into_inner();
        assert_eq!(health.status, "healthy", "{health:?}");
        let again = owner.revoke_credential(ask()).await.unwrap().into_inner();
        assert!(again.already);
        assert_eq!(
            store.ok(&["audit", "list", "--action", "credential.revoked", "--output", "json"]).lines().count(),
            1
        );
    });
}

#[test]
fn r11_a_suspension_denies_here_and_a_resumption_takes_it_back() {
    run(90, async {
        let store = store();
        let key = store.issue(APP, USER);
        let server = AdminServer::start(&store, &[]);
        let host = TestHost::attach(server.listening(), Setup::on(&store).without_session()).await;
        let mut owner = server.rpc(None).await;
        let suspend = || pb::SuspendTenantRequest { tenant: ACME.to_owned(), ..Default::default() };
        let held = hold(&store);
        let status = owner.suspend_tenant(suspend()).await.unwrap_err();
        assert_eq!(reason(&status), "DENIED_HERE_NOT_DURABLE", "{status:?}");
        assert!(!host.passes(&key.text, LLM).await);
        drop(held);
        let start = Instant::now();
        while !store.ok(&["tenant", "show", ACME]).contains("suspended") {
            assert!(start.elapsed() < Duration::from_secs(20));
            sleep_ms(200).await;
        }
        let resume = pb::ResumeTenantRequest { tenant: ACME.to_owned(), ..Default::default() };
        owner.resume_tenant(resume).await.unwrap();
        sleep_ms(1_000).await;
        assert!(host.passes(&key.text, LLM).await, "what was resumed is not suspended again by what was tried before");
        assert!(store.ok(&["tenant", "show", ACME]).contains("active"));
    });
}

#[test]
fn r11_nobody_denies_what_is_not_theirs() {
    run(60, async {
        let store = store();
        let key = store.issue(APP, USER);
        let (auditor, foreign) =
            (operator(&store, "auditor", "auditor", &[]), operator(&store, "foreign", "owner", &["globex"]));
        let server = AdminServer::start(&store, &[]);
        let host = TestHost::attach(server.listening(), Setup::on(&store).without_session()).await;
        let held = hold(&store);
        let ask = || pb::RevokeCredentialRequest { credential_id: key.id.clone(), ..Default::default() };
        for (token, code) in [(&auditor, Code::PermissionDenied), (&foreign, Code::NotFound)] {
            let start = Instant::now();
            let status = server.rpc(Some(token)).await.revoke_credential(ask()).await.unwrap_err();
            assert_eq!(status.code(), code, "{status:?}");
            assert!(start.elapsed() < Duration::from_secs(1), "asked before anything is tried");
        }
        sleep_ms(2_500).await;
        assert!(host.passes(&key.text, LLM).await);
        drop(held);
    });
}

#[test]
fn r11_an_operator_is_denied_here_and_the_last_owner_is_not() {
    run(60, async {
        let store = store();
        let second = operator(&store, "second", "owner", &[]);
        let server = AdminServer::start(&store, &[]);
        let mut owner = server.rpc(None).await;
        let mut theirs = server.rpc(Some(&second)).await;
        assert!(theirs.get_caller(pb::GetCallerRequest {}).await.is_ok());
        let held = hold(&store);
        let revoke = |name: &str| pb::RevokeOperatorRequest { operator: name.to_owned(), ..Default::default() };
        let status = owner.revoke_operator(revoke("second")).await.unwrap_err();
        assert_eq!(reason(&status), "DENIED_HERE_NOT_DURABLE", "{status:?}");
        assert_eq!(theirs.get_caller(pb::GetCallerRequest {}).await.unwrap_err().code(), Code::Unauthenticated);
        // Of the two owners one is as good as gone.
        let status = owner.revoke_operator(revoke("owner")).await.unwrap_err();
        assert_eq!(reason(&status), "LAST_OWNER", "{status:?}");
        drop(held);
    });
}
