//! Where the host's Service API is: what `Initialize` and `OpenSession` say of it, and the way there, over the broker
//! stream of the connection that said so (host contract 4.1).

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tonic::transport::Channel;

use crate::directory::{Connect, HostRuntime, HostSession};
use crate::transport::go_plugin::PeerInfo;
use crate::transport::go_plugin::broker::Brokers;

/// How long an announcement may lag behind the id.
const ANNOUNCED_WITHIN: Duration = Duration::from_secs(5);

/// Which host it is, told by the keys of its configuration: Studio if and only if it says `has_service_api`. The environment
/// is no sign: it takes a standalone gateway for Studio (host contract 2.1). A gateway's own key counts more, for anybody who
/// edits the plugin's configuration can write the other one (rule R2).
pub fn runtime_of(config: &BTreeMap<String, String>) -> HostRuntime {
    let says = |key| config.contains_key(key);
    if says("has_service_api") && !says("_plugin_id") { HostRuntime::Studio } else { HostRuntime::Microgateway }
}

/// The ids of the plugin and of the service that a configuration names; none if it names no service.
pub(super) fn ids_of(config: &BTreeMap<String, String>) -> Option<(u32, u32)> {
    let (plugin, broker) = match runtime_of(config) {
        HostRuntime::Studio => ("plugin_id", "service_broker_id"),
        HostRuntime::Microgateway => ("_plugin_id", "_service_broker_id"),
    };
    let number = |key| config.get(key).and_then(|text| id(text)).filter(|number| *number != 0);
    Some((number(plugin)?, number(broker)?))
}

/// Numbers may come as Go prints floats (hazard H13).
fn id(text: &str) -> Option<u32> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let number: f64 = text.parse().ok()?;
    let whole = number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number of that range")]
    whole.then_some(number as u32)
}

/// What these say, with the way there.
pub(super) fn session(
    brokers: &Arc<Brokers>,
    peer: Option<PeerInfo>,
    runtime: HostRuntime,
    (plugin_id, broker_id): (u32, u32),
) -> HostSession {
    let connection = peer.map_or(0, |peer| peer.connection);
    let connect = Arc::new(OverBroker { brokers: Arc::clone(brokers), connection, broker_id });
    HostSession { runtime, plugin_id, broker_id, connect }
}

struct OverBroker {
    brokers: Arc<Brokers>,
    connection: u64,
    broker_id: u32,
}

impl Connect for OverBroker {
    fn connect(&self) -> Pin<Box<dyn Future<Output = Option<Channel>> + Send + '_>> {
        Box::pin(async move {
            let dialled = async { self.brokers.of(self.connection)?.dial(self.broker_id, ANNOUNCED_WITHIN).await };
            match dialled.await {
                Ok(channel) => Some(channel),
                Err(error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "the host's Service API");
                    None
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(of: &[(&str, &str)]) -> BTreeMap<String, String> {
        of.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn each_host_names_its_service_in_its_own_words() {
        let gateway = config(&[("_plugin_id", "42"), ("_service_broker_id", "1")]);
        let studio = config(&[("plugin_id", "42"), ("service_broker_id", "7"), ("has_service_api", "true")]);
        assert_eq!((runtime_of(&gateway), ids_of(&gateway)), (HostRuntime::Microgateway, Some((42, 1))));
        assert_eq!((runtime_of(&studio), ids_of(&studio)), (HostRuntime::Studio, Some((42, 7))));
        // An admin's own setting of that name is no host's key.
        let fooled = config(&[("_plugin_id", "42"), ("_service_broker_id", "1"), ("has_service_api", "true")]);
        assert_eq!((runtime_of(&fooled), ids_of(&fooled)), (HostRuntime::Microgateway, Some((42, 1))));
        assert_eq!(ids_of(&config(&[("plugin_id", "42"), ("service_broker_id", "7")])), None);
        assert_eq!(ids_of(&config(&[("_plugin_id", "42")])), None, "no management server");
        assert_eq!(ids_of(&config(&[("_plugin_id", "0"), ("_service_broker_id", "1")])), None);
    }

    #[test]
    fn h13_ids_as_go_prints_floats() {
        for (text, number) in [("1e+06", 1_000_000), ("4.294967295e+09", u32::MAX), ("12", 12)] {
            assert_eq!(id(text), Some(number));
        }
        for odd in ["-1", "0.5", "4294967296", "1e+20", "NaN", "", "x"] {
            assert_eq!(id(odd), None, "{odd}");
        }
    }
}
