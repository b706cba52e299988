//! Backups of live stores, and restores after which nothing that was taken back is good again (rule R9).
#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a failed test is a panic"
)]

mod support;

use std::path::PathBuf;

use serde_json::Value;
use support::{APP, Key, LLM, Setup, TENANT, TestHost, TestStore, USER, run, sleep_ms};

fn passes(store: &TestStore, key: &Key) -> bool {
    store.run_with_input(&["authenticate", "--llm-id", "3"], &key.text).status.success()
}

fn backup(store: &TestStore, name: &str) -> PathBuf {
    let file = store.data.parent().unwrap().join(name);
    let told: Value = serde_json::from_str(&store.ok(&["backup", file.to_str().unwrap(), "--output", "json"])).unwrap();
    assert_eq!(told["file"].as_str(), file.to_str());
    file
}

fn stderr(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a2_a_backup_of_a_live_store_is_whole_and_holds_no_secret() {
    run(120, async {
        let store = TestStore::new();
        let keys: Vec<_> = (0..5).map(|_| store.issue(APP, USER)).collect();
        let host = TestHost::start(Setup::on(&store)).await;
        host.must_accept(&keys[0], "before").await;
        let file = backup(&store, "one.db");
        let bytes = std::fs::read(&file).unwrap();
        store.canaries.assert_absent("the backup", &bytes);
        let pepper = std::fs::read_to_string(store.data.join("pepper")).unwrap();
        assert!(!bytes.windows(64).any(|window| window == pepper.trim().as_bytes()));
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        assert!(!file.with_extension("db-wal").exists(), "one file");
        let again = store.run(&["backup", file.to_str().unwrap()]);
        assert_eq!(again.status.code(), Some(1), "nothing is overwritten");
        assert!(stderr(&again).contains("exists already"));
        let refused = store.run(&["restore", file.to_str().unwrap()]);
        assert!(stderr(&refused).contains("in use"), "r9: refused under a live process: {}", stderr(&refused));
    });
}

#[test]
fn r9_a_restore_carries_revocations_forward_and_says_so_in_the_trail() {
    let store = TestStore::new();
    let [kept, revoked, before] = [(); 3].map(|()| store.issue(APP, USER));
    store.revoke(&before);
    let file = backup(&store, "two.db");
    store.revoke(&revoked);
    let later = store.issue(APP, USER);
    let told: Value =
        serde_json::from_str(&store.ok(&["restore", file.to_str().unwrap(), "--output", "json"])).unwrap();
    assert_eq!((&told["revocations_carried_over"], &told["credentials_not_in_the_backup"]), (&1.into(), &1.into()));
    assert!(passes(&store, &kept) && !passes(&store, &later));
    assert!(!passes(&store, &revoked), "what was revoked after the backup stays so");
    assert!(!passes(&store, &before));
    let shown: Value = serde_json::from_str(&store.ok(&["key", "show", &revoked.id, "--output", "json"])).unwrap();
    assert_eq!(shown["revocation_reason"], "key_compromise");
    let fresh = store.issue(APP, USER);
    assert!(passes(&store, &fresh));
    let doctor = store.ok(&["doctor", "--output", "json"]);
    let integrity = doctor.lines().find(|line| line.contains("\"integrity\"")).unwrap();
    assert!(integrity.contains("\"good\""), "the trail is whole across the restore: {integrity}");
    let replaced = PathBuf::from(told["replaced"].as_str().unwrap());
    assert!(replaced.exists(), "the replaced database is kept");
    let restored = rusqlite::Connection::open(store.data.join("latchkey.db")).unwrap();
    let details: String = restored
        .query_row("SELECT details FROM audit_events WHERE action = 'store.restored'", [], |row| row.get(0))
        .unwrap();
    assert!(details.contains("trail_head") && details.contains("trail_length"), "{details}");
}

#[test]
fn r9_a_tenant_that_was_suspended_after_the_backup_stays_suspended() {
    let store = TestStore::new();
    let key = store.issue(APP, USER);
    let file = backup(&store, "three.db");
    store.ok(&["tenant", "suspend", TENANT]);
    store.ok(&["restore", file.to_str().unwrap()]);
    assert!(!passes(&store, &key));
    store.ok(&["tenant", "resume", TENANT]);
    assert!(passes(&store, &key));
}

#[test]
fn r9_without_the_replaced_store_the_operator_must_accept_what_is_lost() {
    let store = TestStore::new();
    let key = store.issue(APP, USER);
    let file = backup(&store, "four.db");
    store.revoke(&key);
    let db = store.data.join("latchkey.db");
    let whole = std::fs::read(&db).unwrap();
    let mut broken = whole.clone();
    let middle = broken.len() / 2;
    broken[middle..middle + 8192].fill(0xa5);
    std::fs::write(&db, &broken).unwrap();
    let refused = store.run(&["restore", file.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("--accept-lost-revocations"), "{}", stderr(&refused));
    assert_eq!(std::fs::read(&db).unwrap(), broken, "nothing was touched");
    store.ok(&["restore", file.to_str().unwrap(), "--accept-lost-revocations"]);
    assert!(passes(&store, &key), "lost, as was accepted");
    let restored = rusqlite::Connection::open(&db).unwrap();
    let details: String = restored
        .query_row("SELECT details FROM audit_events WHERE action = 'store.restored'", [], |row| row.get(0))
        .unwrap();
    assert!(details.contains("accepted_lost_revocations"), "{details}");
}

#[test]
fn a_backup_that_is_none_or_of_another_pepper_is_refused_and_nothing_changes() {
    let (store, other) = (TestStore::new(), TestStore::new());
    let key = store.issue(APP, USER);
    let foreign = backup(&other, "foreign.db");
    let refused = store.run(&["restore", foreign.to_str().unwrap()]);
    assert!(stderr(&refused).contains("pepper"), "{}", stderr(&refused));
    let junk = store.data.parent().unwrap().join("junk.db");
    std::fs::write(&junk, b"not a database, whatever it is called".repeat(200)).unwrap();
    let refused = store.run(&["restore", junk.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1));
    let file = backup(&store, "good.db");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 4096].fill(0x5a);
    std::fs::write(&junk, bytes).unwrap();
    assert_eq!(store.run(&["restore", junk.to_str().unwrap()]).status.code(), Some(1));
    assert!(passes(&store, &key));
    let left: Vec<_> = std::fs::read_dir(&store.data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with(".restore")), "{left:?}");
}

