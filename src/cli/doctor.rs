//! `latchkey doctor`.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::app::doctor::host::{self, Given, HostKind};
use crate::app::doctor::{Finding, Verdict, examine};
use crate::cli::Outcome;
use crate::cli::context::{Context, Failure};
use crate::cli::output::Listing;

/// Bytes of an export at most.
const LARGEST: u64 = 64 << 20;

#[derive(clap::Args)]
pub(super) struct DoctorArgs {
    /// Do not look through the whole database
    #[arg(long)]
    quick: bool,
    /// JSON of the host's REST API: its plugins, its LLMs with their plugins, its Apps; - is stdin; may be repeated
    #[arg(long, value_name = "FILE")]
    host_export: Vec<PathBuf>,
    /// These lists are all there is: for exports that do not say how long they are
    #[arg(long, requires = "host_export")]
    host_complete: bool,
    /// The plugin's command as it is registered with the host; may be repeated
    #[arg(long, value_name = "COMMAND")]
    plugin_command: Vec<String>,
    /// Which hosts there are
    #[arg(long, value_enum, value_name = "KIND")]
    host_kind: Option<Kind>,
    /// Look at the host alone, on a machine without a store
    #[arg(long)]
    host_only: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Kind {
    /// A Studio, with edges or without
    Hub,
    /// A microgateway without a Studio
    Standalone,
}

#[derive(Serialize)]
struct FindingView {
    check: &'static str,
    verdict: &'static str,
    text: String,
    remedy: Option<String>,
}

pub(super) fn run(context: &Context, args: &DoctorArgs) -> Outcome {
    let settings = context.settings()?.app;
    let mut findings = if args.host_only { Vec::new() } else { examine(&settings, args.quick)? };
    let given = Given {
        exports: args
            .host_export
            .iter()
            .map(|path| Ok((path.display().to_string(), read(path)?)))
            .collect::<Result<_, Failure>>()?,
        complete: args.host_complete,
        commands: args.plugin_command.clone(),
        kind: args.host_kind.map(|kind| match kind {
            Kind::Hub => HostKind::Hub,
            Kind::Standalone => HostKind::Standalone,
        }),
        asks_host: settings.directory.ask_host,
    };
    findings.extend(host::examine(&given, context.verbose() || args.host_only));
    let well = findings.iter().all(|finding| finding.verdict != Verdict::Problem);
    let mut listing = Listing::new(context, &["check", "verdict", "text"]);
    for Finding { check, verdict, text, remedy } in findings {
        // A person reads both as one; a script gets each by its name.
        let (text, remedy) = match remedy {
            Some(remedy) if !context.json() => (format!("{text} → {remedy}"), None),
            remedy => (text, remedy),
        };
        listing.add(&FindingView { check, verdict: verdict.as_str(), text, remedy });
    }
    listing.finish("findings")?;
    Ok(well)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let wrong = |error: std::io::Error| Failure::from(anyhow::anyhow!("{}: {error}", path.display()));
    let mut text = Vec::new();
    let source: Box<dyn std::io::Read> = if path.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path).map_err(wrong)?)
    };
    source.take(LARGEST + 1).read_to_end(&mut text).map_err(wrong)?;
    if text.len() as u64 > LARGEST {
        return Err(anyhow::anyhow!("{}: larger than {} MiB", path.display(), LARGEST >> 20).into());
    }
    Ok(text)
}
