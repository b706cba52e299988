//! Shipped migrations are frozen, what they make together is `migrations/schema.sql`, every earlier schema is brought up
//! to date, and a newer one is left alone.
#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a failed test is a panic"
)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::Connection;
use sha2::{Digest as _, Sha256};
use support::{TENANT, TestStore};

/// Never edited: a change is a new file. The release that shipped each is in `migrations/README.md`.
const FROZEN: &[(&str, &str)] = &[
    ("decisions/0001_create_decisions.sql", "6c2e7500d4c0f23891ca1770a2cd894044590462914bdacfba5dc2d05dc3c934"),
    ("decisions/0002_add_sources.sql", "e373ebce3fa24436473e63b945122f86c970f5f750f6d6961fe07b378fe39c90"),
    ("sqlite/0001_create_store_meta.sql", "31d04ad31589ad2cb928351b8db3f5a306dcc818d26c175677e44dfb544f7f46"),
    ("sqlite/0002_create_tenants.sql", "5020f12683929bc258c249bb01b8f2ffdc80dde7f51c74768876381d0c134a84"),
    ("sqlite/0003_create_directory.sql", "850f7c72e9d006b5cbafeefbabe8d75c7d15e3c29ff34c80b709c51234933a17"),
    ("sqlite/0004_create_credentials.sql", "7935d7ed317d037d42ba731a38c2c3d2ec573fd2301bed27c1af5ef360cb4266"),
    ("sqlite/0005_create_operators.sql", "4f7a3b345e48f7efae2e9509a6cc2b6d9011d1679e8a83d0f7e62465f65b3868"),
    ("sqlite/0006_create_changes.sql", "7e9add7255229a44923afefc4e22d8f3c8082e01c10ffe5b4bd1ad3e2d893fce"),
    ("sqlite/0007_create_audit_events.sql", "556e4e38a33efa17f7c4ea71395e99a4efe534a06ed4b2b5347e39d10927be7b"),
    ("sqlite/0008_add_decoys.sql", "30fd6e48822841c769b338569ce45a026e2da099e3acc69a9ad9cdcfa2765208"),
    ("sqlite/0009_create_peppers.sql", "18b8b908b5bdd290a2f2d1bdb0e845559152d84c3ac74f93138af103eda2648f"),
    ("sqlite/0010_add_trail_epoch.sql", "91d96ca6c7db4d81f3ae1d7e7d213e8cd87fc30db78c5894625287e9bba0f56d"),
    ("sqlite/0011_create_handles.sql", "4ec734506501a94bff34c8a329d45d55216dff1d200622c717c23b621ba89295"),
    ("sqlite/0012_number_credentials.sql", "3a6c0398bd38d705783c8d241c0a4c47d2220003ef75f99a0a0a9e4fbc7f3c13"),
    ("sqlite/0013_sign_audit_events.sql", "196f7871e51b279cafda50d8998abf679edab4fc1ebd5608b52be488e66920f0"),
    ("sqlite/0014_add_operator_certificates.sql", "84a93b627359f155682bdf9c1b21b8253bf23a3b36d9a7311ee26c2f7b3f70f0"),
    ("sqlite/0015_create_requests.sql", "d352c12557da5b2314d1e9ab1d9e6945d1c8cc0c9d5f5b2de4c41a8f5640adc7"),
    ("sqlite/0016_add_app_owners.sql", "5be4b8dcdd94156f4fba5769bc4ef10f7cb50901e58988d784bc235dae4a8129"),
    ("sqlite/0017_index_credentials_of_users.sql", "f7e1a39776d82d15e67c4f2b294303786a1493a39cc6d7de566434b8fb5d351b"),
    ("sqlite/0018_create_links.sql", "58f5ada06ddeedb0421b0752ba730052d926eba65b7b37316245a97a4599f77c"),
    ("sqlite/0019_add_host_state.sql", "0282d287f1f40efc0ab3b4ae451b89694946de69443e113491346612ab975156"),
    ("sqlite/0020_create_issuers.sql", "3fad070ab5be107824e18995e20c852f26a25e7919045da51c298063a02d4e4c"),
    ("sqlite/0021_create_tokens.sql", "a71eb4d5d45117a7632c89ece359c91e0a6515370ee42f8470c9006e68dc2926"),
    ("sqlite/0022_create_first_uses.sql", "e4e6de7159b2e7b4e8d98853111427b8bd187ab9b0bc86ad147f9377296ee1ec"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations")
}

fn digest(text: &[u8]) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn files(dir: &str) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(root().join(dir))
        .unwrap()
        .map(|entry| format!("{dir}/{}", entry.unwrap().file_name().to_str().unwrap()))
        .collect();
    names.sort();
    names
}

