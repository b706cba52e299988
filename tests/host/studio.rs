//! The Studio page: what it sees and does, for whom, and who acts through it (rule R18, decision 9).

use serde_json::{Value, json};

use crate::support::schema::violation;
use crate::support::{APP, Key, LLM, OTHER_APP, Setup, TENANT, TestHost, TestStore, USER, run, sleep_ms};

const CLOSED: &[&str] = &["health", "get_metrics", "describe", "get_caller", "list_tenants"];

/// A store with a second tenant, which has App 20 and User 21.
fn two_tenants() -> TestStore {
    let store = TestStore::new();
    store.ok(&["tenant", "create", "globex"]);
    store.ok(&[
        "app",
        "add",
        "--tenant",
        "globex",
        "--id",
        "20",
        "--name",
        "Ledger",
        "--owner-email",
        "a@globex.example",
    ]);
    store.ok(&["user", "add", "--tenant", "globex", "--id", "21", "--email", "gus@globex.example", "--name", "Gus"]);
    store
}

fn page(store: &TestStore, tenants: &str, role: &str) -> Setup {
    Setup::on(store).studio().env("LATCHKEY_STUDIO__TENANTS", tenants).env("LATCHKEY_STUDIO__ROLE", role)
}

async fn ask(host: &TestHost, method: &str, payload: Value) -> Value {
    let answer = host.ask(method, &payload).await.unwrap_or_else(|text| panic!("{method}: {text}"));
    assert_ne!(answer["ok"], false, "{method}: {answer}");
    answer
}

async fn refusal(host: &TestHost, method: &str, payload: Value) -> String {
    let answer = host.ask(method, &payload).await.unwrap_or_else(|text| panic!("{method}: {text}"));
    assert_eq!(answer["ok"], false, "{method}: {answer}");
    host.setup.canaries.assert_absent(&format!("the refusal of {method}"), answer.to_string().as_bytes());
    answer["error"]["reason"].as_str().unwrap().to_owned()
}

/// A key that was just shown: from now on nothing else may show it.
fn fresh(host: &TestHost, answer: &Value) -> Key {
    let key = Key::of(answer["credential_id"].as_str().unwrap(), answer["key"].as_str().unwrap());
    host.setup.canaries.add("a key that a page showed", &key.secret);
    key
}

fn issue(tenant: &str, app: u32, user: u32) -> Value {
    json!({ "tenant": tenant, "app_id": app, "user_id": user, "label": "page" })
}

fn link(tenant: &str, app: u32, user: u32) -> Value {
    json!({ "tenant": tenant, "issuer": "https://id.example", "subject": "3f1c", "app_id": app, "user_id": user })
}

/// With a session of an operator whose token is this.
async fn raised(host: &TestHost, token: &str) -> String {
    let answer = ask(host, "raise", json!({ "operator_token": token })).await;
    let session = answer["session"].as_str().unwrap().to_owned();
    assert!(session.len() == 32 && session.bytes().all(|c| c.is_ascii_hexdigit()), "128 bits as hex");
    assert_eq!(answer["expires_in_seconds"], 300);
    host.setup.canaries.add("a session", &session);
    session
}

#[test]
fn r18_without_tenants_the_page_sees_names_and_nothing_else() {
    run(60, async {
        let store = two_tenants();
        // What the host says of it is not for it to say (rule R2).
        let config = json!({ "studio_tenants": "acme", "studio.tenants": "acme", "studio_role": "issuer" });
        let host = TestHost::start(Setup::on(&store).studio().config(config)).await;
        let names = ask(&host, "list_tenants", json!({})).await;
        let expected = json!([
            { "tenant": "acme", "name": "Acme Ltd", "status": "active" },
            { "tenant": "globex", "name": "globex", "status": "active" },
        ]);
        assert_eq!(names["tenants"], expected);
        let caller = ask(&host, "get_caller", json!({})).await;
        assert_eq!(caller, json!({ "actor": "studio", "role": "auditor", "every_tenant": false, "tenants": [] }));
        for described in ask(&host, "describe", json!({})).await["methods"].as_array().unwrap() {
            let name = described["name"].as_str().unwrap();
            if !CLOSED.contains(&name) {
                let payload: Value = serde_json::from_str(described["example"].as_str().unwrap()).unwrap();
                assert_eq!(refusal(&host, name, payload).await, "FORBIDDEN", "{name}");
            }
        }
        let token = store.operator_token.clone();
        assert_eq!(refusal(&host, "raise", json!({ "operator_token": token })).await, "FORBIDDEN", "not even an owner");
        host.unload().await;
    });
}

