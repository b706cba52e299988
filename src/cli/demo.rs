//! `latchkey demo`: the whole story in seconds, on real parts and with nothing to install.
//!
//! A store in a temporary directory, filled by the very commands a person would type; the real binary started
//! as a plugin over the go-plugin wire; what a gateway would ask of it, with a good, a wrong, a revoked and a
//! foreign-LLM credential; a table of answers and times. Each answer is also judged: anything unexpected
//! is said and makes the exit status 1, so that the demo is a test of an installation too.

mod report;
mod stage;
mod story;

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context as _;

use self::report::Report;
use self::stage::Stage;
use crate::clock::{Clock, SystemClock};

/// What the demo can be asked for.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct DemoArgs {
    /// Keep the store, and say where it is
    #[arg(long)]
    pub keep: bool,
}

/// Runs the demo and writes its table, or one JSON document, to `out`. Returns whether all was as expected.
///
/// # Errors
/// When the demo cannot be played at all: no temporary directory, a command that fails, a plugin that does not start.
pub fn run(args: DemoArgs, json: bool, out: &mut dyn Write) -> anyhow::Result<bool> {
    let binary = std::env::current_exe().context("cannot find the program itself")?;
    run_with(binary, args, json, out)
}

/// The same with another binary, for tests.
///
/// # Errors
/// As [`run`].
pub fn run_with(binary: PathBuf, args: DemoArgs, json: bool, out: &mut dyn Write) -> anyhow::Result<bool> {
    let clock = SystemClock;
    let started = clock.boot_ns();
    let mut stage = Stage::set(binary)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut report: Report = runtime.block_on(story::play(&stage, &clock))?;
    report.total_ms = clock.boot_ns().saturating_sub(started) / 1_000_000;
    if args.keep {
        report.kept = Some(stage.keep());
    }
    let written = if json { report.write_json(out) } else { report.write_table(out) };
    written?;
    Ok(report.as_expected())
}
