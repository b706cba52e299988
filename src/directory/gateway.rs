//! The microgateway's Service API (host contract 4.3, 4.4).
//!
//! It knows whether an App is active and nothing of what it may use. An unknown App is `Internal`, told apart by its text
//! alone.

use tonic::Code;

use crate::directory::facts::{self, HostApp};
use crate::directory::service::{HostError, HostFuture, HostService, Line, MAX_MESSAGE};
use crate::domain::AppId;
use crate::pb::full::microgateway_management as pb;
use crate::pb::full::microgateway_management::microgateway_management_service_client::MicrogatewayManagementServiceClient as Client;

const SCOPE: &str = "apps.read";
/// What the text of an unknown App holds.
const NOT_FOUND: &str = "app not found";

/// The gateway that started this process.
pub struct Gateway {
    line: Line,
    plugin_id: u32,
}

impl Gateway {
    pub(super) fn new(line: Line, plugin_id: u32) -> Self {
        Self { line, plugin_id }
    }

    #[expect(clippy::unnecessary_wraps, reason = "as the message has it")]
    fn context(&self) -> Option<pb::PluginContext> {
        Some(pb::PluginContext { plugin_id: self.plugin_id, method_scope: SCOPE.to_owned() })
    }

    async fn client(&self) -> Result<Client<tonic::transport::Channel>, HostError> {
        Ok(Client::new(self.line.channel().await?).max_decoding_message_size(MAX_MESSAGE))
    }

    async fn get(&self, id: AppId) -> Result<Option<HostApp>, HostError> {
        let request = pb::GetAppRequest { context: self.context(), app_id: id.get() };
        let answer = match self.client().await?.get_app(request).await {
            Ok(answer) => answer.into_inner(),
            Err(status) if status.code() == Code::NotFound => return Ok(None),
            Err(status) if status.code() == Code::Internal && status.message().contains(NOT_FOUND) => return Ok(None),
            Err(status) => return Err(HostError::of(&status, SCOPE)),
        };
        let app = answer.app.and_then(app).ok_or(HostError::Nonsense { what: "no App" })?;
        if app.id == id { Ok(Some(app)) } else { Err(HostError::Nonsense { what: "another App" }) }
    }
}

impl HostService for Gateway {
    fn app(&self, id: AppId) -> HostFuture<'_, Option<HostApp>> {
        Box::pin(self.get(id))
    }
}

/// None of what makes no sense.
fn app(info: pb::AppInfo) -> Option<HostApp> {
    let mut metadata = facts::metadata(&info.metadata);
    let allowed = info.allowed_ips.join(",");
    let day = Some(info.budget_reset_day).filter(|day| *day != 0).map_or_else(String::new, |day| day.to_string());
    for (name, value) in [
        ("allowed_ips", allowed),
        ("budget_reset_day", day),
        ("created_at", facts::time(info.created_at)),
        ("updated_at", facts::time(info.updated_at)),
    ] {
        facts::further(&mut metadata, name, value);
    }
    let monthly_budget = Some(info.monthly_budget).filter(|budget| budget.is_finite())?;
    Some(HostApp {
        id: AppId::new(info.id)?,
        name: info.name,
        description: info.description,
        active: info.is_active,
        decides: false,
        owner_email: Some(info.owner_email),
        owner: None,
        monthly_budget,
        rate_limit: Some(info.rate_limit_rpm),
        llms: None,
        tools: None,
        datasources: None,
        namespace: None,
        metadata,
    })
}
