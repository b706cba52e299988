//! The audit trail on the real binary: signed, verified, exported, given up; and what somebody with a shell does to it.
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

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::Value;
use support::{APP, LLM, Setup, TENANT, TestHost, TestStore, USER, run, until};

fn verify(store: &TestStore, args: &[&str]) -> (Option<i32>, Value) {
    let output = store.run(&[&["audit", "verify", "--output", "json"], args].concat());
    let told = serde_json::from_slice(&output.stdout);
    (output.status.code(), told.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr))))
}

fn public_key(store: &TestStore) -> String {
    let told: Value = serde_json::from_str(&store.ok(&["audit", "public-key", "--output", "json"])).unwrap();
    told["public_key"].as_str().unwrap().to_owned()
}

/// Somebody who may write the file and knows SQL.
fn tamper(store: &TestStore, sql: &str) {
    let db = Connection::open(store.data.join("latchkey.db")).unwrap();
    let triggers = "DROP TRIGGER audit_events_are_never_changed; DROP TRIGGER audit_events_are_never_deleted;
                    DROP TRIGGER audit_checkpoints_are_never_deleted; DROP TRIGGER audit_checkpoints_are_never_changed;";
    db.execute_batch(triggers).unwrap();
    db.execute_batch(sql).unwrap();
}

fn copy(from: &Path, to: &Path) {
    std::fs::copy(from, to).unwrap();
}

#[test]
fn e3_edits_deletions_and_reorderings_in_the_file_are_named() {
    let exchanged = "UPDATE audit_events SET sequence = 1000 WHERE sequence = 3;
                     UPDATE audit_events SET sequence = 3 WHERE sequence = 5;
                     UPDATE audit_events SET sequence = 5 WHERE sequence = 1000;";
    let cases = [
        ("UPDATE audit_events SET actor = 'local:77' WHERE sequence = 4", "edited", 4),
        ("UPDATE audit_events SET details = 'no JSON' WHERE sequence = 4", "edited", 4),
        ("UPDATE audit_events SET action = 'no.action' WHERE sequence = 4", "edited", 4),
        ("DELETE FROM audit_events WHERE sequence = 4", "deleted", 4),
        (exchanged, "reordered", 3),
        ("DELETE FROM audit_events WHERE sequence > 4", "truncated", 5),
        (
            "UPDATE audit_checkpoints SET signature = zeroblob(64) WHERE sequence = (SELECT max(sequence) FROM audit_checkpoints)",
            "signature",
            0,
        ),
    ];
    for (sql, damage, first) in cases {
        let store = TestStore::new();
        let key = public_key(&store);
        let (code, told) = verify(&store, &["--public-key", &key]);
        assert_eq!((code, &told["consistent"]), (Some(0), &Value::Bool(true)), "{told}");
        assert_eq!(told["signed_up_to"], told["last_event"], "each command signs what it did: {told}");
        tamper(&store, sql);
        let (code, told) = verify(&store, &["--public-key", &key]);
        assert_eq!((code, told["damage"].as_str()), (Some(1), Some(damage)), "{sql}: {told}");
        assert!(first == 0 || told["first_bad_event"] == first, "{sql}: {told}");
        assert!(!told["statement"].as_str().unwrap().contains("consistent"), "{told}");
    }
}

#[test]
fn r19_a_cut_or_rolled_back_file_shows_against_an_anchor_and_is_never_called_whole_without() {
    let store = TestStore::new();
    let anchors = store.data.with_file_name("anchors");
    let file = store.data.join("latchkey.db");
    let earlier = store.data.with_file_name("earlier.db");
    copy(&file, &earlier);
    let set = |name: &str| {
        let mut command = store.command(&["tenant", "set", TENANT, "--name", name]);
        assert!(command.env("LATCHKEY_AUDIT__ANCHOR_FILE", &anchors).output().unwrap().status.success());
    };
    set("One");
    set("Two");
    assert_eq!(std::fs::read_to_string(&anchors).unwrap().lines().count(), 2, "an anchor for each command");
    let (anchor, key) = (anchors.to_str().unwrap(), public_key(&store));
    let (code, told) = verify(&store, &["--public-key", &key, "--anchor", anchor]);
    assert_eq!((code, told["anchors"].as_u64()), (Some(0), Some(2)), "{told}");
    // More than a call takes.
    let (many, kept) = (store.data.with_file_name("many"), std::fs::read_to_string(&anchors).unwrap());
    std::fs::write(&many, kept.repeat(3_000)).unwrap();
    let (code, told) = verify(&store, &["--public-key", &key, "--anchor", many.to_str().unwrap()]);
    assert_eq!((code, told["anchors"].as_u64()), (Some(0), Some(6_000)), "{told}");
    copy(&earlier, &file);
    let (code, told) = verify(&store, &["--public-key", &key]);
    assert_eq!(code, Some(0), "{told}");
    let statement = told["statement"].as_str().unwrap();
    assert!(statement.contains("not excluded") && !statement.contains("whole"), "{statement}");
    let (code, told) = verify(&store, &["--public-key", &key, "--anchor", anchor]);
    assert_eq!((code, told["damage"].as_str()), (Some(1), Some("truncated")), "{told}");
    // Another history, as long, signed by the same key.
    for name in ["Three", "Four"] {
        store.ok(&["tenant", "set", TENANT, "--name", name]);
    }
    assert_eq!(verify(&store, &["--public-key", &key]).0, Some(0));
    let (code, told) = verify(&store, &["--public-key", &key, "--anchor", anchor]);
    assert_eq!((code, told["damage"].as_str()), (Some(1), Some("forked")), "{told}");
    // An anchor of another store.
    let other = TestStore::new();
    std::fs::write(&anchors, other.ok(&["audit", "checkpoint"])).unwrap();
    let (code, told) = verify(&store, &["--public-key", &key, "--anchor", anchor]);
    assert_eq!((code, told["damage"].as_str()), (Some(1), Some("anchor")), "{told}");
}

