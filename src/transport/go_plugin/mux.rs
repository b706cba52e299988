//! Our end of connection multiplexing (section 6.4): one yamux session over the host's first connection, each of
//! its streams a connection of its own. The host is the yamux client, we are the server.
//!
//! An inbound stream goes to the main server, unless the host knocked at an id of ours before: each positive
//! answer to a knock is followed by exactly one stream, in order.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use tokio::sync::{mpsc, oneshot};
use tokio_util::compat::{FuturesAsyncReadCompatExt as _, TokioAsyncReadCompatExt as _};
use yamux::{Config, Connection, Mode};

use crate::transport::go_plugin::conn::Raw;

/// A handle on the session. The session ends with the host's connection.
#[derive(Clone)]
pub struct Session {
    opens: mpsc::Sender<oneshot::Sender<Raw>>,
    expected: Arc<Mutex<VecDeque<mpsc::Sender<Raw>>>>,
}

impl Session {
    /// Runs a session over `raw`; streams that nobody knocked for go to `main`. The second value ends when the session
    /// does.
    pub fn over(raw: Raw, main: mpsc::Sender<Raw>) -> (Self, tokio::task::JoinHandle<()>) {
        let (opens, requests) = mpsc::channel(16);
        let expected = Arc::default();
        let connection = Connection::new(raw.compat(), Config::default(), Mode::Server);
        let driver = tokio::spawn(drive(connection, requests, Arc::clone(&expected), main));
        (Self { opens, expected }, driver)
    }

    /// Opens a stream to the host.
    ///
    /// # Errors
    /// When the session is over.
    pub async fn open(&self) -> io::Result<Raw> {
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        let (answer, stream) = oneshot::channel();
        self.opens.send(answer).await.map_err(|_| gone())?;
        stream.await.map_err(|_| gone())
    }

    /// The host's next stream is for this listener. To be called before the knock is answered.
    pub fn expect(&self, listener: mpsc::Sender<Raw>) {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner).push_back(listener);
    }
}

/// A yamux connection lives only while it is polled, for streams in and out alike.
async fn drive(
    mut connection: Connection<tokio_util::compat::Compat<Raw>>,
    mut requests: mpsc::Receiver<oneshot::Sender<Raw>>,
    expected: Arc<Mutex<VecDeque<mpsc::Sender<Raw>>>>,
    main: mpsc::Sender<Raw>,
) {
    let mut waiting: VecDeque<oneshot::Sender<Raw>> = VecDeque::new();
    let mut asking = true;
    std::future::poll_fn(|cx| {
        loop {
            while asking {
                match requests.poll_recv(cx) {
                    Poll::Ready(Some(answer)) => waiting.push_back(answer),
                    // No handle is left that could ask; the host's streams go on.
                    Poll::Ready(None) => asking = false,
                    Poll::Pending => break,
                }
            }
            if !waiting.is_empty()
                && let Poll::Ready(opened) = connection.poll_new_outbound(cx)
            {
                let (Ok(stream), Some(answer)) = (opened, waiting.pop_front()) else { return Poll::Ready(()) };
                // Nobody waits any more: dropping the stream closes it, as the rule of one stream for
                // one answer demands.
                let _ = answer.send(Raw::Mux(stream.compat()));
                continue;
            }
            match connection.poll_next_inbound(cx) {
                Poll::Ready(Some(Ok(stream))) => {
                    let listener = expected.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let _ = listener.as_ref().unwrap_or(&main).try_send(Raw::Mux(stream.compat()));
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
}
