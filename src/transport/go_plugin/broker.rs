//! The broker: what each side announces to the other, and how it is reached (section 6).
//!
//! One [`Broker`] for each stream that a host opened, kept by the number of the connection it came over. What the
//! host announced stays good after the stream has ended: its listeners live on. Ids of the two sides are
//! counted apart.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_rustls::TlsConnector;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::pb::full::plugin::ConnInfo;
use crate::pb::full::plugin::conn_info::Knock;
use crate::transport::go_plugin::conn::{Conn, PeerInfo, Raw};
use crate::transport::go_plugin::environment::Environment;
use crate::transport::go_plugin::listener::{self, Acceptance, ListenError};
use crate::transport::go_plugin::mux::Session;
use crate::transport::go_plugin::tls::AutoMtls;

/// How long to wait for the answer to a knock, as Go does.
const KNOCK_LIMIT: Duration = Duration::from_secs(5);
/// Announcements remembered of one host; more is not a host.
const MOST_ANNOUNCED: usize = 4_096;

/// Why a brokered connection could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// No host has opened a broker stream.
    #[error("no host has opened a broker stream")]
    NoHost,
    /// The host did not announce the id in time.
    #[error("the host did not announce service {id} in time")]
    NotAnnounced {
        /// Which.
        id: u32,
    },
    /// The host answered a knock with a refusal, or not at all.
    #[error("the host does not serve {id}: {reason}")]
    Refused {
        /// Which.
        id: u32,
        /// Its words.
        reason: String,
    },
    /// The stream to the host has ended: nothing new can be announced.
    #[error("the broker stream has ended")]
    Ended,
    /// Nothing could be made to listen.
    #[error("cannot offer a service")]
    Listen(#[from] ListenError),
    /// The connection failed; in attach mode across machines it always does.
    #[error("cannot connect to service {id} of the host")]
    Connect {
        /// Which.
        id: u32,
        /// Why.
        #[source]
        source: tonic::transport::Error,
    },
}

/// What all brokers of a process share.
#[derive(Clone)]
pub struct Wiring {
    /// For the place and group of sockets.
    pub environment: Environment,
    /// The main connection's security, which brokered ones inherit (section 6.5).
    pub tls: Option<AutoMtls>,
    /// The multiplexed session, once the host has connected.
    pub session: Arc<Mutex<Option<Session>>>,
}

/// The broker streams of all hosts.
pub struct Brokers {
    wiring: Wiring,
    by_connection: Mutex<Vec<(u64, Arc<Broker>)>>,
}

impl Brokers {
    /// None yet.
    pub fn new(wiring: Wiring) -> Self {
        Self { wiring, by_connection: Mutex::default() }
    }

    /// The broker of a connection, else the newest: after a reconnect the host opens none anew.
    ///
    /// # Errors
    /// When no host has opened one.
    pub fn of(&self, connection: u64) -> Result<Arc<Broker>, BrokerError> {
        let brokers = lock(&self.by_connection);
        let own = brokers.iter().find(|(number, _)| *number == connection);
        own.or(brokers.last()).map(|(_, broker)| Arc::clone(broker)).ok_or(BrokerError::NoHost)
    }

    /// Starts a generation: a stream that a host just opened. Returns what is to be sent on it.
    pub(super) fn open(&self, connection: u64) -> (Arc<Broker>, ReceiverStream<Result<ConnInfo, tonic::Status>>) {
        let (out, outbound) = mpsc::channel(64);
        let broker = Arc::new(Broker {
            wiring: self.wiring.clone(),
            out,
            infos: watch::Sender::new(HashMap::new()),
            listeners: Mutex::default(),
            knocks: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            last_id: AtomicU32::new(0),
        });
        let mut brokers = lock(&self.by_connection);
        brokers.retain(|(number, _)| *number != connection);
        // Hosts come and go on an attached server: the oldest that is gone makes room.
        if brokers.len() >= 64 {
            brokers.remove(0);
        }
        brokers.push((connection, Arc::clone(&broker)));
        (broker, ReceiverStream::new(outbound))
    }
}

/// One host's broker stream.
pub struct Broker {
    wiring: Wiring,
    out: mpsc::Sender<Result<ConnInfo, tonic::Status>>,
    infos: watch::Sender<HashMap<u32, ConnInfo>>,
    listeners: Mutex<HashMap<u32, mpsc::Sender<Raw>>>,
    knocks: Mutex<HashMap<u32, oneshot::Sender<String>>>,
    /// Knocks and the streams that follow them come strictly one after another.
    turn: tokio::sync::Mutex<()>,
    last_id: AtomicU32,
}

impl Broker {
    /// Takes what the host sent.
    pub(super) async fn take(&self, info: ConnInfo) {
        let id = info.service_id;
        match &info.knock {
            Some(knock) if knock.ack => {
                if let Some(waiting) = lock(&self.knocks).remove(&id) {
                    let _ = waiting.send(knock.error.clone());
                }
            }
            Some(_) => {
                let (listener, session) = (lock(&self.listeners).get(&id).cloned(), self.session());
                let error = match (listener, session) {
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
                if infos.len() < MOST_ANNOUNCED || infos.contains_key(&id) {
                    infos.insert(id, info);
                }
            }),
        }
    }

