//! The host's directory: what a warm decision costs with one, an outage of the host, how soon what it tells of holds, and a
//! hundred thousand Apps compared. Hosts are the tests' own, the plugin is the real one.
//!
//! `cargo bench --bench directory [-- --apps 100000 --rounds 200 --pairs 11 --part outage]`; the parts are warm, first,
//! outage, told and reconcile. Needs valgrind for the instruction count.
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

#[path = "../tests/support/mod.rs"]
mod fixtures;
mod support;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fixtures::fakes::FakeApp;
use fixtures::{APP, Key, LLM, Setup, TENANT, TestHost, TestStore, USER, auth_request, until};
use latchkey::app::engine::Engine;
use latchkey::authenticate::record::Recorder;
use latchkey::directory::service::{HostFuture, HostPage};
use latchkey::directory::{HostApp, HostLink, HostRuntime, HostService};
use latchkey::domain::AppId;
use latchkey::pb::full::plugin as pb;
use latchkey::secret::Secret;
use latchkey::telemetry::metrics::Metrics;
use serde_json::json;
use support::open_loop::p99_us;
use support::populate::populate;
use support::{Ratio, percentile, verdict};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Warm calls, few and many: their difference leaves out the start.
const WARM_CALLS: [usize; 2] = [2_000, 22_000];
const WARM_KEYS: usize = 100;
/// Apps, each with a key, that an outage is survived with.
const KNOWN: u32 = 20;
const CALLS: usize = 10_000;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let option = |name: &str| args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1));
    if let (Some(data), Some(calls)) = (option("--warm"), option("--calls")) {
        return warm_child(Path::new(data), calls.parse().expect("a number"), args.iter().any(|arg| arg == "--hosted"));
    }
    let number = |name: &str, default: usize| option(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    println!("| measure | figure | yardstick in the same run | bound |");
    println!("| --- | --- | --- | --- |");
    let part = option("--part").map_or("", String::as_str);
    let wanted = |name: &str| part.is_empty() || part == name;
    if wanted("warm") {
        warm();
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        if wanted("first") {
            first_requests().await;
        }
        if wanted("outage") {
            outage(number("--pairs", 11)).await;
        }
        if wanted("told") {
            told(number("--rounds", 200)).await;
        }
        if wanted("reconcile") {
            reconciled(number("--apps", 100_000), number("--pairs", 11)).await;
        }
    });
}

/// A host that knows one App and is in the same process.
struct InProcess;

impl HostService for InProcess {
    fn app(&self, id: AppId) -> HostFuture<'_, Option<HostApp>> {
        let app = HostApp {
            id,
            name: "Shop".to_owned(),
            description: String::new(),
            active: true,
            decides: false,
            owner_email: None,
            owner: None,
            monthly_budget: 0.0,
            rate_limit: None,
            llms: None,
            tools: None,
            datasources: None,
            namespace: None,
            metadata: std::collections::BTreeMap::new(),
        };
        Box::pin(std::future::ready(Ok(Some(app))))
    }

    fn apps(&self, _: u32) -> HostFuture<'_, HostPage> {
        Box::pin(std::future::ready(Ok(HostPage::default())))
    }
}

fn warm() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let keys = populate(&data, WARM_KEYS);
    let lines: Vec<String> = keys.iter().map(|key| String::from_utf8(key.expose().to_vec()).expect("text")).collect();
    std::fs::write(dir.path().join("sample"), lines.join("\n")).expect("written");
    let of = |hosted: bool| {
        let [least, most] = WARM_CALLS.map(|calls| instructions(&data, calls, hosted));
        (most - least) as f64 / (WARM_CALLS[1] - WARM_CALLS[0]) as f64
    };
    let (embedded, hosted) = (of(false), of(true));
    let ratio = hosted / embedded;
    println!(
        "| warm, with a host directory, instructions a call | {hosted:.0} | embedded: {embedded:.0}, ratio {ratio:.4} | <= 1.03: {} |",
        verdict(ratio <= 1.03)
    );
}

