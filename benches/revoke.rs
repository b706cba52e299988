//! Revocation: accepted afterwards in the same process, of 100 threads that verify in a loop; and in another process on the
//! same store, the time from the acknowledgement to the last acceptance, under load.
//!
//! `cargo bench --bench revoke [-- --revocations 10000 --elsewhere 1000]`
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
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use latchkey::admin::Admin;
use latchkey::app::init::local_admin;
use latchkey::domain::credential::RevocationReason;
use latchkey::domain::key_format;
use latchkey::pb::full::plugin as full;
use latchkey::secret::{CredentialText, Secret};
use support::engine;
use support::populate::populate;
use support::verdict;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const THREADS: usize = 100;
/// Keys that the threads try around the one that is being revoked.
const AROUND: usize = 16;
/// Calls a second beside, over other keys.
const LOAD: u64 = 500;
/// How long a key is watched after its revocation.
const WATCHED: Duration = Duration::from_millis(150);
const HAMMERING: usize = 4;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let option = |name: &str, default: usize| {
        args.iter().position(|a| a == name).and_then(|at| args.get(at + 1)?.parse().ok()).unwrap_or(default)
    };
    let (here, elsewhere) = (option("--revocations", 10_000), option("--elsewhere", 1_000));
    let dir = tempfile::tempdir().expect("a directory");
    println!("| measure | figure | yardstick in the same run | bound |");
    println!("| --- | --- | --- | --- |");
    same_process(&dir.path().join("here"), here);
    other_process(&dir.path().join("elsewhere"), elsewhere);
}

fn revoke(admin: &Admin, key: &Secret<CredentialText>) {
    let id = key_format::parse(key.expose()).expect("a key").id;
    admin.revoke_key(id, RevocationReason::KeyCompromise).expect("revoked");
}

fn same_process(data: &std::path::Path, revocations: usize) {
    let keys = populate(data, revocations + AROUND);
    let (opened, engine) = engine::start(data);
    let admin = local_admin(&opened);
    let (at, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    // When a revocation was acknowledged, in nanoseconds since the beginning; 0 until then.
    let acknowledged: Vec<AtomicU64> = keys.iter().map(|_| AtomicU64::new(0)).collect();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let begun = Instant::now();
    let now = || begun.elapsed().as_nanos() as u64;
    let (calls, accepted, late) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let mut took = Vec::with_capacity(revocations);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (at, stop, keys, acknowledged, engine) = (&at, &stop, &keys, &acknowledged, &engine);
            let (calls, accepted, late, now, handle) = (&calls, &accepted, &late, &now, runtime.handle());
            scope.spawn(move || {
                let mut turn = thread;
                while !stop.load(Ordering::Relaxed) {
                    for _ in 0..50 {
                        turn += 1;
                        let key = (at.load(Ordering::Relaxed) + turn % AROUND).saturating_sub(AROUND / 2);
                        let asked_at = now();
                        let granted = handle.block_on(engine::decide(&engine.authenticator, &keys[key]));
                        let ended = acknowledged[key].load(Ordering::SeqCst);
                        calls.fetch_add(1, Ordering::Relaxed);
                        accepted.fetch_add(u64::from(granted), Ordering::Relaxed);
                        late.fetch_add(u64::from(granted && ended != 0 && ended < asked_at), Ordering::Relaxed);
                    }
                    // So that on a few cores the thread that revokes has its turn.
                    std::thread::sleep(Duration::from_micros(500));
                }
            });
        }
        for (n, key) in keys.iter().take(revocations).enumerate() {
            at.store(n, Ordering::Relaxed);
            let started = Instant::now();
            revoke(&admin, key);
            acknowledged[n].store(now(), Ordering::SeqCst);
            took.push(started.elapsed().as_nanos() as u64);
        }
        stop.store(true, Ordering::Relaxed);
    });
    took.sort_unstable();
    let late = late.into_inner();
    println!(
        "| accepted after {revocations} acknowledged revocations, {THREADS} threads in a loop | {late} | {} calls, {} of them accepted; a revocation took p50 {:.1} ms | 0: {} |",
        calls.into_inner(),
        accepted.into_inner(),
        support::percentile(&took, 0.5) as f64 / 1e6,
        verdict(late == 0)
    );
}

fn other_process(data: &std::path::Path, revocations: usize) {
    let keys = populate(data, revocations + 1_000);
    let texts: Arc<Vec<String>> =
        Arc::new(keys.iter().map(|key| String::from_utf8(key.expose().to_vec()).expect("text")).collect());
    let (opened, _engine) = engine::start(data);
    let admin = local_admin(&opened);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let begun = Instant::now();
    let (at, last) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
    let (_child, channel) = runtime.block_on(async {
        let (child, socket) = support::start_plugin(env!("CARGO_BIN_EXE_latchkey"), data);
        let channel = support::connect(socket).await;
        support::initialize(&channel).await;
        (child, channel)
    });
    for _ in 0..HAMMERING {
        let (at, last, texts) = (Arc::clone(&at), Arc::clone(&last), Arc::clone(&texts));
        let mut client = full::plugin_service_client::PluginServiceClient::new(channel.clone());
        runtime.spawn(async move {
            loop {
                let n = at.load(Ordering::SeqCst);
                let asked_at = begun.elapsed().as_nanos() as u64;
                let answer = client.authenticate(support::request(&texts[n])).await.expect("an answer");
                if answer.get_ref().authenticated && at.load(Ordering::SeqCst) == n {
                    last.fetch_max(asked_at, Ordering::SeqCst);
                }
                tokio::time::sleep(Duration::from_micros(500)).await;
            }
        });
    }
    let mut client = full::plugin_service_client::PluginServiceClient::new(channel.clone());
    let others = Arc::clone(&texts);
    runtime.spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_micros(1_000_000 / LOAD));
        for n in 0.. {
            tick.tick().await;
            let key = &others[others.len() - 1 - n % 1_000];
            assert!(client.authenticate(support::request(key)).await.expect("an answer").get_ref().authenticated);
        }
    });
    let mut lags = Vec::with_capacity(revocations);
    for (n, key) in keys.iter().take(revocations).enumerate() {
        last.store(0, Ordering::SeqCst);
        at.store(n, Ordering::SeqCst);
        while last.load(Ordering::SeqCst) == 0 {
            std::thread::sleep(Duration::from_micros(200));
        }
        revoke(&admin, key);
        let acknowledged = begun.elapsed().as_nanos() as u64;
        std::thread::sleep(WATCHED);
        lags.push(last.load(Ordering::SeqCst).saturating_sub(acknowledged));
    }
    lags.sort_unstable();
    let ms = |p| support::percentile(&lags, p) as f64 / 1e6;
    println!(
        "| acknowledged to the last acceptance in another process, {revocations} revocations, {LOAD} calls/s beside | p50 {:.0} ms, p99 {:.0} ms, worst {:.0} ms | each watched for {} ms | p99 <= 100 ms: {} |",
        ms(0.5),
        ms(0.99),
        ms(1.0),
        WATCHED.as_millis(),
        verdict(ms(0.99) <= 100.0)
    );
    runtime.shutdown_background();
}
