//! Trusted issuers, as shown.

use schemars::JsonSchema;
use serde::Serialize;

use crate::pb::admin::v1 as pb;
use crate::transport::admin::views::{given, moment};

#[derive(Serialize, JsonSchema)]
struct WaiverView {
    rule: String,
    owner: String,
    until: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct AllowedView {
    claim: String,
    value: String,
}

#[derive(Serialize, JsonSchema)]
struct FirstUseView {
    app_id: u32,
    user_id: u32,
    allow: Vec<AllowedView>,
    cap: u32,
    until: Option<String>,
}

/// What the linter says.
#[derive(Serialize, JsonSchema)]
pub struct FindingView {
    rule: String,
    clause: String,
    severity: String,
    text: String,
}

impl From<pb::Finding> for FindingView {
    fn from(finding: pb::Finding) -> Self {
        let pb::Finding { rule, clause, severity, text } = finding;
        Self { rule, clause, severity, text }
    }
}

/// A trusted issuer.
#[derive(Serialize, JsonSchema)]
pub struct IssuerView {
    issuer_id: String,
    tenant: String,
    iss: String,
    audiences: Vec<String>,
    algorithms: Vec<String>,
    types: Vec<String>,
    leeway_seconds: u32,
    max_age_seconds: Option<u32>,
    required_claims: Vec<String>,
    key_source: String,
    jwks_url: Option<String>,
    jwks: Option<String>,
    app_id: Option<u32>,
    app_claim: Option<String>,
    user_id: Option<u32>,
    user_claim: Option<String>,
    first_use: Option<FirstUseView>,
    scope_claim: String,
    strict: bool,
    waivers: Vec<WaiverView>,
    active: bool,
    status: String,
    findings: Vec<FindingView>,
    created_by: String,
    created_at: Option<String>,
    etag: String,
}

fn first_use(first: pb::FirstUse) -> FirstUseView {
    let pb::FirstUse { app_id, user_id, allow, cap, until } = first;
    let allow = allow.into_iter().map(|pb::AllowedClaim { claim, value }| AllowedView { claim, value }).collect();
    FirstUseView { app_id, user_id, allow, cap, until: moment(until) }
}

impl From<pb::Issuer> for IssuerView {
    fn from(issuer: pb::Issuer) -> Self {
        let pb::Identity { app_id, app_claim, user_id, user_claim, first_use: first } =
            issuer.identity.unwrap_or_default();
        let waiver = |pb::Waiver { rule, owner, until }| WaiverView { rule, owner, until: moment(until) };
        Self {
            issuer_id: issuer.issuer_id,
            tenant: issuer.tenant,
            iss: issuer.iss,
            audiences: issuer.audiences,
            algorithms: issuer.algorithms,
            types: issuer.types,
            leeway_seconds: issuer.leeway_seconds.unwrap_or(0),
            max_age_seconds: Some(issuer.max_age_seconds).filter(|age| *age != 0),
            required_claims: issuer.required_claims,
            key_source: issuer.key_source,
            jwks_url: given(issuer.jwks_url),
            jwks: given(issuer.jwks),
            app_id: Some(app_id).filter(|id| *id != 0),
            app_claim: given(app_claim),
            user_id: Some(user_id).filter(|id| *id != 0),
            user_claim: given(user_claim),
            first_use: first.map(first_use),
            scope_claim: issuer.scope_claim,
            strict: issuer.strict,
            waivers: issuer.waivers.into_iter().map(waiver).collect(),
            active: issuer.active,
            status: issuer.status,
            findings: issuer.findings.into_iter().map(FindingView::from).collect(),
            created_by: issuer.created_by,
            created_at: moment(issuer.created_at),
            etag: issuer.etag,
        }
    }
}

/// A key of an issuer.
#[derive(Serialize)]
pub struct IssuerKeyView {
    kid: Option<String>,
    kind: Option<String>,
    algorithm: Option<String>,
    thumbprint: Option<String>,
    usable: bool,
    note: Option<String>,
}

impl From<pb::IssuerKey> for IssuerKeyView {
    fn from(key: pb::IssuerKey) -> Self {
        let pb::IssuerKey { kid, kind, algorithm, thumbprint, usable, note } = key;
        Self {
            kid: given(kid),
            kind: given(kind),
            algorithm: given(algorithm),
            thumbprint: given(thumbprint),
            usable,
            note: given(note),
        }
    }
}

/// What an issuer is worth now.
#[derive(Serialize)]
pub struct IssuerCheckView {
    passed: bool,
    keys_error: Option<String>,
    keys: Vec<IssuerKeyView>,
    issuer: IssuerView,
}

impl From<pb::CheckIssuerResponse> for IssuerCheckView {
    fn from(checked: pb::CheckIssuerResponse) -> Self {
        let pb::CheckIssuerResponse { issuer, keys, keys_error, passed } = checked;
        Self {
            passed,
            keys_error: given(keys_error),
            keys: keys.into_iter().map(IssuerKeyView::from).collect(),
            issuer: issuer.unwrap_or_default().into(),
        }
    }
}
