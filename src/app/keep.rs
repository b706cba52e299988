//! Keeps the store in step with Studio, in the process that Studio started: on a schedule, at its events and hooks.
//!
//! A thread of its own compares everything; what the host tells of is written by blocking threads of the runtime, each thing
//! at once. What takes something away holds in this process before it is written, and is tried until it is.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_stream::StreamExt as _;
use tokio_util::task::AbortOnDropHandle;

use crate::authenticate::denied::{By, DeniedHere};
use crate::directory::HostLink;
use crate::directory::reconcile::{ReconcileError, Reconciler};
use crate::directory::told::Told;
use crate::domain::{Subject, UserId};

/// The first comparison comes this long after the start: the host holds locks meanwhile (host contract 2.3).
const AT_FIRST: Duration = Duration::from_secs(1);
/// What could not be written is tried again after this, and a bus that ended is listened to again.
const AGAIN: Duration = Duration::from_secs(1);
/// A comparison that failed is made again after this.
const AGAIN_SOON: Duration = Duration::from_secs(10);
/// As long as nothing is due: until somebody wakes us.
const FOREVER: Duration = Duration::from_secs(86_400);
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
    /// What could not be written: of Users and LLMs.
    pending: VecDeque<Told>,
    /// Users who were just told to be gone, and how often, whose turn has not come.
    leaving: HashMap<UserId, u32>,
}

struct Shared {
    reconciler: Reconciler,
    denied: Arc<DeniedHere>,
    /// What is told of Users is written one after the other, in the order in which it was told. Held for a commit, never for
    /// a call to the host.
    turn: tokio::sync::Mutex<()>,
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
        let turn = tokio::sync::Mutex::new(());
        let shared = Arc::new(Shared { reconciler, denied, turn, work, woken, stopped });
        let worker = Arc::clone(&shared);
        std::thread::Builder::new().name("reconcile".to_owned()).spawn(move || {
            // Of this thread alone on Linux, as in `verify::pool`: decisions come first.
            let _ = rustix::process::setpriority_process(None, 10);
            worker.keep(every);
        })?;
        let events = AbortOnDropHandle::new(runtime.spawn(follow(Arc::clone(&shared), link)));
        Ok(Self { shared, _events: events })
    }

    /// Takes what the host told of; over when it is written, or is sure to be. A caller that gives up ends nothing.
    pub async fn told(&self, told: Told) {
        let _ = tokio::spawn(take(Arc::clone(&self.shared), told)).await;
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
async fn take(shared: Arc<Shared>, told: Told) {
    shared.leaves(&told);
    let turn = if told.user().is_some() { Some(shared.turn.lock().await) } else { None };
    shared.has_its_turn(&told);
    let (writer, wanted) = (Arc::clone(&shared), told.clone());
    let written = tokio::task::spawn_blocking(move || writer.write(&wanted)).await;
    if !matches!(written, Ok(true)) {
        shared.later(told);
    }
    drop(turn);
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
                        take(Arc::clone(&shared), Told::App(id)).await;
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

    /// Whom it takes away is refused here from now on.
    fn leaves(&self, told: &Told) {
        if let (Some(subject), Some(user)) = (told.takes_away(), told.user()) {
            let mut work = self.work();
            *work.leaving.entry(user).or_default() += 1;
            self.denied.deny(subject, By::Host);
        }
    }

    /// It is written next: what waits about the same User is older, and not to be written after it.
    fn has_its_turn(&self, told: &Told) {
        let Some(user) = told.user() else { return };
        let mut work = self.work();
        work.pending.retain(|waiting| waiting.user() != Some(user));
        if told.takes_away().is_some() {
            let left = work.leaving.get(&user).map_or(0, |count| count - 1);
            if left == 0 {
                work.leaving.remove(&user);
            } else {
                work.leaving.insert(user, left);
            }
        }
    }

    /// What a User's row says now counts, unless they were told to be gone meanwhile.
    fn lift(&self, user: UserId) {
        let work = self.work();
        if !work.leaving.contains_key(&user) {
            self.denied.lift(Subject::User(user), By::Host);
        }
    }

    /// Apps are found by comparing everything, and so is what is too much to keep.
    fn later(&self, told: Told) {
        let mut work = self.work();
        if matches!(told, Told::App(_)) || work.pending.len() >= MOST {
            work.everything = true;
        } else {
            work.pending.push_back(told);
        }
        drop(work);
        self.woken.notify_all();
    }

    /// Whether it is written.
    fn write(&self, told: &Told) -> bool {
        match self.reconciler.take(told) {
            Ok(()) => {
                told.user().into_iter().for_each(|user| self.lift(user));
                true
            }
            Err(error) => {
                tracing::warn!(%error, "what the host told of could not be written; it is tried again");
                false
            }
        }
    }

    fn keep(&self, every: Duration) {
        let now = || self.reconciler.second();
        // The second of the next comparison on schedule.
        let mut next = (!every.is_zero()).then(|| now() + AT_FIRST.as_secs());
        loop {
            let everything = {
                let idle = |work: &mut Work| !work.stopped && !work.everything && work.pending.is_empty();
                let limit = next.map_or(FOREVER, |next| Duration::from_secs(next.saturating_sub(now())));
                let (mut work, _) =
                    self.woken.wait_timeout_while(self.work(), limit, idle).unwrap_or_else(PoisonError::into_inner);
                if work.stopped {
                    return;
                }
                std::mem::take(&mut work.everything) || next.is_some_and(|next| now() >= next)
            };
            // One that panics costs itself: nothing else keeps the store in step.
            let step = || (self.write_what_waits(), !everything || self.compare());
            let (written, compared) = catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|_| {
                tracing::error!("keeping the store in step failed in an unforeseen way; it goes on");
                (false, false)
            });
            if !compared {
                next = Some(now() + AGAIN_SOON.as_secs());
            } else if everything {
                next = (!every.is_zero()).then(|| now() + every.as_secs());
            }
            if !written {
                std::thread::sleep(AGAIN);
            }
        }
    }

    /// Whether nothing waits any more.
    fn write_what_waits(&self) -> bool {
        loop {
            // Taken out within its turn: what is told meanwhile about the same comes after it.
            let _turn = self.turn.blocking_lock();
            let Some(told) = self.work().pending.pop_front() else { return true };
            if self.stopped.load(Ordering::Acquire) {
                return true;
            }
            if !self.write(&told) {
                self.work().pending.push_front(told);
                return false;
            }
        }
    }

    /// Whether it was compared.
    fn compare(&self) -> bool {
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
            Err(error) => {
                tracing::warn!(%error, "the directory could not be brought in step with the host");
                return false;
            }
        }
        true
    }
}
