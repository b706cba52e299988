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

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use latchkey::pb::full::plugin as full;
use support::populate::populate;

const STARTS: usize = 21;
const HOT_KEYS: usize = 10_000;
const IN_FLIGHT: usize = 64;

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
    start(binary, &data, keys);

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
        authenticate(&channel, &texts[..1], 1).await;
        let pid = child.0.id();
        memory("resident after the start, store open", pid, 25);
        let started = Instant::now();
        authenticate(&channel, &texts, calls).await;
        let rate = calls as f64 / started.elapsed().as_secs_f64();
        memory(&format!("resident after {calls} calls over {HOT_KEYS} keys ({rate:.0}/s)"), pid, 60);
    });
}

fn start(binary: &str, data: &std::path::Path, keys: usize) {
    let (mut handshakes, mut nothings) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let started = Instant::now();
        let plugin = support::start_plugin(binary, data);
        handshakes.push(started.elapsed().as_micros() as f64 / 1000.0);
        drop(plugin);
        let started = Instant::now();
        assert!(std::process::Command::new("/bin/true").status().expect("runs").success());
        nothings.push(started.elapsed().as_micros() as f64 / 1000.0);
    }
    let worst = handshakes.iter().copied().fold(0.0, f64::max);
    let (median, nothing) = (support::median(handshakes), support::median(nothings));
    println!(
        "| exec to handshake line, store of {keys} keys | median {median:.1} ms, worst of {STARTS} {worst:.1} ms | /bin/true, to its end: {nothing:.1} ms | <= 15 ms: {} |",
        if median <= 15.0 { "met" } else { "MISSED" }
    );
}

fn memory(what: &str, pid: u32, bound_mib: u64) {
    let (now, peak) = (support::status_kib(pid, "VmRSS") / 1024, support::status_kib(pid, "VmHWM") / 1024);
    let verdict = if now <= bound_mib { "met" } else { "MISSED" };
    println!("| {what} | {now} MiB, peak {peak} MiB | - | <= {bound_mib} MiB: {verdict} |");
}

/// That many calls, each with the next key, 64 at a time.
async fn authenticate(channel: &tonic::transport::Channel, keys: &[String], calls: usize) {
    let (next, keys) = (Arc::new(AtomicUsize::new(0)), Arc::new(keys.to_vec()));
    let tasks: Vec<_> = (0..IN_FLIGHT.min(calls))
        .map(|_| {
            let (next, keys) = (Arc::clone(&next), Arc::clone(&keys));
            let mut client = full::plugin_service_client::PluginServiceClient::new(channel.clone());
            tokio::spawn(async move {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= calls {
                        return;
                    }
                    let answer = client.authenticate(request(&keys[n % keys.len()])).await.expect("an answer");
                    assert!(answer.get_ref().authenticated, "{:?}", answer.get_ref().error_message);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
}

fn request(key: &str) -> full::AuthRequest {
    let context =
        full::PluginContext { request_id: "req_1".into(), llm_id: 3, llm_slug: "gpt".into(), ..Default::default() };
    full::AuthRequest {
        credential: key.to_owned(),
        auth_type: "bearer".into(),
        request: Some(full::PluginRequest { body: vec![b'x'; 2048], ..Default::default() }),
        context: Some(context),
    }
}
