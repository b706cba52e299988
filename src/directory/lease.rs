//! How long what the host said may be used.
//!
//! Every fact of the host is under a [`Lease`]. Until `look_at` nobody has anything to do, which is one load on the answer
//! path. Then it is fetched anew beside the answers; until `fresh_until` it may be used whatever comes of that; until
//! `stale_until` only while the host does not answer. A lease that has ended never holds again: what comes after is another
//! one, so that nothing that rests on it comes back to life.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::directory::facts::HostApp;
use crate::domain::AppId;

/// Whether facts may be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// As young as promised.
    Fresh,
    /// Older, and the host does not answer.
    Stale,
    /// No more.
    Ended,
}

/// What the host answered.
#[derive(Clone, PartialEq, Debug)]
pub enum Answer {
    /// It is this.
    Present(Box<HostApp>),
    /// There is none.
    Absent,
}

/// One answer of the host, and how long it may be used. All times are of the boot clock, in nanoseconds.
#[derive(Debug)]
pub struct Lease {
    app: AppId,
    answer: Answer,
    look_at_ns: AtomicU64,
    fresh_until_ns: AtomicU64,
    stale_until_ns: AtomicU64,
}

/// The moments of a lease.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terms {
    /// When it is to be fetched anew.
    pub look_at_ns: u64,
    /// Until when it may be used whatever happens.
    pub fresh_until_ns: u64,
    /// Until when it may be used while the host does not answer.
    pub stale_until_ns: u64,
}

impl Terms {
    /// Of what was asked for at `asked_ns`: fresh for `ttl` at most, looked at after about two thirds of it. `chance` makes
    /// both come somewhat earlier, so that what was fetched at once does not end at once.
    pub fn new(asked_ns: u64, ttl: Duration, max_stale: Duration, chance: u32) -> Self {
        let ttl_ns = nanos(ttl);
        // Up to a tenth.
        let earlier = u64::try_from(u128::from(ttl_ns) * u128::from(chance) / (10 * (1_u128 << 32))).unwrap_or(0);
        let fresh_until_ns = asked_ns.saturating_add(ttl_ns - earlier);
        // Twice as much here, so that refreshes spread over a fifth of the time.
        let look_at_ns = asked_ns.saturating_add((ttl_ns / 3 * 2).saturating_sub(2 * earlier));
        let stale_until_ns = asked_ns.saturating_add(ttl_ns).saturating_add(nanos(max_stale));
        let stale_until_ns = if max_stale.is_zero() { fresh_until_ns } else { stale_until_ns };
        Self { look_at_ns, fresh_until_ns, stale_until_ns }
    }
}

/// A duration as the boot clock counts.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Lease {
    /// Of an answer about this App.
    pub fn new(app: AppId, answer: Answer, terms: Terms) -> Self {
        let Terms { look_at_ns, fresh_until_ns, stale_until_ns } = terms;
        let [look_at_ns, fresh_until_ns, stale_until_ns] =
            [look_at_ns, fresh_until_ns, stale_until_ns].map(AtomicU64::new);
        Self { app, answer, look_at_ns, fresh_until_ns, stale_until_ns }
    }

    /// Which App it is about.
    pub fn app(&self) -> AppId {
        self.app
    }

    /// What was answered.
    pub fn answer(&self) -> &Answer {
        &self.answer
    }

    /// Whether it may be used and there is nothing to do about it. What nearly every request asks, and alone.
    pub fn is_current(&self, now_ns: u64) -> bool {
        now_ns < self.look_at_ns.load(Ordering::Acquire)
    }

    /// By time alone.
    pub fn standing(&self, now_ns: u64) -> Standing {
        if now_ns < self.fresh_until_ns.load(Ordering::Acquire) {
            Standing::Fresh
        } else if now_ns < self.stale_until_ns.load(Ordering::Acquire) {
            Standing::Stale
        } else {
            Standing::Ended
        }
    }

    /// Whether it is older than promised.
    pub fn is_stale(&self, now_ns: u64) -> bool {
        now_ns >= self.fresh_until_ns.load(Ordering::Acquire)
    }

    /// Until when it is fresh.
    pub fn fresh_until_ns(&self) -> u64 {
        self.fresh_until_ns.load(Ordering::Acquire)
    }

    /// The host said the same again. Only under the lock of its place in the cache, as the two below.
    pub(super) fn renew(&self, terms: Terms) {
        self.stale_until_ns.store(terms.stale_until_ns, Ordering::Release);
        self.fresh_until_ns.store(terms.fresh_until_ns, Ordering::Release);
        self.look_at_ns.store(terms.look_at_ns, Ordering::Release);
    }

    /// It is to be looked at from this moment, and not later than it stops being fresh.
    pub(super) fn look_at(&self, at_ns: u64) {
        let at_ns = at_ns.min(self.fresh_until_ns.load(Ordering::Acquire));
        self.look_at_ns.store(at_ns, Ordering::Release);
    }

    /// It may have changed: from now on it is used only while the host does not answer.
    pub(super) fn doubt(&self) {
        self.look_at_ns.store(0, Ordering::Release);
        self.fresh_until_ns.store(0, Ordering::Release);
    }

    /// It is not true any more.
    pub(super) fn end(&self) {
        self.doubt();
        self.stale_until_ns.store(0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn a_lease_is_never_longer_than_promised_and_never_ends_with_all_others() {
        let (ttl, stale) = (Duration::from_secs(30), Duration::from_secs(300));
        let terms: Vec<_> = [0, u32::MAX / 2, u32::MAX].map(|chance| Terms::new(100 * S, ttl, stale, chance)).into();
        assert_eq!(terms[0], Terms { look_at_ns: 120 * S, fresh_until_ns: 130 * S, stale_until_ns: 430 * S });
        for (earlier, later) in [(terms[1], terms[0]), (terms[2], terms[1])] {
            assert!(earlier.fresh_until_ns < later.fresh_until_ns && earlier.look_at_ns < later.look_at_ns);
        }
        assert!(terms[2].fresh_until_ns >= 127 * S && terms[2].look_at_ns >= 114 * S);
        let strict = Terms::new(100 * S, ttl, Duration::ZERO, u32::MAX);
        assert_eq!(strict.stale_until_ns, strict.fresh_until_ns, "nothing stale unless it is configured");
    }

    #[test]
    fn standing_is_a_matter_of_time_until_it_ends() {
        let terms = Terms { look_at_ns: 20, fresh_until_ns: 30, stale_until_ns: 40 };
        let lease = Lease::new(AppId::new(7).unwrap(), Answer::Absent, terms);
        let at = |now| (lease.is_current(now), lease.standing(now));
        assert_eq!(at(19), (true, Standing::Fresh));
        assert_eq!(at(20), (false, Standing::Fresh));
        assert_eq!(at(30), (false, Standing::Stale));
        assert_eq!(at(40), (false, Standing::Ended));
        lease.look_at(25);
        assert_eq!(at(24), (true, Standing::Fresh));
        lease.look_at(90);
        assert_eq!(at(30), (false, Standing::Stale), "a later look never makes it younger");
        lease.doubt();
        assert_eq!(at(1), (false, Standing::Stale));
        lease.renew(terms);
        assert_eq!(at(19), (true, Standing::Fresh));
        lease.end();
        assert_eq!(at(1), (false, Standing::Ended));
    }
}