/// Instructions of a process that opens the store and makes that many warm calls.
fn instructions(data: &Path, calls: usize, hosted: bool) -> u64 {
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().expect("this program"))
        .args(["--warm".as_ref(), data.as_os_str(), "--calls".as_ref(), calls.to_string().as_ref()]);
    if hosted {
        command.arg("--hosted");
    }
    let output = command.output().expect("valgrind is installed");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "valgrind: {told}");
    let collected = told.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    collected.unwrap_or_else(|| panic!("valgrind: {told}"))
}

fn warm_child(data: &Path, calls: usize, hosted: bool) {
    let list = std::fs::read(data.with_file_name("sample")).expect("a sample");
    let keys: Vec<_> = list.split(|byte| *byte == b'\n').map(|line| Secret::new(line.to_vec())).collect();
    // Nothing is due while it is counted.
    let directory = latchkey::directory::Settings { ttl: Duration::from_secs(3_600), ..Default::default() };
    let (opened, settings) = support::engine::open(data, directory);
    let link = hosted.then(|| {
        let link = Arc::new(HostLink::default());
        link.set_service(Arc::new(InProcess), HostRuntime::Microgateway);
        link
    });
    let metrics = Arc::new(Metrics::new(&Recorder::reason_labels()));
    let engine = Engine::start_hosted(&opened, &settings, &metrics, Arc::default(), link).expect("starts");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        for key in &keys {
            assert!(support::engine::decide(&engine.authenticator, key).await);
        }
        for n in 0..calls {
            assert!(support::engine::ask(&engine.authenticator, &keys[n % keys.len()]));
        }
    });
}

/// One call for a thousand who ask at once.
async fn first_requests() {
    let store = TestStore::new();
    let key = store.issue(APP, USER);
    let host = TestHost::start(Setup::on(&store).quiet()).await;
    host.fakes.delay(Duration::from_millis(100));
    let asked = (0..1_000).map(|_| host.passes(&key.text, LLM));
    assert!(futures::future::join_all(asked).await.into_iter().all(|passed| passed));
    let calls = host.fakes.called("GetApp");
    println!("| Service API calls for 1,000 first requests at once | {calls} | - | 1: {} |", verdict(calls == 1));
    host.unload().await;
}

/// Milliseconds of each of these calls, eight at once, sorted; how many said that they rest on stale facts.
async fn calls(host: &TestHost, keys: &[Key]) -> (Vec<u64>, usize) {
    let mut tasks = Vec::new();
    for lane in 0..8 {
        let (mut service, keys) = (host.service(), keys.to_vec());
        tasks.push(tokio::spawn(async move {
            let (mut times, mut stale) = (Vec::new(), 0);
            for n in 0..CALLS / 8 {
                let key = &keys[(n * 8 + lane) % keys.len()];
                let started = Instant::now();
                let answer = service.authenticate(auth_request(&key.text, LLM, Vec::new())).await.expect("an answer");
                times.push(started.elapsed().as_nanos() as u64);
                assert!(answer.get_ref().authenticated, "a known App was refused");
                stale += usize::from(answer.get_ref().claims.contains_key("stale"));
            }
            (times, stale)
        }));
    }
    let (mut times, mut stale) = (Vec::new(), 0);
    for task in tasks {
        let (some, marked) = task.await.expect("no panic");
        times.extend(some);
        stale += marked;
    }
    times.sort_unstable();
    (times, stale)
}

