//! Ten million keys against ten thousand: a warm decision by instruction count, a cold one beside the bare point reads,
//! bytes a key, memory with every cache full, and the start.
//!
//! `cargo bench --bench scale [-- --keys 10000000 --dir DIR]`: takes ten minutes and 6 GB; a store that is left in DIR is
//! used again. Needs valgrind for the instruction count.
#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a benchmark that cannot go on stops"
)]

mod support;

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use latchkey::clock::SystemEntropy;
use latchkey::domain::{CredentialId, Environment, key_format};
use latchkey::secret::{ApiKeyText, CredentialText, Secret};
use latchkey::store::Store as _;
use support::engine;
use support::populate::{CHEAP, Plan, load};
use support::verdict;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const FEW: usize = 10_000;
/// Sampled from the large store: three times what the cache holds.
const SAMPLED: usize = 60_000;
/// Keys that cheap Argon2id proves: more than proofs are kept.
const HASHED: usize = 40_000;
const WARM_KEYS: usize = 100;
/// Calls under valgrind: what the difference between the two costs is what the calls between them cost.
const WARM_CALLS: [usize; 2] = [20_000, 220_000];

struct Sample {
    data: PathBuf,
    keys: Vec<Secret<CredentialText>>,
    hashed: Vec<Secret<CredentialText>>,
    stored: usize,
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let option = |name: &str| args.iter().position(|a| a == name).and_then(|at| args.get(at + 1));
    if let Some(data) = option("--cold") {
        // For a profiler: cold decisions alone.
        let kept = Path::new(data).parent().expect("a directory");
        let sample = sample(kept, &Plan { keys: 0, sampled: SAMPLED, hashed: 0, cost: CHEAP });
        let us = |sorted: &[u64]| support::percentile(sorted, 0.5) as f64 / 1000.0;
        let [bare, cold] = rounds(&sample);
        return println!("bare p50 {:.1} us, cold p50 {:.1} us", us(&bare), us(&cold));
    }
    if let Some(data) = option("--warm") {
        return warm_child(Path::new(data), option("--calls").unwrap().parse().unwrap());
    }
    let many: usize = option("--keys").map_or(10_000_000, |keys| keys.parse().expect("a number"));
    let scratch = tempfile::tempdir().expect("a directory");
    let kept = option("--dir").map_or_else(|| scratch.path().join("many"), PathBuf::from);
    let few = sample(&scratch.path().join("few"), &Plan { keys: FEW, sampled: FEW, hashed: 0, cost: CHEAP });
    let many = sample(&kept, &Plan { keys: many, sampled: SAMPLED, hashed: HASHED, cost: CHEAP });

    println!("| measure | figure | yardstick in the same run | bound |");
    println!("| --- | --- | --- | --- |");
    size(&many);
    warm(&few, &many);
    cold(&few, &many);
    support::starts(env!("CARGO_BIN_EXE_latchkey"), &many.data, many.stored, 20.0);
    memory(&many);
}

/// Loads a store into a directory, or takes the one that is there, with the keys that were sampled from it.
fn sample(dir: &Path, plan: &Plan) -> Sample {
    let (data, list) = (dir.join("data"), dir.join("sample"));
    if !list.exists() {
        std::fs::create_dir_all(dir).expect("a directory");
        let started = Instant::now();
        let loaded = load(&data, plan);
        eprintln!("{} keys loaded in {:.0} s", plan.keys, started.elapsed().as_secs_f64());
        let lines: Vec<&[u8]> = loaded.keys.iter().chain(&loaded.hashed).map(Secret::expose).collect();
        std::fs::write(&list, lines.join(&b'\n')).expect("written");
    }
    // Into the system's cache; before SQLite opens it, for closing a handle would drop its locks.
    let mut database = std::fs::File::open(data.join("latchkey.db")).expect("there");
    std::io::copy(&mut database, &mut std::io::sink()).expect("readable");
    drop(database);
    let lines = std::fs::read(&list).expect("readable");
    let mut keys: Vec<_> = lines.split(|byte| *byte == b'\n').map(|line| Secret::new(line.to_vec())).collect();
    let hashed = keys.split_off(plan.sampled);
    Sample { data, keys, hashed, stored: plan.keys + plan.hashed }
}

fn size(many: &Sample) {
    let bytes = std::fs::metadata(many.data.join("latchkey.db")).expect("there").len() as f64 / many.stored as f64;
    println!("| bytes a key, {} keys | {bytes:.0} | - | <= 500: {} |", many.stored, verdict(bytes <= 500.0));
}

fn warm(few: &Sample, many: &Sample) {
    let of = |sample: &Sample| {
        let [least, most] = WARM_CALLS.map(|calls| instructions(&sample.data, calls));
        (most - least) as f64 / (WARM_CALLS[1] - WARM_CALLS[0]) as f64
    };
    let (few, many) = (of(few), of(many));
    let ratio = many / few;
    println!(
        "| warm, instructions a call | {many:.0} | {FEW} keys: {few:.0}, ratio {ratio:.3} | <= 1.05: {} |",
        verdict(ratio <= 1.05)
    );
}

