//! Calls that last: following the trail, importing, exporting; they end with their caller's right.

use std::time::Duration;

use latchkey::pb::admin::v1 as pb;
use tonic::Code;

use crate::desk::{ACME, AdminServer, OTHER_TENANT, operator, store};
use crate::support::{APP, USER, run, sleep_ms};

async fn next(coming: &mut tonic::Streaming<pb::AuditEvent>) -> Result<Option<pb::AuditEvent>, tonic::Status> {
    tokio::time::timeout(Duration::from_secs(5), coming.message()).await.expect("an event within 5 s")
}

#[test]
fn events_are_told_as_they_come_and_only_to_those_they_are_for() {
    run(60, async {
        let store = store();
        let bound = operator(&store, "of acme", "auditor", &[ACME]);
        let server = AdminServer::start(&store, &[]);
        let follow = || pb::StreamAuditEventsRequest::default();
        let mut all = server.rpc(None).await.stream_audit_events(follow()).await.unwrap().into_inner();
        let mut acmes = server.rpc(Some(&bound)).await.stream_audit_events(follow()).await.unwrap().into_inner();
        store.ok(&["tenant", "set", OTHER_TENANT, "--name", "Globex"]);
        store.ok(&["tenant", "set", ACME, "--name", "Acme"]);
        let first = next(&mut all).await.unwrap().unwrap();
        let second = next(&mut all).await.unwrap().unwrap();
        assert_eq!((first.action.as_str(), second.sequence), ("tenant.changed", first.sequence + 1));
        let own = next(&mut acmes).await.unwrap().unwrap();
        assert_eq!(own.sequence, second.sequence, "not what is another tenant's");
        // Whose token is taken back hears no more.
        store.ok(&["operator", "revoke", "of acme"]);
        assert_eq!(next(&mut acmes).await.unwrap_err().code(), Code::PermissionDenied);
        let event = next(&mut all).await.unwrap().unwrap();
        assert_eq!(event.action, "operator.revoked");
    });
}

#[test]
fn followers_hold_no_threads() {
    run(60, async {
        let store = store();
        let server = AdminServer::start(&store, &[]);
        let mut rpc = server.rpc(None).await;
        let mut open = Vec::new();
        for _ in 0..100 {
            open.push(rpc.stream_audit_events(pb::StreamAuditEventsRequest::default()).await.unwrap().into_inner());
        }
        sleep_ms(500).await;
        let asked = rpc.get_tenant(pb::GetTenantRequest { tenant: ACME.to_owned() });
        tokio::time::timeout(Duration::from_secs(2), asked).await.expect("an answer beside them").unwrap();
    });
}

#[test]
fn an_import_that_breaks_off_stores_whole_batches_and_says_so() {
    run(60, async {
        let store = store();
        let server = AdminServer::start(&store, &[]);
        let mut rpc = server.rpc(None).await;
        let options = pb::ImportOptions {
            tenant: ACME.to_owned(),
            app_id: APP,
            user_id: USER,
            entropy: pb::Entropy::High.into(),
            batch: 2,
            request_id: "import-1".to_owned(),
            ..Default::default()
        };
        let line = |n: u32| format!("{{\"sha256\":\"{n:064x}\"}}\n").into_bytes();
        let (send, coming) = tokio::sync::mpsc::channel(8);
        let first = pb::ImportCredentialsRequest {
            options: Some(options.clone()),
            lines: [line(1), line(2), line(3)].concat(),
        };
        send.send(first).await.unwrap();
        let mut answers =
            rpc.import_credentials(tokio_stream::wrappers::ReceiverStream::new(coming)).await.unwrap().into_inner();
        let told = answers.message().await.unwrap().unwrap();
        assert_eq!((told.imported, told.done), (2, false));
        // A second set of options in the middle is no import.
        send.send(pb::ImportCredentialsRequest { options: Some(options), lines: Vec::new() }).await.unwrap();
        let status = answers.message().await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        let listed = store.ok(&["key", "list", "--tenant", ACME, "--output", "json"]);
        assert_eq!(listed.lines().count(), 2, "what was stored stays, and no half batch");
        let events = store.ok(&["audit", "list", "--action", "credential.imported", "--output", "json"]);
        assert!(events.lines().count() == 1 && events.contains("import-1"), "{events}");
    });
}

#[test]
fn few_imports_run_at_once_and_the_rest_is_told() {
    run(60, async {
        let store = store();
        let server = AdminServer::start(&store, &[]);
        let mut rpc = server.rpc(None).await;
        let mut held = Vec::new();
        loop {
            let (send, coming) = tokio::sync::mpsc::channel(1);
            let options = Some(pb::ImportOptions { tenant: ACME.to_owned(), ..Default::default() });
            send.send(pb::ImportCredentialsRequest { options, lines: Vec::new() }).await.unwrap();
            let stream = tokio_stream::wrappers::ReceiverStream::new(coming);
            match rpc.import_credentials(stream).await {
                Ok(answers) => held.push((send, answers)),
                Err(status) => {
                    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
                    break;
                }
            }
            assert!(held.len() < 50, "no bound");
        }
        let asked = rpc.get_tenant(pb::GetTenantRequest { tenant: ACME.to_owned() });
        tokio::time::timeout(Duration::from_secs(2), asked).await.expect("an answer beside them").unwrap();
        held.clear();
        sleep_ms(500).await;
        assert!(rpc.export_credentials(pb::ExportCredentialsRequest { tenant: ACME.to_owned() }).await.is_ok());
    });
}
