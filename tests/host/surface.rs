//! Which surface serves what, and to whom (rule R1, decision 9).

use std::time::Duration;

use latchkey::pb::full::plugin as pb;
use latchkey::transport::admin::pages::{Page, names};
use serde_json::json;

use crate::helper;
use crate::support::{APP, LLM, Setup, TestHost, TestStore, USER, run};

/// What every connection may ask.
pub const OPEN: &[&str] = &["health", "get_metrics"];
/// What only a recognised Studio may: everything else that there is, and names that there might be.
pub fn restricted() -> impl Iterator<Item = &'static str> {
    let others = ["run_checklist", "create_tenant", "create_operator", "import_credentials", "rotate_pepper"];
    names(Page::Studio).filter(|name| !OPEN.contains(name)).chain(others)
}

/// A connection that reaches `health` and `get_metrics` and nothing else.
pub async fn assert_only_health(host: &TestHost) {
    for method in OPEN {
        host.call(method, "{}").await.unwrap_or_else(|e| panic!("{method}: {e}"));
    }
    for method in restricted() {
        let refused = host.ask(method, &json!({})).await.expect_err(method);
        assert!(refused.starts_with("method not available"), "Call {method}: {refused}");
    }
    for method in names(Page::Portal) {
        let refused = host.portal_call(Some(USER), true, method, &json!({})).await;
        assert_eq!(refused, Err("plugin does not support portal RPC calls".to_owned()), "PortalCall {method}");
    }
}

#[test]
fn r1_under_studio_its_own_process_reaches_every_method_and_none_that_is_not_there() {
    run(60, async {
        let store = TestStore::new();
        let host = TestHost::launch(Setup::on(&store).studio()).await;
        let before = host.ask("describe", &json!({})).await;
        assert!(before.is_err(), "before the host said that it is Studio: {before:?}");
        let mut host = host;
        host.begin().await;
        for method in names(Page::Studio) {
            host.ask(method, &json!({})).await.unwrap_or_else(|text| panic!("Call {method}: {text}"));
        }
        for method in names(Page::Portal) {
            let answer = host.portal_call(Some(USER), false, method, &json!({})).await;
            answer.unwrap_or_else(|text| panic!("PortalCall {method}: {text}"));
        }
        for method in
            ["create_tenant", "add_app", "update_app", "create_operator", "revoke_operator", "rotate_pepper", ""]
        {
            assert_eq!(host.ask(method, &json!({})).await, Err("method not available".to_owned()), "Call {method}");
        }
        for method in ["update_credential", "raise", "list_tenants", "list_users", "get_caller", "health"] {
            let answer = host.portal_call(Some(USER), true, method, &json!({})).await;
            assert_eq!(answer, Err("method not available".to_owned()), "PortalCall {method}");
        }
        host.unload().await;
    });
}

#[test]
fn a_payload_that_is_too_large_is_not_read() {
    run(30, async {
        let store = TestStore::new();
        let host = TestHost::start(Setup::on(&store).studio()).await;
        let large = json!({ "page_token": "x".repeat(64 * 1024) });
        assert_eq!(host.ask("list_tenants", &large).await, Err("payload too large".to_owned()));
        assert_eq!(host.ask("health", &large).await, Err("payload too large".to_owned()));
        let portal = host.portal_call(Some(USER), false, "list_apps", &large).await;
        assert_eq!(portal, Err("payload too large".to_owned()));
        host.unload().await;
    });
}

#[test]
fn health_and_metrics_answer_under_studio_and_count_from_zero() {
    run(30, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let host = TestHost::start(Setup::on(&store).studio()).await;
        for name in ["request_count", "error_count", "avg_duration_ms"] {
            assert_eq!(host.metric(name).await.to_bits(), 0.0_f64.to_bits(), "{name} before the first request");
        }
        for _ in 0..5 {
            host.must_accept(&key, "a call").await;
        }
        host.must_refuse("junk", LLM, "a call").await;
        assert!(host.metric("request_count").await >= 6.0);
        let health = host.call("health", "{}").await.unwrap();
        assert_eq!(health["status"], "healthy", "{health}");
        assert!(health["uptime_seconds"].is_number(), "{health}");
        host.unload().await;
    });
}

#[test]
fn odd_methods_and_payloads_are_answered_in_the_message() {
    run(30, async {
        let host = TestHost::start(Setup::without_store().studio()).await;
        for payload in ["", "null", "[]", "{", "\"text\"", "{\"a\":1e400}", "\0"] {
            let request = pb::CallRequest {
                method: "health".to_owned(),
                payload: payload.to_owned(),
                service_broker_id: host.broker_id,
            };
            let answer = host.service().call(request).await.unwrap_or_else(|e| panic!("{payload:?}: {e}")).into_inner();
            assert!(!answer.success || serde_json::from_str::<serde_json::Value>(&answer.data).is_ok());
        }
        for method in ["", "no_such_method", "Health", "../health", "health\0", &"x".repeat(100_000)] {
            assert!(host.call(method, "{}").await.is_err(), "{method:?} was answered");
        }
        host.unload().await;
    });
}

#[test]
fn r1_under_a_microgateway_call_answers_health_and_metrics_only() {
    run(30, async {
        let store = TestStore::new();
        let host = TestHost::start(Setup::on(&store)).await;
        assert_only_health(&host).await;
        host.unload().await;
    });
}

#[test]
fn r1_another_process_on_the_managed_socket_gets_these_two_only() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let host = TestHost::start(Setup::on(&store).studio()).await;
        let socket = host.socket();
        let told = tokio::task::spawn_blocking(move || {
            let mut stranger = helper::spawn("stranger", &socket, "");
            let told = helper::heard(&mut stranger);
            stranger.wait().unwrap();
            told
        });
        let told = tokio::time::timeout(Duration::from_secs(30), told).await.unwrap().unwrap();
        for method in OPEN {
            assert_eq!(told[method], true, "{method}: {told}");
        }
        for method in restricted() {
            assert_eq!(told[method], false, "{method} from another process: {told}");
        }
        for method in names(Page::Portal) {
            assert_eq!(told[format!("portal {method}")], false, "PortalCall {method} from another process: {told}");
        }
        // Its Initialize and its hooks counted for nothing either: the host's own connection goes on as before.
        host.ping().await;
        host.must_accept(&key, "afterwards").await;
        let blocked = crate::pre_auth::ask(&host, "openai", &[("Authorization", "Bearer junk")], LLM).await;
        assert_eq!(blocked.status_code, 401, "the stranger has switched pre-auth off");
        host.unload().await;
    });
}

#[test]
fn h17_hooks_that_are_not_served_let_the_operation_pass() {
    run(30, async {
        let host = TestHost::start(Setup::without_store().studio()).await;
        let answer = host.service().handle_object_hook(pb::ObjectHookRequest::default()).await.unwrap().into_inner();
        assert!(answer.allow_operation && !answer.modified);
        let request = pb::ValidateResourceSelectionRequest::default();
        assert!(host.service().validate_resource_selection(request).await.unwrap().into_inner().valid);
        host.unload().await;
    });
}
