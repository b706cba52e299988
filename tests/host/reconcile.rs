//! Studio's process keeps the store in step with Studio: on a schedule, at its events and hooks (host contract 4.7, 8.1). A
//! gateway's process on the same store refuses what Studio took away (claims V1, V2 and V5).

use std::time::{Duration, Instant};

use latchkey::pb::full::plugin as pb;
use serde_json::{Value, json};

use crate::support::fakes::FakeApp;
use crate::support::{
    APP, FOREIGN_LLM, Key, LLM, OTHER_APP, Setup, TENANT, TestHost, TestStore, USER, run, sleep_ms, until,
};

fn studio(store: &TestStore) -> Setup {
    Setup::on(store).studio().env("LATCHKEY_DIRECTORY__RECONCILE_SECONDS", "1")
}

/// A gateway that knows nothing but what the store says.
fn gateway(store: &TestStore) -> Setup {
    Setup::on(store).env("LATCHKEY_DIRECTORY__SOURCE", "store")
}

/// Waits until a request is answered like that; how long it took.
async fn answered(host: &TestHost, key: &Key, llm: u32, wanted: bool, limit: Duration, what: &str) -> Duration {
    let started = Instant::now();
    while host.passes(&key.text, llm).await != wanted {
        assert!(started.elapsed() < limit, "{what}: not within {limit:?}");
        sleep_ms(2).await;
    }
    started.elapsed()
}

fn shown(store: &TestStore, args: &[&str]) -> Value {
    let text = store.ok(&[args, &["--output", "json"]].concat());
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn app(store: &TestStore, id: u32) -> Value {
    shown(store, &["app", "show", "--tenant", TENANT, "--id", &id.to_string()])
}

/// In step: the host was listed from its beginning to its end after this was called.
async fn in_step(host: &TestHost) {
    let before = host.fakes.called("ListApps");
    until(Duration::from_secs(10), "two more listings", || host.fakes.called("ListApps") >= before + 4).await;
}

fn hook(hook: &str, kind: &str, object: &Value) -> pb::ObjectHookRequest {
    pb::ObjectHookRequest {
        hook_type: hook.to_owned(),
        object_type: kind.to_owned(),
        operation_id: "op".to_owned(),
        object_json: object.to_string(),
        ..pb::ObjectHookRequest::default()
    }
}

async fn tell(host: &TestHost, request: pb::ObjectHookRequest) -> Duration {
    let started = Instant::now();
    let answer = host.service().handle_object_hook(request).await.expect("no gRPC error").into_inner();
    assert!(answer.allow_operation && !answer.modified && answer.rejection_reason.is_empty(), "nothing is refused");
    started.elapsed()
}

#[test]
fn v5_grants_and_names_follow_studio_on_a_schedule() {
    run(120, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let edge = TestHost::start(gateway(&store)).await;
        assert!(edge.passes(&key.text, LLM).await && !edge.passes(&key.text, FOREIGN_LLM).await);
        let host = TestHost::start(studio(&store)).await;
        host.fakes.change(APP, |app| {
            app.llms = vec![FOREIGN_LLM];
            (app.name, app.tools, app.datasources) = ("Shop II".to_owned(), vec![8, 9], vec![4]);
        });
        let limit = Duration::from_secs(5);
        answered(&edge, &key, FOREIGN_LLM, true, limit, "the LLM that Studio granted").await;
        answered(&edge, &key, LLM, false, limit, "the LLM that Studio took away").await;
        let row = app(&store, APP);
        assert_eq!((row["name"].as_str(), row["owner_user_id"].as_u64()), (Some("Shop II"), Some(u64::from(USER))));
        assert_eq!((&row["tool_ids"], &row["datasource_ids"]), (&json!([8, 9]), &json!([4])));
        assert_eq!(row["owner_email"], "ops@acme.example", "what Studio does not say stays");
        let trail = store.ok(&["audit", "list", "--tenant", TENANT, "--output", "json"]);
        let told = trail.lines().filter(|line| line.contains("directory.reconciled")).count();
        assert!(told >= 1 && trail.contains("\"host\""), "{trail}");
        in_step(&host).await;
        let trail = store.ok(&["audit", "list", "--tenant", TENANT, "--output", "json"]);
        let after = trail.lines().filter(|line| line.contains("directory.reconciled")).count();
        assert_eq!(after, told, "what did not change is not written");
        host.unload().await;
        edge.unload().await;
    });
}

