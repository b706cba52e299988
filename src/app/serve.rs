//! `latchkey serve`: a server of its own, for hosts that attach by `grpc://`.
//!
//! Nobody who attaches is known to us, so the services refuse all but authentication, `health` and `get_metrics` there
//! (rule R1); and plaintext beyond this machine is served only where the configuration names the address.

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::app::OpenFailure;
use crate::app::hosted::Hosted;
use crate::authenticate::Health;
use crate::config::{Config, ServeSettings, typed};
use crate::store::sqlite::ProcessKind;
use crate::transport::go_plugin::end::Ending;
use crate::transport::go_plugin::handshake::Address;
use crate::transport::go_plugin::listener::{self, Bound, ListenError};
use crate::transport::go_plugin::serve::{self, ServeError};
use crate::transport::plugin::lifecycle::{HostRuntime, Lifecycle};
use crate::transport::tls_files::{self, TlsFileError};
use crate::transport::{Deps, routes};

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum ServeFailure {
    /// Not an address.
    #[error("cannot listen on {text}: expected host:port or unix:PATH")]
    Address {
        /// What was given.
        text: String,
    },
    /// Credentials would cross a network in the clear.
    #[error(
        "{address} is not loopback, and without TLS everybody on that network reads every credential: give --tls-cert \
         and --tls-key, or, for a network that you trust, --allow-plaintext {address}"
    )]
    Plaintext {
        /// Which address.
        address: String,
    },
    /// One of the two is missing.
    #[error("--tls-cert and --tls-key go together")]
    HalfTls,
    /// The files do not serve.
    #[error(transparent)]
    Tls(#[from] TlsFileError),
    /// The socket cannot be had.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenFailure),
    /// The server ended by itself.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The system gave no thread.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
}

impl ServeFailure {
    /// Whether the configuration is what is wrong.
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Address { .. } | Self::Plaintext { .. } | Self::HalfTls | Self::Tls(_) => true,
            Self::Store(failure) => failure.is_configuration(),
            Self::Listen(_) | Self::Serve(_) | Self::System(_) => false,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

fn places(settings: &ServeSettings) -> Result<Vec<Place>, ServeFailure> {
    let tls = settings.tls_cert.is_some();
    if tls != settings.tls_key.is_some() {
        return Err(ServeFailure::HalfTls);
    }
    let mut places = Vec::new();
    for text in &settings.listen {
        let wrong = || ServeFailure::Address { text: text.clone() };
        if let Some(path) = text.strip_prefix("unix:") {
            let path = Some(path).filter(|path| !path.is_empty()).ok_or_else(wrong)?;
            places.push(Place::Unix(PathBuf::from(path)));
            continue;
        }
        let address = text.to_socket_addrs().ok().and_then(|mut found| found.next()).ok_or_else(wrong)?;
        if !tls && !address.ip().is_loopback() && !settings.allow_plaintext.contains(text) {
            return Err(ServeFailure::Plaintext { address: text.clone() });
        }
        places.push(Place::Tcp(address));
    }
    if places.is_empty() { Err(ServeFailure::Address { text: "nothing".to_owned() }) } else { Ok(places) }
}

/// Serves until told to end by a signal. `listening` is told each address, once everything is ready; `at_end` is the last
/// thing that happens, for the process then exits without going back through its callers.
///
/// # Errors
/// What is wrong, before anything is served.
pub fn run(
    config: &Config,
    listening: impl FnOnce(&[String]),
    at_end: impl Fn() + Send + Sync + 'static,
) -> Result<(), ServeFailure> {
    let places = places(&config.serve)?;
    let tls = match (&config.serve.tls_cert, &config.serve.tls_key) {
        (Some(cert), Some(key)) => Some(tls_files::load(cert, key)?),
        _ => None,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.app.worker_threads)
        .thread_name("serve")
        .enable_all()
        .build()?;
    let hosted = Hosted::new(ProcessKind::Serve, config.app.service.clone(), Vec::new());
    hosted.open(&config.app, Vec::new())?;
    let flushed = Arc::clone(&hosted);
    let ending = Ending::new(Arc::new(move |within| {
        flushed.flush(within);
        at_end();
    }));
    let deps = Deps {
        gate: Arc::clone(&hosted.gate),
        lifecycle: Arc::new(Server(hosted)),
        settings: Arc::new(arc_swap::ArcSwap::from_pointee(config.app.service.clone())),
        host_settings: typed::host_settings(),
    };
    runtime.block_on(async {
        let mut bound = Vec::new();
        for place in places {
            let (listener, tls) = match place {
                Place::Tcp(address) => (listener::bind_tcp(address).await?, tls.clone()),
                Place::Unix(path) => {
                    ending.owns(path.clone());
                    (listener::bind_unix(&path)?, None)
                }
            };
            warn_of_plaintext(&listener, tls.is_some());
            bound.push((listener, tls));
        }
        let addresses: Vec<String> = bound.iter().map(|(listener, _)| text(&listener.address())).collect();
        tracing::info!(addresses = addresses.join(", "), "listening");
        listening(&addresses);
        Ok(serve::attached(bound, &config.app.wire, ending, |_| routes(deps)).await?)
    })
}

fn warn_of_plaintext(listener: &Bound, tls: bool) {
    if let Address::Tcp(address) = listener.address()
        && !tls
        && !address.ip().is_loopback()
    {
        tracing::warn!(%address, "plaintext beyond this machine, as configured: that network can read every credential");
    }
}

fn text(address: &Address) -> String {
    match address {
        Address::Tcp(address) => address.to_string(),
        Address::Unix(path) => format!("unix:{}", path.display()),
    }
}

struct Server(Arc<Hosted>);

impl Lifecycle for Server {
    fn initialise(&self, _: BTreeMap<String, String>, _: HostRuntime) {
        // No host started this process: what one says about its configuration is not for it to say (rule R2).
        tracing::warn!("a host's configuration is ignored by a server of its own");
    }

