//! Many at once: no thread is let in after a revocation was acknowledged, and a flood of junk takes neither memory nor the
//! place of good keys. `LATCHKEY_TEST_REVOCATIONS` and `LATCHKEY_TEST_JUNK` for more of it.
#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a failed test is a panic"
)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use latchkey::domain::credential::RevocationReason;
use latchkey::secret::{CredentialText, Secret};
use support::in_process::{self, key_request, passes};
use support::{APP, LLM, Setup, TENANT, TestHost, TestStore, USER, proc, run_alone, secrets};

fn many(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn b2_of_a_hundred_threads_none_is_let_in_after_a_revocation_was_acknowledged() {
    const THREADS: usize = 100;
    const AROUND: usize = 8;
    run_alone(300, async {
        let store = TestStore::new();
        let revocations = many("LATCHKEY_TEST_REVOCATIONS", 100);
        let opened = in_process::open(&store.data);
        let (admin, engine) = (latchkey::app::init::local_admin(&opened), in_process::engine(&store.data, &opened));
        let issue = || {
            let issued = admin.issue_key(TENANT, &key_request()).unwrap();
            (issued.credential.id, Secret::<CredentialText>::new(issued.key.expose().to_vec()))
        };
        let keys: Vec<_> = (0..revocations + AROUND).map(|_| issue()).collect();
        let handle = tokio::runtime::Handle::current();
        tokio::task::block_in_place(|| {
            let (at, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
            let acknowledged: Vec<AtomicU64> = keys.iter().map(|_| AtomicU64::new(u64::MAX)).collect();
            let begun = Instant::now();
            let now = || u64::try_from(begun.elapsed().as_nanos()).unwrap();
            let (accepted, refused) = (AtomicU64::new(0), AtomicU64::new(0));
            std::thread::scope(|scope| {
                for thread in 0..THREADS {
                    let (at, stop, keys, acknowledged) = (&at, &stop, &keys, &acknowledged);
                    let (engine, handle, now, accepted, refused) = (&engine, &handle, &now, &accepted, &refused);
                    scope.spawn(move || {
                        let mut turn = thread;
                        while !stop.load(Ordering::Relaxed) {
                            turn += 1;
                            let n = (at.load(Ordering::Relaxed) + turn % AROUND).saturating_sub(AROUND / 2);
                            let asked_at = now();
                            if handle.block_on(passes(&engine.authenticator, &keys[n].1)) {
                                let gone_at = acknowledged[n].load(Ordering::SeqCst);
                                assert!(asked_at <= gone_at, "let in {} ns late", asked_at - gone_at);
                                accepted.fetch_add(1, Ordering::Relaxed);
                            } else {
                                refused.fetch_add(1, Ordering::Relaxed);
                            }
                            std::thread::sleep(Duration::from_micros(300));
                        }
                    });
                }
                for (n, (id, _)) in keys.iter().take(revocations).enumerate() {
                    at.store(n, Ordering::Relaxed);
                    admin.revoke_key(*id, RevocationReason::KeyCompromise).unwrap();
                    acknowledged[n].store(now(), Ordering::SeqCst);
                }
                stop.store(true, Ordering::Relaxed);
            });
            let (accepted, refused) = (accepted.into_inner(), refused.into_inner());
            assert!(accepted > 1_000 && refused > 1_000, "both happened: {accepted}, {refused}");
        });
    });
}

#[test]
fn b6_a_flood_of_junk_leaves_memory_bounded_and_good_keys_good() {
    run_alone(300, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let host = Arc::new(TestHost::start(Setup::on(&store).quiet()).await);
        host.must_accept(&key, "before").await;
        let each = many("LATCHKEY_TEST_JUNK", 30_000) / 3;
        let before = proc::status_kib(host.pid(), "RssAnon");
        let flood = |kind: usize| {
            let (host, key) = (Arc::clone(&host), key.clone());
            tokio::spawn(async move {
                for _ in 0..each {
                    let junk = match kind {
                        // A wrong checksum, an unknown id, a wrong secret.
                        0 => format!("lk_live_{}_{}", "0".repeat(22), secrets::random_text(49)),
                        1 => key.under_id(&format!("1{}", secrets::random_text(21))),
                        _ => key.forged(&secrets::random_text(43)),
                    };
                    assert!(!host.passes(&junk, LLM).await);
                }
            })
        };
        let floods = [0, 1, 2].map(flood);
        for _ in 0..20 {
            host.must_accept(&key, "meanwhile").await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for flood in floods {
            flood.await.unwrap();
        }
        host.must_accept(&key, "after").await;
        let grown = proc::status_kib(host.pid(), "RssAnon").saturating_sub(before) / 1024;
        assert!(grown <= 64, "{grown} MiB more after {} junk keys", 3 * each);
    });
}

#[test]
fn r12_where_a_process_answers_a_fresh_secret_waits_its_turn_with_those_that_are_proven() {
    let store = TestStore::new();
    let opened = in_process::open(&store.data);
    let engine = in_process::engine(&store.data, &opened);
    let hashed = || engine.authenticator.pool().taken();
    let before = hashed();
    let admin = engine.backend.admin(latchkey::app::init::local_caller());
    admin.issue_key(TENANT, &key_request()).unwrap();
    assert_eq!(hashed() - before, 1);
    // Who has the files alone has nobody to take turns with.
    latchkey::app::init::local_admin(&opened).issue_key(TENANT, &key_request()).unwrap();
    assert_eq!(hashed() - before, 1);
}
