//! The host's end of the broker: what each side announces, and how the other reaches it (go-plugin-wire 6).
//!
//! Ids count from 1 on each side by itself. Without multiplexing an announcement is an address; with it, a
//! knock that is answered before a stream is opened. The stream is opened once and never again. Serving
//! is in [`super::broker_serve`].

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use super::handshake::Address;
use super::identity::Tls;
use super::mux::Session;
use super::wire::{self, Wire};
use crate::pb::full::plugin::ConnInfo;
use crate::pb::full::plugin::conn_info::Knock;
use crate::pb::full::plugin::grpc_broker_client::GrpcBrokerClient;

/// How long Go waits for an announcement or for the answer to a knock.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why the broker could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The stream has ended, or never stood.
    #[error("the broker is closed")]
    Closed,
    /// Nothing is known of the id within five seconds.
    #[error("timeout waiting for connection info of {0}")]
    Unknown(u32),
    /// The plugin refused a knock.
    #[error("the plugin refused {id}: {reason}")]
    Refused {
        /// The id knocked at.
        id: u32,
        /// The plugin's words.
        reason: String,
    },
    /// No listener, or no connection.
    #[error("broker connection of {id}")]
    Io {
        /// The id concerned.
        id: u32,
        /// What failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The broker of one connection. Clones are the same broker.
#[derive(Clone)]
pub struct Broker {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    out: mpsc::Sender<ConnInfo>,
    infos: watch::Sender<HashMap<u32, ConnInfo>>,
    /// Our ids that take multiplexed streams.
    pub(super) listeners: Mutex<HashMap<u32, mpsc::Sender<Wire>>>,
    knocks: Mutex<HashMap<u32, oneshot::Sender<String>>>,
    /// Knocks and the streams that follow them come strictly one after another.
    turn: tokio::sync::Mutex<()>,
    last_id: AtomicU32,
    pub(super) session: Option<Session>,
    pub(super) tls: Option<Tls>,
    pub(super) dir: PathBuf,
    pub(super) closed: CancellationToken,
}

impl Broker {
    /// Opens the stream in the background, as Go does.
    pub(super) fn start(channel: Channel, session: Option<Session>, tls: Option<Tls>, dir: PathBuf) -> Self {
        let (out, outbound) = mpsc::channel(64);
        let closed = CancellationToken::new();
        let shared = Arc::new(Shared {
            out,
            infos: watch::Sender::new(HashMap::new()),
            listeners: Mutex::default(),
            knocks: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            last_id: AtomicU32::new(0),
            session,
            tls,
            dir,
            closed: closed.clone(),
        });
        let receiver = Arc::clone(&shared);
        tokio::spawn(async move {
            let reading = async {
                let mut client = GrpcBrokerClient::new(channel);
                let Ok(answer) = client.start_stream(ReceiverStream::new(outbound)).await else { return };
                let mut inbound = answer.into_inner();
                while let Ok(Some(info)) = inbound.message().await {
                    receiver.take(info).await;
                }
            };
            tokio::select! {
                () = reading => closed.cancel(),
                () = closed.cancelled() => {}
            }
        });
        Self { shared }
    }

    /// The next id of ours.
    pub fn next_id(&self) -> u32 {
        self.shared.last_id.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    /// Whether the stream stands, as far as is known.
    pub fn is_open(&self) -> bool {
        !self.shared.closed.is_cancelled()
    }

    /// Ends the stream and stops what is served here, as the first step of Kill does.
    pub fn close(&self) {
        self.shared.closed.cancel();
        lock(&self.shared.listeners).clear();
    }

    /// Ids that the plugin has announced.
    pub fn announced(&self) -> Vec<u32> {
        self.shared.infos.borrow().keys().copied().collect()
    }

    /// Connects to a service that the plugin offers.
    ///
    /// # Errors
    /// When the plugin has not announced `id` within five seconds, refuses it, or cannot be reached.
    pub async fn dial(&self, id: u32) -> Result<Channel, BrokerError> {
        let shared = Arc::clone(&self.shared);
        if shared.session.is_none() {
            shared.announcement(id).await?;
        }
        let secure = shared.tls.is_some();
        let connect = move || {
            let shared = Arc::clone(&shared);
            async move {
                let wire = match &shared.session {
                    Some(session) => shared.knock(id, session).await,
                    None => shared.dial_announced(id).await,
                };
                wire.map_err(io::Error::other)?.secured(shared.tls.as_ref()).await
            }
        };
        let io = |source: tonic::transport::Error| BrokerError::Io { id, source: source.into() };
        wire::channel(secure, connect).await.map_err(io)
    }
}

impl Shared {
    pub(super) async fn send(&self, info: ConnInfo) -> Result<(), BrokerError> {
        tokio::select! {
            sent = self.out.send(info) => sent.map_err(|_| BrokerError::Closed),
            () = self.closed.cancelled() => Err(BrokerError::Closed),
        }
    }

    async fn take(&self, info: ConnInfo) {
        let id = info.service_id;
        match &info.knock {
            Some(knock) if knock.ack => {
                if let Some(waiting) = lock(&self.knocks).remove(&id) {
                    let _ = waiting.send(knock.error.clone());
                }
            }
            Some(_) => {
                let listener = lock(&self.listeners).get(&id).cloned();
                let error = match (listener, &self.session) {
                    (Some(listener), Some(session)) => {
                        session.expect(listener);
                        String::new()
                    }
                    _ => format!("no listener for id {id}"),
                };
                let knock = Some(Knock { knock: true, ack: true, error });
                let _ = self.send(ConnInfo { service_id: id, knock, ..ConnInfo::default() }).await;
            }
            None => self.infos.send_modify(|infos| {
                infos.insert(id, info);
            }),
        }
    }

    async fn announcement(&self, id: u32) -> Result<ConnInfo, BrokerError> {
        let mut infos = self.infos.subscribe();
        let found = tokio::time::timeout(PATIENCE, infos.wait_for(|infos| infos.contains_key(&id))).await;
        let found = found.ok().and_then(Result::ok).and_then(|infos| infos.get(&id).cloned());
        found.ok_or(BrokerError::Unknown(id))
    }

    async fn dial_announced(&self, id: u32) -> Result<Wire, BrokerError> {
        let info = self.announcement(id).await?;
        let io = |source: Box<dyn std::error::Error + Send + Sync>| BrokerError::Io { id, source };
        let address = Address::parse(&info.network, &info.address).map_err(|e| io(e.into()))?;
        Wire::dial(&address).await.map_err(|e| io(e.into()))
    }

    async fn knock(&self, id: u32, session: &Session) -> Result<Wire, BrokerError> {
        let _turn = self.turn.lock().await;
        let (answer, answered) = oneshot::channel();
        lock(&self.knocks).insert(id, answer);
        let knock = Some(Knock { knock: true, ..Knock::default() });
        self.send(ConnInfo { service_id: id, knock, ..ConnInfo::default() }).await?;
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(reason)) if !reason.is_empty() => Err(BrokerError::Refused { id, reason }),
            Ok(Ok(_)) => session.open().await.map_err(|source| BrokerError::Io { id, source: source.into() }),
            Ok(Err(_)) => Err(BrokerError::Closed),
            Err(_) => Err(BrokerError::Unknown(id)),
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
