//! The session call blocks for as long as the host asks, and no longer (host contract 2.4).

use std::time::{Duration, Instant};

use latchkey::pb::full::plugin as pb;
use pb::open_session_response::CloseReason;

use crate::support::{Setup, TestHost, run, sleep_ms};

async fn open(host: &TestHost, broker_id: u32, timeout_ms: i32) -> (Result<CloseReason, tonic::Code>, Duration) {
    let start = Instant::now();
    let request = pb::OpenSessionRequest {
        service_broker_id: broker_id,
        plugin_id: host.plugin_id,
        timeout_ms,
        ..pb::OpenSessionRequest::default()
    };
    let answer = host.service().open_session(request).await;
    let reason = answer.map_err(|status| status.code()).map(|answer| {
        let answer = answer.into_inner();
        assert!(answer.success, "{:?}", answer.error_message);
        answer.close_reason()
    });
    (reason, start.elapsed())
}

#[test]
fn it_ends_with_timeout_when_its_time_is_up() {
    run(30, async {
        for studio in [false, true] {
            let setup = Setup::without_store().without_session();
            let host = TestHost::start(if studio { setup.studio() } else { setup }).await;
            let (reason, took) = open(&host, host.broker_id, 1500).await;
            assert_eq!(reason, Ok(CloseReason::Timeout));
            assert!((1400..2600).contains(&took.as_millis()), "ended after {took:?} instead of 1.5 s");
            host.unload().await;
        }
    });
}

#[test]
fn close_session_and_shutdown_end_it_explicitly() {
    run(30, async {
        let host = TestHost::start(Setup::without_store().studio().without_session()).await;
        for reason in ["plugin_unload", "unload", "anything", ""] {
            let (session, ()) = tokio::join!(open(&host, host.broker_id, 30_000), async {
                sleep_ms(150).await;
                let request = pb::CloseSessionRequest { reason: reason.to_owned() };
                assert!(host.service().close_session(request).await.unwrap().into_inner().success);
            });
            assert_eq!(session.0, Ok(CloseReason::ExplicitClose), "{reason:?}");
            assert!(session.1 < Duration::from_secs(2), "{reason:?}");
        }
        let (session, ()) = tokio::join!(open(&host, host.broker_id, 30_000), async {
            sleep_ms(150).await;
            let request = pb::ShutdownRequest { timeout_seconds: 5 };
            assert!(host.service().shutdown(request).await.unwrap().into_inner().success);
        });
        assert_eq!(session.0, Ok(CloseReason::ExplicitClose));
        host.kill().await;
    });
}

#[test]
fn a_cancelled_session_and_one_without_a_broker_do_no_harm() {
    run(30, async {
        let host = TestHost::start(Setup::without_store().without_session()).await;
        assert!(tokio::time::timeout(Duration::from_millis(200), open(&host, 0, 30_000)).await.is_err());
        assert_eq!(open(&host, 0, 200).await.0, Ok(CloseReason::Timeout));
        for odd in [0, -1, i32::MIN] {
            let (reason, _) = tokio::time::timeout(Duration::from_secs(1), open(&host, 0, odd))
                .await
                .unwrap_or((Ok(CloseReason::Timeout), Duration::ZERO));
            assert!(matches!(reason, Ok(CloseReason::Timeout | CloseReason::ExplicitClose)), "{odd}: {reason:?}");
        }
        host.ping().await;
        host.unload().await;
    });
}
