//! One decision for the command line: the same engine, the same path, nothing served.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::app::engine::Engine;
use crate::app::{OpenFailure, Settings};
pub use crate::authenticate::explain::{Asked, Explanation, Outcome};

use crate::authenticate::explain::Explainer;
use crate::authenticate::record::Recorder;
use crate::authenticate::{Attempt, Decision, RequestedLlm, Stage};
use crate::domain::LlmId;
use crate::secret::{CredentialText, Secret};
use crate::store::sqlite::ProcessKind;
use crate::telemetry::metrics::Metrics;

/// What is asked, beside the credential.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// The LLM's id.
    pub llm_id: Option<LlmId>,
    /// Its slug.
    pub llm_slug: Option<String>,
    /// The gateway's namespace.
    pub namespace: Option<String>,
    /// The client's address.
    pub remote: Option<IpAddr>,
}

impl Question {
    fn attempt(&self) -> Attempt<'_> {
        let llm = RequestedLlm { id: self.llm_id, slug: self.llm_slug.as_deref() };
        // Asked for no LLM, it says who this is, as the look-ups do.
        let stage = if llm.is_none() { Stage::LookUp } else { Stage::CommandLine };
        Attempt { stage, llm, namespace: self.namespace.as_deref(), remote: self.remote, request_id: "" }
    }
}

/// What a gateway would be told, field by field as in its `AuthResponse`.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Answer {
    /// Whether it may pass.
    pub authenticated: bool,
    /// Decimal, empty in a refusal.
    pub user_id: String,
    /// Decimal, empty in a refusal.
    pub app_id: String,
    /// What the gateway is told about the credential.
    pub claims: BTreeMap<&'static str, String>,
    /// The fixed public text of a refusal: the command line is no oracle either.
    pub error_message: String,
}

/// Decides once. Why it was refused is in the log and in `key explain`, not in the answer.
///
/// # Errors
/// When the store cannot be opened.
pub fn once(
    settings: &Settings,
    credential: &Secret<CredentialText>,
    question: &Question,
) -> Result<Answer, OpenFailure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(OpenFailure::System)?;
    let opened = crate::app::open(settings, ProcessKind::Command)?;
    let metrics = Arc::new(Metrics::new(&Recorder::reason_labels()));
    let engine = Engine::start(&opened, settings, &metrics)?;
    let attempt = question.attempt();
    let answer = runtime.block_on(engine.authenticator.authenticate(credential, &attempt, |decision| match decision {
        Decision::Grant(grant) => Answer {
            authenticated: true,
            user_id: grant.user_id().to_string(),
            app_id: grant.app_id().to_string(),
            claims: grant.claims().iter().cloned().collect(),
            error_message: String::new(),
        },
        Decision::Deny(denial) => Answer { error_message: denial.public_text().to_owned(), ..Answer::default() },
    }));
    engine.flush(Duration::from_secs(1));
    Ok(answer)
}

/// Every condition that a request is judged by, and how it turns out. For admins.
///
/// # Errors
/// When the store cannot be opened or read.
pub fn explain(settings: &Settings, asked: Asked<'_>, question: &Question) -> Result<Explanation, OpenFailure> {
    let opened = crate::app::open(settings, ProcessKind::Command)?;
    let ring = opened.keyring.ring();
    let explainer = Explainer {
        store: opened.store.as_ref(),
        ring: &ring,
        llm_grants: settings.authenticate.llm_grants,
        now_ms: opened.clock.wall_ms(),
    };
    let told = explainer.explain(asked, &question.attempt());
    told.map_err(|error| OpenFailure::System(std::io::Error::other(error)))
}
