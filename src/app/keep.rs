//! Keeps the store in step with Studio, in the process that Studio started: on a schedule, at its events and hooks.
//!
//! One thread compares everything, one writes what was told of Users and LLMs ([`super::word`]); Apps that Studio's bus names
//! are looked after one by one, beside. Both threads take spare time only, and survive what goes wrong in a step.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_stream::StreamExt as _;
use tokio_util::task::AbortOnDropHandle;

use crate::app::word::Word;
use crate::directory::reconcile::{ReconcileError, Reconciler};
use crate::directory::told::Told;
use crate::directory::{HostError, HostLink};
use crate::domain::AppId;

/// The first comparison comes this long after the start: the host holds locks meanwhile (host contract 2.3).
const AT_FIRST: Duration = Duration::from_secs(1);
/// What could not be written is tried again after this, and a bus that ended is listened to again.
const AGAIN: Duration = Duration::from_secs(1);
/// Between comparisons that nobody scheduled, and after one that failed: any plugin can make events up.
const PACE: Duration = Duration::from_secs(10);
/// As long as nothing is due: until somebody wakes us.
const FOREVER: Duration = Duration::from_secs(86_400);
/// A host without a bus may have one after an upgrade.
const AGAIN_LATER: Duration = Duration::from_secs(600);
/// Apps that wait to be looked after at most; what is more is found by comparing everything.
const MOST: usize = 10_000;

#[derive(Default)]
struct Work {
    everything: bool,
    stopped: bool,
}

struct Shared {
    reconciler: Reconciler,
    word: Arc<Word>,
    work: Mutex<Work>,
    woken: Condvar,
    /// Apps that the bus named.
    named: Mutex<BTreeSet<AppId>>,
    naming: Notify,
    stopped: AtomicBool,
}

/// Runs until dropped.
pub struct Keeper {
    shared: Arc<Shared>,
    _tasks: [AbortOnDropHandle<()>; 2],
}

impl Keeper {
    /// Begins. Compares everything each `every`, if that is not zero, and listens to the bus, if there is a `link` to ask.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(
        reconciler: Reconciler,
        word: Arc<Word>,
        link: Option<Arc<HostLink>>,
        every: Duration,
        runtime: &Handle,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            reconciler,
            word,
            work: Mutex::default(),
            woken: Condvar::new(),
            named: Mutex::default(),
            naming: Notify::new(),
            stopped: AtomicBool::new(false),
        });
        let spawn = |name: &str, run: fn(&Shared, Duration)| {
            let worker = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name(name.to_owned());
            thread.spawn(move || {
                // Of this thread alone on Linux, as in `verify::pool`: decisions come first.
                let _ = rustix::process::setpriority_process(None, 10);
                run(&worker, every);
            })
        };
        spawn("host-word", |shared, _| shared.write_what_is_told())?;
        if link.is_some() {
            spawn("reconcile", Shared::keep)?;
        }
        let listening = runtime.spawn(follow(Arc::clone(&shared), link));
        let tasks = [listening, runtime.spawn(look_after(Arc::clone(&shared)))].map(AbortOnDropHandle::new);
        Ok(Self { shared, _tasks: tasks })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        self.shared.work().stopped = true;
        self.shared.woken.notify_all();
        self.shared.word.wake();
    }
}

/// Listens to the host's bus, and whenever that begins compares everything: what was told before is lost. Only takes note, so
/// that the stream, of which the host drops what is not taken, is always taken.
async fn follow(shared: Arc<Shared>, link: Option<Arc<HostLink>>) {
    let Some(link) = link else { return };
    loop {
        let Some(service) = link.service() else {
            tokio::time::sleep(AGAIN).await;
            continue;
        };
        let mut ids = service.app_events();
        // Nothing says that a subscription stands before its first event: a little later it does.
        let mut begun = Box::pin(tokio::time::sleep(AT_FIRST));
        let mut compared = false;
        let ended = loop {
            tokio::select! {
                () = &mut begun, if !compared => {
                    compared = true;
                    shared.everything();
                }
                told = ids.next() => match told {
                    Some(Ok(Some(id))) => shared.name(id),
                    Some(Ok(None)) => shared.everything(),
                    Some(Err(error)) => break Some(error),
                    None => break None,
                },
            }
        };
        tracing::debug!(error = ended.as_ref().map(tracing::field::display), "the host's events ended");
        let none = matches!(ended, Some(HostError::Forbidden { .. }));
        tokio::time::sleep(if none { AGAIN_LATER } else { AGAIN }).await;
    }
}

