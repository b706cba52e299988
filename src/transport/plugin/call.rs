//! `Call`: what the Studio page asks. In this version `health` and `get_metrics`, on every surface.
//!
//! `Call` names no caller, so nothing that changes anything is served by it yet (rule R1, decision 9).

use serde_json::json;

use crate::pb::slim::plugin as pb;
use crate::transport::plugin::PluginService;

/// The longest payload looked at, in bytes.
const MAX_PAYLOAD: usize = 64 * 1024;

/// A refusal with a fixed text.
pub fn refused(text: &str) -> pb::CallResponse {
    pb::CallResponse { success: false, data: String::new(), error_message: text.to_owned() }
}

impl PluginService {
    pub(super) fn on_call(&self, request: &pb::CallRequest) -> pb::CallResponse {
        if request.payload.len() > MAX_PAYLOAD {
            return refused("payload too large");
        }
        let data = match request.method.as_str() {
            "health" => self.health(),
            "get_metrics" => self.metrics(),
            _ => return refused("method not available"),
        };
        pb::CallResponse { success: true, data: data.to_string(), error_message: String::new() }
    }

    fn health(&self) -> serde_json::Value {
        let health = self.deps.lifecycle.health();
        json!({
            "status": health.status,
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_seconds": self.deps.lifecycle.uptime().as_secs(),
            "problems": health.problems,
            "dependencies": {
                "store": if health.status == "unhealthy" { "unavailable" } else { "available" },
                "feed_check_age_ms": health.feed_check_age_ms,
            },
            "cached_credentials": health.cached_credentials,
        })
    }

    fn metrics(&self) -> serde_json::Value {
        let metrics = self.deps.gate.metrics();
        let summary = metrics.summary();
        json!({
            "request_count": summary.request_count,
            "error_count": summary.error_count,
            "refused_count": summary.refused_count,
            "avg_duration_ms": summary.avg_duration_ms,
            "cache_hits": metrics.cache_hits.get(),
            "cache_misses": metrics.cache_misses.get(),
            "panics": metrics.panics.get(),
            "prometheus": metrics.render(),
        })
    }
}
