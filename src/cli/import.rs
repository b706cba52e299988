//! `latchkey key import` and `latchkey key export`.

use std::fs::File;
use std::io::{IsTerminal as _, Read};
use std::path::PathBuf;

use serde::Serialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::cli::Outcome;
use crate::cli::context::{Context, Failure};
use crate::cli::{keys, output, parse};
use crate::domain::{AppId, UserId};
use crate::pb::admin::v1 as pb;
use crate::verify::argon::Cost;

#[derive(Clone, Copy, clap::ValueEnum)]
enum FormatArg {
    #[value(
        help = "Our own JSON Lines: key, sha256, sha512, hmac_sha256 or hmac_sha512; sha256 or sha512 with salt and prefix, \
                phc with prefix or credential_id; app, user, label, scopes, cidrs, not_before, expires_at, entropy"
    )]
    Latchkey,
    #[value(help = "Kong key-auth: key, consumer")]
    Kong,
    #[value(help = "Tyk keys hashed with SHA-256: key_hash, alias, expires")]
    Tyk,
    #[value(help = "Unkey: hash (base64), name, expires")]
    Unkey,
    #[value(help = "LiteLLM virtual keys: token (hexadecimal), key_alias, expires, blocked")]
    Litellm,
    #[value(help = "AI Studio's own credentials: key_id, secret, active")]
    AiStudio,
}

impl From<FormatArg> for pb::ImportFormat {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Latchkey => Self::Latchkey,
            FormatArg::Kong => Self::Kong,
            FormatArg::Tyk => Self::Tyk,
            FormatArg::Unkey => Self::Unkey,
            FormatArg::Litellm => Self::Litellm,
            FormatArg::AiStudio => Self::AiStudio,
        }
    }
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum EntropyArg {
    /// Made by a generator, 112 bits at least: you vouch for it
    High,
    /// Chosen by people, or not known
    Low,
}

#[derive(clap::Args)]
pub(super) struct ImportArgs {
    /// A file with a JSON object a line; - for stdin
    file: PathBuf,
    /// The tenant
    #[arg(long)]
    tenant: String,
    /// Where the lines come from
    #[arg(long, value_enum, default_value = "latchkey")]
    format: FormatArg,
    /// How much chance is in the keys; without it, what the format or the line says, else low
    #[arg(long, value_enum)]
    entropy: Option<EntropyArg>,
    /// The App of lines that name none
    #[arg(long)]
    app: Option<AppId>,
    /// The User of lines that name none
    #[arg(long)]
    user: Option<UserId>,
    /// A name for the audit trail
    #[arg(long, default_value = "import")]
    name: String,
    /// Keys stored at once, all or none
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u16).range(1..=50_000))]
    batch: u16,
    /// Check everything, store nothing
    #[arg(long)]
    dry_run: bool,
    /// Cost of the stored hashes of keys of low entropy
    #[arg(long, value_name = "m=KIB,t=N,p=N", value_parser = parse::cost, default_value = "m=19456,t=2,p=1")]
    argon2: Cost,
}

#[derive(clap::Args)]
pub(super) struct ExportArgs {
    /// The tenant
    #[arg(long)]
    tenant: String,
}

#[derive(Serialize)]
struct RefusedView {
    line: u64,
    reason: String,
}

#[derive(Serialize)]
struct ReportView {
    dry_run: bool,
    lines: u64,
    imported: u64,
    already_there: u64,
    weak: u64,
    refused: u64,
    refusals: Vec<RefusedView>,
}

/// Bytes sent at once.
const PIECE: usize = 256 * 1024;

/// Reads a file into a stream of pieces, the first with how to import. On a thread of its own: a pipe may be slow.
fn pieces(
    options: pb::ImportOptions,
    mut file: Box<dyn Read + Send>,
) -> std::io::Result<(ReceiverStream<pb::ImportCredentialsRequest>, std::thread::JoinHandle<std::io::Result<()>>)> {
    let (send, coming) = mpsc::channel(4);
    let read = move || {
        let first = pb::ImportCredentialsRequest { options: Some(options), lines: Vec::new() };
        let mut next = Some(first);
        while let Some(message) = next.take() {
            if send.blocking_send(message).is_err() {
                // Whoever took them says why not.
                return Ok(());
            }
            let mut lines = Vec::with_capacity(PIECE);
            (&mut file).take(PIECE as u64).read_to_end(&mut lines)?;
            next = Some(lines)
                .filter(|lines| !lines.is_empty())
                .map(|lines| pb::ImportCredentialsRequest { options: None, lines });
        }
        Ok(())
    };
    let thread = std::thread::Builder::new().name("read-import".to_owned()).spawn(read)?;
    Ok((ReceiverStream::new(coming), thread))
}

