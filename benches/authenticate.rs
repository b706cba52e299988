//! `authenticate` in process: warm, cold over 100,000 keys, and refused junk, each beside a yardstick that is
//! timed in the same run.
//!
//! `cargo bench --bench authenticate [-- --keys 100000]`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    missing_docs,
    reason = "a benchmark that cannot go on stops"
)]

mod support;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use latchkey::authenticate::Authenticator;
use latchkey::clock::{Entropy as _, SystemEntropy};
use latchkey::domain::{CredentialId, Environment, key_format};
use latchkey::secret::{ApiKeyText, CredentialText, Secret};
use latchkey::store::Store as _;
use latchkey::store::sqlite::SqliteStore;
use support::engine::ask;
use support::populate::populate;
use support::verdict;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 11;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let keys =
        args.iter().position(|a| a == "--keys").and_then(|at| args.get(at + 1)?.parse().ok()).unwrap_or(100_000_usize);
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let keys = populate(&data, keys);
    let (opened, engine) = support::engine::start(&data);
    let authenticator = &engine.authenticator;

    println!("| measure | figure | yardstick in the same run | bound |");
    println!("| --- | --- | --- | --- |");
    cold(authenticator, &keys, &opened.store);
    warm(authenticator, &keys);
    junk(authenticator);
}

fn cold(authenticator: &Authenticator, keys: &[Secret<CredentialText>], store: &SqliteStore) {
    // A bare point read of the same rows in the same run.
    let mut bare = Vec::with_capacity(keys.len());
    for key in keys.iter().rev().take(20_000) {
        let id = key_format::parse(key.expose()).expect("a key").id;
        let started = Instant::now();
        black_box(store.credentials().look_up(id).expect("reads"));
        bare.push(started.elapsed().as_nanos() as u64);
    }
    let mut samples = Vec::with_capacity(keys.len());
    for key in keys {
        let started = Instant::now();
        assert!(ask(authenticator, key));
        samples.push(started.elapsed().as_nanos() as u64);
    }
    samples.sort_unstable();
    bare.sort_unstable();
    let us = |sorted: &[u64], p| support::percentile(sorted, p) as f64 / 1000.0;
    let (p50, p99) = (us(&samples, 0.5), us(&samples, 0.99));
    println!(
        "| cold, {} keys | p50 {p50:.1} us, p99 {p99:.1} us | one bare look-up: p50 {:.1} us, p99 {:.1} us | p50 <= 20: {}; p99 <= 80: {} |",
        keys.len(),
        us(&bare, 0.5),
        us(&bare, 0.99),
        verdict(p50 <= 20.0),
        verdict(p99 <= 80.0),
    );
}

fn warm(authenticator: &Authenticator, keys: &[Secret<CredentialText>]) {
    let few: Vec<_> = keys.iter().take(10_000).collect();
    for key in &few {
        assert!(ask(authenticator, key));
    }
    let one = per_call(200_000, |_| assert!(ask(authenticator, few[0])));
    let many = per_call(200_000, |n| assert!(ask(authenticator, few[n * 7_919 % few.len()])));
    let moka: moka::sync::Cache<[u8; 32], Arc<u64>> =
        moka::sync::Cache::builder().max_capacity(20_000).time_to_live(std::time::Duration::from_secs(600)).build();
    let quick = quick_cache::sync::Cache::<[u8; 32], Arc<u64>>::new(20_000);
    let papaya = papaya::HashMap::<[u8; 32], Arc<u64>>::new();
    let digests: Vec<[u8; 32]> = (0..10_000_u64)
        .map(|n| {
            let mut digest = [0; 32];
            SystemEntropy.fill(&mut digest).expect("random");
            moka.insert(digest, Arc::new(n));
            quick.insert(digest, Arc::new(n));
            papaya.pin().insert(digest, Arc::new(n));
            digest
        })
        .collect();
    let place = |n: usize| &digests[n * 7_919 % digests.len()];
    let moka = per_call(200_000, |n| {
        black_box(moka.get(place(n)));
    });
    let quick = per_call(200_000, |n| {
        black_box(quick.get(place(n)));
    });
    let papaya = per_call(200_000, |n| {
        black_box(papaya.pin().get(place(n)).cloned());
    });
    println!(
        "| warm, one key | {one:.0} ns | a hit alone: quick_cache {quick:.0} ns, papaya {papaya:.0} ns, moka with TTL {moka:.0} ns | <= 1000 ns: {} |",
        verdict(one <= 1000.0)
    );
    println!("| warm, 10,000 keys | {many:.0} ns | as above | <= 1000 ns: {} |", verdict(many <= 1000.0));
}

fn junk(authenticator: &Authenticator) {
    let minted = key_format::mint::<ApiKeyText>(
        "lk",
        Some(Environment::Live),
        CredentialId::from_bytes([1; 16]),
        &SystemEntropy,
    )
    .expect("a key");
    let mut text = minted.text.expose().to_vec();
    let last = text.len() - 1;
    text[last] = if text[last] == b'0' { b'1' } else { b'0' };
    let junk = Secret::new(text);
    let figure = per_call(200_000, |_| assert!(!ask(authenticator, &junk)));
    let crc = per_call(200_000, |_| {
        black_box(crc32fast::hash(black_box(junk.expose())));
    });
    println!(
        "| refused junk (bad checksum) | {figure:.0} ns | CRC-32 of 80 bytes: {crc:.0} ns | <= 1000 ns: {} |",
        verdict(figure <= 1000.0)
    );
}

/// Nanoseconds a call: the median of some rounds.
fn per_call(calls: usize, mut call: impl FnMut(usize)) -> f64 {
    let rounds = (0..ROUNDS).map(|_| {
        let started = Instant::now();
        for n in 0..calls {
            call(n);
        }
        started.elapsed().as_nanos() as f64 / calls as f64
    });
    support::median(rounds.collect())
}
