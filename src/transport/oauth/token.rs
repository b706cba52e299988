//! `POST /oauth/token`: a short-lived token for an API key, RFC 6749 section 4.4.

use serde::Serialize;

use crate::admin::{AdminError, MintedToken, TokenRequest};
use crate::domain::{Credential, LlmId};
use crate::transport::oauth::answer::{self, Challenge, Response};
use crate::transport::oauth::client::{self, Ways};
use crate::transport::oauth::form::Form;
use crate::transport::oauth::{Oauth, Request};

/// When to come back if as many tokens are in force as may be, in seconds: some end by then.
const LATER_S: u64 = 60;
/// The shortest that a token may live, in seconds.
const LEAST_S: u64 = 60;
const TOO_SHORT: &str = "lifetime: at least 60 seconds";

#[derive(Serialize)]
struct Given<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    scope: &'a str,
}

impl Oauth {
    pub(super) async fn token(&self, request: &Request<'_>, mut form: Form) -> Response {
        match form.get("grant_type") {
            Some("client_credentials") => {}
            Some(_) => return answer::bad("unsupported_grant_type", "client_credentials is all there is"),
            None => return answer::invalid_request("grant_type is missing"),
        }
        let parent = match client::known(self.office.gate(), request, &mut form, Ways::Client).await {
            Ok(parent) => parent,
            Err(refusal) => return refusal,
        };
        let asked = match self.asked(&form).await {
            Ok(asked) => asked,
            Err(refusal) => return refusal,
        };
        if let Err(seconds) = self.rate.take(parent.id, self.settings.issues_per_minute, self.clock.boot_ns()) {
            return answer::slow_down(seconds, "too many tokens in a short time: use one until it ends");
        }
        self.issue(parent, request.source.to_owned(), asked).await
    }

    /// What the token is to be.
    async fn asked(&self, form: &Form) -> Result<TokenRequest, Response> {
        let backend = self.backend().await;
        let rules = backend.as_ref().and_then(|backend| backend.token_rules()).ok_or_else(answer::unavailable)?;
        // RFC 8707 section 2; `audience` is what others call it.
        if ["resource", "audience"].iter().filter_map(|name| form.get(name)).any(|named| named != rules.audience) {
            return Err(answer::bad("invalid_target", "tokens are for one audience alone"));
        }
        let texts = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let llms = form.get("llm").map(llms).transpose()?;
        let ttl_s = form.get("lifetime").map(seconds).transpose()?;
        if ttl_s.is_some_and(|seconds| seconds < LEAST_S) {
            return Err(answer::invalid_request(TOO_SHORT));
        }
        // It may be shorter than where nobody says, never longer.
        let ttl_s = ttl_s.map(|seconds| seconds.min(u64::from(rules.ttl_s.min(rules.max_ttl_s))));
        Ok(TokenRequest { scopes: form.get("scope").map(texts), llms, ttl_s })
    }

    async fn issue(&self, parent: Credential, source: String, asked: TokenRequest) -> Response {
        let issued = self.blocking(move |backend| backend.issue_token_for_client(&parent, source, &asked)).await;
        match issued {
            Ok(minted) => given(&minted),
            Err(error) => refusal(&error),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the token is given to whom it was issued for")]
fn given(minted: &MintedToken) -> Response {
    let Ok(access_token) = std::str::from_utf8(minted.text.expose()) else { return answer::unavailable() };
    let left_ms = minted.token.expires_at_ms.saturating_sub(minted.token.issued_at_ms);
    let scope = minted.scopes.join(" ");
    let expires_in = left_ms.div_euclid(1_000);
    Response::json(200, &Given { access_token, token_type: "Bearer", expires_in, scope: &scope })
}

/// In words that tell a client what to change, and nothing else.
fn refusal(error: &AdminError) -> Response {
    match error {
        AdminError::Invalid { field: "scope", .. } => {
            answer::bad("invalid_scope", "some of the scopes of the key, separated by one space each")
        }
        AdminError::Invalid { field: "llm", .. } => {
            answer::invalid_request("llm: some of the LLMs that the App of the key may use")
        }
        AdminError::Invalid { .. } => answer::invalid_request(TOO_SHORT),
        // It was in force a moment ago.
        AdminError::NotInForce { .. }
        | AdminError::NotFound { .. }
        | AdminError::Suspended(_)
        | AdminError::Forged(_) => answer::unknown(Challenge::Basic),
        AdminError::TooManyTokens { .. } => {
            answer::slow_down(LATER_S, "as many tokens of the key are in force as may be: use one until it ends")
        }
        other => {
            tracing::warn!(error = %other, "a token could not be issued");
            answer::unavailable()
        }
    }
}

fn seconds(text: &str) -> Result<u64, Response> {
    let wrong = || answer::invalid_request("lifetime: whole seconds");
    let digits = (1..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().map_err(|_| wrong()) } else { Err(wrong()) }
}

fn llms(text: &str) -> Result<Vec<LlmId>, Response> {
    let id = |text: &str| text.parse().ok().and_then(LlmId::new);
    let all: Option<Vec<LlmId>> = text.split(' ').map(id).collect();
    all.ok_or_else(|| answer::invalid_request("llm: ids of LLMs, separated by one space each"))
}
