//! `latchkey authenticate`: what a gateway would be told about the credential on stdin.

use std::io::{IsTerminal as _, Read as _};
use std::net::IpAddr;

use zeroize::Zeroize as _;

use crate::app::authenticate::{Question, once};
use crate::cli::Outcome;
use crate::cli::context::Context;
use crate::domain::LlmId;
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

impl From<QuestionArgs> for Question {
    fn from(args: QuestionArgs) -> Self {
        let QuestionArgs { llm_id, llm_slug, remote_addr, namespace } = args;
        Self { llm_id, llm_slug, namespace, remote: remote_addr }
    }
}

pub(super) fn run(context: &Context, args: QuestionArgs) -> Outcome {
    let config = context.settings()?;
    let credential = read(context)?;
    let answer = once(&config.app, &credential, &args.into())?;
    context.line(&serde_json::to_string(&answer).map_err(anyhow::Error::from)?)?;
    Ok(answer.authenticated)
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
