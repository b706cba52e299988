//! `latchkey audit`: the trail for people and auditors.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use serde::Serialize;

use crate::admin::AdminError;
use crate::admin::audit_log::{EventFilter, Exported};
use crate::app::{self, OpenFailure};
use crate::audit::chain::Damage;
use crate::audit::checkpoint::{Checkpoint, PublicKey};
use crate::audit::lines::{EventLine, Header};
use crate::audit::verify::{Stored, Trust, Verified, Verifier, walk};
use crate::cli::Outcome;
use crate::cli::context::{Context, Failure};
use crate::cli::output::{self, Listing};
use crate::cli::parse::{self, moment_text};
use crate::domain::{Action, hex};
use crate::store::sqlite::ProcessKind;
use crate::store::{ChainedEvent, Store as _};

#[derive(Subcommand)]
pub(super) enum AuditCommand {
    /// List events, oldest first
    List(ListArgs),
    /// Check that no event was edited, deleted or moved; with an anchor, that none was cut off or written again
    Verify(VerifyArgs),
    /// Write the trail with its checkpoints, a JSON object a line, to be verified on another machine
    Export {
        /// The file to make; - for stdout
        #[arg(default_value = "-")]
        file: PathBuf,
    },
    /// Sign how far the trail goes, and print it: an anchor, to be kept where nobody who may write the store can
    Checkpoint,
    /// Print the public half of the key that signs the trail
    PublicKey,
    /// Make a new signing key; both keys sign the event that says so
    RotateKey,
    /// Give up the events before a moment, up to a checkpoint; export them first
    Prune {
        /// The moment, as in RFC 3339
        #[arg(long, value_parser = parse::moment_ms)]
        before: i64,
    },
}

#[derive(clap::Args)]
pub(super) struct ListArgs {
    /// Of this tenant
    #[arg(long)]
    tenant: Option<String>,
    /// This was done, such as credential.revoked
    #[arg(long, value_parser = action)]
    action: Option<Action>,
    /// By whom: local:UID, operator:ID, studio or system
    #[arg(long)]
    actor: Option<String>,
    /// To this thing, by its id
    #[arg(long)]
    subject: Option<String>,
    /// From this moment on
    #[arg(long, value_parser = parse::moment_ms)]
    since: Option<i64>,
    /// Before this moment
    #[arg(long, value_parser = parse::moment_ms)]
    until: Option<i64>,
    /// After the event of this number
    #[arg(long, default_value_t = 0)]
    after: u64,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Go on as events come, until stopped
    #[arg(long)]
    follow: bool,
}

fn action(text: &str) -> Result<Action, String> {
    Action::parse(text).ok_or_else(|| {
        let all: Vec<&str> = Action::ALL.iter().map(|action| action.as_str()).collect();
        format!("one of {}", all.join(", "))
    })
}

#[derive(clap::Args)]
pub(super) struct VerifyArgs {
    /// An export instead of the store
    #[arg(long)]
    file: Option<PathBuf>,
    /// Checkpoints that were kept elsewhere, a line each
    #[arg(long)]
    anchor: Vec<PathBuf>,
    /// The key that is trusted, 64 hexadecimal digits; without it whichever signed first
    #[arg(long, value_parser = public_key)]
    public_key: Option<PublicKey>,
}

fn public_key(text: &str) -> Result<PublicKey, &'static str> {
    hex::decode(text).and_then(|bytes| bytes.try_into().ok()).ok_or("64 hexadecimal digits")
}

