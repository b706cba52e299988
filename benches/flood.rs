//! Good traffic at 500/s, open loop, over the socket: its p99 while junk arrives, against as many good calls beside it; and
//! while junk arrives that forces Argon2id, against nothing beside it. Run in turns; each figure is the median of paired
//! ratios.
//!
//! `cargo bench --bench flood [-- --pairs 11 --seconds 4]`
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
use std::time::Duration;

use latchkey::clock::SystemEntropy;
use latchkey::domain::{CredentialId, Environment, key_format};
use latchkey::secret::{ApiKeyText, CredentialText, Secret};
use latchkey::verify::argon;
use support::Ratio;
use support::open_loop::{open_loop, p99_us};
use support::populate::{Plan, load};
use tonic::transport::Channel;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Calls a second that are measured.
const GOOD: u64 = 500;
/// Calls a second beside them.
const BESIDE: u64 = 5_000;
/// The same where each forces a hash of 19 MiB, of which the machine computes some fifty a second.
const HASHES: u64 = 500;
const KEYS: usize = 1_000;
const HASHED: usize = 50;

type Texts = Arc<Vec<String>>;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let option = |name: &str, default: f64| {
        args.iter().position(|a| a == name).and_then(|at| args.get(at + 1)?.parse().ok()).unwrap_or(default)
    };
    let (pairs, seconds) = (option("--pairs", 11.0) as usize, option("--seconds", 4.0));
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let loaded = load(&data, &Plan { keys: KEYS, sampled: KEYS, hashed: HASHED, cost: argon::DEFAULT_COST });
    let good: Texts = Arc::new(loaded.keys.iter().map(text).collect());
    let hashed: Vec<String> = loaded.hashed.iter().map(text).collect();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (_child, socket) = support::start_plugin(env!("CARGO_BIN_EXE_latchkey"), &data);
        let channel = support::connect(socket).await;
        support::initialize(&channel).await;
        assert_eq!(support::authenticate(&channel, &good, good.len()).await, good.len());
        println!("| measure | with junk | without | ratio, median [95 %] | bound |");
        println!("| --- | --- | --- | --- | --- |");
        let (mut floods, mut hashes) = (Vec::new(), Vec::new());
        for pair in 0..pairs {
            let junk: Texts = Arc::new(junk(&good, (BESIDE as f64 * seconds) as usize));
            let slow: Texts = Arc::new(wrong_secrets(&hashed, (HASHES as f64 * seconds) as usize));
            let run = |beside: Option<(u64, Texts)>| measured(&channel, &good, beside, seconds);
            let with_junk = || run(Some((BESIDE, Arc::clone(&junk))));
            let all_good = || run(Some((BESIDE, Arc::clone(&good))));
            let with_hashes = || run(Some((HASHES, Arc::clone(&slow))));
            if pair % 2 == 0 {
                floods.push((with_junk().await, all_good().await));
                hashes.push((with_hashes().await, run(None).await));
            } else {
                let (without, with) = (all_good().await, with_junk().await);
                floods.push((with, without));
                let (without, with) = (run(None).await, with_hashes().await);
                hashes.push((with, without));
            }
        }
        row(
            &format!("p99 us of {GOOD}/s, {BESIDE}/s junk of three kinds beside, against {BESIDE}/s good"),
            &floods,
            1.25,
        );
        row(&format!("p99 us of {GOOD}/s, {HASHES}/s beside that force Argon2id, against alone"), &hashes, 1.5);
    });
}

fn row(name: &str, samples: &[(f64, f64)], bound: f64) {
    let ratio = Ratio::of(samples.iter().map(|(with, without)| with / without).collect());
    let (with, without) = samples.iter().copied().unzip::<f64, f64, Vec<_>, Vec<_>>();
    let (with, without) = (support::median(with), support::median(without));
    println!("| {name} | {with:.0} | {without:.0} | {ratio} | <= {bound}: {} |", ratio.met_at_most(bound));
}

fn text(key: &Secret<CredentialText>) -> String {
    String::from_utf8(key.expose().to_vec()).expect("text")
}

/// A key with a right checksum and a secret that nobody gave out.
fn minted(id: CredentialId) -> String {
    let minted = key_format::mint::<ApiKeyText>("lk", Some(Environment::Live), id, &SystemEntropy).expect("a key");
    String::from_utf8(minted.text.expose().to_vec()).expect("text")
}

fn id_of(key: &str) -> CredentialId {
    key_format::parse(key.as_bytes()).expect("a key").id
}

/// In turn: a wrong checksum, an unknown id, a known id with a wrong secret. No two alike.
fn junk(good: &[String], count: usize) -> Vec<String> {
    let unknown = || minted(CredentialId::random(&SystemEntropy).expect("an id"));
    let of = |n: usize| match n % 3 {
        0 => {
            let mut key = unknown();
            let last = key.pop().expect("text");
            key.push(if last == '0' { '1' } else { '0' });
            key
        }
        1 => unknown(),
        _ => minted(id_of(&good[n % good.len()])),
    };
    (0..count).map(of).collect()
}

fn wrong_secrets(hashed: &[String], count: usize) -> Vec<String> {
    (0..count).map(|n| minted(id_of(&hashed[n % hashed.len()]))).collect()
}

/// The p99 of the good calls in microseconds, counted from when each was due.
async fn measured(channel: &Channel, good: &Texts, beside: Option<(u64, Texts)>, seconds: f64) -> f64 {
    let beside = beside.map(|(rate, texts)| tokio::spawn(open_loop(channel.clone(), texts, rate, seconds)));
    let p99 = p99_us(channel.clone(), Arc::clone(good), GOOD, seconds).await;
    if let Some(beside) = beside {
        beside.await.expect("no panic");
    }
    // What waits for a hash ends before the next run begins.
    tokio::time::sleep(Duration::from_millis(500)).await;
    p99
}