/// Instructions of a process that opens the store and makes that many warm calls.
fn instructions(data: &Path, calls: usize) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().expect("this program"))
        .args(["--warm".as_ref(), data.as_os_str(), "--calls".as_ref(), calls.to_string().as_ref()])
        .output()
        .expect("valgrind is installed");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "valgrind: {told}");
    let collected = told.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    collected.unwrap_or_else(|| panic!("valgrind: {told}"))
}

fn warm_child(data: &Path, calls: usize) {
    let list = std::fs::read(data.with_file_name("sample")).expect("a sample");
    let keys = list.split(|byte| *byte == b'\n').take(WARM_KEYS);
    let keys: Vec<_> = keys.map(|line| Secret::new(line.to_vec())).collect();
    let (_opened, engine) = engine::start(data);
    for n in 0..calls + WARM_KEYS {
        assert!(engine::ask(&engine.authenticator, &keys[n % keys.len()]));
    }
}

fn cold(few: &Sample, many: &Sample) {
    let [[few_bare, few_cold], [many_bare, many_cold]] = [few, many].map(|sample| {
        // The first round brings the file into the system's cache.
        rounds(sample);
        rounds(sample)
    });
    let us = |sorted: &[u64], p| support::percentile(sorted, p) as f64 / 1000.0;
    let (p50, p99) = (us(&many_cold, 0.5), us(&many_cold, 0.99));
    println!(
        "| cold, {} keys | p50 {p50:.1} us, p99 {p99:.1} us | one bare look-up: p50 {:.1} us, p99 {:.1} us | p50 <= 25: {}; p99 <= 100: {} |",
        many.stored,
        us(&many_bare, 0.5),
        us(&many_bare, 0.99),
        verdict(p50 <= 25.0),
        verdict(p99 <= 100.0),
    );
    let growth = us(&many_cold, 0.5) / us(&few_cold, 0.5);
    let bare = us(&many_bare, 0.5) / us(&few_bare, 0.5);
    println!(
        "| cold, {} keys against {FEW} (p50 {:.1} us) | {growth:.2} | bare look-up, of {:.1} us: {bare:.2} | growth <= 1.5 times the bare one's: {} |",
        many.stored,
        us(&few_cold, 0.5),
        us(&few_bare, 0.5),
        verdict(growth <= 1.5 * bare)
    );
}

/// Times, sorted, of bare look-ups and of cold decisions: in turn, each key for one of them.
fn rounds(sample: &Sample) -> [Vec<u64>; 2] {
    let (opened, engine) = engine::start(&sample.data);
    let mut times = [Vec::new(), Vec::new()];
    for pair in sample.keys.chunks_exact(2) {
        let id = key_format::parse(pair[0].expose()).expect("a key").id;
        let started = Instant::now();
        black_box(opened.store.credentials().look_up(id).expect("reads"));
        times[0].push(started.elapsed().as_nanos() as u64);
        let started = Instant::now();
        assert!(engine::ask(&engine.authenticator, &pair[1]));
        times[1].push(started.elapsed().as_nanos() as u64);
    }
    times.iter_mut().for_each(|times| times.sort_unstable());
    times
}

/// A process with every cache full: facts, refusals, proofs.
fn memory(many: &Sample) {
    let text = |key: &Secret<CredentialText>| String::from_utf8(key.expose().to_vec()).expect("text");
    let unknown = (0..SAMPLED).map(|_| {
        let id = CredentialId::random(&SystemEntropy).expect("an id");
        let minted = key_format::mint::<ApiKeyText>("lk", Some(Environment::Live), id, &SystemEntropy).expect("a key");
        Secret::new(minted.text.expose().to_vec())
    });
    let unknown: Vec<String> = unknown.map(|key| text(&key)).collect();
    let [good, hashed] = [&many.keys, &many.hashed].map(|keys| keys.iter().map(text).collect::<Vec<_>>());
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (child, socket) = support::start_plugin(env!("CARGO_BIN_EXE_latchkey"), &many.data);
        let channel = support::connect(socket).await;
        support::initialize(&channel).await;
        let proven = support::authenticate(&channel, &hashed, hashed.len()).await;
        assert!(proven * 10 > hashed.len() * 9, "{proven} of {}", hashed.len());
        assert_eq!(support::authenticate(&channel, &good, good.len()).await, good.len());
        assert_eq!(support::authenticate(&channel, &unknown, unknown.len()).await, 0);
        assert_eq!(support::authenticate(&channel, &good, good.len()).await, good.len());
        let [anonymous, peak] =
            ["RssAnon", "VmHWM"].map(|field| support::status_kib(child.0.id(), field) / 1024);
        println!(
            "| RssAnon, {} keys, every cache full | {anonymous} MiB (all that is resident, peak: {peak} MiB) | - | <= 128 MiB: {} |",
            many.stored,
            verdict(anonymous <= 128)
        );
    });
}
