//! What was acknowledged survives `kill -9` at any moment, and what was not is whole or absent.
#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a failed test is a panic"
)]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use latchkey::audit::chain;
use latchkey::clock::{Entropy as _, SystemClock, SystemEntropy};
use latchkey::store::Audit as _;
use latchkey::store::sqlite::{OpenOptions, ProcessKind, SqliteStore};
use serde_json::Value;

fn command(data: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey"));
    command.env_clear().env("LATCHKEY_STORE__DEV", "true").env("LATCHKEY_DATA_DIR", data);
    command.args(line.split_whitespace()).stdin(Stdio::null()).stderr(Stdio::null());
    command
}

fn ok(data: &Path, line: &str) {
    assert!(command(data, line).stdout(Stdio::null()).status().unwrap().success(), "{line}");
}

fn authenticates(data: &Path, key: &str) -> bool {
    let mut child =
        command(data, "authenticate --llm-id 3").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(key.as_bytes()).unwrap();
    child.wait().unwrap().success()
}

/// Up to so many microseconds.
fn moment(most: u64) -> Duration {
    let mut random = [0; 8];
    SystemEntropy.fill(&mut random).unwrap();
    Duration::from_micros(u64::from_ne_bytes(random) % most)
}

fn store() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    ok(&data, "init");
    ok(&data, "tenant create acme");
    ok(&data, "app add --tenant acme --id 7 --name Shop --llm 3");
    ok(&data, "user add --tenant acme --id 9 --email ann@acme.example");
    (dir, data)
}

/// Starts a command, kills it after a moment, and gives what it had printed.
fn killed(data: &Path, line: &str, most_us: u64) -> Vec<u8> {
    let mut child = command(data, line).stdout(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(moment(most_us));
    let _ = child.kill();
    child.wait_with_output().unwrap().stdout
}

/// The whole trail chains, and there are as many events as mutations.
fn trail_is_whole(data: &Path) -> u64 {
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let options = OpenOptions { dev: true, kind: ProcessKind::Command, clock, entropy };
    let store = SqliteStore::open(data, options).unwrap();
    let mut previous = chain::genesis(&store.epoch());
    let mut sequence = 0;
    for entry in store.list(0, 100_000).unwrap() {
        sequence += 1;
        assert_eq!(entry.sequence, sequence);
        previous = chain::hash(&previous, sequence, &entry.event);
        assert_eq!(entry.hash, previous, "event {sequence}");
    }
    sequence
}

#[test]
fn a_key_that_was_shown_works_after_kill_9_and_a_revocation_that_was_said_holds() {
    let (_dir, data) = store();
    let (mut shown, mut cut) = (Vec::new(), 0);
    for _ in 0..60 {
        let said = killed(&data, "key issue --tenant acme --app 7 --user 9 --output json", 60_000);
        match serde_json::from_slice::<Value>(&said) {
            Ok(answer) => shown.push(answer),
            Err(_) => cut += 1,
        }
    }
    println!("{} keys were shown, {cut} commands were cut off before", shown.len());
    let text = |answer: &Value, name: &str| answer[name].as_str().unwrap().to_owned();
    for answer in &shown {
        assert!(authenticates(&data, &text(answer, "key")), "a key that was shown is lost");
    }
    for answer in &shown {
        let id = text(answer, "credential_id");
        let said = killed(&data, &format!("key revoke {id} --output json"), 40_000);
        let acknowledged = serde_json::from_slice::<Value>(&said).is_ok();
        let passes = authenticates(&data, &text(answer, "key"));
        assert!(!(acknowledged && passes), "a revocation that was acknowledged is lost");
    }
    assert!(trail_is_whole(&data) >= 5 + shown.len() as u64);
}

#[test]
fn an_init_that_was_killed_leaves_a_store_or_none() {
    let mut made = 0;
    for _ in 0..25 {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        killed(&data, "init", 80_000);
        if data.join("latchkey.db").exists() {
            made += 1;
            ok(&data, "tenant create acme");
            assert!(trail_is_whole(&data) >= 3);
            continue;
        }
        // The keys of an init that was cut off are not used for another store without anybody looking.
        let _ = std::fs::remove_file(data.join("pepper"));
        let _ = std::fs::remove_file(data.join("subject.key"));
        let _ = std::fs::remove_file(data.join("audit.key"));
        ok(&data, "init");
        ok(&data, "tenant create acme");
    }
    println!("{made} of 25 were done before they were killed");
}
