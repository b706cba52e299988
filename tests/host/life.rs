//! A host's whole day in short, and starts from nothing usable (host contract 2, hazards H4, H8, H13).

use serde_json::json;

use latchkey::pb::full::config_provider as cp;

use crate::support::store::text;
use crate::support::{APP, LLM, Setup, TestHost, TestStore, USER, run, sleep_ms};

#[test]
fn a_life_under_each_host_in_each_mode() {
    run(120, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        for (auto_mtls, multiplex) in [(false, false), (true, false), (false, true), (true, true)] {
            for studio in [false, true] {
                let setup = Setup::on(&store).secured(auto_mtls, multiplex);
                let host = TestHost::start(if studio { setup.studio() } else { setup }).await;
                host.must_accept(&key, "first call").await;
                host.must_refuse("not a credential", LLM, "junk").await;
                host.plugin.ping().await.expect("go-plugin's own Ping");
                host.ping().await;
                sleep_ms(200).await;
                host.must_accept(&key, "later call").await;
                assert!(host.plugin.broker().is_open() && host.plugin.stdio().ended().is_none());
                host.unload().await;
            }
        }
    });
}

#[test]
fn the_answer_names_app_user_and_claims() {
    run(30, async {
        let store = TestStore::new();
        let key = store.issue_for("acme", APP, USER, &["--label", "ci", "--expires-in", "90d"]);
        let host = TestHost::start(Setup::on(&store)).await;
        let answer = host.auth(&key.text, LLM).await.unwrap();
        assert!(answer.authenticated, "{:?}", answer.error_message);
        let claim = |name: &str| answer.claims.get(name).cloned().unwrap_or_else(|| panic!("no claim {name}"));
        assert_eq!((claim("tenant"), claim("credential_id")), ("acme".to_owned(), key.id.clone()));
        assert_eq!((claim("credential_kind"), claim("environment")), ("api_key".to_owned(), "live".to_owned()));
        assert!(claim("expires_at").ends_with('Z') && answer.claims.contains_key("scopes"));
        for value in answer.claims.values() {
            store.canaries.assert_absent("a claim", value.as_bytes());
        }
        host.unload().await;
    });
}

#[test]
fn h4_with_nothing_usable_it_comes_up_at_once_healthy_and_denies_and_says_why() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let empty = tempfile::tempdir().unwrap();
        let cases = [
            ("nothing named", None),
            ("not there", Some("/nonexistent/latchkey")),
            ("relative", Some("latchkey-data")),
            ("not initialised", Some(text(empty.path()))),
            ("a file", Some(crate::support::BINARY)),
        ];
        for (case, data) in cases {
            let mut setup = Setup::without_store().studio();
            if let Some(data) = data {
                setup = setup.data(data);
            }
            let host = TestHost::start(setup).await;
            host.must_refuse(&key.text, LLM, case).await;
            host.must_refuse("", LLM, case).await;
            host.ping().await;
            let health = host.call("health", "{}").await.unwrap_or_else(|e| panic!("{case}: health: {e}"));
            assert_ne!(health["status"], "healthy", "{case}: {health}");
            let said = health.to_string();
            assert!(said.contains("data") && said.len() > 60, "{case}: health does not say what to do: {said}");
            let entries = host.plugin.logs().entries();
            assert!(
                entries.iter().any(|e| ["warn", "error"].contains(&e.level.as_str())),
                "{case}: the log says nothing"
            );
            host.unload().await;
        }
    });
}

#[test]
fn h13_settings_as_go_prints_them_and_unknown_ones_do_no_harm() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let odd = json!({
            "slug": "latchkey", "unknown_number": 1_000_000, "unknown_big": 21_600_000, "unknown_small": 0.5,
            "unknown_flag": true, "unknown_nothing": null, "unknown_list": ["a", 1], "unknown_object": {"x": 1e9},
            "number_as_text": "1e+06", "": "empty name", "dotted.name": "x", "data_dir": "/nonexistent/by-config",
        });
        for studio in [false, true] {
            let setup = Setup::on(&store).config(odd.clone());
            let host = TestHost::start(if studio { setup.studio() } else { setup }).await;
            assert_eq!(host.settings()["unknown_number"], "1e+06", "the host prints like Go");
            host.must_accept(&key, "with odd settings").await;
            host.unload().await;
        }
    });
}

