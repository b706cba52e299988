//! The four ways to connect, the broker in both directions, and peers that are not the host (go-plugin-wire 4 to 6).

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use latchkey::plugin_client::{HandshakeError, HostError};

use crate::support::{APP, Setup, TestHost, TestStore, USER, run, until};

const MODES: [(bool, bool); 4] = [(false, false), (true, false), (false, true), (true, true)];

#[test]
fn all_four_modes_shake_hands_and_serve_health_broker_and_stdio() {
    run(60, async {
        for (auto_mtls, multiplex) in MODES {
            let mode = format!("AutoMTLS {auto_mtls}, mux {multiplex}");
            let dir = tempfile::Builder::new().prefix("lkh").tempdir().unwrap();
            let setup = Setup::without_store().secured(auto_mtls, multiplex);
            let started = setup.launch(dir.path()).start().await.unwrap_or_else(|e| panic!("{mode}: {e:?}"));
            let expected = if multiplex { 7 } else { 6 };
            assert_eq!(started.handshake().fields, expected, "{mode}");
            assert_eq!(started.handshake().certificate.is_some(), auto_mtls, "{mode}");
            let plugin = started.connect().await.unwrap_or_else(|e| panic!("{mode}: {e:?}"));
            plugin.ping().await.unwrap_or_else(|e| panic!("{mode}: {e}"));
            tokio::time::sleep(Duration::from_millis(200)).await;
            assert!(plugin.broker().is_open(), "{mode}: the broker stream ended");
            assert_eq!(plugin.stdio().ended(), None, "{mode}: the stdio stream ended");
            assert_eq!(plugin.stdio().bytes(), b"", "{mode}");
            let ended = plugin.kill().await;
            assert!(ended.cleanly() && ended.stdout_after_line == 0, "{mode}: {ended:?}");
        }
    });
}

#[test]
fn a_host_that_asked_for_nothing_gets_no_certificate_and_no_mux_field() {
    run(20, async {
        let identity = latchkey::plugin_client::HostIdentity::generate().unwrap();
        let dir = tempfile::Builder::new().prefix("lkh").tempdir().unwrap();
        // A leaked certificate: the plugin cannot tell, and a Go host without AutoMTLS would panic.
        let leaked = Setup::without_store().env("PLUGIN_CLIENT_CERT", identity.pem());
        let refused = leaked.launch(dir.path()).start().await.err();
        assert!(matches!(refused, Some(HostError::Handshake(HandshakeError::CertificateUnasked))), "{refused:?}");
    });
}

#[test]
fn nobody_without_the_hosts_certificate_gets_in_and_the_host_goes_on() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let host = TestHost::start(Setup::on(&store).secured(true, false)).await;
        for bytes in
            [&b""[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x00\xa5\x01\x00", b"GET / HTTP/1.1\r\n\r\n"]
        {
            let mut stranger = UnixStream::connect(host.socket()).unwrap();
            stranger.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            stranger.write_all(bytes).unwrap();
            let mut answer = [0; 64];
            let count = stranger.read(&mut answer).unwrap_or(0);
            // A TLS alert may come; HTTP/2 settings may not.
            assert!(count == 0 || answer[0] == 0x15, "{:02x?} was answered {:02x?}", bytes, &answer[..count]);
        }
        host.must_accept(&key, "afterwards").await;
        host.unload().await;
    });
}

#[test]
fn connections_that_say_nothing_do_not_hold_up_the_host() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        for (auto_mtls, multiplex) in [(false, false), (true, false)] {
            let host = TestHost::start(Setup::on(&store).secured(auto_mtls, multiplex)).await;
            let silent: Vec<UnixStream> = (0..64).map(|_| UnixStream::connect(host.socket()).unwrap()).collect();
            host.must_accept(&key, "beside silent connections").await;
            drop(silent);
            host.must_accept(&key, "after they left").await;
            host.unload().await;
        }
    });
}

#[test]
fn the_plugin_reaches_the_host_behind_the_broker_only_for_calls_that_it_declares() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        for (auto_mtls, multiplex) in MODES {
            let host = TestHost::start(Setup::on(&store).secured(auto_mtls, multiplex)).await;
            for _ in 0..3 {
                host.must_accept(&key, "a call").await;
            }
            let manifest =
                host.service().get_manifest(latchkey::pb::full::plugin::GetManifestRequest {}).await.unwrap();
            let manifest: serde_json::Value = serde_json::from_str(&manifest.into_inner().manifest_json).unwrap();
            let declared = manifest["permissions"]["services"].as_array().cloned().unwrap_or_default();
            for (method, count) in host.fakes.calls() {
                let scope = match method {
                    "GetApp" | "ListApps" => "apps.read",
                    "GetLLM" | "ListLLMs" => "llms.read",
                    _ => continue,
                };
                assert!(
                    declared.contains(&scope.into()),
                    "{method} was called {count} times without the scope {scope}"
                );
            }
            host.unload().await;
        }
    });
}

#[test]
fn a_new_announcement_is_possible_for_as_long_as_the_connection_stands() {
    run(30, async {
        let host = TestHost::start(Setup::without_store()).await;
        for _ in 0..50 {
            let id = host.plugin.broker().next_id();
            host.plugin.broker().serve(id, host.fakes.routes()).await.unwrap();
        }
        host.ping().await;
        until(Duration::from_secs(1), "an open broker", || host.plugin.broker().is_open()).await;
        host.unload().await;
    });
}