#[test]
fn v1_an_app_that_studio_deactivates_or_deletes_is_refused_everywhere_and_keeps_its_claim() {
    run(120, async {
        let store = TestStore::new();
        let (key, other) = (store.issue(APP, USER), store.issue(OTHER_APP, USER));
        let edge = TestHost::start(gateway(&store)).await;
        let host = TestHost::start(studio(&store)).await;
        in_step(&host).await;
        assert!(edge.passes(&key.text, LLM).await && edge.passes(&other.text, LLM).await);
        host.fakes.change(APP, |app| app.active = false);
        host.fakes.remove(OTHER_APP);
        let limit = Duration::from_secs(5);
        answered(&edge, &key, LLM, false, limit, "deactivated in Studio").await;
        answered(&edge, &other, LLM, false, limit, "deleted in Studio").await;
        assert_eq!(
            (app(&store, APP)["active"].as_bool(), app(&store, APP)["host_active"].as_bool()),
            (Some(true), Some(false))
        );
        let gone = app(&store, OTHER_APP);
        assert!(gone["host_gone_at"].is_string(), "its claim stays for a day: {gone}");
        // An admin cannot switch on what Studio switched off.
        store.set_app_active(APP, true);
        sleep_ms(300).await;
        edge.must_refuse(&key.text, LLM, "switched on by an admin, off in Studio").await;
        host.fakes.change(APP, |app| app.active = true);
        host.fakes.set(OTHER_APP, FakeApp::new("Back again"));
        answered(&edge, &key, LLM, true, limit, "active in Studio again").await;
        answered(&edge, &other, LLM, true, limit, "in Studio again").await;
        // And what an admin switched off stays off.
        store.set_app_active(APP, false);
        in_step(&host).await;
        edge.must_refuse(&key.text, LLM, "switched off by an admin").await;
        host.unload().await;
        edge.unload().await;
    });
}

#[test]
fn a_list_that_fails_takes_nothing_away() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let edge = TestHost::start(gateway(&store)).await;
        let host = TestHost::start(studio(&store)).await;
        in_step(&host).await;
        host.fakes.fail(tonic::Code::Internal, "no database");
        sleep_ms(2_500).await;
        edge.must_accept(&key, "while Studio's database is away").await;
        let logged = host.plugin.logs().entries();
        assert!(logged.iter().any(|entry| entry.message.contains("could not be brought in step")), "it is said");
        host.unload().await;
        edge.unload().await;
    });
}

#[test]
fn r3_unclaimed_apps_are_listed_and_only_a_rule_of_this_machine_claims_them() {
    run(120, async {
        let store = TestStore::new();
        let host = TestHost::launch(studio(&store)).await;
        host.fakes.set(30, FakeApp { namespace: "eu".to_owned(), ..FakeApp::new("European") });
        host.fakes.set(31, FakeApp { namespace: "us".to_owned(), ..FakeApp::new("American") });
        let mut host = host;
        host.begin().await;
        in_step(&host).await;
        let listed = store.ok(&["app", "list", "--unclaimed", "--output", "json"]);
        let ids: Vec<u64> = listed
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["app_id"].as_u64().unwrap())
            .collect();
        assert_eq!(ids, [20, 30, 31], "{listed}");
        assert!(listed.contains("European") && listed.contains("eu"));
        // Whoever may claim it does; then it is listed no more.
        let add = ["app", "add", "--tenant", TENANT, "--id", "31", "--name", "x"];
        store.ok(&add);
        in_step(&host).await;
        assert_eq!(app(&store, 31)["name"], "American", "and follows Studio from then on");
        assert!(!store.ok(&["app", "list", "--unclaimed", "--output", "json"]).contains("American"));
        host.unload().await;
        let host = TestHost::launch(studio(&store).env("LATCHKEY_DIRECTORY__NAMESPACES", "eu=acme,asia=nobody")).await;
        host.fakes.set(30, FakeApp { namespace: "eu".to_owned(), ..FakeApp::new("European") });
        let mut host = host;
        host.begin().await;
        in_step(&host).await;
        assert_eq!(app(&store, 30)["name"], "European");
        let unclaimed = store.ok(&["app", "list", "--unclaimed", "--output", "json"]);
        assert!(unclaimed.contains("Plant"), "claimed without a rule for its namespace: {unclaimed}");
        let key = store.issue(30, USER);
        assert!(host.passes(&key.text, LLM).await, "of the App that the rule claimed");
        let trail = store.ok(&["audit", "list", "--tenant", TENANT, "--output", "json"]);
        assert!(trail.lines().any(|line| line.contains("app.added") && line.contains("\"30\"")), "{trail}");
        host.unload().await;
    });
}