#[test]
fn r18_the_page_reads_what_its_tenants_have_and_writes_nothing_until_it_may() {
    run(60, async {
        let store = two_tenants();
        let (mine, theirs) = (store.issue(APP, USER), store.issue_for("globex", 20, 21, &[]));
        let setup = Setup::on(&store).studio().env("LATCHKEY_STUDIO__TENANTS", "acme, nobody");
        let host = TestHost::start(setup).await;
        let caller = ask(&host, "get_caller", json!({})).await;
        assert_eq!(caller, json!({ "actor": "studio", "role": "auditor", "every_tenant": false, "tenants": ["acme"] }));
        let tenants = ask(&host, "list_tenants", json!({})).await;
        assert_eq!(tenants["tenants"].as_array().unwrap().len(), 1);
        assert_eq!(tenants["tenants"][0]["key_prefix"], "lk");
        assert_eq!(ask(&host, "get_credential", json!({ "credential_id": mine.id })).await["tenant"], "acme");
        for (method, payload) in [
            ("get_tenant", json!({ "tenant": "globex" })),
            ("list_apps", json!({ "tenant": "globex" })),
            ("get_app", json!({ "tenant": "globex", "app_id": 20 })),
            ("get_app", json!({ "tenant": TENANT, "app_id": 20 })),
            ("list_users", json!({ "tenant": "globex" })),
            ("list_credentials", json!({ "tenant": "globex" })),
            ("list_links", json!({ "tenant": "globex" })),
            ("list_issuers", json!({ "tenant": "globex" })),
            ("get_issuer", json!({ "tenant": TENANT, "issuer_id": theirs.id })),
            ("get_credential", json!({ "credential_id": theirs.id })),
            ("list_audit_events", json!({ "tenant": "globex" })),
        ] {
            assert_eq!(refusal(&host, method, payload).await, "NOT_FOUND", "{method}");
        }
        let events = ask(&host, "list_audit_events", json!({ "page_size": 1000 })).await;
        let acme = &tenants["tenants"][0]["tenant_id"];
        let events = events["events"].as_array().unwrap();
        assert!(!events.is_empty() && events.iter().all(|event| event["tenant_id"] == *acme), "{events:?}");
        assert_eq!(
            ask(&host, "list_operators", json!({})).await["operators"],
            json!([]),
            "an unbound one is not theirs"
        );
        for (method, payload) in [
            ("issue_credential", issue(TENANT, APP, USER)),
            ("rotate_credential", json!({ "credential_id": mine.id })),
            ("revoke_credential", json!({ "credential_id": mine.id })),
            ("update_credential", json!({ "credential_id": mine.id, "label": "x" })),
            ("create_link", link(TENANT, APP, USER)),
            ("delete_link", json!({ "tenant": TENANT, "link_id": mine.id })),
        ] {
            assert_eq!(refusal(&host, method, payload).await, "FORBIDDEN", "{method}");
        }
        host.must_accept(&mine, "untouched").await;
        host.unload().await;
    });
}

