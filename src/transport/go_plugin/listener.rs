//! Listening and accepting (section 3). The accept loop ends with the process and for nothing else: not for a probe that
//! sends nothing, not for garbage, not when descriptors run out.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;

use crate::clock::{Entropy as _, SystemEntropy};
use crate::transport::go_plugin::conn::{Conn, PeerInfo, Raw, Surface};
use crate::transport::go_plugin::environment::Environment;
use crate::transport::go_plugin::handshake::Address;

/// The longest path of a unix socket on Linux, less the final NUL.
const MAX_SOCKET_PATH: usize = 107;
/// A TLS handshake that takes longer is given up.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

static CONNECTIONS: AtomicU64 = AtomicU64::new(1);

/// Why nothing listens: what and where.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The socket could not be made.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// Where.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something lives at that path that is no dead socket.
    #[error("cannot listen on {}: something is there already; stop it or choose another path", path.display())]
    Taken {
        /// Where.
        path: PathBuf,
    },
    /// Too long for a socket.
    #[error("cannot listen on {}: a socket path has at most {MAX_SOCKET_PATH} bytes; set a shorter directory", path.display())]
    PathTooLong {
        /// Where.
        path: PathBuf,
    },
    /// The group of `PLUGIN_UNIX_SOCKET_GROUP` cannot be used.
    #[error("cannot give the socket to group {group}: {source}")]
    Group {
        /// Which.
        group: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No port of the host's range is free.
    #[error("no free port from {min} to {max}")]
    NoPort {
        /// Lowest.
        min: u16,
        /// Highest.
        max: u16,
    },
}

/// A socket file, removed when dropped.
pub struct SocketFile(PathBuf);

impl SocketFile {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Something that listens.
pub enum Bound {
    /// A unix socket.
    Unix(UnixListener, SocketFile),
    /// A TCP port.
    Tcp(TcpListener, SocketAddr),
}

impl Bound {
    /// Where.
    pub fn address(&self) -> Address {
        match self {
            Self::Unix(_, file) => Address::Unix(file.path().to_owned()),
            Self::Tcp(_, address) => Address::Tcp(*address),
        }
    }