    /// A channel to a service of the host, which reconnects by itself. Works as often as wanted for one id. The id may be known
    /// to us before its announcement is; that is waited for, at most until `limit`.
    ///
    /// # Errors
    /// When the host does not announce or serve it.
    pub async fn dial(self: &Arc<Self>, id: u32, limit: Duration) -> Result<Channel, BrokerError> {
        let broker = Arc::clone(self);
        let connector = tower::service_fn(move |_: Uri| {
            let broker = Arc::clone(&broker);
            async move {
                let raw = broker.reach(id, limit).await.map_err(io::Error::other)?;
                broker.secure(raw).await.map(TokioIo::new)
            }
        });
        if self.session().is_none() {
            self.announced(id, limit).await?;
        }
        // Go's own authority through a custom dialer; a path as authority would be refused by h2.
        let endpoint = Endpoint::from_static("http://localhost").connect_timeout(limit);
        endpoint.connect_with_connector(connector).await.map_err(|source| BrokerError::Connect { id, source })
    }

    async fn reach(&self, id: u32, limit: Duration) -> Result<Raw, BrokerError> {
        if let Some(session) = self.session() {
            return self.knock(id, &session).await;
        }
        // Resolved anew for each connection: the newest announcement wins.
        let info = self.announced(id, limit).await?;
        let refused = |error: io::Error| BrokerError::Refused { id, reason: error.to_string() };
        match info.network.as_str() {
            "unix" => UnixStream::connect(&info.address).await.map(Raw::Unix).map_err(refused),
            "tcp" => TcpStream::connect(&info.address).await.map(Raw::Tcp).map_err(refused),
            other => Err(BrokerError::Refused { id, reason: format!("unknown network {other}") }),
        }
    }

    async fn announced(&self, id: u32, limit: Duration) -> Result<ConnInfo, BrokerError> {
        let mut infos = self.infos.subscribe();
        let found = tokio::time::timeout(limit, infos.wait_for(|infos| infos.contains_key(&id))).await;
        let found = found.ok().and_then(Result::ok).and_then(|infos| infos.get(&id).cloned());
        found.ok_or(BrokerError::NotAnnounced { id })
    }

    async fn knock(&self, id: u32, session: &Session) -> Result<Raw, BrokerError> {
        let _turn = self.turn.lock().await;
        let (answer, answered) = oneshot::channel();
        lock(&self.knocks).insert(id, answer);
        let knock = Some(Knock { knock: true, ..Knock::default() });
        self.send(ConnInfo { service_id: id, knock, ..ConnInfo::default() }).await?;
        let refused = |reason: String| Err(BrokerError::Refused { id, reason });
        match tokio::time::timeout(KNOCK_LIMIT, answered).await {
            Ok(Ok(reason)) if reason.is_empty() => session.open().await.map_err(|_| BrokerError::Ended),
            Ok(Ok(reason)) => refused(reason),
            Ok(Err(_)) => Err(BrokerError::Ended),
            Err(_) => refused("no answer to the knock".to_owned()),
        }
    }

    async fn secure(&self, raw: Raw) -> io::Result<Box<dyn Duplex>> {
        let Some(tls) = &self.wiring.tls else { return Ok(Box::new(raw)) };
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let stream = TlsConnector::from(Arc::clone(&tls.client)).connect(name, raw).await?;
        Ok(Box::new(stream))
    }

    /// Offers a service of ours to the host under a fresh id, which the host is to be told by an answer of ours.
    /// Connections come out of the receiver until it is dropped.
    ///
    /// # Errors
    /// When nothing can be made to listen, or the host's stream has ended.
    pub async fn offer(&self) -> Result<(u32, mpsc::Receiver<Conn>), BrokerError> {
        // A fresh id for each announcement: a second one for an id in use can make the host panic.
        let id = self.last_id.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let (conns, incoming) = mpsc::channel(16);
        let acceptance = Acceptance {
            surface: crate::transport::go_plugin::Surface::Managed,
            tls: self.wiring.tls.as_ref().map(AutoMtls::server_tls),
            parent: rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get()),
            room: None,
        };
        if self.session().is_some() {
            let (raws, mut streams) = mpsc::channel(16);
            lock(&self.listeners).insert(id, raws);
            tokio::spawn(async move {
                while let Some(raw) = streams.recv().await {
                    if conns.is_closed() {
                        return;
                    }
                    acceptance.hand_over(raw, PEER_OF_MUX, conns.clone());
                }
            });
            return Ok((id, incoming));
        }
        let bound = listener::bind_for_host(&self.wiring.environment)?;
        let address = bound.address();
        let info =
            ConnInfo { service_id: id, network: address.network().to_owned(), address: address.text(), knock: None };
        tokio::spawn(async move {
            let to = conns.clone();
            tokio::select! {
                () = listener::accept(&bound, &acceptance, |raw, peer| acceptance.hand_over(raw, peer, to.clone())) => {}
                () = conns.closed() => {}
            }
        });
        self.send(info).await?;
        Ok((id, incoming))
    }

    async fn send(&self, info: ConnInfo) -> Result<(), BrokerError> {
        self.out.send(Ok(info)).await.map_err(|_| BrokerError::Ended)
    }

    fn session(&self) -> Option<Session> {
        lock(&self.wiring.session).clone()
    }
}

const PEER_OF_MUX: PeerInfo = PeerInfo {
    connection: 0,
    surface: crate::transport::go_plugin::Surface::Managed,
    pid: None,
    uid: None,
    is_parent: false,
    mutual_tls: false,
    certificate: None,
    remote: None,
};

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
