//! `latchkey pepper …`

use clap::Subcommand;
use serde::Serialize;

use crate::admin::PepperState;
use crate::app::peppers::{self, PepperFailure};
use crate::cli::Outcome;
use crate::cli::context::{Context, Failure};
use crate::cli::output::{self, Listing};
use crate::cli::parse::{self, moment_text};
use crate::domain::PepperFingerprint;

#[derive(Subcommand)]
pub(super) enum PepperCommand {
    /// Which peppers the store knows, whether they are here, and how many keys are under each
    Status,
    /// Give new rows a new pepper; keys under the old one verify as before and move at their next use
    Rotate,
    /// End an old pepper that no key needs any more
    Retire {
        /// Its fingerprint, as in `pepper status`
        fingerprint: PepperFingerprint,
        /// Keys that are still under it lose their tag: each is hashed once more at its next use
        #[arg(long)]
        drop_tags: bool,
    },
    /// Go on without the pepper, which is lost: for a time each key is proven by its slow hash at its next use
    Recover {
        /// For how long, such as 7d; keys that are not used until then stay refused
        #[arg(long = "for", value_name = "TIME", value_parser = parse::duration_ms)]
        for_ms: i64,
    },
    /// Print a new pepper, for a source that is no file of ours
    Generate,
}

/// The longest recovery.
const MAX_RECOVERY_MS: i64 = 90 * 24 * 3_600_000;

#[derive(Serialize)]
struct PepperView {
    fingerprint: String,
    state: &'static str,
    held: bool,
    credentials: u64,
    added_at: String,
    retired_at: Option<String>,
    recovery_until: Option<String>,
}

impl From<PepperState> for PepperView {
    fn from(state: PepperState) -> Self {
        let version = state.version;
        Self {
            fingerprint: version.fingerprint.to_string(),
            state: match () {
                () if state.current => "current",
                () if version.retired_at_ms.is_some() => "retired",
                () if version.lost.is_some() => "lost",
                () => "in use",
            },
            held: state.held,
            credentials: state.credentials,
            added_at: moment_text(version.added_at_ms),
            retired_at: version.retired_at_ms.map(moment_text),
            recovery_until: version.lost.map(|lost| moment_text(lost.until_ms)),
        }
    }
}

impl From<PepperFailure> for Failure {
    fn from(failure: PepperFailure) -> Self {
        match failure {
            PepperFailure::Open(failure) => failure.into(),
            PepperFailure::Admin(error) => error.into(),
            other => Self::with_code(false, other),
        }
    }
}

pub(super) fn run(context: &Context, command: &PepperCommand) -> Outcome {
    match command {
        PepperCommand::Status => {
            let columns = &["fingerprint", "state", "held", "credentials", "added_at", "recovery_until"];
            let mut listing = Listing::new(context, columns);
            context.admin()?.peppers()?.into_iter().for_each(|state| listing.add(&PepperView::from(state)));
            listing.finish("peppers")
        }
        PepperCommand::Rotate => {
            let fingerprint = peppers::rotate(&context.settings()?.app)?;
            context.tell(
                "New rows get the new pepper. Back it up, apart from the store; keep the old one until it is retired.",
            );
            output::one(context, &serde_json::json!({ "fingerprint": fingerprint.to_string() }))
        }
        PepperCommand::Retire { fingerprint, drop_tags } => {
            let retired = context.admin()?.retire_pepper(*fingerprint, *drop_tags)?;
            context.tell("No row names it: it may be taken out of its source and destroyed.");
            let view = serde_json::json!({ "fingerprint": fingerprint.to_string(), "resealed": retired.resealed });
            output::one(context, &view)
        }
        PepperCommand::Recover { for_ms } => {
            if *for_ms > MAX_RECOVERY_MS {
                return Err(Failure::usage("--for: at most 90d"));
            }
            let (lost, new) = peppers::recover(&context.settings()?.app, *for_ms)?;
            context.tell(
                "Until then the rows of the lost pepper are taken as they stand: nobody can tell one that was tampered with. \
                 Restart the processes on this store. Operator tokens must be made anew.",
            );
            output::one(context, &serde_json::json!({ "lost": lost.to_string(), "fingerprint": new.to_string() }))
        }
        PepperCommand::Generate => generate(context),
    }
}

fn generate(context: &Context) -> Outcome {
    let (_, line) = crate::verify::pepper::generate(&crate::clock::SystemEntropy).map_err(anyhow::Error::from)?;
    context.write(&line)
}
