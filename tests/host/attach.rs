//! Attach mode: a server of its own, several hosts at once, nobody's Shutdown ends it (go-plugin-wire 9).

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::proc::signal;
use crate::support::server::Server;
use crate::support::{APP, LLM, Setup, TestHost, TestStore, USER, run, sleep_ms};

#[test]
fn a_life_over_tcp_that_no_shutdown_ends() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let server = Server::start(&store);
        for round in 0..3 {
            let mut host = TestHost::attach(server.address, Setup::on(&store)).await;
            host.begin().await;
            host.must_accept(&key, &format!("attached, round {round}")).await;
            host.must_refuse("junk", LLM, "attached").await;
            host.plugin.shutdown().await.expect("the controller's Shutdown is answered");
            sleep_ms(1500).await;
            assert!(server.runs(), "the controller's Shutdown ended the server");
            host.must_accept(&key, "after the controller's Shutdown").await;
            host.unload().await;
            assert!(server.runs(), "unloading ended the server");
        }
        server.judge(&store.canaries);
    });
}

#[test]
fn two_hosts_at_once_and_one_that_leaves() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let server = Server::start(&store);
        let mut one = TestHost::attach(server.address, Setup::on(&store)).await;
        one.begin().await;
        let mut two = TestHost::attach(server.address, Setup::on(&store).without_session()).await;
        two.begin().await;
        let (mut service, broker_id) = (two.service(), two.broker_id);
        let session = tokio::spawn(async move {
            let start = Instant::now();
            let request = latchkey::pb::full::plugin::OpenSessionRequest {
                service_broker_id: broker_id,
                plugin_id: 1,
                timeout_ms: 2500,
                ..Default::default()
            };
            (service.open_session(request).await.unwrap().into_inner().close_reason, start.elapsed())
        });
        one.must_accept(&key, "the first host").await;
        two.must_accept(&key, "the second host").await;
        one.unload().await;
        two.must_accept(&key, "the second, after the first has left").await;
        let (reason, took) = session.await.unwrap();
        assert_eq!(reason, 1, "the second host's session ended with the first host");
        assert!(took > Duration::from_millis(2300), "after {took:?}");
        two.unload().await;
        assert!(server.runs());
    });
}

#[test]
fn r1_an_attached_host_gets_health_and_metrics_only_whatever_it_claims() {
    run(60, async {
        let store = TestStore::new();
        let server = Server::start(&store);
        for setup in [Setup::on(&store), Setup::on(&store).studio()] {
            let mut host = TestHost::attach(server.address, setup).await;
            host.begin().await;
            crate::surface::assert_only_health(&host).await;
            host.unload().await;
        }
    });
}

#[test]
fn probes_scans_and_other_protocols_disturb_nobody() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let server = Server::start(&store);
        let mut host = TestHost::attach(server.address, Setup::on(&store)).await;
        host.begin().await;
        let mut open = Vec::new();
        for bytes in [
            &b""[..],
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"\x16\x03\x01\x00\xa5\x01\x00",
            b"PRI * HTTP/2.0\r\n",
            b"\0\0\0",
        ] {
            for n in 0..10 {
                let mut probe = TcpStream::connect(server.address).unwrap();
                let _ = probe.write_all(bytes);
                if n % 2 == 0 {
                    open.push(probe); // stays open and silent
                }
            }
        }
        host.must_accept(&key, "the attached host").await;
        let mut other = TestHost::attach(server.address, Setup::on(&store)).await;
        other.begin().await;
        other.must_accept(&key, "a new host").await;
        other.unload().await;
        drop(open);
        host.must_accept(&key, "after they left").await;
        host.unload().await;
    });
}

#[test]
fn revocation_reaches_an_attached_host() {
    run(30, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let server = Server::start(&store);
        let mut host = TestHost::attach(server.address, Setup::on(&store)).await;
        host.begin().await;
        host.must_accept(&key, "before").await;
        store.revoke(&key);
        sleep_ms(250).await;
        host.must_refuse(&key.text, LLM, "revoked").await;
        host.unload().await;
    });
}

#[test]
fn sigterm_and_sigint_end_the_server_with_status_0() {
    run(60, async {
        let store = TestStore::new();
        for sent in [Signal::TERM, Signal::INT] {
            let mut server = Server::start(&store);
            let mut host = TestHost::attach(server.address, Setup::on(&store)).await;
            host.begin().await;
            signal(server.pid(), sent);
            let status = server.wait(Duration::from_secs(12)).await;
            assert_eq!(status.and_then(|status| status.code()), Some(0), "{sent:?}");
        }
    });
}
