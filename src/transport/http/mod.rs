//! The HTTP side of `serve`: a listener of its own, bounded in connections and time. [`ops`] is what it answers.

pub mod oauth;
pub mod ops;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use crate::transport::go_plugin::conn::Raw;
use crate::transport::go_plugin::listener::{Bound, ServerTls};
use crate::transport::oauth::Channel;

/// Connections at once, over all listeners; more wait to be accepted.
const CONNECTIONS: usize = 64;
/// How long the headers of a request may take.
const HEADERS_LIMIT: Duration = Duration::from_secs(5);
/// How long a connection may take, whoever is slow: asking, we, or reading the answer. Its TLS is part of it.
const CONNECTION_LIMIT: Duration = Duration::from_secs(10);
/// Bytes of a request's headers at most; hyper's own least.
const MAX_HEADERS: usize = 8 * 1024;

/// Whose request it is: goes with each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// The other end's address.
    pub address: Option<IpAddr>,
    /// Whether it came over TLS.
    pub tls: bool,
}

impl Peer {
    fn of(raw: &Raw, tls: bool) -> Self {
        let address = match raw {
            Raw::Tcp(stream) => stream.peer_addr().ok(),
            Raw::Unix(_) | Raw::Mux(_) => None,
        };
        Self { address: address.map(|address| address.ip().to_canonical()), tls }
    }

    fn is_here(self) -> bool {
        self.address.is_some_and(|address| address.to_canonical().is_loopback())
    }

    /// Who else can read what it sends.
    pub fn channel(self) -> Channel {
        match self.tls {
            _ if self.is_here() => Channel::Loopback,
            true => Channel::Tls,
            false => Channel::Plain,
        }
    }
}

/// What is answered, by who asks.
#[derive(Clone)]
pub struct Routers {
    /// On this machine, and on addresses that the configuration permits in the clear.
    pub here: Router,
    /// Over TLS from elsewhere: whoever reaches that listener is not to read metrics.
    pub outside: Router,
}

/// An address, and how TLS is spoken there, if it is.
pub type Listener = (Bound, Option<ServerTls>);

/// Answers until the process ends.
pub async fn serve(listeners: Vec<Listener>, routers: Routers) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let all = listeners.into_iter().map(|listener| accept(listener, routers.clone(), Arc::clone(&room)));
    futures::future::join_all(all).await;
}

async fn accept((bound, tls): Listener, routers: Routers, room: Arc<Semaphore>) {
    while let Ok(place) = Arc::clone(&room).acquire_owned().await {
        let raw = bound.next().await;
        let peer = Peer::of(&raw, tls.is_some());
        let router = if peer.channel() == Channel::Tls { &routers.outside } else { &routers.here };
        let (router, tls) = (router.clone(), tls.as_ref().map(|tls| tls.load_full()));
        let answered = async move {
            match tls {
                None => answer(raw, peer, router).await,
                Some(tls) => match TlsAcceptor::from(tls).accept(raw).await {
                    Ok(secured) => answer(secured, peer, router).await,
                    Err(error) => tracing::debug!(%error, "refused a TLS handshake for HTTP"),
                },
            }
        };
        tokio::spawn(async move {
            let _ = tokio::time::timeout(CONNECTION_LIMIT, answered).await;
            drop(place);
        });
    }
}

async fn answer(wire: impl AsyncRead + AsyncWrite + Unpin, peer: Peer, router: Router) {
    // One request a connection: nobody keeps a place by idling.
    let mut builder = http1::Builder::new();
    builder
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_LIMIT)
        .max_header_size(MAX_HEADERS)
        .max_buf_size(MAX_HEADERS);
    let marked = tower::ServiceExt::map_request(router, move |request: http::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        request
    });
    // Whoever was too slow, or sent what is no HTTP, is none of anybody's business.
    let _ = builder.serve_connection(TokioIo::new(wire), TowerToHyperService::new(marked)).await;
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;
    use crate::transport::go_plugin::handshake::Address;
    use crate::transport::go_plugin::listener;

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_the_answer_keeps_no_place() {
        const LARGE: usize = 64 << 20;
        let router = Router::new().route("/", get(async || "x".repeat(LARGE)));
        let bound = listener::bind_tcp(([127, 0, 0, 1], 0).into()).await.unwrap();
        let Address::Tcp(address) = bound.address() else { panic!("tcp") };
        let routers = Routers { here: router, outside: Router::new() };
        tokio::spawn(serve(vec![(bound, None)], routers));
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        // It has begun to answer.
        assert_eq!(client.read(&mut [0]).await.unwrap(), 1);
        tokio::time::sleep(CONNECTION_LIMIT + HEADERS_LIMIT).await;
        let mut rest = Vec::new();
        let _ = client.read_to_end(&mut rest).await;
        assert!(rest.len() < LARGE, "{}", rest.len());
    }
}
