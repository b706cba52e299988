//! What a page is answered: the views of the command line, and what only pages have.

use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use zeroize::{Zeroize as _, Zeroizing};

use crate::admin::Caller;
use crate::authenticate::{Health, Problem};
use crate::domain::Operator;
use crate::pb::admin::v1 as pb;
use crate::transport::admin::pages::session::LIFE_S;
use crate::transport::admin::views::{
    AppView, EventView, IssuedView, IssuerView, KeyView, LinkView, OperatorView, TenantView, UserView,
};

/// Something that is wrong.
#[derive(Serialize, JsonSchema)]
struct ProblemView {
    code: &'static str,
    text: String,
}

#[derive(Serialize, JsonSchema)]
struct Dependencies {
    store: &'static str,
    feed_check_age_ms: Option<u64>,
}

/// How the process is.
#[derive(Serialize, JsonSchema)]
pub struct HealthView {
    /// `healthy`, `degraded` or `unhealthy`.
    status: &'static str,
    version: &'static str,
    uptime_seconds: u64,
    problems: Vec<ProblemView>,
    dependencies: Dependencies,
    cached_credentials: usize,
}

impl HealthView {
    /// Of this process.
    pub fn new(health: Health, uptime: std::time::Duration) -> Self {
        let store = if health.status == "unhealthy" { "unavailable" } else { "available" };
        let problem = |Problem { code, text }: Problem| ProblemView { code, text };
        Self {
            status: health.status,
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: uptime.as_secs(),
            problems: health.problems.into_iter().map(problem).collect(),
            dependencies: Dependencies { store, feed_check_age_ms: health.feed_check_age_ms },
            cached_credentials: health.cached_credentials,
        }
    }
}

/// What the process counted.
#[derive(Serialize, JsonSchema)]
pub struct MetricsView {
    request_count: u64,
    error_count: u64,
    refused_count: u64,
    avg_duration_ms: f64,
    cache_hits: u64,
    cache_misses: u64,
    panics: u64,
    /// All of them, as Prometheus reads it.
    prometheus: String,
}

impl MetricsView {
    /// Of this process.
    pub fn new(metrics: &crate::telemetry::metrics::Metrics) -> Self {
        let summary = metrics.summary();
        Self {
            request_count: summary.request_count,
            error_count: summary.error_count,
            refused_count: summary.refused_count,
            avg_duration_ms: summary.avg_duration_ms,
            cache_hits: metrics.cache_hits.get(),
            cache_misses: metrics.cache_misses.get(),
            panics: metrics.panics.get(),
            prometheus: metrics.render(),
        }
    }
}

/// Who asks.
#[derive(Serialize, JsonSchema)]
pub(super) struct CallerOutput {
    /// As in the trail.
    pub(super) actor: String,
    /// `issuer` or `auditor`.
    pub(super) role: &'static str,
    /// Whether every tenant is theirs.
    pub(super) every_tenant: bool,
    /// Else the slugs of those that are.
    pub(super) tenants: Vec<String>,
}

/// A name and no more.
#[derive(Serialize, JsonSchema)]
pub(super) struct TenantName {
    tenant: String,
    name: String,
    status: String,
}

/// What of a row there is to see for whom.
macro_rules! listings {
    ($($name:ident: $response:ident { $rows:ident: $view:ty })+) => {
        $(
            /// A page of a listing.
            #[derive(Serialize, JsonSchema)]
            pub(super) struct $name {
                $rows: Vec<$view>,
                /// Asks for the next page; empty at the end.
                next_page_token: String,
            }

            impl From<pb::$response> for $name {
                fn from(page: pb::$response) -> Self {
                    let next_page_token = page.next_page_token;
                    Self { $rows: page.$rows.into_iter().map(Into::into).collect(), next_page_token }
                }
            }
        )+
    };
}

listings! {
    TenantsOutput: ListTenantsResponse { tenants: TenantView }
    TenantNamesOutput: ListTenantsResponse { tenants: TenantName }
    AppsOutput: ListAppsResponse { apps: AppView }
    UsersOutput: ListUsersResponse { users: UserView }
    LinksOutput: ListLinksResponse { links: LinkView }
    IssuersOutput: ListIssuersResponse { issuers: IssuerView }
    CredentialsOutput: ListCredentialsResponse { credentials: KeyView }
    EventsOutput: ListAuditEventsResponse { events: EventView }
    OperatorsOutput: ListOperatorsResponse { operators: OperatorView }
    OwnAppsOutput: ListAppsResponse { apps: OwnApp }
    OwnCredentialsOutput: ListCredentialsResponse { credentials: OwnKey }
}

impl From<pb::Tenant> for TenantName {
    fn from(tenant: pb::Tenant) -> Self {
        let TenantView { tenant, name, status, .. } = tenant.into();
        Self { tenant, name, status }
    }
}

/// An App of one's own.
#[derive(Serialize, JsonSchema)]
pub(super) struct OwnApp {
    app_id: u32,
    name: String,
    description: String,
    active: bool,
}

impl From<pb::App> for OwnApp {
    fn from(app: pb::App) -> Self {
        let active = app.active && app.host_active && app.host_gone_at.is_none();
        Self { app_id: app.app_id, name: app.name, description: app.description, active }
    }
}

