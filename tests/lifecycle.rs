//! The life of a key on the real binary: rotated with overlap, changed, explained, laid out as bait.
#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a failed test is a panic"
)]

mod support;

use serde_json::Value;
use support::{APP, Key, TENANT, TestStore, USER};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn authenticate(store: &TestStore, key: &Key) -> Value {
    let output = store.run_with_input(&["authenticate", "--llm-id", "3"], &key.text);
    store.canaries.assert_absent("stderr of authenticate", &output.stderr);
    json(&String::from_utf8(output.stdout).unwrap())
}

fn explain(store: &TestStore, key: &Key) -> Value {
    let output = store.run_with_input(&["key", "explain", "--llm-id", "3", "--output", "json"], &key.text);
    store.canaries.assert_absent("an explanation", &[output.stdout.clone(), output.stderr].concat());
    json(&String::from_utf8(output.stdout).unwrap())
}

#[test]
fn b3_both_keys_are_good_until_the_grace_ends_then_only_the_new_one() {
    let store = TestStore::new();
    let old = store.issue(APP, USER);
    let new = store.rotate(&old, "3s");
    let answer = authenticate(&store, &old);
    assert_eq!(answer["authenticated"], true);
    let sunset = answer["claims"]["sunset"].as_str().unwrap().to_owned();
    let shown = json(&store.ok(&["key", "show", &old.id, "--output", "json"]));
    assert_eq!((shown["replaced_by"].as_str(), shown["grace_until"].as_str()), (Some(&*new.id), Some(&*sunset)));
    let shown = json(&store.ok(&["key", "show", &new.id, "--output", "json"]));
    assert_eq!(shown["replaces"].as_str(), Some(&*old.id));
    let answer = authenticate(&store, &new);
    assert_eq!((answer["authenticated"].as_bool(), answer["claims"].get("sunset")), (Some(true), None));
    std::thread::sleep(std::time::Duration::from_secs(4));
    assert_eq!(authenticate(&store, &old)["authenticated"], false);
    assert_eq!(explain(&store, &old)["reason"], "grace_ended");
    assert_eq!(authenticate(&store, &new)["authenticated"], true);
    let again = store.run(&["key", "rotate", &old.id]);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains(&new.id), "says what to rotate instead");
}

#[test]
fn a_changed_key_is_what_the_change_says_at_once() {
    let store = TestStore::new();
    let key = store.issue_for(TENANT, APP, USER, &["--scope", "chat", "--expires-in", "1h"]);
    store.ok(&["key", "set", &key.id, "--scope", "embed", "--scope", "chat", "--no-expiry"]);
    let answer = authenticate(&store, &key);
    assert_eq!((&answer["claims"]["scopes"], &answer["claims"]["expires_at"]), (&"embed chat".into(), &"".into()));
    store.ok(&["key", "set", &key.id, "--cidr", "192.0.2.0/24"]);
    assert_eq!(explain(&store, &key)["reason"], "address_not_allowed");
    store.ok(&["key", "set", &key.id, "--any-address"]);
    assert_eq!(explain(&store, &key)["accepted"], true);
    store.revoke(&key);
    assert_eq!(store.run(&["key", "set", &key.id, "--label", "x"]).status.code(), Some(1));
}

#[test]
fn a_honey_key_is_refused_like_any_other_and_is_an_alarm() {
    let store = TestStore::new();
    let bait = store.issue_for(TENANT, APP, USER, &["--decoy"]);
    let output = store.run_with_input(&["authenticate", "--llm-id", "3"], &bait.text);
    let answer = json(&String::from_utf8(output.stdout).unwrap());
    let other = store.issue(APP, USER);
    store.revoke(&other);
    assert_eq!(answer, authenticate(&store, &other), "the answer does not tell bait from a dead key");
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("honey key") && log.contains(&bait.id), "{log}");
    assert_eq!(explain(&store, &bait)["reason"], "honey_key");
}

#[test]
fn an_explanation_tells_every_condition_in_order_and_no_secret() {
    let store = TestStore::new();
    let key = store.issue(APP, USER);
    let told = explain(&store, &key);
    let checks = told["checks"].as_array().unwrap();
    assert!(checks.len() > 15 && checks.iter().all(|check| check["outcome"] == "holds"), "{told}");
    store.set_app_active(APP, false);
    let output = store.run(&["key", "explain", &key.id, "--output", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let told = json(&String::from_utf8(output.stdout).unwrap());
    assert_eq!((&told["reason"], &told["credential_id"]), (&"app_inactive".into(), &key.id.as_str().into()));
    let output = store.run_with_input(&["key", "explain"], "lk_live_nonsense");
    assert!(String::from_utf8(output.stdout).unwrap().contains("credential_form"));
}
