//! `latchkey.admin.v1.AdminService`: one file for each thing that it administers.
//!
//! A call is identified (`identify`), becomes an [`Admin`] for its caller, and runs one use case on a blocking thread:
//! the files here only convert. `status` is the one table of errors. The command line calls the very same service, in
//! its own process or over a wire.

#![expect(clippy::needless_pass_by_value, reason = "a handler is given its request whole, whether or not it keeps it")]

mod apps;
mod audit;
mod checklist;
pub mod convert;
mod credentials;
mod door;
mod explain;
mod fetching;
mod identify;
mod import;
pub mod issuers;
mod links;
pub mod listen;
mod operators;
mod own_tokens;
mod page;
pub mod pages;
mod status;
mod streams;
mod tenants;
pub mod token_views;
mod tokens;
mod urgent;
mod users;
pub mod views;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use sha2::{Digest as _, Sha256};
use tonic::{Request, Response, Status, Streaming};

use crate::admin::{Admin, AdminError, AdminResult, Backend, Caller};
use crate::authenticate::{Gate, Health};
use crate::domain::event::Actor;
use crate::pb::admin::v1 as pb;
use crate::pb::admin::v1::admin_service_server::AdminServiceServer;
pub use audit::{MAX_ANCHORS, verdict};
pub use door::Door;
pub use identify::{Known, Peers};
pub use status::with_causes;
use streams::Stream;

/// What the service works on. It may change while the service runs: a store that is replaced is opened anew.
pub trait Office: Send + Sync {
    /// The use cases; none while there is no store.
    fn backend(&self) -> Option<Backend>;
    /// What decides about requests, and proves operators.
    fn gate(&self) -> &Arc<Gate>;
    /// Whether the process decides about requests, so that denying something here means something.
    fn serves(&self) -> bool;
    /// How long the process has been up.
    fn uptime(&self) -> Duration;
    /// How it is.
    fn health(&self) -> Health;
}

/// Calls that run at once; more wait.
const CALLS: usize = 16;
/// How long a call waits for its turn.
const TURN_LIMIT: Duration = Duration::from_secs(5);

/// What every method has.
pub(super) struct Desk {
    office: Arc<dyn Office>,
    peers: Peers,
    /// Threads for calls, so that a flood of them takes neither memory nor those that what is urgent needs.
    calls: Arc<tokio::sync::Semaphore>,
    long_calls: Arc<tokio::sync::Semaphore>,
    fetching: fetching::Fetching,
    urgent: urgent::Urgent,
}

/// The service.
#[derive(Clone)]
pub struct AdminRpc {
    desk: Arc<Desk>,
}

/// How a call ended, a panic included.
type Ended<A> = std::thread::Result<AdminResult<A>>;
/// Why a call failed; none where it panicked.
type Failed = Option<AdminError>;

/// A message that asks for something.
trait Asks: Message + Clone + Sync + 'static {
    /// The caller's id of the request; empty for none.
    #[expect(clippy::unnecessary_literal_bound, reason = "others give their own")]
    fn request_id(&self) -> &str {
        ""
    }

    /// The tenant for whom an outside server may be asked and waited for; none where nobody is.
    fn asks_outside(&self) -> Option<&str> {
        None
    }
}

macro_rules! asks {
    (with $($with:ident)+; without $($without:ident)+) => {
        $(impl Asks for pb::$with {
            fn request_id(&self) -> &str {
                &self.request_id
            }
        })+
        $(impl Asks for pb::$without {})+
    };
}

asks! {
    with CreateTenantRequest UpdateTenantRequest SuspendTenantRequest ResumeTenantRequest CreateAppRequest UpdateAppRequest
        DeleteAppRequest CreateUserRequest UpdateUserRequest DeleteUserRequest IssueCredentialRequest
        UpdateCredentialRequest RotateCredentialRequest RevokeCredentialRequest CreateOperatorRequest
        RevokeOperatorRequest RotateAuditKeyRequest PruneAuditTrailRequest RunChecklistRequest ImportOptions
        CreateLinkRequest DeleteLinkRequest DeleteIssuerRequest
        IssueTokenRequest RevokeTokenRequest RevokeCredentialTokensRequest
        RotateSigningKeyRequest;
    without GetHealthRequest GetCallerRequest GetTenantRequest ListTenantsRequest GetAppRequest ListAppsRequest
        GetUserRequest ListUsersRequest GetCredentialRequest ListCredentialsRequest ExplainCredentialRequest
        TestCredentialRequest ExportCredentialsRequest GetOperatorRequest ListOperatorsRequest ListAuditEventsRequest
        StreamAuditEventsRequest VerifyAuditTrailRequest ExportAuditTrailRequest CreateAuditCheckpointRequest
        GetAuditPublicKeyRequest ListDecisionsRequest GetLinkRequest ListLinksRequest
        GetIssuerRequest ListIssuersRequest
        ListUnclaimedAppsRequest ListTokensRequest InspectTokenRequest ListSigningKeysRequest
}

