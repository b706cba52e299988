//! What the tests of the real binary share: a store made through its command line, a host that drives it over
//! the wire, and the search for secrets where none may be. Each test binary uses a part of it.
#![allow(
    dead_code,
    unused_imports,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::allow_attributes,
    clippy::missing_panics_doc,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a failed test is a panic, and each binary uses a part"
)]

pub mod calls;
pub mod events_fake;
pub mod fakes;
pub mod host;
pub mod in_process;
pub mod life;
pub mod proc;
pub mod schema;
pub mod secrets;
pub mod server;
pub mod store;

use std::future::Future;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

pub use calls::*;
pub use host::{Kind, Setup, TestHost};
pub use secrets::{Canaries, assert_no_secret};
pub use store::{APP, APP_WITHOUT_LIST, FOREIGN_LLM, Key, LLM, OTHER_APP, OTHER_USER, TENANT, TestStore, USER};

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_latchkey");

/// Tests that measure time run alone; all others share the machine.
static MACHINE: RwLock<()> = RwLock::new(());

/// Runs a test on a runtime of its own, at most so many seconds. Children are killed with the runtime.
pub fn run(seconds: u64, test: impl Future<Output = ()>) {
    let _shared = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
    bounded(seconds, test);
}

/// The same while no other test of this binary runs.
pub fn run_alone(seconds: u64, test: impl Future<Output = ()>) {
    let _alone = MACHINE.write().unwrap_or_else(PoisonError::into_inner);
    bounded(seconds, test);
}

fn bounded(seconds: u64, test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let limit = Duration::from_secs(seconds);
    let ended = runtime.block_on(async { tokio::time::timeout(limit, test).await });
    runtime.shutdown_timeout(Duration::from_secs(1));
    assert!(ended.is_ok(), "the test did not end within {seconds} s");
}

/// Asks every few milliseconds until `holds`, and returns how long it took.
pub async fn until(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    start.elapsed()
}

pub async fn sleep_ms(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}
