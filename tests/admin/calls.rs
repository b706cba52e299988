//! What a call does and leaves behind: request ids, etags, masks, pages, errors with their details.

use std::collections::BTreeMap;
use std::time::Duration;

use latchkey::pb::admin::v1 as pb;
use prost_types::FieldMask;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::desk::{ACME, AdminServer, Rpc, operator, store};
use crate::raw;
use crate::support::store::secret_part;
use crate::support::{APP, LLM, Setup, TestHost, TestStore, USER, run, until};

fn mask(paths: &[&str]) -> Option<FieldMask> {
    Some(FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() })
}

fn reason(status: &Status) -> String {
    let info = status.get_error_details().error_info().cloned().unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    assert_eq!(info.domain, "latchkey.dev");
    info.reason
}

fn credential() -> pb::Credential {
    pb::Credential { tenant: ACME.to_owned(), app_id: APP, user_id: USER, ..Default::default() }
}

fn issue(request_id: &str) -> pb::IssueCredentialRequest {
    let request_id = request_id.to_owned();
    pb::IssueCredentialRequest { credential: Some(credential()), request_id, ..Default::default() }
}

async fn started(store: &TestStore) -> (AdminServer, Rpc) {
    let server = AdminServer::start(store, &[]);
    let rpc = server.rpc(None).await;
    (server, rpc)
}