    /// The next connection, however long that takes.
    pub async fn next(&self) -> Raw {
        loop {
            let accepted = match self {
                Self::Unix(listener, _) => listener.accept().await.map(|(stream, _)| Raw::Unix(stream)),
                Self::Tcp(listener, _) => listener.accept().await.and_then(|(stream, _)| {
                    // Without it some calls take 40 ms longer; tonic's own setting does not reach here.
                    stream.set_nodelay(true)?;
                    let keepalive = rustix::net::sockopt::set_socket_keepalive(&stream, true);
                    keepalive.map_err(io::Error::from).map(|()| Raw::Tcp(stream))
                }),
            };
            match accepted {
                Ok(raw) => return raw,
                Err(error) => {
                    // Out of descriptors, or the peer was gone again: neither may end the listener.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

/// Listens where the host can find it: a random name in the host's directory, else in the temporary one,
/// else (where that path is too long) in `/tmp`.
///
/// # Errors
/// When no socket can be made there.
pub fn bind_for_host(environment: &Environment) -> Result<Bound, ListenError> {
    let mut random = [0; 8];
    let _ = SystemEntropy.fill(&mut random);
    let name = format!("plugin{}", u64::from_be_bytes(random));
    let dir = environment.socket_dir.as_ref().unwrap_or(&environment.temp_dir);
    let mut path = dir.join(&name);
    if environment.socket_dir.is_none() && path.as_os_str().len() > MAX_SOCKET_PATH {
        path = Path::new("/tmp").join(&name);
    }
    let bound = bind_unix(&path)?;
    if let Some(group) = &environment.socket_group {
        give_to_group(&path, group)?;
    }
    Ok(bound)
}

/// Listens on a path, for us alone. A socket that nobody answers on any more is replaced.
///
/// # Errors
/// When it cannot be made, or somebody lives there.
pub fn bind_unix(path: &Path) -> Result<Bound, ListenError> {
    bind_unix_as(path, 0o600)
}

/// The same, for all whom the modes of the directory let through: who they are is then to be asked of each peer.
///
/// # Errors
/// As above.
pub fn bind_unix_for_all(path: &Path) -> Result<Bound, ListenError> {
    bind_unix_as(path, 0o666)
}

fn bind_unix_as(path: &Path, mode: u32) -> Result<Bound, ListenError> {
    if path.as_os_str().len() > MAX_SOCKET_PATH {
        return Err(ListenError::PathTooLong { path: path.to_owned() });
    }
    let error = |source| ListenError::Bind { address: path.display().to_string(), source };
    let listener = match UnixListener::bind(path) {
        Err(taken) if taken.kind() == io::ErrorKind::AddrInUse => {
            use std::os::unix::fs::FileTypeExt as _;
            let is_socket = std::fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket());
            let answered = std::os::unix::net::UnixStream::connect(path);
            let dead = matches!(&answered, Err(error) if error.kind() == io::ErrorKind::ConnectionRefused);
            if !is_socket || !dead {
                return Err(ListenError::Taken { path: path.to_owned() });
            }
            std::fs::remove_file(path).map_err(error)?;
            UnixListener::bind(path).map_err(error)?
        }
        other => other.map_err(error)?,
    };
    let file = SocketFile(path.to_owned());
    // The process's umask has closed it to others already; this takes the superfluous execute bit away.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(error)?;
    Ok(Bound::Unix(listener, file))
}

/// Lets a group connect: the host said which (section 3).
fn give_to_group(path: &Path, group: &str) -> Result<(), ListenError> {
    let failed = |source| ListenError::Group { group: group.to_owned(), source };
    let gid = match group.parse::<u32>() {
        Ok(gid) => gid,
        Err(_) => group_id(group).map_err(failed)?,
    };
    std::os::unix::fs::chown(path, None, Some(gid)).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).map_err(failed)
}

/// The number of a named group, from the system's own file: no name service is asked.
fn group_id(name: &str) -> io::Result<u32> {
    let groups = std::fs::read_to_string("/etc/group")?;
    let number = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
    });
    number.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such group"))
}

/// Listens on the first free loopback port of a range; 0 and 0 let the system pick.
///
/// # Errors
/// When none is free.
pub async fn bind_port_range((min, max): (u16, u16)) -> Result<Bound, ListenError> {
    for port in min..=max {
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await
            && let Ok(address) = listener.local_addr()
        {
            return Ok(Bound::Tcp(listener, address));
        }
    }
    Err(ListenError::NoPort { min, max })
}

/// Listens on an address.
///
/// # Errors
/// When it cannot be had.
pub async fn bind_tcp(address: SocketAddr) -> Result<Bound, ListenError> {
    let error = |source| ListenError::Bind { address: address.to_string(), source };
    let listener = TcpListener::bind(address).await.map_err(error)?;
    let bound = listener.local_addr().map_err(error)?;
    Ok(Bound::Tcp(listener, bound))
}

/// How we speak TLS: looked at for each connection, so that it may change while we listen.
pub type ServerTls = Arc<ArcSwap<ServerConfig>>;

/// Who may be on the other end, and how they prove it.
#[derive(Clone)]
pub struct Acceptance {
    /// What kind of listener it is.
    pub surface: Surface,
    /// TLS, where the peer must speak it.
    pub tls: Option<ServerTls>,
    /// The process that started us.
    pub parent: Option<i32>,
    /// How many connections there may be at once, where that is bounded.
    pub room: Option<Arc<Semaphore>>,
}

impl Acceptance {
    fn peer(&self, raw: &Raw) -> PeerInfo {
        let connection = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
        let (pid, uid) = match raw {
            Raw::Unix(stream) => stream.peer_cred().map_or((None, None), |cred| (cred.pid(), Some(cred.uid()))),
            Raw::Tcp(_) | Raw::Mux(_) => (None, None),
        };
        let remote = match raw {
            Raw::Tcp(stream) => stream.peer_addr().ok(),
            Raw::Unix(_) | Raw::Mux(_) => None,
        };
        let is_parent = self.surface == Surface::Managed && pid.is_some() && pid == self.parent;
        PeerInfo {
            connection,
            surface: self.surface,
            pid,
            uid,
            is_parent,
            mutual_tls: false,
            certificate: None,
            remote,
        }
    }

    /// Makes a connection of what was accepted, in a task of its own where TLS takes its time.
    pub fn hand_over(&self, raw: Raw, peer: PeerInfo, to: mpsc::Sender<Conn>) {
        let room = match &self.room {
            Some(room) => match Arc::clone(room).try_acquire_owned() {
                Ok(permit) => Some(permit),
                Err(_) => return tracing::warn!(surface = ?self.surface, "refused a connection: there are too many"),
            },
            None => None,
        };
        let tls = self.tls.as_ref().map(|tls| tls.load_full());
        tokio::spawn(async move {
            let Some(tls) = tls else {
                let _ = to.send(Conn::plain(raw, peer).in_room(room)).await;
                return;
            };
            match tokio::time::timeout(HANDSHAKE_LIMIT, TlsAcceptor::from(tls).accept(raw)).await {
                Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                    let _ = to.send(Conn::secured(stream, peer).in_room(room)).await;
                }
                Ok(Ok(_)) => tracing::info!(connection = peer.connection, "refused a peer that did not ask for h2"),
                Ok(Err(error)) => tracing::info!(connection = peer.connection, %error, "refused a TLS handshake"),
                Err(_) => tracing::info!(connection = peer.connection, "gave up on a slow TLS handshake"),
            }
        });
    }
}

/// Accepts for ever. Each connection goes to `raw_to` with what is known of its peer.
pub async fn accept(listener: &Bound, acceptance: &Acceptance, mut raw_to: impl FnMut(Raw, PeerInfo)) {
    loop {
        let raw = listener.next().await;
        let peer = acceptance.peer(&raw);
        raw_to(raw, peer);
    }
}

#[cfg(test)]
#[path = "listener_tests.rs"]
mod tests;