/// Compares the Apps that the bus named, one after the other.
async fn look_after(shared: Arc<Shared>) {
    loop {
        let Some(id) = shared.named().pop_first() else {
            shared.naming.notified().await;
            continue;
        };
        let worker = Arc::clone(&shared);
        let taken = tokio::task::spawn_blocking(move || worker.reconciler.take(&Told::App(id))).await;
        if !matches!(taken, Ok(Ok(()))) {
            shared.everything();
        }
    }
}

impl Shared {
    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn named(&self) -> MutexGuard<'_, BTreeSet<AppId>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An App is another than before: what is known of it is used no more.
    fn name(&self, id: AppId) {
        self.reconciler.forget(id);
        let mut named = self.named();
        if named.len() < MOST {
            named.insert(id);
            drop(named);
            self.naming.notify_one();
        } else {
            drop(named);
            self.everything();
        }
    }

    fn everything(&self) {
        self.work().everything = true;
        self.woken.notify_all();
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    fn write_what_is_told(&self) {
        while let Some((key, told, version)) = self.word.next(|| self.is_stopped()) {
            match catch_unwind(AssertUnwindSafe(|| self.reconciler.take(&told))) {
                Ok(Ok(())) => self.word.written(key, version),
                failed => {
                    let error = failed.ok().and_then(Result::err);
                    let error = error.as_ref().map(tracing::field::display);
                    tracing::warn!(error, "what the host told of could not be written; it is tried again");
                    self.word.failed(key);
                    std::thread::sleep(AGAIN);
                }
            }
        }
    }

    fn keep(&self, every: Duration) {
        let now = || self.reconciler.second();
        let scheduled = |from: u64| (!every.is_zero()).then(|| from + every.as_secs());
        // The second of the next comparison on schedule, and before which there is none at anybody's word.
        let (mut next, mut not_before) = ((!every.is_zero()).then(|| now() + AT_FIRST.as_secs()), 0);
        loop {
            {
                let due = |work: &Work| next.is_some_and(|at| now() >= at) || (work.everything && now() >= not_before);
                let mut work = self.work();
                while !work.stopped && !due(&work) {
                    let wanted = if work.everything { Some(not_before) } else { None };
                    let at = [next, wanted].into_iter().flatten().min();
                    let wait = at.map_or(FOREVER, |at| Duration::from_secs(at.saturating_sub(now())));
                    work = self.woken.wait_timeout(work, wait).unwrap_or_else(PoisonError::into_inner).0;
                }
                if work.stopped {
                    return;
                }
                work.everything = false;
            }
            let begun = now();
            // One that panics costs itself: nothing else keeps the store in step.
            let compared = catch_unwind(AssertUnwindSafe(|| self.compare())).unwrap_or_else(|_| {
                tracing::error!("comparing failed in an unforeseen way; it goes on");
                false
            });
            not_before = begun + PACE.as_secs();
            next = if compared { scheduled(now()) } else { Some(now() + PACE.as_secs()) };
        }
    }

    /// Whether it was compared.
    fn compare(&self) -> bool {
        match self.reconciler.run(&|| self.is_stopped()) {
            Ok(sync) if sync.changed > 0 => tracing::info!(
                listed = sync.listed,
                changed = sync.changed,
                gone = sync.gone,
                unclaimed = sync.unclaimed,
                "the directory was brought in step with the host"
            ),
            Ok(sync) => tracing::debug!(listed = sync.listed, "the directory is in step with the host"),
            Err(ReconcileError::Stopped) => {}
            Err(error) => {
                tracing::warn!(%error, "the directory could not be brought in step with the host");
                return false;
            }
        }
        true
    }
}
