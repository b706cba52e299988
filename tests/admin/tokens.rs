//! Short-lived tokens over the RPC: shown once, taken back urgently, and by the command line of somebody without the files.

use latchkey::pb::admin::v1 as pb;
use serde_json::Value;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::desk::{ACME, AdminServer, operator, store};
use crate::support::store::bare_command;
use crate::support::{APP, USER, run, sleep_ms};
use crate::table::token;

fn reason(status: &Status) -> String {
    status.get_error_details().error_info().map(|info| info.reason.clone()).unwrap_or_default()
}

fn of(credential_id: &str, request_id: &str) -> pb::IssueTokenRequest {
    let (credential_id, request_id) = (credential_id.to_owned(), request_id.to_owned());
    pb::IssueTokenRequest { credential_id, request_id, ..Default::default() }
}

#[test]
fn r18_a_token_is_in_one_answer_and_no_log_file_or_event() {
    run(60, async {
        let store = store();
        let key = store.issue_for(ACME, APP, USER, &["--scope", "chat"]);
        let issuer = operator(&store, "issuer", "issuer", &[ACME]);
        let server = AdminServer::start(&store, &[]);
        let mut rpc = server.rpc(Some(&issuer)).await;
        let made = rpc.issue_token(of(&key.id, "r-1")).await.unwrap().into_inner();
        let text = store.token_of(&serde_json::json!({ "token": made.token }));
        let issued = made.issued.unwrap();
        assert_eq!(
            (issued.status.as_str(), issued.tenant.as_str(), made.scopes),
            ("active", ACME, vec!["chat".to_owned()])
        );
        let again = rpc.issue_token(of(&key.id, "r-1")).await.unwrap().into_inner();
        assert!(again.replayed && again.token.is_empty() && again.issued.as_ref() == Some(&issued));
        let refused = [
            (pb::IssueTokenRequest { scopes: vec!["admin".to_owned()], ..of(&key.id, "") }, "INVALID"),
            (pb::IssueTokenRequest { llm_ids: vec![0], ..of(&key.id, "") }, "INVALID"),
            (pb::IssueTokenRequest { no_scopes: true, scopes: vec!["chat".to_owned()], ..of(&key.id, "") }, "INVALID"),
            (pb::IssueTokenRequest { expires_in_seconds: 3_601, ..of(&key.id, "") }, "INVALID"),
            (pb::IssueTokenRequest { expires_in_seconds: 60, ..of(&key.id, "r-1") }, "REQUEST_ID_REUSED"),
            (of("junk", ""), "INVALID"),
        ];
        for (asked, expected) in refused {
            let status = rpc.issue_token(asked).await.map(drop).unwrap_err();
            assert_eq!(reason(&status), expected, "{status:?}");
        }
        let told = rpc.inspect_token(pb::InspectTokenRequest { token: text.clone() }).await.unwrap().into_inner();
        assert!(told.valid && told.checks.iter().all(|check| check.outcome() == pb::Outcome::Holds), "{told:?}");
        let rotated = rpc.rotate_signing_key(pb::RotateSigningKeyRequest::default()).await.unwrap_err();
        assert_eq!(rotated.code(), Code::PermissionDenied);
        let keys = rpc.list_signing_keys(pb::ListSigningKeysRequest {}).await.unwrap().into_inner().keys;
        assert_eq!((keys.len(), keys[0].status.as_str()), (1, "signing"));
        let which = Some(pb::revoke_token_request::Which::Token(text));
        let request = pb::RevokeTokenRequest { which, ..Default::default() };
        let revoked = rpc.revoke_token(request.clone()).await.unwrap().into_inner();
        assert_eq!((revoked.token.unwrap().status.as_str(), revoked.already), ("revoked", false));
        assert!(rpc.revoke_token(request).await.unwrap().into_inner().already);
        let events = store.ok(&["audit", "list", "--output", "json"]);
        assert!(
            events.contains("token.issued") && events.contains("token.revoked") && events.contains(&issued.token_id)
        );
        store.canaries.assert_absent("the trail", events.as_bytes());
        store.canaries.assert_absent("the server's log", server.log().as_bytes());
        assert!(server.log().contains("issue_token"), "it was searched");
        assert!(store.canaries.assert_absent_below(&store.data) > 50_000);
        drop((rpc, server));
        assert!(store.canaries.assert_absent_below(&store.data) > 50_000);
    });
}

