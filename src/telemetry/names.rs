//! Every field, metric and label name, in one place: the same name everywhere.

/// Log fields, as in `docs/LOGGING.md`.
pub mod field {
    /// The host's id of the request.
    pub const REQUEST_ID: &str = "request_id";
    /// The tenant's slug.
    pub const TENANT: &str = "tenant";
    /// The credential's public id.
    pub const CREDENTIAL_ID: &str = "credential_id";
    /// The host's App id.
    pub const APP_ID: &str = "app_id";
    /// The host's User id.
    pub const USER_ID: &str = "user_id";
    /// `accepted` or `refused`.
    pub const OUTCOME: &str = "outcome";
    /// The reason code of a refusal.
    pub const REASON: &str = "reason";
    /// Microseconds from the credential to the decision.
    pub const DURATION_US: &str = "duration_us";
}

/// Metric names without the prefix `latchkey_`.
pub mod metric {
    /// Decisions, by outcome, reason and kind of credential.
    pub const AUTH_REQUESTS: &str = "auth_requests";
    /// Seconds from the credential to the decision.
    pub const AUTH_DURATION: &str = "auth_duration";
    /// Verified-cache hits.
    pub const CACHE_HITS: &str = "verified_cache_hits";
    /// Verified-cache misses.
    pub const CACHE_MISSES: &str = "verified_cache_misses";
    /// Entries in the verified cache.
    pub const CACHE_ENTRIES: &str = "verified_cache_entries";
    /// Entries met that a change had ended.
    pub const CACHE_ENDED: &str = "verified_cache_ended";
    /// Seconds since the change feed was last looked at.
    pub const FEED_CHECK_AGE: &str = "feed_check_age";
    /// Changes of other processes taken in.
    pub const FEED_CHANGES: &str = "feed_changes";
    /// Looks at the feed that failed.
    pub const FEED_FAILURES: &str = "feed_failures";
    /// Seconds from a revocation's commit elsewhere until it held here.
    pub const REVOCATION_EFFECTIVE: &str = "revocation_effective";
    /// Message bytes of auth calls held now.
    pub const INTAKE_BYTES: &str = "intake_bytes";
    /// Auth calls refused for their size.
    pub const INTAKE_REFUSED: &str = "intake_refused";
    /// Handlers that panicked.
    pub const PANICS: &str = "panics";
    /// Calls of the admin RPC, by method and outcome.
    pub const ADMIN_CALLS: &str = "admin_calls";
    /// Calls to the host's Service API, by outcome.
    pub const DIRECTORY_CALLS: &str = "directory_calls";
    /// Seconds that such a call took.
    pub const DIRECTORY_CALL_DURATION: &str = "directory_call_duration";
    /// When the host last answered, seconds since the epoch; its age is the directory's.
    pub const DIRECTORY_ANSWERED_AT: &str = "directory_answered_at";
    /// Decisions that rested on facts of the host older than promised, because it did not answer.
    pub const DIRECTORY_STALE: &str = "directory_stale_answers";
    /// Apps of the host that are kept.
    pub const DIRECTORY_ENTRIES: &str = "directory_entries";
    /// Fetches of the keys of issuers, by outcome.
    pub const JWKS_FETCHES: &str = "jwks_fetches";
    /// Requests that lacked a key for which the issuer was not asked again.
    pub const JWKS_NOT_ASKED: &str = "jwks_not_asked";
    /// When the oldest keys that are held were fetched, seconds since the epoch.
    pub const JWKS_OLDEST_AT: &str = "jwks_oldest_fetched_at";
    /// Log lines dropped because the reader was slow.
    pub const LOG_DROPPED: &str = "log_lines_dropped";
}
