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
