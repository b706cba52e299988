//! What fetching and keeping keys can be set to.

use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

/// How keys of issuers are fetched and kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The longest that one fetch may take, from the wait for a turn to the last byte.
    pub timeout: Duration,
    /// Ranges beyond the public ones that may be connected to.
    pub allow_networks: Vec<IpNet>,
    /// Whether this machine itself may be asked by plain HTTP.
    pub allow_loopback_http: bool,
    /// Authorities besides Mozilla's, PEM.
    pub ca_file: Option<PathBuf>,
    /// After how long keys are fetched anew, where the answer itself does not say.
    pub refresh: Duration,
    /// How long keys are used after the last fetch that succeeded.
    pub max_stale: Duration,
    /// The least time from a fetch for the sake of an unknown key, or one that failed, to the next.
    pub cooldown: Duration,
    /// The longest that a request waits for a fetch.
    pub wait: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            allow_networks: Vec::new(),
            allow_loopback_http: false,
            ca_file: None,
            refresh: Duration::from_secs(300),
            max_stale: Duration::from_secs(86_400),
            cooldown: Duration::from_secs(30),
            wait: Duration::from_secs(1),
        }
    }
}
