//! `key import` of a million SHA-256 digests that are declared to be of high entropy, by the release binary, against
//! reading, digesting and keying as many lines without storing them (`--dry-run`).
//!
//! `cargo bench --bench import [-- --keys 1000000]`
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

use std::io::Write as _;
use std::time::Instant;

use sha2::{Digest as _, Sha256};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let option = args.iter().position(|a| a == "--keys").and_then(|at| args.get(at + 1)?.parse().ok());
    let keys: usize = option.unwrap_or(1_000_000);
    let dir = tempfile::tempdir().expect("a directory");
    let (data, file) = (dir.path().join("data"), dir.path().join("keys.jsonl"));
    let binary = env!("CARGO_BIN_EXE_latchkey");
    support::sample_store(binary, &data);
    let mut lines = std::io::BufWriter::new(std::fs::File::create(&file).expect("a file"));
    for n in 0..keys {
        let digest: String = Sha256::digest(format!("key-{n}")).iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(lines, "{{\"sha256\":\"{digest}\",\"label\":\"key {n}\"}}").expect("written");
    }
    lines.into_inner().expect("written").sync_all().expect("written");
    let file = file.to_str().expect("text");
    let import = ["key", "import", file, "--tenant", "acme", "--app", "7", "--user", "9", "--entropy", "high"];
    let timed = |more: &[&str]| {
        let started = Instant::now();
        let args = [&import[..], &["--output", "json"], more].concat();
        let report: serde_json::Value = serde_json::from_str(&support::latchkey(binary, &data, &args)).expect("JSON");
        assert_eq!(report["imported"].as_u64(), Some(keys as u64), "{report}");
        started.elapsed().as_secs_f64()
    };
    let (dry, stored) = (timed(&["--dry-run"]), timed(&[]));
    let bytes = std::fs::metadata(data.join("latchkey.db")).expect("there").len() / keys as u64;
    let bound = 60.0 * keys as f64 / 1e6;
    println!("| measure | figure | yardstick in the same run | bound |");
    println!("| --- | --- | --- | --- |");
    println!(
        "| import of {keys} SHA-256 digests | {stored:.1} s, {bytes} bytes a key on disk | the same as a dry run: {dry:.1} s | <= {bound:.0} s: {} |",
        support::verdict(stored <= bound)
    );
}
