//! An authenticator and what keeps it honest: the watcher of the change feed, the decision log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::admin::Backend;
use crate::app::doctor;
use crate::app::outside::Outside;
use crate::app::{OpenFailure, Opened, Settings};
use crate::audit::decisions::DecisionSink;
use crate::authenticate::denied::DeniedHere;
use crate::authenticate::record::Recorder;
use crate::authenticate::upgrade::Upgrades;
use crate::authenticate::usage::{self, Usage};
use crate::authenticate::{Authenticator, Gate, Parts, Problem};
use tokio::runtime::Handle;

use crate::clock::{Clock, Entropy, EntropyError, ExpiryClock};
use crate::directory::cache::AppCache;
use crate::directory::hosted::HostDirectory;
use crate::directory::local::LocalDirectory;
use crate::directory::reconcile::Reconciler;
use crate::directory::{Directory, HostLink};
use crate::domain::Position;
use crate::store::feed::{ChangeFeed, POLL};
use crate::store::sqlite::ProcessKind;
use crate::store::sqlite::decisions::{self, DecisionLog};
use crate::store::{Store, StoreError};
use crate::telemetry::metrics::Metrics;
use crate::verify::jwt::{self, Jwts};
use crate::verify::keyring::Keyring;
use crate::verify::pool::ArgonPool;
use crate::verify::{Hasher, Verifier};

/// A running authenticator.
pub struct Engine {
    /// Decides.
    pub authenticator: Arc<Authenticator>,
    /// Administers the same store.
    pub backend: Backend,
    /// What is known of Apps from the host; none where no host is asked.
    pub apps: Option<Arc<AppCache>>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    decisions: Arc<DecisionLog>,
    stop: Arc<AtomicBool>,
    replaced: Arc<AtomicBool>,
    /// Looks after the keys of issuers.
    _outside: Outside,
}

impl Engine {
    /// Starts deciding over an opened store.
    ///
    /// # Errors
    /// When the store cannot be read or the system gives no thread.
    pub fn start(opened: &Opened, settings: &Settings, metrics: &Arc<Metrics>) -> Result<Self, OpenFailure> {
        Self::start_hosted(opened, settings, metrics, Arc::default(), None)
    }

    /// The same, which refuses what this process denies and asks the host over this link.
    ///
    /// # Errors
    /// As [`Engine::start`].
    pub fn start_hosted(
        opened: &Opened,
        settings: &Settings,
        metrics: &Arc<Metrics>,
        denied: Arc<DeniedHere>,
        host: Option<Arc<HostLink>>,
    ) -> Result<Self, OpenFailure> {
        let system = |error: &dyn std::fmt::Display| OpenFailure::System(std::io::Error::other(error.to_string()));
        let store: Arc<dyn Store> = Arc::clone(&opened.store) as Arc<dyn Store>;
        let expiry = Arc::new(ExpiryClock::new(Arc::clone(&opened.clock)));
        let position: Position = opened.store.position().map_err(|error| system(&error))?;
        let feed = Arc::new(ChangeFeed::new(position, Arc::clone(&opened.clock), Arc::clone(&expiry)));
        let listener: Arc<dyn crate::store::CommitListener> = Arc::clone(&feed) as _;
        opened.store.set_listener(listener);
        feed.check(store.feed()).map_err(|error| system(&error))?;
        let limits = decisions::Limits {
            max_rows: settings.decisions_max_rows,
            per_second: settings.decisions_per_second,
            accepted_one_in: settings.accepted_one_in,
        };
        let decisions = Arc::new(DecisionLog::start(&opened.data_dir, limits, Arc::clone(&opened.clock))?);
        let sink: Arc<dyn DecisionSink> = Arc::clone(&decisions) as _;
        let per_second = settings.authenticate.logged_refusals_per_second;
        let recorder = Recorder::new(Arc::clone(metrics), sink, Arc::clone(&opened.clock), per_second);
        let pool = ArgonPool::start(settings.argon_threads, settings.argon_queue).map_err(OpenFailure::System)?;
        let mut cache_key = [0; 64];
        opened.entropy.fill(&mut cache_key).map_err(|error: EntropyError| system(&error))?;
        let host = host.filter(|_| settings.directory.ask_host);
        let (directory, apps) = directory(opened, settings, metrics, host);
        doctor::issuers::warn(&opened.store);
        let outside = Outside::start(opened, metrics)?;
        let own = jwt::Settings { issuer: opened.tokens.issuer.clone(), audience: opened.tokens.audience.clone() };
        let files = (opened.subject_key.clone(), opened.data_dir.clone());
        let keys = Some(Arc::clone(&outside.jwks));
        let jwts = Jwts::new(Arc::clone(&store), own, files.0, files.1, keys, Arc::clone(&opened.entropy));
        let parts = Parts {
            store: Arc::clone(&store),
            verifier: Verifier::new(Arc::clone(&store), Arc::clone(&opened.keyring), pool).with_jwts(jwts),
            directory: Arc::clone(&directory),
            feed: Arc::clone(&feed),
            cache_key,
            clock: Arc::clone(&opened.clock),
            expiry,
            recorder,
            denied,
            usage: Usage::start(Arc::clone(&store), usage::INTERVAL).map_err(OpenFailure::System)?,
            upgrades: Some(
                Upgrades::start(Arc::clone(&store), Arc::clone(&opened.clock), Arc::clone(&opened.entropy))
                    .map_err(OpenFailure::System)?,
            ),
        };
        let authenticator = Arc::new(Authenticator::new(parts, settings.authenticate.clone()));
        let stop = Arc::new(AtomicBool::new(false));
        authenticator.reload_imports().map_err(|error| system(&error))?;
        let told = (Arc::clone(&opened.keyring), Arc::clone(&authenticator));
        let replaced = Arc::new(AtomicBool::new(false));
        let signs = (Arc::clone(&stop), Arc::clone(&replaced));
        watch(feed, store, told, Arc::clone(metrics), signs).map_err(OpenFailure::System)?;
        let hasher = Hasher::Pool(Arc::clone(authenticator.pool()));
        let backend = opened.backend().with_retention(settings.audit_min_retention).with_hasher(hasher);
        let backend = backend.with_portal_rules(settings.portal_rules.clone()).with_directory(directory);
        let (store, clock, entropy) =
            (Arc::clone(&opened.store) as _, Arc::clone(&opened.clock), Arc::clone(&opened.entropy));
        Ok(Self { authenticator, backend, apps, store, clock, entropy, decisions, stop, replaced, _outside: outside })
    }

