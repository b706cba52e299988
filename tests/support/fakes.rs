//! A small service API of the gateway, behind the broker, and a record of what the plugin asked of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use latchkey::pb::full::microgateway_management as mgw;
use mgw::microgateway_management_service_server::{MicrogatewayManagementService, MicrogatewayManagementServiceServer};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use super::store::{APP, OTHER_APP};

/// What was asked, by method.
#[derive(Clone, Default)]
pub struct Fakes {
    calls: Arc<Mutex<HashMap<&'static str, usize>>>,
    plugin_id: u32,
}

impl Fakes {
    pub fn new(plugin_id: u32) -> Self {
        Self { plugin_id, ..Self::default() }
    }

    pub fn routes(&self) -> Routes {
        Routes::new(MicrogatewayManagementServiceServer::new(self.clone()))
    }

    pub fn calls(&self) -> HashMap<&'static str, usize> {
        self.calls.lock().unwrap().clone()
    }

    fn asked(&self, method: &'static str, context: Option<&mgw::PluginContext>) -> Result<(), Status> {
        *self.calls.lock().unwrap().entry(method).or_default() += 1;
        match context {
            None => Err(Status::invalid_argument("plugin context is required")),
            Some(context) if context.plugin_id != self.plugin_id => Err(Status::unauthenticated("unknown plugin")),
            Some(_) => Ok(()),
        }
    }
}

fn app(id: u32, name: &str) -> mgw::AppInfo {
    mgw::AppInfo {
        id,
        name: name.to_owned(),
        owner_email: "ops@acme.example".to_owned(),
        is_active: true,
        metadata: "{}".to_owned(),
        ..mgw::AppInfo::default()
    }
}

#[tonic::async_trait]
impl MicrogatewayManagementService for Fakes {
    async fn get_app(&self, request: Request<mgw::GetAppRequest>) -> Result<Response<mgw::GetAppResponse>, Status> {
        let request = request.into_inner();
        self.asked("GetApp", request.context.as_ref())?;
        let app = match request.app_id {
            APP => app(APP, "Shop"),
            OTHER_APP => app(OTHER_APP, "Back office"),
            // The edge says Internal, not NotFound.
            id => return Err(Status::internal(format!("failed to get app: app not found: {id}"))),
        };
        Ok(Response::new(mgw::GetAppResponse { app: Some(app) }))
    }

    async fn list_apps(
        &self,
        request: Request<mgw::ListAppsRequest>,
    ) -> Result<Response<mgw::ListAppsResponse>, Status> {
        self.asked("ListApps", request.into_inner().context.as_ref())?;
        let apps = vec![app(APP, "Shop"), app(OTHER_APP, "Back office")];
        Ok(Response::new(mgw::ListAppsResponse { total_count: 2, apps }))
    }

    async fn get_llm(&self, request: Request<mgw::GetLlmRequest>) -> Result<Response<mgw::GetLlmResponse>, Status> {
        let request = request.into_inner();
        self.asked("GetLLM", request.context.as_ref())?;
        let slug = super::slug(request.llm_id);
        let llm = mgw::LlmInfo { id: request.llm_id, slug, is_active: true, ..mgw::LlmInfo::default() };
        Ok(Response::new(mgw::GetLlmResponse { llm: Some(llm) }))
    }

    async fn list_ll_ms(
        &self,
        request: Request<mgw::ListLlMsRequest>,
    ) -> Result<Response<mgw::ListLlMsResponse>, Status> {
        self.asked("ListLLMs", request.into_inner().context.as_ref())?;
        Ok(Response::new(mgw::ListLlMsResponse::default()))
    }

    async fn get_license_info(
        &self,
        request: Request<mgw::GetLicenseInfoRequest>,
    ) -> Result<Response<mgw::GetLicenseInfoResponse>, Status> {
        self.asked("GetLicenseInfo", request.into_inner().context.as_ref())?;
        Ok(Response::new(mgw::GetLicenseInfoResponse { license_valid: true, ..mgw::GetLicenseInfoResponse::default() }))
    }
}
