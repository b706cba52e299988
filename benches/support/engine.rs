//! The engine in process, as `serve` and the plugin run it.

use std::path::Path;
use std::sync::Arc;

use futures::FutureExt as _;
use latchkey::app::engine::Engine;
use latchkey::app::{Opened, Settings};
use latchkey::authenticate::record::Recorder;
use latchkey::authenticate::{Attempt, Authenticator, Decision, RequestedLlm, Stage};
use latchkey::domain::LlmId;
use latchkey::secret::{CredentialText, Secret};
use latchkey::store::sqlite::ProcessKind;
use latchkey::telemetry::metrics::Metrics;

/// Opens a store and starts the engine on it, with the defaults of all that counts.
pub fn start(data: &Path) -> (Opened, Engine) {
    let (opened, settings) = open(data, latchkey::directory::Settings::default());
    let metrics = Arc::new(Metrics::new(&Recorder::reason_labels()));
    let engine = Engine::start(&opened, &settings, &metrics).expect("starts");
    (opened, engine)
}

/// Opens a store, and how the engine is to be started on it.
pub fn open(data: &Path, directory: latchkey::directory::Settings) -> (Opened, Settings) {
    let settings = Settings {
        data_dir: Some(data.to_owned()),
        dev: true,
        pepper_file: None,
        pepper_source: None,
        directory,
        jwks: latchkey::jwks::Settings::default(),
        authenticate: latchkey::authenticate::Settings::default(),
        argon_threads: 1,
        argon_queue: 8,
        decisions_per_second: 100,
        decisions_max_rows: 100_000,
        accepted_one_in: 0,
        audit_min_retention: std::time::Duration::ZERO,
        audit_key: None,
        subject_key: None,
        tokens: latchkey::app::tokens::TokenSettings::default(),
        audit_anchors: None,
        portal_rules: latchkey::app::PortalRules::default(),
        worker_threads: 1,
        service: latchkey::transport::Settings::default(),
        wire: latchkey::transport::go_plugin::Settings::default(),
    };
    let opened = latchkey::app::open(&settings, ProcessKind::Command).expect("opens");
    (opened, settings)
}

/// Whether a key is accepted for the LLM that the App of `populate` may use.
pub async fn decide(authenticator: &Authenticator, key: &Secret<CredentialText>) -> bool {
    let llm = RequestedLlm { id: LlmId::new(3), slug: Some("gpt") };
    let attempt =
        Attempt { stage: Stage::Auth, llm, namespace: None, remote: None, request_id: "req_1790000000000000000" };
    let answer = |decision: Decision<'_>| matches!(decision, Decision::Grant(_));
    authenticator.authenticate(key, &attempt, answer).await
}

/// The same where nobody else asks and nothing is hashed, so that it never waits.
pub fn ask(authenticator: &Authenticator, key: &Secret<CredentialText>) -> bool {
    decide(authenticator, key).now_or_never().expect("is ready at once")
}
