//! The host's event bus: keeps nothing, and drops what a slow subscriber does not take (host contract 4.7).

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use latchkey::pb::full::plugin_events as pb;
use pb::plugin_event_service_server::PluginEventService;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};

type Subscriber = (String, mpsc::Sender<Result<pb::EventMessage, Status>>);

/// The bus of one host.
#[derive(Clone, Default)]
pub struct Bus {
    subscribers: Arc<Mutex<Vec<Subscriber>>>,
}

impl Bus {
    /// Sends an event of the host itself; to how many it went.
    pub fn emit(&self, topic: &str, payload: &serde_json::Value) -> usize {
        let mut told = 0;
        self.subscribers.lock().unwrap().retain(|(wanted, to)| {
            if !wanted.is_empty() && wanted != topic {
                return !to.is_closed();
            }
            let event = pb::EventMessage {
                id: "evt".to_owned(),
                topic: topic.to_owned(),
                origin: "studio".to_owned(),
                direction: 0,
                payload: payload.to_string().into_bytes(),
            };
            told += usize::from(to.try_send(Ok(event)).is_ok());
            !to.is_closed()
        });
        told
    }

    /// How many listen.
    pub fn subscribers(&self) -> usize {
        self.subscribers.lock().unwrap().iter().filter(|(_, to)| !to.is_closed()).count()
    }

    /// Ends all streams: what was sent meanwhile is lost.
    pub fn cut(&self) {
        self.subscribers.lock().unwrap().clear();
    }
}

#[tonic::async_trait]
impl PluginEventService for Bus {
    type SubscribeStream = Pin<Box<dyn Stream<Item = Result<pb::EventMessage, Status>> + Send>>;

    async fn publish(&self, _: Request<pb::PublishRequest>) -> Result<Response<pb::PublishResponse>, Status> {
        Err(Status::unimplemented("nobody publishes"))
    }

    async fn subscribe(
        &self,
        request: Request<pb::SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let request = request.into_inner();
        let topic = if request.subscribe_all { String::new() } else { request.topic };
        let (to, mut events) = mpsc::channel(100);
        self.subscribers.lock().unwrap().push((topic, to));
        // As grpc-go does: the answer begins with the first event.
        let first = events.recv().await;
        Ok(Response::new(Box::pin(tokio_stream::iter(first).chain(ReceiverStream::new(events)))))
    }

    async fn unsubscribe(
        &self,
        _: Request<pb::UnsubscribeRequest>,
    ) -> Result<Response<pb::UnsubscribeResponse>, Status> {
        Ok(Response::new(pb::UnsubscribeResponse { success: true, error_message: String::new() }))
    }
}
