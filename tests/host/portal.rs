//! People in the AI Portal: what is their own, and nothing that they say of themselves (rule R1).

use serde_json::{Value, json};

use crate::support::schema::violation;
use crate::support::{APP, Key, LLM, OTHER_APP, OTHER_USER, Setup, TENANT, TestHost, TestStore, USER, run};

/// Ann (9) owns App 7, Bob (10) App 8, both of acme; Gus (21) App 20 of globex.
fn owned() -> TestStore {
    let store = TestStore::new();
    store.ok(&["app", "set", "--tenant", TENANT, "--id", "7", "--owner", "9"]);
    store.ok(&["app", "set", "--tenant", TENANT, "--id", "8", "--owner", "10"]);
    store.ok(&["tenant", "create", "globex"]);
    store.ok(&["user", "add", "--tenant", "globex", "--id", "21", "--email", "gus@globex.example", "--name", "Gus"]);
    let app = ["app", "add", "--tenant", "globex", "--id", "20", "--name", "Ledger", "--owner", "21"];
    store.ok(&[&app[..], &["--owner-email", "a@globex.example", "--llm", "3"]].concat());
    store
}

async fn ask(host: &TestHost, user: u32, method: &str, payload: Value) -> Value {
    let answer = host.portal_call(Some(user), false, method, &payload).await;
    let answer = answer.unwrap_or_else(|text| panic!("{method}: {text}"));
    assert_ne!(answer["ok"], false, "{method}: {answer}");
    answer
}

/// The same whether the host says that it is an admin's call or not.
async fn refusal(host: &TestHost, user: Option<u32>, method: &str, payload: &Value) -> Value {
    let mut said = Vec::new();
    for is_admin in [false, true] {
        let answer = host.portal_call(user, is_admin, method, payload).await;
        let answer = answer.unwrap_or_else(|text| panic!("{method}: {text}"));
        assert_eq!(answer["ok"], false, "{method} by {user:?}, admin {is_admin}: {answer}");
        host.setup.canaries.assert_absent(&format!("the refusal of {method}"), answer.to_string().as_bytes());
        assert_eq!(answer["error"].get("advice"), None, "commands of ours are for operators: {answer}");
        said.push(answer["error"].clone());
    }
    assert_eq!(said[0], said[1], "is_admin changes nothing");
    said.swap_remove(0)
}

async fn issued(host: &TestHost, user: u32, app: u32) -> Key {
    let answer = ask(host, user, "issue_credential", json!({ "app_id": app, "label": "laptop" })).await;
    let key = Key::of(answer["credential_id"].as_str().unwrap(), answer["key"].as_str().unwrap());
    host.setup.canaries.add("a key that the portal showed", &key.secret);
    key
}

fn ids(listing: &Value) -> Vec<&str> {
    listing["credentials"].as_array().unwrap().iter().map(|key| key["credential_id"].as_str().unwrap()).collect()
}

#[test]
fn r1_two_users_of_the_portal_reach_nothing_of_each_other() {
    run(60, async {
        let store = owned();
        // As the store has it: what Studio says of Apps is another test's.
        let setup = Setup::on(&store).studio().env("LATCHKEY_DIRECTORY__SOURCE", "store");
        let host = TestHost::start(setup).await;
        let (ann, bob, gus) = (issued(&host, USER, APP).await, issued(&host, OTHER_USER, OTHER_APP).await, 21);
        let gus_key = issued(&host, gus, 20).await;
        host.must_accept(&ann, "issued in the portal").await;
        let apps = ask(&host, USER, "list_apps", json!({})).await;
        assert_eq!(apps["apps"], json!([{ "app_id": 7, "name": "Shop", "description": "", "active": true }]));
        assert_eq!(ids(&ask(&host, USER, "list_credentials", json!({})).await), [ann.id.as_str()]);
        assert_eq!(ids(&ask(&host, OTHER_USER, "list_credentials", json!({})).await), [bob.id.as_str()]);
        for key in [&bob, &gus_key] {
            let by_id = json!({ "credential_id": key.id });
            for method in ["get_credential", "rotate_credential", "revoke_credential"] {
                let error = refusal(&host, Some(USER), method, &by_id).await;
                assert_eq!(error["reason"], "NOT_FOUND", "{method}");
            }
        }
        for app in [OTHER_APP, 12, 20, 99] {
            let error = refusal(&host, Some(USER), "issue_credential", &json!({ "app_id": app })).await;
            assert_eq!(error["reason"], "NOT_FOUND", "App {app}");
        }
        // Whose it is cannot be said.
        for field in ["user_id", "tenant", "decoy", "argon2", "session"] {
            let mut payload = json!({ "app_id": APP });
            payload[field] = json!(1);
            assert_eq!(refusal(&host, Some(USER), "issue_credential", &payload).await["reason"], "INVALID", "{field}");
        }
        // A key of their App that acts for somebody else is not theirs.
        let others = store.issue(APP, OTHER_USER);
        let by_id = json!({ "credential_id": others.id });
        assert_eq!(refusal(&host, Some(USER), "get_credential", &by_id).await["reason"], "NOT_FOUND");
        assert_eq!(refusal(&host, Some(OTHER_USER), "get_credential", &by_id).await["reason"], "NOT_FOUND");
        let by_id = json!({ "credential_id": ann.id });
        let own = ask(&host, USER, "get_credential", by_id.clone()).await;
        let mut fields: Vec<_> = own.as_object().unwrap().keys().cloned().collect();
        fields.sort();
        let expected = "app_id cidrs created_at credential_id environment expires_at grace_until label not_before \
                        revocation_reason revoked_at scopes status";
        assert_eq!(fields.join(" "), expected);
        let answer = ask(&host, USER, "rotate_credential", by_id).await;
        let new = Key::of(answer["credential_id"].as_str().unwrap(), answer["key"].as_str().unwrap());
        host.setup.canaries.add("a key that the portal showed", &new.secret);
        host.must_refuse(&ann.text, LLM, "rotated").await;
        host.must_accept(&new, "the new one").await;
        ask(&host, USER, "revoke_credential", json!({ "credential_id": new.id })).await;
        host.must_refuse(&new.text, LLM, "revoked").await;
        let trail = store.ok(&["audit", "list", "--output", "json"]);
        assert!(trail.contains("portal:9") && trail.contains("portal:10") && trail.contains("portal:21"), "{trail}");
        host.unload().await;
    });
}

