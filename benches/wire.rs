//! `Authenticate` over the unix socket, warm, against a bare tonic unary server that decodes the full
//! messages: throughput, server CPU per call, p99 at a fixed rate. Same runtime, allocator and client;
//! the two are run in turns, and each figure is the median of paired ratios.
//!
//! `cargo bench --bench wire [-- --pairs 11 --seconds 1]`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a benchmark that cannot go on stops"
)]

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use latchkey::pb::full::plugin as full;
use prost::Message as _;
use support::open_loop::p99_us;
use support::{Ratio, connect, initialize};
use tonic::transport::Channel;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args.get(1).is_some_and(|arg| arg == "bare-server") {
        return bare_server(&args[2]);
    }
    let option = |name: &str, default: f64| {
        args.iter().position(|a| a == name).and_then(|at| args.get(at + 1)?.parse().ok()).unwrap_or(default)
    };
    let (pairs, seconds) = (option("--pairs", 11.0) as usize, Duration::from_secs_f64(option("--seconds", 1.0)));
    let dir = tempfile::tempdir().expect("a temporary directory");
    let binary = env!("CARGO_BIN_EXE_latchkey");
    let data = dir.path().join("data");
    let key = support::sample_store(binary, &data);
    let (latchkey, socket) = support::start_plugin(binary, &data);
    let bare_socket = dir.path().join("bare.sock");
    let bare = std::process::Command::new(std::env::current_exe().expect("a path"))
        .arg("bare-server")
        .arg(&bare_socket)
        .spawn()
        .map(support::Child)
        .expect("the bare server starts");
    while !bare_socket.exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let ours = Side { channel: connect(socket).await, pid: latchkey.0.id() };
        let theirs = Side { channel: connect(bare_socket.to_string_lossy().into_owned()).await, pid: bare.0.id() };
        initialize(&ours.channel).await;
        for side in [&ours, &theirs] {
            let answer = call(&side.channel, &request(&key)).await;
            assert!(answer.authenticated && answer.app_id == "7", "{answer:?}");
            closed_loop(side, &key, 16, Duration::from_millis(500)).await;
        }
        println!("| measure | latchkey | bare tonic | ratio, median [95 %] | bound |");
        println!("| --- | --- | --- | --- | --- |");
        for concurrency in [1, 16, 128] {
            let (mut rates, mut cpus) = (Vec::new(), Vec::new());
            for pair in 0..pairs {
                let (a, b) = if pair % 2 == 0 {
                    let a = closed_loop(&ours, &key, concurrency, seconds).await;
                    (a, closed_loop(&theirs, &key, concurrency, seconds).await)
                } else {
                    let b = closed_loop(&theirs, &key, concurrency, seconds).await;
                    (closed_loop(&ours, &key, concurrency, seconds).await, b)
                };
                rates.push((a.0, b.0));
                cpus.push((a.1, b.1));
            }
            let bound = concurrency > 1;
            row(&format!("requests/s, {concurrency} in flight"), &rates, bound.then_some((1.0, true)));
            row(&format!("server CPU, us/call, {concurrency} in flight"), &cpus, bound.then_some((1.0, false)));
        }
        let mut p99 = Vec::new();
        let keys = Arc::new(vec![key.clone()]);
        for pair in 0..pairs {
            let (first, second) = if pair % 2 == 0 { (&ours, &theirs) } else { (&theirs, &ours) };
            let at = |side: &Side| p99_us(side.channel.clone(), Arc::clone(&keys), 5_000, seconds.as_secs_f64());
            let (x, y) = (at(first).await, at(second).await);
            p99.push(if pair % 2 == 0 { (x, y) } else { (y, x) });
        }
        row("p99 us at 5,000/s, open loop", &p99, Some((1.25, false)));
    });
}

fn row(name: &str, samples: &[(f64, f64)], bound: Option<(f64, bool)>) {
    let ratio = Ratio::of(samples.iter().map(|(a, b)| a / b).collect());
    let (a, b) = samples.iter().copied().unzip::<f64, f64, Vec<_>, Vec<_>>();
    let verdict = match bound {
        Some((bound, true)) => format!(">= {bound:.2}: {}", ratio.met_at_least(bound)),
        Some((bound, false)) => format!("<= {bound:.2}: {}", ratio.met_at_most(bound)),
        None => "reported".into(),
    };
    println!("| {name} | {:.1} | {:.1} | {ratio} | {verdict} |", support::median(a), support::median(b));
}

struct Side {
    channel: Channel,
    pid: u32,
}