#[test]
fn shipped_migrations_are_frozen_and_none_is_missing_here() {
    let found: Vec<(String, String)> = [files("decisions"), files("sqlite")]
        .concat()
        .into_iter()
        .map(|name| (digest(&std::fs::read(root().join(&name)).unwrap()), name))
        .map(|(digest, name)| (name, digest))
        .collect();
    let frozen: Vec<(String, String)> =
        FROZEN.iter().map(|(name, digest)| (name.to_string(), digest.to_string())).collect();
    assert_eq!(found, frozen);
}

fn latchkey(data: &Path, args: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey"));
    command.env_clear().env("LATCHKEY_STORE__DEV", "true").arg("--data-dir").arg(data).args(args).output().unwrap()
}

fn schema(connection: &Connection) -> String {
    let sql = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY type, name";
    let mut statement = connection.prepare(sql).unwrap();
    let parts: Vec<String> = statement
        .query_map([], |row| row.get::<_, String>(0))
        .unwrap()
        .map(|sql| format!("{};\n", sql.unwrap()))
        .collect();
    parts.join("\n")
}

#[test]
fn together_they_make_the_schema_that_is_written_down() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    assert!(latchkey(&data, &["init"]).status.success());
    let made = format!(
        "-- Generated from the migrations; compared by tests/migrations.rs.\n\n{}",
        schema(&Connection::open(data.join("latchkey.db")).unwrap())
    );
    let path = root().join("schema.sql");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(&path).unwrap_or_default(),
        made,
        "UPDATE_EXPECTED=1 cargo test --test migrations"
    );
}

#[test]
fn every_earlier_schema_is_brought_up_to_date() {
    let steps = files("sqlite");
    for done in 0..=steps.len() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        assert!(latchkey(&data, &["init"]).status.success());
        let db = data.join("latchkey.db");
        let expected = schema(&Connection::open(&db).unwrap());
        // The same store as it would be after the first so many migrations.
        let whole = Connection::open(&db).unwrap();
        let meta: (Vec<u8>, String, Vec<u8>, i64) = whole
            .query_row("SELECT epoch, realm, pepper_fingerprint, created_at_ms FROM store_meta", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })
            .unwrap();
        drop(whole);
        std::fs::remove_file(&db).unwrap();
        let old = Connection::open(&db).unwrap();
        for step in steps.iter().take(done) {
            old.execute_batch(&std::fs::read_to_string(root().join(step)).unwrap()).unwrap();
        }
        old.pragma_update(None, "user_version", done as i64).unwrap();
        if done > 0 {
            let insert = "INSERT INTO store_meta (id, epoch, realm, pepper_fingerprint, created_at_ms) VALUES (1, ?1, ?2, ?3, ?4)";
            old.execute(insert, rusqlite::params![meta.0, meta.1, meta.2, meta.3]).unwrap();
        }
        drop(old);
        mode_600(&db);
        let opened = latchkey(&data, &["tenant", "list"]);
        assert_eq!(opened.status.success(), done > 0, "{done}: {}", String::from_utf8_lossy(&opened.stderr));
        assert_eq!(schema(&Connection::open(&db).unwrap()), expected, "from schema {done}");
    }
}

fn mode_600(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_newer_schema_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    assert!(latchkey(&data, &["init"]).status.success());
    Connection::open(data.join("latchkey.db")).unwrap().pragma_update(None, "user_version", 999).unwrap();
    let before = std::fs::read(data.join("latchkey.db")).unwrap();
    let refused = latchkey(&data, &["tenant", "list"]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(said.contains("schema 999") && said.contains("newer latchkey"), "{said}");
    assert_eq!(std::fs::read(data.join("latchkey.db")).unwrap(), before);
}

#[test]
fn a_store_of_an_earlier_version_keeps_its_keys_its_refusals_and_its_trail() {
    for name in ["schema-0007", "schema-0011"] {
        let (store, keys) = TestStore::fixture(name);
        for (key, expected) in &keys {
            let told = store.run_with_input(&["key", "explain", "--output", "json"], key);
            let told: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
            assert_eq!(told["reason"].as_str(), expected.as_deref(), "{name}: {key}");
        }
        let listed = ["acme", "globex"].map(|tenant| store.ok(&["key", "list", "--tenant", tenant]).lines().count());
        assert!(listed.iter().sum::<usize>() > keys.len(), "{name}: every key is listed");
        let doctor = store.ok(&["doctor", "--output", "json"]);
        let integrity = doctor.lines().find(|line| line.contains("\"integrity\"")).unwrap();
        assert!(integrity.contains("good"), "{name}: {integrity}");
        // And it is one to go on with.
        let new = store.issue(7, 9);
        let told = store.run_with_input(&["key", "explain"], &new.text);
        assert!(told.status.success(), "{name}");
        let line = r#"{"key":"one-more-imported-key"}"#;
        let args = ["key", "import", "-", "--tenant", TENANT, "--app", "7", "--user", "9", "--argon2", "m=64,t=1,p=1"];
        assert!(store.run_with_input(&args, line).status.success(), "{name}");
        assert!(store.run_with_input(&["key", "explain"], "one-more-imported-key").status.success(), "{name}");
    }
}
