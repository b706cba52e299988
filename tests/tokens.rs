//! Short-lived tokens on the files: what is made of them by the command line, whoever edits the database, keys that are
//! lost, exposed or made half, and a restore.
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
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::{APP, TENANT, TestStore, USER};

fn json(store: &TestStore, args: &[&str]) -> Value {
    serde_json::from_str(&store.ok(&[args, &["--output", "json"]].concat())).unwrap()
}

fn lines(store: &TestStore, args: &[&str]) -> Vec<Value> {
    let told = store.ok(&[args, &["--output", "json"]].concat());
    told.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name}: {value}"))
}

fn refused(store: &TestStore, args: &[&str]) -> String {
    let output = store.run(args);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn inspect(store: &TestStore, token: &str) -> Value {
    let output = store.run_with_input(&["token", "inspect", "--output", "json"], token);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(output.status.code(), Some(if told["valid"] == true { 0 } else { 1 }));
    told
}

fn failed(store: &TestStore, token: &str) -> String {
    let told = inspect(store, token);
    told["failed"].as_str().unwrap_or("none").to_owned()
}

/// The files of keys that sign tokens.
fn key_files(dir: &Path) -> Vec<PathBuf> {
    let all = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = all.filter(|path| path.to_str().unwrap().contains("/token-")).collect();
    found.sort();
    found
}

fn doctor(store: &TestStore) -> Vec<(String, String)> {
    let told = store.run(&["doctor", "--quick", "--output", "json"]).stdout;
    let views = String::from_utf8(told).unwrap();
    let views = views.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let ours = views.filter(|view| view["check"] == "token key");
    ours.map(|view| (text(&view, "verdict").to_owned(), text(&view, "text").to_owned())).collect()
}

fn execute(store: &TestStore, sql: &str) {
    rusqlite::Connection::open(store.data.join("latchkey.db")).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn a_token_is_issued_looked_at_listed_and_taken_back() {
    let store = TestStore::new();
    let key = store.issue_for(TENANT, APP, USER, &["--scope", "chat", "--scope", "files"]);
    let issue = ["token", "issue", "--tenant", TENANT, "--credential", &key.id];
    let made = json(&store, &[&issue[..], &["--scope", "chat", "--llm", "3", "--expires-in", "10m"]].concat());
    let token = store.token_of(&made);
    assert_eq!(
        (text(&made, "credential_id"), text(&made, "scope"), &made["llms"][0]),
        (key.id.as_str(), "chat", &3.into())
    );
    let told = inspect(&store, &token);
    assert_eq!((&told["valid"], &told["failed"]), (&true.into(), &Value::Null), "{told}");
    let claims = &told["claims"];
    assert_eq!((text(claims, "scope"), text(claims, "tenant"), &claims["lk_llms"][0]), ("chat", TENANT, &3.into()));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 600);
    assert!(text(claims, "iss").starts_with("urn:latchkey:") && claims["aud"] == claims["iss"]);
    assert_eq!((text(&told["header"], "alg"), text(&told["header"], "typ")), ("EdDSA", "at+jwt"));
    assert_eq!(text(&told["token"], "token_id"), text(&made, "token_id"));
    let table = store.run_with_input(&["token", "inspect"], &token);
    assert!(table.status.success() && String::from_utf8_lossy(&table.stdout).contains("generation"));

    let plain = store.ok(&["token", "issue", "--credential", &key.id]);
    let second = plain.trim().to_owned();
    assert_eq!(second.split('.').count(), 3, "for people the token alone");
    let rows = lines(&store, &["token", "list", "--credential", &key.id]);
    assert_eq!(rows.iter().map(|row| text(row, "status")).collect::<Vec<_>>(), ["active", "active"]);

    assert_eq!(text(&json(&store, &["token", "revoke", "--id", text(&made, "token_id")]), "status"), "revoked");
    assert_eq!((failed(&store, &token), failed(&store, &second)), ("revocation".to_owned(), "none".to_owned()));
    let output = store.run_with_input(&["token", "revoke", "--output", "json"], &second);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(failed(&store, &second), "revocation");
    let third = store.token(&key.id);
    store.ok(&["token", "revoke", "--credential", &key.id]);
    assert_eq!(failed(&store, &third), "revocation");
    assert!(store.run_with_input(&["authenticate", "--llm-id", "3"], &key.text).status.success(), "the key stays good");
    assert_eq!(failed(&store, &store.token(&key.id)), "none");

    let wrong = ["--scope admin", "--llm 5", "--expires-in 2h", "--tenant nobody"];
    for more in wrong {
        let args: Vec<&str> = ["token", "issue", "--credential", &key.id].into_iter().chain(more.split(' ')).collect();
        assert!(!store.run(&args).status.success(), "{more}");
    }
    store.revoke(&key);
    assert!(refused(&store, &["token", "issue", "--credential", &key.id]).contains("not in force (revoked)"));
    let events = lines(&store, &["audit", "list", "--action", "token.issued"]);
    assert_eq!(events.len(), 4);
}

#[test]
fn a_token_is_in_no_file_event_or_log() {
    let store = TestStore::new();
    let key = store.issue(APP, USER);
    let tokens: Vec<String> = (0..3).map(|_| store.token(&key.id)).collect();
    store.run_with_input(&["-vv", "token", "revoke"], &tokens[0]);
    let told = store.run_with_input(&["-vv", "token", "inspect", "--output", "json"], &tokens[1]);
    let shown = String::from_utf8_lossy(&told.stdout).into_owned();
    store.canaries.assert_absent("the log", &told.stderr);
    assert!(!shown.contains(tokens[1].rsplit('.').next().unwrap()), "its signature is shown by nothing");
    let junk = format!("{}x", tokens[2]);
    for args in [&["token", "revoke"][..], &["token", "inspect"], &["authenticate", "--llm-id", "3"]] {
        let output = store.run_with_input(args, &junk);
        store.canaries.assert_absent("stderr", &output.stderr);
        store.canaries.assert_absent("stdout", &output.stdout);
    }
    let typed = store.run(&["token", "revoke", "--id", &tokens[1]]);
    assert_eq!(typed.status.code(), Some(2));
    store.canaries.assert_absent("the trail", store.ok(&["audit", "list", "--output", "json"]).as_bytes());
    let backup = store.data.parent().unwrap().join("backup.db");
    store.ok(&["backup", backup.to_str().unwrap()]);
    store.canaries.assert_absent("a backup", &std::fs::read(&backup).unwrap());
    assert!(store.canaries.assert_absent_below(&store.data) > 50_000);
}

#[test]
fn the_first_key_is_made_by_init_ours_alone_and_in_no_backup() {
    let store = TestStore::new();
    let [file] = &key_files(&store.data)[..] else { panic!("{:?}", key_files(&store.data)) };
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    let pem = std::fs::read_to_string(file).unwrap();
    let body: Vec<&str> = pem.lines().collect();
    assert_eq!((body[0], body[2]), ("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"));
    let keys = lines(&store, &["token", "keys"]);
    assert_eq!((keys.len(), text(&keys[0], "status"), text(&keys[0], "algorithm")), (1, "signing", "EdDSA"));
    assert!(file.to_str().unwrap().contains(text(&keys[0], "kid")));
    assert_eq!(doctor(&store)[0].0, "good");
    let backup = store.data.parent().unwrap().join("backup.db");
    store.ok(&["backup", backup.to_str().unwrap()]);
    let der = base64(body[1]);
    let secret = &der[der.len() - 32..];
    for place in [std::fs::read(&backup).unwrap(), std::fs::read(store.data.join("latchkey.db")).unwrap()] {
        assert!(!place.windows(16).any(|window| window == &secret[..16] || window == &body[1].as_bytes()[..16]));
    }
}

fn base64(text: &str) -> Vec<u8> {
    use ::base64::Engine as _;
    ::base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

#[test]
fn keys_elsewhere_are_where_the_configuration_says() {
    let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let run = |args: &[&str]| {
        let mut command = support::store::bare_command();
        command.arg("--data-dir").arg(data.path().join("data")).args(args).env("LATCHKEY_STORE__DEV", "true");
        let output = command.env("LATCHKEY_TOKENS__KEY_DIR", dir.path()).output().unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
    };
    run(&["init"]);
    assert_eq!((key_files(dir.path()).len(), key_files(&data.path().join("data")).len()), (1, 0));
    run(&["token", "rotate-key"]);
    assert_eq!(key_files(dir.path()).len(), 1, "the old one's private half is gone");
}

#[test]
fn r16_what_our_own_tokens_say_is_no_other_issuers() {
    let store = TestStore::new();
    let key = store.issue(APP, USER);
    let jwks =
        r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    let file = store.data.parent().unwrap().join("keys.json");
    std::fs::write(&file, jwks).unwrap();
    let issuer = "https://latchkey.example";
    let run = |args: &[&str]| {
        let output = store.command(args).env("LATCHKEY_TOKENS__ISSUER", issuer).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (issued, made, _) = run(&["token", "issue", "--credential", &key.id, "--output", "json"]);
    let token = store.token_of(&serde_json::from_str(&made).unwrap());
    assert!(issued && failed(&store, &token) == "issuer", "of another issuer than ours now");
    let add = |iss: &str| {
        let line = format!("issuer add --tenant {TENANT} --iss {iss} --aud us --alg EdDSA --app {APP} --user {USER}");
        let args: Vec<&str> = line.split(' ').chain(["--jwks-file", file.to_str().unwrap()]).collect();
        run(&args)
    };
    let (added, _, said) = add(issuer);
    assert!(!added && said.contains("reserved"), "{said}");
    let (added, _, said) = add("https://another.example");
    assert!(added, "{said}");
}

#[test]
fn keys_are_rotated_with_overlap_or_at_once() {
    let store = TestStore::new();
    let key = store.issue(APP, USER);
    let before = store.token(&key.id);
    let made = json(&store, &["token", "rotate-key", "--alg", "ES256"]);
    assert_eq!((text(&made, "algorithm"), text(&made, "status")), ("ES256", "signing"));
    let after = store.token(&key.id);
    assert_eq!((failed(&store, &before), failed(&store, &after)), ("none".to_owned(), "none".to_owned()));
    let states: Vec<String> =
        lines(&store, &["token", "keys"]).iter().map(|key| text(key, "status").to_owned()).collect();
    assert_eq!((states, key_files(&store.data).len()), (vec!["verifying".to_owned(), "signing".to_owned()], 1));
    store.ok(&["token", "rotate-key", "--now"]);
    assert_eq!((failed(&store, &before), failed(&store, &after)), ("key".to_owned(), "key".to_owned()));
    assert_eq!(failed(&store, &store.token(&key.id)), "none");
    assert_eq!(store.run(&["token", "rotate-key", "--alg", "RS256"]).status.code(), Some(2));
}

#[test]
fn a_key_file_without_a_row_is_ignored_and_one_that_is_not_ours_alone_is_not_used() {
    let store = TestStore::new();
    let key = store.issue(APP, USER);
    let [file] = &key_files(&store.data)[..] else { panic!() };
    // As a process leaves it that ended between the file and the row.
    let stray = store.data.join(format!("token-{}.key", "A".repeat(43)));
    std::fs::copy(file, &stray).unwrap();
    assert_eq!(failed(&store, &store.token(&key.id)), "none");
    let told = doctor(&store);
    assert_eq!(told[0].0, "good");
    assert!(
        told[1].0 == "warning" && told[1].1.contains(&"A".repeat(43)) && told[1].1.contains("remove it"),
        "{told:?}"
    );
    std::fs::remove_file(&stray).unwrap();

    for mode in [0o640, 0o604] {
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
        let said = refused(&store, &["token", "issue", "--credential", &key.id]);
        let said = said.lines().find(|line| line.starts_with("error:")).unwrap();
        assert!(said.contains("not ours alone") && !said.contains("token-"), "{said}");
        let told = doctor(&store);
        assert!(told[0].0 == "problem" && told[0].1.contains("chmod 600"), "{told:?}");
    }
    std::fs::remove_file(file).unwrap();
    assert!(refused(&store, &["token", "issue", "--credential", &key.id]).contains("missing"));
    assert_eq!(doctor(&store)[0].0, "problem");
    store.ok(&["token", "rotate-key"]);
    assert_eq!((failed(&store, &store.token(&key.id)), doctor(&store)[0].0.as_str()), ("none".to_owned(), "good"));
}

#[test]
fn r4_rows_that_were_edited_in_the_file_are_not_believed() {
    let store = TestStore::new();
    let key = store.issue(APP, USER);
    let token = store.token(&key.id);
    let revoked = store.token(&key.id);
    store.run_with_input(&["token", "revoke"], &revoked);
    execute(&store, "UPDATE tokens SET revoked_at_ms = NULL");
    assert_eq!((failed(&store, &token), failed(&store, &revoked)), ("none".to_owned(), "row".to_owned()));
    execute(&store, "UPDATE tokens SET expires_at_ms = expires_at_ms + 3600000");
    assert_eq!(failed(&store, &token), "row");
    let states: Vec<String> = lines(&store, &["token", "list", "--credential", &key.id])
        .iter()
        .map(|row| text(row, "status").to_owned())
        .collect();
    assert_eq!(states, ["row_forged", "row_forged"]);
    execute(&store, "UPDATE signing_keys SET retires_at_ms = 1");
    assert_eq!(text(&lines(&store, &["token", "keys"])[0], "status"), "row_forged");
    assert!(refused(&store, &["token", "issue", "--credential", &key.id]).contains("token rotate-key"));
    let told = doctor(&store);
    assert!(
        told.iter().any(|(verdict, text)| verdict == "warning" && text.contains("not written by Latchkey")),
        "{told:?}"
    );
}

#[test]
fn r9_after_a_restore_no_token_of_before_is_good_and_keys_that_leaked_stay_refused() {
    let store = TestStore::new();
    let key = store.issue(APP, USER);
    let [kept, revoked, all] = [store.token(&key.id), store.token(&key.id), store.token(&key.id)];
    let other = store.issue(APP, USER);
    let others = store.token(&other.id);
    let backup = store.data.parent().unwrap().join("backup.db");
    store.ok(&["backup", backup.to_str().unwrap()]);
    store.run_with_input(&["token", "revoke"], &revoked);
    store.ok(&["token", "revoke", "--credential", &other.id]);
    let later = store.token(&key.id);
    let told = json(&store, &["restore", backup.to_str().unwrap()]);
    assert_eq!(told["tokens_taken_back"], 4, "{told}");
    for token in [&kept, &all, &revoked, &others, &later] {
        assert_eq!(failed(&store, token), "row");
    }
    let kept = store.token(&key.id);
    assert_eq!(failed(&store, &kept), "none");

    std::fs::remove_file(&backup).unwrap();
    store.ok(&["backup", backup.to_str().unwrap()]);
    store.ok(&["token", "rotate-key", "--now"]);
    store.ok(&["restore", backup.to_str().unwrap()]);
    assert_eq!(failed(&store, &kept), "key", "what leaked stays refused, before its row is looked for");
    assert_eq!(failed(&store, &store.token(&key.id)), "none", "the key that was made since signs");
}

#[test]
fn a_store_of_before_gets_its_key_when_somebody_asks_for_one() {
    let (store, _) = TestStore::fixture("schema-0011");
    for file in key_files(&store.data) {
        std::fs::remove_file(file).unwrap();
    }
    store.ok(&["migrate", "up"]);
    assert!(lines(&store, &["token", "keys"]).is_empty());
    let told = doctor(&store);
    assert!(told[0].0 == "warning" && told[0].1.contains("token rotate-key"), "{told:?}");
    store.ok(&["token", "rotate-key"]);
    assert_eq!(doctor(&store)[0].0, "good");
}
