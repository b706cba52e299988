//! `plugin.PluginService`, as the hosts' contract has it: one file for each thing it does.
//!
//! [`intake`] stands before it and keeps bodies out; [`auth`] and [`pre_auth`] answer gateways, [`client_address`] says whose request it is; [`lifecycle`],
//! [`service_api`], [`session`], [`hooks`], [`call`] and [`endpoints`] answer the host itself; [`unsupported`] answers for every hook that we do not serve. The
//! trait implementation below only passes on.

pub mod assets;
pub mod auth;
pub mod call;
pub mod client_address;
pub mod config_provider;
pub mod endpoints;
pub mod hooks;
pub mod intake;
pub mod lifecycle;
pub mod manifest;
pub mod pre_auth;
pub mod schema;
pub mod service_api;
pub mod session;
pub mod unsupported;

use std::pin::Pin;
use std::sync::Arc;

use futures::FutureExt as _;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use crate::domain::Reason;
use crate::pb::slim::plugin as pb;
use crate::transport::Deps;
use crate::transport::go_plugin::broker::Brokers;
use crate::transport::go_plugin::services::peer;
use crate::transport::go_plugin::{PeerInfo, Surface};

/// The service.
pub struct PluginService {
    deps: Deps,
    brokers: Arc<Brokers>,
    schema: String,
    sessions: session::Sessions,
}

impl PluginService {
    /// Answers from these; hosts are reached over `brokers`, and `schema` is the JSON schema of what one may configure.
    pub fn new(deps: Deps, brokers: Arc<Brokers>, schema: String) -> Self {
        Self { deps, brokers, schema, sessions: session::Sessions::default() }
    }

    /// Runs an answer so that a panic costs this request and nothing else (decision 16).
    async fn caught<T>(&self, answer: impl Future<Output = T>, on_panic: impl FnOnce() -> T) -> T {
        if let Ok(answer) = std::panic::AssertUnwindSafe(answer).catch_unwind().await {
            return answer;
        }
        self.deps.gate.metrics().panics.inc();
        self.deps.gate.refused_unread(Reason::Panicked);
        on_panic()
    }
}

/// Whether the peer is the host that started us: its process by the socket, or its certificate (rule R1).
pub fn is_host(peer: Option<PeerInfo>) -> bool {
    peer.is_some_and(|peer| peer.surface == Surface::Managed && (peer.is_parent || peer.mutual_tls))
}

type Answer<T> = Result<Response<T>, Status>;

#[expect(clippy::unnecessary_wraps, reason = "every method answers with a Result")]
fn ok<T>(answer: T) -> Answer<T> {
    Ok(Response::new(answer))
}

#[tonic::async_trait]
impl pb::plugin_service_server::PluginService for PluginService {
    type HandleAgentMessageStream = Pin<Box<dyn Stream<Item = Result<pb::AgentMessageChunk, Status>> + Send>>;
    type HandleEndpointRequestStreamStream =
        Pin<Box<dyn Stream<Item = Result<pb::EndpointResponseChunk, Status>> + Send>>;

