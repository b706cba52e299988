//! Apps as the host has them, over its Service API: through the broker of the process that the host started (host contract
//! 4, claims V1 and V3).

use std::time::{Duration, Instant};

use latchkey::pb::full::plugin as pb;
use tonic::Code;

use crate::support::fakes::FakeApp;
use crate::support::{APP, Key, LLM, OTHER_APP, Setup, TestHost, TestStore, USER, context, run, sleep_ms};

/// Fast enough for a test; the promise is the same.
fn quick(setup: Setup) -> Setup {
    setup.env("LATCHKEY_DIRECTORY__TTL_SECONDS", "1")
}

fn lenient(setup: Setup) -> Setup {
    quick(setup).env("LATCHKEY_DIRECTORY__MAX_STALE_SECONDS", "3")
}

async fn app_of(host: &TestHost, key: &Key) -> Option<pb::App> {
    let request = pb::GetAppRequest { credential: key.text.clone(), context: Some(context(LLM)) };
    let answer = host.service().get_app_by_credential(request).await.expect("no gRPC error").into_inner();
    assert_eq!(answer.success, answer.app.is_some());
    answer.app
}

async fn refused_within(host: &TestHost, key: &Key, limit: Duration, what: &str) {
    let started = Instant::now();
    while host.passes(&key.text, LLM).await {
        assert!(started.elapsed() < limit, "{what}: still accepted after {limit:?}");
        sleep_ms(10).await;
    }
}

#[test]
fn v3_the_app_is_the_hosts_own_with_every_field_that_its_service_api_has() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        for (auto_mtls, multiplex) in [(false, false), (true, false), (true, true)] {
            let host = TestHost::start(Setup::on(&store).secured(auto_mtls, multiplex)).await;
            host.fakes.change(APP, |app| app.metadata = r#"{"tier":"gold","limits":{"day":5}}"#.to_owned());
            let app = app_of(&host, &key).await.expect("the App");
            assert_eq!((app.id, app.name.as_str(), app.is_active), (APP, "Shop", true));
            assert_eq!(
                (app.description.as_str(), app.owner_email.as_str()),
                ("as the gateway has it", "ops@acme.example")
            );
            assert_eq!((app.monthly_budget, app.rate_limit), (12.5, 60));
            let expected = [
                ("tier", "gold"),
                ("limits", r#"{"day":5}"#),
                ("host.allowed_ips", "10.0.0.0/8"),
                ("host.budget_reset_day", "1"),
                ("host.created_at", "2023-11-14T22:13:20Z"),
                ("host.updated_at", "2023-11-14T22:13:21Z"),
            ];
            assert_eq!(app.metadata, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
            assert_eq!(host.fakes.called("GetApp"), 1);
            host.unload().await;
        }
        let host = TestHost::start(Setup::on(&store).studio()).await;
        host.fakes.change(APP, |app| (app.tools, app.datasources, app.namespace) = (vec![1, 2], vec![5], "eu".into()));
        let app = app_of(&host, &key).await.expect("the App");
        assert_eq!((app.name.as_str(), app.description.as_str()), ("Shop", "as Studio has it"));
        assert_eq!(app.owner_email, "ops@acme.example", "the store's, for Studio does not say");
        for (name, value) in [("host.tool_ids", "1,2"), ("host.datasource_ids", "5"), ("host.namespace", "eu")] {
            assert_eq!(app.metadata.get(name).map(String::as_str), Some(value), "{name}");
        }
        host.unload().await;
    });
}

#[test]
fn v3_a_thousand_first_requests_of_one_app_are_one_call() {
    run(120, async {
        let store = TestStore::new();
        let keys: Vec<_> = (0..20).map(|_| store.issue(APP, USER)).collect();
        let host = TestHost::start(Setup::on(&store).quiet()).await;
        host.fakes.delay(Duration::from_millis(200));
        let asked = (0..1_000).map(|n| host.passes(&keys[n % keys.len()].text, LLM));
        assert!(futures::future::join_all(asked).await.into_iter().all(|passed| passed));
        assert_eq!(host.fakes.called("GetApp"), 1);
        sleep_ms(300).await;
        host.must_accept(&keys[0], "within the time that it is kept").await;
        assert_eq!(host.fakes.called("GetApp"), 1);
        host.unload().await;
    });
}

