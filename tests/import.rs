//! Keys of other systems on the real binary: taken over, proven, never found by what leaked (rule R6).
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

use std::time::Duration;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use support::{APP, LLM, Setup, TENANT, TestHost, TestStore, USER, run, sleep_ms, until};

fn sha256(key: &str) -> String {
    Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn import(store: &TestStore, lines: &str, args: &[&str]) -> (Option<i32>, Value) {
    let app =
        [&["key", "import", "-", "--tenant", TENANT, "--app", "7", "--user", "9", "--output", "json"], args].concat();
    let output = store.run_with_input(&app, lines);
    store.canaries.assert_absent("an import", &[output.stdout.clone(), output.stderr.clone()].concat());
    let told = String::from_utf8(output.stdout).unwrap();
    let report = serde_json::from_str(&told).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), report)
}

#[test]
fn r6_an_imported_key_is_accepted_at_once_everywhere_and_a_leaked_digest_never() {
    run(120, async {
        let store = TestStore::new();
        let host = TestHost::start(Setup::on(&store)).await;
        let key = store.canaries.make("an imported key", 40);
        assert!(!host.passes(&key, LLM).await, "unknown yet");
        let line = format!(r#"{{"sha256":"{}","label":"old gateway","scopes":["chat"]}}"#, sha256(&key));
        let (code, report) = import(&store, &line, &["--entropy", "high"]);
        assert_eq!((code, report["imported"].as_u64(), report["weak"].as_u64()), (Some(0), Some(1), Some(0)));
        sleep_ms(200).await;
        assert!(host.passes(&key, LLM).await, "what was refused before the import is known after it");
        assert!(host.passes(&key, LLM).await, "and remembered");
        assert!(!host.passes(&sha256(&key), LLM).await, "a digest is no key");
        assert!(!host.passes(&format!("{key}x"), LLM).await);
        assert!(!host.passes(&key, support::FOREIGN_LLM).await, "its App's grants hold for it too");
        let bytes = std::fs::read(store.data.join("latchkey.db")).unwrap();
        let wal = std::fs::read(store.data.join("latchkey.db-wal")).unwrap_or_default();
        let raw = Sha256::digest(&key);
        for file in [bytes, wal] {
            store.canaries.assert_absent("the database", &file);
            assert!(!file.windows(32).any(|window| window == raw.as_slice()), "the raw digest is stored");
        }
        let listed = store.ok(&["key", "list", "--tenant", TENANT, "--output", "json"]);
        let id = serde_json::from_str::<Value>(listed.lines().last().unwrap()).unwrap()["credential_id"].clone();
        store.ok(&["key", "revoke", id.as_str().unwrap()]);
        sleep_ms(200).await;
        assert!(!host.passes(&key, LLM).await, "revoked like any other");
        let explained = store.run_with_input(&["key", "explain", "--output", "json"], &key);
        assert!(String::from_utf8(explained.stdout).unwrap().contains("\"reason\":\"revoked\""));
    });
}

#[test]
fn a4_keys_of_low_entropy_are_kept_by_argon2id_and_never_get_a_tag() {
    run(120, async {
        let store = TestStore::new();
        let (code, report) =
            import(&store, r#"{"key":"correct horse battery","app":7,"user":9}"#, &["--format", "kong"]);
        assert_eq!((code, report["weak"].as_u64()), (Some(0), Some(1)));
        let host = TestHost::start(Setup::on(&store)).await;
        assert!(!host.passes("correct horse batterY", LLM).await);
        // Spaces have no place in a credential.
        assert!(!host.passes("correct horse battery", LLM).await);
        import(&store, r#"{"key":"correct-horse-battery","app":7,"user":9}"#, &["--format", "kong"]);
        sleep_ms(200).await;
        assert!(host.passes("correct-horse-battery", LLM).await);
        store.ok(&["tenant", "set", TENANT, "--name", "Changed"]);
        sleep_ms(200).await;
        assert!(host.passes("correct-horse-battery", LLM).await, "without another hash");
        let db = rusqlite::Connection::open(store.data.join("latchkey.db")).unwrap();
        let tags: i64 = db.query_row("SELECT count(tag) FROM verifiers", [], |row| row.get(0)).unwrap();
        let hashes: i64 = db
            .query_row("SELECT count(*) FROM verifiers WHERE phc LIKE '$argon2id$%m=19456,t=2,p=1$%'", [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!((tags, hashes), (0, 2), "at the floor of OWASP, and only so");
        let four_gib = r#"{"credential_id":"0000000000000000000001","phc":"$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g"}"#;
        let (code, report) = import(&store, four_gib, &[]);
        assert_eq!((code, report["refused"].as_u64()), (Some(1), Some(1)), "{report}");
        assert_eq!(report["refusals"][0]["line"], 1);
    });
}

#[test]
fn r13_refusals_of_foreign_forms_take_the_same_time_whatever_is_found() {
    run(120, async {
        let store = TestStore::new();
        let [good, revoked] = [(); 2].map(|()| store.canaries.make("an imported key", 40));
        let lines = format!("{{\"sha256\":\"{}\"}}\n{{\"sha256\":\"{}\"}}", sha256(&good), sha256(&revoked));
        import(&store, &lines, &["--entropy", "high"]);
        import(&store, r#"{"key":"low-entropy-key-1"}"#, &[]);
        let listed = store.ok(&["key", "list", "--tenant", TENANT, "--output", "json"]);
        for line in listed.lines() {
            let view: Value = serde_json::from_str(line).unwrap();
            if store.run_with_input(&["key", "explain", view["credential_id"].as_str().unwrap()], "").status.success() {
                continue;
            }
        }
        let host = TestHost::start(Setup::on(&store)).await;
        assert!(host.passes(&good, LLM).await);
        let mut times = Vec::new();
        for key in
            [store.canaries.make("unknown", 40), "low-entropy-key-2".to_owned(), "another-unknown-one".to_owned()]
        {
            let start = std::time::Instant::now();
            assert!(!host.passes(&key, LLM).await);
            times.push(start.elapsed());
        }
        assert!(times.iter().all(|time| *time >= Duration::from_millis(100)), "held back: {times:?}");
        let junk = format!("lk_live_{}_{}", "0".repeat(22), "z".repeat(49));
        let start = std::time::Instant::now();
        assert!(!host.passes(&junk, LLM).await);
        assert!(start.elapsed() < Duration::from_millis(90), "our own form is not held back");
    });
}

#[test]
fn a3_imported_keys_move_to_a_new_pepper_at_their_next_use() {
    run(120, async {
        let store = TestStore::new();
        let key = store.canaries.make("an imported key", 40);
        import(&store, &format!(r#"{{"sha256":"{}"}}"#, sha256(&key)), &["--entropy", "high"]);
        let old = store.ok(&["pepper", "status", "--output", "json"]);
        let old = serde_json::from_str::<Value>(old.trim()).unwrap()["fingerprint"].as_str().unwrap().to_owned();
        store.ok(&["pepper", "rotate"]);
        let held = store.run(&["pepper", "retire", &old, "--drop-tags"]);
        assert_eq!(held.status.code(), Some(1), "without its handle it could not be found again");
        let host = TestHost::start(Setup::on(&store)).await;
        assert!(host.passes(&key, LLM).await);
        until(Duration::from_secs(10), "it moved", || store.run(&["pepper", "retire", &old]).status.success()).await;
        sleep_ms(200).await;
        assert!(host.passes(&key, LLM).await, "found by its new handle");
    });
}

#[test]
fn what_one_store_exports_another_imports_without_a_secret() {
    run(120, async {
        let (from, to) = (TestStore::new(), TestStore::new());
        let [key, revoked] =
            [(); 2].map(|()| from.issue_for(TENANT, APP, USER, &["--scope", "chat", "--expires-in", "1d"]));
        from.revoke(&revoked);
        let lines = from.ok(&["key", "export", "--tenant", TENANT]);
        from.canaries.assert_absent("an export", lines.as_bytes());
        assert_eq!(lines.lines().count(), 1, "what was taken back does not go along");
        let (code, report) = import(&to, &lines, &[]);
        assert_eq!((code, report["imported"].as_u64()), (Some(0), Some(1)), "{report}");
        let host = TestHost::start(Setup::on(&to)).await;
        assert!(host.passes(&key.text, LLM).await, "proven by its slow hash");
        assert!(!host.passes(&key.forged(&to.canaries.make("wrong", 43)), LLM).await);
        let tagged = || to.ok(&["key", "show", &key.id, "--output", "json"]).contains("\"proof\":\"tag\"");
        until(Duration::from_secs(10), "it has a tag after its first use", tagged).await;
        let (_, again) = import(&to, &lines, &[]);
        assert_eq!((again["imported"].as_u64(), again["already_there"].as_u64()), (Some(0), Some(1)));
    });
}
