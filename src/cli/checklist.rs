//! `latchkey checklist`: the five validation claims, and a signed report of how they turned out.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::audit::checkpoint::PublicKey;
use crate::audit::report::{self, Report, Status, Verdict};
use crate::cli::Outcome;
use crate::cli::audit::public_key;
use crate::cli::context::{Context, Failure};
use crate::cli::output;
use crate::domain::hex;
use crate::pb::admin::v1 as pb;

/// Credentials that are named on the line of a claim; the report has more.
const NAMED: usize = 3;
/// Credentials between two lines of how far it is.
const TELL: u64 = 50_000;

#[derive(clap::Args)]
pub(super) struct ChecklistArgs {
    /// So many credentials, chosen by chance; without it every one in force
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    sample: Option<u32>,
    /// Only those of this tenant
    #[arg(long)]
    tenant: Option<String>,
    /// Check the signature of a saved report (--output json) instead
    #[arg(long, value_name = "FILE", conflicts_with_all = ["sample", "tenant"])]
    verify: Option<PathBuf>,
    /// The key that is trusted, 64 hexadecimal digits; without it whichever signed
    #[arg(long, requires = "verify", value_parser = public_key)]
    public_key: Option<PublicKey>,
}

pub(super) fn run(context: &Context, args: ChecklistArgs) -> Outcome {
    match &args.verify {
        Some(file) => verify(context, file, args.public_key.as_ref()),
        None => check(context, args),
    }
}

fn check(context: &Context, args: ChecklistArgs) -> Outcome {
    let mut client = context.client()?;
    let (tenant, request_id) = (args.tenant.unwrap_or_default(), client.request_id());
    let request = pb::RunChecklistRequest { sample: args.sample.unwrap_or(0), tenant, request_id };
    let text = client.run(async |rpc| {
        let mut answers = rpc.run_checklist(request).await?.into_inner();
        let mut told = 0;
        while let Some(answer) = answers.message().await? {
            if answer.done {
                if told > 0 {
                    context.progress("\n");
                }
                return Ok(answer.report);
            }
            // Now and then, of a run that lasts.
            if answer.looked_at + answer.checked >= told + TELL {
                told = answer.looked_at + answer.checked;
                context.progress(&format!("{} looked at, {} judged", answer.looked_at, answer.checked));
            }
        }
        Err(anyhow::anyhow!("the checklist broke off: nothing is known").into())
    })?;
    let read: Report = serde_json::from_str(&text).map_err(anyhow::Error::from)?;
    if context.json() {
        context.line(&text)?;
    } else {
        show(context, &read)?;
    }
    summarise(context, &read);
    Ok(read.status == Status::Pass)
}

/// A line for each claim.
fn show(context: &Context, report: &Report) -> Outcome {
    for claim in &report.claims {
        let named: Vec<String> = claim
            .offenders
            .iter()
            .take(NAMED)
            .map(|o| format!("{} ({}, App {}, User {}: {})", o.credential_id, o.tenant, o.app_id, o.user_id, o.reason))
            .collect();
        let more = if claim.failed > named.len() as u64 { ", …" } else { "" };
        let named = if named.is_empty() { String::new() } else { format!("; {}{more}", named.join(", ")) };
        let status = claim.status.as_str();
        context.line(&output::plain(&format!(
            "{} {status:<11} {} checked, {} failed: {}{named}",
            claim.id, claim.checked, claim.failed, claim.claim
        )))?;
    }
    Ok(true)
}

fn summarise(context: &Context, report: &Report) {
    let Report { population, checked, not_usable, ended_meanwhile, directory, .. } = report;
    let of = match &report.tenants {
        None => "all tenants".to_owned(),
        Some(slugs) => slugs.join(", "),
    };
    let mut parts = vec![format!(
        "{checked} of {population} credentials in force of {of} checked, with Apps and Users as the {directory} has them"
    )];
    parts.extend((*not_usable > 0).then(|| format!("{not_usable} of suspended tenants left out")));
    parts.extend((*ended_meanwhile > 0).then(|| format!("{ended_meanwhile} ended meanwhile")));
    context.tell(&output::plain(&parts.join("; ")));
    match report.status {
        Status::NotChecked if *checked == 0 => {
            context
                .tell("No credential was there to be checked: that is no pass. Issue one, or look at another tenant.");
        }
        Status::NotChecked => context.tell("A claim could be judged for none of them: that is no pass."),
        Status::Pass | Status::Fail => {}
    }
    match (&report.signature, &report.unsigned_because) {
        (Some(_), _) => {}
        (None, because) => {
            let because = because.as_deref().unwrap_or("nobody signed it");
            context.tell(&output::plain(&format!("The report is not signed: {because}")));
        }
    }
}

/// What is known of a saved report.
#[derive(Serialize)]
struct VerifiedView {
    genuine: bool,
    statement: &'static str,
    signed_by: Option<String>,
    trusted_key: Option<String>,
    status: &'static str,
    run_by: String,
    finished_at: String,
}

fn verify(context: &Context, file: &Path, trusted: Option<&PublicKey>) -> Outcome {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| Failure::usage(format_args!("{}: {error}", file.display())))?;
    let not_one = || Failure::usage(format_args!("{}: not a report of a checklist", file.display()));
    let (report, verdict) = report::check(&text, trusted).ok_or_else(not_one)?;
    let (genuine, statement, key) = match verdict {
        Verdict::Genuine(key) => (true, "as it was signed", Some(key)),
        Verdict::Edited => (false, "not as it was signed: it was changed, or the signature was", None),
        Verdict::OtherKey(key) => (false, "signed by another key than the one that is trusted", Some(key)),
        Verdict::Unsigned => (false, "not signed: nothing can be said of it", None),
    };
    let view = VerifiedView {
        genuine,
        statement,
        signed_by: key.map(|key| hex::encode(&key)),
        trusted_key: trusted.map(|key| hex::encode(key)),
        status: report.status.as_str(),
        run_by: report.run_by,
        finished_at: report.finished_at,
    };
    output::one(context, &view)?;
    if genuine && trusted.is_none() {
        context.tell("No key was named: who can write this file can have signed it. Name it with --public-key.");
    }
    Ok(genuine)
}