async fn outage(pairs: usize) {
    let store = TestStore::new();
    let mut keys = Vec::new();
    for id in 100..100 + KNOWN {
        store.ok(&["app", "add", "--tenant", TENANT, "--id", &id.to_string(), "--name", "Known", "--llm", "3"]);
        keys.push(store.issue(id, USER));
    }
    let setup = Setup::on(&store).quiet().env("LATCHKEY_DIRECTORY__TTL_SECONDS", "2");
    let host = TestHost::start(setup.env("LATCHKEY_DIRECTORY__MAX_STALE_SECONDS", "600")).await;
    (100..100 + KNOWN).for_each(|id| host.fakes.set(id, FakeApp::new("Known")));
    calls(&host, &keys).await;
    let (mut ratios, mut up, mut down, mut marked) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for _ in 0..pairs {
        host.fakes.mend();
        tokio::time::sleep(Duration::from_secs(2)).await;
        calls(&host, &keys).await;
        let well = percentile(&calls(&host, &keys).await.0, 0.99);
        host.fakes.fail(tonic::Code::Unavailable, "down");
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        // Those who find out that it is down wait for its refusal; as with the host up, the first are not counted.
        calls(&host, &keys).await;
        let (times, stale) = calls(&host, &keys).await;
        assert_eq!(stale, CALLS / 8 * 8, "each is marked");
        marked += stale;
        let away = percentile(&times, 0.99);
        ratios.push(away as f64 / well as f64);
        up.push(well as f64 / 1e6);
        down.push(away as f64 / 1e6);
    }
    let ratio = Ratio::of(ratios);
    println!(
        "| host down, p99 of 10,000 calls over {KNOWN} known Apps, all {marked} answered and marked stale | {:.2} ms | host up: {:.2} ms, ratio {ratio} | unchanged (<= 1.1): {} |",
        support::median(down),
        support::median(up),
        ratio.met_at_most(1.1)
    );
    host.unload().await;
}

/// From what the host tells until it is refused.
async fn told(rounds: usize) {
    let store = TestStore::new();
    let key = store.issue(APP, USER);
    let quiet = Setup::on(&store).quiet();
    let host = TestHost::start(quiet.clone().studio().env("LATCHKEY_DIRECTORY__RECONCILE_SECONDS", "0")).await;
    let edge = TestHost::start(quiet.env("LATCHKEY_DIRECTORY__SOURCE", "store")).await;
    until(Duration::from_secs(5), "subscriptions", || host.fakes.bus.subscribers() == 4).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let refused = async |host: &TestHost, started: Instant, wanted: bool| {
        while host.passes(&key.text, LLM).await != wanted {
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
        started.elapsed().as_micros() as u64
    };
    let event = |active: bool| {
        host.fakes.change(APP, |app| app.active = active);
        assert_eq!(host.fakes.bus.emit("system.app.updated", &json!({ "object_id": APP })), 1);
    };
    let hook = async |name: &str| {
        let request = pb::ObjectHookRequest {
            hook_type: name.to_owned(),
            object_type: "user".to_owned(),
            object_json: json!({ "id": USER }).to_string(),
            ..pb::ObjectHookRequest::default()
        };
        host.service().handle_object_hook(request).await.expect("an answer");
    };
    let mut times: [Vec<u64>; 4] = Default::default();
    for _ in 0..rounds {
        for (which, by_event) in [(0, true), (2, false)] {
            let now = Instant::now();
            refused(&host, now, true).await;
            refused(&edge, now, true).await;
            let started = Instant::now();
            let tell = async { if by_event { event(false) } else { hook("after_delete").await } };
            let ((), here, there) = tokio::join!(tell, refused(&host, started, false), refused(&edge, started, false));
            times[which].push(here);
            times[which + 1].push(there);
            if by_event { event(true) } else { hook("after_create").await }
        }
    }
    for (name, times, bound) in [
        ("event to refusal, in the process that was told", &times[0], 50.0),
        ("event to refusal, in another on the store", &times[1], 150.0),
        ("hook to refusal, in the process that was told", &times[2], 50.0),
        ("hook to refusal, in another on the store", &times[3], 150.0),
    ] {
        let mut times = times.clone();
        times.sort_unstable();
        let at = |p| percentile(&times, p) as f64 / 1000.0;
        println!(
            "| {name}, {rounds} times | p50 {:.1} ms, p99 {:.1} ms | - | p99 <= {bound} ms: {} |",
            at(0.5),
            at(0.99),
            verdict(at(0.99) <= bound)
        );
    }
    host.unload().await;
    edge.unload().await;
}

/// Seconds of the last comparison that began after `since_ms`; waits for it.
async fn compared(store: &TestStore, since_ms: i64) -> (f64, u64) {
    let file = rusqlite::Connection::open(store.data.join("latchkey.db")).expect("opens");
    loop {
        let read = file.query_row("SELECT started_at_ms, finished_at_ms, changed FROM host_syncs", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, u32>(2)?))
        });
        if let Ok((started, finished, changed)) = read
            && started >= since_ms
        {
            return ((finished - started) as f64 / 1000.0, u64::from(changed));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn now_ms() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis() as i64
}

