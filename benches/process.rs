//! The process: from exec to the handshake line with a store of 100,000 keys, and its memory after the start and after a
//! million authentications over 10,000 keys. The yardstick for the start is a process that does nothing.
//!
//! `cargo bench --bench process [-- --keys 100000 --calls 1000000]`
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

use std::time::Instant;

use support::populate::populate;

const HOT_KEYS: usize = 10_000;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let option = |name: &str, default: usize| {
        args.iter().position(|a| a == name).and_then(|at| args.get(at + 1)?.parse().ok()).unwrap_or(default)
    };
    let (keys, calls) = (option("--keys", 100_000), option("--calls", 1_000_000));
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let secrets = populate(&data, keys);
    let binary = env!("CARGO_BIN_EXE_latchkey");
    println!("| measure | figure | yardstick in the same run | bound |");
    println!("| --- | --- | --- | --- |");
    support::starts(binary, &data, keys, 15.0);

    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (child, socket) = support::start_plugin(binary, &data);
        let channel = support::connect(socket).await;
        support::initialize(&channel).await;
        let texts: Vec<String> = secrets
            .iter()
            .take(HOT_KEYS)
            .map(|secret| String::from_utf8(secret.expose().to_vec()).expect("text"))
            .collect();
        assert_eq!(support::authenticate(&channel, &texts[..1], 1).await, 1);
        let pid = child.0.id();
        memory("resident after the start, store open", pid, 25);
        let started = Instant::now();
        assert_eq!(support::authenticate(&channel, &texts, calls).await, calls);
        let rate = calls as f64 / started.elapsed().as_secs_f64();
        memory(&format!("resident after {calls} calls over {HOT_KEYS} keys ({rate:.0}/s)"), pid, 60);
    });
}

fn memory(what: &str, pid: u32, bound_mib: u64) {
    let (now, peak) = (support::status_kib(pid, "VmRSS") / 1024, support::status_kib(pid, "VmHWM") / 1024);
    let verdict = support::verdict(now <= bound_mib);
    println!("| {what} | {now} MiB, peak {peak} MiB | - | <= {bound_mib} MiB: {verdict} |");
}
