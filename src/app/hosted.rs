//! What every serving process is: a gate that denies until its engine runs, and the engine.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};

use crate::admin::Backend;
use crate::app::engine::{self, Engine};
use crate::app::{OpenFailure, Settings};
use crate::authenticate::record::Recorder;
use crate::authenticate::{Gate, Health, Problem};
use crate::clock::{Clock as _, SystemClock};
use crate::directory::cache::AppCache;
use crate::directory::{HostLink, HostSession};
use crate::domain::Reason;
use crate::store::sqlite::ProcessKind;
use crate::telemetry::metrics::Metrics;

/// How often a replaced store is looked for.
const LOOK: Duration = Duration::from_millis(500);
/// How long a flush beside serving may take.
const FLUSH_LIMIT: Duration = Duration::from_millis(800);

pub(super) struct Hosted {
    pub(super) gate: Arc<Gate>,
    pub(super) service: Arc<ArcSwap<crate::transport::Settings>>,
    engine: Mutex<Option<Engine>>,
    /// The Service API of the host that started this process.
    link: Arc<HostLink>,
    /// What is known from it, while a store is open.
    apps: ArcSwapOption<AppCache>,
    /// What administers the open store; none while there is none.
    backend: ArcSwapOption<Backend>,
    /// What the store was last opened with, once it was.
    opened_with: Mutex<Option<Settings>>,
    /// What was logged last, so that a fault that lasts is one line.
    said: Mutex<Vec<Problem>>,
    started_ns: u64,
    kind: ProcessKind,
}

impl Hosted {
    /// Denies, and says `problems`.
    pub(super) fn new(kind: ProcessKind, service: crate::transport::Settings, problems: Vec<Problem>) -> Arc<Self> {
        let metrics = Arc::new(Metrics::new(&Recorder::reason_labels()));
        let hosted = Arc::new(Self {
            gate: Arc::new(Gate::closed(metrics, problems)),
            service: Arc::new(ArcSwap::from_pointee(service)),
            engine: Mutex::default(),
            link: Arc::default(),
            apps: ArcSwapOption::empty(),
            backend: ArcSwapOption::empty(),
            opened_with: Mutex::default(),
            said: Mutex::default(),
            started_ns: SystemClock.boot_ns(),
            kind,
        });
        hosted.watch();
        hosted
    }

    /// Opens the store anew when another file takes its place, and until that succeeds (rule R9).
    fn watch(self: &Arc<Self>) {
        let weak = Arc::downgrade(self);
        let look = move || {
            let mut due = false;
            while let Some(hosted) = weak.upgrade() {
                due |= hosted.engine.try_lock().is_ok_and(|engine| engine.as_ref().is_some_and(Engine::is_replaced));
                if due {
                    due = !hosted.reopen();
                }
                drop(hosted);
                std::thread::sleep(LOOK);
            }
        };
        if let Err(error) = std::thread::Builder::new().name("store-watch".to_owned()).spawn(look) {
            tracing::warn!(%error, "a store that is replaced will not be opened anew by itself");
        }
    }

    /// Whether there is nothing more to do.
    fn reopen(&self) -> bool {
        let settings = self.opened_with.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(settings) = settings else { return true };
        tracing::warn!("another file is where the store was; it is opened anew");
        self.open(&settings, Vec::new()).is_ok()
    }

    /// Opens the store with these settings and lets requests in; or keeps denying, and says why. Blocks.
    pub(super) fn open(&self, settings: &Settings, problems: Vec<Problem>) -> Result<(), OpenFailure> {
        *self.opened_with.lock().unwrap_or_else(PoisonError::into_inner) = Some(settings.clone());
        // Held throughout: two Initialize calls at once open one after the other.
        let mut engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        self.service.store(Arc::new(settings.service.clone()));
        // What came before is gone first: one process has one engine on a store.
        self.backend.store(None);
        drop(engine.take());
        let host = (self.kind == ProcessKind::Plugin).then(|| Arc::clone(&self.link));
        match engine::open_gate(&self.gate, settings, self.kind, problems.clone(), host) {
            Ok(started) => {
                self.apps.store(started.apps.clone());
                tracing::info!(data_dir = ?settings.data_dir.as_deref().unwrap_or("".as_ref()), "the store is open");
                self.backend.store(Some(Arc::new(started.backend.clone())));
                *engine = Some(started);
                self.said.lock().unwrap_or_else(PoisonError::into_inner).clear();
                Ok(())
            }
            Err(failure) => {
                self.deny(Reason::NotReady, [vec![failure.problem()], problems].concat());
                Err(failure)
            }
        }
    }

    /// Where the host's Service API is from now on; none where it has none.
    pub(super) fn reach(&self, service: Option<&HostSession>) {
        match service {
            Some(service) if self.link.set(service) => {
                if let Some(apps) = &*self.apps.load() {
                    apps.look_again();
                }
            }
            Some(_) => {}
            None => self.link.clear(),
        }
    }

    /// Denies everything from now on.
    pub(super) fn deny(&self, reason: Reason, problems: Vec<Problem>) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        for problem in problems.iter().filter(|problem| !said.contains(problem)) {
            tracing::error!(code = problem.code, problem = %problem.text, "every request is denied");
        }
        said.clone_from(&problems);
        drop(said);
        self.gate.close(reason, problems);
    }

    /// Writes out what is buffered. Blocks.
    pub(super) fn flush(&self, within: Duration) {
        // Held while a store is being opened, which may take seconds; then there is nothing to write out, and an end that
        // waited for it would come too late.
        if let Ok(engine) = self.engine.try_lock()
            && let Some(engine) = &*engine
        {
            engine.flush(within);
        }
    }

    /// The same in the background.
    pub(super) fn flush_soon(self: &Arc<Self>) {
        let hosted = Arc::clone(self);
        tokio::task::spawn_blocking(move || hosted.flush(FLUSH_LIMIT));
    }

    pub(super) fn backend(&self) -> Option<Backend> {
        self.backend.load().as_deref().cloned()
    }

    pub(super) fn uptime(&self) -> Duration {
        Duration::from_nanos(SystemClock.boot_ns().saturating_sub(self.started_ns))
    }

    pub(super) fn health(&self) -> Health {
        self.gate.health()
    }
}
