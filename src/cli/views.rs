//! What is printed of each thing. Field names are stable; times are RFC 3339, UTC. No secret has a place here.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cli::parse::moment_text;
use crate::domain::imported::Proof;
use crate::domain::{App, Credential, Status, Tenant, User};

#[derive(Serialize)]
pub(super) struct TenantView {
    tenant: String,
    tenant_id: String,
    name: String,
    status: &'static str,
    key_prefix: String,
    llm_grants: &'static str,
    namespaces: Vec<String>,
    created_at: String,
}

impl From<Tenant> for TenantView {
    fn from(tenant: Tenant) -> Self {
        Self {
            tenant_id: tenant.id.to_string(),
            tenant: tenant.slug,
            name: tenant.name,
            status: tenant.status.as_str(),
            key_prefix: tenant.key_prefix,
            llm_grants: tenant.llm_grants.as_str(),
            namespaces: tenant.namespaces,
            created_at: moment_text(tenant.created_at_ms),
        }
    }
}

#[derive(Serialize)]
struct LlmView {
    id: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    slug: Option<String>,
}

#[derive(Serialize)]
pub(super) struct AppView {
    tenant: String,
    app_id: u32,
    name: String,
    description: String,
    owner_email: String,
    active: bool,
    llms: Vec<LlmView>,
    monthly_budget: f64,
    rate_limit: i32,
    metadata: BTreeMap<String, String>,
}

impl AppView {
    pub(super) fn new(tenant: &str, app: App) -> Self {
        Self {
            tenant: tenant.to_owned(),
            app_id: app.id.get(),
            name: app.name,
            description: app.description,
            owner_email: app.owner_email,
            active: app.active,
            llms: app.llms.into_iter().map(|llm| LlmView { id: llm.id.get(), slug: llm.slug }).collect(),
            monthly_budget: app.monthly_budget,
            rate_limit: app.rate_limit,
            metadata: app.metadata,
        }
    }
}

#[derive(Serialize)]
pub(super) struct UserView {
    tenant: String,
    user_id: u32,
    email: String,
    name: String,
    active: bool,
    metadata: BTreeMap<String, String>,
}

impl UserView {
    pub(super) fn new(tenant: &str, user: User) -> Self {
        let User { id, email, name, active, metadata, .. } = user;
        Self { tenant: tenant.to_owned(), user_id: id.get(), email, name, active, metadata }
    }
}

#[derive(Serialize)]
pub(super) struct KeyView {
    credential_id: String,
    tenant: String,
    app_id: u32,
    user_id: u32,
    label: String,
    environment: &'static str,
    status: &'static str,
    scopes: Vec<String>,
    cidrs: Vec<String>,
    not_before: Option<String>,
    expires_at: Option<String>,
    revoked_at: Option<String>,
    revocation_reason: Option<&'static str>,
    replaces: Option<String>,
    replaced_by: Option<String>,
    grace_until: Option<String>,
    decoy: bool,
    proof: &'static str,
    last_used_at: Option<String>,
    created_by: String,
    created_at: String,
}

impl KeyView {
    pub(super) fn new(tenant: &str, credential: Credential, now_ms: i64) -> Self {
        let state = credential.check_validity(now_ms);
        let (revoked_at, revocation_reason) = match credential.status {
            Status::Active => (None, None),
            Status::Revoked { at_ms, reason } => (Some(moment_text(at_ms)), Some(reason.as_str())),
        };
        Self {
            credential_id: credential.id.to_string(),
            tenant: tenant.to_owned(),
            app_id: credential.app.get(),
            user_id: credential.user.get(),
            label: credential.label,
            environment: credential.environment.as_str(),
            status: state.map_or_else(crate::domain::Reason::code, |()| "active"),
            scopes: credential.scopes,
            cidrs: credential.cidrs.iter().map(ToString::to_string).collect(),
            not_before: credential.not_before_ms.map(moment_text),
            expires_at: credential.expires_at_ms.map(moment_text),
            revoked_at,
            revocation_reason,
            replaces: credential.replaces.map(|id| id.to_string()),
            replaced_by: credential.replaced.map(|replaced| replaced.by.to_string()),
            grace_until: credential.replaced.map(|replaced| moment_text(replaced.grace_until_ms)),
            decoy: credential.decoy,
            proof: match (&credential.verifier.tag, &credential.verifier.prehash) {
                (Some(_), _) => "tag",
                (None, Some(prehash)) if matches!(prehash.proof, Proof::Key { .. }) => "hash_of_another_system",
                (None, _) => "slow_hash",
            },
            last_used_at: credential.last_used_at_ms.map(moment_text),
            created_by: credential.created_by,
            created_at: moment_text(credential.created_at_ms),
        }
    }
}
