//! `--server`: the admin RPC over a unix socket, or over TCP with TLS and never without.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;
use zeroize::Zeroizing;

use crate::cli::context::Failure;

/// The system's own certificates, where nobody names others. No variable of the environment leads elsewhere (rule R17).
const SYSTEM_CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// How to prove who calls, and whom to believe.
#[derive(Clone, Default)]
pub(super) struct Connection {
    /// `LATCHKEY_TOKEN`.
    pub(super) token: Option<Zeroizing<String>>,
    /// Certificates that vouch for the server.
    pub(super) ca: Option<PathBuf>,
    /// A client certificate and its key.
    pub(super) client: Option<(PathBuf, PathBuf)>,
}

enum Place {
    Unix(PathBuf),
    Tls { host: String, port: u16, config: Arc<ClientConfig> },
}

/// A server to connect to.
pub(super) struct Target {
    place: Place,
    /// What is sent with every call.
    pub(super) authorization: Option<HeaderValue>,
}

fn unreadable(what: &str, path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::with_code(true, anyhow::anyhow!("cannot read {what} from {}: {error}", path.display()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if found.is_empty() => Err(unreadable("a certificate", path, &"there is none in it")),
        Ok(found) => Ok(found),
        Err(error) => Err(unreadable("a certificate", path, &error)),
    }
}

fn tls(connection: &Connection) -> Result<Arc<ClientConfig>, Failure> {
    let path = connection.ca.as_deref().unwrap_or(Path::new(SYSTEM_CERTIFICATES));
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(certificates(path)?);
    if taken == 0 {
        return Err(unreadable("a certificate", path, &"none of them can vouch for a server"));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(anyhow::Error::from)?.with_root_certificates(roots);
    let mut config = match &connection.client {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let private =
                PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable("a private key", key, &error))?;
            let config = builder.with_client_auth_cert(certificates(cert)?, private);
            config.map_err(|error| unreadable("a pair of certificate and key", cert, &error))?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

impl Target {
    /// `unix:PATH` or `https://HOST:PORT`.
    pub(super) fn new(server: &str, connection: &Connection) -> Result<Self, Failure> {
        let wrong = || Failure::usage(format_args!("--server {server}: expected unix:PATH or https://HOST[:PORT]"));
        let place = if let Some(path) = server.strip_prefix("unix:") {
            Place::Unix(Some(path).filter(|path| !path.is_empty()).map(PathBuf::from).ok_or_else(wrong)?)
        } else {
            let uri: Uri = server.parse().map_err(|_| wrong())?;
            match (uri.scheme_str(), uri.host()) {
                (Some("https"), Some(host)) if uri.path() == "/" && uri.query().is_none() => {
                    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
                    Place::Tls { host, port: uri.port_u16().unwrap_or(443), config: tls(connection)? }
                }
                (Some("http"), _) => {
                    return Err(Failure::usage(
                        "--server http://…: the admin RPC is served with TLS alone, or on a unix socket: https:// or unix:",
                    ));
                }
                _ => return Err(wrong()),
            }
        };
        let authorization = connection.token.as_ref().map(|token| {
            let mut value = HeaderValue::from_str(&Zeroizing::new(format!("Bearer {}", token.as_str())))
                .map_err(|_| Failure::usage("LATCHKEY_TOKEN: not an operator's token"))?;
            value.set_sensitive(true);
            Ok::<_, Failure>(value)
        });
        Ok(Self { place, authorization: authorization.transpose()? })
    }

    /// Connects.
    pub(super) async fn connect(&self) -> anyhow::Result<Channel> {
        let endpoint = Endpoint::from_static("http://localhost").connect_timeout(CONNECT_LIMIT);
        Ok(match &self.place {
            Place::Unix(path) => {
                let path = path.clone();
                let dial = service_fn(move |_: Uri| {
                    let path = path.clone();
                    async move { UnixStream::connect(path).await.map(TokioIo::new) }
                });
                endpoint.connect_with_connector(dial).await?
            }
            Place::Tls { host, port, config } => {
                let (host, port, config) = (host.clone(), *port, Arc::clone(config));
                let dial = service_fn(move |_: Uri| {
                    let (host, config) = (host.clone(), Arc::clone(&config));
                    async move {
                        let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
                        let stream = TcpStream::connect((host.as_str(), port)).await?;
                        stream.set_nodelay(true)?;
                        let stream = TlsConnector::from(config).connect(name, stream).await?;
                        match stream.get_ref().1.alpn_protocol() {
                            Some(b"h2") => Ok(TokioIo::new(stream)),
                            _ => Err(io::Error::other("the server does not speak gRPC")),
                        }
                    }
                });
                endpoint.connect_with_connector(dial).await?
            }
        })
    }
}