#[test]
fn config_only_loads_answer_without_initialize_and_end() {
    run(30, async {
        let host = TestHost::launch(Setup::without_store()).await;
        let mut service = host.plugin.config_provider();
        let pong = service.ping(cp::ConfigPingRequest { timestamp: 7 }).await.unwrap().into_inner();
        assert!(pong.healthy && pong.timestamp == 7);
        let schema = service.get_config_schema(cp::ConfigSchemaRequest {}).await.unwrap().into_inner();
        let parsed: serde_json::Value = serde_json::from_str(&schema.schema_json).unwrap();
        assert!(schema.success && parsed["type"] == "object");
        let manifest = service.get_manifest(cp::GetManifestRequest {}).await.unwrap().into_inner();
        let parsed: serde_json::Value = serde_json::from_str(&manifest.manifest_json).unwrap();
        assert!(parsed["capabilities"]["hooks"].as_array().is_some_and(|hooks| hooks.contains(&"auth".into())));
        let full = host.service().get_manifest(latchkey::pb::full::plugin::GetManifestRequest {}).await.unwrap();
        assert_eq!(full.into_inner().manifest_json, manifest.manifest_json, "one manifest from both services");
        host.kill().await;
    });
}

#[test]
fn kill_before_any_call_and_before_initialize() {
    run(30, async {
        TestHost::launch(Setup::without_store()).await.kill().await;
        let host = TestHost::launch(Setup::without_store()).await;
        host.ping().await;
        host.must_refuse("anything", LLM, "before Initialize").await;
        host.kill().await;
    });
}

#[test]
fn h15_reload_overlap_the_new_process_answers_beside_the_old_one() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let mut old = TestHost::start(Setup::on(&store)).await;
        for round in 0..3 {
            old.must_accept(&key, "the old one").await;
            let new = TestHost::start(Setup::on(&store)).await;
            assert_ne!(new.socket(), old.socket());
            for _ in 0..5 {
                old.must_accept(&key, &format!("the old one, round {round}")).await;
                new.must_accept(&key, &format!("the new one, round {round}")).await;
            }
            old.unload().await;
            new.must_accept(&key, "the new one alone").await;
            old = new;
        }
        old.unload().await;
    });
}

#[test]
fn h8_initialize_returns_at_once_though_the_store_cannot_be_opened_and_it_recovers() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let held = rusqlite::Connection::open(store.data.join("latchkey.db")).unwrap();
        held.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").unwrap();
        let host = TestHost::start(Setup::on(&store)).await;
        assert!(host.initialize_took.as_millis() < 500, "Initialize took {:?}", host.initialize_took);
        host.ping().await;
        host.must_refuse(&key.text, LLM, "while the store is locked").await;
        drop(held);
        recovers(&host, &key).await;
        host.unload().await;
    });
}

#[test]
fn h4_what_is_mended_works_without_a_restart() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let (pepper, away) = (store.data.join("pepper"), store.data.join("away"));
        std::fs::rename(&pepper, &away).unwrap();
        let host = TestHost::start(Setup::on(&store)).await;
        host.must_refuse(&key.text, LLM, "without the pepper").await;
        std::fs::rename(&away, &pepper).unwrap();
        recovers(&host, &key).await;
        host.unload().await;
    });
}

/// Accepts the key within ten seconds.
async fn recovers(host: &TestHost, key: &crate::support::Key) {
    for _ in 0..100 {
        if host.passes(&key.text, LLM).await {
            return;
        }
        sleep_ms(100).await;
    }
    panic!("it does not recover");
}

#[test]
fn h4_settings_of_the_machine_that_cannot_be_read_deny_and_say_so() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        for (name, value) in [("LATCHKEY_CONFIG", "/nowhere/latchkey.toml"), ("LATCHKEY_AUTH__DEADLIN_MS", "1")] {
            let host = TestHost::start(Setup::on(&store).studio().env(name, value)).await;
            host.must_refuse(&key.text, LLM, name).await;
            let health = host.call("health", "{}").await.unwrap();
            assert_eq!(health["problems"][0]["code"], "configuration", "{health}");
            assert!(health.to_string().contains(if name == "LATCHKEY_CONFIG" { value } else { name }), "{health}");
            host.unload().await;
        }
    });
}

#[test]
fn a_second_initialize_with_other_settings_takes_their_place() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let host = TestHost::start(Setup::on(&store)).await;
        host.must_accept(&key, "as first configured").await;
        for on in ["false", "true", "false", "true", "false"] {
            let config = [("_plugin_id".to_owned(), "1".to_owned()), ("auth_pre_auth".to_owned(), on.to_owned())];
            let request = latchkey::pb::full::plugin::InitRequest { config: config.into() };
            assert!(host.service().initialize(request).await.unwrap().into_inner().success);
        }
        host.must_accept(&key, "as configured last").await;
        sleep_ms(300).await;
        let answer = crate::pre_auth::ask(&host, "openai", &[("Authorization", "Bearer junk")], LLM).await;
        assert!(!answer.block, "an older configuration has won");
        host.unload().await;
    });
}
