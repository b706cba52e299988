//! `ProcessPreAuth`: the only place from which a client gets a proper 401 (hazard H2, decision 8).
//!
//! It takes the credential by exactly the host's precedence and blocks only a definite refusal of a credential that it
//! saw. Where it saw none it lets pass, and so it does with a yes, which is evidence of nothing: the host asks again
//! (rule R14). The body of the request never comes this far (rule R7).

use serde_json::json;
use tonic::Request;

use crate::authenticate::{Decision, Stage};
use crate::domain::Reason;
use crate::domain::denial::Class;
use crate::pb::slim::plugin as pb;
use crate::secret::{CredentialText, Secret};
use crate::transport::plugin::auth::Asked;
use crate::transport::plugin::{PluginService, intake};

const BEARER: &[u8] = b"Bearer ";

impl PluginService {
    pub(super) async fn pre_auth(&self, request: Request<pb::PluginRequest>) -> pb::PluginResponse {
        if !self.deps.settings.load().pre_auth {
            return pb::PluginResponse::default();
        }
        if let Some(reason) = intake::refusal(&request) {
            self.deps.gate.refused_unread(reason);
            return answer_to(reason);
        }
        let mut message = request.into_inner();
        let vendor = message.context.as_mut().map(|context| std::mem::take(&mut context.vendor)).unwrap_or_default();
        let remote = self.deps.settings.load().client_address.of(&message.remote_addr, &message.headers);
        let Some(credential) = credential(&mut message.headers, &vendor) else {
            return pb::PluginResponse::default();
        };
        let asked = Asked::of(message.context.as_ref());
        let attempt = asked.attempt(Stage::PreAuth, remote);
        let answer = |decision: Decision<'_>| match decision {
            Decision::Grant(_) => pb::PluginResponse::default(),
            Decision::Deny(denial) => answer_to(denial.reason()),
        };
        self.deps.gate.authenticate(&credential, &attempt, answer).await
    }
}

/// The credential that the host would take from these headers (host contract 3.2). Header names are in Go's canonical
/// form; only the first value of each is there, so duplicates cannot be seen and are not looked for (hazard H11).
fn credential(headers: &mut [pb::HeaderEntry], vendor: &[u8]) -> Option<Secret<CredentialText>> {
    let authorization = headers.iter().position(|header| header.key == b"Authorization");
    let bearer = authorization.and_then(|at| headers.get(at)).is_some_and(|header| header.value.starts_with(BEARER));
    if bearer {
        return authorization.and_then(|at| headers.get_mut(at)).map(|header| after_bearer(&mut header.value, 0));
    }
    let named = match vendor {
        b"anthropic" => b"X-Api-Key".as_slice(),
        b"google_ai" => b"X-Goog-Api-Key".as_slice(),
        b"openai" | b"ollama" | b"vertex" | b"huggingface" => {
            let header = authorization.and_then(|at| headers.get_mut(at))?;
            let mut places = header.value.windows(BEARER.len()).enumerate().filter(|(_, window)| *window == BEARER);
            let (place, _) = places.next()?;
            return places.next().is_none().then(|| after_bearer(&mut header.value, place));
        }
        _ => return None,
    };
    let header = headers.iter_mut().find(|header| header.key == named && !header.value.is_empty())?;
    Some(Secret::new(std::mem::take(&mut header.value)))
}

/// What stands after `Bearer ` at a place of a header; the rest is wiped with the header's own copy.
fn after_bearer(value: &mut Vec<u8>, place: usize) -> Secret<CredentialText> {
    let mut whole = zeroize::Zeroizing::new(std::mem::take(value));
    let from = (place + BEARER.len()).min(whole.len());
    Secret::new(whole.split_off(from))
}

/// The response to a refusal; none where we could not decide, because then the host's own call must.
pub(super) fn answer_to(reason: Reason) -> pb::PluginResponse {
    let (status, error) = match reason.class() {
        Class::Unavailable => return pb::PluginResponse::default(),
        Class::Credential => (401, "invalid_token"),
        Class::Authority => (403, "insufficient_scope"),
        Class::Request => (400, "invalid_request"),
    };
    let headers = [
        ("Content-Type", "application/problem+json".to_owned()),
        ("Cache-Control", "no-store".to_owned()),
        ("WWW-Authenticate", challenge(Some(error))),
    ];
    pb::PluginResponse {
        block: true,
        status_code: status,
        headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        body: problem(status, error),
        error_message: crate::domain::denial::REFUSED.to_owned(),
        ..Default::default()
    }
}

/// RFC 6750 section 3: no error code where no credential was presented.
pub(super) fn challenge(error: Option<&str>) -> String {
    match error {
        Some(error) => format!("Bearer realm=\"latchkey\", error=\"{error}\""),
        None => "Bearer realm=\"latchkey\"".to_owned(),
    }
}

/// RFC 9457, with stable types and nothing of the inside.
fn problem(status: i32, error: &str) -> Vec<u8> {
    let title = match status {
        401 => "The credential is not valid",
        403 => "The credential does not allow this request",
        _ => "The request is not valid",
    };
    let body = json!({ "type": format!("urn:latchkey:problem:{error}"), "title": title, "status": status });
    body.to_string().into_bytes()
}

#[cfg(test)]
#[path = "pre_auth_tests.rs"]
mod tests;