#[test]
fn more_apps_than_a_page_are_all_compared() {
    run(120, async {
        let store = TestStore::new();
        let host = TestHost::launch(studio(&store)).await;
        (1_000..1_450).for_each(|id| host.fakes.set(id, FakeApp::new("Many")));
        let mut host = host;
        host.begin().await;
        let count = || store.ok(&["app", "list", "--unclaimed", "--output", "json"]).lines().count();
        let started = Instant::now();
        while count() < 451 {
            assert!(started.elapsed() < Duration::from_secs(20), "{} of 451", count());
            sleep_ms(200).await;
        }
        host.fakes.remove(1_000);
        in_step(&host).await;
        in_step(&host).await;
        assert_eq!(count(), 450, "what is gone is not listed");
        host.unload().await;
    });
}

#[test]
fn r8_an_event_takes_effect_at_once_here_and_in_another_process() {
    run(120, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        // On no schedule: what happens, the events did.
        let host = TestHost::start(Setup::on(&store).studio().env("LATCHKEY_DIRECTORY__RECONCILE_SECONDS", "0")).await;
        let edge = TestHost::start(gateway(&store)).await;
        until(Duration::from_secs(5), "subscriptions", || host.fakes.bus.subscribers() == 4).await;
        sleep_ms(500).await;
        let secret = "Zk4PmV8rQeXw2LtYc6Bd";
        store.canaries.add("an App's secret in an event", secret);
        let (mut here, mut there) = (Vec::new(), Vec::new());
        for round in 0..10 {
            assert!(host.passes(&key.text, LLM).await);
            answered(&edge, &key, LLM, true, Duration::from_secs(2), "active").await;
            let active = round % 2 == 1;
            let event = |active: bool| {
                host.fakes.change(APP, |app| app.active = active);
                let payload = json!({ "object_type": "app", "action": "updated", "object_id": APP, "user_id": 1,
                    "object": { "credential": { "secret": secret } } });
                assert_eq!(host.fakes.bus.emit("system.app.updated", &payload), 1);
            };
            event(false);
            let (took, other) = tokio::join!(
                answered(&host, &key, LLM, false, Duration::from_secs(2), "in the process that was told"),
                answered(&edge, &key, LLM, false, Duration::from_secs(2), "in another process"),
            );
            here.push(took);
            there.push(other);
            let _ = active;
            event(true);
            answered(&host, &key, LLM, true, Duration::from_secs(2), "active again").await;
        }
        println!("event to refusal: here {here:?}, in another process {there:?}");
        host.fakes.remove(APP);
        host.fakes.bus.emit("system.app.deleted", &json!({ "object_id": APP, "object": null }));
        answered(&edge, &key, LLM, false, Duration::from_secs(2), "deleted").await;
        // Junk on the bus, which anybody can send, does nothing.
        for junk in [
            json!({ "object_id": 0 }),
            json!({ "object_id": -1 }),
            json!({}),
            json!("x"),
            json!({ "object_id": 4_000_000 }),
        ] {
            host.fakes.bus.emit("system.app.updated", &junk);
        }
        host.ping().await;
        host.unload().await;
        edge.unload().await;
    });
}

#[test]
fn a_bus_that_ends_is_listened_to_again_and_what_was_missed_is_found() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let host = TestHost::start(Setup::on(&store).studio().env("LATCHKEY_DIRECTORY__RECONCILE_SECONDS", "0")).await;
        let edge = TestHost::start(gateway(&store)).await;
        until(Duration::from_secs(5), "subscriptions", || host.fakes.bus.subscribers() == 4).await;
        edge.must_accept(&key, "before").await;
        host.fakes.bus.cut();
        host.fakes.change(APP, |app| app.active = false);
        until(Duration::from_secs(5), "subscriptions again", || host.fakes.bus.subscribers() == 4).await;
        answered(&edge, &key, LLM, false, Duration::from_secs(15), "what was told to nobody").await;
        host.unload().await;
        edge.unload().await;
    });
}

