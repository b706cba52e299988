//! `latchkey audit`: the trail for people and auditors.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Subcommand;

use crate::audit::chain::Damage;
use crate::audit::checkpoint::{Checkpoint, PublicKey};
use crate::audit::lines::{EventLine, Header};
use crate::audit::verify::{Stored, Trust, Verified, Verifier, walk};
use crate::cli::Outcome;
use crate::cli::client::Client;
use crate::cli::context::{Context, Failure};
use crate::cli::output::{self, Listing, PAGE};
use crate::cli::parse::{self, timestamp};
use crate::domain::{Action, CredentialId, hex};
use crate::pb::admin::v1 as pb;
use crate::transport::admin::views::{DecisionView, EventView, VerifyView};
use crate::transport::admin::{MAX_ANCHORS, verdict};

#[derive(Subcommand)]
pub(super) enum AuditCommand {
    /// List events, oldest first
    List(ListArgs),
    /// Check that no event was edited, deleted or moved; with an anchor, that none was cut off or written again
    Verify(VerifyArgs),
    /// List what was decided about requests: refusals of known keys one by one, all else counted
    Decisions(DecisionsArgs),
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

#[derive(clap::Args)]
pub(super) struct DecisionsArgs {
    /// Of this reason code, such as revoked
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
    /// About this credential
    #[arg(long)]
    credential: Option<CredentialId>,
    /// From this moment on
    #[arg(long, value_parser = parse::moment_ms)]
    since: Option<i64>,
    /// Before this moment
    #[arg(long, value_parser = parse::moment_ms)]
    until: Option<i64>,
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

pub(super) fn public_key(text: &str) -> Result<PublicKey, &'static str> {
    hex::array(text).ok_or("64 hexadecimal digits")
}

pub(super) fn run(context: &Context, command: AuditCommand) -> Outcome {
    match command {
        AuditCommand::Verify(args) if args.file.is_some() => verify(context, None, &args),
        command => over(context, &mut context.client()?, command),
    }
}

fn over(context: &Context, client: &mut Client, command: AuditCommand) -> Outcome {
    let request_id = client.request_id();
    match command {
        AuditCommand::List(args) => list(context, client, args),
        AuditCommand::Decisions(args) => decisions(context, client, args),
        AuditCommand::Verify(args) => verify(context, Some(client), &args),
        AuditCommand::Export { file } => export(context, client, &file),
        AuditCommand::Checkpoint => {
            let request = pb::CreateAuditCheckpointRequest {};
            context.line(&client.ask(async |rpc| rpc.create_audit_checkpoint(request).await)?.line)
        }
        AuditCommand::PublicKey => {
            let key = client.ask(async |rpc| rpc.get_audit_public_key(pb::GetAuditPublicKeyRequest {}).await)?;
            output::one(context, &serde_json::json!({ "public_key": key.public_key }))
        }
        AuditCommand::RotateKey => {
            let request = pb::RotateAuditKeyRequest { request_id };
            let pb::RotateAuditKeyResponse { public_key, replaced } =
                client.ask(async |rpc| rpc.rotate_audit_key(request).await)?;
            output::one(context, &serde_json::json!({ "public_key": public_key, "replaced": replaced }))
        }
        AuditCommand::Prune { before } => {
            let request = pb::PruneAuditTrailRequest { before: Some(timestamp(before)), request_id };
            let pb::PruneAuditTrailResponse { given_up, up_to, base } =
                client.ask(async |rpc| rpc.prune_audit_trail(request).await)?;
            output::one(context, &serde_json::json!({ "given_up": given_up, "up_to": up_to, "base": base }))
        }
    }
}

const COLUMNS: &[&str] = &["sequence", "at", "actor", "action", "subject_kind", "subject_id", "details"];

fn list(context: &Context, client: &mut Client, args: ListArgs) -> Outcome {
    let filter = Some(pb::AuditFilter {
        tenant: args.tenant.unwrap_or_default(),
        action: args.action.map(|action| action.as_str().to_owned()).unwrap_or_default(),
        actor: args.actor.unwrap_or_default(),
        subject: args.subject.unwrap_or_default(),
        since: args.since.map(timestamp),
        until: args.until.map(timestamp),
    });
    let (after, limit, follow) = (args.after, args.limit, args.follow);
    client.run(async |rpc| {
        let (mut listing, mut left, mut page_token) = (Listing::new(context, COLUMNS), limit, String::new());
        let mut last = after;
        while left > 0 {
            let page_size = i32::try_from(left).unwrap_or(PAGE).min(PAGE);
            let request = pb::ListAuditEventsRequest { filter: filter.clone(), page_size, page_token, after };
            let page = rpc.list_audit_events(request).await?.into_inner();
            left = left.saturating_sub(page.events.len());
            for event in page.events {
                last = event.sequence;
                listing.add(&EventView::from(event));
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        if listing.is_empty() && follow {
            drop(listing);
        } else {
            listing.finish("events")?;
        }
        if !follow {
            return Ok(true);
        }
        let request = pb::StreamAuditEventsRequest { filter, after: Some(last) };
        let mut coming = rpc.stream_audit_events(request).await?.into_inner();
        while let Some(event) = coming.message().await? {
            let mut listing = Listing::new(context, COLUMNS);
            listing.add(&EventView::from(event));
            listing.finish("events")?;
        }
        Ok(true)
    })
}

fn decisions(context: &Context, client: &mut Client, args: DecisionsArgs) -> Outcome {
    let columns = &["at", "kind", "reason", "stage", "credential_id", "source", "calls"];
    let mut listing = Listing::new(context, columns);
    let asked = pb::ListDecisionsRequest {
        page_size: PAGE,
        page_token: String::new(),
        reason: args.reason,
        credential_id: args.credential.map(|id| id.to_string()).unwrap_or_default(),
        since: args.since.map(timestamp),
        until: args.until.map(timestamp),
    };
    client.pages(
        async |rpc, page_token| rpc.list_decisions(pb::ListDecisionsRequest { page_token, ..asked.clone() }).await,
        |page| (page.decisions, page.next_page_token),
        |decision| listing.add(&DecisionView::from(decision)),
    )?;
    listing.finish("decisions")
}

fn export(context: &Context, client: &mut Client, file: &Path) -> Outcome {
    let failed = |error: std::io::Error| Failure::usage(format_args!("{}: {error}", file.display()));
    let mut out: Box<dyn Write> = if file.as_os_str() == "-" {
        Box::new(std::io::stdout().lock())
    } else {
        Box::new(BufWriter::new(File::create_new(file).map_err(failed)?))
    };
    let count = client.run(async |rpc| {
        let mut parts = rpc.export_audit_trail(pb::ExportAuditTrailRequest {}).await?.into_inner();
        let mut count = 0;
        while let Some(part) = parts.message().await? {
            out.write_all(&part.lines).map_err(failed)?;
            count = part.events;
        }
        out.flush().map_err(failed)?;
        Ok(count)
    })?;
    context.tell(&format!("{count} events; `latchkey audit verify --file` checks them on any machine"));
    Ok(true)
}

fn verify(context: &Context, client: Option<&mut Client>, args: &VerifyArgs) -> Outcome {
    let mut anchors = Vec::new();
    for path in &args.anchor {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| Failure::usage(format_args!("{}: {error}", path.display())))?;
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let wrong = || Failure::usage(format_args!("{}: line {} is no checkpoint", path.display(), number + 1));
            anchors.push(Checkpoint::parse(line).ok_or_else(wrong)?);
        }
    }
    let told = match (&args.file, client) {
        (Some(file), _) => {
            let trust = args.public_key.map_or(Trust::First, Trust::Key);
            verdict(&trust, &verify_export(file, &trust, anchors)?)
        }
        (None, Some(client)) => {
            let public_key = args.public_key.map(|key| hex::encode(&key)).unwrap_or_default();
            verify_in_place(client, &public_key, anchors)?
        }
        (None, None) => return Err(Failure::usage("nothing to verify")),
    };
    let consistent = told.consistent;
    output::one(context, &VerifyView::from(told))?;
    if args.public_key.is_none() && consistent {
        context.tell("No key was named: who can write these files can have signed them. Name it with --public-key.");
    }
    Ok(consistent)
}

/// Two passes over the file, so that none of it is held: its checkpoints, and its events.
/// Against as many anchors as a call takes, and again until all were compared: an old one tells of what was written again
/// before the newer ones were taken.
fn verify_in_place(
    client: &mut Client,
    public_key: &str,
    mut anchors: Vec<Checkpoint>,
) -> Result<pb::VerifyAuditTrailResponse, Failure> {
    anchors.sort_by_key(|anchor| anchor.sequence);
    let lines: Vec<String> = anchors.iter().map(Checkpoint::to_line).collect();
    let (mut parts, mut compared) = (lines.chunks(MAX_ANCHORS), 0);
    loop {
        // Without anchors too it is verified, once.
        let part = parts.next().unwrap_or_default();
        let (anchors, public_key) = (part.to_vec(), public_key.to_owned());
        let request = pb::VerifyAuditTrailRequest { anchors, public_key };
        let told = client.ask(async |rpc| rpc.verify_audit_trail(request).await)?;
        compared += told.anchors.unwrap_or_default();
        if !told.consistent {
            return Ok(told);
        }
        if parts.len() == 0 {
            return Ok(pb::VerifyAuditTrailResponse { anchors: Some(compared), ..told });
        }
    }
}

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
