//! Time and chance, passed in so that tests hold them.
//!
//! Nothing else in the crate calls `SystemTime::now`, `Instant::now` or the random generator
//! (clippy's `disallowed-methods`). Two clocks are needed: the wall clock for what is stored, and the
//! boot-time clock for ages, because it goes on while the machine sleeps and never steps.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// Reads both clocks.
pub trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch, UTC, as the machine believes.
    fn wall_ms(&self) -> i64;
    /// Nanoseconds since boot, suspend included; never steps back.
    fn boot_ns(&self) -> u64;
}

/// The machine's clocks.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn wall_ms(&self) -> i64 {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        now.tv_sec.saturating_mul(1000).saturating_add(now.tv_nsec / 1_000_000)
    }

    fn boot_ns(&self) -> u64 {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        u64::try_from(now.tv_sec)
            .unwrap_or(0)
            .saturating_mul(1_000_000_000)
            .saturating_add(u64::try_from(now.tv_nsec).unwrap_or(0))
    }
}

/// A clock in the hand of a test.
#[derive(Debug)]
pub struct ManualClock {
    wall_ms: AtomicI64,
    boot_ns: AtomicU64,
}

impl ManualClock {
    /// Starts at the given wall time, one hour after boot.
    pub fn at(wall_ms: i64) -> Self {
        Self { wall_ms: AtomicI64::new(wall_ms), boot_ns: AtomicU64::new(3_600_000_000_000) }
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        self.wall_ms.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
        self.boot_ns.fetch_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// Steps the wall clock alone, as an operator or NTP would.
    pub fn step_wall_ms(&self, by: i64) {
        self.wall_ms.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn wall_ms(&self) -> i64 {
        self.wall_ms.load(Ordering::SeqCst)
    }

    fn boot_ns(&self) -> u64 {
        self.boot_ns.load(Ordering::SeqCst)
    }
}

/// Time by which expiry is judged: it never goes back when the wall clock does.
///
/// The greatest of the wall clock, the wall time at start plus what the boot clock counted since, and
/// the time of the last committed change that this process has seen (security rule R8).
pub struct ExpiryClock {
    clock: std::sync::Arc<dyn Clock>,
    wall_at_start_ms: i64,
    boot_at_start_ns: u64,
    last_commit_ms: AtomicI64,
}

/// How far the wall clock may lie behind before it is an alarm.
pub const WALL_CLOCK_LAG_ALARM_MS: i64 = 60_000;

impl ExpiryClock {
    /// Starts counting now.
    pub fn new(clock: std::sync::Arc<dyn Clock>) -> Self {
        let (wall_at_start_ms, boot_at_start_ns) = (clock.wall_ms(), clock.boot_ns());
        Self { clock, wall_at_start_ms, boot_at_start_ns, last_commit_ms: AtomicI64::new(i64::MIN) }
    }

    /// The time to judge `not before` and expiry by, in milliseconds since the epoch.
    pub fn now_ms(&self) -> i64 {
        self.clock.wall_ms().max(self.floor_ms())
    }

    /// A moment to come of the boot clock, as expiry is judged, in milliseconds since the epoch.
    pub fn wall_ms_at(&self, boot_ns: u64) -> i64 {
        let left_ms = boot_ns.saturating_sub(self.clock.boot_ns()) / 1_000_000;
        self.now_ms().saturating_add(i64::try_from(left_ms).unwrap_or(i64::MAX))
    }

    /// Says that a change was committed at this time; later judgements are never before it.
    pub fn saw_commit(&self, at_ms: i64) {
        self.last_commit_ms.fetch_max(at_ms, Ordering::AcqRel);
    }

    /// By how much the wall clock lies behind what we know, in milliseconds; an alarm past
    /// [`WALL_CLOCK_LAG_ALARM_MS`].
    pub fn lag_ms(&self) -> i64 {
        self.floor_ms().saturating_sub(self.clock.wall_ms()).max(0)
    }

    fn floor_ms(&self) -> i64 {
        let since_start_ms = self.clock.boot_ns().saturating_sub(self.boot_at_start_ns) / 1_000_000;
        self.wall_at_start_ms
            .saturating_add(i64::try_from(since_start_ms).unwrap_or(i64::MAX))
            .max(self.last_commit_ms.load(Ordering::Acquire))
    }
}

/// A time in milliseconds since the epoch as RFC 3339 in UTC; empty when out of the range of dates.
pub fn rfc3339(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| String::new(), |time| time.to_string())
}

/// Random bytes for ids and secrets.
pub trait Entropy: Send + Sync {
    /// Fills `buffer`.
    ///
    /// # Errors
    /// When the operating system cannot give random bytes; nothing may be minted then.
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError>;
}

/// The operating system had no random bytes to give.
#[derive(Debug, thiserror::Error)]
#[error("the operating system's random generator failed")]
pub struct EntropyError;

/// The operating system's generator (`getrandom`), with no state of our own.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
        #[expect(clippy::disallowed_methods, reason = "the one place that asks for randomness")]
        getrandom::fill(buffer).map_err(|_| EntropyError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn r8_expiry_time_does_not_follow_a_clock_set_back() {
        let clock = Arc::new(ManualClock::at(1_000_000));
        let expiry = ExpiryClock::new(clock.clone());
        clock.advance(Duration::from_secs(10));
        clock.step_wall_ms(-3_600_000);
        assert_eq!(expiry.now_ms(), 1_010_000);
        assert!(expiry.lag_ms() > WALL_CLOCK_LAG_ALARM_MS);
    }

    #[test]
    fn r8_expiry_time_is_never_before_a_commit_seen() {
        let expiry = ExpiryClock::new(Arc::new(ManualClock::at(1_000)));
        expiry.saw_commit(5_000);
        assert_eq!(expiry.now_ms(), 5_000);
    }
}
