//! The HTTP side of `serve`: a listener of its own, bounded in connections and time. [`ops`] is what it answers.

pub mod ops;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::Semaphore;

use crate::transport::go_plugin::listener::Bound;

/// Connections at once, over all listeners; more wait to be accepted.
const CONNECTIONS: usize = 64;
/// How long the headers of a request may take.
const HEADERS_LIMIT: Duration = Duration::from_secs(5);
/// How long a connection may take, whoever is slow: asking, we, or reading the answer.
const CONNECTION_LIMIT: Duration = Duration::from_secs(10);
/// Bytes of a request's headers at most; hyper's own least.
const MAX_HEADERS: usize = 8 * 1024;

/// Answers until the process ends.
pub async fn serve(listeners: Vec<Bound>, router: Router) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let all = listeners.into_iter().map(|bound| accept(bound, router.clone(), Arc::clone(&room)));
    futures::future::join_all(all).await;
}

async fn accept(bound: Bound, router: Router, room: Arc<Semaphore>) {
    // One request a connection: nobody keeps a place by idling.
    let mut builder = http1::Builder::new();
    builder
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_LIMIT)
        .max_header_size(MAX_HEADERS)
        .max_buf_size(MAX_HEADERS);
    while let Ok(place) = Arc::clone(&room).acquire_owned().await {
        let raw = bound.next().await;
        let answered = builder.serve_connection(TokioIo::new(raw), TowerToHyperService::new(router.clone()));
        tokio::spawn(async move {
            // Whoever was too slow, or sent what is no HTTP, is none of anybody's business.
            let _ = tokio::time::timeout(CONNECTION_LIMIT, answered).await;
            drop(place);
        });
    }
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
        tokio::spawn(serve(vec![bound], router));
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
