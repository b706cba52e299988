//! The listeners of admins: other sockets than those of hosts, with other services (rule R1).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
pub use tonic::service::Routes;
use tonic::transport::Server;

use crate::transport::go_plugin::Surface;
use crate::transport::go_plugin::end::Ending;
use crate::transport::go_plugin::listener::{self, Acceptance, Bound, ServerTls};
use crate::transport::go_plugin::serve::ServeError;

/// The service's name, as health checks ask for it.
const SERVICE: &str = "latchkey.admin.v1.AdminService";
/// Connections at once, over all listeners: they are people's and programs', not requests'.
const CONNECTIONS: usize = 64;
/// Calls at once on one connection.
const STREAMS: u32 = 256;
/// Bytes of a call's headers.
const HEADERS: u32 = 64 * 1024;
/// Bytes of a message about health or descriptions, which need no caller.
const ASKED: usize = 16 * 1024;

/// The services. Whoever may connect may see what there is: callers are admins.
///
/// # Errors
/// When the description cannot be published.
pub async fn routes() -> Result<Routes, ServeError> {
    let (reporter, health) = tonic_health::server::health_reporter();
    let described = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(crate::pb::ADMIN_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        // For clients that print the details of errors.
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(ServeError::Reflection)?
        .max_decoding_message_size(ASKED);
    reporter.set_service_status(SERVICE, tonic_health::ServingStatus::Serving).await;
    Ok(Routes::new(health.max_decoding_message_size(ASKED)).add_service(described))
}

/// Serves admins until the process ends.
///
/// # Errors
/// When the server ends by itself.
pub async fn serve(
    listeners: Vec<(Bound, Option<ServerTls>)>,
    ending: Arc<Ending>,
    routes: Routes,
) -> Result<(), ServeError> {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let (conns, incoming) = mpsc::channel(CONNECTIONS);
    for (bound, tls) in listeners {
        let acceptance = Acceptance { surface: Surface::Admin, tls, parent: None, room: Some(Arc::clone(&room)) };
        let conns = conns.clone();
        tokio::spawn(async move {
            listener::accept(&bound, &acceptance, |raw, peer| acceptance.hand_over(raw, peer, conns.clone())).await;
        });
    }
    drop(conns);
    let conns = ReceiverStream::new(incoming).map(Ok::<_, io::Error>);
    Server::builder()
        .max_concurrent_streams(Some(STREAMS))
        .http2_max_header_list_size(Some(HEADERS))
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)))
        .add_routes(routes)
        .serve_with_incoming_shutdown(conns, ending.closing().clone().cancelled_owned())
        .await?;
    Ok(())
}
