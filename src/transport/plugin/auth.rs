//! `Authenticate`, `GetAppByCredential`, `GetUserByCredential`: the credential is moved out of the message, the gate
//! decides, the decision becomes a message. Never a gRPC error: its text would be shown to the client (hazard H3).

use std::borrow::Cow;
use std::net::IpAddr;

use tonic::Request;

use crate::authenticate::{Attempt, Decision, Grant, RequestedLlm, Stage};
use crate::domain::{Denial, LlmId};
use crate::pb::slim::plugin as pb;
use crate::secret::{CredentialText, Secret};
use crate::transport::plugin::{PluginService, intake};

/// Request ids that are longer are cut: they only go to logs.
const MAX_REQUEST_ID: usize = 128;

/// What the host's context says, as text that may be compared. Text that is no UTF-8 matches nothing.
pub(super) struct Asked<'a> {
    request_id: Cow<'a, str>,
    llm_id: Option<LlmId>,
    llm_slug: Option<Cow<'a, str>>,
    namespace: Option<Cow<'a, str>>,
}

impl<'a> Asked<'a> {
    pub(super) fn of(context: Option<&'a pb::PluginContext>) -> Self {
        let Some(context) = context else {
            return Self { request_id: Cow::Borrowed(""), llm_id: None, llm_slug: None, namespace: None };
        };
        let text = |bytes: &'a [u8]| (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes));
        let request_id = context.request_id.get(..MAX_REQUEST_ID).unwrap_or(&context.request_id);
        let namespace = context.metadata.iter().rev().find(|entry| entry.key == b"edge_namespace");
        Self {
            request_id: String::from_utf8_lossy(request_id),
            llm_id: LlmId::new(context.llm_id),
            llm_slug: text(&context.llm_slug),
            namespace: namespace.and_then(|entry| text(&entry.value)),
        }
    }

    pub(super) fn attempt(&self, stage: Stage, remote: Option<IpAddr>) -> Attempt<'_> {
        Attempt {
            stage,
            llm: RequestedLlm { id: self.llm_id, slug: self.llm_slug.as_deref() },
            namespace: self.namespace.as_deref(),
            remote,
            request_id: &self.request_id,
        }
    }
}

/// A refusal.
pub(super) fn denied(denial: Denial) -> pb::AuthResponse {
    pb::AuthResponse { error_message: denial.public_text().to_owned(), ..Default::default() }
}

/// A refusal of a look-up.
pub(super) fn no_app(denial: Denial) -> pb::GetAppResponse {
    pb::GetAppResponse { success: false, error_message: denial.public_text().to_owned(), app: None }
}

/// A refusal of a look-up.
pub(super) fn no_user(denial: Denial) -> pb::GetUserResponse {
    pb::GetUserResponse { success: false, error_message: denial.public_text().to_owned(), user: None }
}

impl PluginService {
    pub(super) async fn auth(&self, request: Request<pb::AuthRequest>) -> pb::AuthResponse {
        if let Some(reason) = intake::refusal(&request) {
            self.deps.gate.refused_unread(reason);
            return denied(reason.into());
        }
        let mut message = request.into_inner();
        let credential = take(&mut message.credential);
        let asked = Asked::of(message.context.as_ref());
        let remote = self.deps.settings.load().client_address.of_call(&message.request);
        let answer = |decision: Decision<'_>| match decision {
            Decision::Grant(grant) => granted(&grant),
            Decision::Deny(denial) => denied(denial),
        };
        self.deps.gate.authenticate(&credential, &asked.attempt(Stage::Auth, remote), answer).await
    }

    pub(super) async fn app(&self, request: Request<pb::GetAppRequest>) -> pb::GetAppResponse {
        if let Some(reason) = intake::refusal(&request) {
            self.deps.gate.refused_unread(reason);
            return no_app(reason.into());
        }
        let mut message = request.into_inner();
        let credential = take(&mut message.credential);
        let asked = Asked::of(message.context.as_ref());
        let answer = |decision: Decision<'_>| match decision {
            Decision::Grant(grant) => {
                pb::GetAppResponse { success: true, error_message: String::new(), app: Some(app(&grant)) }
            }
            Decision::Deny(denial) => no_app(denial),
        };
        self.deps.gate.authenticate(&credential, &asked.attempt(Stage::LookUp, None), answer).await
    }

    pub(super) async fn user(&self, request: Request<pb::GetUserRequest>) -> pb::GetUserResponse {
        if let Some(reason) = intake::refusal(&request) {
            self.deps.gate.refused_unread(reason);
            return no_user(reason.into());
        }
        let mut message = request.into_inner();
        let credential = take(&mut message.credential);
        let asked = Asked::of(message.context.as_ref());
        let answer = |decision: Decision<'_>| match decision {
            Decision::Grant(grant) => {
                pb::GetUserResponse { success: true, error_message: String::new(), user: Some(user(&grant)) }
            }
            Decision::Deny(denial) => no_user(denial),
        };
        self.deps.gate.authenticate(&credential, &asked.attempt(Stage::LookUp, None), answer).await
    }
}

/// Moves the credential out of a message, so that no copy of it stays behind.
fn take(credential: &mut Vec<u8>) -> Secret<CredentialText> {
    Secret::new(std::mem::take(credential))
}

fn granted(grant: &Grant<'_>) -> pb::AuthResponse {
    let stale = grant.is_stale().then(|| ("stale".to_owned(), "true".to_owned()));
    pb::AuthResponse {
        authenticated: true,
        user_id: grant.user_id().to_string(),
        app_id: grant.app_id().to_string(),
        claims: grant.claims().iter().map(|(name, value)| ((*name).to_owned(), value.clone())).chain(stale).collect(),
        error_message: String::new(),
    }
}

fn app(grant: &Grant<'_>) -> pb::App {
    let app = grant.app();
    pb::App {
        id: app.id.get(),
        name: app.name.clone(),
        description: app.description.clone(),
        owner_email: app.owner_email.clone(),
        is_active: app.is_active(),
        monthly_budget: app.monthly_budget,
        rate_limit: app.rate_limit,
        metadata: app.metadata.clone().into_iter().collect(),
        // The host's own; no credential of ours says anything about them.
        plugin_resources: Vec::new(),
    }
}

fn user(grant: &Grant<'_>) -> pb::User {
    let user = grant.user();
    pb::User {
        id: user.id.get(),
        email: user.email.clone(),
        name: user.name.clone(),
        is_active: user.is_active(),
        metadata: user.metadata.clone().into_iter().collect(),
    }
}