#[test]
fn r18_a_page_that_is_an_issuer_issues_for_its_tenants_and_the_trail_says_studio() {
    run(60, async {
        let store = two_tenants();
        let theirs = store.issue_for("globex", 20, 21, &[]);
        let host = TestHost::start(page(&store, "acme", "issuer")).await;
        let key = fresh(&host, &ask(&host, "issue_credential", issue(TENANT, APP, USER)).await);
        host.must_accept(&key, "issued by the page").await;
        let new = ask(&host, "rotate_credential", json!({ "credential_id": key.id })).await;
        let new = fresh(&host, &new);
        host.must_refuse(&key.text, LLM, "rotated without grace").await;
        host.must_accept(&new, "the new one").await;
        let changed = ask(&host, "update_credential", json!({ "credential_id": new.id, "label": "renamed" })).await;
        assert_eq!(changed["label"], "renamed");
        let revoke = json!({ "credential_id": new.id, "reason": "key_compromise" });
        assert_eq!(ask(&host, "revoke_credential", revoke).await["status"], "revoked");
        host.must_refuse(&new.text, LLM, "revoked by the page").await;
        let events = ask(&host, "list_audit_events", json!({ "actor": "studio" })).await;
        let actions: Vec<_> = events["events"].as_array().unwrap().iter().map(|e| e["action"].clone()).collect();
        let expected =
            ["credential.issued", "credential.rotated", "credential.changed", "credential.revoked"].map(Value::from);
        assert_eq!(actions, expected);
        // Once, however often it is asked.
        let once = json!({ "tenant": TENANT, "app_id": APP, "user_id": USER, "request_id": "one" });
        let first = ask(&host, "issue_credential", once.clone()).await;
        fresh(&host, &first);
        let again = ask(&host, "issue_credential", once).await;
        assert_eq!((&again["credential_id"], &again["key"]), (&first["credential_id"], &Value::Null));
        assert_eq!(again["replayed"], true);
        for (method, payload) in [
            ("issue_credential", issue("globex", 20, 21)),
            ("issue_credential", issue(TENANT, 20, USER)),
            ("create_link", link("globex", 20, 21)),
            ("create_link", link(TENANT, 20, USER)),
            ("create_link", link(TENANT, APP, 21)),
            ("delete_link", json!({ "tenant": "globex", "link_id": theirs.id })),
            ("rotate_credential", json!({ "credential_id": theirs.id })),
            ("revoke_credential", json!({ "credential_id": theirs.id })),
            ("update_credential", json!({ "credential_id": theirs.id, "label": "x" })),
        ] {
            assert_eq!(refusal(&host, method, payload).await, "NOT_FOUND", "{method}");
        }
        assert!(host.passes(&theirs.text, LLM).await || store.ok(&["key", "show", &theirs.id]).contains("active"));
        host.unload().await;
    });
}

