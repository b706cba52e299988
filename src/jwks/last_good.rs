//! What was last good, kept beyond the process, so that a restart while a source is down is no outage.

use crate::jwks::line::Source;

/// A set of keys as it was fetched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// Its JSON.
    pub json: Vec<u8>,
    /// When it was asked for, milliseconds since the epoch: its age counts from there.
    pub fetched_at_ms: i64,
}

/// Where such sets are. Called on threads that may block.
pub trait LastGood: Send + Sync {
    /// What was last kept of this very source: the same issuer, and the same URL.
    fn load(&self, source: &Source) -> Option<Kept>;
    /// Whether somebody still trusts the issuer with this very URL. Asked before each fetch that no request asked for; where it
    /// cannot be told, it is.
    fn is_wanted(&self, _source: &Source) -> bool {
        true
    }
    /// Keeps it in the stead of what was kept of this issuer. That it cannot be kept is not the caller's concern.
    fn keep(&self, source: &Source, kept: Kept);
}

/// Keeps nothing.
#[derive(Debug, Default, Clone, Copy)]
pub struct Nowhere;

impl LastGood for Nowhere {
    fn load(&self, _: &Source) -> Option<Kept> {
        None
    }

    fn keep(&self, _: &Source, _: Kept) {}
}
