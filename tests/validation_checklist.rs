//! The validation checklist that the plugin is built from, executed through the real binary under both hosts. Each claim has
//! its negative controls, and each control its proof that the same credential passes without it. More of V1 and V3 over the
//! Service API is in `tests/host/directory.rs`; the same through go-plugin itself in `tests/host-go/cases_directory.go`.
#![allow(
    missing_docs,
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed test is a panic"
)]

mod support;

use latchkey::pb::full::plugin as pb;
use support::{
    APP, APP_WITHOUT_LIST, FOREIGN_LLM, Key, LLM, OTHER_APP, OTHER_USER, Setup, TENANT, TestHost, TestStore, USER,
    context, run, sleep_ms,
};

/// Other processes follow within 100 ms (rule R8); a busy machine gets some more.
const FOLLOWS_MS: u64 = 250;

async fn app_of(host: &TestHost, key: &Key, llm: u32) -> pb::GetAppResponse {
    let request = pb::GetAppRequest { credential: key.text.clone(), context: Some(context(llm)) };
    host.service().get_app_by_credential(request).await.expect("no gRPC error").into_inner()
}

async fn user_of(host: &TestHost, key: &Key, llm: u32) -> pb::GetUserResponse {
    let request = pb::GetUserRequest { credential: key.text.clone(), context: Some(context(llm)) };
    host.service().get_user_by_credential(request).await.expect("no gRPC error").into_inner()
}

/// Refused by all three calls, and no object comes with any.
async fn refused(host: &TestHost, key: &Key, what: &str) {
    sleep_ms(FOLLOWS_MS).await;
    host.must_refuse(&key.text, LLM, what).await;
    let (app, user) = (app_of(host, key, LLM).await, user_of(host, key, LLM).await);
    assert!(!app.success && app.app.is_none() && !app.error_message.is_empty(), "{what}: GetAppByCredential");
    assert!(!user.success && user.user.is_none() && !user.error_message.is_empty(), "{what}: GetUserByCredential");
}

/// Accepted by all three calls.
async fn accepted(host: &TestHost, key: &Key, what: &str) {
    sleep_ms(FOLLOWS_MS).await;
    assert!(host.passes(&key.text, LLM).await, "{what}: refused");
    assert!(app_of(host, key, LLM).await.success && user_of(host, key, LLM).await.success, "{what}");
}

/// A second tenant with an App and a User of its own.
fn second_tenant(store: &TestStore) {
    store.ok(&["tenant", "create", "globex", "--name", "Globex"]);
    store.ok(&[
        "app",
        "add",
        "--tenant",
        "globex",
        "--id",
        "20",
        "--name",
        "Plant",
        "--owner-email",
        "x@globex.example",
        "--llm",
        "3",
    ]);
    store.ok(&["user", "add", "--tenant", "globex", "--id", "30", "--email", "hank@globex.example", "--name", "Hank"]);
}

#[test]
fn v1_an_accepted_credential_names_an_app_that_exists_in_the_database() {
    run(120, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let host = TestHost::start(Setup::on(&store)).await;
        let answer = host.auth(&key.text, LLM).await.unwrap();
        support::host::well_formed(&answer);
        assert_eq!((answer.authenticated, answer.app_id.as_str()), (true, "7"));
        let shown = store.ok(&["app", "show", "--tenant", TENANT, "--id", &answer.app_id, "--output", "json"]);
        assert!(shown.contains("Shop"), "the App is in the database: {shown}");
        let app = app_of(&host, &key, LLM).await.app.expect("the App");
        assert_eq!((app.id, app.name.as_str(), app.is_active), (APP, "Shop", true));
        assert_eq!(app.owner_email, "ops@acme.example");
        host.unload().await;
    });
}

#[test]
fn v1_an_app_that_is_inactive_is_refused() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(OTHER_APP, USER);
        let host = TestHost::start(Setup::on(&store)).await;
        accepted(&host, &key, "while the App is active").await;
        store.set_app_active(OTHER_APP, false);
        refused(&host, &key, "an inactive App").await;
        store.set_app_active(OTHER_APP, true);
        accepted(&host, &key, "when it is active again").await;
        host.unload().await;
    });
}

#[test]
fn v1_an_app_removed_a_moment_ago_is_refused() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(OTHER_APP, USER);
        let host = TestHost::start(Setup::on(&store)).await;
        accepted(&host, &key, "while the App exists").await;
        store.ok(&["app", "remove", "--tenant", TENANT, "--id", "8"]);
        refused(&host, &key, "a removed App").await;
        let fresh = TestHost::start(Setup::on(&store)).await;
        refused(&fresh, &key, "a removed App, in a process that never knew it").await;
        fresh.unload().await;
        host.unload().await;
    });
}

