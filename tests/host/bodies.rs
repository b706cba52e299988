//! Bodies: the host sends the whole LLM request with every call (hazard H9, rule R7).

use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, StreamBody};
use prost::Message as _;
use prost::bytes::{BufMut as _, Bytes, BytesMut};
use tower::ServiceExt as _;

use latchkey::pb::full::plugin as pb;

use crate::support::proc::status_kib;
use crate::support::{
    APP, LLM, Setup, TestHost, TestStore, USER, auth_request, context, request, run, run_alone, sleep_ms,
};

const MIB: usize = 1 << 20;
/// 64 MiB of message bytes (rule R7), and the process itself, unoptimised.
const RSS_LIMIT_KIB: u64 = 200 * 1024;

/// A unary call with a message that was encoded before: many calls can share its bytes. Returns the gRPC status
/// and the answer, if there was one.
pub async fn raw(host: &TestHost, method: &str, message: Bytes) -> (i32, Option<pb::AuthResponse>) {
    let mut head = BytesMut::with_capacity(5);
    head.put_u8(0);
    head.put_u32(u32::try_from(message.len()).unwrap());
    let mut frames = vec![Ok::<_, std::convert::Infallible>(http_body::Frame::data(head.freeze()))];
    frames.extend(
        (0..message.len())
            .step_by(64 * 1024)
            .map(|from| Ok(http_body::Frame::data(message.slice(from..message.len().min(from + 64 * 1024))))),
    );
    let call = http::Request::post(format!("http://unused/plugin.PluginService/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(tonic::body::Body::new(StreamBody::new(tokio_stream::iter(frames))))
        .unwrap();
    let answer = host.plugin.channel().oneshot(call).await.unwrap_or_else(|e| panic!("{method}: {e}"));
    let status = |headers: &http::HeaderMap| headers.get("grpc-status")?.to_str().ok()?.parse::<i32>().ok();
    let early = status(answer.headers());
    let body = answer.into_body().collect().await.unwrap_or_else(|e| panic!("{method}: {e}"));
    let code = early.or_else(|| body.trailers().and_then(status)).expect("a gRPC status");
    let bytes = body.to_bytes();
    let answer = (bytes.len() >= 5).then(|| pb::AuthResponse::decode(&bytes[5..]).expect("an AuthResponse"));
    (code, answer)
}

#[test]
fn h9_a_body_of_64_mib_passes_in_authenticate_and_in_pre_auth() {
    run(120, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        for (auto_mtls, multiplex) in [(false, false), (true, true)] {
            let host = TestHost::start(Setup::on(&store).secured(auto_mtls, multiplex)).await;
            for credential in [key.text.as_str(), "junk"] {
                let good = credential == key.text;
                let message = auth_request(credential, LLM, vec![b'x'; 64 * MIB]);
                let answer = host.service().authenticate(message).await.expect("64 MiB").into_inner();
                assert_eq!(answer.authenticated, good, "{:?}", answer.error_message);
                let bearer = format!("Bearer {credential}");
                let mut context = context(LLM);
                context.vendor = "openai".to_owned();
                let message = request(&[("Authorization", &bearer)], vec![b'x'; 64 * MIB], context);
                let answer = host.service().process_pre_auth(message).await.expect("64 MiB").into_inner();
                assert_eq!((answer.block, answer.modified), (!good, false));
            }
            let peak = status_kib(host.pid(), "VmHWM");
            assert!(peak < RSS_LIMIT_KIB, "resident memory rose to {} MiB", peak / 1024);
            host.unload().await;
        }
    });
}

#[test]
fn r7_ping_stays_under_a_second_beside_64_concurrent_bodies_of_8_mib() {
    run_alone(180, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let host = TestHost::start(Setup::on(&store)).await;
        let message = Bytes::from(auth_request(&key.text, LLM, vec![b'x'; 8 * MIB]).encode_to_vec());
        let calls = futures::future::join_all((0..64).map(|_| raw(&host, "Authenticate", message.clone())));
        let done = std::cell::Cell::new(false);
        let pinging = async {
            let (mut slowest, mut health_slowest, mut pings) = (Duration::ZERO, Duration::ZERO, 0);
            while !done.get() {
                slowest = slowest.max(host.ping().await);
                let start = Instant::now();
                host.plugin.ping().await.expect("health");
                health_slowest = health_slowest.max(start.elapsed());
                pings += 1;
                sleep_ms(20).await;
            }
            (slowest, health_slowest, pings)
        };
        let (answers, (slowest, health_slowest, pings)) = tokio::join!(
            async {
                let answers = calls.await;
                done.set(true);
                answers
            },
            pinging
        );
        println!("{pings} Pings, slowest {slowest:?}, health {health_slowest:?}");
        assert!(slowest < Duration::from_secs(1), "a Ping took {slowest:?}");
        assert!(health_slowest < Duration::from_secs(1), "a health check took {health_slowest:?}");
        for (code, answer) in answers {
            assert_eq!(code, 0, "a gRPC error");
            assert!(answer.is_some_and(|answer| answer.authenticated), "refused beside others");
        }
        let peak = status_kib(host.pid(), "VmHWM");
        assert!(peak < RSS_LIMIT_KIB, "resident memory rose to {} MiB", peak / 1024);
        host.must_accept(&key, "afterwards").await;
        assert!(host.plugin.broker().is_open());
        host.unload().await;
    });
}

#[test]
fn r7_what_is_over_the_limit_of_a_call_is_refused_in_the_message_and_counted() {
    run(120, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let host = TestHost::start(Setup::on(&store).studio()).await;
        // A credential may not grow beside the body: 1 MiB of it is over 256 KiB a call.
        let message = auth_request(&"A".repeat(MIB), LLM, vec![b'x'; 4 * MIB]);
        let answer = host.service().authenticate(message).await.expect("no gRPC error").into_inner();
        assert!(!answer.authenticated && !answer.error_message.is_empty());
        assert!(host.metric("error_count").await + host.metric("request_count").await >= 1.0);
        // And the window was released: the connection takes further calls.
        for _ in 0..8 {
            let message = auth_request(&key.text, LLM, vec![b'x'; 2 * MIB]);
            assert!(host.service().authenticate(message).await.unwrap().into_inner().authenticated);
        }
        host.unload().await;
    });
}
