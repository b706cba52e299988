//! `latchkey key explain`: every condition that a request is judged by, in order, and the one that fails.

use serde::Serialize;

use crate::app::authenticate::{Asked, Outcome as Judged, explain};
use crate::cli::Outcome;
use crate::cli::authenticate::{self, QuestionArgs};
use crate::cli::context::Context;
use crate::cli::output::Listing;
use crate::domain::{CredentialId, Reason};

#[derive(clap::Args)]
pub(super) struct ExplainArgs {
    /// Its id; without it, the key is read from stdin
    credential_id: Option<CredentialId>,
    #[command(flatten)]
    question: QuestionArgs,
}

#[derive(Serialize)]
struct StepView {
    check: &'static str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

#[derive(Serialize)]
struct ExplanationView {
    credential_id: Option<String>,
    accepted: bool,
    reason: Option<&'static str>,
    checks: Vec<StepView>,
}

pub(super) fn run(context: &Context, args: ExplainArgs) -> Outcome {
    let config = context.settings()?;
    let question = args.question.into();
    let told = match args.credential_id {
        Some(id) => explain(&config.app, Asked::Id(id), &question)?,
        None => explain(&config.app, Asked::Credential(&authenticate::read(context)?), &question)?,
    };
    let reason = told.refused_for();
    let checks = told.steps.iter().map(|&(check, judged)| {
        let (outcome, reason) = match judged {
            Judged::Holds => ("holds", None),
            Judged::Fails(reason) => ("fails", Some(reason.code())),
            Judged::NotJudged => ("not judged", None),
        };
        StepView { check, outcome, reason }
    });
    let view = ExplanationView {
        credential_id: told.credential.as_ref().map(|credential| credential.id.to_string()),
        accepted: reason.is_none(),
        reason: reason.map(Reason::code),
        checks: checks.collect(),
    };
    if context.json() {
        context.line(&serde_json::to_string(&view).map_err(anyhow::Error::from)?)?;
        return Ok(view.accepted);
    }
    let mut listing = Listing::new(context, &["check", "outcome", "reason"]);
    view.checks.iter().for_each(|step| listing.add(step));
    listing.finish("checks")?;
    context.tell(&match view.reason {
        Some(reason) => format!("refused: {reason}"),
        None if args.credential_id.is_some() => "accepted, if the secret is the right one".to_owned(),
        None => "accepted".to_owned(),
    });
    Ok(view.accepted)
}
