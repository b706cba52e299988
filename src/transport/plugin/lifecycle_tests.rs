//! Who may say where the host's Service API is, and what the host told.

use std::sync::{Arc, Mutex};

use tonic::Request;

use super::*;
use crate::authenticate::Gate;
use crate::authenticate::record::Recorder;
use crate::pb::slim::plugin::plugin_service_server::PluginService as _;
use crate::telemetry::metrics::Metrics;
use crate::transport::Deps;
use crate::transport::go_plugin::broker::{Brokers, Wiring};
use crate::transport::go_plugin::environment::Environment;

/// Notes what it is told.
#[derive(Default)]
struct Noting {
    sessions: Mutex<Vec<(u32, u32)>>,
    told: Mutex<Vec<Told>>,
    runtime: Mutex<Option<HostRuntime>>,
}

impl Lifecycle for Arc<Noting> {
    fn initialise(&self, _: BTreeMap<String, String>, runtime: HostRuntime, service: Option<HostSession>) {
        *self.runtime.lock().unwrap() = Some(runtime);
        self.sessions.lock().unwrap().extend(service.map(|service| (service.plugin_id, service.broker_id)));
    }
    fn session(&self, service: HostSession) {
        self.sessions.lock().unwrap().push((service.plugin_id, service.broker_id));
    }
    fn told(&self, told: Told) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.told.lock().unwrap().push(told);
        Box::pin(std::future::ready(()))
    }
    fn runtime(&self) -> Option<HostRuntime> {
        *self.runtime.lock().unwrap()
    }
    fn leaving(&self) {}
    fn uptime(&self) -> Duration {
        Duration::ZERO
    }
    fn health(&self) -> Health {
        unreachable!("not asked here")
    }
}

fn service() -> (Arc<Noting>, PluginService) {
    let noting = Arc::new(Noting::default());
    let metrics = Arc::new(Metrics::new(&Recorder::reason_labels()));
    let settings = Arc::new(arc_swap::ArcSwap::from_pointee(crate::transport::Settings::default()));
    let gate = Arc::new(Gate::closed(metrics, Vec::new()));
    let lifecycle = Arc::new(Arc::clone(&noting));
    let deps = Deps { gate, lifecycle, pages: None, endpoints: None, settings, host_settings: Vec::new() };
    let wiring = Wiring { environment: Environment::default(), tls: None, session: Arc::default() };
    (noting, PluginService::new(deps, Arc::new(Brokers::new(wiring)), String::new()))
}

fn from<T>(surface: Surface, is_parent: bool, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(PeerInfo {
        connection: 1,
        surface,
        pid: None,
        uid: None,
        is_parent,
        mutual_tls: false,
        certificate: None,
        remote: None,
    });
    request
}

#[tokio::test(start_paused = true)]
async fn h18_only_the_host_that_started_us_says_who_we_are_and_where_its_service_is() {
    let (noting, service) = service();
    let config = |plugin: &str| pb::InitRequest {
        config: [("_plugin_id", plugin), ("_service_broker_id", "3")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
    };
    let open =
        |plugin_id| pb::OpenSessionRequest { plugin_id, service_broker_id: 4, timeout_ms: 1, ..Default::default() };
    for (surface, is_parent) in [(Surface::Attached, false), (Surface::Attached, true), (Surface::Managed, false)] {
        service.initialize(from(surface, is_parent, config("66"))).await.unwrap();
        service.open_session(from(surface, is_parent, open(66))).await.unwrap();
    }
    assert_eq!(*noting.sessions.lock().unwrap(), []);
    // Nor before the host said which it is.
    service.open_session(from(Surface::Managed, true, open(66))).await.unwrap();
    service.initialize(from(Surface::Managed, true, config("42"))).await.unwrap();
    for odd in [0, 42] {
        service.open_session(from(Surface::Managed, true, open(odd))).await.unwrap();
    }
    assert_eq!(*noting.sessions.lock().unwrap(), [(42, 3), (42, 4)]);
}

#[tokio::test]
async fn r1_hooks_count_from_the_studio_that_started_us_alone() {
    let (noting, service) = service();
    let hook = || pb::ObjectHookRequest {
        hook_type: "after_delete".to_owned(),
        object_type: "user".to_owned(),
        object_json: br#"{"id":9}"#.to_vec(),
    };
    let told = async |surface, is_parent| {
        let answer = service.handle_object_hook(from(surface, is_parent, hook())).await.unwrap().into_inner();
        assert!(answer.allow_operation, "never in the host's way, whoever asks (hazard H17)");
        std::mem::take(&mut *noting.told.lock().unwrap()).len()
    };
    for runtime in [None, Some(HostRuntime::Microgateway)] {
        *noting.runtime.lock().unwrap() = runtime;
        assert_eq!(told(Surface::Managed, true).await, 0, "{runtime:?}");
    }
    *noting.runtime.lock().unwrap() = Some(HostRuntime::Studio);
    assert_eq!(told(Surface::Attached, true).await + told(Surface::Managed, false).await, 0);
    assert_eq!(told(Surface::Managed, true).await, 1);
}
