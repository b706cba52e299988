//! The services that every go-plugin server has beside its own: broker, stdio, controller (sections 5 to 8).

use std::pin::Pin;
use std::sync::Arc;

use tokio_stream::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::pb::full::plugin::grpc_broker_server::GrpcBroker;
use crate::pb::full::plugin::grpc_controller_server::GrpcController;
use crate::pb::full::plugin::grpc_stdio_server::GrpcStdio;
use crate::pb::full::plugin::{ConnInfo, Empty, StdioData};
use crate::transport::go_plugin::broker::Brokers;
use crate::transport::go_plugin::conn::{PeerInfo, Surface};
use crate::transport::go_plugin::end::Ending;

/// The peer of a request; of nobody in particular where the connection said nothing.
pub fn peer<T>(request: &Request<T>) -> Option<PeerInfo> {
    request.extensions().get::<PeerInfo>().copied()
}

/// `GRPCBroker`.
pub struct BrokerService {
    pub(super) brokers: Arc<Brokers>,
    pub(super) closing: CancellationToken,
}

type BoxStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl GrpcBroker for BrokerService {
    type StartStreamStream = BoxStream<ConnInfo>;

    async fn start_stream(
        &self,
        request: Request<Streaming<ConnInfo>>,
    ) -> Result<Response<Self::StartStreamStream>, Status> {
        let connection = peer(&request).map_or(0, |peer| peer.connection);
        let (broker, outbound) = self.brokers.open(connection);
        let (mut inbound, closing) = (request.into_inner(), self.closing.clone());
        let drained = closing.clone();
        // Always drained: unread data would eat the connection's flow-control window.
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    next = inbound.message() => match next {
                        Ok(Some(info)) => broker.take(info).await,
                        _ => break,
                    },
                    () = drained.cancelled() => break,
                }
            }
            tracing::debug!(connection, "the broker stream has ended; what it announced is kept");
        });
        let outbound = futures::StreamExt::take_until(outbound, closing.cancelled_owned());
        Ok(Response::new(Box::pin(outbound)))
    }
}

/// `GRPCStdio`: a stream that stays open and says nothing. Nothing of ours is written to stdout, and stderr is the
/// host's to read directly.
pub struct StdioService {
    pub(super) closing: CancellationToken,
}

#[tonic::async_trait]
impl GrpcStdio for StdioService {
    type StreamStdioStream = BoxStream<StdioData>;

    async fn stream_stdio(&self, _: Request<()>) -> Result<Response<Self::StreamStdioStream>, Status> {
        let silence = tokio_stream::pending::<Result<StdioData, Status>>();
        let silence = futures::StreamExt::take_until(silence, self.closing.clone().cancelled_owned());
        Ok(Response::new(Box::pin(silence.map(|item| item))))
    }
}

/// `GRPCController`: the host's Kill.
pub struct ControllerService {
    pub(super) ending: Arc<Ending>,
}

#[tonic::async_trait]
impl GrpcController for ControllerService {
    async fn shutdown(&self, request: Request<Empty>) -> Result<Response<Empty>, Status> {
        match peer(&request).map(|peer| peer.surface) {
            // One host of several is leaving; the server is not its to end (host contract 1.7).
            Some(Surface::Attached | Surface::Admin) => tracing::info!("a host says good-bye"),
            _ => self.ending.flush_then_exit().await,
        }
        Ok(Response::new(Empty {}))
    }
}
