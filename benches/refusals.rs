//! Control A5 over the socket: refusals of one form take the same time, whatever the store knows. Each kind is asked in turn;
//! the yardstick of each median is the median of all.
//!
//! `cargo bench --bench refusals [-- --calls 4000]`
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

use latchkey::domain::key_format;
use latchkey::pb::full::plugin as full;

/// How far a median may lie from that of all.
const TOLERANCE: f64 = 0.07;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let calls =
        args.iter().position(|a| a == "--calls").and_then(|at| args.get(at + 1)?.parse().ok()).unwrap_or(4_000_usize);
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let binary = env!("CARGO_BIN_EXE_latchkey");
    let good = support::sample_store(binary, &data);
    let issue = |more: &[&str]| {
        let base = ["key", "issue", "--tenant", "acme", "--app", "7", "--user", "9", "--output", "json"];
        let issued = support::latchkey(binary, &data, &[&base[..], more].concat());
        let issued: serde_json::Value = serde_json::from_str(&issued).expect("JSON");
        (issued["credential_id"].as_str().expect("an id").to_owned(), issued["key"].as_str().expect("a key").to_owned())
    };
    let (id, revoked) = issue(&[]);
    support::latchkey(binary, &data, &["key", "revoke", &id]);
    let (_, expired) = issue(&["--expires-in", "1s"]);
    let (_, early) = issue(&["--not-before", "2999-01-01T00:00:00Z"]);
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let sealed = |body: String| {
        let check = key_format::checksum(body.as_bytes());
        body + std::str::from_utf8(&check).expect("text")
    };
    let secret = "0".repeat(43);
    let kinds = [
        ("unknown id", sealed(format!("lk_live_{}_{secret}", "0".repeat(22)))),
        ("wrong secret", sealed(format!("{}_{secret}", &good[..good.rfind('_').expect("a key")]))),
        ("revoked", revoked),
        ("expired", expired),
        ("not yet valid", early),
    ];
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let mut times: Vec<Vec<f64>> = vec![Vec::with_capacity(calls); kinds.len()];
    runtime.block_on(async {
        let (_child, socket) = support::start_plugin(binary, &data);
        let channel = support::connect(socket).await;
        support::initialize(&channel).await;
        let mut client = full::plugin_service_client::PluginServiceClient::new(channel);
        for round in 0..calls + calls / 10 {
            for (at, (kind, key)) in kinds.iter().enumerate() {
                let context = full::PluginContext { llm_id: 3, llm_slug: "gpt".into(), ..Default::default() };
                let request =
                    full::AuthRequest { credential: key.clone(), context: Some(context), ..Default::default() };
                let started = Instant::now();
                let answer = client.authenticate(request).await.expect("an answer").into_inner();
                let took = started.elapsed().as_nanos() as f64 / 1000.0;
                assert!(!answer.authenticated && answer.error_message == "invalid credential", "{kind}");
                // The first tenth warms up.
                if round >= calls / 10 {
                    times[at].push(took);
                }
            }
        }
    });
    let all = support::median(times.concat());
    println!("| refusal | median | against the median of all ({all:.1} us) | bound |");
    println!("| --- | --- | --- | --- |");
    for ((kind, _), times) in kinds.iter().zip(times) {
        let median = support::median(times);
        let verdict = support::verdict((median / all - 1.0).abs() <= TOLERANCE);
        println!("| {kind} | {median:.1} us | {:.3} | within 7 %: {verdict} |", median / all);
    }
}
