//! What every serving process is: a gate that denies until its engine runs, and the engine.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::runtime::Handle;

use crate::admin::Backend;
use crate::app::engine::{self, Engine};
use crate::app::keep::Keeper;
use crate::app::word::Word;
use crate::app::{OpenFailure, Settings};
use crate::authenticate::record::Recorder;
use crate::authenticate::{Gate, Health, Problem};
use crate::clock::{Clock as _, SystemClock};
use crate::directory::cache::AppCache;
use crate::directory::told::Told;
use crate::directory::{HostLink, HostRuntime, HostSession};
use crate::domain::Reason;
use crate::store::sqlite::ProcessKind;
use crate::telemetry::metrics::Metrics;

/// How often a replaced store is looked for.
const LOOK: Duration = Duration::from_millis(500);
/// How long a host that tells of something waits for us: it gives up after five seconds (host contract 8.1).
const TOLD_LIMIT: Duration = Duration::from_secs(4);
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
    /// Where calls to it are made from.
    runtime: OnceLock<Handle>,
    /// Keeps the store in step with it, where it is Studio's.
    keeper: ArcSwapOption<Keeper>,
    /// What it told of, until it is written.
    word: Arc<Word>,
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
        let gate = Arc::new(Gate::closed(metrics, problems));
        let word = Arc::new(Word::new(Arc::clone(gate.denied())));
        let hosted = Arc::new(Self {
            gate,
            service: Arc::new(ArcSwap::from_pointee(service)),
            engine: Mutex::default(),
            link: Arc::default(),
            apps: ArcSwapOption::empty(),
            runtime: OnceLock::new(),
            keeper: ArcSwapOption::empty(),
            word,
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
        self.keeper.store(None);
        drop(engine.take());
        let host = (self.kind == ProcessKind::Plugin).then(|| Arc::clone(&self.link));
        match engine::open_gate(&self.gate, settings, self.kind, problems.clone(), host) {
            Ok(started) => {
                self.apps.store(started.apps.clone());
                self.keep_in_step(&started, settings);
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

    /// Begins to keep the store in step, if the host is Studio. Failing costs that alone.
    fn keep_in_step(&self, engine: &Engine, settings: &Settings) {
        let is_studio = self.link.runtime() == Some(HostRuntime::Studio);
        let Some(runtime) = self.runtime.get().filter(|_| is_studio) else { return };
        let directory = &settings.directory;
        let reconciler = engine.reconciler(&self.link, directory.namespaces.clone(), runtime.clone());
        // Of Users nobody can be asked: what is told of them is written whatever this machine says of Apps.
        let link = directory.ask_host.then(|| Arc::clone(&self.link));
        match Keeper::start(reconciler, Arc::clone(&self.word), link, directory.reconcile, runtime) {
            Ok(keeper) => self.keeper.store(Some(Arc::new(keeper))),
            Err(error) => tracing::error!(%error, "the store will not be kept in step with the host"),
        }
    }

    /// Takes what the host told of. Waits until it is written, less long than the host does.
    pub(super) async fn told(&self, told: Told) {
        let _ = tokio::time::timeout(TOLD_LIMIT, self.word.enter(told)).await;
    }

    /// Where the host's Service API is from now on; none where it has none. Within the runtime only.
    pub(super) fn reach(&self, service: Option<&HostSession>) {
        let _ = self.runtime.set(Handle::current());
        match service {
            Some(service) if self.link.set(service) => {
                if let Some(apps) = &*self.apps.load() {
                    apps.look_again();
                }
                self.keep_at_last();
            }
            Some(_) => {}
            None => self.link.clear(),
        }
    }

    /// A host that said late where its Service API is. While a store is being opened that sees to it.
    fn keep_at_last(&self) {
        let settings = self.opened_with.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let (Ok(engine), Some(settings)) = (self.engine.try_lock(), settings)
            && let Some(engine) = &*engine
            && self.keeper.load().is_none()
        {
            self.keep_in_step(engine, &settings);
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