impl Desk {
    /// A turn for a call that takes its time: few run at once.
    fn long_call(&self) -> AdminResult<tokio::sync::OwnedSemaphorePermit> {
        let turn = Arc::clone(&self.long_calls).try_acquire_owned();
        turn.map_err(|_| {
            AdminError::Busy("too many imports, exports and walks run already: try again when one has ended")
        })
    }
}

impl AdminRpc {
    /// Works on this, for these users of the machine.
    pub fn new(office: Arc<dyn Office>, peers: Peers) -> Self {
        let long_calls = Arc::new(tokio::sync::Semaphore::new(streams::LONG_CALLS));
        let (calls, urgent) = (Arc::new(tokio::sync::Semaphore::new(CALLS)), urgent::Urgent::default());
        let fetching = fetching::Fetching::default();
        Self { desk: Arc::new(Desk { office, peers, calls, long_calls, fetching, urgent }) }
    }

    /// To be served on listeners.
    pub fn behind_door(self) -> Door {
        Door::new(self)
    }

    /// For callers who put on each request who they are ([`Known`]); it knows nobody else.
    pub fn into_server(self) -> AdminServiceServer<Self> {
        AdminServiceServer::new(self)
            .max_decoding_message_size(crate::transport::MAX_MESSAGE)
            .max_encoding_message_size(crate::transport::MAX_MESSAGE)
    }

    /// The use cases for a caller who asks this.
    fn admin(&self, caller: Caller, asked: &impl Asks) -> AdminResult<Admin> {
        convert::check_request_id(asked.request_id())?;
        let request_id = asked.request_id().to_owned();
        // Only where it counts: the same id must mean the same request.
        let request_hash = if request_id.is_empty() { [0; 32] } else { Sha256::digest(asked.encode_to_vec()).into() };
        let backend = self.desk.office.backend();
        let backend = backend.ok_or_else(|| AdminError::Unavailable("the store is not open".to_owned()))?;
        Ok(backend.admin(Caller { request_id, request_hash, ..caller }))
    }

    /// One question, one answer.
    async fn unary<Q: Asks, A: Send + 'static>(
        &self,
        method: &'static str,
        request: Request<Q>,
        run: fn(&Desk, &Admin, Q) -> AdminResult<A>,
    ) -> Result<Response<A>, Status> {
        let caller = identify::known(&request)?;
        let answer = self.ask(method, caller, request.into_inner(), None, run).await;
        answer.map(Response::new).map_err(|failed| status::of(failed.as_ref()))
    }

    /// What a caller asks who is known: urgently, where it is said what may be taken back.
    async fn ask<Q: Asks, A: Send + 'static>(
        &self,
        method: &'static str,
        caller: Caller,
        asked: Q,
        about: Option<urgent::About<Q>>,
        run: fn(&Desk, &Admin, Q) -> AdminResult<A>,
    ) -> Result<A, Failed> {
        if let Some(about) = about {
            let actor = caller.actor;
            let answer = self.get_through(caller, asked, about, run).await;
            return self.noted(method, actor, Ok(answer));
        }
        let turn = tokio::time::timeout(TURN_LIMIT, self.desk.turn(&caller, &asked)).await;
        let turn = match turn.unwrap_or(Err(AdminError::Busy("too many calls wait: try again"))) {
            Ok(turn) => turn,
            Err(error) => return self.noted(method, caller.actor, Ok(Err(error))),
        };
        let this = self.clone();
        let work = move || {
            let _turn = turn;
            let actor = caller.actor;
            let work = || this.admin(caller, &asked).and_then(|admin| run(&this.desk, &admin, asked));
            this.noted(method, actor, catch_unwind(AssertUnwindSafe(work)))
        };
        tokio::task::spawn_blocking(work).await.unwrap_or(Err(None))
    }

    /// Counts and logs how a call ended.
    fn told<A>(&self, method: &'static str, actor: Actor, ended: Ended<A>) -> Result<A, Status> {
        self.noted(method, actor, ended).map_err(|failed| status::of(failed.as_ref()))
    }

    fn noted<A>(&self, method: &'static str, actor: Actor, ended: Ended<A>) -> Result<A, Failed> {
        let metrics = self.desk.office.gate().metrics();
        match ended {
            Ok(Ok(answer)) => {
                metrics.admin_call(method, "ok");
                tracing::debug!(method, actor = actor.to_text(), outcome = "ok", "admin call");
                Ok(answer)
            }
            Ok(Err(error)) => {
                let outcome = status::label(&error);
                metrics.admin_call(method, outcome);
                tracing::info!(method, actor = actor.to_text(), outcome, "admin call");
                Err(Some(error))
            }
            Err(_) => {
                metrics.panics.inc();
                metrics.admin_call(method, "internal");
                tracing::error!(method, actor = actor.to_text(), "an admin call panicked; it changed nothing more");
                Err(None)
            }
        }
    }
}

