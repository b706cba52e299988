//! `POST /oauth/introspect`: what a token of ours is worth now, RFC 7662.
//!
//! Told to a caller of the same tenant whose key has the scope `introspect`, of tokens that a request would be let in with.
//! Of everything else there is one answer, always the same bytes (section 2.2, rule R15).

use serde::Serialize;
use serde_json::json;

use crate::authenticate::{Attempt, RequestedLlm, Stage, Worth};
use crate::secret::Secret;
use crate::transport::oauth::answer::{self, Response};
use crate::transport::oauth::client::{self, Ways};
use crate::transport::oauth::form::Form;
use crate::transport::oauth::{Oauth, Request};

/// What a caller's key must have.
const SCOPE: &str = "introspect";

/// RFC 7662 section 2.2, and the tenant.
#[derive(Serialize)]
struct Told<'a> {
    active: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    scope: &'a str,
    client_id: &'a str,
    token_type: &'static str,
    exp: i64,
    iat: i64,
    sub: &'a str,
    aud: &'a str,
    iss: &'a str,
    jti: &'a str,
    tenant: &'a str,
}

impl Oauth {
    pub(super) async fn introspect(&self, request: &Request<'_>, mut form: Form) -> Response {
        let caller = match client::known(self.office.gate(), request, &mut form, Ways::Resource).await {
            Ok(caller) => caller,
            Err(refusal) => return refusal,
        };
        if !caller.scopes.iter().any(|scope| scope == SCOPE) {
            return answer::insufficient(SCOPE);
        }
        // `token_type_hint` is one of optimisation, and there is nothing to optimise (section 2.1).
        let Some(mut token) = form.take("token") else { return answer::invalid_request("token is missing") };
        let Some(authenticator) = self.office.gate().authenticator() else { return answer::unavailable() };
        let attempt = Attempt {
            stage: Stage::Introspect,
            llm: RequestedLlm::default(),
            namespace: request.namespace,
            // Whoever asks is not where the token comes from.
            remote: None,
            request_id: request.request_id,
        };
        let is_text = token.bytes().all(|byte| byte.is_ascii_graphic());
        let text = Secret::new(std::mem::take(&mut *token).into_bytes());
        match authenticator.worth(&text, caller.tenant, &attempt).await.filter(|_| is_text) {
            Some(worth) => active(&worth),
            // Also where we could not decide: nobody is let in then, and it shows nothing.
            None => Response::json(200, &json!({ "active": false })),
        }
    }
}

fn active(worth: &Worth) -> Response {
    let client = worth.client.to_string();
    Response::json(
        200,
        &Told {
            active: true,
            scope: &worth.scope,
            client_id: &client,
            token_type: "Bearer",
            exp: worth.expires_at_ms.div_euclid(1_000),
            iat: worth.said.issued_at_ms.div_euclid(1_000),
            sub: &client,
            aud: &worth.said.audience,
            iss: &worth.said.issuer,
            jti: &worth.said.token_id,
            tenant: &worth.tenant,
        },
    )
}
