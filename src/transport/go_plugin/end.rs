//! The end of the process: the host's Shutdown, signals, a dead host, a wedged runtime (section 8).
//!
//! Every way out goes through [`Ending`]: flush for a bounded time, remove the sockets, exit. The timer that
//! enforces it runs on a thread of its own, because the runtime may be what hangs.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::Pid;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long the flush may take before the host's Shutdown is answered; the host waits for ever for an answer.
const FLUSH_LIMIT: Duration = Duration::from_millis(800);
/// How long after the answer the process is gone at the latest: the host kills after 2 s.
const EXIT_AFTER: Duration = Duration::from_millis(300);
/// How long we go on serving after SIGTERM: systemd sends it to host and plugin alike.
const TERM_GRACE: Duration = Duration::from_secs(8);
/// A runtime that does not run a task for this long is wedged.
const WEDGED_AFTER: Duration = Duration::from_secs(30);

/// Writes out what is buffered, for at most the given time. Blocks; called off the runtime.
pub type Flush = Arc<dyn Fn(Duration) + Send + Sync>;

/// How the process ends.
pub struct Ending {
    sockets: Mutex<Vec<PathBuf>>,
    flush: Flush,
    closing: CancellationToken,
    begun: AtomicBool,
}

impl Ending {
    /// Ends with this flush.
    pub fn new(flush: Flush) -> Arc<Self> {
        let (sockets, closing) = (Mutex::default(), CancellationToken::new());
        Arc::new(Self { sockets, flush, closing, begun: AtomicBool::new(false) })
    }

    /// A socket to remove at the end.
    pub fn owns(&self, socket: PathBuf) {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner).push(socket);
    }

    /// Cancelled when the end has begun: open streams end with it.
    pub fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// Flushes, then lets the caller answer, and exits soon after. Any number of calls are one.
    pub async fn flush_then_exit(self: &Arc<Self>) {
        let ending = Arc::clone(self);
        // The limit holds even if the flush, or this very task, is stuck.
        self.exit_in(FLUSH_LIMIT + EXIT_AFTER);
        let _ =
            tokio::time::timeout(FLUSH_LIMIT, tokio::task::spawn_blocking(move || (ending.flush)(FLUSH_LIMIT))).await;
        self.exit_in(EXIT_AFTER);
        self.closing.cancel();
    }

    /// Exits with status 0 after this time, whatever else happens.
    fn exit_in(self: &Arc<Self>, after: Duration) {
        let ending = Arc::clone(self);
        let timer = move || {
            std::thread::sleep(after);
            ending.exit_now(0);
        };
        if std::thread::Builder::new().name("exit-timer".to_owned()).spawn(timer).is_err() {
            self.exit_now(0);
        }
    }

    /// Removes the sockets and exits.
    pub fn exit_now(&self, code: i32) {
        for socket in self.sockets.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = std::fs::remove_file(socket);
        }
        crate::telemetry::log::flush(Duration::from_millis(100));
        std::process::exit(code);
    }

    /// Flushes and exits, from a thread that may block.
    fn end_blocking(&self) {
        if !self.begun.swap(true, Ordering::AcqRel) {
            (self.flush)(FLUSH_LIMIT);
        }
        self.exit_now(0);
    }
}

/// Ends the process when the host is gone: the moment its end of our stdout closes, or when another process
/// becomes our parent. go-plugin itself does nothing about orphans (section 8.4).
///
/// # Errors
/// When the system gives no thread.
pub fn follow_host(stdout: OwnedFd, ending: Arc<Ending>) -> std::io::Result<()> {
    let parent: Option<Pid> = rustix::process::getppid();
    let watch = move || {
        let tick = rustix::event::Timespec { tv_sec: 1, tv_nsec: 0 };
        loop {
            // No event is asked for: only errors are reported, and a closed pipe is one.
            let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
            let polled = poll(&mut fds, Some(&tick));
            let closed = polled.is_ok_and(|n| n > 0)
                && fds.iter().any(|fd| fd.revents().intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL));
            if closed || rustix::process::getppid() != parent {
                tracing::info!("the host is gone");
                return ending.end_blocking();
            }
        }
    };
    std::thread::Builder::new().name("host-watch".to_owned()).spawn(watch).map(drop)
}

/// Signals of a process that a host started: SIGINT is the host's business, SIGTERM and SIGHUP end us unless the host
/// does so first. Never returns.
///
/// # Errors
/// When a handler cannot be installed.
pub async fn follow_signals_of_plugin(ending: Arc<Ending>) -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (mut terminate, mut hangup) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    loop {
        tokio::select! {
            _ = interrupt.recv() => tracing::debug!("SIGINT is the host's to act on"),
            _ = terminate.recv() => break,
            _ = hangup.recv() => break,
        }
    }
    tracing::info!(seconds = TERM_GRACE.as_secs(), "told to end; serving until the host ends us");
    tokio::time::sleep(TERM_GRACE).await;
    ending.flush_then_exit().await;
    std::future::pending().await
}

/// Signals of a server of its own: SIGINT, SIGTERM and SIGHUP end it. Returns when one came.
///
/// # Errors
/// When a handler cannot be installed.
pub async fn until_told_to_end() -> std::io::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}

/// Ends the process, with an error status that the host sees, when the runtime has not run a task for long: the
/// host has no deadline of its own for much of what it asks (section 11, 26).
///
/// # Errors
/// When the system gives no thread.
pub fn watch_runtime(ending: Arc<Ending>) -> std::io::Result<()> {
    let beats = Arc::new(AtomicU64::new(0));
    let beating = Arc::clone(&beats);
    tokio::spawn(async move {
        loop {
            beating.fetch_add(1, Ordering::Release);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let watch = move || {
        let (mut seen, mut silent) = (0, 0);
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let now = beats.load(Ordering::Acquire);
            // Counted in our own turns of one second, so that a stopped process is not taken for a wedged one.
            silent = if now == seen { silent + 1 } else { 0 };
            seen = now;
            if silent >= WEDGED_AFTER.as_secs() {
                tracing::error!("the runtime has stood still for {} s; giving up", WEDGED_AFTER.as_secs());
                return ending.exit_now(70);
            }
        }
    };
    std::thread::Builder::new().name("runtime-watch".to_owned()).spawn(watch).map(drop)
}