#[test]
fn e3_an_export_is_verified_elsewhere_by_the_same_binary() {
    let (store, elsewhere) = (TestStore::new(), TestStore::empty());
    let key = public_key(&store);
    let file = store.data.with_file_name("trail.jsonl");
    store.ok(&["audit", "export", file.to_str().unwrap()]);
    let again = store.run(&["audit", "export", file.to_str().unwrap()]);
    assert!(!again.status.success(), "nothing is overwritten");
    let check = || verify(&elsewhere, &["--file", file.to_str().unwrap(), "--public-key", &key]);
    let (code, told) = check();
    assert_eq!((code, &told["signed_up_to"]), (Some(0), &told["last_event"]), "{told}");
    let whole = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let without =
        |n: usize| lines.iter().enumerate().filter(|(at, _)| *at != n).map(|(_, line)| *line).collect::<Vec<_>>();
    let event = lines.iter().position(|line| line.contains("app.added")).unwrap();
    let mutations = [
        (whole.replace("\"local:", "\"local:1"), "edited"),
        (without(event).join("\n"), "deleted"),
        (lines[..event].join("\n"), ""),
        (whole.replace(lines[event], "{}"), "edited"),
    ];
    for (text, damage) in mutations {
        std::fs::write(&file, &text).unwrap();
        let (code, told) = check();
        let expected = if damage.is_empty() { (Some(0), None) } else { (Some(1), Some(damage)) };
        assert_eq!((code, told["damage"].as_str()), expected, "{told}");
        assert!(!damage.is_empty() || told["statement"].as_str().unwrap().contains("not excluded"), "{told}");
    }
    std::fs::write(&file, "{\"not\":\"an export\"}").unwrap();
    let refused = elsewhere.run(&["audit", "verify", "--file", file.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn e3_nothing_is_signed_on_top_of_what_does_not_follow() {
    use std::os::unix::fs::PermissionsExt as _;
    let store = TestStore::new();
    let (path, before) = (store.data.join("audit.key"), verify(&store, &[]).1["signed_up_to"].clone());
    // An event that nobody signed, because the key was away, and somebody edits.
    let key = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    store.ok(&["tenant", "set", TENANT, "--name", "Changed"]);
    tamper(
        &store,
        "UPDATE audit_events SET actor = 'local:77' WHERE sequence = (SELECT max(sequence) FROM audit_events)",
    );
    std::fs::write(&path, key).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let refused = store.run(&["audit", "checkpoint"]);
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(1), 0));
    store.ok(&["tenant", "set", TENANT, "--name", "Again"]);
    let db = Connection::open(store.data.join("latchkey.db")).unwrap();
    let signed: i64 = db.query_row("SELECT max(sequence) FROM audit_checkpoints", [], |row| row.get(0)).unwrap();
    assert_eq!(Value::from(signed), before, "the last checkpoint is the one from before");
}

#[test]
fn r19_a_signing_key_is_replaced_and_both_keys_sign_that() {
    let store = TestStore::new();
    let first = public_key(&store);
    let told: Value = serde_json::from_str(&store.ok(&["audit", "rotate-key", "--output", "json"])).unwrap();
    assert_eq!(told["replaced"].as_str(), Some(first.as_str()));
    assert_eq!(told["public_key"], Value::from(public_key(&store)));
    store.ok(&["tenant", "set", TENANT, "--name", "Changed"]);
    let (code, told) = verify(&store, &["--public-key", &first]);
    assert_eq!((code, &told["signed_up_to"]), (Some(0), &told["last_event"]), "trusted through the first: {told}");
    // Somebody with the file and a key of their own.
    let thief = TestStore::new();
    copy(&thief.data.join("audit.key"), &store.data.join("audit.key"));
    store.ok(&["tenant", "set", TENANT, "--name", "Again"]);
    let (code, told) = verify(&store, &["--public-key", &first]);
    assert_eq!((code, told["damage"].as_str()), (Some(1), Some("signature")), "{told}");
}

#[test]
fn a_trail_is_listed_by_what_is_asked_for_and_its_beginning_is_given_up_in_order() {
    let store = TestStore::new();
    let key = public_key(&store);
    let list = |args: &[&str]| -> Vec<Value> {
        let told = store.ok(&[&["audit", "list", "--output", "json"], args].concat());
        told.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let all = list(&[]);
    assert!(all.len() >= 7 && all[0]["action"] == "store.initialised", "{all:?}");
    assert_eq!(list(&["--action", "app.added"]).len(), 3);
    assert_eq!(list(&["--action", "app.added", "--limit", "2"]).len(), 2);
    assert_eq!(list(&["--tenant", TENANT, "--subject", "7"]).len(), 1);
    assert_eq!(list(&["--actor", "studio"]).len(), 0);
    assert_eq!(list(&["--after", &all[3]["sequence"].to_string()]).len(), all.len() - 4);
    assert_eq!(list(&["--since", "2999-01-01T00:00:00Z"]).len(), 0);
    let wrong = store.run(&["audit", "list", "--action", "nothing"]);
    assert!(String::from_utf8(wrong.stderr).unwrap().contains("credential.revoked"), "says what there is");

    let early = store.run(&["audit", "prune", "--before", "2001-01-01T00:00:00Z"]);
    assert_eq!(early.status.code(), Some(2), "nothing is that old");
    let before = store.ok(&["audit", "checkpoint"]);
    let told: Value =
        serde_json::from_str(&store.ok(&["audit", "prune", "--before", "2999-01-01T00:00:00Z", "--output", "json"]))
            .unwrap();
    assert_eq!(told["given_up"], all.len() as u64);
    let rest = list(&[]);
    assert_eq!(rest.len(), 1);
    assert_eq!(
        (&rest[0]["action"], rest[0]["sequence"].as_u64()),
        (&Value::from("audit.pruned"), Some(all.len() as u64 + 1))
    );
    let anchor = store.data.with_file_name("anchor");
    std::fs::write(&anchor, before).unwrap();
    let (code, told) = verify(&store, &["--public-key", &key, "--anchor", anchor.to_str().unwrap()]);
    assert_eq!((code, told["anchors"].as_u64()), (Some(0), Some(1)), "{told}");
    // What was not given up cannot be deleted.
    let db = Connection::open(store.data.join("latchkey.db")).unwrap();
    assert!(db.execute("DELETE FROM audit_events", []).is_err());
    assert!(db.execute("DELETE FROM audit_checkpoints", []).is_err());
    assert!(db.execute("UPDATE audit_checkpoints SET at_ms = 1", []).is_err());
    let doctor = store.ok(&["doctor", "--output", "json"]);
    assert!(doctor.lines().any(|line| line.contains("\"integrity\"") && line.contains("good")), "{doctor}");
}

#[test]
fn a_long_lived_process_signs_what_it_does_and_says_so_in_its_log() {
    run(60, async {
        let store = TestStore::new();
        // As a plugin that was killed left it: events that nobody signed.
        let key = std::fs::read(store.data.join("audit.key")).unwrap();
        std::fs::remove_file(store.data.join("audit.key")).unwrap();
        let issued = store.issue(APP, USER);
        let (_, told) = verify(&store, &[]);
        assert_ne!(told["signed_up_to"], told["last_event"], "what cannot be signed happens all the same: {told}");
        std::fs::write(store.data.join("audit.key"), key).unwrap();
        std::fs::set_permissions(store.data.join("audit.key"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
        let host = TestHost::start(Setup::on(&store)).await;
        assert!(host.passes(&issued.text, LLM).await);
        let signed = || {
            let db = Connection::open(store.data.join("latchkey.db")).unwrap();
            let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
            count("SELECT max(sequence) FROM audit_checkpoints") == count("SELECT max(sequence) FROM audit_events")
        };
        until(Duration::from_secs(30), "it signs what it finds", signed).await;
    });
}