#[test]
fn r11_a_token_that_cannot_be_taken_back_in_time_is_told_as_not_done() {
    run(60, async {
        let store = store();
        let key = store.issue(APP, USER);
        let (_, token_id) = token(&store, &key);
        let server = AdminServer::start(&store, &[]);
        let mut rpc = server.rpc(None).await;
        let held = rusqlite::Connection::open(store.data.join("latchkey.db")).unwrap();
        held.execute_batch("BEGIN IMMEDIATE").unwrap();
        let which = Some(pb::revoke_token_request::Which::TokenId(token_id.clone()));
        let request = pb::RevokeTokenRequest { which, ..Default::default() };
        let status = rpc.revoke_token(request).await.map(drop).unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "DENIED_HERE_NOT_DURABLE"));
        drop(held);
        let start = std::time::Instant::now();
        while !store.ok(&["token", "list", "--credential", &key.id]).contains("revoked") {
            assert!(start.elapsed().as_secs() < 20, "never committed");
            sleep_ms(200).await;
        }
    });
}

#[test]
fn tokens_come_in_pages_of_one_listing() {
    run(60, async {
        let store = store();
        let (key, other) = (store.issue(APP, USER), store.issue(APP, USER));
        let server = AdminServer::start(&store, &[]);
        let mut rpc = server.rpc(None).await;
        for _ in 0..5 {
            rpc.issue_token(of(&key.id, "")).await.map(drop).unwrap();
        }
        let ask = |credential_id: &str, page_token: &str| pb::ListTokensRequest {
            credential_id: credential_id.to_owned(),
            page_size: 2,
            page_token: page_token.to_owned(),
            ..Default::default()
        };
        let (mut ids, mut page_token, mut sizes) = (Vec::new(), String::new(), Vec::new());
        loop {
            let page = rpc.list_tokens(ask(&key.id, &page_token)).await.unwrap().into_inner();
            sizes.push(page.tokens.len());
            ids.extend(page.tokens.into_iter().map(|token| token.token_id));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
            let elsewhere = rpc.list_tokens(ask(&other.id, &page_token)).await.unwrap_err();
            assert_eq!(elsewhere.code(), Code::InvalidArgument, "of another listing");
        }
        ids.sort_unstable();
        ids.dedup();
        assert_eq!((sizes, ids.len()), (vec![2, 2, 1], 5));
    });
}

#[test]
fn everything_about_tokens_is_done_without_the_files() {
    run(60, async {
        let store = store();
        let key = store.issue(APP, USER);
        let server = AdminServer::start(&store, &[]);
        let remote = |line: &str, input: &str| {
            use std::io::Write as _;
            use std::process::Stdio;
            let mut command = bare_command();
            command.current_dir("/").args(["--server", &server.url()]).args(line.split_whitespace());
            command.args(["--output", "json"]).env("LATCHKEY_TOKEN", &store.operator_token);
            let mut child =
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
            let output = child.wait_with_output().unwrap();
            store.canaries.assert_absent(line, &output.stderr);
            let told = String::from_utf8(output.stdout).unwrap();
            let rows: Vec<Value> = told.lines().map(|row| serde_json::from_str(row).unwrap()).collect();
            (output.status.code(), rows)
        };
        let (code, made) = remote(&format!("token issue --credential {} --expires-in 5m", key.id), "");
        let text = store.token_of(&made[0]);
        assert_eq!((code, remote("token inspect", &text).0), (Some(0), Some(0)));
        let (_, rotated) = remote("token rotate-key --alg ES256", "");
        assert_eq!(rotated[0]["algorithm"], "ES256");
        assert_eq!(remote("token keys", "").1.len(), 2);
        assert_eq!(remote("token inspect", &text).0, Some(0), "the old key is believed");
        assert_eq!(remote("token revoke", &text).1[0]["status"], "revoked");
        let (code, told) = remote("token inspect", &text);
        assert_eq!((code, &told[0]["failed"], &told[0]["reason"]), (Some(1), &"revocation".into(), &"revoked".into()));
        assert_eq!(remote(&format!("token revoke --credential {}", key.id), "").0, Some(0));
        assert_eq!(remote(&format!("token list --credential {}", key.id), "").1.len(), 1);
        assert_eq!(remote(&format!("token revoke --id {}", "0".repeat(22)), "").0, Some(1));
    });
}