#[test]
fn v2_user_hooks_keep_users_and_refuse_those_who_are_gone() {
    run(120, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let host = TestHost::start(studio(&store)).await;
        let edge = TestHost::start(gateway(&store)).await;
        in_step(&host).await;
        let hash = "Rn7BxK2vTqHs9MwJd5Fz";
        store.canaries.add("a password hash in a hook", hash);
        let ann = |deleted: Value| {
            json!({ "id": USER, "email": "ann@new.example", "Name": "Ann\nNew", "password": hash, "APIKey": hash,
                "DeletedAt": deleted })
        };
        tell(&host, hook("after_update", "user", &ann(Value::Null))).await;
        let user = shown(&store, &["user", "show", "--tenant", TENANT, "--id", "9"]);
        assert_eq!((user["email"].as_str(), user["name"].as_str()), (Some("ann@new.example"), Some("Ann\u{fffd}New")));
        let (mut here, mut there) = (Vec::new(), Vec::new());
        for _ in 0..10 {
            answered(&host, &key, LLM, true, Duration::from_secs(2), "active").await;
            answered(&edge, &key, LLM, true, Duration::from_secs(2), "active").await;
            here.push(tell(&host, hook("after_delete", "user", &json!({ "id": USER }))).await);
            assert!(!host.passes(&key.text, LLM).await, "told and answered: refused here");
            there.push(answered(&edge, &key, LLM, false, Duration::from_secs(1), "in another process").await);
            tell(&host, hook("after_update", "user", &ann(Value::Null))).await;
            host.must_refuse(&key.text, LLM, "a word of before brings nobody back").await;
            tell(&host, hook("after_create", "user", &ann(Value::Null))).await;
        }
        println!("hook to refusal: here {here:?}, in another process after it {there:?}");
        tell(&host, hook("after_update", "user", &ann(json!("2026-01-01T00:00:00Z")))).await;
        assert!(!host.passes(&key.text, LLM).await, "soft-deleted");
        // Of a User whom no tenant has nothing is kept.
        let nobody = "Vy3GkT8nXe6PbQa1";
        store.canaries.add("a User of nobody", nobody);
        tell(&host, hook("after_create", "user", &json!({ "id": 4_000, "email": nobody, "Name": nobody }))).await;
        for junk in ["", "null", "[]", "{", r#"{"id":"9"}"#] {
            let request =
                pb::ObjectHookRequest { object_json: junk.to_owned(), ..hook("after_delete", "user", &Value::Null) };
            tell(&host, request).await;
        }
        host.unload().await;
        edge.unload().await;
        store.canaries.assert_absent_below(&store.data);
    });
}

#[test]
fn v5_an_llm_that_is_gone_is_granted_to_nobody() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let host = TestHost::start(Setup::on(&store).studio().env("LATCHKEY_DIRECTORY__RECONCILE_SECONDS", "0")).await;
        let edge = TestHost::start(gateway(&store)).await;
        assert!(edge.passes(&key.text, LLM).await && edge.passes(&key.text, 4).await);
        sleep_ms(1_500).await;
        tell(&host, hook("after_delete", "llm", &json!({ "ID": LLM }))).await;
        answered(&edge, &key, LLM, false, Duration::from_secs(1), "an LLM that is gone").await;
        assert!(edge.passes(&key.text, 4).await, "another one");
        host.unload().await;
        edge.unload().await;
    });
}

#[test]
fn r1_hooks_are_taken_from_studio_alone() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        // A gateway has no hooks: whatever it says is nobody's word.
        let host = TestHost::start(gateway(&store)).await;
        let registered = host.service().get_object_hook_registrations(pb::GetObjectHookRegistrationsRequest {}).await;
        assert!(registered.unwrap().into_inner().registrations.is_empty());
        tell(&host, hook("after_delete", "user", &json!({ "id": USER }))).await;
        host.must_accept(&key, "a gateway's hook did nothing").await;
        host.unload().await;
        let host = TestHost::start(studio(&store)).await;
        let registered = host.service().get_object_hook_registrations(pb::GetObjectHookRegistrationsRequest {}).await;
        for registration in registered.unwrap().into_inner().registrations {
            assert!(["user", "llm"].contains(&registration.object_type.as_str()));
            assert!((51..=100).contains(&registration.priority));
            assert!(registration.hook_types.iter().all(|hook| hook.starts_with("after_")), "never in Studio's way");
        }
        host.unload().await;
    });
}