fn health(desk: &Desk, admin: &Admin, _: pb::GetHealthRequest) -> AdminResult<pb::Health> {
    admin.may_read()?;
    let health = desk.office.health();
    let problem =
        |problem: crate::authenticate::Problem| pb::Problem { code: problem.code.to_owned(), text: problem.text };
    Ok(pb::Health {
        status: health.status.to_owned(),
        problems: health.problems.into_iter().map(problem).collect(),
        uptime_seconds: desk.office.uptime().as_secs(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        cached_credentials: health.cached_credentials as u64,
        feed_check_age_ms: health.feed_check_age_ms,
    })
}

fn caller(_: &Desk, admin: &Admin, _: pb::GetCallerRequest) -> AdminResult<pb::Caller> {
    let caller = admin.caller();
    let tenants = match &caller.scope {
        crate::admin::Scope::All => Vec::new(),
        crate::admin::Scope::Tenants(ids) => ids.iter().map(|id| admin.slug_of(*id)).collect::<AdminResult<_>>()?,
    };
    Ok(pb::Caller { actor: caller.actor.to_text(), role: convert::role_of(caller.role).into(), tenants })
}

/// The whole implementation: each unary method passes on to its function, and the rest is [`streams`].
macro_rules! service {
    (
        plain { $($name:ident: $request:ident => $response:ident = $run:path;)+ }
        taking_back { $($taking:ident: $asked:ident => $answer:ident = $about:path, $undo:path;)+ }
    ) => {
        /// The names of all methods.
        const METHODS: &[&str] = &[
            "import_credentials",
            "export_credentials",
            "stream_audit_events",
            "export_audit_trail",
            "run_checklist",
            $(stringify!($name),)+
            $(stringify!($taking),)+
        ];

        #[tonic::async_trait]
        impl pb::admin_service_server::AdminService for AdminRpc {
            type ImportCredentialsStream = Stream<pb::ImportCredentialsResponse>;
            type ExportCredentialsStream = Stream<pb::ExportCredentialsResponse>;
            type StreamAuditEventsStream = Stream<pb::AuditEvent>;
            type ExportAuditTrailStream = Stream<pb::ExportAuditTrailResponse>;
            type RunChecklistStream = Stream<pb::RunChecklistResponse>;

            async fn import_credentials(
                &self,
                request: Request<Streaming<pb::ImportCredentialsRequest>>,
            ) -> Result<Response<Self::ImportCredentialsStream>, Status> {
                self.importing(request).await
            }
            async fn export_credentials(
                &self,
                request: Request<pb::ExportCredentialsRequest>,
            ) -> Result<Response<Self::ExportCredentialsStream>, Status> {
                self.exporting(request)
            }
            async fn stream_audit_events(
                &self,
                request: Request<pb::StreamAuditEventsRequest>,
            ) -> Result<Response<Self::StreamAuditEventsStream>, Status> {
                self.following(request).await
            }
            async fn export_audit_trail(
                &self,
                request: Request<pb::ExportAuditTrailRequest>,
            ) -> Result<Response<Self::ExportAuditTrailStream>, Status> {
                self.exporting_trail(request)
            }
            async fn run_checklist(
                &self,
                request: Request<pb::RunChecklistRequest>,
            ) -> Result<Response<Self::RunChecklistStream>, Status> {
                self.checking(request)
            }
            $(async fn $name(&self, request: Request<pb::$request>) -> Result<Response<pb::$response>, Status> {
                self.unary(stringify!($name), request, $run).await
            })+
            $(async fn $taking(&self, request: Request<pb::$asked>) -> Result<Response<pb::$answer>, Status> {
                self.urgently(stringify!($taking), request, $about, $undo).await
            })+
        }
    };
}

service! {
    plain {
    get_health: GetHealthRequest => Health = health;
    get_caller: GetCallerRequest => Caller = caller;
    create_tenant: CreateTenantRequest => CreateTenantResponse = tenants::create;
    get_tenant: GetTenantRequest => Tenant = tenants::get;
    list_tenants: ListTenantsRequest => ListTenantsResponse = tenants::list;
    update_tenant: UpdateTenantRequest => Tenant = tenants::update;
    create_app: CreateAppRequest => CreateAppResponse = apps::create;
    get_app: GetAppRequest => App = apps::get;
    list_apps: ListAppsRequest => ListAppsResponse = apps::list;
    list_unclaimed_apps: ListUnclaimedAppsRequest => ListUnclaimedAppsResponse = apps::unclaimed;
    create_user: CreateUserRequest => CreateUserResponse = users::create;
    get_user: GetUserRequest => User = users::get;
    list_users: ListUsersRequest => ListUsersResponse = users::list;
    create_link: CreateLinkRequest => CreateLinkResponse = links::create;
    get_link: GetLinkRequest => Link = links::get;
    list_links: ListLinksRequest => ListLinksResponse = links::list;
    create_issuer: CreateIssuerRequest => CreateIssuerResponse = issuers::create;
    get_issuer: GetIssuerRequest => Issuer = issuers::get;
    list_issuers: ListIssuersRequest => ListIssuersResponse = issuers::list;
    check_issuer: CheckIssuerRequest => CheckIssuerResponse = issuers::check;
    issue_credential: IssueCredentialRequest => IssueCredentialResponse = credentials::issue;
    get_credential: GetCredentialRequest => Credential = credentials::get;
    list_credentials: ListCredentialsRequest => ListCredentialsResponse = credentials::list;
    update_credential: UpdateCredentialRequest => Credential = credentials::update;
    rotate_credential: RotateCredentialRequest => RotateCredentialResponse = credentials::rotate;
    explain_credential: ExplainCredentialRequest => ExplainCredentialResponse = explain::explain;
    test_credential: TestCredentialRequest => TestCredentialResponse = explain::test;
    issue_token: IssueTokenRequest => IssueTokenResponse = tokens::issue;
    list_tokens: ListTokensRequest => ListTokensResponse = tokens::list;
    inspect_token: InspectTokenRequest => InspectTokenResponse = tokens::inspect;
    list_signing_keys: ListSigningKeysRequest => ListSigningKeysResponse = tokens::keys;
    rotate_signing_key: RotateSigningKeyRequest => RotateSigningKeyResponse = tokens::rotate_key;
    create_operator: CreateOperatorRequest => CreateOperatorResponse = operators::create;
    get_operator: GetOperatorRequest => Operator = operators::get;
    list_operators: ListOperatorsRequest => ListOperatorsResponse = operators::list;
    list_audit_events: ListAuditEventsRequest => ListAuditEventsResponse = audit::list;
    verify_audit_trail: VerifyAuditTrailRequest => VerifyAuditTrailResponse = audit::verify;
    create_audit_checkpoint: CreateAuditCheckpointRequest => AuditCheckpoint = audit::checkpoint;
    get_audit_public_key: GetAuditPublicKeyRequest => AuditPublicKey = audit::key;
    rotate_audit_key: RotateAuditKeyRequest => RotateAuditKeyResponse = audit::rotate_key;
    prune_audit_trail: PruneAuditTrailRequest => PruneAuditTrailResponse = audit::prune;
    list_decisions: ListDecisionsRequest => ListDecisionsResponse = audit::decisions;
    }
    taking_back {
    suspend_tenant: SuspendTenantRequest => Tenant = tenants::suspends, tenants::suspend;
    resume_tenant: ResumeTenantRequest => Tenant = tenants::resumes, tenants::resume;
    update_app: UpdateAppRequest => App = apps::switches, apps::update;
    delete_app: DeleteAppRequest => DeleteAppResponse = apps::deletes, apps::delete;
    update_user: UpdateUserRequest => User = users::switches, users::update;
    delete_user: DeleteUserRequest => DeleteUserResponse = users::deletes, users::delete;
    delete_link: DeleteLinkRequest => DeleteLinkResponse = links::deletes, links::delete;
    update_issuer: UpdateIssuerRequest => Issuer = issuers::switches, issuers::update;
    delete_issuer: DeleteIssuerRequest => DeleteIssuerResponse = issuers::deletes, issuers::delete;
    revoke_credential: RevokeCredentialRequest => RevokeCredentialResponse = credentials::revokes, credentials::revoke;
    revoke_token: RevokeTokenRequest => RevokeTokenResponse = tokens::revokes, tokens::revoke;
    revoke_credential_tokens: RevokeCredentialTokensRequest => RevokeCredentialTokensResponse =
        tokens::revokes_all, tokens::revoke_all;
    revoke_operator: RevokeOperatorRequest => RevokeOperatorResponse = operators::revokes, operators::revoke;
    }
}
