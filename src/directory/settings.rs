//! What the directory can be set to.

use std::time::Duration;

/// How facts of the host are fetched and kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether the host is asked where it can be; else the store's own tables answer alone.
    pub ask_host: bool,
    /// The oldest that facts of the host may be while it answers.
    pub ttl: Duration,
    /// How long after that they are used while it does not; zero refuses at once.
    pub max_stale: Duration,
    /// How long it is known that the host has no such App.
    pub absent_ttl: Duration,
    /// Most Apps kept.
    pub entries: u64,
    /// The longest that one call may take. Requests wait no longer than their own deadline.
    pub timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ask_host: true,
            ttl: Duration::from_secs(30),
            max_stale: Duration::ZERO,
            absent_ttl: Duration::from_secs(5),
            entries: 20_000,
            timeout: Duration::from_secs(10),
        }
    }
}
