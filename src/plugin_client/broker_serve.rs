//! What the host serves to the plugin: one listener an id, announced or knocked at (go-plugin-wire 6.2, 6.4).

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;

use super::broker::{Broker, BrokerError, Shared, lock};
use super::wire::Wire;
use crate::pb::full::plugin::ConnInfo;

/// A TLS handshake that takes longer is given up.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

impl Broker {
    /// Serves `routes` under an id of ours until the broker closes. Returns when the plugin has been told, or,
    /// with multiplexing, could find out.
    ///
    /// # Errors
    /// When no listener can be made, or the broker is closed.
    pub async fn serve(&self, id: u32, routes: Routes) -> Result<(), BrokerError> {
        let shared = Arc::clone(&self.shared);
        let (connections, incoming) = mpsc::channel::<Wire>(16);
        let served = ReceiverStream::new(incoming).map(Ok::<_, io::Error>);
        let closed = shared.closed.clone();
        tokio::spawn(
            tonic::transport::Server::builder()
                .add_routes(routes)
                .serve_with_incoming_shutdown(served, closed.cancelled_owned()),
        );
        if shared.session.is_some() {
            let (streams, raw) = mpsc::channel(16);
            tokio::spawn(hand_over(raw, connections, Arc::clone(&shared)));
            lock(&shared.listeners).insert(id, streams);
            return Ok(());
        }
        let io = |source: io::Error| BrokerError::Io { id, source: source.into() };
        let path = shared.dir.join(format!("plugin{}", RandomState::new().build_hasher().finish()));
        let listener = UnixListener::bind(&path).map_err(io)?;
        let info = ConnInfo {
            service_id: id,
            network: "unix".to_owned(),
            address: path.display().to_string(),
            ..ConnInfo::default()
        };
        let (streams, raw) = mpsc::channel(16);
        tokio::spawn(hand_over(raw, connections, Arc::clone(&shared)));
        tokio::spawn(accept(listener, Unlinked(path), streams, Arc::clone(&shared)));
        shared.send(info).await
    }
}

/// Removes the socket file however the listener ends.
struct Unlinked(PathBuf);

impl Drop for Unlinked {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn accept(listener: UnixListener, file: Unlinked, streams: mpsc::Sender<Wire>, shared: Arc<Shared>) {
    let _file = file;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.closed.cancelled() => return,
        };
        if let Ok((stream, _)) = accepted
            && streams.send(Wire::new(stream)).await.is_err()
        {
            return;
        }
    }
}

/// Secures each connection in a task of its own, so that a slow one holds up nobody.
async fn hand_over(mut raw: mpsc::Receiver<Wire>, connections: mpsc::Sender<Wire>, shared: Arc<Shared>) {
    while let Some(wire) = raw.recv().await {
        let (connections, tls) = (connections.clone(), shared.tls.clone());
        tokio::spawn(async move {
            if let Ok(Ok(wire)) = tokio::time::timeout(HANDSHAKE_LIMIT, wire.accepted(tls.as_ref())).await {
                let _ = connections.send(wire).await;
            }
        });
    }
}
