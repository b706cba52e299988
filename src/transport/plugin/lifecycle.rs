//! Initialize, Ping, Shutdown: answered at once, because hosts hold a lock meanwhile (hazards H8 and H23).

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use crate::authenticate::Health;
pub use crate::directory::told::Told;
pub use crate::directory::{HostRuntime, HostSession};
use crate::pb::slim::plugin as pb;
use crate::transport::go_plugin::{PeerInfo, Surface};
use crate::transport::plugin::{PluginService, is_host, service_api};

/// The process that the services are part of. Nothing here may block.
pub trait Lifecycle: Send + Sync {
    /// The host that started us gave its configuration, and said where its Service API is, if it has one.
    fn initialise(&self, config: BTreeMap<String, String>, runtime: HostRuntime, service: Option<HostSession>);
    /// It said again where that is.
    fn session(&self, service: HostSession);
    /// Studio told of something: written when this is over, or denied here and written later.
    fn told(&self, told: Told) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
    /// Which host that was; none before, and where no host started us.
    fn runtime(&self) -> Option<HostRuntime>;
    /// A host is leaving: what is buffered may be written out, in the background.
    fn leaving(&self);
    /// How long the process has been up.
    fn uptime(&self) -> Duration;
    /// How it is.
    fn health(&self) -> Health;
}

/// Always success: with anything else the host ends us and falls back to its own secrets (hazard H4). What is wrong is
/// said by `health`, and every credential is denied meanwhile.
pub fn initialised() -> pb::InitResponse {
    pb::InitResponse { success: true, error_message: String::new() }
}

impl PluginService {
    pub(super) fn on_initialize(&self, peer: Option<PeerInfo>, request: pb::InitRequest) -> pb::InitResponse {
        if is_host(peer) {
            let config: BTreeMap<_, _> = request.config.into_iter().collect();
            let runtime = service_api::runtime_of(&config);
            let ids = service_api::ids_of(&config);
            let service = ids.map(|ids| service_api::session(&self.brokers, peer, runtime, ids));
            self.deps.lifecycle.initialise(config, runtime, service);
        } else {
            // Whoever can reach an attached listener must not configure the server (rules R1 and R2).
            tracing::warn!("the configuration of a host that did not start this process is ignored");
        }
        initialised()
    }

    /// A session of the host that started us names its Service API, which may be another than before.
    pub(super) fn on_session(&self, peer: Option<PeerInfo>, request: &pb::OpenSessionRequest) {
        let ids = (request.plugin_id, request.service_broker_id);
        let named = is_host(peer) && ids.0 != 0 && ids.1 != 0;
        if let Some(runtime) = self.deps.lifecycle.runtime().filter(|_| named) {
            self.deps.lifecycle.session(service_api::session(&self.brokers, peer, runtime, ids));
        }
    }

    pub(super) fn on_shutdown(&self, peer: Option<PeerInfo>) {
        self.sessions.close(peer);
        if peer.is_some_and(|peer| peer.surface == Surface::Attached) {
            tracing::info!("a host is leaving");
        }
        self.deps.lifecycle.leaving();
    }
}

#[cfg(test)]
#[path = "lifecycle_tests.rs"]
mod tests;
