//! The process that a host starts. It comes up healthy whatever is wrong, denies, and says why: a host whose plugin does
//! not start falls back to credentials of its own (hazard H4).

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::app::aside;
use crate::app::hosted::Hosted;
use crate::app::office::Serving;
use crate::authenticate::{Health, Problem};
use crate::clock::{SystemClock, SystemEntropy};
use crate::config::{Config, ConfigError, Values, host, typed};
use crate::domain::Reason;
use crate::store::sqlite::ProcessKind;
use crate::telemetry::log::{self, Format};
use crate::transport::go_plugin::end::Ending;
use crate::transport::go_plugin::{Environment, serve};
use crate::transport::plugin::lifecycle::{HostRuntime, HostSession, Lifecycle, Told};
use crate::transport::{Deps, Pages, routes};

/// How long after a failure the store is tried again: what was mended works without a restart.
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// Serves the host that started this process, until it ends us.
pub fn run(environment: Environment, local: Result<Values, ConfigError>) -> ExitCode {
    let (values, broken) = match local {
        Ok(values) => (values, None),
        // What this machine says cannot be read, so nothing of it is trusted: everything is denied.
        Err(error) => (Values::default(), Some(Problem { code: "configuration", text: error.to_string() })),
    };
    let config = Config::new(&values);
    log::start(config.log.level, Format::Json);
    if environment.client_cert.is_some() && config.app.wire.ignore_client_cert {
        tracing::warn!("PLUGIN_CLIENT_CERT is ignored, as configured");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.app.worker_threads)
        .thread_name("serve")
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start");
            log::flush(Duration::from_secs(1));
            return ExitCode::FAILURE;
        }
    };
    let waiting = Problem { code: "not_initialised", text: "the host has not called Initialize yet".to_owned() };
    let hosted = Hosted::new(ProcessKind::Plugin, config.app.service.clone(), vec![waiting]);
    let flushed = Arc::clone(&hosted);
    let ending = Ending::new(Arc::new(move |within| flushed.flush(within)));
    let process = Arc::new(Process {
        hosted: Arc::clone(&hosted),
        values,
        broken,
        opened_with: Mutex::default(),
        attempts: AtomicU64::new(0),
        opening: Mutex::default(),
        runtime: Mutex::default(),
    });
    let office = Arc::new(Serving(Arc::clone(&hosted)));
    let pages = Pages::new(office, Arc::new(SystemClock), Arc::new(SystemEntropy));
    let deps = Deps {
        gate: Arc::clone(&hosted.gate),
        lifecycle: Arc::new(process),
        pages: Some(pages),
        endpoints: Some(aside::endpoints(&hosted, &config)),
        settings: Arc::clone(&hosted.service),
        host_settings: typed::host_settings(),
    };
    match runtime.block_on(serve::managed(environment, &config.app.wire, ending, |brokers| routes(deps, brokers))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Before the handshake line this is all that the host shows its admin.
            tracing::error!(error = &error as &dyn std::error::Error, "the plugin cannot serve");
            log::flush(Duration::from_secs(1));
            ExitCode::FAILURE
        }
    }
}

struct Process {
    hosted: Arc<Hosted>,
    /// What this machine says.
    values: Values,
    /// Why what this machine says cannot be read.
    broken: Option<Problem>,
    /// The attempt that last opened the store, and the host's configuration that it did so with.
    opened_with: Mutex<Option<(u64, BTreeMap<String, String>)>>,
    /// How often the host came with a configuration: a newer one ends the tries of those before.
    attempts: AtomicU64,
    /// One store is opened at a time. Never waited for by an answer to the host.
    opening: Mutex<()>,
    /// Which host it is, as it last said.
    runtime: Mutex<Option<HostRuntime>>,
}

impl Process {
    /// Tries until the store is open, or the host comes with another configuration. Blocks.
    fn open_at_last(&self, map: &BTreeMap<String, String>, attempt: u64) {
        let mut first = true;
        loop {
            let turn = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
            // Judged in our turn: what an older configuration opened must not replace what a newer one did.
            if self.attempts.load(Ordering::Acquire) != attempt || self.configure(map, attempt, first) {
                return;
            }
            drop(turn);
            first = false;
            std::thread::sleep(TRY_AGAIN);
        }
    }

    /// Merges and opens. Blocks.
    fn configure(&self, map: &BTreeMap<String, String>, attempt: u64, first: bool) -> bool {
        let mut values = self.values.clone();
        let warnings = host::apply(map, &mut values);
        if first {
            for warning in warnings {
                tracing::warn!(warning, "configuration");
            }
        }
        let opened = match &self.broken {
            Some(problem) => {
                self.hosted.deny(Reason::NotReady, vec![problem.clone()]);
                false
            }
            None => self.hosted.open(&Config::new(&values).app, Vec::new()).is_ok(),
        };
        *self.opened_with.lock().unwrap_or_else(PoisonError::into_inner) = opened.then(|| (attempt, map.clone()));
        // A configuration of this machine that cannot be read is read at the next start only.
        opened || self.broken.is_some()
    }
}

/// Held by the services as `Arc<dyn Lifecycle>`.
impl Lifecycle for Arc<Process> {
    fn initialise(&self, config: BTreeMap<String, String>, runtime: HostRuntime, service: Option<HostSession>) {
        let service_api = service.is_some();
        tracing::info!(runtime = ?runtime, keys = config.len(), service_api, "initialised by the host");
        self.hosted.reach(service.as_ref());
        *self.runtime.lock().unwrap_or_else(PoisonError::into_inner) = Some(runtime);
        let last = self.attempts.load(Ordering::Acquire);
        let opened_with = self.opened_with.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Nothing to do only if nothing else is under way that would take its place.
        if opened_with.is_some_and(|(attempt, map)| attempt == last && map == config) && self.hosted.gate.is_open() {
            return;
        }
        // Requests wait a little, the host does not: it holds a lock during Initialize (hazard H8).
        self.hosted.gate.begin();
        let attempt = self.attempts.fetch_add(1, Ordering::AcqRel) + 1;
        let process = Arc::clone(self);
        let open = move || {
            let opened = std::panic::AssertUnwindSafe(|| process.open_at_last(&config, attempt));
            if std::panic::catch_unwind(opened).is_err() {
                let text = "opening the store failed in an unforeseen way; see the log".to_owned();
                process.hosted.deny(Reason::Panicked, vec![Problem { code: "internal", text }]);
            }
        };
        if let Err(error) = std::thread::Builder::new().name("open-store".to_owned()).spawn(open) {
            let text = format!("no thread to open the store with: {error}");
            self.hosted.deny(Reason::NotReady, vec![Problem { code: "system", text }]);
        }
    }

    fn session(&self, service: HostSession) {
        self.hosted.reach(Some(&service));
    }

    fn told(&self, told: Told) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.hosted.told(told))
    }

    fn runtime(&self) -> Option<HostRuntime> {
        *self.runtime.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leaving(&self) {
        self.hosted.flush_soon();
    }

    fn uptime(&self) -> Duration {
        self.hosted.uptime()
    }

    fn health(&self) -> Health {
        self.hosted.health()
    }
}
