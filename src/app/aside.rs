//! What `serve` serves besides hosts: admins, metrics and health. On a runtime of its own, whose few threads take only
//! spare time, so that nothing of it holds up a decision.

use std::sync::Arc;

use crate::app::hosted::Hosted;
use crate::app::office::Serving;
use crate::app::places::{Place, Places};
use crate::app::serve::{ServeFailure, text};
use crate::config::Config;
use crate::transport::admin::listen::{self, Routes};
use crate::transport::admin::{AdminRpc, Peers};
use crate::transport::go_plugin::end::Ending;
use crate::transport::go_plugin::listener::{self, ServerTls};
use crate::transport::go_plugin::serve::ServeError;

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
        tls: Option<ServerTls>,
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
        let mut bound = Vec::new();
        runtime.block_on(async {
            for place in &places.admin {
                bound.push(match place {
                    Place::Tcp(address) => (listener::bind_tcp(*address).await?, tls.clone()),
                    Place::Unix(path) => {
                        // Who is listed must be able to connect; who that is, the kernel says of each peer.
                        let ours_alone = config.serve.peers.is_empty();
                        let bind = if ours_alone { listener::bind_unix } else { listener::bind_unix_for_all };
                        let listener = bind(path)?;
                        ending.owns(path.clone());
                        (listener, None)
                    }
                });
            }
            Ok::<_, ServeFailure>(())
        })?;
        let admin: Vec<String> = bound.iter().map(|(listener, _)| text(&listener.address())).collect();
        if !bound.is_empty() {
            let served = listen::serve(bound, Arc::clone(ending), runtime.block_on(admin_routes(hosted, config))?);
            runtime.spawn(async move {
                if let Err(error) = served.await {
                    tracing::error!(%error, "admins are served no more; hosts are");
                }
            });
        }
        Ok(Self { runtime: Some(runtime), admin, http: Vec::new() })
    }

    /// Without waiting for calls that block: the process ends.
    pub(super) fn end(self) {
        if let Some(runtime) = self.runtime {
            runtime.shutdown_background();
        }
    }
}

/// What admins are served: the one place where their services are put together.
async fn admin_routes(hosted: &Arc<Hosted>, config: &Config) -> Result<Routes, ServeError> {
    let own_uid = Some(rustix::process::geteuid().as_raw());
    let peers = Peers { own_uid, listed: config.serve.peers.clone() };
    let service = AdminRpc::new(Arc::new(Serving(Arc::clone(hosted))), peers);
    Ok(listen::routes().await?.add_service(service.into_server()))
}
