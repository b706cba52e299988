//! `latchkey serve`: a server of its own, for hosts that attach by `grpc://`.
//!
//! Nobody who attaches is known to us, so the services refuse all but authentication, `health` and `get_metrics` there
//! (rule R1); and plaintext beyond this machine is served only where the configuration names the address. Admins and
//! metrics have listeners of their own, served aside (`app::aside`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::app::OpenFailure;
use crate::app::aside::Aside;
use crate::app::hosted::Hosted;
use crate::app::places::{Place, Places};
use crate::authenticate::Health;
use crate::config::{Config, ServeSettings, typed};
use crate::store::sqlite::ProcessKind;
use crate::transport::go_plugin::end::Ending;
use crate::transport::go_plugin::handshake::Address;
use crate::transport::go_plugin::listener::{self, Bound, ListenError, ServerTls};
use crate::transport::go_plugin::serve::{self, ServeError};
use crate::transport::plugin::lifecycle::{HostRuntime, HostSession, Lifecycle, Told};
use crate::transport::tls_files::{self, TlsFileError, TlsFiles};
use crate::transport::tls_watch::{self, Served};
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
    /// Operators' tokens would cross a wire in the clear.
    #[error(
        "the admin RPC is served over TLS alone, on loopback too: give --tls-cert and --tls-key for {address}, or listen \
         on a socket, --admin unix:PATH"
    )]
    AdminPlaintext {
        /// Which address.
        address: String,
    },
    /// Not an address for HTTP.
    #[error("cannot answer HTTP on {text}: expected host:port")]
    Http {
        /// What was given.
        text: String,
    },
    /// Metrics would be for everybody on a network.
    #[error(
        "{address} is not loopback, and whoever reaches it could read metrics and health: for a network that you trust, \
         give --allow-plaintext {address}; for the OAuth endpoints alone, over TLS, set serve.http_tls = true and give \
         --tls-cert and --tls-key"
    )]
    HttpPlaintext {
        /// Which address.
        address: String,
    },
    /// Nobody would be asked for a certificate.
    #[error(
        "admin.client_ca (--client-ca) is for admins over TCP alone, and none is listened for: give --admin HOST:PORT, or \
         leave it out"
    )]
    ClientCa,
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
            Self::Address { .. }
            | Self::Plaintext { .. }
            | Self::AdminPlaintext { .. }
            | Self::Http { .. }
            | Self::HttpPlaintext { .. }
            | Self::ClientCa
            | Self::HalfTls
            | Self::Tls(_) => true,
            Self::Store(failure) => failure.is_configuration(),
            Self::Listen(_) | Self::Serve(_) | Self::System(_) => false,
        }
    }
}

/// Where it listens, once it does.
#[derive(Clone, Debug, Default)]
pub struct Listening {
    /// For hosts.
    pub plugin: Vec<String>,
    /// For admins.
    pub admin: Vec<String>,
    /// For metrics, health and OAuth.
    pub http: Vec<String>,
}

/// Serves until told to end by a signal. `listening` is told each address, once everything is ready; `at_end` is the last
/// thing that happens, for the process then exits without going back through its callers.
///
/// # Errors
/// What is wrong, before anything is served.
pub fn run(
    config: &Config,
    listening: impl FnOnce(&Listening),
    at_end: impl Fn() + Send + Sync + 'static,
) -> Result<(), ServeFailure> {
    let places = Places::of(&config.serve)?;
    let tls = tls(&config.serve, &places)?;
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
    // Before anything is announced; its listeners belong to its own runtime.
    let aside = Aside::start(config, &places, &tls, &hosted, &ending)?;
    let deps = Deps {
        gate: Arc::clone(&hosted.gate),
        lifecycle: Arc::new(Server(hosted)),
        // No host started this process, so it has neither pages nor endpoints there (rule R1).
        pages: None,
        endpoints: None,
        settings: Arc::new(arc_swap::ArcSwap::from_pointee(config.app.service.clone())),
        host_settings: typed::host_settings(),
    };
    let served = runtime.block_on(async {
        let mut bound = Vec::new();
        for place in places.plugin {
            let (listener, tls) = match place {
                Place::Tcp(address) => (listener::bind_tcp(address).await?, tls.plugin.clone()),
                Place::Unix(path) => {
                    let listener = listener::bind_unix(&path)?;
                    ending.owns(path);
                    (listener, None)
                }
            };
            warn_of_plaintext(&listener, tls.is_some());
            bound.push((listener, tls));
        }
        let plugin: Vec<String> = bound.iter().map(|(listener, _)| text(&listener.address())).collect();
        let at = Listening { plugin, admin: aside.admin.clone(), http: aside.http.clone() };
        let (addresses, admin, http) = (at.plugin.join(", "), at.admin.join(", "), at.http.join(", "));
        tracing::info!(addresses, admin, http, "listening");
        listening(&at);
        Ok(serve::attached(bound, &config.app.wire, ending, |brokers| routes(deps, brokers)).await?)
    });
    aside.end();
    served
}

/// How the listeners speak TLS, if they do.
pub(super) struct Tls {
    plugin: Option<ServerTls>,
    pub(super) admin: Option<ServerTls>,
    pub(super) http: Option<ServerTls>,
}

/// Reads the files, and again whenever they change.
fn tls(settings: &ServeSettings, places: &Places) -> Result<Tls, ServeFailure> {
    let (Some(cert), Some(key)) = (&settings.tls_cert, &settings.tls_key) else {
        return Ok(Tls { plugin: None, admin: None, http: None });
    };
    let files = |client_ca| TlsFiles { cert: cert.clone(), key: key.clone(), client_ca, protocol: tls_files::HTTP_2 };
    let plugin = Served::load(files(None))?;
    let http = places.http.iter().any(|(_, tls)| *tls);
    let http = http.then(|| Served::load(TlsFiles { protocol: tls_files::HTTP_1, ..files(None) })).transpose()?;
    let over_tcp = places.admin.iter().any(|place| matches!(place, Place::Tcp(_)));
    let admin = over_tcp.then(|| Served::load(files(settings.client_ca.clone()))).transpose()?;
    let tls = Tls {
        plugin: Some(plugin.tls()),
        admin: admin.as_ref().map(Served::tls),
        http: http.as_ref().map(Served::tls),
    };
    tls_watch::watch([Some(plugin), admin, http].into_iter().flatten().collect())?;
    Ok(tls)
}

fn warn_of_plaintext(listener: &Bound, tls: bool) {
    if let Address::Tcp(address) = listener.address()
        && !tls
        && !address.ip().is_loopback()
    {
        tracing::warn!(%address, "plaintext beyond this machine, as configured: that network can read every credential");
    }
}

pub(super) fn text(address: &Address) -> String {
    match address {
        Address::Tcp(address) => address.to_string(),
        Address::Unix(path) => format!("unix:{}", path.display()),
    }
}

pub(super) struct Server(pub(super) Arc<Hosted>);

impl Lifecycle for Server {
    fn initialise(&self, _: BTreeMap<String, String>, _: HostRuntime, _: Option<HostSession>) {
        // No host started this process: what one says about its configuration is not for it to say (rule R2).
        tracing::warn!("a host's configuration is ignored by a server of its own");
    }

    fn session(&self, _: HostSession) {}
    fn told(&self, _: Told) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }

    fn runtime(&self) -> Option<HostRuntime> {
        None
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
