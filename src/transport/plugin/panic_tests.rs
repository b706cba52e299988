#![expect(clippy::disallowed_methods, reason = "tests present what they minted")]
//! A panic in a handler costs one request, and nothing else (decision 16).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::authenticate::testing::World;
use crate::authenticate::{Gate, Health};
use crate::domain::denial::UNAVAILABLE;
use crate::transport::go_plugin::broker::Wiring;
use crate::transport::go_plugin::environment::Environment;
use crate::transport::plugin::lifecycle::{HostRuntime, HostSession, Lifecycle, Told};
use pb::plugin_service_server::PluginService as _;

struct Still;

impl Lifecycle for Still {
    fn initialise(&self, _: BTreeMap<String, String>, _: HostRuntime, _: Option<HostSession>) {
        panic!("on purpose");
    }
    fn session(&self, _: HostSession) {}
    fn told(&self, _: Told) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
    fn runtime(&self) -> Option<HostRuntime> {
        None
    }
    fn leaving(&self) {}
    fn uptime(&self) -> Duration {
        Duration::ZERO
    }
    fn health(&self) -> Health {
        panic!("on purpose");
    }
}

fn service(world: &World) -> PluginService {
    let gate = Gate::opening(Arc::clone(&world.metrics));
    gate.open(Arc::clone(&world.authenticator), Vec::new());
    let settings = Arc::new(arc_swap::ArcSwap::from_pointee(crate::transport::Settings::default()));
    let (lifecycle, host_settings) = (Arc::new(Still), Vec::new());
    let deps = Deps { gate: Arc::new(gate), lifecycle, pages: None, endpoints: None, settings, host_settings };
    let wiring = Wiring { environment: Environment::default(), tls: None, session: Arc::default() };
    PluginService::new(deps, Arc::new(Brokers::new(wiring)), String::new())
}

#[tokio::test]
async fn a_panic_refuses_one_request_and_is_counted() {
    let world = World::new();
    let service = service(&world);
    let (_, key) = world.issue(|_| {});
    let context = pb::PluginContext { llm_id: 3, ..Default::default() };
    let credential = || key.expose().to_vec();
    let auth = || {
        let message =
            pb::AuthRequest { credential: credential(), context: Some(context.clone()), ..Default::default() };
        service.authenticate(Request::new(message))
    };
    let panics = |_: &World| panic!("on purpose");
    world.meanwhile(panics);
    let answer = auth().await.unwrap().into_inner();
    assert!(!answer.authenticated && answer.app_id.is_empty() && answer.error_message == UNAVAILABLE);
    world.meanwhile(panics);
    let app = pb::GetAppRequest { credential: credential(), context: Some(context.clone()) };
    let answer = service.get_app_by_credential(Request::new(app)).await.unwrap().into_inner();
    assert!(!answer.success && answer.app.is_none() && answer.error_message == UNAVAILABLE);
    world.meanwhile(panics);
    let user = pb::GetUserRequest { credential: credential(), context: Some(context.clone()) };
    let answer = service.get_user_by_credential(Request::new(user)).await.unwrap().into_inner();
    assert!(!answer.success && answer.user.is_none() && answer.error_message == UNAVAILABLE);
    assert_eq!(world.metrics.panics.get(), 3);
    assert!(auth().await.unwrap().into_inner().authenticated, "the next request passes");
}

#[tokio::test]
async fn a_panic_in_a_call_or_in_initialize_is_an_answer_too() {
    let world = World::new();
    let service = service(&world);
    let call = pb::CallRequest { method: "health".into(), ..Default::default() };
    let answer = service.call(Request::new(call)).await.unwrap().into_inner();
    assert!(!answer.success && answer.data.is_empty() && !answer.error_message.contains("purpose"));
    let mut request = Request::new(pb::InitRequest::default());
    let peer = PeerInfo {
        connection: 1,
        surface: Surface::Managed,
        pid: Some(1),
        uid: None,
        is_parent: true,
        mutual_tls: false,
        certificate: None,
        remote: None,
    };
    request.extensions_mut().insert(peer);
    assert!(service.initialize(request).await.unwrap().into_inner().success, "hazard H4: never a failure");
    assert_eq!(world.metrics.panics.get(), 2);
}
