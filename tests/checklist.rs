//! The checklist of the real binary: five claims that hold, each broken alone, and the report that an auditor keeps.
#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a failed test is a panic"
)]

#[allow(dead_code, clippy::allow_attributes, reason = "this binary uses a part of it")]
#[path = "admin/desk.rs"]
mod desk;
mod support;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Output};

use desk::{AdminServer, OTHER_TENANT, OTHER_TENANTS_APP, OTHER_TENANTS_USER, operator};
use rusqlite::Connection;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use support::store::bare_command;
use support::{APP, APP_WITHOUT_LIST, Key, OTHER_APP, OTHER_USER, TENANT, TestStore, USER, run};

fn parsed(output: &Output) -> (Option<i32>, Value) {
    let told = serde_json::from_slice(&output.stdout);
    (output.status.code(), told.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr))))
}

/// Runs it on the files.
fn checklist(store: &TestStore, args: &[&str]) -> (Option<i32>, Value) {
    parsed(&store.run(&[&["checklist", "--output", "json"], args].concat()))
}

/// The claims that fail, with the ids of whom they name and why.
fn failing(report: &Value) -> Vec<(String, Vec<(String, String)>)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let claims = report["claims"].as_array().unwrap().iter().filter(|claim| claim["status"] == "fail");
    let named = |claim: &Value| {
        let offenders = claim["offenders"].as_array().unwrap().iter();
        offenders.map(|offender| (text(&offender["credential_id"]), text(&offender["reason"]))).collect()
    };
    claims.map(|claim| (text(&claim["id"]), named(claim))).collect()
}

fn numbers(report: &Value, names: &[&str]) -> Vec<u64> {
    names.iter().map(|name| report[name].as_u64().unwrap_or_else(|| panic!("{name}: {report}"))).collect()
}

fn sql(store: &TestStore, text: &str) {
    let changed = Connection::open(store.data.join("latchkey.db")).unwrap().execute(text, []).unwrap();
    assert_eq!(changed, 1, "{text}");
}

/// The row of a key, for SQL.
fn row(store: &TestStore, key: &Key) -> String {
    let db = Connection::open(store.data.join("latchkey.db")).unwrap();
    let last = "SELECT row_id, hex(id) FROM credentials ORDER BY row_id";
    let mut rows = db.prepare(last).unwrap();
    let all = rows.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))).unwrap();
    let wanted = key.id.parse::<latchkey::domain::CredentialId>().unwrap();
    let hex: String = wanted.as_bytes().iter().map(|byte| format!("{byte:02X}")).collect();
    let found = all.map(Result::unwrap).find(|(_, id)| *id == hex);
    format!("row_id = {}", found.expect("the row").0)
}

