//! What is shown of each thing as JSON: by the command line and by the pages. Field names are stable; times are RFC 3339,
//! UTC. No secret has a place here.

mod issuers;

use std::collections::BTreeMap;

use prost_types::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::clock::rfc3339;
use crate::pb::admin::v1 as pb;
use crate::transport::admin::convert;

pub use issuers::{FindingView, IssuerCheckView, IssuerKeyView, IssuerView};

fn moment(time: Option<Timestamp>) -> Option<String> {
    time.map(|time| rfc3339(convert::ms(&time)))
}

fn given(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// The last words of an enumeration's name, as in `TENANT_STATUS_ACTIVE`, in lower case.
fn word(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_ascii_lowercase()
}

/// A tenant.
#[derive(Serialize, JsonSchema)]
pub struct TenantView {
    pub(super) tenant: String,
    pub(super) tenant_id: String,
    pub(super) name: String,
    pub(super) status: String,
    pub(super) key_prefix: String,
    pub(super) llm_grants: String,
    pub(super) namespaces: Vec<String>,
    pub(super) created_at: Option<String>,
    pub(super) etag: String,
}

impl From<pb::Tenant> for TenantView {
    fn from(t: pb::Tenant) -> Self {
        Self {
            status: word(t.status().as_str_name(), "TENANT_STATUS_"),
            llm_grants: word(t.llm_grants().as_str_name(), "LLM_GRANTS_"),
            tenant: t.tenant,
            tenant_id: t.tenant_id,
            name: t.name,
            key_prefix: t.key_prefix,
            namespaces: t.namespaces,
            created_at: moment(t.created_at),
            etag: t.etag,
        }
    }
}

#[derive(Serialize, JsonSchema)]
struct LlmView {
    id: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    slug: Option<String>,
}

/// An App.
#[derive(Serialize, JsonSchema)]
pub struct AppView {
    tenant: String,
    app_id: u32,
    name: String,
    description: String,
    owner_email: String,
    owner_user_id: Option<u32>,
    active: bool,
    llms: Vec<LlmView>,
    monthly_budget: f64,
    rate_limit: i32,
    metadata: BTreeMap<String, String>,
    etag: String,
    host_active: bool,
    host_gone_at: Option<String>,
    tool_ids: Vec<u32>,
    datasource_ids: Vec<u32>,
}

impl From<pb::App> for AppView {
    fn from(a: pb::App) -> Self {
        Self {
            tenant: a.tenant,
            app_id: a.app_id,
            name: a.name,
            description: a.description,
            owner_email: a.owner_email,
            owner_user_id: Some(a.owner_user_id).filter(|id| *id != 0),
            active: a.active,
            llms: a.llms.into_iter().map(|llm| LlmView { id: llm.id, slug: llm.slug }).collect(),
            monthly_budget: a.monthly_budget,
            rate_limit: a.rate_limit,
            metadata: a.metadata,
            etag: a.etag,
            host_active: a.host_active,
            host_gone_at: moment(a.host_gone_at),
            tool_ids: a.tool_ids,
            datasource_ids: a.datasource_ids,
        }
    }
}

/// An App of the host that no tenant has.
#[derive(Serialize)]
pub struct UnclaimedView {
    app_id: u32,
    name: String,
    namespace: String,
    owner_user_id: Option<u32>,
    active: bool,
}

impl From<pb::UnclaimedApp> for UnclaimedView {
    fn from(app: pb::UnclaimedApp) -> Self {
        let pb::UnclaimedApp { app_id, name, namespace, owner_user_id, active } = app;
        Self { app_id, name, namespace, owner_user_id: Some(owner_user_id).filter(|id| *id != 0), active }
    }
}

/// A User.
#[derive(Serialize, JsonSchema)]
pub struct UserView {
    tenant: String,
    user_id: u32,
    email: String,
    name: String,
    active: bool,
    metadata: BTreeMap<String, String>,
    etag: String,
    host_active: bool,
    host_gone_at: Option<String>,
}

impl From<pb::User> for UserView {
    fn from(user: pb::User) -> Self {
        let pb::User { tenant, user_id, email, name, active, metadata, etag, host_active, host_gone_at } = user;
        let host_gone_at = moment(host_gone_at);
        Self { tenant, user_id, email, name, active, metadata, etag, host_active, host_gone_at }
    }
}

/// A link. Its subject is in no view.
#[derive(Serialize, JsonSchema)]
pub struct LinkView {
    link_id: String,
    tenant: String,
    issuer: String,
    app_id: u32,
    user_id: u32,
    status: String,
    created_at: Option<String>,
}

impl From<pb::Link> for LinkView {
    fn from(link: pb::Link) -> Self {
        let pb::Link { link_id, tenant, issuer, app_id, user_id, status, created_at } = link;
        Self { link_id, tenant, issuer, app_id, user_id, status, created_at: moment(created_at) }
    }
}

/// A credential.
#[derive(Serialize, JsonSchema)]
pub struct KeyView {
    pub(super) credential_id: String,
    pub(super) tenant: String,
    pub(super) app_id: u32,
    pub(super) user_id: u32,
    pub(super) label: String,
    pub(super) environment: String,
    pub(super) status: String,
    pub(super) scopes: Vec<String>,
    pub(super) cidrs: Vec<String>,
    pub(super) not_before: Option<String>,
    pub(super) expires_at: Option<String>,
    pub(super) revoked_at: Option<String>,
    pub(super) revocation_reason: Option<String>,
    pub(super) replaces: Option<String>,
    pub(super) replaced_by: Option<String>,
    pub(super) grace_until: Option<String>,
    pub(super) decoy: bool,
    pub(super) proof: String,
    pub(super) last_used_at: Option<String>,
    pub(super) created_by: String,
    pub(super) created_at: Option<String>,
    pub(super) etag: String,
}

impl From<pb::Credential> for KeyView {
    fn from(c: pb::Credential) -> Self {
        let reason = word(c.revocation_reason().as_str_name(), "REVOCATION_REASON_");
        Self {
            environment: word(c.environment().as_str_name(), "ENVIRONMENT_"),
            revocation_reason: c.revoked_at.as_ref().map(|_| reason),
            credential_id: c.credential_id,
            tenant: c.tenant,
            app_id: c.app_id,
            user_id: c.user_id,
            label: c.label,
            status: c.status,
            scopes: c.scopes,
            cidrs: c.cidrs,
            not_before: moment(c.not_before),
            expires_at: moment(c.expires_at),
            revoked_at: moment(c.revoked_at),
            replaces: given(c.replaces),
            replaced_by: given(c.replaced_by),
            grace_until: moment(c.grace_until),
            decoy: c.decoy,
            proof: c.proof,
            last_used_at: moment(c.last_used_at),
            created_by: c.created_by,
            created_at: moment(c.created_at),
            etag: c.etag,
        }
    }
}

/// A fresh key, shown once.
#[derive(Serialize, JsonSchema)]
pub struct IssuedView<'a> {
    credential_id: &'a str,
    key: Option<&'a str>,
    expires_at: Option<String>,
    not_before: Option<String>,
    tenant: &'a str,
    app_id: u32,
    user_id: u32,
    label: &'a str,
    environment: String,
    scopes: &'a [String],
    replayed: bool,
}