pub(super) fn run(context: &Context, command: AuditCommand) -> Outcome {
    match command {
        AuditCommand::List(args) => list(context, &args),
        AuditCommand::Verify(args) => verify(context, &args),
        AuditCommand::Export { file } => export(context, &file),
        AuditCommand::Checkpoint => {
            let opened = app::open(&context.settings()?.app, ProcessKind::Command)?;
            opened.store.sign_now().map_err(AdminError::from)?;
            let newest = opened.store.audit().checkpoint_at_most(u64::MAX).map_err(AdminError::from)?;
            newest.map_or(Ok(false), |checkpoint| context.line(&checkpoint.to_line()))
        }
        AuditCommand::PublicKey => {
            let settings = context.settings()?.app;
            let dir = settings.data_dir.clone().ok_or(OpenFailure::NoDataDir)?;
            let key = crate::audit::key::public_key(&app::audit_key(&settings, &dir));
            let key = key.map_err(|error| Failure::with_code(false, error))?;
            output::one(context, &serde_json::json!({ "public_key": hex::encode(&key) }))
        }
        AuditCommand::RotateKey => {
            let settings = context.settings()?.app;
            let opened = app::open(&settings, ProcessKind::Command)?;
            let rotated = app::audit_key::rotate(&settings, &opened);
            let (old, new) = rotated.map_err(|error| Failure::with_code(false, error))?;
            let view = serde_json::json!({ "public_key": hex::encode(&new), "replaced": hex::encode(&old) });
            output::one(context, &view)
        }
        AuditCommand::Prune { before } => {
            let (count, base) = context.admin()?.prune_trail(before)?;
            let view = serde_json::json!({ "given_up": count, "up_to": base.sequence, "base": base.to_line() });
            output::one(context, &view)
        }
    }
}

fn line(chained: &ChainedEvent) -> EventLine {
    EventLine::new(chained.sequence, &chained.event, &chained.hash, moment_text(chained.event.at_ms))
}