#[test]
fn r18_an_operator_acts_through_the_page_as_an_issuer_at_most_and_until_they_are_gone() {
    run(60, async {
        let store = two_tenants();
        let host = TestHost::start(page(&store, "acme", "auditor")).await;
        let session = raised(&host, &store.operator_token).await;
        let caller = ask(&host, "get_caller", json!({ "session": session })).await;
        assert!(caller["actor"].as_str().unwrap().starts_with("operator:"), "{caller}");
        assert_eq!((&caller["role"], &caller["every_tenant"]), (&json!("issuer"), &json!(true)), "an owner elsewhere");
        let mut other = issue("globex", 20, 21);
        assert_eq!(refusal(&host, "issue_credential", other.clone()).await, "FORBIDDEN", "without the session");
        other["session"] = json!(session);
        let key = fresh(&host, &ask(&host, "issue_credential", other).await);
        let told = json!({ "session": session, "subject": key.id });
        let told = ask(&host, "list_audit_events", told).await;
        assert_eq!(told["events"][0]["actor"], caller["actor"]);
        assert!(told["events"][0]["details"].as_array().unwrap().contains(&json!(["source", "studio"])), "{told}");
        // An operator who reads, for one tenant; and their token is taken back.
        let bound: Value = serde_json::from_str(
            &store.ok(&["operator", "add", "eve", "--role", "auditor", "--tenant", "globex", "--output", "json"]),
        )
        .unwrap();
        let token = bound["token"].as_str().unwrap();
        store.canaries.add("an operator's token", crate::support::store::secret_part(token).unwrap());
        let eve = raised(&host, token).await;
        let mut asked = issue("globex", 20, 21);
        asked["session"] = json!(eve);
        assert_eq!(refusal(&host, "issue_credential", asked).await, "FORBIDDEN", "no more than they are");
        let acme = json!({ "tenant": TENANT, "session": eve });
        assert_eq!(refusal(&host, "get_tenant", acme).await, "NOT_FOUND", "their tenants, not the page's");
        ask(&host, "get_tenant", json!({ "tenant": "globex", "session": eve })).await;
        store.ok(&["operator", "revoke", "eve"]);
        let gone = refusal(&host, "get_tenant", json!({ "tenant": "globex", "session": eve })).await;
        assert_eq!(gone, "SESSION_ENDED", "looked up at each call");
        assert_eq!(ask(&host, "lower", json!({ "session": session })).await, json!({ "lowered": true }));
        host.unload().await;
    });
}

#[test]
fn r18_a_session_that_is_over_is_an_error_and_never_the_pages_own_authority() {
    run(60, async {
        let store = two_tenants();
        let host = TestHost::start(page(&store, "acme", "issuer")).await;
        let over = raised(&host, &store.operator_token).await;
        ask(&host, "lower", json!({ "session": over })).await;
        for described in ask(&host, "describe", json!({})).await["methods"].as_array().unwrap() {
            let name = described["name"].as_str().unwrap();
            if ["health", "get_metrics", "raise"].contains(&name) {
                continue;
            }
            let mut payload: Value = serde_json::from_str(described["example"].as_str().unwrap()).unwrap();
            for session in [over.as_str(), "", "00000000000000000000000000000000"] {
                payload["session"] = json!(session);
                assert_eq!(refusal(&host, name, payload.clone()).await, "SESSION_ENDED", "{name} in {session:?}");
            }
        }
        host.unload().await;
    });
}

#[test]
fn r18_wrong_tokens_read_alike_and_after_ten_a_right_one_is_not_looked_at() {
    run(60, async {
        let store = two_tenants();
        let key = store.issue(APP, USER);
        let host = TestHost::start(page(&store, "acme", "issuer")).await;
        raised(&host, &store.operator_token).await;
        // Another last character, whichever it ends in.
        let (most, last) = store.operator_token.split_at(store.operator_token.len() - 1);
        let forged = format!("{most}{}", if last == "x" { "y" } else { "x" });
        let wrong = ["", "junk", "lkop_junk", forged.as_str(), key.text.as_str()];
        let mut said = Vec::new();
        for token in wrong.iter().chain(&wrong) {
            let answer = host.ask("raise", &json!({ "operator_token": token })).await.unwrap();
            said.push(answer["error"].to_string());
        }
        said.dedup();
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("UNIDENTIFIED"));
        let right = json!({ "operator_token": store.operator_token });
        assert_eq!(refusal(&host, "raise", right).await, "BUSY");
        host.unload().await;
    });
}

