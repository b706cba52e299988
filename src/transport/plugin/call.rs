//! `Call` and `PortalCall`: what a host's pages ask. Here is only on which connection they may (rule R1, decision 9): all
//! but `health` and `get_metrics` is for the process that started us, on its socket, once it said that it is Studio. Who
//! asks, and what they may, is for [`crate::transport::admin::pages`].

use zeroize::Zeroizing;

use crate::pb::slim::plugin as pb;
use crate::transport::Pages;
use crate::transport::admin::pages::{HealthView, MetricsView, Page, Payload, Text, Way, find};
use crate::transport::go_plugin::PeerInfo;
use crate::transport::plugin::{PluginService, unsupported};

/// No such method.
const NO_METHOD: &str = "method not available";
/// Not on this connection, or not under this host.
const NOT_HERE: &str = "method not available on this connection";
const TOO_LARGE: &str = "payload too large";

/// A refusal with a fixed text.
pub fn refused(text: &str) -> pb::CallResponse {
    pb::CallResponse { success: false, data: String::new(), error_message: text.to_owned() }
}

/// The same, in the portal.
pub fn portal_refused(text: &str) -> pb::PortalCallResponse {
    pb::PortalCallResponse { success: false, data: String::new(), error_message: text.to_owned() }
}

/// Moved out, not copied: what is left behind of it is the transport's.
fn given(mut text: Text) -> String {
    std::mem::take(&mut *text)
}

impl PluginService {
    /// The pages, for the host that has them.
    fn pages(&self, peer: Option<PeerInfo>) -> Option<&Pages> {
        self.deps.pages.as_ref().filter(|_| self.is_studio(peer))
    }

    pub(super) async fn on_call(&self, peer: Option<PeerInfo>, request: pb::CallRequest) -> pb::CallResponse {
        let payload = Payload::new(request.payload);
        let Some(method) = find(Page::Studio, &request.method) else { return refused(NO_METHOD) };
        let pages = if method.is_open() { None } else { self.pages(peer) };
        let data = match pages {
            _ if payload.is_too_large() => return refused(TOO_LARGE),
            Some(pages) => {
                let way = Way::Studio(self.deps.settings.load().studio.clone());
                pages.answer(method, way, payload).await
            }
            None => match method.name {
                "health" => self.health(),
                "get_metrics" => self.metrics(),
                _ => return refused(NOT_HERE),
            },
        };
        pb::CallResponse { success: true, data: given(data), error_message: String::new() }
    }

    /// Whose call it is says the host, out of its own session; `is_admin`, groups and the rest are read by nobody.
    pub(super) async fn on_portal_call(
        &self,
        peer: Option<PeerInfo>,
        request: pb::PortalCallRequest,
    ) -> pb::PortalCallResponse {
        let payload = Payload::new(request.payload);
        let Some(pages) = self.pages(peer) else { return unsupported::no_portal() };
        let Some(method) = find(Page::Portal, &request.method) else { return portal_refused(NO_METHOD) };
        if payload.is_too_large() {
            return portal_refused(TOO_LARGE);
        }
        let way = Way::Portal(request.user_context.map_or(0, |user| user.user_id));
        let data = pages.answer(method, way, payload).await;
        pb::PortalCallResponse { success: true, data: given(data), error_message: String::new() }
    }

    fn health(&self) -> Text {
        json(&HealthView::new(self.deps.lifecycle.health(), self.deps.lifecycle.uptime()))
    }

    fn metrics(&self) -> Text {
        json(&MetricsView::new(self.deps.gate.metrics()))
    }
}

fn json(answer: &impl serde::Serialize) -> Text {
    Zeroizing::new(serde_json::to_string(answer).unwrap_or_default())
}
