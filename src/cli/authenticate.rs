//! `latchkey authenticate`: what a gateway would be told about the credential on stdin.

use std::io::{IsTerminal as _, Read as _};
use std::net::IpAddr;

use zeroize::Zeroize as _;

use crate::cli::Outcome;
use crate::cli::context::Context;
use crate::domain::LlmId;
use crate::pb::admin::v1 as pb;
use crate::secret::{CredentialText, Secret};

/// More than this is not looked at; far above what any credential has.
const MAX_INPUT: u64 = 1024 * 1024;

#[derive(clap::Args)]
pub(super) struct QuestionArgs {
    /// The LLM that the request is for, by the host's id; without it and --llm-slug only who it is
    #[arg(long)]
    llm_id: Option<LlmId>,
    /// The LLM's slug
    #[arg(long)]
    llm_slug: Option<String>,
    /// The client's address
    #[arg(long)]
    remote_addr: Option<IpAddr>,
    /// The gateway's namespace
    #[arg(long)]
    namespace: Option<String>,
}

impl From<QuestionArgs> for pb::RequestFacts {
    fn from(args: QuestionArgs) -> Self {
        Self {
            llm_id: args.llm_id.map_or(0, LlmId::get),
            llm_slug: args.llm_slug.unwrap_or_default(),
            remote_addr: args.remote_addr.map(|address| address.to_string()).unwrap_or_default(),
            namespace: args.namespace.unwrap_or_default(),
        }
    }
}

/// What a gateway would be told, field by field as in its `AuthResponse`.
#[derive(serde::Serialize)]
struct Answer {
    authenticated: bool,
    user_id: String,
    app_id: String,
    claims: std::collections::BTreeMap<String, String>,
    error_message: String,
}

pub(super) fn run(context: &Context, args: QuestionArgs) -> Outcome {
    let mut client = context.deciding_client()?;
    let request = pb::TestCredentialRequest { credential: text(&read(context)?), request: Some(args.into()) };
    let answer = client.ask(async |rpc| rpc.test_credential(request).await)?;
    let pb::TestCredentialResponse { authenticated, user_id, app_id, claims, error_message } = answer;
    let answer = Answer { authenticated, user_id, app_id, claims, error_message };
    context.line(&serde_json::to_string(&answer).map_err(anyhow::Error::from)?)?;
    Ok(authenticated)
}

/// As the wire takes it. What is no text is no credential either.
#[expect(clippy::disallowed_methods, reason = "the credential is handed to the service")]
pub(super) fn text(credential: &Secret<CredentialText>) -> String {
    String::from_utf8_lossy(credential.expose()).into_owned()
}

/// Reads all of stdin, less the line end that a shell's `echo` adds.
pub(super) fn read(context: &Context) -> Result<Secret<CredentialText>, crate::cli::context::Failure> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        context.tell("Paste the credential, then Enter and Ctrl-D:");
    }
    // Large enough for any credential, so that it does not grow and leave copies behind.
    let mut text = Vec::with_capacity(64 * 1024);
    stdin.lock().take(MAX_INPUT).read_to_end(&mut text)?;
    let end = text.len() - text.iter().rev().take_while(|&&c| c == b'\n' || c == b'\r').count();
    if let Some(rest) = text.get_mut(end..) {
        rest.zeroize();
    }
    text.truncate(end);
    Ok(Secret::new(text))
}