#[test]
fn r18_the_page_runs_the_checklist_on_a_sample_of_its_tenants_and_says_so() {
    run(60, async {
        let store = two_tenants();
        let (mine, theirs) = (store.issue(OTHER_APP, USER), store.issue_for("globex", 20, 21, &[]));
        store.issue(APP, USER);
        store.set_app_active(OTHER_APP, false);
        let host = TestHost::start(page(&store, "acme", "auditor")).await;
        let begun = std::time::Instant::now();
        let answer = ask(&host, "run_checklist", json!({})).await;
        assert!(begun.elapsed() < std::time::Duration::from_secs(5), "the host holds a lock: {:?}", begun.elapsed());
        let report = &answer["report"];
        assert_eq!((&report["tenants"], &report["population"]), (&json!(["acme"]), &json!(2)), "{answer}");
        assert_eq!((&report["sample"], &report["host_runtime"]), (&json!(200), &json!("studio")));
        assert_eq!((&report["status"], &report["run_by"]), (&json!("fail"), &json!("studio")));
        assert_eq!(report["claims"][0]["offenders"][0]["credential_id"], mine.id, "{answer}");
        assert!(!answer.to_string().contains(&theirs.id), "{answer}");
        let says = answer["says"].as_str().unwrap();
        assert!(says.contains("sample") && says.contains("among all 2 in force"), "{says}");
        // Kept as it is, it verifies anywhere.
        let file = store.data.with_file_name("report.json");
        std::fs::write(&file, answer["file"].as_str().unwrap()).unwrap();
        let told = store.ok(&["checklist", "--verify", file.to_str().unwrap(), "--output", "json"]);
        assert_eq!(serde_json::from_str::<Value>(&told).unwrap()["genuine"], true);
        assert_eq!(refusal(&host, "run_checklist", json!({ "tenant": "globex" })).await, "NOT_FOUND");
        assert_eq!(refusal(&host, "run_checklist", json!({ "sample": 201 })).await, "INVALID");
        let session = raised(&host, &store.operator_token).await;
        let all = ask(&host, "run_checklist", json!({ "session": session, "sample": 3 })).await;
        assert_eq!((&all["report"]["population"], &all["report"]["checked"]), (&json!(3), &json!(3)), "{all}");
        host.unload().await;
    });
}

#[test]
fn v1_v3_the_checklist_is_about_apps_as_the_host_has_them() {
    run(60, async {
        let store = two_tenants();
        let (mine, other) = (store.issue(APP, USER), store.issue(OTHER_APP, USER));
        let setup = page(&store, "acme", "auditor").env("LATCHKEY_DIRECTORY__TTL_SECONDS", "1");
        let host = TestHost::start(setup).await;
        let checked = async || ask(&host, "run_checklist", json!({})).await["report"].clone();
        let failing = |report: &Value| -> Vec<(Value, Value, Value)> {
            let claims = report["claims"].as_array().unwrap().iter().filter(|claim| claim["status"] == "fail");
            let first = |claim: &Value| claim["offenders"][0].clone();
            claims.map(|c| (c["id"].clone(), first(c)["credential_id"].clone(), first(c)["reason"].clone())).collect()
        };
        let report = checked().await;
        assert_eq!((&report["status"], &report["directory"]), (&json!("pass"), &json!("studio")), "{report}");
        assert!(host.fakes.called("GetApp") >= 2, "it is the host that was asked");
        host.fakes.change(OTHER_APP, |app| app.active = false);
        sleep_ms(1_500).await;
        let report = checked().await;
        assert_eq!(failing(&report), [(json!("V1"), json!(other.id), json!("app_inactive"))], "{report}");
        host.fakes.change(OTHER_APP, |app| app.active = true);
        host.fakes.change(APP, |app| app.name = String::new());
        sleep_ms(1_500).await;
        let report = checked().await;
        assert_eq!(failing(&report), [(json!("V3"), json!(mine.id), json!("app_incomplete"))], "{report}");
        // What cannot be known does not hold.
        host.fakes.fail(tonic::Code::Unavailable, "gone");
        sleep_ms(1_500).await;
        let report = checked().await;
        assert_eq!(failing(&report).len(), 5, "{report}");
        assert!(failing(&report).iter().all(|(_, _, reason)| reason == "directory_unavailable"), "{report}");
        host.unload().await;
    });
}