/// Keys of another system, as many as one command stores.
fn many(store: &TestStore, count: usize) {
    let digest = |n: usize| Sha256::digest(n.to_string()).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let lines: String = (0..count).map(|n| format!("{{\"sha256\":\"{}\"}}\n", digest(n))).collect();
    let import = ["key", "import", "-", "--tenant", TENANT, "--app", "8", "--user", "10", "--entropy", "high"];
    let output = store.run_with_input(&import, &lines);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn public_key(store: &TestStore) -> String {
    let told: Value = serde_json::from_str(&store.ok(&["audit", "public-key", "--output", "json"])).unwrap();
    told["public_key"].as_str().unwrap().to_owned()
}

#[test]
fn on_a_good_store_every_claim_holds_for_every_key_in_force() {
    let store = TestStore::new();
    let revoked = store.issue(APP, USER);
    store.issue(APP, USER);
    let old = store.issue(OTHER_APP, OTHER_USER);
    // Both are in force: the one in its grace, the other in its place.
    store.rotate(&old, "1h");
    store.issue_for(TENANT, APP, USER, &["--not-before", "2999-01-01T00:00:00Z"]);
    // None of these is.
    store.revoke(&revoked);
    store.issue_for(TENANT, APP, USER, &["--decoy"]);
    let ended = store.issue(APP, USER);
    store.rotate(&ended, "0s");
    let (code, report) = checklist(&store, &[]);
    assert_eq!((code, report["status"].as_str()), (Some(0), Some("pass")), "{report}");
    assert_eq!(numbers(&report, &["population", "checked", "not_usable", "ended_meanwhile"]), [5, 5, 0, 0]);
    assert_eq!((&report["sample"], &report["tenants"]), (&Value::Null, &Value::Null));
    assert_eq!((&report["directory"], &report["population_complete"]), (&json!("store"), &json!(true)));
    let claims = report["claims"].as_array().unwrap();
    let ids: Vec<&str> = claims.iter().map(|claim| claim["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["V1", "V2", "V3", "V4", "V5"]);
    for claim in claims {
        assert_eq!((&claim["status"], numbers(claim, &["checked", "failed"])), (&json!("pass"), vec![5, 0]), "{claim}");
    }
    // What, where, when and who.
    let trail = store.ok(&["audit", "list", "--action", "checklist.run", "--output", "json"]);
    let event: Value = serde_json::from_str(trail.trim()).unwrap();
    assert_eq!((&report["trail_last_event"], &report["trail_head"]), (&event["sequence"], &event["hash"]));
    assert_eq!(report["run_by"], event["actor"]);
    let details =
        json!([["checked", "5"], ["failed", "0"], ["outcome", "pass"], ["population", "5"], ["source", "files"]]);
    assert_eq!(event["details"], details);
    let migrations = std::fs::read_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite")).unwrap();
    assert_eq!(report["schema_version"], migrations.count());
    // As moments: a text of them leaves out a fraction that is zero, and then does not sort.
    let moment = |told: &Value| told.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let (started, finished) = (moment(&report["started_at"]), moment(&report["finished_at"]));
    assert!(started <= finished && moment(&event["at"]) <= finished, "{report} {event}");
    assert!(report["started_at"].as_str().unwrap().ends_with('Z'));
    // For people: a line for each.
    let shown = store.ok(&["checklist"]);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 5, "{shown}");
    assert!(lines.iter().all(|line| line.contains(" pass ") && line.contains("5 checked, 0 failed")), "{shown}");
}

/// How a claim is broken, and made true again.
type Change = Box<dyn Fn(&TestStore)>;

#[test]
fn each_claim_broken_alone_fails_alone_and_names_the_key() {
    let store = TestStore::new();
    store.ok(&["tenant", "create", OTHER_TENANT]);
    store.issue(APP, USER);
    let key = store.issue(OTHER_APP, OTHER_USER);
    let here = row(&store, &key);
    let does = |args: &'static [&'static str]| -> Change { Box::new(move |store| drop(store.ok(args))) };
    let writes = |text: String| -> Change { Box::new(move |store| sql(store, &text)) };
    let set = |text: &str| writes(format!("UPDATE credentials SET {text} WHERE {here}"));
    const ADD: &[&str] = &["app", "add", "--tenant", TENANT, "--id", "8", "--name", "Back office", "--llm", "3"];
    const ADD_USER: &[&str] = &["user", "add", "--tenant", TENANT, "--id", "10", "--email", "bob@acme.example"];
    const REMOVE: &[&str] = &["app", "remove", "--tenant", TENANT, "--id", "8"];
    let cases: Vec<(&str, &str, Change, Change)> = vec![
        (
            "V1",
            "app_inactive",
            Box::new(|store| store.set_app_active(OTHER_APP, false)),
            Box::new(|store| store.set_app_active(OTHER_APP, true)),
        ),
        ("V1", "app_unknown", does(REMOVE), does(ADD)),
        (
            "V1",
            "app_unknown",
            Box::new(|store| {
                store.ok(REMOVE);
                store.ok(&["app", "add", "--tenant", OTHER_TENANT, "--id", "8", "--name", "Moved", "--llm", "3"]);
            }),
            Box::new(|store| {
                store.ok(&["app", "remove", "--tenant", OTHER_TENANT, "--id", "8"]);
                store.ok(ADD);
            }),
        ),
        // To an App that exists, is active and has grants: nothing but the row's own MAC tells.
        ("V1", "row_forged", set("app_id = 7"), set("app_id = 8")),
        ("V1", "row_forged", set("expires_at_ms = 99999999999999"), set("expires_at_ms = NULL")),
        (
            "V2",
            "user_inactive",
            Box::new(|store| store.set_user_active(OTHER_USER, false)),
            Box::new(|store| store.set_user_active(OTHER_USER, true)),
        ),
        ("V2", "user_unknown", does(&["user", "remove", "--tenant", TENANT, "--id", "10"]), does(ADD_USER)),
        (
            "V3",
            "app_incomplete",
            writes("UPDATE apps SET name = '' WHERE app_id = 8".to_owned()),
            writes("UPDATE apps SET name = 'Back office' WHERE app_id = 8".to_owned()),
        ),
        (
            "V4",
            "user_incomplete",
            writes("UPDATE users SET email = '' WHERE user_id = 10".to_owned()),
            writes("UPDATE users SET email = 'bob@acme.example' WHERE user_id = 10".to_owned()),
        ),
        (
            "V5",
            "llm_not_granted",
            writes("DELETE FROM app_llms WHERE app_id = 8".to_owned()),
            does(&["app", "set", "--tenant", TENANT, "--id", "8", "--llm", "3"]),
        ),
        // Two ids under one slug: no request that names both can be let in.
        (
            "V5",
            "llm_contradiction",
            does(&["app", "set", "--tenant", TENANT, "--id", "8", "--llm", "3=gpt", "--llm", "4=gpt"]),
            does(&["app", "set", "--tenant", TENANT, "--id", "8", "--llm", "3"]),
        ),
    ];
    for (claim, reason, break_it, mend_it) in cases {
        let (code, report) = checklist(&store, &[]);
        assert_eq!((code, report["status"].as_str()), (Some(0), Some("pass")), "before {claim} {reason}: {report}");
        break_it(&store);
        let (code, report) = checklist(&store, &[]);
        let expected = vec![(claim.to_owned(), vec![(key.id.clone(), reason.to_owned())])];
        assert_eq!((code, report["status"].as_str()), (Some(1), Some("fail")), "{claim} {reason}: {report}");
        assert_eq!(failing(&report), expected, "{report}");
        let shown = store.run(&["checklist"]);
        let shown = (shown.status.code(), String::from_utf8(shown.stdout).unwrap());
        let line = shown.1.lines().find(|line| line.starts_with(claim)).unwrap();
        assert!(line.contains(" fail ") && line.contains(&key.id) && line.contains(reason), "{line}");
        assert_eq!((shown.0, shown.1.matches(&key.id).count()), (Some(1), 1), "{}", shown.1);
        mend_it(&store);
    }
}

#[test]
fn a_row_that_does_not_read_as_a_credential_is_no_pass() {
    let store = TestStore::new();
    let key = store.issue(APP, USER);
    store.issue(APP, USER);
    let here = row(&store, &key);
    sql(&store, &format!("UPDATE credentials SET app_id = 0 WHERE {here}"));
    let output = store.run(&["checklist", "--output", "json"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "nothing is said of the others either");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("list credentials"), "{said}");
    sql(&store, &format!("UPDATE credentials SET app_id = 7 WHERE {here}"));
    assert_eq!(checklist(&store, &[]).0, Some(0));
}

#[test]
fn an_app_and_a_user_that_both_are_wrong_fail_both_claims() {
    let store = TestStore::new();
    let key = store.issue(OTHER_APP, OTHER_USER);
    store.set_app_active(OTHER_APP, false);
    store.ok(&["user", "remove", "--tenant", TENANT, "--id", "10"]);
    let (code, report) = checklist(&store, &[]);
    let of = |claim: &str, reason: &str| (claim.to_owned(), vec![(key.id.clone(), reason.to_owned())]);
    assert_eq!(code, Some(1));
    assert_eq!(failing(&report), [of("V1", "app_inactive"), of("V2", "user_unknown")], "{report}");
    assert_eq!(report["claims"][3]["status"], "not_checked", "of no User, no object: {report}");
}

#[test]
fn an_app_without_a_list_passes_only_where_tenant_and_machine_say_so() {
    let store = TestStore::new();
    let key = store.issue(APP_WITHOUT_LIST, USER);
    let with = |machine: &str| {
        let mut command = store.command(&["checklist", "--output", "json"]);
        parsed(&command.env("LATCHKEY_AUTH__LLM_GRANTS", machine).output().unwrap())
    };
    let refused = vec![("V5".to_owned(), vec![(key.id.clone(), "llm_not_granted".to_owned())])];
    assert_eq!(failing(&with("tenant").1), refused, "the tenant does not say so");
    store.ok(&["tenant", "set", TENANT, "--llm-grants", "unchecked"]);
    assert_eq!(failing(&with("required").1), refused, "the machine does not say so");
    assert_eq!(with("tenant").0, Some(0), "both do");
}

#[test]
fn nothing_to_check_is_no_pass_and_a_suspended_tenants_keys_are_no_failures() {
    let store = TestStore::new();
    let (code, report) = checklist(&store, &[]);
    assert_eq!((code, report["status"].as_str()), (Some(1), Some("not_checked")), "{report}");
    assert!(report["claims"].as_array().unwrap().iter().all(|claim| claim["status"] == "not_checked"), "{report}");
    let said = String::from_utf8(store.run(&["checklist"]).stderr).unwrap();
    assert!(said.contains("that is no pass"), "{said}");
    store.issue(OTHER_APP, USER);
    store.set_app_active(OTHER_APP, false);
    assert_eq!(checklist(&store, &[]).1["status"], "fail");
    store.ok(&["tenant", "suspend", TENANT]);
    let (code, report) = checklist(&store, &[]);
    assert_eq!((code, report["status"].as_str()), (Some(1), Some("not_checked")), "{report}");
    assert_eq!(numbers(&report, &["population", "checked", "not_usable"]), [1, 0, 1]);
    // Beside a tenant whose keys are good.
    store.ok(&["tenant", "create", OTHER_TENANT]);
    store.ok(&["app", "add", "--tenant", OTHER_TENANT, "--id", "21", "--name", "Theirs", "--llm", "3"]);
    store.ok(&["user", "add", "--tenant", OTHER_TENANT, "--id", "22", "--email", "eve@globex.example"]);
    store.issue_for(OTHER_TENANT, OTHER_TENANTS_APP, OTHER_TENANTS_USER, &[]);
    let (code, report) = checklist(&store, &[]);
    assert_eq!(
        (code, numbers(&report, &["population", "checked", "not_usable"])),
        (Some(0), vec![2, 1, 1]),
        "{report}"
    );
    let (code, report) = checklist(&store, &["--tenant", TENANT]);
    assert_eq!((code, report["tenants"].clone()), (Some(1), json!([TENANT])), "{report}");
}

#[test]
fn a_sample_has_the_size_that_was_asked_for_and_is_another_each_time() {
    let store = TestStore::new();
    // More than the store hands out at once.
    many(&store, 700);
    let (code, report) = checklist(&store, &["--sample", "20"]);
    assert_eq!(
        (code, numbers(&report, &["population", "checked", "sample"])),
        (Some(0), vec![700, 20, 20]),
        "{report}"
    );
    let (code, report) = checklist(&store, &["--sample", "5000"]);
    assert_eq!((code, numbers(&report, &["population", "checked"])), (Some(0), vec![700, 700]), "all there are");
    store.set_app_active(OTHER_APP, false);
    let ids = || -> BTreeSet<String> {
        let (code, report) = checklist(&store, &["--sample", "20"]);
        assert_eq!((code, &report["claims"][0]["failed"]), (Some(1), &json!(20)), "{report}");
        failing(&report).remove(0).1.into_iter().map(|(id, _)| id).collect()
    };
    let (first, second) = (ids(), ids());
    assert_eq!((first.len(), second.len()), (20, 20), "nobody twice");
    assert_ne!(first, second);
    let (code, report) = checklist(&store, &[]);
    assert_eq!((code, numbers(&report["claims"][0], &["checked", "failed"])), (Some(1), vec![700, 700]));
    assert_eq!(report["claims"][0]["offenders"].as_array().unwrap().len(), 20, "the first of them");
    for wrong in [&["--sample", "0"][..], &["--sample", "-1"], &["--sample", "x"], &["--sample", "100001"]] {
        let output = store.run(&[&["checklist"], wrong].concat());
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{wrong:?}");
    }
}

/// The report in a file, as it is kept.
fn saved(store: &TestStore, args: &[&str]) -> (PathBuf, String) {
    let file = store.data.with_file_name("report.json");
    let text = String::from_utf8(store.run(&[&["checklist", "--output", "json"], args].concat()).stdout).unwrap();
    std::fs::write(&file, &text).unwrap();
    (file, text)
}

#[test]
fn a_report_is_verified_anywhere_and_one_that_was_edited_is_not() {
    let (store, elsewhere) = (TestStore::new(), TestStore::empty());
    store.issue(APP, USER);
    store.issue(APP_WITHOUT_LIST, USER);
    let key = public_key(&store);
    let (file, text) = saved(&store, &[]);
    let verify = |text: &str, more: &[&str]| {
        std::fs::write(&file, text).unwrap();
        let path = file.to_str().unwrap();
        parsed(&elsewhere.run(&[&["checklist", "--verify", path, "--output", "json"], more].concat()))
    };
    let trusted = ["--public-key", &key];
    let (code, told) = verify(&text, &trusted);
    assert_eq!(
        (code, told["genuine"].as_bool(), told["status"].as_str()),
        (Some(0), Some(true), Some("fail")),
        "{told}"
    );
    assert_eq!((&told["signed_by"], &told["trusted_key"]), (&json!(key), &json!(key)));
    let (code, told) = verify(text.trim_end(), &[]);
    assert_eq!((code, told["genuine"].as_bool()), (Some(0), Some(true)), "whoever signed it: {told}");
    let report: Value = serde_json::from_str(&text).unwrap();
    let offender = failing(&report)[0].1[0].0.clone();
    let signature = report["signature"].to_string();
    let edits = [
        text.replace("\"status\":\"fail\"", "\"status\":\"pass\""),
        text.replace("\"failed\":1", "\"failed\":0"),
        text.replace(&offender, "0000000000000000000001"),
        text.replace("\"tenants\":null", "\"tenants\":[\"acme\"]"),
        text.replace("\"population\":2", "\"population\":3"),
        text.replace("\"run_by\":\"local:", "\"run_by\":\"local:1"),
        // The same facts, written differently.
        text.replacen(":", ": ", 1),
        format!("{}\n", serde_json::to_string_pretty(&report).unwrap()),
        // A signature of something else.
        text.replace(report["signature"]["value"].as_str().unwrap(), &"0".repeat(128)),
        text.replace(report["signature"]["public_key"].as_str().unwrap(), &"0".repeat(64)),
        text.replace("Ed25519", "ed25519"),
        text.replace(&signature, "null"),
    ];
    for edited in edits {
        assert_ne!(edited, text);
        for more in [&trusted[..], &[]] {
            let (code, told) = verify(&edited, more);
            assert_eq!((code, told["genuine"].as_bool()), (Some(1), Some(false)), "{edited}: {told}");
        }
    }
    // Somebody with a key of their own signs what they like.
    let (_, forged) = saved(&elsewhere, &[]);
    let (code, told) = verify(&forged, &trusted);
    assert_eq!((code, told["genuine"].as_bool()), (Some(1), Some(false)), "{told}");
    assert!(told["statement"].as_str().unwrap().contains("another key"), "{told}");
    // A checkpoint is signed by the same key, and is no report.
    for other in
        [store.ok(&["audit", "checkpoint"]), "{}".to_owned(), text.replace("report_version\":1", "report_version\":2")]
    {
        std::fs::write(&file, other).unwrap();
        let refused = elsewhere.run(&["checklist", "--verify", file.to_str().unwrap()]);
        assert_eq!((refused.status.code(), refused.stdout.len()), (Some(2), 0));
    }
    for wrong in [&["--verify", "/nowhere"][..], &["--public-key", &key], &["--verify", "x", "--sample", "1"]] {
        assert_eq!(elsewhere.run(&[&["checklist"], wrong].concat()).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn a_report_is_verified_with_openssl_as_the_page_says() {
    if Command::new("openssl").arg("version").output().is_err() || Command::new("xxd").arg("-v").output().is_err() {
        return; // Not on this machine.
    }
    let store = TestStore::new();
    store.issue(APP, USER);
    let (file, text) = saved(&store, &[]);
    let page = std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/AUDIT.md")).unwrap();
    let script = page.split("```\nreport=").nth(1).and_then(|rest| rest.split("```").next()).expect("the lines");
    let script = format!("report={}", script.replace("KEY", &public_key(&store)));
    let verified = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let script = format!("{script}\n");
        let output = Command::new("bash").arg("-c").arg(script).current_dir(file.parent().unwrap()).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (good, said) = verified(&text);
    assert!(good && said.contains("Signature Verified Successfully"), "{said}");
    let (good, said) = verified(&text.replace("\"checked\":1", "\"checked\":2"));
    assert!(!good && !said.contains("Successfully"), "{said}");
}

#[test]
fn without_the_key_the_report_says_so_and_is_none_that_verifies() {
    let store = TestStore::new();
    store.issue(APP, USER);
    std::fs::remove_file(store.data.join("audit.key")).unwrap();
    let (file, text) = saved(&store, &[]);
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&report["signature"], &report["status"]), (&Value::Null, &json!("pass")));
    assert!(report["unsigned_because"].as_str().unwrap().contains("cannot be read"), "{report}");
    assert!(!text.contains(store.data.to_str().unwrap()), "no paths of the machine: {text}");
    let told = parsed(&store.run(&["checklist", "--verify", file.to_str().unwrap(), "--output", "json"]));
    assert_eq!((told.0, told.1["genuine"].as_bool()), (Some(1), Some(false)), "{told:?}");
}

/// What two runs on one store have in common.
fn comparable(mut report: Value) -> Value {
    for name in ["started_at", "finished_at", "trail_last_event", "trail_head", "signature", "run_by"] {
        assert!(report.as_object_mut().unwrap().remove(name).is_some(), "{name}");
    }
    report
}

#[test]
fn f1_over_the_rpc_it_is_the_same_report_and_who_is_bound_has_one_of_their_own_tenants() {
    run(90, async {
        let store = desk::store();
        let theirs = store.issue_for(OTHER_TENANT, OTHER_TENANTS_APP, OTHER_TENANTS_USER, &[]);
        let ours = store.issue(APP_WITHOUT_LIST, USER);
        store.issue(APP, USER);
        let auditor = operator(&store, "auditor", "auditor", &[OTHER_TENANT]);
        let server = AdminServer::start(&store, &[]);
        let remote = |token: &str, args: &[&str]| {
            let mut command = bare_command();
            command.current_dir("/").args(["--server", &server.url(), "checklist", "--output", "json"]).args(args);
            let output = command.env("LATCHKEY_TOKEN", token).output().unwrap();
            store.canaries.assert_absent("a checklist", &[output.stdout.clone(), output.stderr.clone()].concat());
            output
        };
        let (code, online) = parsed(&remote(&store.operator_token, &[]));
        let (offline_code, offline) = checklist(&store, &[]);
        assert_eq!((code, offline_code), (Some(1), Some(1)), "{online}");
        assert_eq!(failing(&online), [("V5".to_owned(), vec![(ours.id.clone(), "llm_not_granted".to_owned())])]);
        assert!(online["run_by"].as_str().unwrap().starts_with("operator:"), "{online}");
        assert_eq!(comparable(online), comparable(offline));
        // Signed by the server, and checked here with nothing but the file.
        let output = remote(&store.operator_token, &["--tenant", OTHER_TENANT]);
        let file = store.data.with_file_name("report.json");
        std::fs::write(&file, &output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0));
        let key = public_key(&store);
        let check = ["checklist", "--verify", file.to_str().unwrap(), "--public-key", &key];
        assert!(bare_command().args(check).output().unwrap().status.success());
        // Who is bound.
        let output = remote(&auditor, &[]);
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        let (code, report) = parsed(&output);
        assert_eq!((code, &report["tenants"]), (Some(0), &json!([OTHER_TENANT])), "{report}");
        assert_eq!(numbers(&report, &["population", "checked"]), [1, 1]);
        assert!(!text.contains(TENANT) && !text.contains(&ours.id), "{text}");
        for slug in [TENANT, "nobody"] {
            let output = remote(&auditor, &["--tenant", slug]);
            assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{slug}");
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(said.contains(&format!("there is no tenant {slug}")), "{said}");
        }
        // A failure of theirs is named to them, and their run stands in their part of the trail.
        store.ok(&["app", "set", "--tenant", OTHER_TENANT, "--id", "21", "--active", "false"]);
        let (code, report) = parsed(&remote(&auditor, &["--sample", "5"]));
        assert_eq!(code, Some(1));
        assert_eq!(failing(&report), [("V1".to_owned(), vec![(theirs.id.clone(), "app_inactive".to_owned())])]);
        let mut command = bare_command();
        command.current_dir("/").args(["--server", &server.url(), "audit", "list", "--action", "checklist.run"]);
        let listed = command.args(["--output", "json"]).env("LATCHKEY_TOKEN", &auditor).output().unwrap();
        let events = String::from_utf8(listed.stdout).unwrap();
        assert_eq!(events.lines().count(), 3, "two of theirs, and one that was about their tenant alone: {events}");
        store.canaries.assert_absent("the server's log", server.log().as_bytes());
    });
}
