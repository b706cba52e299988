#![expect(clippy::disallowed_methods, reason = "tests present what they minted")]
//! Who is answered, and what the host's form of a request becomes.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use pb::plugin_service_server::PluginService as _;
use tokio_stream::StreamExt as _;

use super::*;
use crate::authenticate::testing::{OWN_ISSUER, World};
use crate::authenticate::{Gate, Health};
use crate::secret::{CredentialText, Secret};
use crate::transport::Deps;
use crate::transport::go_plugin::Surface;
use crate::transport::go_plugin::broker::{Brokers, Wiring};
use crate::transport::go_plugin::environment::Environment;
use crate::transport::oauth::MAX_BODY;
use crate::transport::oauth::testing::endpoints;
use crate::transport::plugin::lifecycle::{HostRuntime, HostSession, Lifecycle, Told};

struct Still;

impl Lifecycle for Still {
    fn initialise(&self, _: BTreeMap<String, String>, _: HostRuntime, _: Option<HostSession>) {}
    fn session(&self, _: HostSession) {}
    fn told(&self, _: Told) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
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
        unreachable!("not asked here")
    }
}

fn service(world: &World, has_endpoints: bool) -> PluginService {
    let (_, oauth) = endpoints(world, OWN_ISSUER, 60);
    let gate = Gate::opening(Arc::clone(&world.metrics));
    gate.open(Arc::clone(&world.authenticator), Vec::new());
    let settings = Arc::new(arc_swap::ArcSwap::from_pointee(crate::transport::Settings::default()));
    let deps = Deps {
        gate: Arc::new(gate),
        lifecycle: Arc::new(Still),
        pages: None,
        endpoints: has_endpoints.then(|| Arc::new(oauth)),
        settings,
        host_settings: Vec::new(),
    };
    let wiring = Wiring { environment: Environment::default(), tls: None, session: Arc::default() };
    PluginService::new(deps, Arc::new(Brokers::new(wiring)), String::new())
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

fn asked(key: &Secret<CredentialText>) -> pb::EndpointRequest {
    let pair = [b":", key.expose()].concat();
    let header = |name: &str, value: String| pb::HeaderEntry { key: name.into(), value: value.into_bytes() };
    pb::EndpointRequest {
        method: b"POST".to_vec(),
        path: b"/plugins/latchkey/oauth/token".to_vec(),
        relative_path: b"/oauth/token".to_vec(),
        headers: vec![
            header("AUTHORIZATION", format!("basic {}", base64::engine::general_purpose::STANDARD.encode(pair))),
            header("content-type", "application/x-www-form-urlencoded".to_owned()),
        ],
        body: b"grant_type=client_credentials".to_vec(),
        ..Default::default()
    }
}

#[tokio::test]
async fn r1_endpoints_are_answered_to_the_host_that_started_us_alone() {
    let world = World::new();
    let (_, key) = world.issue(|_| {});
    for (has, surface, is_parent, served) in [
        (true, Surface::Managed, true, true),
        (true, Surface::Managed, false, false),
        (true, Surface::Attached, true, false),
        (true, Surface::Admin, true, false),
        (false, Surface::Managed, true, false),
    ] {
        let service = service(&world, has);
        let registered =
            service.get_endpoint_registrations(from(surface, is_parent, pb::GetEndpointRegistrationsRequest {}));
        let registered = registered.await.unwrap().into_inner().registrations;
        assert_eq!(registered.len(), if served { ENDPOINTS.len() } else { 0 });
        assert!(registered.iter().all(|it| !it.require_auth && it.path.starts_with('/') && !it.path.contains('*')));
        let answer = service.handle_endpoint_request(from(surface, is_parent, asked(&key))).await.unwrap().into_inner();
        let stream = service.handle_endpoint_request_stream(from(surface, is_parent, asked(&key))).await;
        if served {
            assert_eq!((answer.status_code, answer.error_message.as_str()), (200, ""));
            assert_eq!(answer.headers["Cache-Control"], "no-store");
            let pieces: Vec<_> = stream.unwrap().into_inner().map(Result::unwrap).collect().await;
            assert_eq!(pieces.iter().map(|piece| piece.r#type).collect::<Vec<_>>(), [0, 1, 2]);
            assert_eq!((pieces[0].status_code, pieces[0].headers.len(), pieces[1].data[0]), (200, 3, b'{'));
        } else {
            assert!(answer == unsupported::no_endpoint());
            assert_eq!(stream.err().unwrap().message(), unsupported::no_endpoint_stream().message());
        }
    }
}

#[tokio::test]
async fn what_the_host_says_is_read_as_it_stands_and_no_address_is_believed() {
    let world = World::new();
    let service = service(&world, true);
    let send = async |message| {
        let answer = service.handle_endpoint_request(from(Surface::Managed, true, message));
        answer.await.unwrap().into_inner().status_code
    };
    let (_, key) = world.issue(|_| {});
    let good = asked(&key);
    assert_eq!(send(good.clone()).await, 200);
    assert_eq!(send(pb::EndpointRequest { relative_path: Vec::new(), ..good.clone() }).await, 200);
    let elsewhere = b"/plugins/oauth/token".to_vec();
    assert_eq!(send(pb::EndpointRequest { relative_path: Vec::new(), path: elsewhere, ..good.clone() }).await, 404);
    assert_eq!(send(pb::EndpointRequest { relative_path: b"/\xff".to_vec(), ..good.clone() }).await, 404);
    assert_eq!(send(pb::EndpointRequest { method: b"GET".to_vec(), ..good.clone() }).await, 405);
    assert_eq!(send(pb::EndpointRequest { query_string: b"a=b".to_vec(), ..good.clone() }).await, 400);
    assert_eq!(send(pb::EndpointRequest { body: vec![b'x'; MAX_BODY + 1], ..good.clone() }).await, 413);
    let mut twice = good.clone();
    let again = pb::HeaderEntry { key: b"authorization".to_vec(), value: twice.headers[0].value.clone() };
    twice.headers.push(again);
    assert_eq!(send(twice).await, 400);

    let (_, bound) = world.issue(|row| row.cidrs = vec!["192.0.2.0/24".parse().unwrap()]);
    let mut bound = asked(&bound);
    bound.headers.push(pb::HeaderEntry { key: b"X-Forwarded-For".to_vec(), value: b"192.0.2.7".to_vec() });
    assert_eq!(send(bound).await, 401, "r15: behind a host's endpoint the address is unknown");
    world.change_tenant(|tenant| tenant.namespaces = vec!["eu".to_owned()]);
    assert_eq!(send(good.clone()).await, 401);
    let namespace = pb::MetadataEntry { key: b"edge_namespace".to_vec(), value: b"eu".to_vec() };
    let context = Some(pb::PluginContext { metadata: vec![namespace], ..Default::default() });
    assert_eq!(send(pb::EndpointRequest { context, ..good }).await, 200);
}