#[test]
fn what_describe_shows_is_what_is_taken_and_answered() {
    run(60, async {
        let store = two_tenants();
        let first = store.issue(APP, USER);
        let host = TestHost::start(page(&store, "acme", "issuer")).await;
        let shown = ask(&host, "describe", json!({})).await;
        let method = |name: &str| {
            let methods = shown["methods"].as_array().unwrap();
            methods.iter().find(|method| method["name"] == name).unwrap_or_else(|| panic!("no {name}")).clone()
        };
        for method in shown["methods"].as_array().unwrap() {
            let example: Value = serde_json::from_str(method["example"].as_str().unwrap()).unwrap();
            let name = method["name"].as_str().unwrap();
            assert_eq!(violation(&method["input"], &example, name), None);
            assert!(
                violation(&method["input"], &json!({ "no_such_field": 1 }), name).is_some(),
                "{name} takes anything"
            );
            if !["health", "get_metrics"].contains(&name) {
                let answer = host.ask(name, &json!({ "no_such_field": 1 })).await.unwrap();
                assert_eq!(answer["error"]["reason"], "INVALID", "{name}");
                assert_eq!(violation(&shown["error"], &answer["error"], name), None);
            }
        }
        let by_id = json!({ "credential_id": first.id });
        let linked = ask(&host, "create_link", link(TENANT, APP, USER)).await;
        assert_eq!(violation(&method("create_link")["output"], &linked, "create_link"), None);
        assert_eq!((&linked["status"], &linked["replayed"]), (&json!("active"), &json!(false)));
        let session = raised(&host, &store.operator_token).await;
        let line = format!(
            "issuer add --tenant {TENANT} --iss https://id.example --jwks-url https://id.example/keys --alg ES256"
        );
        let line = format!("{line} --aud gateway --app {APP} --user-claim sub --output json");
        let trusted: Value = serde_json::from_str(&store.ok(&line.split(' ').collect::<Vec<_>>())).unwrap();
        for (name, payload) in [
            ("health", json!({})),
            ("get_metrics", json!({})),
            ("describe", json!({})),
            ("get_caller", json!({})),
            ("list_tenants", json!({ "page_size": 1 })),
            ("get_tenant", json!({ "tenant": TENANT })),
            ("list_apps", json!({ "tenant": TENANT })),
            ("get_app", json!({ "tenant": TENANT, "app_id": APP })),
            ("list_users", json!({ "tenant": TENANT })),
            ("list_credentials", json!({ "tenant": TENANT, "user_id": USER })),
            ("get_credential", by_id.clone()),
            ("list_links", json!({ "tenant": TENANT, "issuer": "https://id.example", "subject": "3f1c" })),
            ("list_issuers", json!({ "tenant": TENANT })),
            ("get_issuer", json!({ "tenant": TENANT, "issuer_id": trusted["issuer_id"] })),
            ("delete_link", json!({ "tenant": TENANT, "link_id": linked["link_id"] })),
            ("issue_credential", issue(TENANT, OTHER_APP, USER)),
            ("update_credential", json!({ "credential_id": first.id, "expires_in_seconds": 3600 })),
            ("rotate_credential", by_id.clone()),
            ("revoke_credential", by_id),
            ("list_audit_events", json!({})),
            ("list_operators", json!({ "session": session })),
            ("run_checklist", json!({ "tenant": TENANT, "sample": 5 })),
            ("lower", json!({ "session": session })),
        ] {
            let described = method(name);
            assert_eq!(violation(&described["input"], &payload, name), None);
            let answer = ask(&host, name, payload).await;
            if answer["key"].is_string() {
                fresh(&host, &answer);
            }
            assert_eq!(violation(&described["output"], &answer, name), None);
        }
        let wrong = json!({ "tenant": TENANT, "app_id": APP, "user_id": USER, "expires_at": "tomorrow" });
        let answer = host.ask("issue_credential", &wrong).await.unwrap();
        assert_eq!(answer["error"]["field"], "expires_at", "{answer}");
        host.unload().await;
    });
}
