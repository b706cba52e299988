//! The library on a store, without a process of its own.

use std::path::Path;
use std::sync::Arc;

use latchkey::admin::{Admin, IssueRequest};
use latchkey::app::engine::Engine;
use latchkey::app::{Opened, Settings};
use latchkey::authenticate::record::Recorder;
use latchkey::authenticate::{Attempt, Authenticator, Decision, RequestedLlm, Stage};
use latchkey::config::{self, Config};
use latchkey::domain::{AppId, Environment, LlmId, UserId};
use latchkey::secret::{CredentialText, Secret};
use latchkey::store::sqlite::ProcessKind;
use latchkey::telemetry::metrics::Metrics;
use latchkey::verify::argon::DEFAULT_COST;

use super::{APP, LLM, USER};

pub fn settings(data: &Path) -> Settings {
    let mut values = config::Values::default();
    for (key, value) in [("data_dir", data.to_str().unwrap()), ("store.dev", "true")] {
        values.set("a test", config::table::find(key).unwrap(), value).unwrap();
    }
    Config::new(&values).app
}

pub fn open(data: &Path) -> Opened {
    latchkey::app::open(&settings(data), ProcessKind::Command).unwrap()
}

pub fn admin(data: &Path) -> Admin {
    latchkey::app::init::local_admin(&open(data))
}

pub fn engine(data: &Path, opened: &Opened) -> Engine {
    let metrics = Arc::new(Metrics::new(&Recorder::reason_labels()));
    Engine::start(opened, &settings(data), &metrics).unwrap()
}

/// Whether a key is let in for an LLM that its App may use.
pub async fn passes(authenticator: &Authenticator, key: &Secret<CredentialText>) -> bool {
    let llm = RequestedLlm { id: LlmId::new(LLM), slug: None };
    let attempt = Attempt { stage: Stage::Auth, llm, namespace: None, remote: None, request_id: "" };
    authenticator.authenticate(key, &attempt, |decision| matches!(decision, Decision::Grant(_))).await
}

pub fn key_request() -> IssueRequest {
    IssueRequest {
        app: AppId::new(APP).unwrap(),
        user: UserId::new(USER).unwrap(),
        label: String::new(),
        environment: Environment::Live,
        scopes: Vec::new(),
        cidrs: Vec::new(),
        not_before_ms: None,
        expires_at_ms: None,
        decoy: false,
        cost: DEFAULT_COST,
    }
}
