//! The admin RPC on `latchkey serve` over its unix socket: issuing, revoking, listing, and what its work costs those who are
//! being authenticated.
//!
//! `cargo bench --bench admin [-- --keys 1000000 --pairs 11 --seconds 4]`
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

use std::io::BufRead as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use latchkey::clock::SystemEntropy;
use latchkey::domain::{CredentialId, TenantId};
use latchkey::pb::admin::v1 as pb;
use latchkey::pb::admin::v1::admin_service_client::AdminServiceClient;
use latchkey::verify::Hasher;
use latchkey::verify::argon::{self, DEFAULT_COST};
use latchkey::verify::pool::ArgonPool;
use support::open_loop::p99_us;
use support::populate::{CHEAP, Plan, load};
use support::{Ratio, median};
use tokio::runtime::Handle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Rpc = AdminServiceClient<Channel>;

/// With an App and a User of each.
const TENANTS: [(&str, u32, u32); 2] = [("acme", 7, 9), ("globex", 21, 22)];
/// Calls a second that are measured.
const GOOD: u64 = 500;
/// Keys that those use.
const SAMPLED: usize = 1_000;
/// Keys that are issued at once.
const AT_ONCE: usize = 8;
/// Keys on a page that is timed, and on those that lead there.
const PAGE: i32 = 100;
const LONG_PAGE: i32 = 1_000;

struct Options {
    keys: usize,
    pairs: usize,
    seconds: f64,
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let option = |name: &str, default: f64| {
        args.iter().position(|a| a == name).and_then(|at| args.get(at + 1)?.parse().ok()).unwrap_or(default)
    };
    let options = Options {
        keys: option("--keys", 1e6) as usize,
        pairs: option("--pairs", 11.0) as usize,
        seconds: option("--seconds", 4.0),
    };
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let loaded = load(&data, &Plan { keys: options.keys, sampled: SAMPLED, hashed: 0, cost: CHEAP });
    let good: Vec<String> =
        loaded.keys.iter().map(|key| String::from_utf8(key.expose().to_vec()).expect("text")).collect();
    let binary = env!("CARGO_BIN_EXE_latchkey");
    latchkey::audit::key::create(&data.join(latchkey::audit::key::FILE_NAME)).expect("a key");
    support::latchkey(binary, &data, &["tenant", "create", "globex"]);
    let app = ["app", "add", "--tenant", "globex", "--id", "21", "--name", "Shop", "--llm", "3"];
    support::latchkey(binary, &data, &app);
    let user = ["user", "add", "--tenant", "globex", "--id", "22", "--email", "eve@globex.example"];
    support::latchkey(binary, &data, &user);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    // The admin's own thread: who decodes pages there must not hold up the calls that are measured.
    let desk = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let (_child, listening, socket) = serve(binary, &data);
    let connected = async { AdminServiceClient::new(support::connect(socket.clone()).await) };
    let rpc = desk.block_on(connected).max_decoding_message_size(4 << 20);
    println!("| measure | figure | yardstick in the same run | ratio, median [95 %] | bound |");
    println!("| --- | --- | --- | --- | --- |");
    runtime.block_on(async {
        let gateway = Endpoint::from_shared(format!("http://{listening}")).expect("a URL").connect().await.expect("it");
        issue_one(&rpc, &options).await;
        issue_many(&rpc, &options).await;
        revoke(&rpc, dir.path(), &options).await;
        list(&rpc, &options).await;
        beside(&rpc, desk.handle(), &gateway, Arc::new(good), &options).await;
    });
}

/// Starts `latchkey serve`; where gateways and where admins find it.
fn serve(binary: &str, data: &Path) -> (support::Child, String, String) {
    let socket = data.parent().expect("a parent").join("admin.sock").display().to_string();
    let mut child = std::process::Command::new(binary)
        .arg("--data-dir")
        .arg(data)
        .args(["serve", "--listen", "127.0.0.1:0", "--output", "json", "--admin", &format!("unix:{socket}")])
        .env("LATCHKEY_STORE__DEV", "true")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the binary starts");
    let mut reader = std::io::BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    reader.read_line(&mut line).expect("a line");
    std::mem::forget(reader);
    let told: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    (support::Child(child), told["listening"].as_str().expect("an address").to_owned(), socket)
}

fn row(name: &str, unit: &str, samples: &[(f64, f64)], yardstick: &str, bound: (f64, bool)) {
    let ratio = Ratio::of(samples.iter().map(|(ours, theirs)| ours / theirs).collect());
    let (ours, theirs) = samples.iter().copied().unzip::<f64, f64, Vec<_>, Vec<_>>();
    let (bound, least) = bound;
    let (sign, met) = if least { (">=", ratio.met_at_least(bound)) } else { ("<=", ratio.met_at_most(bound)) };
    println!(
        "| {name} | {:.2} {unit} | {yardstick}: {:.2} {unit} | {ratio} | {sign} {bound}: {met} |",
        median(ours),
        median(theirs)
    );
}

fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

async fn issue(rpc: &mut Rpc, (tenant, app_id, user_id): (&str, u32, u32)) -> String {
    let credential = pb::Credential { tenant: tenant.to_owned(), app_id, user_id, ..Default::default() };
    let request =
        pb::IssueCredentialRequest { credential: Some(credential), expires_in_seconds: 86_400, ..Default::default() };
    let issued = rpc.issue_credential(request).await.expect("issued").into_inner();
    issued.credential.expect("a credential").credential_id
}

async fn issue_one(rpc: &Rpc, options: &Options) {
    const EACH: usize = 9;
    let mut rpc = rpc.clone();
    let mut samples = Vec::new();
    for _ in 0..options.pairs {
        let (mut calls, mut hashes) = (Vec::new(), Vec::new());
        for _ in 0..EACH {
            let started = Instant::now();
            issue(&mut rpc, TENANTS[0]).await;
            calls.push(ms(started));
            let started = Instant::now();
            argon::hash(DEFAULT_COST, &[7; 43], &SystemEntropy).expect("a hash");
            hashes.push(ms(started));
        }
        samples.push((median(calls), median(hashes)));
    }
    row("issue, durable, one at a time, p50", "ms", &samples, "one Argon2id hash", (1.3, false));
}

/// Of two tenants: the pool gives one tenant half of its threads at most.
async fn issue_many(rpc: &Rpc, options: &Options) {
    const EACH: usize = 8;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let pool = Arc::new(ArgonPool::start(threads, 64).expect("threads"));
    let mut samples = Vec::new();
    for _ in 0..options.pairs {
        let started = Instant::now();
        let tasks: Vec<_> = (0..AT_ONCE)
            .map(|n| {
                let mut rpc = rpc.clone();
                tokio::spawn(async move {
                    for _ in 0..EACH {
                        issue(&mut rpc, TENANTS[n % 2]).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic");
        }
        let issued = (AT_ONCE * EACH) as f64 / started.elapsed().as_secs_f64();
        let hasher = Hasher::Pool(Arc::clone(&pool));
        let started = Instant::now();
        std::thread::scope(|scope| {
            for n in 0..AT_ONCE {
                let hasher = hasher.clone();
                scope.spawn(move || {
                    let tenant = TenantId::from_bytes([n as u8 % 2 + 1; 16]);
                    for _ in 0..EACH {
                        let id = CredentialId::random(&SystemEntropy).expect("an id");
                        hasher.hash(tenant, id, DEFAULT_COST, &[7; 43], &SystemEntropy).expect("a hash");
                    }
                });
            }
        });
        samples.push((issued, (AT_ONCE * EACH) as f64 / started.elapsed().as_secs_f64()));
    }
    let name = format!("issue, durable, {AT_ONCE} at once, of two tenants");
    row(&name, "/s", &samples, "the pool's hashes alone", (0.75, true));
}

async fn revoke(rpc: &Rpc, dir: &Path, options: &Options) {
    const EACH: usize = 20;
    let mut rpc = rpc.clone();
    let bare = rusqlite::Connection::open(dir.join("bare.db")).expect("a database");
    bare.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (a BLOB)").expect("made");
    let mut samples = Vec::new();
    for _ in 0..options.pairs {
        let (mut calls, mut commits) = (Vec::new(), Vec::new());
        for _ in 0..EACH {
            let credential_id = issue(&mut rpc, TENANTS[0]).await;
            let started = Instant::now();
            let request = pb::RevokeCredentialRequest {
                credential_id,
                reason: pb::RevocationReason::KeyCompromise.into(),
                ..Default::default()
            };
            rpc.revoke_credential(request).await.expect("revoked");
            calls.push(ms(started));
            let started = Instant::now();
            bare.execute("INSERT INTO t VALUES (randomblob(200))", []).expect("committed");
            commits.push(ms(started));
        }
        samples.push((median(calls), median(commits)));
    }
    row("revoke, durable, p50", "ms", &samples, "one fsync'd SQLite commit", (3.0, false));
}

async fn page(rpc: &mut Rpc, token: &str, size: i32) -> pb::ListCredentialsResponse {
    let request = pb::ListCredentialsRequest {
        tenant: "acme".to_owned(),
        page_size: size,
        page_token: token.to_owned(),
        ..Default::default()
    };
    rpc.list_credentials(request).await.expect("a page").into_inner()
}

async fn list(rpc: &Rpc, options: &Options) {
    const EACH: usize = 50;
    let mut rpc = rpc.clone();
    let (mut last, mut token, mut keys) = (String::new(), String::new(), 0);
    loop {
        let page = page(&mut rpc, &token, LONG_PAGE).await;
        keys += page.credentials.len();
        if page.next_page_token.is_empty() {
            break;
        }
        // One that has a full page after it.
        last = std::mem::replace(&mut token, page.next_page_token);
    }
    assert!(keys > options.keys, "{keys}");
    let mut samples = Vec::new();
    for _ in 0..options.pairs {
        let (mut lasts, mut firsts) = (Vec::new(), Vec::new());
        for _ in 0..EACH {
            for (token, times) in [(last.as_str(), &mut lasts), ("", &mut firsts)] {
                let started = Instant::now();
                assert_eq!(page(&mut rpc, token, PAGE).await.credentials.len(), PAGE as usize);
                times.push(ms(started));
            }
        }
        samples.push((median(lasts), median(firsts)));
    }
    row(&format!("list {PAGE} of {keys} keys, the last page, p50"), "ms", &samples, "the first page", (2.0, false));
}

async fn beside(rpc: &Rpc, desk: &Handle, gateway: &Channel, good: Arc<Vec<String>>, options: &Options) {
    let fresh = Arc::new(AtomicU64::new(1));
    let (mut samples, mut imported, mut pages) = (Vec::new(), Vec::new(), Vec::new());
    let run = async || p99_us(gateway.clone(), Arc::clone(&good), GOOD, options.seconds).await / 1e3;
    run().await;
    for pair in 0..options.pairs {
        let with = async |imported: &mut Vec<f64>, pages: &mut Vec<f64>| {
            let stop = Arc::new(AtomicBool::new(false));
            let import = desk.spawn(import(rpc.clone(), Arc::clone(&fresh), Arc::clone(&stop)));
            let lists = desk.spawn(keep_listing(rpc.clone(), Arc::clone(&stop)));
            // Both are at work before the first call is due.
            tokio::time::sleep(Duration::from_millis(200)).await;
            let p99 = run().await;
            stop.store(true, Ordering::SeqCst);
            imported.push(import.await.expect("no panic"));
            pages.push(lists.await.expect("no panic"));
            p99
        };
        samples.push(if pair % 2 == 0 {
            let p99 = with(&mut imported, &mut pages).await;
            (p99, run().await)
        } else {
            let alone = run().await;
            (with(&mut imported, &mut pages).await, alone)
        });
    }
    let name = format!(
        "authentication p99 at {GOOD}/s, while an admin imports ({:.0} keys/s) and lists ({:.0} pages/s)",
        median(imported),
        median(pages)
    );
    row(&name, "ms", &samples, "without", (1.5, false));
}

/// Imports as fast as it goes until told to stop; keys a second.
async fn import(mut rpc: Rpc, fresh: Arc<AtomicU64>, stop: Arc<AtomicBool>) -> f64 {
    const LINES: usize = 500;
    let (send, coming) = tokio::sync::mpsc::channel(4);
    let started = Instant::now();
    tokio::spawn(async move {
        let options = pb::ImportOptions {
            tenant: "acme".to_owned(),
            app_id: 7,
            user_id: 9,
            entropy: pb::Entropy::High.into(),
            ..Default::default()
        };
        let mut options = Some(options);
        while !stop.load(Ordering::SeqCst) {
            let first = fresh.fetch_add(LINES as u64, Ordering::SeqCst);
            let lines = (first..first + LINES as u64).map(|n| format!("{{\"sha256\":\"{n:064x}\"}}\n"));
            let lines = lines.collect::<String>().into_bytes();
            if send.send(pb::ImportCredentialsRequest { options: options.take(), lines }).await.is_err() {
                return;
            }
        }
    });
    let mut answers = rpc.import_credentials(ReceiverStream::new(coming)).await.expect("begun").into_inner();
    let mut imported = 0;
    while let Some(told) = answers.message().await.expect("told") {
        assert_eq!(told.refused, 0, "{told:?}");
        imported = told.imported;
    }
    imported as f64 / started.elapsed().as_secs_f64()
}

/// Lists from the first page to the last and again; pages a second.
async fn keep_listing(mut rpc: Rpc, stop: Arc<AtomicBool>) -> f64 {
    let (started, mut pages, mut token) = (Instant::now(), 0, String::new());
    while !stop.load(Ordering::SeqCst) {
        token = page(&mut rpc, &token, LONG_PAGE).await.next_page_token;
        pages += 1;
    }
    f64::from(pages) / started.elapsed().as_secs_f64()
}