#[test]
fn v1_an_app_that_became_another_tenants_is_refused() {
    run(60, async {
        let store = TestStore::new();
        second_tenant(&store);
        let key = store.issue(OTHER_APP, USER);
        let host = TestHost::start(Setup::on(&store)).await;
        accepted(&host, &key, "while the App is the tenant's").await;
        store.ok(&["app", "remove", "--tenant", TENANT, "--id", "8"]);
        let add = [
            "app",
            "add",
            "--tenant",
            "globex",
            "--id",
            "8",
            "--name",
            "Moved",
            "--owner-email",
            "x@globex.example",
            "--llm",
            "3",
        ];
        store.ok(&add);
        refused(&host, &key, "another tenant's App").await;
        host.unload().await;
    });
}

#[test]
fn v1_no_credential_is_issued_for_an_app_that_is_unknown_foreign_or_0() {
    run(60, async {
        let store = TestStore::new();
        second_tenant(&store);
        let issue = |app: &str, user: &str| {
            store.run(&["key", "issue", "--tenant", TENANT, "--app", app, "--user", user, "--output", "json"])
        };
        assert!(issue("7", "9").status.success(), "the control: its own App and User");
        for (app, why) in [
            ("999", "unknown"),
            ("20", "another tenant's"),
            ("0", "zero"),
            ("4294967296", "too great"),
            ("-1", "negative"),
            ("", "empty"),
        ] {
            let output = issue(app, "9");
            assert!(!output.status.success() && output.stdout.is_empty(), "issued for an App that is {why}");
        }
        // The two kinds of "not yours" read alike (rule R3).
        let said = |app: &str| String::from_utf8(issue(app, "9").stderr).unwrap().replace(app, "N");
        assert_eq!(said("999"), said("20"), "another tenant's App can be told from an unknown one");
        assert!(!store.run(&["app", "add", "--tenant", TENANT, "--id", "0", "--name", "Zero"]).status.success());
    });
}

#[test]
fn v2_an_accepted_credential_names_a_user_that_exists_in_the_database() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let host = TestHost::start(Setup::on(&store)).await;
        let answer = host.auth(&key.text, LLM).await.unwrap();
        support::host::well_formed(&answer);
        assert_eq!((answer.authenticated, answer.user_id.as_str()), (true, "9"));
        let shown = store.ok(&["user", "show", "--tenant", TENANT, "--id", &answer.user_id, "--output", "json"]);
        assert!(shown.contains("ann@acme.example"), "the User is in the database: {shown}");
        let user = user_of(&host, &key, LLM).await.user.expect("the User");
        assert_eq!((user.id, user.email.as_str(), user.name.as_str()), (USER, "ann@acme.example", "Ann"));
        assert!(user.is_active);
        host.unload().await;
    });
}

#[test]
fn v2_a_user_that_is_inactive_is_refused() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, OTHER_USER);
        let host = TestHost::start(Setup::on(&store)).await;
        accepted(&host, &key, "while the User is active").await;
        store.set_user_active(OTHER_USER, false);
        refused(&host, &key, "an inactive User").await;
        store.set_user_active(OTHER_USER, true);
        accepted(&host, &key, "when they are active again").await;
        host.unload().await;
    });
}

#[test]
fn v2_a_user_removed_a_moment_ago_or_moved_to_another_tenant_is_refused() {
    run(60, async {
        let store = TestStore::new();
        second_tenant(&store);
        let key = store.issue(APP, OTHER_USER);
        let host = TestHost::start(Setup::on(&store)).await;
        accepted(&host, &key, "while the User exists").await;
        store.ok(&["user", "remove", "--tenant", TENANT, "--id", "10"]);
        refused(&host, &key, "a removed User").await;
        store.ok(&[
            "user",
            "add",
            "--tenant",
            "globex",
            "--id",
            "10",
            "--email",
            "bob@globex.example",
            "--name",
            "Bob",
        ]);
        refused(&host, &key, "another tenant's User").await;
        host.unload().await;
    });
}

#[test]
fn v2_no_credential_is_issued_for_a_user_that_is_unknown_foreign_or_0() {
    run(60, async {
        let store = TestStore::new();
        second_tenant(&store);
        for user in ["999", "30", "0", "-1", ""] {
            let output =
                store.run(&["key", "issue", "--tenant", TENANT, "--app", "7", "--user", user, "--output", "json"]);
            assert!(!output.status.success() && output.stdout.is_empty(), "issued for the User {user:?}");
        }
    });
}