/// A request as the gateway sends it: 15 headers, a body of 2 KiB.
fn request(key: &str) -> full::AuthRequest {
    let headers: HashMap<String, String> =
        (0..15).map(|n| (format!("X-Header-{n}"), format!("value of header number {n}, some forty bytes"))).collect();
    let context = full::PluginContext {
        request_id: "req_1790000000000000000".into(),
        llm_id: 3,
        llm_slug: "gpt".into(),
        ..Default::default()
    };
    full::AuthRequest {
        credential: key.into(),
        auth_type: "bearer".into(),
        request: Some(full::PluginRequest {
            method: "POST".into(),
            path: "/llm/rest/gpt/v1/chat/completions".into(),
            headers,
            body: vec![b'x'; 2048],
            context: Some(context.clone()),
            remote_addr: "192.0.2.7:50000".into(),
        }),
        context: Some(context),
    }
}

async fn call(channel: &Channel, request: &full::AuthRequest) -> full::AuthResponse {
    let mut client = full::plugin_service_client::PluginServiceClient::new(channel.clone());
    let message = full::AuthRequest::decode(request.encode_to_vec().as_slice()).expect("a copy");
    client.authenticate(message).await.expect("an answer").into_inner()
}

/// Requests a second and server CPU microseconds a call.
async fn closed_loop(side: &Side, key: &str, concurrency: usize, duration: Duration) -> (f64, f64) {
    let stop = Arc::new(AtomicBool::new(false));
    let template = Arc::new(request(key));
    let (started, cpu) = (Instant::now(), support::cpu_ns(side.pid));
    let tasks: Vec<_> = (0..concurrency)
        .map(|_| {
            let (stop, template) = (Arc::clone(&stop), Arc::clone(&template));
            let mut client = full::plugin_service_client::PluginServiceClient::new(side.channel.clone());
            tokio::spawn(async move {
                let mut done = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    let answer = client.authenticate(copy(&template)).await.expect("an answer");
                    assert!(answer.get_ref().authenticated);
                    done += 1;
                }
                done
            })
        })
        .collect();
    tokio::time::sleep(duration).await;
    stop.store(true, Ordering::Relaxed);
    let mut calls = 0;
    for task in tasks {
        calls += task.await.expect("no panic");
    }
    let elapsed = started.elapsed().as_secs_f64();
    let cpu = support::cpu_ns(side.pid) - cpu;
    (calls as f64 / elapsed, cpu as f64 / 1000.0 / calls as f64)
}

/// Generated messages that carry credentials have no `Clone` of their own to rely on here.
fn copy(request: &full::AuthRequest) -> full::AuthRequest {
    full::AuthRequest {
        credential: request.credential.clone(),
        auth_type: request.auth_type.clone(),
        request: request.request.clone(),
        context: request.context.clone(),
    }
}

mod bare {
    //! The yardstick: one unary method, full messages, the same answer, nothing else.
    use super::full;
    use tonic::server::{Grpc, NamedService, UnaryService};

    #[derive(Clone)]
    pub struct Bare;

    impl NamedService for Bare {
        const NAME: &'static str = "plugin.PluginService";
    }

    struct Answer;

    impl UnaryService<full::AuthRequest> for Answer {
        type Response = full::AuthResponse;
        type Future = std::future::Ready<Result<tonic::Response<full::AuthResponse>, tonic::Status>>;
        fn call(&mut self, request: tonic::Request<full::AuthRequest>) -> Self::Future {
            let request = request.into_inner();
            std::hint::black_box(&request.credential);
            let claims = [
                ("tenant", "acme"),
                ("credential_id", "2f3K9aZbYcXdWeVfUgThSi"),
                ("credential_kind", "api_key"),
                ("scopes", ""),
                ("environment", "live"),
                ("expires_at", ""),
            ];
            std::future::ready(Ok(tonic::Response::new(full::AuthResponse {
                authenticated: true,
                user_id: "9".into(),
                app_id: "7".into(),
                claims: claims.into_iter().map(|(k, v)| (k.into(), v.into())).collect(),
                error_message: String::new(),
            })))
        }
    }

    impl tower::Service<http::Request<tonic::body::Body>> for Bare {
        type Response = http::Response<tonic::body::Body>;
        type Error = std::convert::Infallible;
        type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;
        fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
            std::task::Poll::Ready(Ok(()))
        }
        fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
            Box::pin(async move {
                let mut grpc = Grpc::new(tonic_prost::ProstCodec::default());
                Ok(grpc.unary(Answer, request).await)
            })
        }
    }
}

fn bare_server(path: &str) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::UnixListener::bind(path).expect("a socket");
        tonic::transport::Server::builder()
            .max_concurrent_streams(256)
            .add_service(bare::Bare)
            .serve_with_incoming(tokio_stream::wrappers::UnixListenerStream::new(listener))
            .await
            .expect("serves");
    });
}
