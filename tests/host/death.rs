//! Every way to end, of either side (go-plugin-wire 8, hazard H23).

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::helper;
use crate::support::proc::{KillOnDrop, gone, signal};
use crate::support::{APP, LLM, Setup, TestHost, TestStore, USER, run, sleep_ms, until};

#[test]
fn h23_controller_shutdown_ends_it_within_2_s_with_status_0() {
    run(60, async {
        let store = TestStore::new();
        for setup in
            [Setup::on(&store), Setup::on(&store).studio().secured(true, false), Setup::on(&store).secured(false, true)]
        {
            let mut host = TestHost::start(setup).await;
            let socket = host.socket();
            let start = Instant::now();
            let _ = host.plugin.shutdown().await; // the reply may get lost
            let status = host.plugin.process().unwrap().wait(Duration::from_secs(2)).await;
            assert_eq!(status.and_then(|status| status.code()), Some(0), "after {:?}", start.elapsed());
            assert!(!socket.exists(), "the socket was left behind");
        }
    });
}

#[test]
fn shutdown_with_requests_in_flight_ends_as_quickly() {
    run(30, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let host = TestHost::start(Setup::on(&store).quiet()).await;
        for _ in 0..16 {
            let (mut service, key) = (host.service(), key.text.clone());
            tokio::spawn(async move {
                while service.authenticate(crate::support::auth_request(&key, LLM, Vec::new())).await.is_ok() {}
            });
        }
        sleep_ms(200).await;
        host.unload().await;
    });
}

#[test]
fn shutdown_of_the_service_twice_and_then_kill() {
    run(30, async {
        let host = TestHost::start(Setup::without_store().without_session()).await;
        for _ in 0..2 {
            let request = latchkey::pb::full::plugin::ShutdownRequest { timeout_seconds: 5 };
            assert!(host.service().shutdown(request).await.unwrap().into_inner().success);
        }
        host.kill().await;
    });
}

#[test]
fn sigint_is_the_hosts_business() {
    run(30, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let host = TestHost::start(Setup::on(&store)).await;
        for _ in 0..3 {
            signal(host.pid(), Signal::INT);
            sleep_ms(150).await;
            host.must_accept(&key, "after SIGINT").await;
        }
        host.unload().await;
    });
}

#[test]
fn sigterm_ends_it_within_12_s_with_status_0() {
    run(40, async {
        let mut alone = TestHost::start(Setup::without_store()).await;
        let socket = alone.socket();
        signal(alone.pid(), Signal::TERM);
        let status = alone.plugin.process().unwrap().wait(Duration::from_secs(12)).await;
        assert_eq!(status.and_then(|status| status.code()), Some(0));
        assert!(!socket.exists(), "the socket was left behind");
        // A service manager signals both; the host then ends the plugin its own way.
        let host = TestHost::start(Setup::without_store().without_session()).await;
        signal(host.pid(), Signal::TERM);
        host.kill().await;
    });
}

#[test]
fn kill_9_of_the_host_ends_the_plugin_within_3_s_and_unlinks_its_socket() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        for _ in 0..2 {
            let mut host = helper::spawn("host", &store.data, &key.text);
            let _killed = KillOnDrop(host.id());
            let told = helper::heard(&mut host);
            let plugin = u32::try_from(told["plugin"].as_u64().unwrap()).unwrap();
            let _orphan = KillOnDrop(plugin);
            let socket = std::path::PathBuf::from(told["socket"].as_str().unwrap());
            assert!(told["authenticated"] == true && !gone(plugin) && socket.exists(), "{told}");
            host.kill().unwrap();
            host.wait().unwrap();
            until(Duration::from_secs(3), "the orphan's end", || gone(plugin)).await;
            assert!(!socket.exists(), "the orphan left its socket");
        }
    });
}

#[test]
fn kill_9_of_the_plugin_leaves_a_store_that_the_next_one_uses() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        for _ in 0..3 {
            let mut host = TestHost::start(Setup::on(&store)).await;
            host.must_accept(&key, "before").await;
            signal(host.pid(), Signal::KILL);
            host.plugin.process().unwrap().wait(Duration::from_secs(3)).await.expect("a killed process ends");
            assert!(host.auth(&key.text, LLM).await.is_err(), "a dead plugin answered");
        }
        let host = TestHost::start(Setup::on(&store)).await;
        host.must_accept(&key, "a new process").await;
        let fresh = store.issue(APP, USER);
        host.must_accept(&fresh, "a key made after the deaths").await;
        store.revoke(&fresh);
        sleep_ms(150).await;
        host.must_refuse(&fresh.text, LLM, "revoked after the deaths").await;
        host.unload().await;
    });
}

#[test]
fn a_host_that_closes_its_broker_early_is_still_served() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        for (auto_mtls, multiplex) in [(false, false), (true, false), (false, true)] {
            let host = TestHost::start(Setup::on(&store).secured(auto_mtls, multiplex)).await;
            host.must_accept(&key, "before").await;
            host.plugin.broker().close();
            // Well past any grace that a lost host might be given: this one is alive and keeps its connection.
            for _ in 0..8 {
                sleep_ms(400).await;
                host.must_accept(&key, "after the broker was closed").await;
            }
            host.unload().await;
        }
    });
}
