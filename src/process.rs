//! What the process does before anything else, in every mode (rule R20).

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

use crate::telemetry::log;

/// No core dumps, no attaching debuggers, no files that others may read, and panics that tell where and never what.
/// The first act of `main`.
pub fn harden() {
    // If the system refuses one, the others still hold; `doctor` reports what is not so.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        log::panicked(&location, std::thread::current().name().unwrap_or("unnamed"));
    }));
}
