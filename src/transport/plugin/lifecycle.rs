//! Initialize, Ping, Shutdown: answered at once, because hosts hold a lock meanwhile (hazards H8 and H23).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::authenticate::Health;
use crate::pb::slim::plugin as pb;
use crate::transport::go_plugin::{PeerInfo, Surface};
use crate::transport::plugin::{PluginService, is_host};

/// Which host started us, told by the keys of its configuration (host contract 2.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HostRuntime {
    /// AI Studio.
    Studio,
    /// The microgateway.
    Microgateway,
}

impl HostRuntime {
    /// Studio if and only if it says `has_service_api`. The environment is no sign: it takes a standalone gateway for
    /// Studio.
    pub fn of(config: &BTreeMap<String, String>) -> Self {
        if config.contains_key("has_service_api") { Self::Studio } else { Self::Microgateway }
    }
}

/// The process that the services are part of. Nothing here may block.
pub trait Lifecycle: Send + Sync {
    /// The host that started us gave its configuration.
    fn initialise(&self, config: BTreeMap<String, String>, runtime: HostRuntime);
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
            let runtime = HostRuntime::of(&config);
            self.deps.lifecycle.initialise(config, runtime);
        } else {
            // Whoever can reach an attached listener must not configure the server (rules R1 and R2).
            tracing::warn!("the configuration of a host that did not start this process is ignored");
        }
        initialised()
    }

    pub(super) fn on_shutdown(&self, peer: Option<PeerInfo>) {
        self.sessions.close(peer);
        if peer.is_some_and(|peer| peer.surface == Surface::Attached) {
            tracing::info!("a host is leaving");
        }
        self.deps.lifecycle.leaving();
    }
}