    async fn initialize(&self, request: Request<pb::InitRequest>) -> Answer<pb::InitResponse> {
        let peer = peer(&request);
        ok(self.caught(async { self.on_initialize(peer, request.into_inner()) }, lifecycle::initialised).await)
    }
    async fn ping(&self, request: Request<pb::PingRequest>) -> Answer<pb::PingResponse> {
        // Trivial on purpose: an unhealthy answer makes the gateway fall back to its own secrets (hazard H4).
        ok(pb::PingResponse { timestamp: request.into_inner().timestamp, healthy: true })
    }
    async fn shutdown(&self, request: Request<pb::ShutdownRequest>) -> Answer<pb::ShutdownResponse> {
        self.on_shutdown(peer(&request));
        ok(pb::ShutdownResponse { success: true })
    }
    async fn open_session(&self, request: Request<pb::OpenSessionRequest>) -> Answer<pb::OpenSessionResponse> {
        let (peer, request) = (peer(&request), request.into_inner());
        self.on_session(peer, &request);
        ok(self.sessions.open(peer, request).await)
    }
    async fn close_session(&self, request: Request<pb::CloseSessionRequest>) -> Answer<pb::CloseSessionResponse> {
        self.sessions.close(peer(&request));
        ok(pb::CloseSessionResponse { success: true, error_message: String::new() })
    }
    async fn process_pre_auth(&self, request: Request<pb::PluginRequest>) -> Answer<pb::PluginResponse> {
        ok(self.caught(self.pre_auth(request), pb::PluginResponse::default).await)
    }
    async fn authenticate(&self, request: Request<pb::AuthRequest>) -> Answer<pb::AuthResponse> {
        ok(self.caught(self.auth(request), || auth::denied(Reason::Panicked.into())).await)
    }
    async fn get_app_by_credential(&self, request: Request<pb::GetAppRequest>) -> Answer<pb::GetAppResponse> {
        ok(self.caught(self.app(request), || auth::no_app(Reason::Panicked.into())).await)
    }
    async fn get_user_by_credential(&self, request: Request<pb::GetUserRequest>) -> Answer<pb::GetUserResponse> {
        ok(self.caught(self.user(request), || auth::no_user(Reason::Panicked.into())).await)
    }
    async fn process_post_auth(&self, _: Request<pb::EnrichedRequest>) -> Answer<pb::PluginResponse> {
        ok(pb::PluginResponse::default())
    }
    async fn on_before_write_headers(&self, _: Request<pb::HeadersRequest>) -> Answer<pb::HeadersResponse> {
        ok(pb::HeadersResponse::default())
    }
    async fn on_before_write(&self, _: Request<pb::ResponseWriteRequest>) -> Answer<pb::ResponseWriteResponse> {
        ok(pb::ResponseWriteResponse::default())
    }
    async fn on_stream_complete(&self, _: Request<pb::StreamCompleteRequest>) -> Answer<pb::StreamCompleteResponse> {
        ok(pb::StreamCompleteResponse::default())
    }
    async fn handle_proxy_log(&self, _: Request<pb::ProxyLogRequest>) -> Answer<pb::DataCollectionResponse> {
        ok(unsupported::not_collected())
    }
    async fn handle_analytics(&self, _: Request<pb::AnalyticsRequest>) -> Answer<pb::DataCollectionResponse> {
        ok(unsupported::not_collected())
    }
    async fn handle_budget_usage(&self, _: Request<pb::BudgetUsageRequest>) -> Answer<pb::DataCollectionResponse> {
        ok(unsupported::not_collected())
    }
    async fn get_asset(&self, request: Request<pb::GetAssetRequest>) -> Answer<pb::GetAssetResponse> {
        ok(assets::get(&request.into_inner().asset_path))
    }
    async fn list_assets(&self, request: Request<pb::ListAssetsRequest>) -> Answer<pb::ListAssetsResponse> {
        ok(assets::list(&request.into_inner().path_prefix))
    }
    async fn get_manifest(&self, _: Request<pb::GetManifestRequest>) -> Answer<pb::GetManifestResponse> {
        ok(pb::GetManifestResponse { success: true, manifest_json: manifest::json(), error_message: String::new() })
    }
    async fn call(&self, request: Request<pb::CallRequest>) -> Answer<pb::CallResponse> {
        let peer = peer(&request);
        ok(self.caught(self.on_call(peer, request.into_inner()), || call::refused("internal error")).await)
    }
    async fn portal_call(&self, request: Request<pb::PortalCallRequest>) -> Answer<pb::PortalCallResponse> {
        let peer = peer(&request);
        ok(self
            .caught(self.on_portal_call(peer, request.into_inner()), || call::portal_refused("internal error"))
            .await)
    }
    async fn get_config_schema(&self, _: Request<pb::GetConfigSchemaRequest>) -> Answer<pb::GetConfigSchemaResponse> {
        ok(pb::GetConfigSchemaResponse {
            success: true,
            schema_json: self.schema.clone(),
            error_message: String::new(),
        })
    }
    async fn handle_agent_message(
        &self,
        _: Request<pb::AgentMessageRequest>,
    ) -> Answer<Self::HandleAgentMessageStream> {
        Err(unsupported::no_agent())
    }
    async fn get_object_hook_registrations(
        &self,
        request: Request<pb::GetObjectHookRegistrationsRequest>,
    ) -> Answer<pb::GetObjectHookRegistrationsResponse> {
        ok(self.hooks(peer(&request)))
    }
    async fn handle_object_hook(&self, request: Request<pb::ObjectHookRequest>) -> Answer<pb::ObjectHookResponse> {
        let peer = peer(&request);
        ok(self.caught(self.on_hook(peer, request.into_inner()), unsupported::object_allowed).await)
    }
    async fn execute_scheduled_task(
        &self,
        _: Request<pb::ExecuteScheduledTaskRequest>,
    ) -> Answer<pb::ExecuteScheduledTaskResponse> {
        Err(unsupported::no_scheduler())
    }
    async fn accept_edge_payload(&self, _: Request<pb::EdgePayloadRequest>) -> Answer<pb::EdgePayloadResponse> {
        ok(unsupported::no_edge_payload())
    }
    async fn get_endpoint_registrations(
        &self,
        request: Request<pb::GetEndpointRegistrationsRequest>,
    ) -> Answer<pb::GetEndpointRegistrationsResponse> {
        ok(self.endpoint_registrations(peer(&request)))
    }
    async fn handle_endpoint_request(&self, request: Request<pb::EndpointRequest>) -> Answer<pb::EndpointResponse> {
        let answer = self.caught(self.on_endpoint(request), || Some(endpoints::failed())).await;
        ok(answer.unwrap_or_else(endpoints::not_here))
    }
    async fn handle_endpoint_request_stream(
        &self,
        request: Request<pb::EndpointRequest>,
    ) -> Answer<Self::HandleEndpointRequestStreamStream> {
        let answer = self.caught(self.on_endpoint(request), || Some(endpoints::failed())).await;
        let answer = answer.ok_or_else(unsupported::no_endpoint_stream)?;
        ok(Box::pin(tokio_stream::iter(endpoints::in_pieces(answer).map(Ok))))
    }
    async fn get_resource_type_registrations(
        &self,
        _: Request<pb::GetResourceTypeRegistrationsRequest>,
    ) -> Answer<pb::GetResourceTypeRegistrationsResponse> {
        ok(pb::GetResourceTypeRegistrationsResponse::default())
    }
    async fn list_resource_instances(
        &self,
        _: Request<pb::ListResourceInstancesRequest>,
    ) -> Answer<pb::ListResourceInstancesResponse> {
        ok(unsupported::no_instances())
    }
    async fn get_resource_instance(
        &self,
        _: Request<pb::GetResourceInstanceRequest>,
    ) -> Answer<pb::GetResourceInstanceResponse> {
        ok(unsupported::no_instance())
    }
    async fn validate_resource_selection(
        &self,
        _: Request<pb::ValidateResourceSelectionRequest>,
    ) -> Answer<pb::ValidateResourceSelectionResponse> {
        ok(unsupported::selection_valid())
    }
    async fn create_resource_instance(
        &self,
        _: Request<pb::CreateResourceInstanceRequest>,
    ) -> Answer<pb::CreateResourceInstanceResponse> {
        ok(unsupported::no_created_instance())
    }
}

#[cfg(test)]
#[path = "panic_tests.rs"]
mod tests;