    fn leaving(&self) {
        self.0.flush_soon();
    }

    fn uptime(&self) -> Duration {
        self.0.uptime()
    }

    fn health(&self) -> Health {
        self.0.health()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(listen: &str, allow: &str, cert: bool, key: bool) -> ServeSettings {
        let list = |text: &str| text.split(',').filter(|item| !item.is_empty()).map(str::to_owned).collect();
        let path = |given: bool| given.then(|| PathBuf::from("/x"));
        ServeSettings { listen: list(listen), tls_cert: path(cert), tls_key: path(key), allow_plaintext: list(allow) }
    }

    #[test]
    fn plaintext_stays_on_this_machine_unless_the_very_address_is_allowed() {
        let refused = |settings| matches!(places(&settings), Err(ServeFailure::Plaintext { .. }));
        for local in ["127.0.0.1:0", "[::1]:0", "unix:/run/x.sock"] {
            assert!(places(&settings(local, "", false, false)).is_ok(), "{local}");
        }
        assert!(refused(settings("0.0.0.0:7443", "", false, false)));
        assert!(refused(settings("127.0.0.1:0,192.0.2.1:1", "", false, false)));
        assert!(refused(settings("0.0.0.0:7443", "0.0.0.0:7444", false, false)));
        assert!(places(&settings("0.0.0.0:7443", "0.0.0.0:7443", false, false)).is_ok());
        assert!(places(&settings("0.0.0.0:7443", "", true, true)).is_ok());
    }

    #[test]
    fn what_is_no_address_is_said() {
        for wrong in ["", "7443", "unix:", "here", "127.0.0.1:99999"] {
            assert!(matches!(places(&settings(wrong, "", false, false)), Err(ServeFailure::Address { .. })), "{wrong}");
        }
        assert!(matches!(places(&settings("127.0.0.1:0", "", true, false)), Err(ServeFailure::HalfTls)));
    }
}