#[test]
fn a_key_is_issued_used_rotated_and_revoked_over_the_rpc() {
    run(60, async {
        let store = store();
        let token = operator(&store, "issuer", "issuer", &[ACME]);
        let server = AdminServer::start(&store, &[]);
        let mut rpc = server.rpc(Some(&token)).await;
        let host = TestHost::attach(server.listening(), Setup::on(&store).without_session()).await;
        let issued = rpc.issue_credential(issue("")).await.unwrap().into_inner();
        store.canaries.add("a key", secret_part(&issued.key).unwrap());
        assert!(host.passes(&issued.key, LLM).await, "for the very next request");
        let id = issued.credential.unwrap().credential_id;
        let request =
            pb::RotateCredentialRequest { credential_id: id.clone(), grace_seconds: 60, ..Default::default() };
        let rotated = rpc.rotate_credential(request).await.unwrap().into_inner();
        store.canaries.add("a key", secret_part(&rotated.key).unwrap());
        let (old, new) = (rotated.replaced.unwrap(), rotated.credential.unwrap());
        assert_eq!((&old.replaced_by, &new.replaces), (&new.credential_id, &id));
        assert!(
            old.grace_until.is_some() && host.passes(&issued.key, LLM).await && host.passes(&rotated.key, LLM).await
        );
        let request = pb::RevokeCredentialRequest {
            credential_id: new.credential_id.clone(),
            reason: pb::RevocationReason::KeyCompromise.into(),
            request_id: "take-it-back".to_owned(),
        };
        let revoked = rpc.revoke_credential(request.clone()).await.unwrap().into_inner();
        assert!(!host.passes(&rotated.key, LLM).await, "from the very next request on");
        let row = revoked.credential.unwrap();
        assert_eq!((row.status.as_str(), row.revocation_reason()), ("revoked", pb::RevocationReason::KeyCompromise));
        assert!(rpc.revoke_credential(request).await.unwrap().into_inner().already);
        // Who, what, on what, from where, by which request.
        let event = store.ok(&["audit", "list", "--action", "credential.revoked", "--output", "json"]);
        let event: serde_json::Value = serde_json::from_str(event.trim()).unwrap();
        assert_eq!(event["actor"], format!("operator:{}", &token[5..27]));
        assert_eq!((&event["subject_id"], &event["request_id"]), (&new.credential_id.into(), &"take-it-back".into()));
        assert!(event["details"].to_string().contains(r#"["source","unix"]"#), "{event}");
        store.canaries.assert_absent("the server's log", server.log().as_bytes());
        store.canaries.assert_absent_below(&store.data);
    });
}

#[test]
fn r18_a_replayed_create_gives_the_same_thing_without_its_secret() {
    run(60, async {
        let store = store();
        let (_server, mut rpc) = started(&store).await;
        let first = rpc.issue_credential(issue("req-1")).await.unwrap().into_inner();
        assert!(!first.replayed && !first.key.is_empty());
        let again = rpc.issue_credential(issue("req-1")).await.unwrap().into_inner();
        assert!(again.replayed && again.key.is_empty());
        assert_eq!(again.credential.unwrap().credential_id, first.credential.as_ref().unwrap().credential_id);
        let mut other = issue("req-1");
        other.credential.as_mut().unwrap().label = "another".to_owned();
        let status = rpc.issue_credential(other).await.err().unwrap();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::AlreadyExists, "REQUEST_ID_REUSED"));
        // Many at once make one.
        let calls = (0..8).map(|_| {
            let mut rpc = rpc.clone();
            tokio::spawn(async move { rpc.issue_credential(issue("req-2")).await.unwrap().into_inner() })
        });
        let mut ids = std::collections::HashSet::new();
        let mut keys = 0;
        for call in calls.collect::<Vec<_>>() {
            let answer = call.await.unwrap();
            keys += usize::from(!answer.key.is_empty());
            ids.insert(answer.credential.unwrap().credential_id);
        }
        assert_eq!((ids.len(), keys), (1, 1));
        // So for everything that is made.
        let request_id = "req-1".to_owned();
        let tenant = pb::Tenant { tenant: "new".to_owned(), ..Default::default() };
        let request = pb::CreateTenantRequest { tenant: Some(tenant), request_id: request_id.clone() };
        assert!(!rpc.create_tenant(request.clone()).await.unwrap().into_inner().replayed);
        assert!(rpc.create_tenant(request).await.unwrap().into_inner().replayed);
        let app = pb::App { tenant: ACME.to_owned(), app_id: 77, name: "A".to_owned(), ..Default::default() };
        let request = pb::CreateAppRequest { app: Some(app), request_id: request_id.clone() };
        assert!(!rpc.create_app(request.clone()).await.unwrap().into_inner().replayed);
        assert!(rpc.create_app(request).await.unwrap().into_inner().replayed);
        let user =
            pb::User { tenant: ACME.to_owned(), user_id: 77, email: "a@b.example".to_owned(), ..Default::default() };
        let request = pb::CreateUserRequest { user: Some(user), request_id: request_id.clone() };
        assert!(!rpc.create_user(request.clone()).await.unwrap().into_inner().replayed);
        assert!(rpc.create_user(request).await.unwrap().into_inner().replayed);
        let operator = pb::Operator { name: "ann".to_owned(), ..Default::default() };
        let request = pb::CreateOperatorRequest { operator: Some(operator), request_id: request_id.clone() };
        let made = rpc.create_operator(request.clone()).await.unwrap().into_inner();
        assert!(made.token.starts_with("lkop_") && made.operator.unwrap().role() == pb::Role::Auditor);
        let again = rpc.create_operator(request).await.unwrap().into_inner();
        assert!(again.replayed && again.token.is_empty());
        let id = first.credential.unwrap().credential_id;
        let request = pb::RotateCredentialRequest { credential_id: id, request_id, ..Default::default() };
        let rotated = rpc.rotate_credential(request.clone()).await.unwrap().into_inner();
        let again = rpc.rotate_credential(request).await.unwrap().into_inner();
        assert!(!rotated.replayed && again.replayed && again.key.is_empty());
        assert_eq!(again.credential, rotated.credential);
        for wrong in ["a b", "é", &"x".repeat(129), "a\nb"] {
            let status = rpc.issue_credential(issue(wrong)).await.err().unwrap();
            assert_eq!(status.code(), Code::InvalidArgument, "{wrong}");
        }
    });
}

