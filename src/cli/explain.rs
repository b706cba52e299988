//! `latchkey key explain`: every condition that a request is judged by, in order, and the one that fails.

use serde::Serialize;

use crate::cli::Outcome;
use crate::cli::authenticate::{self, QuestionArgs};
use crate::cli::context::Context;
use crate::cli::output::Listing;
use crate::domain::CredentialId;
use crate::pb::admin::v1 as pb;

#[derive(clap::Args)]
pub(super) struct ExplainArgs {
    /// Its id; without it, the key is read from stdin
    credential_id: Option<CredentialId>,
    #[command(flatten)]
    question: QuestionArgs,
}

#[derive(Serialize)]
struct StepView {
    check: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Serialize)]
struct ExplanationView {
    credential_id: Option<String>,
    accepted: bool,
    reason: Option<String>,
    checks: Vec<StepView>,
}

pub(super) fn run(context: &Context, args: ExplainArgs) -> Outcome {
    use pb::explain_credential_request::Which;
    let mut client = context.client()?;
    let by_id = args.credential_id.is_some();
    let which = match args.credential_id {
        Some(id) => Which::CredentialId(id.to_string()),
        None => Which::Credential(authenticate::text(&authenticate::read(context)?)),
    };
    let request = pb::ExplainCredentialRequest { which: Some(which), request: Some(args.question.into()) };
    let told = client.ask(async |rpc| rpc.explain_credential(request).await)?;
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    let checks = told.checks.into_iter().map(|check| StepView {
        outcome: match check.outcome() {
            pb::Outcome::Holds => "holds",
            pb::Outcome::Fails => "fails",
            pb::Outcome::NotJudged | pb::Outcome::Unspecified => "not judged",
        },
        check: check.check,
        reason: given(check.reason),
    });
    let view = ExplanationView {
        accepted: told.accepted,
        checks: checks.collect(),
        credential_id: given(told.credential_id),
        reason: given(told.reason),
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
        None if by_id => "accepted, if the secret is the right one".to_owned(),
        None => "accepted".to_owned(),
    });
    Ok(view.accepted)
}
