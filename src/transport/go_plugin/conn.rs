//! One connection, whatever it runs over, and what is known of the peer.
//!
//! An enum rather than a boxed trait, so that vectored writes reach the socket.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::server::TlsStream;
use tokio_util::compat::Compat;
use tonic::transport::server::Connected;

use crate::transport::tls_files::public_key_of;

/// How a connection came about; decides what is served on it (rule R1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Surface {
    /// To the socket of a process that a host started.
    Managed,
    /// To a listener of `serve`.
    Attached,
    /// To a listener for admins.
    Admin,
}

/// What is known of the other end. Travels with every request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PeerInfo {
    /// Numbers the connections of this process, from 1. Streams of one multiplexed connection share it.
    pub connection: u64,
    /// How it came about.
    pub surface: Surface,
    /// The peer's process, on unix sockets.
    pub pid: Option<i32>,
    /// The peer's user, on unix sockets.
    pub uid: Option<u32>,
    /// Whether that process is the one that started us.
    pub is_parent: bool,
    /// Whether the peer proved to have a certificate that we asked for and know: on managed surfaces the host's own, by
    /// `AutoMTLS`.
    pub mutual_tls: bool,
    /// SHA-256 of the public key (`SubjectPublicKeyInfo`, DER) of the certificate that the peer proved to have.
    pub certificate: Option<[u8; 32]>,
    /// The peer's address, on TCP.
    pub remote: Option<SocketAddr>,
}

/// A connection before TLS.
pub enum Raw {
    /// A unix socket.
    Unix(UnixStream),
    /// A TCP socket.
    Tcp(TcpStream),
    /// A stream of a multiplexed connection.
    Mux(Compat<yamux::Stream>),
}

/// A connection to serve.
pub struct Conn {
    io: Io,
    peer: PeerInfo,
    #[expect(dead_code, reason = "given back when the connection ends")]
    room: Option<OwnedSemaphorePermit>,
}

enum Io {
    Plain(Raw),
    Tls(Box<TlsStream<Raw>>),
}

impl Conn {
    /// Without TLS.
    pub fn plain(raw: Raw, peer: PeerInfo) -> Self {
        Self { io: Io::Plain(raw), peer, room: None }
    }

    /// After a TLS handshake. A certificate of the peer's is there only if it was asked for and verified.
    pub fn secured(stream: TlsStream<Raw>, peer: PeerInfo) -> Self {
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let (mutual_tls, certificate) = (certificate.is_some(), certificate.and_then(public_key_of));
        Self { io: Io::Tls(Box::new(stream)), peer: PeerInfo { mutual_tls, certificate, ..peer }, room: None }
    }

    /// Keeps its place among the connections that there may be.
    #[must_use]
    pub fn in_room(self, room: Option<OwnedSemaphorePermit>) -> Self {
        Self { room, ..self }
    }
}

impl Connected for Conn {
    type ConnectInfo = PeerInfo;
    fn connect_info(&self) -> PeerInfo {
        self.peer
    }
}

macro_rules! each {
    ($self:expr, $enum:ident { $($variant:ident),+ }, $io:ident => $call:expr) => {
        match $self.get_mut() { $($enum::$variant($io) => $call,)+ }
    };
}

impl AsyncRead for Raw {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(self, Raw { Unix, Tcp, Mux }, io => Pin::new(io).poll_read(cx, buf))
    }
}

impl AsyncWrite for Raw {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, Raw { Unix, Tcp, Mux }, io => Pin::new(io).poll_write(cx, buf))
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, Raw { Unix, Tcp, Mux }, io => Pin::new(io).poll_flush(cx))
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, Raw { Unix, Tcp, Mux }, io => Pin::new(io).poll_shutdown(cx))
    }
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, Raw { Unix, Tcp, Mux }, io => Pin::new(io).poll_write_vectored(cx, bufs))
    }
    fn is_write_vectored(&self) -> bool {
        !matches!(self, Self::Mux(_))
    }
}

impl AsyncRead for Conn {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(self, Io { Plain, Tls }, io => Pin::new(io).poll_read(cx, buf))
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, Io { Plain, Tls }, io => Pin::new(io).poll_write(cx, buf))
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, Io { Plain, Tls }, io => Pin::new(io).poll_flush(cx))
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, Io { Plain, Tls }, io => Pin::new(io).poll_shutdown(cx))
    }
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, Io { Plain, Tls }, io => Pin::new(io).poll_write_vectored(cx, bufs))
    }
    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(raw) => raw.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }
}

impl AsyncWrite for Conn {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
