//! Counters and their Prometheus text. Labels come from closed sets only.
//!
//! Every series is made at start, so that counting on the answer path is one atomic addition and no
//! look-up.

use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::telemetry::issuer_keys::IssuerKeyMetrics;
use crate::telemetry::names::metric;

/// Seconds: from half a microsecond to ten seconds.
const DURATION_BUCKETS: [f64; 14] = [
    0.000_000_5,
    0.000_001,
    0.000_002_5,
    0.000_005,
    0.000_01,
    0.000_025,
    0.000_1,
    0.001,
    0.005,
    0.025,
    0.1,
    0.5,
    2.0,
    10.0,
];

/// What kind of credential a decision was about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum KindLabel {
    /// An API key.
    ApiKey,
    /// A JWT.
    Jwt,
    /// Neither: junk.
    None,
}

impl KindLabel {
    const fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::Jwt => "jwt",
            Self::None => "none",
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct AuthLabels {
    outcome: &'static str,
    reason: &'static str,
    kind: &'static str,
}

/// How a call to the host's Service API ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DirectoryCall {
    /// With an App.
    Found,
    /// There is none.
    Absent,
    /// Without an answer.
    Failed,
}

impl DirectoryCall {
    const ALL: [Self; 3] = [Self::Found, Self::Absent, Self::Failed];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Absent => "absent",
            Self::Failed => "failed",
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct CallLabels {
    outcome: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct AdminLabels {
    method: &'static str,
    outcome: &'static str,
}

/// What `get_metrics` shows at a glance.
#[derive(Clone, Copy, PartialEq, Debug, serde::Serialize)]
pub struct Summary {
    /// Decisions so far.
    pub request_count: u64,
    /// Decisions that could not be made (refused for want of an answer).
    pub error_count: u64,
    /// Refusals so far, those included.
    pub refused_count: u64,
    /// Mean time of a decision in milliseconds; 0 before the first.
    pub avg_duration_ms: f64,
}

/// All metrics of a process.
pub struct Metrics {
    registry: Registry,
    accepted: Counter,
    /// By reason (in the order given at start) and kind.
    refused: Vec<[Counter; 3]>,
    unavailable: Vec<bool>,
    admin: Family<AdminLabels, Counter>,
    directory_calls: [Counter; 3],
    directory_call_duration: Histogram,
    duration: Histogram,
    duration_ns: AtomicU64,
    /// Verified-cache hits.
    pub cache_hits: Counter,
    /// Verified-cache misses.
    pub cache_misses: Counter,
    /// Cached entries that a change had ended.
    pub cache_ended: Counter,
    /// Entries in the verified cache.
    pub cache_entries: Gauge,
    /// Seconds since the last look at the feed, as of the last look.
    pub feed_check_age: Gauge<f64, AtomicU64>,
    /// Changes of other processes taken in.
    pub feed_changes: Counter,
    /// Looks at the feed that failed.
    pub feed_failures: Counter,
    /// Seconds from commit to effect of other processes' changes.
    pub revocation_effective: Histogram,
    /// When the host last answered, seconds since the epoch; 0 before it did.
    pub directory_answered_at: Gauge<f64, AtomicU64>,
    /// Decisions that rested on facts of the host older than promised.
    pub directory_stale: Counter,
    /// Apps of the host that are kept.
    pub directory_entries: Gauge,
    /// Of the keys of issuers.
    pub jwks: IssuerKeyMetrics,
    /// Message bytes held by auth calls.
    pub intake_bytes: Gauge<i64, AtomicI64>,
    /// Auth calls refused for their size.
    pub intake_refused: Counter,
    /// Handlers that panicked.
    pub panics: Counter,
    /// Log lines dropped.
    pub log_dropped: Counter,
}

impl Metrics {
    /// Makes every series. `reasons` are the reason codes of refusals with whether each is a failure to
    /// decide; refusals are counted by their index.
    pub fn new(reasons: &[(&'static str, bool)]) -> Self {
        let mut registry = Registry::with_prefix("latchkey");
        let requests = Family::<AuthLabels, Counter>::default();
        registry.register(metric::AUTH_REQUESTS, "Decisions", requests.clone());
        let series = |outcome, reason, kind: KindLabel| {
            requests.get_or_create(&AuthLabels { outcome, reason, kind: kind.as_str() }).clone()
        };
        let kinds = [KindLabel::ApiKey, KindLabel::Jwt, KindLabel::None];
        let refused = reasons.iter().map(|(code, _)| kinds.map(|kind| series("refused", code, kind))).collect();
        let accepted = series("accepted", "none", KindLabel::ApiKey);
        let duration = Histogram::new(DURATION_BUCKETS);
        registry.register_with_unit(metric::AUTH_DURATION, "Time of a decision", Unit::Seconds, duration.clone());
        let revocation_effective = Histogram::new([0.001, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 1.0, 10.0]);
        registry.register_with_unit(
            metric::REVOCATION_EFFECTIVE,
            "From a change's commit in another process until it held here",
            Unit::Seconds,
            revocation_effective.clone(),
        );
        let feed_check_age = Gauge::<f64, AtomicU64>::default();
        registry.register_with_unit(
            metric::FEED_CHECK_AGE,
            "Age of the last look at the change feed",
            Unit::Seconds,
            feed_check_age.clone(),
        );
        let calls = Family::<CallLabels, Counter>::default();
        registry.register(metric::DIRECTORY_CALLS, "Calls to the host's Service API", calls.clone());
        let directory_calls =
            DirectoryCall::ALL.map(|call| calls.get_or_create(&CallLabels { outcome: call.as_str() }).clone());
        let directory_call_duration = Histogram::new([0.000_5, 0.001, 0.005, 0.025, 0.1, 0.5, 2.0, 10.0]);
        registry.register_with_unit(
            metric::DIRECTORY_CALL_DURATION,
            "Time of a call to the host's Service API",
            Unit::Seconds,
            directory_call_duration.clone(),
        );
        let directory_answered_at = Gauge::<f64, AtomicU64>::default();
        registry.register_with_unit(
            metric::DIRECTORY_ANSWERED_AT,
            "When the host's Service API last answered, since the epoch",
            Unit::Seconds,
            directory_answered_at.clone(),
        );
        let directory_entries = Gauge::default();
        registry.register(metric::DIRECTORY_ENTRIES, "Apps of the host that are kept", directory_entries.clone());
        let jwks = IssuerKeyMetrics::new(&mut registry);
        let mut counter = |name, help| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let cache_hits = counter(metric::CACHE_HITS, "Verified-cache hits");
        let cache_misses = counter(metric::CACHE_MISSES, "Verified-cache misses");
        let cache_ended = counter(metric::CACHE_ENDED, "Cached entries met that a change had ended");
        let feed_changes = counter(metric::FEED_CHANGES, "Changes of other processes taken in");
        let feed_failures = counter(metric::FEED_FAILURES, "Looks at the change feed that failed");
        let intake_refused = counter(metric::INTAKE_REFUSED, "Auth calls refused for their size");
        let panics = counter(metric::PANICS, "Handlers that panicked");
        let log_dropped = counter(metric::LOG_DROPPED, "Log lines dropped because the reader was slow");
        let directory_stale =
            counter(metric::DIRECTORY_STALE, "Decisions that rested on facts of the host older than promised");
        let cache_entries = Gauge::default();
        registry.register(metric::CACHE_ENTRIES, "Entries in the verified cache", cache_entries.clone());
        let intake_bytes = Gauge::<i64, AtomicI64>::default();
        registry.register(metric::INTAKE_BYTES, "Message bytes held by auth calls", intake_bytes.clone());
        let admin = Family::<AdminLabels, Counter>::default();
        registry.register(metric::ADMIN_CALLS, "Calls of the admin RPC", admin.clone());
        let unavailable = reasons.iter().map(|(_, unavailable)| *unavailable).collect();
        Self {
            registry,
            accepted,
            refused,
            unavailable,
            admin,
            directory_calls,
            directory_call_duration,
            duration,
            duration_ns: AtomicU64::new(0),
            cache_hits,
            cache_misses,
            cache_ended,
            cache_entries,
            feed_check_age,
            feed_changes,
            feed_failures,
            revocation_effective,
            directory_answered_at,
            directory_stale,
            directory_entries,
            jwks,
            intake_bytes,
            intake_refused,
            panics,
            log_dropped,
        }
    }

    /// Counts a call to the host's Service API.
    pub fn directory_call(&self, call: DirectoryCall, took_ns: u64) {
        if let Some(counter) = self.directory_calls.get(call as usize) {
            counter.inc();
        }
        self.directory_call_duration.observe(Duration::from_nanos(took_ns).as_secs_f64());
    }

    /// Counts an acceptance.
    pub fn accepted(&self, duration_ns: u64) {
        self.accepted.inc();
        self.took(duration_ns);
    }

    /// Counts a refusal by the index of its reason.
    pub fn refused(&self, reason_index: usize, kind: KindLabel, duration_ns: u64) {
        if let Some(counter) = self.refused.get(reason_index).and_then(|kinds| kinds.get(kind as usize)) {
            counter.inc();
        }
        self.took(duration_ns);
    }

    /// Counts a call of the admin RPC. Both labels are of closed sets.
    pub fn admin_call(&self, method: &'static str, outcome: &'static str) {
        self.admin.get_or_create(&AdminLabels { method, outcome }).inc();
    }

    fn took(&self, duration_ns: u64) {
        self.duration_ns.fetch_add(duration_ns, std::sync::atomic::Ordering::Relaxed);
        // Nanoseconds fit a double's 53 bits for 104 days.
        #[expect(clippy::cast_precision_loss, reason = "a duration needs no more than 53 bits")]
        self.duration.observe(duration_ns as f64 / 1e9);
    }

    /// The glance that `get_metrics` opens with.
    #[expect(clippy::cast_precision_loss, reason = "a mean for people")]
    pub fn summary(&self) -> Summary {
        let totals: Vec<u64> = self.refused.iter().map(|kinds| kinds.iter().map(Counter::get).sum()).collect();
        let refused_count: u64 = totals.iter().sum();
        let errors = totals.iter().zip(&self.unavailable).filter(|(_, unavailable)| **unavailable);
        let request_count = self.accepted.get() + refused_count;
        let total_ms = self.duration_ns.load(std::sync::atomic::Ordering::Relaxed) as f64 / 1e6;
        Summary {
            request_count,
            error_count: errors.map(|(count, _)| count).sum(),
            refused_count,
            avg_duration_ms: if request_count == 0 { 0.0 } else { total_ms / request_count as f64 },
        }
    }

    /// Prometheus text (`OpenMetrics`).
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "exactly zero is the promise")]
    fn the_mean_is_zero_before_the_first_request() {
        let metrics = Metrics::new(&[("revoked", false), ("not_ready", true)]);
        assert_eq!(metrics.summary().avg_duration_ms, 0.0);
        metrics.accepted(1_000_000);
        metrics.refused(0, KindLabel::ApiKey, 2_000_000);
        metrics.refused(1, KindLabel::None, 3_000_000);
        let summary = metrics.summary();
        assert_eq!((summary.request_count, summary.error_count, summary.refused_count), (3, 1, 2));
        assert!((summary.avg_duration_ms - 2.0).abs() < 1e-9);
    }

    #[test]
    fn series_carry_their_labels() {
        let metrics = Metrics::new(&[("revoked", false)]);
        metrics.refused(0, KindLabel::ApiKey, 1);
        let text = metrics.render();
        assert!(
            text.contains(r#"latchkey_auth_requests_total{outcome="refused",reason="revoked",kind="api_key"} 1"#),
            "{text}"
        );
    }
}
