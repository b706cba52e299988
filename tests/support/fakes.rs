//! The Service API of either host, behind the broker, as a test wants it, and a record of what the plugin asked of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use latchkey::pb::full::{ai_studio_management as studio, microgateway_management as mgw, plugin_events as events};
use mgw::microgateway_management_service_server::{MicrogatewayManagementService, MicrogatewayManagementServiceServer};
use studio::ai_studio_management_service_server::{AiStudioManagementService, AiStudioManagementServiceServer};
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status};

use super::events_fake::Bus;
use super::host::Kind;
use super::store::{APP, APP_WITHOUT_LIST, LLM, OTHER_APP, OTHER_USER, USER};

/// An App of the host.
#[derive(Clone, PartialEq, Debug)]
pub struct FakeApp {
    pub name: String,
    pub active: bool,
    pub namespace: String,
    pub owner: u32,
    pub llms: Vec<u32>,
    pub tools: Vec<u32>,
    pub datasources: Vec<u32>,
    pub metadata: String,
}

impl FakeApp {
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            active: true,
            namespace: String::new(),
            owner: USER,
            llms: vec![LLM, 4],
            tools: Vec::new(),
            datasources: Vec::new(),
            metadata: "{}".to_owned(),
        }
    }
}

/// How the host is.
#[derive(Default)]
struct State {
    calls: HashMap<&'static str, usize>,
    apps: BTreeMap<u32, FakeApp>,
    /// Answers come this much later.
    delay: Duration,
    /// Every call fails with this.
    fails: Option<(Code, &'static str)>,
}

/// One host's Service API.
#[derive(Clone)]
pub struct Fakes {
    kind: Kind,
    plugin_id: u32,
    state: Arc<Mutex<State>>,
    pub bus: Bus,
}

impl Fakes {
    pub fn new(kind: Kind, plugin_id: u32) -> Self {
        let app = |name: &str, owner, llms: &[u32]| FakeApp { owner, llms: llms.to_vec(), ..FakeApp::new(name) };
        let apps = [
            (APP, app("Shop", USER, &[LLM, 4])),
            (OTHER_APP, app("Back office", OTHER_USER, &[LLM])),
            (APP_WITHOUT_LIST, app("New", 0, &[])),
            (20, app("Plant", 21, &[LLM])),
        ];
        let state = State { apps: apps.into(), ..State::default() };
        Self { kind, plugin_id, state: Arc::new(Mutex::new(state)), bus: Bus::default() }
    }