impl<'a> IssuedView<'a> {
    /// Of a credential and its key; without one where it was shown before.
    pub fn new(c: &'a pb::Credential, key: &'a str, replayed: bool) -> Self {
        Self {
            credential_id: &c.credential_id,
            key: Some(key).filter(|key| !key.is_empty()),
            expires_at: moment(c.expires_at),
            not_before: moment(c.not_before),
            tenant: &c.tenant,
            app_id: c.app_id,
            user_id: c.user_id,
            label: &c.label,
            environment: word(c.environment().as_str_name(), "ENVIRONMENT_"),
            scopes: &c.scopes,
            replayed,
        }
    }
}

/// An operator.
#[derive(Serialize, JsonSchema)]
pub struct OperatorView {
    operator_id: String,
    name: String,
    role: String,
    tenants: Vec<String>,
    status: String,
    certificate_sha256: Option<String>,
    created_at: Option<String>,
    revoked_at: Option<String>,
}

impl From<pb::Operator> for OperatorView {
    fn from(o: pb::Operator) -> Self {
        Self {
            role: word(o.role().as_str_name(), "ROLE_"),
            operator_id: o.operator_id,
            name: o.name,
            tenants: o.tenants,
            status: o.status,
            certificate_sha256: given(o.certificate_sha256),
            created_at: moment(o.created_at),
            revoked_at: moment(o.revoked_at),
        }
    }
}