fn list(context: &Context, args: &ListArgs) -> Outcome {
    let admin = context.admin()?;
    let tenant = args.tenant.as_deref().map(|slug| admin.tenant(slug)).transpose()?;
    let filter = EventFilter {
        tenant: tenant.map(|tenant| tenant.id),
        action: args.action,
        actor: args.actor.clone(),
        subject: args.subject.clone(),
        since_ms: args.since,
        until_ms: args.until,
    };
    let columns = &["sequence", "at", "actor", "action", "subject_kind", "subject_id", "details"];
    let (mut after, mut limit) = (args.after, args.limit);
    loop {
        let mut listing = Listing::new(context, columns);
        let events = admin.events(&filter, after, limit)?;
        after = events.last().map_or(after, |last| last.sequence);
        limit = if args.follow { usize::MAX } else { limit };
        if !events.is_empty() || !args.follow {
            for event in &events {
                listing.add(&line(event));
            }
            listing.finish("events")?;
        }
        if !args.follow {
            return Ok(true);
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn export(context: &Context, file: &Path) -> Outcome {
    let admin = context.admin()?;
    let failed = |error: std::io::Error| Failure::usage(format_args!("{}: {error}", file.display()));
    let mut out: Box<dyn Write> = if file.as_os_str() == "-" {
        Box::new(std::io::stdout().lock())
    } else {
        Box::new(BufWriter::new(File::create_new(file).map_err(failed)?))
    };
    let mut broken = None;
    let count = admin.export_trail(|part| {
        let text = match part {
            Exported::Beginning(beginning, base) => serde_json::to_string(&Header::new(beginning, base)),
            Exported::Event(event) => serde_json::to_string(&line(event)),
            Exported::Checkpoint(checkpoint) => Ok(checkpoint.to_line()),
        };
        if broken.is_none() {
            broken = writeln!(out, "{}", text.unwrap_or_default()).err();
        }
        Ok(())
    })?;
    if let Some(error) = broken.or(out.flush().err()) {
        return Err(failed(error));
    }
    context.tell(&format!("{count} events; `latchkey audit verify --file` checks them on any machine"));
    Ok(true)
}

#[derive(Serialize)]
struct VerifyView {
    consistent: bool,
    statement: String,
    damage: Option<&'static str>,
    first_bad_event: Option<u64>,
    first_event: Option<u64>,
    last_event: Option<u64>,
    head: Option<String>,
    signed_up_to: Option<u64>,
    signed_at: Option<String>,
    anchors: Option<u64>,
    trusted_key: Option<String>,
}

fn verify(context: &Context, args: &VerifyArgs) -> Outcome {
    let mut anchors = Vec::new();
    for path in &args.anchor {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| Failure::usage(format_args!("{}: {error}", path.display())))?;
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let wrong = || Failure::usage(format_args!("{}: line {} is no checkpoint", path.display(), number + 1));
            anchors.push(Checkpoint::parse(line).ok_or_else(wrong)?);
        }
    }
    let (trust, result) = if let Some(file) = &args.file {
        let trust = args.public_key.map_or(Trust::First, Trust::Key);
        (trust.clone(), verify_export(file, &trust, anchors)?)
    } else {
        let settings = context.settings()?.app;
        let opened = app::open(&settings, ProcessKind::Command)?;
        let trust = match args.public_key {
            Some(key) => Trust::Key(key),
            // A key that was handed over is trusted through the first one.
            None => Trust::First,
        };
        (trust.clone(), app::init::local_admin(&opened).verify_trail(&trust, anchors)?)
    };
    let view = view(&trust, &result);
    output::one(context, &view)?;
    if args.public_key.is_none() && result.is_ok() {
        context.tell("No key was named: who can write these files can have signed them. Name it with --public-key.");
    }
    Ok(view.consistent)
}

fn view(trust: &Trust, result: &Result<Verified, Damage>) -> VerifyView {
    let (verified, damage) = (result.as_ref().ok(), result.as_ref().err());
    let trusted_key = match trust {
        Trust::Key(key) => Some(hex::encode(key)),
        Trust::First => None,
    };
    VerifyView {
        consistent: damage.is_none(),
        statement: match result {
            Ok(verified) => verified.statement(),
            Err(damage) => damage.to_string(),
        },
        damage: damage.map(Damage::kind),
        first_bad_event: damage.map(Damage::sequence),
        first_event: verified.map(|verified| verified.first),
        last_event: verified.map(|verified| verified.last),
        head: verified.map(|verified| hex::encode(&verified.head)),
        signed_up_to: verified.and_then(|verified| verified.signed_up_to).map(|(sequence, _)| sequence),
        signed_at: verified.and_then(|verified| verified.signed_up_to).map(|(_, at_ms)| moment_text(at_ms)),
        anchors: verified.map(|verified| verified.anchors),
        trusted_key,
    }
}

/// Two passes over the file, so that none of it is held: its checkpoints, and its events.
fn verify_export(file: &Path, trust: &Trust, anchors: Vec<Checkpoint>) -> Result<Result<Verified, Damage>, Failure> {
    let failed = |error: std::io::Error| Failure::usage(format_args!("{}: {error}", file.display()));
    let lines = || File::open(file).map(|opened| BufReader::new(opened).lines()).map_err(failed);
    let not_one = || Failure::usage(format_args!("{}: not an export of an audit trail", file.display()));
    let first = lines()?.next().ok_or_else(not_one)?.map_err(failed)?;
    let header: Header = serde_json::from_str(&first).map_err(|_| not_one())?;
    let (beginning, base) = header.understood().ok_or_else(not_one)?;
    let checkpoints = lines()?.map_while(Result::ok).filter_map(|line| Checkpoint::parse(&line));
    let verifier = match Verifier::new(beginning, base.as_ref(), trust, Box::new(checkpoints), anchors) {
        Ok(verifier) => verifier,
        Err(damage) => return Ok(Err(damage)),
    };
    let mut last = base.map_or(0, |base| base.sequence);
    let events = lines()?.skip(1).filter_map(|line| match line {
        Err(error) => Some(Err(error)),
        Ok(line) if Checkpoint::parse(&line).is_some() => None,
        Ok(line) => {
            let read = serde_json::from_str::<EventLine>(&line).ok().map(|line| line.stored());
            let stored = read.unwrap_or(Stored { sequence: last + 1, hash: [0; 32], event: None });
            last = stored.sequence;
            Some(Ok(stored))
        }
    });
    walk(verifier, events).map_err(failed)
}
