//! Serving: the listener, the services every plugin has, and those of the application, under the HTTP/2 settings that
//! hosts need (section 10).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;
use tonic::transport::Server;

use crate::pb::full::plugin::grpc_broker_server::GrpcBrokerServer;
use crate::pb::full::plugin::grpc_controller_server::GrpcControllerServer;
use crate::pb::full::plugin::grpc_stdio_server::GrpcStdioServer;
use crate::transport::go_plugin::broker::{Brokers, Wiring, lock};
use crate::transport::go_plugin::conn::{Conn, Surface};
use crate::transport::go_plugin::end::{self, Ending};
use crate::transport::go_plugin::environment::Environment;
use crate::transport::go_plugin::listener::{Acceptance, Bound, ListenError, ServerTls};
use crate::transport::go_plugin::mux::Session;
use crate::transport::go_plugin::services::{BrokerService, ControllerService, StdioService};
use crate::transport::go_plugin::tls::{AutoMtls, TlsError};
use crate::transport::go_plugin::{Settings, handshake, listener};

/// Streams at once on one connection: all requests of a gateway share one, and a Ping must never queue behind
/// uploads (rule R7).
const MAX_STREAMS: u32 = 65_536;

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// `AutoMTLS` was asked for and cannot be had.
    #[error("cannot set up AutoMTLS")]
    Tls(#[from] TlsError),
    /// Nothing listens.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The handshake line, a thread or a signal handler.
    #[error("cannot start serving")]
    System(#[from] io::Error),
    /// The server ended by itself.
    #[error("the server ended")]
    Server(#[from] tonic::transport::Error),
    /// The service description could not be published.
    #[error("cannot publish the service description")]
    Reflection(#[source] tonic_reflection::server::Error),
}

/// Serves the host that started us until it ends us. `routes` makes the application's services.
///
/// # Errors
/// When the handshake cannot be made; the host then reports that we did not start.
pub async fn managed(
    environment: Environment,
    settings: &Settings,
    ending: Arc<Ending>,
    routes: impl FnOnce(Arc<Brokers>) -> Routes,
) -> Result<(), ServeError> {
    let host_cert = environment.client_cert.as_ref().filter(|_| !settings.ignore_client_cert);
    let tls = host_cert.map(|pem| AutoMtls::new(pem)).transpose()?;
    let bound = listener::bind_for_host(&environment)?;
    if let handshake::Address::Unix(path) = bound.address() {
        ending.owns(path);
    }
    let multiplexed = environment.wants_multiplex && settings.multiplex;
    let session = Arc::default();
    let wiring = Wiring { environment: environment.clone(), tls: tls.clone(), session: Arc::clone(&session) };
    let brokers = Arc::new(Brokers::new(wiring));
    let acceptance = Acceptance {
        surface: Surface::Managed,
        tls: tls.as_ref().map(AutoMtls::server_tls),
        parent: rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get()),
        room: None,
    };
    let routes = complete(routes(Arc::clone(&brokers)), &brokers, &ending, settings).await?;
    let line = handshake::line(
        environment.version(),
        &bound.address(),
        tls.as_ref().map(AutoMtls::certificate_der),
        environment.knows_multiplex.then_some(settings.multiplex),
    );
    // Everything listens; only now may the host know.
    let stdout = handshake::announce(&line)?;
    if settings.exit_with_host {
        end::follow_host(stdout, Arc::clone(&ending))?;
    }
    end::watch_runtime(Arc::clone(&ending))?;
    tokio::spawn(end::follow_signals_of_plugin(Arc::clone(&ending)));
    let (conns, incoming) = mpsc::channel(256);
    if multiplexed {
        tokio::spawn(accept_multiplexed(bound, acceptance, session, conns, Arc::clone(&ending)));
    } else {
        tokio::spawn(async move {
            listener::accept(&bound, &acceptance, |raw, peer| acceptance.hand_over(raw, peer, conns.clone())).await;
        });
    }
    serve(incoming, routes, &ending, None).await
}

/// Serves any number of hosts on listeners of our own, until told to end.
///
/// # Errors
/// When the server ends by itself.
pub async fn attached(
    listeners: Vec<(Bound, Option<ServerTls>)>,
    settings: &Settings,
    ending: Arc<Ending>,
    routes: impl FnOnce(Arc<Brokers>) -> Routes,
) -> Result<(), ServeError> {
    let wiring = Wiring { environment: Environment::default(), tls: None, session: Arc::default() };
    let brokers = Arc::new(Brokers::new(wiring));
    let routes = complete(routes(Arc::clone(&brokers)), &brokers, &ending, settings).await?;
    let (conns, incoming) = mpsc::channel(256);
    for (bound, tls) in listeners {
        let acceptance = Acceptance { surface: Surface::Attached, tls, parent: None, room: None };
        let conns = conns.clone();
        tokio::spawn(async move {
            listener::accept(&bound, &acceptance, |raw, peer| acceptance.hand_over(raw, peer, conns.clone())).await;
        });
    }
    drop(conns);
    let told = Arc::clone(&ending);
    tokio::spawn(async move {
        if end::until_told_to_end().await.is_ok() {
            told.flush_then_exit().await;
        }
    });
    serve(incoming, routes, &ending, Some((Duration::from_secs(30), Duration::from_secs(20)))).await
}

async fn serve(
    incoming: mpsc::Receiver<Conn>,
    routes: Routes,
    ending: &Arc<Ending>,
    keepalive: Option<(Duration, Duration)>,
) -> Result<(), ServeError> {
    let mut server = Server::builder()
        // A burst of the host's own deadlines must not cost the connection, and with it the broker (section 6.6).
        .http2_max_pending_accept_reset_streams(Some(100_000))
        .max_concurrent_streams(Some(MAX_STREAMS))
        .http2_max_header_list_size(Some(1 << 20));
    if let Some((every, patience)) = keepalive {
        server = server.http2_keepalive_interval(Some(every)).http2_keepalive_timeout(Some(patience));
    }
    let conns = ReceiverStream::new(incoming).map(Ok::<_, io::Error>);
    let closing = ending.closing().clone().cancelled_owned();
    server.add_routes(routes).serve_with_incoming_shutdown(conns, closing).await?;
    // The exit timer takes it from here: open connections must not keep the process.
    std::future::pending().await
}

/// Adds what every plugin has to the application's services.
async fn complete(
    routes: Routes,
    brokers: &Arc<Brokers>,
    ending: &Arc<Ending>,
    settings: &Settings,
) -> Result<Routes, ServeError> {
    let closing = ending.closing().clone();
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status("plugin", tonic_health::ServingStatus::Serving).await;
    let mut routes = routes
        .add_service(GrpcBrokerServer::new(BrokerService { brokers: Arc::clone(brokers), closing: closing.clone() }))
        .add_service(GrpcStdioServer::new(StdioService { closing }))
        .add_service(GrpcControllerServer::new(ControllerService { ending: Arc::clone(ending) }))
        .add_service(health);
    if settings.reflection {
        let described = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(crate::pb::FULL_DESCRIPTOR_SET)
            .build_v1()
            .map_err(ServeError::Reflection)?;
        routes = routes.add_service(described);
    }
    Ok(routes)
}

/// The first connection carries all others. When it ends, this plugin is dead for its host, which never makes
/// another.
async fn accept_multiplexed(
    bound: Bound,
    acceptance: Acceptance,
    slot: Arc<std::sync::Mutex<Option<Session>>>,
    conns: mpsc::Sender<Conn>,
    ending: Arc<Ending>,
) {
    let (main, mut streams) = mpsc::channel(256);
    let (first, mut firsts) = mpsc::channel(16);
    let accepting = acceptance.clone();
    tokio::spawn(async move {
        listener::accept(&bound, &accepting, |raw, peer| {
            let _ = first.try_send((raw, peer));
        })
        .await;
    });
    let Some((raw, peer)) = firsts.recv().await else { return };
    let (session, mut driver) = Session::over(raw, main);
    *lock(&slot) = Some(session);
    loop {
        tokio::select! {
            stream = streams.recv() => match stream {
                Some(raw) => acceptance.hand_over(raw, peer, conns.clone()),
                None => break,
            },
            // Whoever else connects is not our host: the connection is dropped.
            _ = firsts.recv() => {}
            _ = &mut driver => break,
        }
    }
    tracing::info!("the multiplexed session has ended; the host cannot come back");
    ending.flush_then_exit().await;
}