    pub fn routes(&self) -> Routes {
        match self.kind {
            Kind::Microgateway => Routes::new(MicrogatewayManagementServiceServer::new(self.clone())),
            Kind::Studio => Routes::new(AiStudioManagementServiceServer::new(self.clone()))
                .add_service(events::plugin_event_service_server::PluginEventServiceServer::new(self.bus.clone())),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// How often each method was called.
    pub fn calls(&self) -> HashMap<&'static str, usize> {
        self.state().calls.clone()
    }

    pub fn called(&self, method: &str) -> usize {
        self.state().calls.get(method).copied().unwrap_or(0)
    }

    /// Adds or replaces an App.
    pub fn set(&self, id: u32, app: FakeApp) {
        self.state().apps.insert(id, app);
    }

    pub fn change(&self, id: u32, change: impl FnOnce(&mut FakeApp)) {
        change(self.state().apps.get_mut(&id).expect("an App of the host"));
    }

    pub fn remove(&self, id: u32) {
        self.state().apps.remove(&id).expect("an App of the host");
    }

    pub fn delay(&self, delay: Duration) {
        self.state().delay = delay;
    }

    /// Every call fails from now on.
    pub fn fail(&self, code: Code, text: &'static str) {
        self.state().fails = Some((code, text));
    }

    pub fn mend(&self) {
        self.state().fails = None;
    }

    async fn asked(&self, method: &'static str, plugin_id: Option<u32>) -> Result<(), Status> {
        let (delay, fails) = {
            let mut state = self.state();
            *state.calls.entry(method).or_default() += 1;
            (state.delay, state.fails)
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        match (fails, plugin_id) {
            (Some((code, text)), _) => Err(Status::new(code, text)),
            (None, None) => Err(Status::invalid_argument("plugin context is required")),
            (None, Some(id)) if id != self.plugin_id => Err(Status::unauthenticated("unknown plugin")),
            (None, Some(_)) => Ok(()),
        }
    }

    fn app(&self, id: u32) -> Option<FakeApp> {
        self.state().apps.get(&id).cloned()
    }

    /// A page, the newest first.
    fn page(&self, page: i32, limit: usize) -> (Vec<(u32, FakeApp)>, i64) {
        let state = self.state();
        let skip = usize::try_from(page.max(1) - 1).unwrap() * limit;
        let apps = state.apps.iter().rev().skip(skip).take(limit).map(|(id, app)| (*id, app.clone()));
        (apps.collect(), i64::try_from(state.apps.len()).unwrap())
    }
}

fn stamp(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

fn gateway_app(id: u32, app: FakeApp) -> mgw::AppInfo {
    mgw::AppInfo {
        id,
        name: app.name,
        description: "as the gateway has it".to_owned(),
        owner_email: "ops@acme.example".to_owned(),
        is_active: app.active,
        monthly_budget: 12.5,
        budget_reset_day: 1,
        rate_limit_rpm: 60,
        allowed_ips: vec!["10.0.0.0/8".to_owned()],
        created_at: stamp(1_700_000_000),
        updated_at: stamp(1_700_000_001),
        metadata: app.metadata,
    }
}

fn studio_app(id: u32, app: FakeApp) -> studio::AppInfo {
    studio::AppInfo {
        id,
        name: app.name,
        description: "as Studio has it".to_owned(),
        is_active: app.active,
        namespace: app.namespace,
        monthly_budget: Some(12.5),
        llm_ids: app.llms,
        created_at: stamp(1_700_000_000),
        updated_at: stamp(1_700_000_001),
        // Always empty in lists, and mostly elsewhere (host contract 4.5).
        owner_email: String::new(),
        metadata: app.metadata,
        tool_ids: app.tools,
        datasource_ids: app.datasources,
        user_id: app.owner,
    }
}

fn plugin(context: Option<&mgw::PluginContext>) -> Option<u32> {
    context.map(|context| context.plugin_id)
}

#[tonic::async_trait]
impl MicrogatewayManagementService for Fakes {
    async fn get_app(&self, request: Request<mgw::GetAppRequest>) -> Result<Response<mgw::GetAppResponse>, Status> {
        let request = request.into_inner();
        self.asked("GetApp", plugin(request.context.as_ref())).await?;
        let id = request.app_id;
        // The edge says Internal, not NotFound.
        let app = self.app(id).ok_or_else(|| Status::internal(format!("failed to get app: app not found: {id}")))?;
        Ok(Response::new(mgw::GetAppResponse { app: Some(gateway_app(id, app)) }))
    }

    async fn list_apps(
        &self,
        request: Request<mgw::ListAppsRequest>,
    ) -> Result<Response<mgw::ListAppsResponse>, Status> {
        let request = request.into_inner();
        self.asked("ListApps", plugin(request.context.as_ref())).await?;
        let limit = usize::try_from(request.limit).ok().filter(|limit| *limit > 0).unwrap_or(10);
        let (apps, total_count) = self.page(request.page, limit);
        let apps = apps.into_iter().map(|(id, app)| gateway_app(id, app)).collect();
        Ok(Response::new(mgw::ListAppsResponse { total_count, apps }))
    }

    async fn get_llm(&self, request: Request<mgw::GetLlmRequest>) -> Result<Response<mgw::GetLlmResponse>, Status> {
        let request = request.into_inner();
        self.asked("GetLLM", plugin(request.context.as_ref())).await?;
        let slug = super::slug(request.llm_id);
        let llm = mgw::LlmInfo { id: request.llm_id, slug, is_active: true, ..mgw::LlmInfo::default() };
        Ok(Response::new(mgw::GetLlmResponse { llm: Some(llm) }))
    }

    async fn list_ll_ms(
        &self,
        request: Request<mgw::ListLlMsRequest>,
    ) -> Result<Response<mgw::ListLlMsResponse>, Status> {
        self.asked("ListLLMs", plugin(request.into_inner().context.as_ref())).await?;
        Ok(Response::new(mgw::ListLlMsResponse::default()))
    }

    async fn get_license_info(
        &self,
        request: Request<mgw::GetLicenseInfoRequest>,
    ) -> Result<Response<mgw::GetLicenseInfoResponse>, Status> {
        self.asked("GetLicenseInfo", plugin(request.into_inner().context.as_ref())).await?;
        Ok(Response::new(mgw::GetLicenseInfoResponse { license_valid: true, ..mgw::GetLicenseInfoResponse::default() }))
    }
}

fn studio_plugin(context: Option<&studio::PluginContext>) -> Option<u32> {
    context.map(|context| context.plugin_id)
}

#[tonic::async_trait]
impl AiStudioManagementService for Fakes {
    async fn get_app(
        &self,
        request: Request<studio::GetAppRequest>,
    ) -> Result<Response<studio::GetAppResponse>, Status> {
        let request = request.into_inner();
        self.asked("GetApp", studio_plugin(request.context.as_ref())).await?;
        let id = request.app_id;
        let app = self.app(id).ok_or_else(|| Status::not_found("app not found"))?;
        Ok(Response::new(studio::GetAppResponse { app: Some(studio_app(id, app)) }))
    }

    async fn list_apps(
        &self,
        request: Request<studio::ListAppsRequest>,
    ) -> Result<Response<studio::ListAppsResponse>, Status> {
        let request = request.into_inner();
        self.asked("ListApps", studio_plugin(request.context.as_ref())).await?;
        // Any other limit becomes 20.
        let limit = usize::try_from(request.limit).ok().filter(|limit| (1..=100).contains(limit)).unwrap_or(20);
        let (apps, total_count) = self.page(request.page, limit);
        let apps = apps.into_iter().map(|(id, app)| studio_app(id, app)).collect();
        Ok(Response::new(studio::ListAppsResponse { total_count, apps }))
    }

    async fn get_llm(
        &self,
        request: Request<studio::GetLlmRequest>,
    ) -> Result<Response<studio::GetLlmResponse>, Status> {
        let request = request.into_inner();
        self.asked("GetLLM", studio_plugin(request.context.as_ref())).await?;
        let llm = studio::LlmInfo { id: request.llm_id, active: true, ..studio::LlmInfo::default() };
        Ok(Response::new(studio::GetLlmResponse { llm: Some(llm) }))
    }

    async fn list_ll_ms(
        &self,
        request: Request<studio::ListLlMsRequest>,
    ) -> Result<Response<studio::ListLlMsResponse>, Status> {
        self.asked("ListLLMs", studio_plugin(request.into_inner().context.as_ref())).await?;
        Ok(Response::new(studio::ListLlMsResponse::default()))
    }
}