#[test]
fn v5_an_app_may_use_the_llms_of_its_list_and_no_other_by_id_or_by_slug() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let host = TestHost::start(Setup::on(&store)).await;
        for llm in [3, 4] {
            assert!(host.passes(&key.text, llm).await, "granted LLM {llm}");
        }
        for llm in [FOREIGN_LLM, 1, 2, u32::MAX] {
            host.must_refuse(&key.text, llm, "an LLM outside the list, by id").await;
        }
        // By slug alone, of an LLM that no grant names.
        let mut by_slug = support::auth_request(&key.text, FOREIGN_LLM, Vec::new());
        for context in [by_slug.context.as_mut().unwrap(), by_slug.request.as_mut().unwrap().context.as_mut().unwrap()]
        {
            context.llm_id = 0;
        }
        let answer = host.service().authenticate(by_slug).await.unwrap().into_inner();
        assert!(!answer.authenticated, "an LLM outside the list, by slug");
        host.must_refuse(&key.text, 0, "no LLM named").await;
        assert!(host.passes(&key.text, LLM).await, "the granted one, after all that");
        host.unload().await;
    });
}

#[test]
fn v5_an_app_without_any_list_is_refused_by_default() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP_WITHOUT_LIST, USER);
        let host = TestHost::start(Setup::on(&store)).await;
        for llm in [3, 4, FOREIGN_LLM] {
            host.must_refuse(&key.text, llm, "an App without a list").await;
        }
        store.ok(&["app", "set", "--tenant", TENANT, "--id", "12", "--llm", "3"]);
        sleep_ms(FOLLOWS_MS).await;
        assert!(host.passes(&key.text, 3).await, "the control: with a list that names it");
        host.must_refuse(&key.text, 4, "an LLM that the new list does not name").await;
        host.unload().await;
    });
}

#[test]
fn v5_a_grant_taken_away_is_refused_at_once() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let host = TestHost::start(Setup::on(&store)).await;
        assert!(host.passes(&key.text, 4).await);
        store.ok(&["app", "set", "--tenant", TENANT, "--id", "7", "--llm", "3"]);
        sleep_ms(FOLLOWS_MS).await;
        host.must_refuse(&key.text, 4, "a grant taken away").await;
        assert!(host.passes(&key.text, 3).await, "the other grant stands");
        host.unload().await;
    });
}

#[test]
fn h1_no_answer_has_an_app_id_that_the_host_would_turn_into_app_1() {
    run(60, async {
        let store = TestStore::new();
        store.ok(&[
            "app",
            "add",
            "--tenant",
            TENANT,
            "--id",
            "4294967295",
            "--name",
            "Last",
            "--owner-email",
            "ops@acme.example",
            "--llm",
            "3",
        ]);
        let greatest = store.issue(u32::MAX, USER);
        let key = store.issue(APP, USER);
        let host = TestHost::start(Setup::on(&store)).await;
        host.fakes.set(u32::MAX, support::fakes::FakeApp::new("Last"));
        let answer = host.auth(&greatest.text, LLM).await.unwrap();
        assert!(answer.authenticated, "{}", answer.error_message);
        assert_eq!(answer.app_id, "4294967295");
        for credential in [key.text.as_str(), "", "0", "1", "junk", &key.id] {
            for llm in [LLM, FOREIGN_LLM, 0] {
                // Panics unless an acceptance has plain decimals from 1, and a refusal nothing.
                host.passes(credential, llm).await;
            }
        }
        host.unload().await;
    });
}

#[test]
fn h7_app_activity_and_llm_grant_are_judged_here_on_every_request() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(OTHER_APP, USER);
        let host = TestHost::start(Setup::on(&store)).await;
        assert!(host.passes(&key.text, LLM).await, "cached from here on");
        host.must_refuse(&key.text, 4, "another App's LLM, from the cache").await;
        assert!(host.passes(&key.text, LLM).await);
        store.set_app_active(OTHER_APP, false);
        sleep_ms(FOLLOWS_MS).await;
        host.must_refuse(&key.text, LLM, "an inactive App, from the cache").await;
        host.unload().await;
    });
}

/// Under each host.
fn hosts(store: &TestStore) -> [Setup; 2] {
    [Setup::on(store).quiet(), Setup::on(store).quiet().studio()]
        .map(|setup| setup.env("LATCHKEY_DIRECTORY__TTL_SECONDS", "1"))
}

