//! The host's end of connection multiplexing: one yamux session over the first connection, each of its
//! streams a connection of its own (go-plugin-wire 6.4). The host is the yamux client.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use tokio::sync::{mpsc, oneshot};
use tokio_util::compat::{FuturesAsyncReadCompatExt as _, TokioAsyncReadCompatExt as _};
use tokio_util::task::AbortOnDropHandle;
use yamux::{Config, Connection, Mode};

use super::wire::Wire;

/// A session; ends when the last handle is dropped.
#[derive(Clone)]
pub(super) struct Session {
    opens: mpsc::Sender<oneshot::Sender<Wire>>,
    expected: Arc<Mutex<VecDeque<mpsc::Sender<Wire>>>>,
    _driver: Arc<AbortOnDropHandle<()>>,
}

impl Session {
    pub(super) fn over(wire: Wire) -> Self {
        let (opens, requests) = mpsc::channel(16);
        let expected = Arc::new(Mutex::new(VecDeque::new()));
        let connection = Connection::new(wire.compat(), Config::default(), Mode::Client);
        let driver = tokio::spawn(drive(connection, requests, Arc::clone(&expected)));
        Self { opens, expected, _driver: Arc::new(AbortOnDropHandle::new(driver)) }
    }

    /// Opens a stream to the plugin.
    pub(super) async fn open(&self) -> io::Result<Wire> {
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        let (answer, stream) = oneshot::channel();
        self.opens.send(answer).await.map_err(|_| gone())?;
        stream.await.map_err(|_| gone())
    }

    /// The plugin's next stream goes to `listener`. Each positive ack is followed by exactly one stream.
    pub(super) fn expect(&self, listener: mpsc::Sender<Wire>) {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner).push_back(listener);
    }
}

/// A yamux connection lives only while it is polled, for streams in and out alike.
async fn drive(
    mut connection: Connection<tokio_util::compat::Compat<Wire>>,
    mut requests: mpsc::Receiver<oneshot::Sender<Wire>>,
    expected: Arc<Mutex<VecDeque<mpsc::Sender<Wire>>>>,
) {
    let mut waiting: VecDeque<oneshot::Sender<Wire>> = VecDeque::new();
    std::future::poll_fn(|cx| {
        loop {
            while let Poll::Ready(request) = requests.poll_recv(cx) {
                match request {
                    Some(answer) => waiting.push_back(answer),
                    None => return Poll::Ready(()),
                }
            }
            if !waiting.is_empty()
                && let Poll::Ready(opened) = connection.poll_new_outbound(cx)
            {
                let (Ok(stream), Some(answer)) = (opened, waiting.pop_front()) else { return Poll::Ready(()) };
                // Nobody waiting any more: the stream is dropped, which closes it.
                let _ = answer.send(Wire::new(stream.compat()));
                continue;
            }
            match connection.poll_next_inbound(cx) {
                Poll::Ready(Some(Ok(stream))) => {
                    let listener = expected.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    if let Some(listener) = listener {
                        let _ = listener.try_send(Wire::new(stream.compat()));
                    }
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
}