    /// What keeps the store in step with the host over this link, asked from this runtime; `namespaces` says which are whose.
    pub fn reconciler(&self, link: &Arc<HostLink>, namespaces: Vec<(String, String)>, runtime: Handle) -> Reconciler {
        let (store, link) = (Arc::clone(&self.store), Arc::clone(link));
        let clocks = (Arc::clone(&self.clock), Arc::clone(&self.entropy));
        Reconciler::new(store, link, self.apps.clone(), clocks, namespaces, runtime)
    }

    /// Whether another file is where the store was (rule R9): everything is denied until it is opened anew.
    pub fn is_replaced(&self) -> bool {
        self.replaced.load(Ordering::Acquire)
    }

    /// Writes out what is buffered, for at most `within`. Blocks.
    pub fn flush(&self, within: Duration) {
        self.decisions.flush(within / 2);
        self.authenticator.flush(within / 2);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

/// Where Apps and Users come from, and what is kept of a host's.
fn directory(
    opened: &Opened,
    settings: &Settings,
    metrics: &Arc<Metrics>,
    host: Option<Arc<HostLink>>,
) -> (Arc<dyn Directory>, Option<Arc<AppCache>>) {
    let store: Arc<dyn Store> = Arc::clone(&opened.store) as _;
    let Some(link) = host else { return (Arc::new(LocalDirectory::new(store)), None) };
    let (clock, entropy) = (Arc::clone(&opened.clock), Arc::clone(&opened.entropy));
    let apps = AppCache::new(Arc::clone(&link), settings.directory.clone(), clock, entropy, Arc::clone(metrics));
    (Arc::new(HostDirectory::new(store, link, Arc::clone(&apps))), Some(apps))
}

/// Looks at the feed every [`POLL`] from a thread of its own, so that a busy runtime cannot hold it up.
fn watch(
    feed: Arc<ChangeFeed>,
    store: Arc<dyn Store>,
    (keyring, authenticator): (Arc<Keyring>, Arc<Authenticator>),
    metrics: Arc<Metrics>,
    (stop, replaced): (Arc<AtomicBool>, Arc<AtomicBool>),
) -> std::io::Result<()> {
    let look = move || {
        let mut failing = false;
        let (mut peppers, mut keyring_failing) = (feed.pepper_changes(), false);
        while !stop.load(Ordering::Acquire) {
            match feed.check(store.feed()) {
                Ok(checked) => {
                    metrics.feed_changes.inc_by(checked.changes as u64);
                    if let Some(ms) = checked.slowest_ms {
                        metrics.revocation_effective.observe(Duration::from_millis(ms.unsigned_abs()).as_secs_f64());
                    }
                    failing = false;
                }
                Err(error) => {
                    replaced.store(matches!(error, StoreError::Replaced), Ordering::Release);
                    metrics.feed_failures.inc();
                    if !failing {
                        tracing::error!(%error, "the change feed cannot be read; cached credentials are refused");
                    }
                    failing = true;
                }
            }
            let changed = feed.pepper_changes();
            if changed != peppers {
                match reload(&keyring, &authenticator, store.as_ref()) {
                    Ok(()) => (peppers, keyring_failing) = (changed, false),
                    Err(error) if !keyring_failing => {
                        tracing::error!(%error, "the store's peppers changed and cannot be read again; it is tried again");
                        keyring_failing = true;
                    }
                    Err(_) => {}
                }
            }
            metrics.feed_check_age.set(Duration::from_nanos(feed.check_age_ns()).as_secs_f64());
            std::thread::sleep(POLL);
        }
    };
    std::thread::Builder::new().name("feed-watch".to_owned()).spawn(look).map(drop)
}

fn reload(keyring: &Keyring, authenticator: &Authenticator, store: &dyn Store) -> anyhow::Result<()> {
    keyring.reload(&store.peppers().list()?)?;
    Ok(authenticator.reload_imports()?)
}

/// Opens the store and starts deciding. `problems` are what is wrong all the same; `host` leads to the host that started this
/// process. Blocks: not for an async thread.
///
/// # Errors
/// What is wrong and what to do; the gate is as it was.
pub fn open_gate(
    gate: &Gate,
    settings: &Settings,
    kind: ProcessKind,
    problems: Vec<Problem>,
    host: Option<Arc<HostLink>>,
) -> Result<Engine, OpenFailure> {
    let opened = crate::app::open(settings, kind)?;
    let engine = Engine::start_hosted(&opened, settings, gate.metrics(), Arc::clone(gate.denied()), host)?;
    gate.open(Arc::clone(&engine.authenticator), problems);
    Ok(engine)
}