/// An event of the trail, field by field as in an export.
#[derive(Serialize, JsonSchema)]
pub struct EventView {
    sequence: u64,
    at: Option<String>,
    at_ms: i64,
    actor: String,
    action: String,
    subject_kind: String,
    subject_id: String,
    tenant_id: Option<String>,
    details: Vec<(String, String)>,
    request_id: String,
    hash: String,
}

impl From<pb::AuditEvent> for EventView {
    fn from(e: pb::AuditEvent) -> Self {
        let at_ms = e.at.as_ref().map_or(0, convert::ms);
        Self {
            sequence: e.sequence,
            at: moment(e.at),
            at_ms,
            actor: e.actor,
            action: e.action,
            subject_kind: e.subject_kind,
            subject_id: e.subject_id,
            tenant_id: given(e.tenant_id),
            details: e.details.into_iter().map(|detail| (detail.key, detail.value)).collect(),
            request_id: e.request_id,
            hash: e.hash,
        }
    }
}

/// What is known of a trail.
#[derive(Serialize, JsonSchema)]
pub struct VerifyView {
    consistent: bool,
    statement: String,
    damage: Option<String>,
    first_bad_event: Option<u64>,
    first_event: Option<u64>,
    last_event: Option<u64>,
    head: Option<String>,
    signed_up_to: Option<u64>,
    signed_at: Option<String>,
    anchors: Option<u64>,
    trusted_key: Option<String>,
}

impl From<pb::VerifyAuditTrailResponse> for VerifyView {
    fn from(v: pb::VerifyAuditTrailResponse) -> Self {
        Self {
            consistent: v.consistent,
            statement: v.statement,
            damage: given(v.damage),
            first_bad_event: v.first_bad_event,
            first_event: v.first_event,
            last_event: v.last_event,
            head: given(v.head),
            signed_up_to: v.signed_up_to,
            signed_at: moment(v.signed_at),
            anchors: v.anchors,
            trusted_key: given(v.trusted_key),
        }
    }
}

/// A decision, or several.
#[derive(Serialize, JsonSchema)]
pub struct DecisionView {
    sequence: u64,
    at: Option<String>,
    kind: String,
    reason: String,
    stage: String,
    credential_id: Option<String>,
    tenant_id: Option<String>,
    app_id: Option<u32>,
    user_id: Option<u32>,
    request_id: Option<String>,
    source: Option<String>,
    calls: u64,
}

impl From<pb::Decision> for DecisionView {
    fn from(d: pb::Decision) -> Self {
        Self {
            sequence: d.sequence,
            at: moment(d.at),
            kind: d.kind,
            reason: d.reason,
            stage: d.stage,
            credential_id: given(d.credential_id),
            tenant_id: given(d.tenant_id),
            app_id: Some(d.app_id).filter(|id| *id != 0),
            user_id: Some(d.user_id).filter(|id| *id != 0),
            request_id: given(d.request_id),
            source: given(d.source),
            calls: d.calls,
        }
    }
}
