//! Studio's Service API (host contract 4.2, 4.5): the only place that tells what an App may use.

use futures::TryStreamExt as _;
use tokio_stream::StreamExt as _;
use tonic::Code;

use crate::directory::facts::{self, HostApp};
use crate::directory::service::{AppEvents, HostError, HostFuture, HostPage, HostService, Line, MAX_MESSAGE, PAGE};
use crate::domain::{AppId, LlmId, UserId};
use crate::pb::full::ai_studio_management as pb;
use crate::pb::full::ai_studio_management::ai_studio_management_service_client::AiStudioManagementServiceClient as Client;
use crate::pb::full::plugin_events as events;
use crate::pb::full::plugin_events::plugin_event_service_client::PluginEventServiceClient as EventClient;

const SCOPE: &str = "apps.read";
/// What Studio tells of Apps (host contract 4.7).
const TOPICS: [&str; 4] = ["system.app.created", "system.app.updated", "system.app.deleted", "system.app.approved"];
/// Events that are larger are not read.
const MAX_EVENT: usize = 1 << 20;

/// The Studio that started this process.
pub struct Studio {
    line: Line,
    plugin_id: u32,
}

impl Studio {
    pub(super) fn new(line: Line, plugin_id: u32) -> Self {
        Self { line, plugin_id }
    }

    /// Studio stamps who we are itself; upstream may look at it one day.
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
            Err(status) => return Err(HostError::of(&status, SCOPE)),
        };
        let app = answer.app.and_then(app).ok_or(HostError::Nonsense { what: "no App" })?;
        if app.id == id { Ok(Some(app)) } else { Err(HostError::Nonsense { what: "another App" }) }
    }

    /// One stream for each topic: a wildcard there is not, and whoever takes all is sent every secret that passes. Studio's
    /// answer begins with its first event, so none is waited for before the others are asked for.
    fn subscribe(&self) -> AppEvents {
        let topics = TOPICS.map(|topic| {
            let (line, plugin_id) = (self.line.clone(), self.plugin_id.to_string());
            let subscribed = async move {
                let request = events::SubscribeRequest { topic: topic.to_owned(), subscribe_all: false, plugin_id };
                let answer = EventClient::new(line.channel().await?).subscribe(request).await;
                let stream = answer.map_err(|status| HostError::of(&status, "the event bus"))?.into_inner();
                let ids = stream.map_while(Result::ok).map(|event| Ok(app_of(&event.payload)));
                // What one topic misses nobody knows: all end with it.
                Ok::<_, HostError>(ids.chain(tokio_stream::once(Err(HostError::Unreachable))))
            };
            Box::pin(futures::stream::once(subscribed).try_flatten())
        });
        Box::pin(futures::stream::select_all(topics))
    }

    async fn list(&self, page: u32) -> Result<HostPage, HostError> {
        let (page, limit) = (i32::try_from(page).unwrap_or(i32::MAX), i32::try_from(PAGE).unwrap_or(i32::MAX));
        let request = pb::ListAppsRequest {
            context: self.context(),
            is_active: None,
            namespace: String::new(),
            page,
            limit,
            user_id: None,
        };
        let answer = self.client().await?.list_apps(request).await;
        let answer = answer.map_err(|status| HostError::of(&status, SCOPE))?.into_inner();
        let mut listed = HostPage::default();
        for info in answer.apps {
            let id = info.id;
            match app(info) {
                Some(app) => listed.apps.push(app),
                None => listed.odd.push(id),
            }
        }
        Ok(listed)
    }
}

impl HostService for Studio {
    fn app(&self, id: AppId) -> HostFuture<'_, Option<HostApp>> {
        Box::pin(self.get(id))
    }

    fn apps(&self, page: u32) -> HostFuture<'_, HostPage> {
        Box::pin(self.list(page))
    }

    fn app_events(&self) -> AppEvents {
        self.subscribe()
    }
}

/// In the order in which they are kept: another order of the host's is no difference.
fn ordered(mut ids: Vec<u32>) -> Vec<u32> {
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// What an event is about. Its payload may hold secrets of the App: nothing else of it is read (hazard H20).
fn app_of(payload: &[u8]) -> Option<AppId> {
    #[derive(serde::Deserialize)]
    struct About {
        object_id: u32,
    }
    let payload = Some(payload).filter(|payload| payload.len() <= MAX_EVENT)?;
    AppId::new(serde_json::from_slice::<About>(payload).ok()?.object_id)
}

/// None of what makes no sense.
fn app(info: pb::AppInfo) -> Option<HostApp> {
    let mut metadata = facts::metadata(&info.metadata);
    for (name, value) in [
        ("created_at", facts::time(info.created_at)),
        ("updated_at", facts::time(info.updated_at)),
        ("tool_ids", facts::ids(&info.tool_ids)),
        ("datasource_ids", facts::ids(&info.datasource_ids)),
        ("namespace", info.namespace.clone()),
    ] {
        facts::further(&mut metadata, name, value);
    }
    let monthly_budget = Some(info.monthly_budget.unwrap_or(0.0)).filter(|budget| budget.is_finite())?;
    Some(HostApp {
        id: AppId::new(info.id)?,
        name: info.name,
        description: info.description,
        active: info.is_active,
        decides: true,
        // Empty in Studio, always in lists (contract 4.5).
        owner_email: Some(info.owner_email).filter(|email| !email.is_empty()),
        owner: UserId::new(info.user_id),
        monthly_budget,
        rate_limit: None,
        // An id of 0 grants nothing.
        llms: Some(info.llm_ids.iter().filter_map(|id| LlmId::new(*id)).collect()),
        tools: Some(ordered(info.tool_ids)),
        datasources: Some(ordered(info.datasource_ids)),
        namespace: Some(info.namespace),
        metadata,
    })
}
