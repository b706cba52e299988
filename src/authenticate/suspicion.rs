//! Where failures come from: a small table that forgets, and by which nobody is ever refused (rule R13).
//!
//! A source that fails much gets its Argon2id work done after everybody else's. That is all that follows: what is proven
//! by a tag, or was proven before, passes at once from anywhere.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

/// Places of the table; two sources that share one forget each other.
const PLACES: usize = 4_096;
/// Failures that make a source suspect.
const SUSPECT: u64 = 20;
/// Seconds in which half of the failures are forgotten.
const HALF_LIFE_S: u64 = 30;

/// Failures by source: in each place 16 bits of the source's hash, 16 of a count, 32 of the second it was right in.
pub(super) struct Suspicion {
    hasher: RandomState,
    places: Box<[AtomicU64]>,
}

impl Suspicion {
    pub(super) fn new() -> Self {
        Self { hasher: RandomState::new(), places: (0..PLACES).map(|_| AtomicU64::new(0)).collect() }
    }

    /// A failure from there.
    pub(super) fn failed(&self, source: Option<IpAddr>, boot_ns: u64) {
        let Some((place, mark)) = source.and_then(|source| self.place(source)) else { return };
        let second = second_of(boot_ns);
        let before = place.load(Ordering::Relaxed);
        let count = if before >> 48 == mark { decayed(before, second) + 1 } else { 1 };
        // Lost where two failures meet: a count that is one too low.
        place.store((mark << 48) | (count.min(0xffff) << 32) | second, Ordering::Relaxed);
    }

    /// Whether much failed from there lately.
    pub(super) fn is_suspect(&self, source: Option<IpAddr>, boot_ns: u64) -> bool {
        source.and_then(|source| self.place(source)).is_some_and(|(place, mark)| {
            let known = place.load(Ordering::Relaxed);
            known >> 48 == mark && decayed(known, second_of(boot_ns)) >= SUSPECT
        })
    }

    fn place(&self, source: IpAddr) -> Option<(&AtomicU64, u64)> {
        // A client with IPv6 has the last 64 bits to itself.
        let hash = match source {
            IpAddr::V4(v4) => self.hasher.hash_one(v4.octets()),
            IpAddr::V6(v6) => self.hasher.hash_one(v6.octets().first_chunk::<8>()),
        };
        let place = self.places.get(usize::try_from(hash % PLACES as u64).ok()?)?;
        Some((place, hash >> 48))
    }
}

fn second_of(boot_ns: u64) -> u64 {
    (boot_ns / 1_000_000_000) & 0xffff_ffff
}

fn decayed(known: u64, second: u64) -> u64 {
    let halvings = second.saturating_sub(known & 0xffff_ffff) / HALF_LIFE_S;
    ((known >> 32) & 0xffff).checked_shr(u32::try_from(halvings).unwrap_or(u32::MAX)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn source(text: &str) -> Option<IpAddr> {
        text.parse().ok()
    }

    #[test]
    fn b6_a_source_that_fails_much_is_suspect_for_a_while_and_no_other_is() {
        let suspicion = Suspicion::new();
        for n in 0..SUSPECT {
            assert!(!suspicion.is_suspect(source("192.0.2.1"), n));
            suspicion.failed(source("192.0.2.1"), n);
        }
        assert!(suspicion.is_suspect(source("192.0.2.1"), SUSPECT));
        assert!(!suspicion.is_suspect(source("192.0.2.2"), SUSPECT));
        assert!(!suspicion.is_suspect(None, SUSPECT), "who is not known is not suspect");
        assert!(!suspicion.is_suspect(source("192.0.2.1"), HALF_LIFE_S * S));
        suspicion.failed(source("192.0.2.1"), 1_000_000 * S);
        assert!(!suspicion.is_suspect(source("192.0.2.1"), 1_000_000 * S));
    }

    #[test]
    fn b6_an_ipv6_client_is_its_network() {
        let suspicion = Suspicion::new();
        for n in 0..SUSPECT {
            suspicion.failed(source(&format!("2001:db8::{n:x}")), 0);
        }
        assert!(suspicion.is_suspect(source("2001:db8::ffff"), 0));
        assert!(!suspicion.is_suspect(source("2001:db8:0:1::1"), 0));
    }

    #[test]
    fn a_count_never_runs_over() {
        let suspicion = Suspicion::new();
        for _ in 0..70_000 {
            suspicion.failed(source("192.0.2.1"), 0);
        }
        assert!(suspicion.is_suspect(source("192.0.2.1"), 0));
    }
}