#[test]
fn an_etag_guards_against_lost_updates_and_a_mask_names_what_changes() {
    run(60, async {
        let store = store();
        let (_server, mut rpc) = started(&store).await;
        let get = || pb::GetAppRequest { tenant: ACME.to_owned(), app_id: APP };
        let read = rpc.get_app(get()).await.unwrap().into_inner();
        let update = |app: pb::App, paths: &[&str]| pb::UpdateAppRequest {
            app: Some(app),
            update_mask: mask(paths),
            ..Default::default()
        };
        let named = |name: &str| pb::App { name: name.to_owned(), ..read.clone() };
        let changed = rpc.update_app(update(named("One"), &["name"])).await.unwrap().into_inner();
        assert!(changed.etag != read.etag && changed.description == read.description && changed.llms == read.llms);
        let status = rpc.update_app(update(named("Two"), &["name"])).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Aborted, "STALE"));
        let blind = pb::App { etag: String::new(), ..named("Three") };
        assert_eq!(rpc.update_app(update(blind, &["name"])).await.unwrap().into_inner().name, "Three");
        // Without a mask what is given changes; with one what is named does, given or not.
        let app = pb::App { tenant: ACME.to_owned(), app_id: APP, description: "d".to_owned(), ..Default::default() };
        let after = rpc.update_app(update(app.clone(), &[])).await.unwrap().into_inner();
        assert!(after.description == "d" && after.active && after.name == "Three");
        let after = rpc.update_app(update(app, &["active", "llms"])).await.unwrap().into_inner();
        assert!(!after.active && after.llms.is_empty() && after.description == "d");
        for wrong in [&["app_id"][..], &["etag"], &["tenant"], &["nothing"], &["name", "*"]] {
            let status = rpc.update_app(update(read.clone(), wrong)).await.unwrap_err();
            let details = status.get_error_details();
            let violation = &details.bad_request().unwrap().field_violations[0];
            assert_eq!(violation.field, "update_mask", "{wrong:?}");
        }
        // What is output only is not taken from anybody.
        let forged = pb::Credential {
            credential_id: "0000000000000000000001".to_owned(),
            status: "active".to_owned(),
            created_by: "system".to_owned(),
            proof: "none".to_owned(),
            replaces: "0000000000000000000002".to_owned(),
            ..credential()
        };
        let request = pb::IssueCredentialRequest { credential: Some(forged), ..Default::default() };
        let made = rpc.issue_credential(request).await.unwrap().into_inner().credential.unwrap();
        assert_ne!(made.credential_id, "0000000000000000000001");
        assert!(made.created_by.starts_with("local:") && made.proof == "tag" && made.replaces.is_empty());
        let tenant = pb::Tenant {
            tenant: "fresh".to_owned(),
            tenant_id: "0000000000000000000001".to_owned(),
            status: pb::TenantStatus::Suspended.into(),
            ..Default::default()
        };
        let request = pb::CreateTenantRequest { tenant: Some(tenant), ..Default::default() };
        let made = rpc.create_tenant(request).await.unwrap().into_inner().tenant.unwrap();
        assert!(made.status() == pb::TenantStatus::Active && made.tenant_id != "0000000000000000000001");
    });
}

#[test]
fn errors_say_which_field_why_and_what_to_do() {
    run(60, async {
        let store = store();
        let (_server, mut rpc) = started(&store).await;
        let with = |change: &dyn Fn(&mut pb::Credential)| {
            let mut request = issue("");
            change(request.credential.as_mut().unwrap());
            request
        };
        for (field, request) in [
            ("app_id", with(&|c| c.app_id = 0)),
            ("user_id", with(&|c| c.user_id = 0)),
            ("cidrs", with(&|c| c.cidrs = vec!["everywhere".to_owned()])),
            ("scope", with(&|c| c.scopes = vec!["a b".to_owned()])),
            ("label", with(&|c| c.label = "\u{1b}[31m".to_owned())),
            ("environment", with(&|c| c.environment = 99)),
            ("expires", with(&|c| c.expires_at = Some(prost_types::Timestamp { seconds: 1, nanos: 0 }))),
            ("expires_at", with(&|c| c.expires_at = Some(prost_types::Timestamp { seconds: -1, nanos: 0 }))),
            ("not_before", with(&|c| c.not_before = Some(prost_types::Timestamp { seconds: 1, nanos: 5 }))),
            ("credential", pb::IssueCredentialRequest::default()),
        ] {
            let status = rpc.issue_credential(request).await.err().unwrap();
            assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "INVALID"), "{field}");
            let details = status.get_error_details();
            let violations = &details.bad_request().unwrap().field_violations;
            assert!(violations[0].field == field && !violations[0].description.is_empty(), "{field}: {violations:?}");
        }
        let status = rpc.get_tenant(pb::GetTenantRequest { tenant: "nobody".to_owned() }).await.unwrap_err();
        let details = status.get_error_details();
        assert_eq!(
            (status.code(), details.resource_info().unwrap().resource_name.as_str()),
            (Code::NotFound, "nobody")
        );
        assert!(details.localized_message().unwrap().message.contains("latchkey tenant list"));
        let tenant = Some(pb::Tenant { tenant: ACME.to_owned(), ..Default::default() });
        let status = rpc.create_tenant(pb::CreateTenantRequest { tenant, ..Default::default() }).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::AlreadyExists, "ALREADY_EXISTS"));
        let suspend = pb::SuspendTenantRequest { tenant: ACME.to_owned(), ..Default::default() };
        rpc.suspend_tenant(suspend).await.unwrap();
        let status = rpc.issue_credential(issue("")).await.err().unwrap();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "TENANT_SUSPENDED"));
        assert!(status.get_error_details().precondition_failure().is_some());
        let revoke = pb::RevokeOperatorRequest { operator: "owner".to_owned(), ..Default::default() };
        let status = rpc.revoke_operator(revoke).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "LAST_OWNER"));
    });
}