#[test]
fn v1_an_app_that_the_host_deactivates_or_deletes_is_refused_within_the_ttl_and_comes_back() {
    run(120, async {
        let store = TestStore::new();
        let (key, other) = (store.issue(APP, USER), store.issue(OTHER_APP, USER));
        for studio in [false, true] {
            let setup = quick(Setup::on(&store));
            let host = TestHost::start(if studio { setup.studio() } else { setup }).await;
            assert!(host.passes(&key.text, LLM).await && host.passes(&other.text, LLM).await);
            host.fakes.change(APP, |app| app.active = false);
            host.fakes.remove(OTHER_APP);
            let limit = Duration::from_millis(1_500);
            refused_within(&host, &key, limit, "an App that the host deactivated").await;
            refused_within(&host, &other, limit, "an App that the host deleted").await;
            assert!(app_of(&host, &key).await.is_none() && app_of(&host, &other).await.is_none());
            let calls = host.fakes.called("GetApp");
            for _ in 0..50 {
                host.must_refuse(&other.text, LLM, "again").await;
            }
            assert!(host.fakes.called("GetApp") <= calls + 2, "what is not there is not asked for by everybody");
            host.fakes.change(APP, |app| app.active = true);
            host.fakes.set(OTHER_APP, FakeApp::new("Back again"));
            for key in [&key, &other] {
                let started = Instant::now();
                while !host.passes(&key.text, LLM).await {
                    assert!(started.elapsed() < Duration::from_secs(6), "still refused");
                    sleep_ms(20).await;
                }
            }
            host.unload().await;
        }
    });
}

#[test]
fn v3_an_outage_is_survived_as_long_as_is_configured_and_no_longer() {
    run(120, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let host = TestHost::start(lenient(Setup::on(&store))).await;
        host.must_accept(&key, "before the outage").await;
        let down = Instant::now();
        host.fakes.fail(Code::Unavailable, "no database");
        while down.elapsed() < Duration::from_millis(2_700) {
            assert!(host.passes(&key.text, LLM).await, "refused {:?} into the outage", down.elapsed());
            sleep_ms(50).await;
        }
        let answer = host.auth(&key.text, LLM).await.unwrap();
        assert_eq!(answer.claims.get("stale").map(String::as_str), Some("true"), "marked");
        sleep_ms(1_500).await;
        let text = host.must_refuse(&key.text, LLM, "after the bound").await;
        assert!(!text.contains("database"), "the host's words are not for clients: {text}");
        let health = host.call("health", "{}").await.unwrap();
        assert!(health["status"] == "degraded" && health.to_string().contains("service_api"), "{health}");
        host.fakes.mend();
        let started = Instant::now();
        while !host.passes(&key.text, LLM).await {
            assert!(started.elapsed() < Duration::from_secs(3), "still refused");
            sleep_ms(20).await;
        }
        let answer = host.auth(&key.text, LLM).await.unwrap();
        assert!(!answer.claims.contains_key("stale"));
        assert_eq!(host.call("health", "{}").await.unwrap()["status"], "healthy");
        host.unload().await;
    });
}

#[test]
fn v3_without_that_an_outage_refuses_when_what_is_known_is_too_old() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let host = TestHost::start(quick(Setup::on(&store))).await;
        host.must_accept(&key, "before the outage").await;
        host.fakes.fail(Code::Internal, "failed to get app: connection refused");
        refused_within(&host, &key, Duration::from_millis(1_300), "an App that the host cannot tell about").await;
        host.unload().await;
    });
}

#[test]
fn a_host_that_forbids_the_call_is_refused_with_the_remedy_in_health() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let host = TestHost::launch(Setup::on(&store)).await;
        host.fakes.fail(Code::PermissionDenied, "missing scope");
        let mut host = host;
        host.begin().await;
        host.must_refuse(&key.text, LLM, "the Service API is forbidden").await;
        let health = host.call("health", "{}").await.unwrap().to_string();
        assert!(health.contains("apps.read") && health.contains("directory.source"), "{health}");
        host.unload().await;
        let host = TestHost::launch(Setup::on(&store).env("LATCHKEY_DIRECTORY__SOURCE", "store")).await;
        host.fakes.fail(Code::PermissionDenied, "missing scope");
        let mut host = host;
        host.begin().await;
        host.must_accept(&key, "from the store alone, as this machine says").await;
        assert_eq!(host.fakes.called("GetApp"), 0);
        host.unload().await;
    });
}

