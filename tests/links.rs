//! Links on the files: what is made of them by the command line, whoever edits the database, a lost key, and a restore.
#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a failed test is a panic"
)]

mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::Value;
use support::{APP, OTHER_APP, TENANT, TestStore, USER};

const ISSUER: &str = "https://id.example/realms/acme";

fn words(subject: &str) -> Vec<String> {
    let line = format!("link add --tenant {TENANT} --issuer {ISSUER} --subject {subject} --app {APP} --user {USER}");
    line.split(' ').chain(["--output", "json"]).map(str::to_owned).collect()
}

fn add(store: &TestStore, subject: &str) -> String {
    let words = words(subject);
    let made: Value = serde_json::from_str(&store.ok(&words.iter().map(String::as_str).collect::<Vec<_>>())).unwrap();
    made["link_id"].as_str().unwrap().to_owned()
}

fn refused(store: &TestStore, subject: &str) -> String {
    let words = words(subject);
    let output = store.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap()
}

fn list(store: &TestStore, more: &[&str]) -> Vec<Value> {
    let told = store.ok(&[&["link", "list", "--tenant", TENANT, "--output", "json"], more].concat());
    told.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn key(store: &TestStore) -> PathBuf {
    store.data.join("subject.key")
}

fn put(store: &TestStore, bytes: &[u8]) {
    std::fs::write(key(store), bytes).unwrap();
    std::fs::set_permissions(key(store), std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn doctor(store: &TestStore) -> (String, String) {
    let told = store.run(&["doctor", "--quick", "--output", "json"]).stdout;
    let told = String::from_utf8(told).unwrap();
    let line = told.lines().find(|line| line.contains("\"subject key\"")).unwrap_or_else(|| panic!("{told}"));
    let view: Value = serde_json::from_str(line).unwrap();
    (view["verdict"].as_str().unwrap().to_owned(), view["text"].as_str().unwrap().to_owned())
}

fn execute(store: &TestStore, sql: &str) {
    let db = rusqlite::Connection::open(store.data.join("latchkey.db")).unwrap();
    db.execute_batch(sql).unwrap();
}

#[test]
fn links_are_added_listed_and_removed() {
    let store = TestStore::new();
    let [ann, bob] = ["ann", "bob"].map(|subject| add(&store, subject));
    let ids = |more: &[&str]| list(&store, more).iter().map(|row| row["link_id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&[]), [ann.as_str(), &bob]);
    assert_eq!(ids(&["--issuer", ISSUER]), [ann.as_str(), &bob]);
    assert_eq!(ids(&["--issuer", ISSUER, "--subject", "bob"]), [bob.as_str()]);
    assert!(ids(&["--issuer", "https://id.example"]).is_empty());
    assert_eq!(store.run(&["link", "list", "--tenant", TENANT, "--subject", "bob"]).status.code(), Some(2));
    let row = &list(&store, &[])[0];
    assert_eq!((&row["issuer"], &row["status"], &row["app_id"]), (&ISSUER.into(), &"active".into(), &APP.into()));
    let table = store.ok(&["link", "list", "--tenant", TENANT]);
    assert!(table.contains(&ann) && table.contains("issuer") && !table.contains("bob"), "{table}");
    assert!(refused(&store, "ann").contains(&format!("link {ann} exists already")));
    store.ok(&["link", "remove", &ann, "--tenant", TENANT]);
    assert_eq!(ids(&[]), [bob.as_str()]);
    let gone = store.run(&["link", "remove", &ann, "--tenant", TENANT]);
    assert!(String::from_utf8_lossy(&gone.stderr).contains("there is no link"), "{gone:?}");
}

#[test]
fn r4_a_link_that_was_pointed_elsewhere_in_the_file_is_not_believed() {
    let store = TestStore::new();
    let (kept, edited) = (add(&store, "kept"), add(&store, "edited"));
    let db = rusqlite::Connection::open(store.data.join("latchkey.db")).unwrap();
    let id = latchkey::domain::LinkId::parse(edited.as_bytes()).unwrap();
    let changed = db.execute("UPDATE links SET app_id = ?1 WHERE id = ?2", rusqlite::params![OTHER_APP, id.as_bytes()]);
    assert_eq!(changed, Ok(1));
    drop(db);
    let states: Vec<_> = list(&store, &[]).iter().map(|row| (row["link_id"].clone(), row["status"].clone())).collect();
    let expected = [(kept, "active"), (edited.clone(), "row_forged")].map(|(id, state)| (id.into(), state.into()));
    assert_eq!(states, expected);
    store.ok(&["link", "remove", &edited, "--tenant", TENANT]);
}

#[test]
fn r5_a_lost_or_foreign_subject_key_is_said_and_never_replaced_while_there_are_links() {
    let (store, other) = (TestStore::new(), TestStore::new());
    let id = add(&store, "ann");
    assert_eq!(doctor(&store).0, "warning", "beside the database");
    let right = std::fs::read(key(&store)).unwrap();
    std::fs::remove_file(key(&store)).unwrap();
    assert!(refused(&store, "bob").contains("is missing"));
    assert_eq!(list(&store, &[])[0]["status"], "key_missing");
    let migrated = store.run(&["migrate", "up"]);
    assert_eq!(migrated.status.code(), Some(1));
    let said = String::from_utf8_lossy(&migrated.stderr);
    assert!(said.contains("put it back") && !key(&store).exists(), "{said}");
    let (verdict, text) = doctor(&store);
    assert!(verdict == "problem" && text.contains("subject.key"), "{text}");
    let foreign = std::fs::read(key(&other)).unwrap();
    put(&store, &foreign);
    assert!(refused(&store, "bob").contains("not the one of this store"));
    assert_eq!(store.run(&["migrate", "up"]).status.code(), Some(1));
    assert_eq!((std::fs::read(key(&store)).unwrap(), doctor(&store).0.as_str()), (foreign, "problem"));
    put(&store, &right);
    assert_eq!(list(&store, &[])[0]["status"], "active");
    // Without a link nothing is lost with it.
    store.ok(&["link", "remove", &id, "--tenant", TENANT]);
    std::fs::remove_file(key(&store)).unwrap();
    store.ok(&["migrate", "up"]);
    assert_ne!(std::fs::read(key(&store)).unwrap(), right);
    add(&store, "ann");
    let events = store.ok(&["audit", "list", "--action", "subject_key.added", "--output", "json"]);
    assert_eq!(events.lines().count(), 1, "{events}");
}

#[test]
fn r5_a_store_of_before_gets_its_subject_key_by_migrate_up_and_by_nothing_else() {
    for left_over in [false, true] {
        let (store, _) = TestStore::fixture("schema-0011");
        let before = std::fs::read(key(&store)).unwrap();
        if !left_over {
            std::fs::remove_file(key(&store)).unwrap();
        }
        let text = refused(&store, "ann");
        assert!(text.contains("migrate up"), "{text}");
        assert_eq!(key(&store).exists(), left_over, "no command but that one makes it");
        assert_eq!(doctor(&store).0, "warning");
        store.ok(&["migrate", "up"]);
        let mode = std::fs::metadata(key(&store)).unwrap().permissions().mode();
        let made = std::fs::read(key(&store)).unwrap();
        assert_eq!((mode & 0o777, made == before), (0o600, left_over));
        let id = add(&store, "ann");
        store.ok(&["migrate", "up"]);
        assert_eq!(std::fs::read(key(&store)).unwrap(), made, "once");
        assert_eq!(list(&store, &[])[0]["link_id"], id.as_str());
    }
}

#[test]
fn r5_the_subject_key_is_in_no_other_file_and_no_backup() {
    let store = TestStore::new();
    add(&store, "ann");
    let file = store.data.parent().unwrap().join("backup.db");
    store.ok(&["backup", file.to_str().unwrap()]);
    let text = std::fs::read(key(&store)).unwrap();
    let raw: Vec<u8> = latchkey::domain::hex::decode(std::str::from_utf8(&text).unwrap().trim()).unwrap();
    assert_eq!(raw.len(), 32);
    let others = std::fs::read_dir(&store.data).unwrap().map(|entry| entry.unwrap().path());
    for path in others.filter(|path| *path != key(&store)).chain([file]) {
        let bytes = std::fs::read(&path).unwrap();
        for part in [&raw[..8], &text[..16]] {
            assert!(!bytes.windows(part.len()).any(|window| window == part), "{}", path.display());
        }
    }
}

#[test]
fn the_subject_key_may_lie_elsewhere() {
    let store = TestStore::new();
    let elsewhere = store.data.parent().unwrap().join("subject-key-elsewhere");
    std::fs::rename(key(&store), &elsewhere).unwrap();
    let run = |line: &str| {
        let mut command = store.command(&line.split(' ').collect::<Vec<_>>());
        command.env("LATCHKEY_LINKS__KEY_FILE", &elsewhere).output().unwrap()
    };
    let added = run(&format!("link add --tenant {TENANT} --issuer {ISSUER} --subject ann --app {APP} --user {USER}"));
    assert!(added.status.success(), "{added:?}");
    let told = String::from_utf8(run("doctor --quick --output json").stdout).unwrap();
    assert!(told.lines().any(|line| line.contains("\"subject key\"") && line.contains("\"good\"")), "{told}");
}

#[test]
fn r9_a_link_that_was_removed_after_the_backup_stays_removed() {
    let store = TestStore::new();
    let [kept, removed] = ["kept", "removed"].map(|subject| add(&store, subject));
    let file = store.data.parent().unwrap().join("backup.db");
    store.ok(&["backup", file.to_str().unwrap()]);
    store.ok(&["link", "remove", &removed, "--tenant", TENANT]);
    let told: Value =
        serde_json::from_str(&store.ok(&["restore", file.to_str().unwrap(), "--output", "json"])).unwrap();
    assert_eq!(told["removals_of_links_carried_over"], 1);
    let left = list(&store, &[]);
    assert_eq!((left.len(), &left[0]["link_id"], &left[0]["status"]), (1, &kept.into(), &"active".into()));
    let events = store.ok(&["audit", "list", "--action", "link.removed", "--output", "json"]);
    assert!(events.contains("\"system\"") && events.contains(&removed), "{events}");
}

#[test]
fn r9_a_backup_of_before_the_subject_key_knows_it_after_the_restore() {
    let store = TestStore::new();
    let file = store.data.parent().unwrap().join("backup.db");
    execute(&store, "UPDATE store_meta SET subject_key = NULL");
    store.ok(&["backup", file.to_str().unwrap()]);
    store.ok(&["migrate", "up"]);
    add(&store, "ann");
    store.ok(&["restore", file.to_str().unwrap()]);
    assert!(list(&store, &[]).is_empty());
    add(&store, "ann");
}