async fn reconciled(apps: usize, pairs: usize) {
    let store = TestStore::new();
    let keys: Vec<String> = (0..50).map(|_| store.issue(APP, USER).text).collect();
    let (child, socket) = support::start_plugin(env!("CARGO_BIN_EXE_latchkey"), &store.data);
    let channel = support::connect(socket).await;
    support::initialize(&channel).await;
    let texts = Arc::new(keys);
    let setup = Setup::on(&store).quiet().studio().env("LATCHKEY_DIRECTORY__RECONCILE_SECONDS", "5");
    let host = TestHost::launch(setup.env("LATCHKEY_DIRECTORY__NAMESPACES", "eu=acme")).await;
    let many = |name: &str| {
        for id in 0..apps as u32 {
            host.fakes.set(1_000 + id, FakeApp { namespace: "eu".to_owned(), ..FakeApp::new(name) });
        }
    };
    many("Many");
    p99_us(channel.clone(), Arc::clone(&texts), 500, 2.0).await;
    let mut host = host;
    let since = now_ms();
    host.begin().await;
    let (claimed, changed) = compared(&store, since).await;
    println!(
        "| {apps} Apps claimed by a rule, {changed} rows with an event each | {claimed:.1} s | - | <= 30 s: {} |",
        verdict(claimed <= 30.0)
    );
    let (same, _) = compared(&store, now_ms()).await;
    println!("| {apps} Apps compared, none changed | {same:.1} s | - | <= 30 s: {} |", verdict(same <= 30.0));
    let (mut ratios, mut with, mut without, mut took) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for pair in 0..pairs {
        compared(&store, now_ms()).await;
        // Five seconds until the next begins.
        let quiet = p99_us(channel.clone(), Arc::clone(&texts), 500, 4.0).await;
        for id in 0..apps as u32 {
            host.fakes.set(1_000 + id, FakeApp { namespace: "eu".to_owned(), ..FakeApp::new(&format!("Many {pair}")) });
        }
        let since = now_ms();
        tokio::time::sleep(Duration::from_secs(3)).await;
        let busy = p99_us(channel.clone(), Arc::clone(&texts), 500, 6.0).await;
        let (seconds, _) = compared(&store, since).await;
        ratios.push(busy / quiet);
        with.push(busy / 1000.0);
        without.push(quiet / 1000.0);
        took.push(seconds);
    }
    let ratio = Ratio::of(ratios);
    println!(
        "| {apps} Apps compared, each changed | {:.1} s | - | <= 30 s: {} |",
        support::median(took.clone()),
        verdict(support::median(took) <= 30.0)
    );
    println!(
        "| authentication p99 at 500/s in another process meanwhile | {:.2} ms | without: {:.2} ms, ratio {ratio} | <= 1.5: {} |",
        support::median(with),
        support::median(without),
        ratio.met_at_most(1.5)
    );
    host.unload().await;
    drop(child);
}