/// Studio's plugin has compared everything at its start: nothing of that is under way.
async fn in_step(host: &TestHost) {
    if host.setup.kind == support::Kind::Studio {
        let listed = || host.fakes.called("ListApps") >= 2;
        support::until(std::time::Duration::from_secs(5), "the first comparison", listed).await;
        sleep_ms(1_500).await;
    }
}

#[test]
fn v1_an_app_that_the_host_does_not_know_is_refused_whatever_the_store_says() {
    run(60, async {
        for which in 0..2 {
            // Each with a store of its own: Studio's plugin writes down what Studio says.
            let store = TestStore::new();
            let key = store.issue(OTHER_APP, USER);
            let [gateway, studio] = hosts(&store);
            let host = TestHost::launch(if which == 0 { gateway } else { studio }).await;
            host.fakes.remove(OTHER_APP);
            let mut host = host;
            host.begin().await;
            refused(&host, &key, "an App that the host does not have").await;
            assert!(host.fakes.called("GetApp") >= 1, "it was asked");
            host.fakes.set(OTHER_APP, support::fakes::FakeApp::new("Back office"));
            sleep_ms(1_500).await;
            accepted(&host, &key, "once the host has it").await;
            host.unload().await;
        }
    });
}

#[test]
fn v3_the_app_object_is_fetched_once_for_all_who_ask_and_again_after_its_time() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        for setup in hosts(&store) {
            let host = TestHost::start(setup).await;
            in_step(&host).await;
            let before = host.fakes.called("GetApp");
            let calls = || host.fakes.called("GetApp") - before;
            host.fakes.delay(std::time::Duration::from_millis(50));
            let asked = (0..64).map(|_| app_of(&host, &key, LLM));
            let apps = futures::future::join_all(asked).await;
            assert!(
                apps.iter().all(|answer| answer.app.as_ref().is_some_and(|app| app.description.contains("has it")))
            );
            assert_eq!(calls(), 1, "one fetch for all");
            assert!(app_of(&host, &key, LLM).await.success);
            assert_eq!(calls(), 1, "none within its time");
            sleep_ms(1_100).await;
            host.fakes.change(APP, |app| app.name = "Renamed".to_owned());
            assert_eq!(app_of(&host, &key, LLM).await.app.unwrap().name, "Renamed");
            assert_eq!(calls(), 2, "one after it");
            host.unload().await;
        }
    });
}

#[test]
fn v3_with_the_host_down_it_is_stale_within_the_bound_and_refused_after_it() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        for setup in hosts(&store) {
            let host = TestHost::start(setup.env("LATCHKEY_DIRECTORY__MAX_STALE_SECONDS", "2")).await;
            assert!(app_of(&host, &key, LLM).await.success);
            host.fakes.fail(tonic::Code::Unavailable, "down");
            sleep_ms(1_300).await;
            assert!(app_of(&host, &key, LLM).await.success, "older than its time, within the bound");
            sleep_ms(1_900).await;
            assert!(app_of(&host, &key, LLM).await.app.is_none(), "after the bound");
            host.must_refuse(&key.text, LLM, "after the bound").await;
            host.fakes.mend();
            sleep_ms(1_000).await;
            assert!(app_of(&host, &key, LLM).await.success, "the host is back");
            host.unload().await;
        }
    });
}

#[test]
fn v4_the_user_object_is_complete_and_the_directorys_own_for_no_host_has_a_look_up() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        store.ok(&["user", "set", "--tenant", TENANT, "--id", "9", "--metadata", "team=ops"]);
        for setup in hosts(&store) {
            let host = TestHost::start(setup).await;
            let answer = user_of(&host, &key, LLM).await;
            let user = answer.user.expect("the User");
            assert_eq!((user.id, user.email.as_str(), user.name.as_str()), (USER, "ann@acme.example", "Ann"));
            assert!(user.is_active);
            assert_eq!(user.metadata, [("team".to_owned(), "ops".to_owned())].into());
            store.ok(&["user", "set", "--tenant", TENANT, "--id", "9", "--name", "Ann Example"]);
            sleep_ms(FOLLOWS_MS).await;
            assert_eq!(user_of(&host, &key, LLM).await.user.unwrap().name, "Ann Example");
            store.ok(&["user", "set", "--tenant", TENANT, "--id", "9", "--name", "Ann"]);
            host.unload().await;
        }
    });
}
