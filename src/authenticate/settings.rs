//! What authentication can be set to.

use std::time::Duration;

use crate::authenticate::cache;
use crate::domain::LlmGrants;

/// How this process decides.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How much is remembered of credentials.
    pub cache: cache::Limits,
    /// Whether a tenant's own `llm_grants = unchecked` takes effect on this machine (a local setting, rule R2).
    pub llm_grants: LlmGrants,
    /// The longest a decision may take; then it is refused.
    pub deadline: Duration,
    /// Refusals logged one by one per second; the rest are counted.
    pub logged_refusals_per_second: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cache: cache::Limits { entries: 20_000, bytes: 32 << 20, ttl: Duration::from_secs(300) },
            llm_grants: LlmGrants::Required,
            deadline: Duration::from_secs(2),
            logged_refusals_per_second: 50,
        }
    }
}
