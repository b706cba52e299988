//! Operators on the command line: made with the least that they need, taken back at once, and never all of them (rule R18).
#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a failed test is a panic"
)]

mod support;

use std::process::Stdio;

use serde_json::Value;
use support::{TENANT, TestStore};

fn add(store: &TestStore, args: &[&str]) -> Value {
    let told: Value =
        serde_json::from_str(&store.ok(&[&["operator", "add", "--output", "json"], args].concat())).unwrap();
    store.canaries.add("an operator's token", support::store::secret_part(told["token"].as_str().unwrap()).unwrap());
    told
}

fn list(store: &TestStore) -> Vec<Value> {
    let told = store.ok(&["operator", "list", "--output", "json"]);
    store.canaries.assert_absent("a list", told.as_bytes());
    told.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn r18_an_operator_gets_the_least_by_default_and_its_token_once() {
    let store = TestStore::new();
    let auditor = add(&store, &["ann"]);
    assert_eq!((&auditor["role"], auditor["tenants"].as_array().unwrap().len()), (&Value::from("auditor"), 0));
    assert!(auditor["token"].as_str().unwrap().starts_with("lkop_"));
    let issuer = add(&store, &["ci bot", "--role", "issuer", "--tenant", TENANT]);
    assert_eq!(issuer["tenants"][0], TENANT);
    let all = list(&store);
    assert_eq!(all.len(), 3, "with the one that init made");
    assert!(all.iter().all(|operator| operator["status"] == "active" && operator["token"].is_null()));
    let taken = store.run(&["operator", "add", "ann"]);
    assert!(!taken.status.success() && String::from_utf8(taken.stderr).unwrap().contains("exists already"));
    for wrong in [&["x", "--tenant", "nobody"][..], &["x", "--tenant", TENANT, "--tenant", TENANT], &[" "]] {
        let refused = store.run(&[&["operator", "add"], wrong].concat());
        assert!(matches!(refused.status.code(), Some(1 | 2)), "{wrong:?}");
    }
    assert_eq!(list(&store).len(), 3);
    let told = store.ok(&["audit", "list", "--action", "operator.added", "--output", "json"]);
    assert!(told.contains(r#"["tenants","acme"]"#) && told.contains(r#"["role","issuer"]"#), "{told}");
    // A token is no key of a gateway.
    let refused = store.run_with_input(&["authenticate", "--llm-id", "3"], issuer["token"].as_str().unwrap());
    assert_eq!(refused.status.code(), Some(1));
    store.canaries.assert_absent_below(&store.data);
}

#[test]
fn r18_a_token_is_taken_back_for_good_and_the_last_owner_stays() {
    let store = TestStore::new();
    let last = store.run(&["operator", "revoke", "owner"]);
    assert_eq!(last.status.code(), Some(1));
    assert!(String::from_utf8(last.stderr).unwrap().contains("last owner"));
    add(&store, &["bound", "--role", "owner", "--tenant", TENANT]);
    assert_eq!(store.run(&["operator", "revoke", "owner"]).status.code(), Some(1), "a bound owner is not enough");
    let second = add(&store, &["second", "--role", "owner"]);
    store.ok(&["operator", "revoke", "owner"]);
    let again = store.ok(&["operator", "revoke", "owner", "--output", "json"]);
    assert!(again.contains("\"revoked\""), "{again}");
    assert_eq!(store.run(&["operator", "revoke", second["operator_id"].as_str().unwrap()]).status.code(), Some(1));
    assert_eq!(store.run(&["operator", "revoke", "nobody"]).status.code(), Some(1));
    let events = store.ok(&["audit", "list", "--action", "operator.revoked", "--output", "json"]);
    assert_eq!(events.lines().count(), 1, "what changed nothing is no event");
}

#[test]
fn r18_two_owners_cannot_revoke_each_other_at_once() {
    for _ in 0..5 {
        let store = TestStore::new();
        add(&store, &["second", "--role", "owner"]);
        let revoke = |name| {
            let mut command = store.command(&["operator", "revoke", name]);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        };
        let both = ["owner", "second"].map(revoke);
        let done = both.map(|mut child| child.wait().unwrap().success());
        assert_eq!(done.iter().filter(|done| **done).count(), 1, "{done:?}");
        assert_eq!(list(&store).iter().filter(|operator| operator["status"] == "active").count(), 1);
    }
}