#[test]
fn r9_a_file_that_is_put_in_the_stores_place_by_hand_is_opened_anew() {
    run(60, async {
        let store = TestStore::new();
        let [kept, revoked] = [(); 2].map(|()| store.issue(APP, USER));
        let file = backup(&store, "five.db");
        store.revoke(&revoked);
        let host = TestHost::start(Setup::on(&store)).await;
        host.must_accept(&kept, "before").await;
        assert!(!host.passes(&revoked.text, LLM).await);
        // Against all advice, under a live process.
        let copy = store.data.join("copy");
        std::fs::copy(&file, &copy).unwrap();
        std::fs::rename(&copy, store.data.join("latchkey.db")).unwrap();
        for suffix in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(store.data.join(format!("latchkey.db{suffix}")));
        }
        sleep_ms(150).await;
        let start = std::time::Instant::now();
        loop {
            if host.passes(&revoked.text, LLM).await {
                break; // The file that is there now says so.
            }
            assert!(start.elapsed().as_secs() < 10, "not opened anew");
            sleep_ms(50).await;
        }
        host.must_accept(&kept, "from the new file").await;
    });
}

#[test]
fn a_doctor_names_what_is_wrong_and_what_to_do() {
    let store = TestStore::new();
    let verdicts = |store: &TestStore| {
        let output = store.run(&["doctor", "--output", "json"]);
        let lines = String::from_utf8(output.stdout).unwrap();
        let of = |line: &str| {
            let view: Value = serde_json::from_str(line).unwrap();
            (view["check"].as_str().unwrap().to_owned(), view["verdict"].as_str().unwrap().to_owned())
        };
        (output.status.code(), lines.lines().map(of).collect::<Vec<_>>(), lines)
    };
    let (code, found, _) = verdicts(&store);
    assert_eq!(code, Some(0), "{found:?}");
    assert!(found.contains(&("pepper".to_owned(), "warning".to_owned())), "beside the database: {found:?}");
    assert!(found.contains(&("integrity".to_owned(), "good".to_owned())));
    assert!(found.contains(&("audit".to_owned(), "warning".to_owned())), "its key is beside the database: {found:?}");
    let chmod = |name: &str, mode| {
        std::fs::set_permissions(store.data.join(name), std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    };
    chmod("audit.key", 0o644);
    let (code, found, text) = verdicts(&store);
    assert_eq!(code, Some(1));
    assert!(found.contains(&("files".to_owned(), "problem".to_owned())) && text.contains("chmod 600"), "{text}");
    assert!(found.contains(&("audit".to_owned(), "problem".to_owned())), "it is not signed: {found:?}");
    chmod("audit.key", 0o600);
    let pepper = std::fs::read(store.data.join("pepper")).unwrap();
    std::fs::remove_file(store.data.join("pepper")).unwrap();
    assert!(verdicts(&store).1.contains(&("pepper".to_owned(), "problem".to_owned())));
    std::fs::write(store.data.join("pepper"), pepper).unwrap();
    chmod("pepper", 0o600);
    let db = rusqlite::Connection::open(store.data.join("latchkey.db")).unwrap();
    db.execute("UPDATE changes SET at_ms = at_ms + 7200000", []).unwrap();
    let (_, found, _) = verdicts(&store);
    assert!(found.contains(&("clock".to_owned(), "problem".to_owned())), "an hour behind: {found:?}");
    db.execute("DROP TRIGGER audit_events_are_never_changed", []).unwrap();
    db.execute("UPDATE audit_events SET actor = 'local:77' WHERE sequence = 2", []).unwrap();
    drop(db);
    let (_, found, text) = verdicts(&store);
    assert!(found.contains(&("integrity".to_owned(), "problem".to_owned())) && text.contains("event 2"), "{text}");
}

#[test]
fn the_schema_is_shown_without_touching_it() {
    let store = TestStore::empty();
    let told: Value = serde_json::from_str(&store.ok(&["migrate", "status", "--output", "json"])).unwrap();
    assert_eq!(told["schema"], told["known"]);
    assert_eq!(told["pending"].as_array().unwrap().len(), 0);
    let (store, _) = TestStore::fixture("schema-0011");
    let told: Value = serde_json::from_str(&store.ok(&["migrate", "status", "--output", "json"])).unwrap();
    assert_eq!(told["pending"].as_array().unwrap()[0], "0012_number_credentials");
    let told: Value = serde_json::from_str(&store.ok(&["migrate", "up", "--output", "json"])).unwrap();
    assert_eq!(told["schema"], told["known"]);
}
