//! `latchkey key import` and `latchkey key export`.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal as _};
use std::path::PathBuf;

use serde::Serialize;

use crate::admin::formats::Format;
use crate::admin::import::{Entropy, ImportRequest, Report};
use crate::cli::Outcome;
use crate::cli::context::{Context, Failure};
use crate::cli::output;
use crate::cli::parse::{self, moment_text};
use crate::domain::{AppId, Credential, Status, UserId};
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

impl From<FormatArg> for Format {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Latchkey => Self::Latchkey,
            FormatArg::Kong => Self::Kong,
            FormatArg::Tyk => Self::Tyk,
            FormatArg::Unkey => Self::Unkey,
            FormatArg::Litellm => Self::LiteLlm,
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

pub(super) fn import(context: &Context, args: ImportArgs) -> Outcome {
    let request = ImportRequest {
        format: args.format.into(),
        entropy: args.entropy.map(|entropy| match entropy {
            EntropyArg::High => Entropy::High,
            EntropyArg::Low => Entropy::Low,
        }),
        app: args.app,
        user: args.user,
        batch: usize::from(args.batch),
        name: args.name,
        dry_run: args.dry_run,
        cost: args.argon2,
    };
    let mut length = None;
    let mut lines: Box<dyn BufRead> = if args.file.as_os_str() == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        let opened = File::open(&args.file);
        let file = opened.map_err(|error| Failure::usage(format_args!("{}: {error}", args.file.display())))?;
        length = file.metadata().ok().map(|metadata| metadata.len());
        Box::new(BufReader::new(file))
    };
    let admin = context.admin()?;
    let bar = std::io::stderr().is_terminal();
    let progress = |report: &Report| {
        if bar {
            let told = format!("{} lines, {} imported, {} refused", report.lines, report.imported, report.refused);
            context.progress(&length.map_or(told.clone(), |length| format!("{} {told}", meter(report.bytes, length))));
        }
    };
    let report = admin.import_keys(&args.tenant, &request, lines.as_mut(), progress)?;
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
        dry_run: request.dry_run,
        lines: report.lines,
        imported: report.imported,
        already_there: report.already,
        weak: report.weak,
        refused: report.refused,
        refusals: report.reasons.into_iter().map(|(line, reason)| RefusedView { line, reason }).collect(),
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

/// A key as another store of ours may import it: its stored hash, never its secret.
#[derive(Serialize)]
struct ExportView {
    credential_id: String,
    app: u32,
    user: u32,
    label: String,
    environment: &'static str,
    scopes: Vec<String>,
    cidrs: Vec<String>,
    not_before: Option<String>,
    expires_at: Option<String>,
    phc: String,
}

impl From<Credential> for ExportView {
    fn from(row: Credential) -> Self {
        Self {
            credential_id: row.id.to_string(),
            app: row.app.get(),
            user: row.user.get(),
            environment: row.environment.as_str(),
            scopes: row.scopes.clone(),
            cidrs: row.cidrs.iter().map(ToString::to_string).collect(),
            not_before: row.not_before_ms.map(moment_text),
            expires_at: row.end_ms().map(moment_text),
            phc: row.verifier.phc,
            label: row.label,
        }
    }
}

/// Every key of a tenant that is in force, one a line. Those of other systems cannot go along: what they are found by is
/// worth nothing under another pepper.
pub(super) fn export(context: &Context, args: &ExportArgs) -> Outcome {
    let admin = context.admin()?;
    let (now_ms, mut left_out, mut broken) = (admin.now_ms(), 0_u64, None);
    admin.each_key(&args.tenant, |row| {
        let ended = row.status != Status::Active || row.end_ms().is_some_and(|end| end <= now_ms) || row.decoy;
        if ended || broken.is_some() {
            return;
        }
        if row.verifier.prehash.is_some() {
            left_out += 1;
            return;
        }
        let line = serde_json::to_string(&ExportView::from(row)).unwrap_or_default();
        broken = context.line(&line).err();
    })?;
    if let Some(failure) = broken {
        return Err(failure);
    }
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
