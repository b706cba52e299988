//! What `serve` serves besides hosts: admins, metrics, health and the endpoints of OAuth. On a runtime of its own, whose few threads take only
//! spare time, so that nothing of it holds up a decision.

use std::sync::Arc;

use crate::app::hosted::Hosted;
use crate::app::office::Serving;
use crate::app::places::{Place, Places};
use crate::app::serve::{ServeFailure, Server, Tls, text};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::transport::admin::listen::{self, Routes};
use crate::transport::admin::{AdminRpc, Peers};
use crate::transport::go_plugin::end::Ending;
use crate::transport::go_plugin::listener::{self, Bound, ListenError, ServerTls};
use crate::transport::go_plugin::serve::ServeError;
use crate::transport::http::oauth::{self, Endpoints};
use crate::transport::http::ops::{self, Ops};
use crate::transport::http::{self, Routers};
use crate::transport::oauth::Oauth;

/// Calls of admins that may block at once.
const BLOCKING_THREADS: usize = 48;
/// How much less than a decision its threads count.
const NICE: i32 = 10;

/// The runtime, and where it listens.
pub(super) struct Aside {
    runtime: Option<tokio::runtime::Runtime>,
    pub(super) admin: Vec<String>,
    pub(super) http: Vec<String>,
}

impl Aside {
    /// Listens, and serves from now on; nothing where no address is configured.
    ///
    /// # Errors
    /// When an address cannot be had.
    pub(super) fn start(
        config: &Config,
        places: &Places,
        tls: &Tls,
        hosted: &Arc<Hosted>,
        ending: &Arc<Ending>,
    ) -> Result<Self, ServeFailure> {
        if places.admin.is_empty() && places.http.is_empty() {
            return Ok(Self { runtime: None, admin: Vec::new(), http: Vec::new() });
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(BLOCKING_THREADS)
            .thread_name("aside")
            // Of this thread alone on Linux, as in `verify::pool`.
            .on_thread_start(|| {
                let _ = rustix::process::setpriority_process(None, NICE);
            })
            .enable_all()
            .build()?;
        let (admins, https) = runtime.block_on(bind(places, tls, !config.serve.peers.is_empty(), ending))?;
        let addresses = |all: &mut dyn Iterator<Item = &Bound>| all.map(|bound| text(&bound.address())).collect();
        let admin = addresses(&mut admins.iter().map(|(bound, _)| bound));
        let http = addresses(&mut https.iter().map(|(bound, _)| bound));
        if !admins.is_empty() {
            let routes = runtime.block_on(admin_routes(hosted, config))?;
            let served = listen::serve(admins, Arc::clone(ending), routes);
            runtime.spawn(async move {
                if let Err(error) = served.await {
                    tracing::error!(%error, "admins are served no more; hosts are");
                }
            });
        }
        let ops = Ops { gate: Arc::clone(&hosted.gate), lifecycle: Arc::new(Server(Arc::clone(hosted))) };
        let endpoints = Endpoints { oauth: endpoints(hosted, config), settings: Arc::clone(&hosted.service) };
        let here = ops::router(ops).merge(oauth::router(endpoints.clone()));
        runtime.spawn(http::serve(https, Routers { here, outside: oauth::alone(endpoints) }));
        Ok(Self { runtime: Some(runtime), admin, http })
    }

    /// Without waiting for calls that block: the process ends.
    pub(super) fn end(self) {
        if let Some(runtime) = self.runtime {
            runtime.shutdown_background();
        }
    }
}

/// What programs get tokens from, in this process.
pub(super) fn endpoints(hosted: &Arc<Hosted>, config: &Config) -> Arc<Oauth> {
    Arc::new(Oauth::new(Arc::new(Serving(Arc::clone(hosted))), Arc::new(SystemClock), config.app.service.oauth))
}

type Listeners = Vec<(Bound, Option<ServerTls>)>;

/// Listeners for admins, and those for HTTP. `for_others`: not only our own user may connect to a socket.
async fn bind(
    places: &Places,
    tls: &Tls,
    for_others: bool,
    ending: &Ending,
) -> Result<(Listeners, Listeners), ListenError> {
    let (mut admins, mut https) = (Vec::new(), Vec::new());
    for place in &places.admin {
        admins.push(match place {
            Place::Tcp(address) => (listener::bind_tcp(*address).await?, tls.admin.clone()),
            Place::Unix(path) => {
                // Who is listed must be able to connect; who it is, the kernel says of each peer.
                let bind = if for_others { listener::bind_unix_for_all } else { listener::bind_unix };
                let listener = bind(path)?;
                ending.owns(path.clone());
                (listener, None)
            }
        });
    }
    for (address, over_tls) in &places.http {
        https.push((listener::bind_tcp(*address).await?, tls.http.clone().filter(|_| *over_tls)));
    }
    Ok((admins, https))
}

/// What admins are served: the one place where their services are put together.
async fn admin_routes(hosted: &Arc<Hosted>, config: &Config) -> Result<Routes, ServeError> {
    let own_uid = Some(rustix::process::geteuid().as_raw());
    let peers = Peers { own_uid, listed: config.serve.peers.clone() };
    let service = AdminRpc::new(Arc::new(Serving(Arc::clone(hosted))), peers);
    Ok(listen::routes().await?.add_service(service.behind_door()))
}
