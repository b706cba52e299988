//! Several processes on one store: what one commits, the others follow (rule R8, control B2).

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::proc::signal;
use crate::support::{APP, Key, LLM, OTHER_APP, Setup, TestHost, TestStore, USER, run, run_alone, sleep_ms};

/// Asks until the key is refused, and returns when that call was made.
async fn first_refusal(host: &TestHost, key: &Key) -> Instant {
    loop {
        let at = Instant::now();
        if !host.passes(&key.text, LLM).await {
            assert!(!host.passes(&key.text, LLM).await, "refused once, then accepted again");
            return at;
        }
        sleep_ms(1).await;
    }
}

#[test]
fn r8_revoked_on_the_command_line_is_refused_in_two_processes_within_100_ms() {
    run_alone(120, async {
        let store = TestStore::new();
        let one = TestHost::start(Setup::on(&store).quiet()).await;
        let two = TestHost::start(Setup::on(&store).quiet().studio()).await;
        let mut took = Vec::new();
        for round in 0..12 {
            let key = store.issue(APP, USER);
            one.must_accept(&key, &format!("before revocation {round}")).await;
            two.must_accept(&key, &format!("before revocation {round}")).await;
            let acknowledged = async {
                let args = ["key", "revoke", key.id.as_str(), "--reason", "key_compromise"];
                let output = tokio::process::Command::from(store.command(&args)).output().await.unwrap();
                assert!(output.status.success(), "key revoke: {}", output.status);
                Instant::now()
            };
            let (first, second, acknowledged) =
                tokio::join!(first_refusal(&one, &key), first_refusal(&two, &key), acknowledged);
            took.extend([first, second].map(|refused| refused.saturating_duration_since(acknowledged)));
        }
        took.sort();
        let (median, worst) = (took[took.len() / 2], took[took.len() - 1]);
        println!("refused after the acknowledgement: median {median:?}, worst {worst:?}");
        assert!(median <= Duration::from_millis(100), "median {median:?}");
        // A busy machine gets some slack here; the strict figure is measured by the host in Go.
        assert!(worst <= Duration::from_millis(250), "worst {worst:?}");
        one.unload().await;
        two.unload().await;
    });
}

#[test]
fn r8_the_first_answers_after_a_stop_around_a_revocation_are_refusals() {
    run_alone(60, async {
        let store = TestStore::new();
        let host = TestHost::start(Setup::on(&store)).await;
        for round in 0..3 {
            let key = store.issue(APP, USER);
            host.must_accept(&key, &format!("before stop {round}")).await;
            signal(host.pid(), Signal::STOP);
            sleep_ms(50).await;
            store.revoke(&key);
            // These calls wait in the socket of a process that stands still, and are the first thing that it sees.
            let calls: Vec<_> = (0..8)
                .map(|_| {
                    let (mut service, key) = (host.service(), key.text.clone());
                    tokio::spawn(async move {
                        service.authenticate(crate::support::auth_request(&key, LLM, Vec::new())).await
                    })
                })
                .collect();
            sleep_ms(150).await;
            signal(host.pid(), Signal::CONT);
            for call in calls {
                let answer = call.await.unwrap().unwrap().into_inner();
                assert!(!answer.authenticated, "round {round}: a process that slept answered from its cache");
            }
        }
        host.unload().await;
    });
}

#[test]
fn a_key_made_while_the_plugin_runs_works_at_once() {
    run(30, async {
        let store = TestStore::new();
        let host = TestHost::start(Setup::on(&store)).await;
        for _ in 0..5 {
            let key = store.issue(APP, USER);
            host.must_accept(&key, "a new key").await;
        }
        host.unload().await;
    });
}

#[test]
fn an_app_switched_off_is_refused_and_switched_on_again_accepted() {
    run(30, async {
        let store = TestStore::new();
        let key = store.issue(OTHER_APP, USER);
        let host = TestHost::start(Setup::on(&store)).await;
        assert!(host.passes(&key.text, LLM).await);
        for _ in 0..2 {
            store.set_app_active(OTHER_APP, false);
            sleep_ms(250).await;
            host.must_refuse(&key.text, LLM, "switched off").await;
            store.set_app_active(OTHER_APP, true);
            sleep_ms(250).await;
            assert!(host.passes(&key.text, LLM).await, "switched on again");
        }
        host.unload().await;
    });
}

#[test]
fn eight_processes_share_a_store() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let mut hosts = Vec::new();
        for _ in 0..8 {
            hosts.push(TestHost::start(Setup::on(&store)).await);
        }
        for host in &hosts {
            host.must_accept(&key, "one of eight").await;
        }
        store.revoke(&key);
        sleep_ms(250).await;
        for host in &hosts {
            host.must_refuse(&key.text, LLM, "one of eight, revoked").await;
        }
        for host in hosts {
            host.unload().await;
        }
    });
}