#[test]
fn pages_show_each_row_once_and_end() {
    run(60, async {
        let store = store();
        let (_server, mut rpc) = started(&store).await;
        for _ in 0..7 {
            rpc.issue_credential(issue("")).await.unwrap();
        }
        let (mut seen, mut token, mut pages) = (BTreeMap::new(), String::new(), 0);
        loop {
            let request = pb::ListCredentialsRequest {
                tenant: ACME.to_owned(),
                page_size: 3,
                page_token: token,
                ..Default::default()
            };
            let page = rpc.list_credentials(request).await.unwrap().into_inner();
            pages += 1;
            for row in page.credentials {
                *seen.entry(row.credential_id).or_insert(0) += 1;
            }
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!((seen.len(), pages), (7, 3));
        assert!(seen.values().all(|count| *count == 1));
        for (size, token) in [(-1, ""), (3, "AAAA"), (3, "!")] {
            let (tenant, page_token) = (ACME.to_owned(), token.to_owned());
            let request = pb::ListCredentialsRequest { tenant, page_size: size, page_token, ..Default::default() };
            assert_eq!(rpc.list_credentials(request).await.unwrap_err().code(), Code::InvalidArgument);
        }
    });
}

#[test]
fn r1_neither_service_is_on_the_others_listener() {
    run(60, async {
        let store = store();
        let server = AdminServer::start(&store, &[]);
        let plugin = tonic::transport::Endpoint::from_shared(format!("http://{}", server.listening())).unwrap();
        let mut admin = pb::admin_service_client::AdminServiceClient::new(plugin.connect().await.unwrap());
        let status = admin.get_caller(pb::GetCallerRequest {}).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented, "{status:?}");
        let mut plugin =
            latchkey::pb::full::plugin::plugin_service_client::PluginServiceClient::new(server.channel().await);
        let ping = latchkey::pb::full::plugin::PingRequest { timestamp: 1 };
        assert_eq!(plugin.ping(ping).await.unwrap_err().code(), Code::Unimplemented);
    });
}

#[test]
fn f1_no_message_of_a_stranger_is_read() {
    run(30, async {
        let store = store();
        let server = AdminServer::start(&store, &[]);
        let channel = server.channel().await;
        for method in raw::methods() {
            let asked = raw::call_without_end(&channel, &method, "junk");
            let answer = tokio::time::timeout(Duration::from_secs(5), asked).await;
            let status = answer.unwrap_or_else(|_| panic!("{method}: waits for the message")).unwrap_err();
            assert_eq!(status.code(), Code::Unauthenticated, "{method}: {status:?}");
        }
        // Another thread writes the log.
        let told = || server.log().contains("\"method\":\"prune_audit_trail\"");
        until(Duration::from_secs(5), "the log to name each method", told).await;
    });
}

#[test]
fn r19_over_the_rpc_nobody_gives_up_what_is_young_and_with_the_files_one_can() {
    run(60, async {
        let store = store();
        let server = AdminServer::start(&store, &[]);
        let mut owner = server.rpc(None).await;
        let signed = owner.create_audit_checkpoint(pb::CreateAuditCheckpointRequest {}).await.unwrap().into_inner();
        let yet_to_come = prost_types::Timestamp { seconds: 32_472_144_000, nanos: 0 };
        for before in [signed.at.unwrap(), yet_to_come] {
            let request = pb::PruneAuditTrailRequest { before: Some(before), ..Default::default() };
            let status = owner.prune_audit_trail(request).await.unwrap_err();
            assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
            assert!(status.message().contains("audit.min_retention_days"), "{status:?}");
        }
        let count = || store.ok(&["audit", "list", "--output", "json"]).lines().count();
        let there = count();
        store.ok(&["audit", "prune", "--before", "2999-01-01T00:00:00Z"]);
        assert!(count() < there, "{there}");
    });
}