/// A credential of one's own: not who made it, nor when it was used, nor how it is kept.
#[derive(Serialize, JsonSchema)]
pub(super) struct OwnKey {
    credential_id: String,
    app_id: u32,
    label: String,
    environment: String,
    status: String,
    scopes: Vec<String>,
    cidrs: Vec<String>,
    not_before: Option<String>,
    expires_at: Option<String>,
    revoked_at: Option<String>,
    revocation_reason: Option<String>,
    grace_until: Option<String>,
    created_at: Option<String>,
}

impl From<pb::Credential> for OwnKey {
    fn from(credential: pb::Credential) -> Self {
        let key = KeyView::from(credential);
        Self {
            credential_id: key.credential_id,
            app_id: key.app_id,
            label: key.label,
            environment: key.environment,
            status: key.status,
            scopes: key.scopes,
            cidrs: key.cidrs,
            not_before: key.not_before,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            revocation_reason: key.revocation_reason,
            grace_until: key.grace_until,
            created_at: key.created_at,
        }
    }
}

/// A link that was added.
#[derive(Serialize, JsonSchema)]
pub(super) struct LinkedOutput {
    #[serde(flatten)]
    link: LinkView,
    replayed: bool,
}

impl From<pb::CreateLinkResponse> for LinkedOutput {
    fn from(made: pb::CreateLinkResponse) -> Self {
        Self { link: made.link.unwrap_or_default().into(), replayed: made.replayed }
    }
}

/// That a link is gone.
#[derive(Serialize, JsonSchema)]
pub(super) struct UnlinkedOutput {
    removed: bool,
}

impl From<pb::DeleteLinkResponse> for UnlinkedOutput {
    fn from(_: pb::DeleteLinkResponse) -> Self {
        Self { removed: true }
    }
}

/// What was revoked, as it is now.
macro_rules! revoked {
    ($($name:ident: $view:ty)+) => {
        $(
            /// A credential that was taken back.
            #[derive(Serialize, JsonSchema)]
            #[serde(transparent)]
            pub(super) struct $name($view);

            impl From<pb::RevokeCredentialResponse> for $name {
                fn from(revoked: pb::RevokeCredentialResponse) -> Self {
                    Self(revoked.credential.unwrap_or_default().into())
                }
            }
        )+
    };
}

revoked! {
    RevokedOutput: KeyView
    OwnRevokedOutput: OwnKey
}

/// A fresh key, shown once and wiped after it.
struct Fresh {
    credential: pb::Credential,
    key: Zeroizing<String>,
    replayed: bool,
}

macro_rules! fresh {
    ($($response:ident)+) => {
        $(impl From<pb::$response> for Fresh {
            fn from(response: pb::$response) -> Self {
                let pb::$response { credential, key, replayed, .. } = response;
                Self { credential: credential.unwrap_or_default(), key: Zeroizing::new(key), replayed }
            }
        })+
    };
}

fresh! { IssueCredentialResponse RotateCredentialResponse }

/// A fresh credential, with its key this once.
#[derive(JsonSchema)]
#[schemars(transparent)]
pub(super) struct IssuedOutput(#[schemars(with = "IssuedView<'static>")] Fresh);

impl Serialize for IssuedOutput {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        IssuedView::new(&self.0.credential, &self.0.key, self.0.replayed).serialize(serializer)
    }
}

impl<T: Into<Fresh>> From<T> for IssuedOutput {
    fn from(response: T) -> Self {
        Self(response.into())
    }
}

/// A fresh credential of one's own, with its key this once.
#[derive(Serialize, JsonSchema)]
pub(super) struct OwnIssuedOutput {
    /// Without one where it was shown before.
    key: Option<String>,
    replayed: bool,
    #[serde(flatten)]
    credential: OwnKey,
}

impl Drop for OwnIssuedOutput {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl<T: Into<Fresh>> From<T> for OwnIssuedOutput {
    fn from(response: T) -> Self {
        let Fresh { credential, mut key, replayed } = response.into();
        let key = Some(std::mem::take(&mut *key)).filter(|key| !key.is_empty());
        Self { key, replayed, credential: credential.into() }
    }
}

/// A session of an operator on the Studio page.
#[derive(Serialize, JsonSchema)]
pub(super) struct RaisedOutput {
    /// To be sent with each call as `session`.
    #[serde(serialize_with = "shown")]
    #[schemars(with = "String")]
    session: Zeroizing<String>,
    expires_in_seconds: u64,
    operator_id: String,
    name: String,
    /// `issuer` or `auditor`: never more on a page.
    role: &'static str,
}

impl RaisedOutput {
    pub(super) fn new(operator: &Operator, session: Zeroizing<String>) -> Self {
        let Caller { role, .. } = Caller::raised(operator);
        let (operator_id, name) = (operator.id.to_string(), operator.name.clone());
        Self { session, expires_in_seconds: LIFE_S, operator_id, name, role: role.as_str() }
    }
}

fn shown<S: Serializer>(text: &Zeroizing<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

/// That a session is over.
#[derive(Serialize, JsonSchema)]
pub(super) struct LoweredOutput {
    pub(super) lowered: bool,
}