pub(super) fn import(context: &Context, args: ImportArgs) -> Outcome {
    let entropy = args.entropy.map_or(pb::Entropy::Unspecified, |entropy| match entropy {
        EntropyArg::High => pb::Entropy::High,
        EntropyArg::Low => pb::Entropy::Low,
    });
    let mut length = None;
    let file: Box<dyn Read + Send> = if args.file.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        let opened = File::open(&args.file);
        let file = opened.map_err(|error| Failure::usage(format_args!("{}: {error}", args.file.display())))?;
        length = file.metadata().ok().map(|metadata| metadata.len());
        Box::new(file)
    };
    let mut client = context.client()?;
    let options = pb::ImportOptions {
        tenant: args.tenant,
        format: pb::ImportFormat::from(args.format).into(),
        entropy: entropy.into(),
        app_id: args.app.map_or(0, AppId::get),
        user_id: args.user.map_or(0, UserId::get),
        batch: u32::from(args.batch),
        name: args.name,
        dry_run: args.dry_run,
        argon2: Some(keys::wire_cost(args.argon2)),
        request_id: client.request_id(),
    };
    let bar = std::io::stderr().is_terminal();
    let progress = |report: &pb::ImportCredentialsResponse| {
        if bar {
            let told = format!("{} lines, {} imported, {} refused", report.lines, report.imported, report.refused);
            context.progress(&length.map_or(told.clone(), |length| format!("{} {told}", meter(report.bytes, length))));
        }
    };
    let (stream, reader) = pieces(options, file)?;
    let report = client.run(async |rpc| {
        let mut answers = rpc.import_credentials(stream).await?.into_inner();
        let mut last = None;
        while let Some(report) = answers.message().await? {
            progress(&report);
            last = Some(report);
        }
        last.filter(|report| report.done).ok_or_else(|| Failure::from(anyhow::anyhow!("the import broke off")))
    })?;
    match reader.join() {
        Ok(read) => read?,
        Err(_) => return Err(anyhow::anyhow!("the file could not be read").into()),
    }
    if bar {
        context.tell("");
    }
    if report.weak > 0 {
        context.tell(&format!(
            "{} keys are of low entropy: each costs a slow hash at its first use in every process. Rotate them.",
            report.weak
        ));
    }
    let view = ReportView {
        dry_run: args.dry_run,
        lines: report.lines,
        imported: report.imported,
        already_there: report.already_there,
        weak: report.weak,
        refused: report.refused,
        refusals: report.refusals.into_iter().map(|l| RefusedView { line: l.line, reason: l.reason }).collect(),
    };
    output::one(context, &view)?;
    Ok(view.refused == 0)
}

/// How much is done, as a bar.
fn meter(done: u64, of: u64) -> String {
    const WIDTH: usize = 30;
    let percent = usize::try_from(done.saturating_mul(100) / of.max(1)).unwrap_or(100).min(100);
    let full = percent * WIDTH / 100;
    format!("[{}{}] {percent:3} %", "#".repeat(full), " ".repeat(WIDTH - full))
}

/// Every key of a tenant that is in force, one a line. Those of other systems cannot go along: what they are found by is
/// worth nothing under another pepper.
pub(super) fn export(context: &Context, args: &ExportArgs) -> Outcome {
    let mut client = context.client()?;
    let request = pb::ExportCredentialsRequest { tenant: args.tenant.clone() };
    let left_out = client.run(async |rpc| {
        let mut parts = rpc.export_credentials(request).await?.into_inner();
        while let Some(part) = parts.message().await? {
            if part.line.is_empty() {
                return Ok(part.left_out);
            }
            context.line(&part.line)?;
        }
        Err(anyhow::anyhow!("the export broke off").into())
    })?;
    if left_out > 0 {
        context.tell(&format!(
            "{left_out} keys of other systems are not among them: import them again from where they came"
        ));
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_what_is_done() {
        assert_eq!(meter(0, 10), format!("[{}]   0 %", " ".repeat(30)));
        assert_eq!(meter(5, 10), format!("[{}{}]  50 %", "#".repeat(15), " ".repeat(15)));
        assert_eq!(meter(11, 10), format!("[{}] 100 %", "#".repeat(30)), "a file that grew");
        assert_eq!(meter(0, 0), format!("[{}]   0 %", " ".repeat(30)));
    }
}
