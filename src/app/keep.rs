//! Keeps the store in step with Studio, in the process that Studio started: on a schedule, at its events and hooks.
//!
//! A thread of its own compares everything; what the host tells of is written by blocking threads of the runtime, each thing
//! at once. What takes something away holds in this process before it is written, and is tried until it is.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_stream::StreamExt as _;
use tokio_util::task::AbortOnDropHandle;

use crate::authenticate::denied::DeniedHere;
use crate::directory::HostLink;
use crate::directory::reconcile::{ReconcileError, Reconciler};
use crate::directory::told::Told;

/// The first comparison comes this long after the start: the host holds locks meanwhile (host contract 2.3).
const AT_FIRST: Duration = Duration::from_secs(1);
/// What could not be written is tried again after this, and a bus that ended is listened to again.
const AGAIN: Duration = Duration::from_secs(1);
/// A host without a bus may have one after an upgrade.
const AGAIN_LATER: Duration = Duration::from_secs(600);
/// Things that wait to be written at most; what is more is found by comparing everything.
const MOST: usize = 10_000;
/// Events of one second that are looked after one by one: any plugin can make them up.
const EVENTS_PER_SECOND: u32 = 200;

#[derive(Default)]
struct Work {
    everything: bool,
    stopped: bool,
    pending: VecDeque<Told>,
}

struct Shared {
    reconciler: Reconciler,
    denied: Arc<DeniedHere>,
    work: Mutex<Work>,
    woken: Condvar,
    stopped: AtomicBool,
}

/// Runs until dropped.
pub struct Keeper {
    shared: Arc<Shared>,
    _events: AbortOnDropHandle<()>,
}

impl Keeper {
    /// Begins with what was `missed`. Compares everything each `every`, if that is not zero.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        reconciler: Reconciler,
        link: Arc<HostLink>,
        denied: Arc<DeniedHere>,
        every: Duration,
        runtime: &Handle,
        missed: Vec<Told>,
    ) -> std::io::Result<Self> {
        let work = Mutex::new(Work { pending: missed.into(), ..Work::default() });
        let (woken, stopped) = (Condvar::new(), AtomicBool::new(false));
        let shared = Arc::new(Shared { reconciler, denied, work, woken, stopped });
        let worker = Arc::clone(&shared);
        std::thread::Builder::new().name("reconcile".to_owned()).spawn(move || {
            // Of this thread alone on Linux, as in `verify::pool`: decisions come first.
            let _ = rustix::process::setpriority_process(None, 10);
            worker.keep(every);
        })?;
        let events = AbortOnDropHandle::new(runtime.spawn(follow(Arc::clone(&shared), link)));
        Ok(Self { shared, _events: events })
    }

    /// Takes what the host told of; over when it is written, or is sure to be.
    pub async fn told(&self, told: Told) {
        take(&self.shared, told).await;
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        self.shared.work().stopped = true;
        self.shared.woken.notify_all();
    }
}

/// Denies here at once, writes, and leaves what could not be written to be tried again.
async fn take(shared: &Arc<Shared>, told: Told) {
    if let Some(subject) = told.takes_away() {
        shared.denied.deny(subject);
    }
    let (writer, wanted) = (Arc::clone(shared), told.clone());
    let written = tokio::task::spawn_blocking(move || writer.write(&wanted)).await;
    if !matches!(written, Ok(true)) {
        shared.later(told);
    }
}

/// Listens to the host's bus, and whenever that begins anew compares everything: what was told meanwhile is lost.
async fn follow(shared: Arc<Shared>, link: Arc<HostLink>) {
    let mut seconds = (0, 0);
    loop {
        let Some(service) = link.service() else {
            tokio::time::sleep(AGAIN).await;
            continue;
        };
        let wait = match service.app_events().await {
            Ok(mut ids) => {
                shared.everything();
                while let Some(id) = ids.next().await {
                    let now = shared.reconciler.second();
                    seconds = if seconds.0 == now { (now, seconds.1 + 1) } else { (now, 1) };
                    if seconds.1 <= EVENTS_PER_SECOND {
                        take(&shared, Told::App(id)).await;
                    } else {
                        shared.everything();
                    }
                }
                AGAIN
            }
            Err(error) => {
                tracing::debug!(%error, "the host's events cannot be had; Apps are compared on schedule");
                let forbidden = matches!(error, crate::directory::HostError::Forbidden { .. });
                if forbidden { AGAIN_LATER } else { AGAIN }
            }
        };
        tokio::time::sleep(wait).await;
    }
}

impl Shared {
    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn everything(&self) {
        self.work().everything = true;
        self.woken.notify_all();
    }

    fn later(&self, told: Told) {
        let mut work = self.work();
        if work.pending.len() < MOST {
            work.pending.push_back(told);
        } else {
            work.everything = true;
        }
        drop(work);
        self.woken.notify_all();
    }

    /// Whether it is written. What it takes away is then for the store to say.
    fn write(&self, told: &Told) -> bool {
        match self.reconciler.take(told) {
            Ok(()) => {
                match told {
                    Told::User { id, .. } | Told::UserGone(id) => self.denied.lift(crate::domain::Subject::User(*id)),
                    Told::App(_) | Told::LlmGone(_) => {}
                }
                true
            }
            Err(error) => {
                tracing::warn!(%error, "what the host told of could not be written; it is tried again");
                false
            }
        }
    }

    fn keep(&self, every: Duration) {
        let mut due = AT_FIRST;
        loop {
            let (everything, pending) = {
                let idle = |work: &mut Work| !work.stopped && !work.everything && work.pending.is_empty();
                let limit = if due.is_zero() { Duration::from_secs(3_600) } else { due };
                let (mut work, waited) =
                    self.woken.wait_timeout_while(self.work(), limit, idle).unwrap_or_else(PoisonError::into_inner);
                if work.stopped {
                    return;
                }
                let scheduled = waited.timed_out() && !due.is_zero();
                (std::mem::take(&mut work.everything) || scheduled, std::mem::take(&mut work.pending))
            };
            for told in pending {
                if !self.stopped.load(Ordering::Acquire) && !self.write(&told) {
                    self.later(told);
                    std::thread::sleep(AGAIN);
                }
            }
            if everything {
                self.compare();
            }
            due = every;
        }
    }

    fn compare(&self) {
        match self.reconciler.run(&|| self.stopped.load(Ordering::Acquire)) {
            Ok(sync) if sync.changed > 0 => tracing::info!(
                listed = sync.listed,
                changed = sync.changed,
                gone = sync.gone,
                unclaimed = sync.unclaimed,
                "the directory was brought in step with the host"
            ),
            Ok(sync) => tracing::debug!(listed = sync.listed, "the directory is in step with the host"),
            Err(ReconcileError::Stopped) => {}
            Err(error) => tracing::warn!(%error, "the directory could not be brought in step with the host"),
        }
    }
}