#[test]
fn r11_a_user_who_is_gone_is_refused_here_while_the_store_cannot_be_written() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let host = TestHost::start(Setup::on(&store).studio().env("LATCHKEY_DIRECTORY__RECONCILE_SECONDS", "0")).await;
        host.must_accept(&key, "before").await;
        let lock = rusqlite::Connection::open(store.data.join("latchkey.db")).unwrap();
        lock.execute_batch("BEGIN IMMEDIATE").unwrap();
        let (mut service, request) = (host.service(), hook("after_delete", "user", &json!({ "id": USER })));
        let told = tokio::spawn(async move { service.handle_object_hook(request).await });
        answered(&host, &key, LLM, false, Duration::from_millis(500), "told, and not written yet").await;
        lock.execute_batch("ROLLBACK").unwrap();
        drop(lock);
        told.await.unwrap().unwrap();
        let started = Instant::now();
        loop {
            let user = shown(&store, &["user", "show", "--tenant", TENANT, "--id", "9"]);
            if user["host_gone_at"].is_string() {
                break;
            }
            assert!(started.elapsed() < Duration::from_secs(10), "never written: {user}");
            sleep_ms(100).await;
        }
        host.must_refuse(&key.text, LLM, "written").await;
        host.unload().await;
    });
}

#[test]
fn v5_the_checklist_says_when_the_grants_that_are_kept_are_not_studios() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let setup = Setup::on(&store).studio().env("LATCHKEY_DIRECTORY__RECONCILE_SECONDS", "0");
        let setup = setup.env("LATCHKEY_STUDIO__TENANTS", TENANT).env("LATCHKEY_DIRECTORY__TTL_SECONDS", "1");
        let host = TestHost::start(setup).await;
        let claim = async |id: &str| {
            let report = host.call("run_checklist", "{}").await.unwrap();
            let claims = report["report"]["claims"].as_array().unwrap().clone();
            claims.into_iter().find(|claim| claim["id"] == id).unwrap()
        };
        until(Duration::from_secs(5), "subscriptions", || host.fakes.bus.subscribers() == 4).await;
        // What Studio says at the start is taken over, once.
        until(Duration::from_secs(10), "a first comparison", || host.fakes.called("ListApps") >= 2).await;
        let started = Instant::now();
        while claim("V5").await["status"] != "pass" {
            assert!(started.elapsed() < Duration::from_secs(5), "{}", claim("V5").await);
            sleep_ms(200).await;
        }
        for change in [
            (|app: &mut FakeApp| app.tools = vec![77]) as fn(&mut FakeApp),
            |app| app.datasources = vec![78],
            |app| app.llms.push(FOREIGN_LLM),
        ] {
            // Nobody tells of it.
            host.fakes.change(APP, change);
            sleep_ms(1_200).await;
            host.passes(&key.text, LLM).await;
            let failed = claim("V5").await;
            assert_eq!(failed["status"], "fail", "{failed}");
            assert_eq!(failed["offenders"][0]["reason"], "grants_out_of_step", "{failed}");
            host.fakes.bus.emit("system.app.updated", &json!({ "object_id": APP }));
            let started = Instant::now();
            while claim("V5").await["status"] != "pass" {
                assert!(started.elapsed() < Duration::from_secs(5), "told of, and still {}", claim("V5").await);
                sleep_ms(100).await;
            }
        }
        host.unload().await;
    });
}

#[test]
fn r3_an_app_that_a_tenant_let_go_is_claimed_again_by_no_rule() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let host = TestHost::launch(studio(&store).env("LATCHKEY_DIRECTORY__NAMESPACES", "eu=acme")).await;
        host.fakes.change(APP, |app| app.namespace = "eu".to_owned());
        let mut host = host;
        host.begin().await;
        in_step(&host).await;
        assert!(host.passes(&key.text, LLM).await);
        store.ok(&["app", "remove", "--tenant", TENANT, "--id", "7"]);
        in_step(&host).await;
        in_step(&host).await;
        host.must_refuse(&key.text, LLM, "let go, and the rule still names its namespace").await;
        assert!(store.ok(&["app", "list", "--unclaimed", "--output", "json"]).contains("\"app_id\":7"));
        store.ok(&["app", "add", "--tenant", TENANT, "--id", "7", "--name", "Shop"]);
        answered(&host, &key, LLM, true, Duration::from_secs(5), "claimed by whoever may").await;
        host.unload().await;
    });
}

#[test]
fn r11_an_app_with_odd_texts_of_the_host_can_be_switched_off() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let host = TestHost::start(studio(&store)).await;
        host.fakes.change(APP, |app| {
            app.name = String::new();
            app.metadata = json!({ "note": "two\nlines", "long": "x".repeat(5_000) }).to_string();
        });
        in_step(&host).await;
        in_step(&host).await;
        assert_eq!(app(&store, APP)["metadata"]["note"], "two\nlines", "as Studio has it");
        store.set_app_active(APP, false);
        answered(&host, &key, LLM, false, Duration::from_secs(2), "switched off").await;
        host.unload().await;
    });
}
