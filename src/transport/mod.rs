//! How a host reaches us: [`go_plugin`] is the wire, [`plugin`] what is served over it.
//!
//! Transport converts and never decides: each question goes to the gate of `authenticate`.

pub mod admin;
pub mod go_plugin;
pub mod http;
pub mod oauth;
pub mod plugin;
pub mod tls_files;
pub mod tls_watch;

use std::sync::Arc;

use arc_swap::ArcSwap;
use tonic::service::Routes;

use crate::authenticate::Gate;
use crate::pb::full::config_provider::config_provider_service_server::ConfigProviderServiceServer;
use crate::pb::slim::plugin::plugin_service_server::PluginServiceServer;
pub use admin::pages::{Pages, StudioSettings};
use go_plugin::broker::Brokers;
pub use plugin::client_address::ClientAddress;
use plugin::intake::{Budget, Intake};
use plugin::lifecycle::Lifecycle;
use plugin::schema::HostSetting;

/// Messages that are no auth calls, in bytes.
const MAX_MESSAGE: usize = 4 * 1024 * 1024;

/// How the plugin's services answer; settings of this machine.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether pre-auth turns refusals into proper 401 answers.
    pub pre_auth: bool,
    /// How the client's address is known.
    pub client_address: ClientAddress,
    /// What the Studio page is.
    pub studio: StudioSettings,
    /// How programs get tokens.
    pub oauth: oauth::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        let (client_address, studio, oauth) =
            (ClientAddress::default(), StudioSettings::default(), oauth::Settings::default());
        Self { pre_auth: true, client_address, studio, oauth }
    }
}

/// What the services need.
#[derive(Clone)]
pub struct Deps {
    /// Decides.
    pub gate: Arc<Gate>,
    /// The process that the services are part of.
    pub lifecycle: Arc<dyn Lifecycle>,
    /// The pages of the host that started the process; none where no host did.
    pub pages: Option<Pages>,
    /// What the host's endpoints answer with; none where no host started the process.
    pub endpoints: Option<Arc<oauth::Oauth>>,
    /// How to answer; may change while we serve.
    pub settings: Arc<ArcSwap<Settings>>,
    /// What a host may configure, for its form.
    pub host_settings: Vec<HostSetting>,
}

/// The services of the application, to be served over [`go_plugin`]; `brokers` lead to the hosts.
pub fn routes(deps: Deps, brokers: Arc<Brokers>) -> Routes {
    let budget = Arc::new(Budget::new(Arc::clone(deps.gate.metrics())));
    let settings = Arc::clone(&deps.settings);
    let schema = plugin::schema::render(&deps.host_settings);
    let config = plugin::config_provider::ConfigProvider::new(schema.clone());
    let service = PluginServiceServer::new(plugin::PluginService::new(deps, brokers, schema))
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    Routes::new(Intake::new(service, budget, settings)).add_service(ConfigProviderServiceServer::new(config))
}