#[test]
fn a_slow_service_api_never_makes_a_known_app_slow() {
    run(120, async {
        let store = TestStore::new();
        let (key, cold) = (store.issue(APP, USER), store.issue(OTHER_APP, USER));
        let setup = Setup::on(&store).quiet().env("LATCHKEY_DIRECTORY__TTL_SECONDS", "6");
        let host = TestHost::start(setup.env("LATCHKEY_DIRECTORY__MAX_STALE_SECONDS", "30")).await;
        host.must_accept(&key, "at first").await;
        host.fakes.delay(Duration::from_secs(5));
        let (started, mut slowest, mut calls) = (Instant::now(), Duration::ZERO, 0_u32);
        while started.elapsed() < Duration::from_secs(14) {
            let asked = Instant::now();
            assert!(host.passes(&key.text, LLM).await, "{:?} into it", started.elapsed());
            slowest = slowest.max(asked.elapsed());
            calls += 1;
            sleep_ms(5).await;
        }
        assert!(slowest < Duration::from_millis(500), "{slowest:?} of {calls} calls");
        // One that is not known waits for its own deadline, and no longer.
        let asked = Instant::now();
        host.must_refuse(&cold.text, LLM, "an App that is not known yet").await;
        assert!(asked.elapsed() < Duration::from_millis(2_500), "{:?}", asked.elapsed());
        sleep_ms(4_000).await;
        assert!(host.passes(&cold.text, LLM).await, "what was asked for came meanwhile, for the next");
        host.unload().await;
    });
}

#[test]
fn a_new_generation_of_the_service_api_is_found() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let mut host = TestHost::start(quick(Setup::on(&store).without_session())).await;
        host.must_accept(&key, "the first generation").await;
        // The host serves it anew under another id, which the next session names; the old one answers no more.
        let old = host.broker_id;
        host.fakes.fail(Code::Unavailable, "gone");
        let fresh = crate::support::fakes::Fakes::new(host.setup.kind, host.plugin_id);
        host.fakes = fresh;
        host.serve_broker().await;
        assert_ne!(old, host.broker_id);
        let request = pb::OpenSessionRequest {
            service_broker_id: host.broker_id,
            plugin_id: host.plugin_id,
            timeout_ms: 30_000,
            ..pb::OpenSessionRequest::default()
        };
        let mut service = host.service();
        let session = tokio::spawn(async move { service.open_session(request).await });
        let started = Instant::now();
        while host.fakes.called("GetApp") == 0 {
            assert!(started.elapsed() < Duration::from_secs(5), "the new generation is not asked");
            host.passes(&key.text, LLM).await;
            sleep_ms(20).await;
        }
        host.must_accept(&key, "the second generation").await;
        session.abort();
        host.kill().await;
    });
}

#[test]
fn a_host_without_a_service_api_has_the_stores_own_directory() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        // No management server: Initialize names no broker id (host contract 2.1).
        let host = TestHost::launch(Setup::on(&store)).await;
        let mut service = host.service();
        let request = pb::InitRequest { config: [("_plugin_id".to_owned(), "5".to_owned())].into() };
        assert!(service.initialize(request).await.unwrap().into_inner().success);
        host.must_accept(&key, "from the store").await;
        assert_eq!(app_of(&host, &key).await.unwrap().description, "");
        host.kill().await;
    });
}

#[test]
fn r3_an_app_of_another_tenant_or_of_nobody_is_not_even_asked_for() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(OTHER_APP, USER);
        store.ok(&["app", "remove", "--tenant", "acme", "--id", "8"]);
        let host = TestHost::start(Setup::on(&store)).await;
        host.must_refuse(&key.text, LLM, "the host knows it, no tenant has it").await;
        assert_eq!(host.fakes.called("GetApp"), 0);
        host.unload().await;
    });
}
