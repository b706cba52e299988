//! What is shown of short-lived tokens and their keys as JSON. Field names are stable; times are RFC 3339, UTC.

use prost_types::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::clock::rfc3339;
use crate::pb::admin::v1 as pb;
use crate::transport::admin::convert;

fn moment(time: Option<Timestamp>) -> Option<String> {
    time.map(|time| rfc3339(convert::ms(&time)))
}

fn given(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// A token, without its text.
#[derive(Serialize)]
pub struct TokenView {
    token_id: String,
    tenant: String,
    credential_id: String,
    status: String,
    issued_at: Option<String>,
    expires_at: Option<String>,
    revoked_at: Option<String>,
}

impl From<pb::Token> for TokenView {
    fn from(token: pb::Token) -> Self {
        let pb::Token { token_id, tenant, credential_id, status, issued_at, expires_at, revoked_at } = token;
        let (issued_at, expires_at, revoked_at) = (moment(issued_at), moment(expires_at), moment(revoked_at));
        Self { token_id, tenant, credential_id, status, issued_at, expires_at, revoked_at }
    }
}

/// A fresh token, shown once.
#[derive(Serialize)]
pub struct MintedView<'a> {
    token: Option<&'a str>,
    token_id: &'a str,
    credential_id: &'a str,
    tenant: &'a str,
    expires_at: Option<String>,
    scope: String,
    llms: &'a [u32],
    replayed: bool,
}

impl<'a> MintedView<'a> {
    /// Of what is kept of it and its text; without one where it was shown before.
    pub fn new(issued: &'a pb::Token, token: &'a str, scopes: &[String], llms: &'a [u32], replayed: bool) -> Self {
        Self {
            token: Some(token).filter(|token| !token.is_empty()),
            token_id: &issued.token_id,
            credential_id: &issued.credential_id,
            tenant: &issued.tenant,
            expires_at: moment(issued.expires_at),
            scope: scopes.join(" "),
            llms,
            replayed,
        }
    }
}

/// One check of a token.
#[derive(Serialize)]
pub struct TokenCheckView {
    check: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// What is to be said of a token.
#[derive(Serialize)]
pub struct InspectionView {
    /// Whether every check holds.
    pub valid: bool,
    /// The check that fails.
    pub failed: Option<String>,
    reason: Option<String>,
    /// What is wrong.
    pub text: Option<String>,
    /// Every check.
    pub checks: Vec<TokenCheckView>,
    header: Option<Value>,
    /// What it says.
    pub claims: Option<Value>,
    token: Option<TokenView>,
}

impl From<pb::InspectTokenResponse> for InspectionView {
    fn from(told: pb::InspectTokenResponse) -> Self {
        let failed = told.checks.iter().find(|check| check.outcome() == pb::Outcome::Fails).cloned();
        let (failed, reason, text) = match failed {
            Some(check) => (given(check.check), given(check.reason), given(check.text)),
            None => (None, None, None),
        };
        let check = |check: pb::TokenCheck| TokenCheckView {
            outcome: match check.outcome() {
                pb::Outcome::Holds => "holds",
                pb::Outcome::Fails => "fails",
                pb::Outcome::NotJudged | pb::Outcome::Unspecified => "not judged",
            },
            check: check.check,
            reason: given(check.reason),
            text: given(check.text),
        };
        Self {
            valid: told.valid,
            failed,
            reason,
            text,
            checks: told.checks.into_iter().map(check).collect(),
            header: serde_json::from_str(&told.header).ok(),
            claims: serde_json::from_str(&told.claims).ok(),
            token: told.token.map(TokenView::from),
        }
    }
}

/// The public half of a key that signs tokens, or did.
#[derive(Serialize)]
pub struct SigningKeyView {
    kid: String,
    algorithm: String,
    status: String,
    created_at: Option<String>,
    retires_at: Option<String>,
    public_jwk: Option<Value>,
}

impl From<pb::SigningKey> for SigningKeyView {
    fn from(key: pb::SigningKey) -> Self {
        let pb::SigningKey { kid, algorithm, public_jwk, status, created_at, retires_at } = key;
        let (created_at, retires_at) = (moment(created_at), moment(retires_at));
        Self { kid, algorithm, status, created_at, retires_at, public_jwk: serde_json::from_str(&public_jwk).ok() }
    }
}
