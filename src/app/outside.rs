//! What asks outside issuers for their keys: on a runtime of its own, so that no handshake takes a turn from an answer.

use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};

use crate::admin::{Discovered, IssuerKeysSource, UNREACHABLE};
use crate::app::{OpenFailure, Opened};
use crate::domain::TenantId;
use crate::jwks::{Jwks, Outbound, Outside as Told, Settings, SystemResolver, discovery, published};
use crate::store::Store;
use crate::telemetry::metrics::Metrics;
use crate::verify::jwt::kept::StoredKeys;

/// Fetches keys for as long as it is held.
pub struct Outside {
    runtime: Option<Runtime>,
    /// The keys that are held.
    pub jwks: Arc<Jwks>,
}

impl Outside {
    /// Starts to look after the keys of this store's issuers.
    ///
    /// # Errors
    /// When a file of authorities does not serve, or the system gives no thread.
    pub fn start(opened: &Opened, metrics: &Arc<Metrics>) -> Result<Self, OpenFailure> {
        let settings = &opened.jwks;
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("issuer-keys").enable_all().build();
        let runtime = runtime.map_err(OpenFailure::System)?;
        let store: Arc<dyn Store> = Arc::clone(&opened.store) as _;
        let kept = Arc::new(StoredKeys::new(store, opened.subject_key.clone()));
        let (clock, entropy) = (Arc::clone(&opened.clock), Arc::clone(&opened.entropy));
        let (from, metrics, handle) = (outbound(settings)?, Arc::clone(metrics), runtime.handle().clone());
        let jwks = Jwks::new(settings.clone(), from, kept, clock, entropy, metrics, handle);
        Ok(Self { runtime: Some(runtime), jwks })
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        // Whatever hangs is left hanging: nobody waits for an outside server.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn outbound(settings: &Settings) -> Result<Arc<Outbound>, OpenFailure> {
    Ok(Arc::new(Outbound::new(settings.clone(), Arc::new(SystemResolver))?))
}

/// What an admin reads, who may be a tenant's alone (rule R17); what it was is in the log of this machine.
fn told(error: &dyn std::fmt::Display, outside: Told) -> &'static str {
    tracing::info!(%error, "what an issuer publishes could not be had");
    match outside {
        Told::Url => "the URL cannot be fetched from: https, a plain host name, no user, password or fragment",
        Told::Unreachable => UNREACHABLE,
        Told::Answer => "it answered otherwise than with what was asked for",
    }
}

/// Asks once, for an admin who waits for it.
pub struct Asking {
    outbound: Arc<Outbound>,
    plain: bool,
}

impl Asking {
    /// By the same rules as keys are fetched for requests.
    ///
    /// # Errors
    /// When a file of authorities does not serve.
    pub fn new(settings: &Settings) -> Result<Self, OpenFailure> {
        Ok(Self { outbound: outbound(settings)?, plain: settings.allow_loopback_http })
    }

    fn wait<T>(ask: impl Future<Output = Result<T, &'static str>>) -> Result<T, &'static str> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|_| "the system gave no thread")?;
        let asked = runtime.block_on(ask);
        runtime.shutdown_background();
        asked
    }
}

impl IssuerKeysSource for Asking {
    fn fetch(&self, url: &str, tenant: TenantId) -> Result<Vec<u8>, &'static str> {
        Self::wait(async {
            let published = published(&*self.outbound, tenant, url).await;
            published.map(|published| published.json).map_err(|error| told(&error, error.outside()))
        })
    }

    fn discover(&self, iss: &str, tenant: TenantId) -> Result<Discovered, &'static str> {
        Self::wait(async {
            let found = discovery::discover(&*self.outbound, tenant, iss, self.plain).await;
            found.map(|found| Discovered { jwks_uri: found.jwks_uri }).map_err(|error| told(&error, error.outside()))
        })
    }
}
