//! One connection, whatever it runs over: a unix or TCP socket or a multiplexed stream, with TLS or without.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tonic::transport::server::Connected;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

use super::handshake::Address;
use super::identity::Tls;

/// What the connection does; boxed, because a host has few.
trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection.
pub(super) struct Wire(Box<dyn Duplex>);

impl Wire {
    pub(super) fn new(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self(Box::new(io))
    }

    /// Connects to an address, without TLS.
    pub(super) async fn dial(address: &Address) -> io::Result<Self> {
        match address {
            Address::Unix(path) => UnixStream::connect(path).await.map(Self::new),
            Address::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Ok(Self::new(stream))
            }
        }
    }

    /// As the TLS client, if there is TLS.
    pub(super) async fn secured(self, tls: Option<&Tls>) -> io::Result<Self> {
        let Some(tls) = tls else { return Ok(self) };
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let stream = TlsConnector::from(tls.client.clone()).connect(name, self).await?;
        require_h2(stream.get_ref().1.alpn_protocol())?;
        Ok(Self::new(stream))
    }

    /// As the TLS server, if there is TLS.
    pub(super) async fn accepted(self, tls: Option<&Tls>) -> io::Result<Self> {
        let Some(tls) = tls else { return Ok(self) };
        let stream = TlsAcceptor::from(tls.server.clone()).accept(self).await?;
        require_h2(stream.get_ref().1.alpn_protocol())?;
        Ok(Self::new(stream))
    }
}

/// grpc-go since 1.67 refuses peers that did not choose a protocol.
fn require_h2(chosen: Option<&[u8]>) -> io::Result<()> {
    match chosen {
        Some(b"h2") => Ok(()),
        _ => Err(io::Error::other("the peer did not select the protocol h2")),
    }
}

/// A gRPC channel whose connections `dial` makes, again and again as needed. The authority is what grpc-go
/// sends through a custom dialer (go-plugin-wire 10).
pub(super) async fn channel<D, F>(secure: bool, dial: D) -> Result<Channel, tonic::transport::Error>
where
    D: Fn() -> F + Send + Clone + 'static,
    F: Future<Output = io::Result<Wire>> + Send + 'static,
{
    let endpoint = Endpoint::from_static(if secure { "http://localhost" } else { "http://unused" });
    let connector = service_fn(move |_: Uri| {
        let wire = dial();
        async move { wire.await.map(TokioIo::new) }
    });
    endpoint.connect_with_connector(connector).await
}

impl Connected for Wire {
    type ConnectInfo = ();
    fn connect_info(&self) {}
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
