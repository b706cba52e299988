//! Peppers on the real binary: rotated under traffic, retired, lost (rules R4 and R5, control A3).

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{APP, LLM, Setup, TestHost, TestStore, USER, run, sleep_ms, until};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Fingerprint, state and number of keys of each pepper, oldest first.
fn status(store: &TestStore) -> Vec<(String, String, u64)> {
    let told = store.ok(&["pepper", "status", "--output", "json"]);
    let of = |line: &str| {
        let view = json(line);
        let text = |name: &str| view[name].as_str().unwrap().to_owned();
        (text("fingerprint"), text("state"), view["credentials"].as_u64().unwrap())
    };
    told.lines().map(of).collect()
}

#[test]
fn a3_a_pepper_is_rotated_under_traffic_without_a_refusal_or_a_hash() {
    run(120, async {
        let store = TestStore::new();
        let keys: Vec<_> = (0..6).map(|_| store.issue(APP, USER)).collect();
        let host = TestHost::start(Setup::on(&store)).await;
        host.must_accept(&keys[0], "before").await;
        let traffic = async {
            let (mut asked, start) = (0, Instant::now());
            while start.elapsed() < Duration::from_secs(5) {
                for key in &keys {
                    assert!(host.passes(&key.text, LLM).await, "refused during the rotation, after {asked} calls");
                    asked += 1;
                }
                sleep_ms(2).await;
            }
            asked
        };
        let rotation = tokio::task::spawn_blocking({
            let (data, canaries) = (store.data.clone(), store.canaries.clone());
            move || {
                let mut command = crate::support::store::bare_command();
                command.arg("--data-dir").arg(data).args(["pepper", "rotate"]).env("LATCHKEY_STORE__DEV", "true");
                let output = command.output().unwrap();
                canaries.assert_absent("pepper rotate", &[output.stdout, output.stderr].concat());
                assert!(output.status.success());
            }
        });
        let (asked, rotated) = tokio::join!(traffic, rotation);
        rotated.unwrap();
        assert!(asked > 100, "{asked}");
        let fresh = store.issue(APP, USER);
        host.must_accept(&fresh, "issued under the new pepper").await;
        // Facts that are cached are read again after a change of what they rest on; then the row moves.
        store.ok(&["tenant", "set", "acme", "--name", "Acme"]);
        sleep_ms(200).await;
        for key in &keys {
            host.must_accept(key, "after").await;
        }
        until(Duration::from_secs(10), "all rows are under the new pepper", || status(&store)[0].2 == 0).await;
        let [(old, ..), (_, state, count)] = &status(&store)[..] else { panic!("two peppers") };
        assert_eq!((state.as_str(), *count), ("current", 7));
        store.ok(&["pepper", "retire", old]);
        sleep_ms(200).await;
        for key in keys.iter().chain([&fresh]) {
            host.must_accept(key, "after the old pepper's end").await;
        }
        let trail = rusqlite_actions(&store);
        let resealed = trail.iter().filter(|action| *action == "credential.resealed").count();
        assert!((1..=8).contains(&resealed), "batches, not rows: {resealed}");
    });
}

/// The actions of the trail.
fn rusqlite_actions(store: &TestStore) -> Vec<String> {
    let copy = store.data.join("copy-of-trail.db");
    let source = rusqlite::Connection::open(store.data.join("latchkey.db")).unwrap();
    source.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    let copy = rusqlite::Connection::open(copy).unwrap();
    let mut statement = copy.prepare("SELECT action FROM audit_events ORDER BY sequence").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn a3_a_copy_without_the_pepper_verifies_nothing_and_nothing_is_made_up() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let pepper = store.data.join("pepper");
        std::fs::remove_file(&pepper).unwrap();
        let host = TestHost::start(Setup::on(&store)).await;
        assert!(!host.passes(&key.text, LLM).await);
        assert!(!pepper.exists(), "none is made");
        let retired = store.run(&["pepper", "rotate"]);
        assert_eq!(retired.status.code(), Some(64), "the command line does not go on without it either");
    });
}

#[test]
fn r5_a_second_process_with_another_pepper_denies_and_moves_nothing() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let elsewhere = tempfile::tempdir().unwrap();
        let other = elsewhere.path().join("pepper");
        std::fs::write(&other, format!("{}\n", "ab".repeat(32))).unwrap();
        std::fs::set_permissions(&other, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let setup = Setup::on(&store).env("LATCHKEY_PEPPER__FILE", other.to_str().unwrap());
        let wrong = TestHost::start(setup).await;
        let right = TestHost::start(Setup::on(&store)).await;
        assert!(!wrong.passes(&key.text, LLM).await);
        right.must_accept(&key, "with the store's own pepper").await;
        assert_eq!(status(&store).len(), 1);
        assert_eq!(status(&store)[0].2, 1);
    });
}

#[test]
fn r4_after_a_loss_keys_are_proven_anew_while_the_operator_says_so() {
    run(120, async {
        let store = TestStore::new();
        let [used, unused, revoked] = [(); 3].map(|()| store.issue(APP, USER));
        store.revoke(&revoked);
        std::fs::remove_file(store.data.join("pepper")).unwrap();
        store.ok(&["pepper", "recover", "--for", "4s"]);
        let start = Instant::now();
        let host = TestHost::start(Setup::on(&store)).await;
        host.must_accept(&used, "proven by its slow hash").await;
        assert!(!host.passes(&revoked.text, LLM).await, "what was revoked stays so");
        assert!(!host.passes(&used.forged(&store.canaries.make("wrong", 43)), LLM).await);
        until(Duration::from_secs(10), "its row is sealed under the new pepper", || status(&store)[1].2 == 1).await;
        tokio::time::sleep(Duration::from_millis(4_300).saturating_sub(start.elapsed())).await;
        assert!(!host.passes(&unused.text, LLM).await, "the time is over");
        host.must_accept(&used, "under the new pepper").await;
        store.revoke(&unused);
        let again = store.run(&["pepper", "recover", "--for", "1d"]);
        assert_eq!(again.status.code(), Some(1), "nothing is lost now");
    });
}

#[test]
fn r5_the_environment_and_a_command_are_sources_when_the_machine_says_so() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let pepper = std::fs::read_to_string(store.data.join("pepper")).unwrap();
        store.canaries.add("the pepper", pepper.trim());
        std::fs::remove_file(store.data.join("pepper")).unwrap();
        let in_environment = Setup::on(&store).env("LATCHKEY_PEPPER", pepper.trim());
        let ignored = TestHost::start(in_environment.clone()).await;
        assert!(!ignored.passes(&key.text, LLM).await, "not read unless the configuration says so");
        let host = TestHost::start(in_environment.env("LATCHKEY_PEPPER__SOURCE", "environment")).await;
        host.must_accept(&key, "from the environment").await;
    });
}
