//! `audit verify` of a trail of a million events, signed at every hundredth, by the release binary: time and memory, against
//! a hundredth of it.
//!
//! `cargo bench --bench audit [-- --events 1000000]`
#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a benchmark that cannot go on stops"
)]

mod support;

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::time::Instant;

use latchkey::audit::{chain, key};
use latchkey::domain::event::{Actor, DetailKey};
use latchkey::domain::{Action, AppId, AuditEvent, Subject};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let option = args.iter().position(|a| a == "--events").and_then(|at| args.get(at + 1)?.parse().ok());
    let events: u64 = option.unwrap_or(1_000_000);
    let dir = tempfile::tempdir().expect("a directory");
    let (few, many) = (measure(&dir.path().join("few"), events / 100), measure(&dir.path().join("many"), events));
    let bound = 10.0 * events as f64 / 1e6;
    println!("| measure | figure | yardstick in the same run | bound |");
    println!("| --- | --- | --- | --- |");
    println!(
        "| audit verify, {events} events | {:.1} s, {} MiB resident at most | {} events: {:.2} s, {} MiB | <= {bound:.0} s: {}; the same memory: {} |",
        many.0,
        many.1,
        events / 100,
        few.0,
        few.1,
        support::verdict(many.0 <= bound),
        support::verdict(many.1 <= few.1 + 8)
    );
}

/// Seconds and MiB.
fn measure(data: &Path, events: u64) -> (f64, u64) {
    let binary = env!("CARGO_BIN_EXE_latchkey");
    support::latchkey(binary, data, &["init"]);
    load(data, events);
    let mut child = std::process::Command::new(binary)
        .args(["audit", "verify", "--output", "json"])
        .env("LATCHKEY_DATA_DIR", data)
        .env("LATCHKEY_STORE__DEV", "true")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the binary starts");
    let started = Instant::now();
    let mut peak = 0;
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        let text = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let resident =
            text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().split(' ').next()?.parse().ok());
        peak = peak.max(resident.unwrap_or(0));
        std::thread::sleep(std::time::Duration::from_millis(2));
    };
    let seconds = started.elapsed().as_secs_f64();
    assert!(status.success() && status.signal().is_none(), "{status}");
    let told = std::io::read_to_string(child.stdout.take().expect("piped")).expect("text");
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    assert!(told["last_event"].as_u64() >= Some(events), "{told}");
    (seconds, peak / 1024)
}

/// Events as the store writes them, without waiting for the disk after each.
fn load(data: &Path, events: u64) {
    let mut db = rusqlite::Connection::open(data.join("latchkey.db")).expect("opens");
    let transaction = db.transaction().expect("begins");
    let epoch: [u8; 16] =
        transaction.query_row("SELECT epoch FROM store_meta", [], |row| row.get(0)).expect("an epoch");
    let (first, mut previous): (i64, [u8; 32]) = transaction
        .query_row("SELECT sequence, hash FROM audit_events ORDER BY sequence DESC LIMIT 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .expect("a head");
    let signer = key::Signer::load(&data.join(key::FILE_NAME)).expect("a key");
    {
        let mut insert = transaction
            .prepare("INSERT INTO audit_events VALUES (?1, ?2, 'local:0', 'app.changed', 'app', '7', NULL, ?3, '', ?4)")
            .expect("a statement");
        let mut sign = transaction
            .prepare(
                "INSERT INTO audit_checkpoints (sequence, public_key, at_ms, head, signature) VALUES (?1, ?2, ?3, ?4, ?5)",
            )
            .expect("a statement");
        for sequence in first + 1..=first + events as i64 {
            let event = AuditEvent {
                at_ms: sequence,
                actor: Actor::Local { uid: 0 },
                action: Action::AppChanged,
                subject: Subject::App(AppId::new(7).expect("an id")),
                tenant: None,
                details: vec![(DetailKey::Fields, "name".to_owned()), (DetailKey::Name, format!("Shop {sequence}"))],
                request_id: String::new(),
            };
            previous = chain::hash(&previous, sequence as u64, &event);
            let details: Vec<_> = event.details.iter().map(|(key, value)| (key.as_str(), value)).collect();
            let details = serde_json::to_string(&details).expect("JSON");
            insert.execute((sequence, sequence, details, previous)).expect("inserted");
            if sequence % 100 == 0 {
                let signed = signer.checkpoint(epoch, sequence as u64, previous, sequence);
                sign.execute((sequence, signed.key, sequence, previous, signed.signature)).expect("inserted");
            }
        }
    }
    transaction.commit().expect("commits");
}