#[test]
fn r1_nobody_in_particular_and_nobody_whom_we_know_are_refused_alike() {
    run(60, async {
        let store = owned();
        let host = TestHost::start(Setup::on(&store).studio()).await;
        let methods = ask(&host, USER, "describe", json!({})).await;
        let methods: Vec<(String, Value)> = methods["methods"]
            .as_array()
            .unwrap()
            .iter()
            .map(|method| {
                let example = serde_json::from_str(method["example"].as_str().unwrap()).unwrap();
                (method["name"].as_str().unwrap().to_owned(), example)
            })
            .collect();
        store.ok(&["user", "set", "--tenant", TENANT, "--id", "10", "--active", "false"]);
        store.ok(&["tenant", "suspend", "globex"]);
        let uniform = refusal(&host, Some(0), "list_apps", &json!({})).await;
        assert_eq!(uniform["reason"], "FORBIDDEN");
        for (name, who) in [
            ("no User", None),
            ("User 0", Some(0)),
            ("an unknown User", Some(77)),
            ("an inactive User", Some(10)),
            ("a User of a suspended tenant", Some(21)),
        ] {
            for (method, payload) in &methods {
                assert_eq!(refusal(&host, who, method, payload).await, uniform, "{name}: {method}");
            }
        }
        host.unload().await;
    });
}

#[test]
fn keys_of_the_portal_are_bounded_by_this_machine_alone() {
    run(60, async {
        let store = owned();
        let setup = Setup::on(&store).studio().config(json!({ "portal_max_keys": 9, "portal_scopes": "admin" }));
        let setup = setup.env("LATCHKEY_PORTAL__MAX_KEYS", "2").env("LATCHKEY_PORTAL__MAX_DAYS", "30");
        let host = TestHost::start(setup.env("LATCHKEY_PORTAL__SCOPES", "chat")).await;
        let shown = ask(&host, USER, "describe", json!({})).await;
        let far = json!({ "app_id": APP, "expires_in_seconds": 31 * 86_400 });
        assert_eq!(refusal(&host, Some(USER), "issue_credential", &far).await["field"], "expires");
        let scoped = json!({ "app_id": APP, "scopes": ["admin"] });
        assert_eq!(refusal(&host, Some(USER), "issue_credential", &scoped).await["field"], "scope");
        let chat = ask(&host, USER, "issue_credential", json!({ "app_id": APP, "scopes": ["chat"] })).await;
        assert!(chat["expires_at"].is_string(), "an end where none is asked for: {chat}");
        let output =
            &shown["methods"].as_array().unwrap().iter().find(|m| m["name"] == "issue_credential").unwrap()["output"];
        assert_eq!(violation(output, &chat, "issue_credential"), None);
        let second = issued(&host, USER, APP).await;
        let more = json!({ "app_id": APP });
        assert_eq!(refusal(&host, Some(USER), "issue_credential", &more).await["reason"], "TOO_MANY_KEYS");
        issued(&host, OTHER_USER, OTHER_APP).await;
        ask(&host, USER, "revoke_credential", json!({ "credential_id": second.id })).await;
        issued(&host, USER, APP).await;
        host.unload().await;
    });
}
