//! Metrics of the keys of outside issuers. No label names an issuer: a tenant could make series.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::telemetry::names::metric;

/// How a fetch of an issuer's keys ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyFetch {
    /// With keys.
    Fetched,
    /// Without an answer.
    Unreachable,
    /// With an answer that is none.
    Unusable,
}

impl KeyFetch {
    const ALL: [Self; 3] = [Self::Fetched, Self::Unreachable, Self::Unusable];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Fetched => "fetched",
            Self::Unreachable => "unreachable",
            Self::Unusable => "unusable",
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Labels {
    outcome: &'static str,
}

/// All of them.
pub struct IssuerKeyMetrics {
    fetches: [Counter; 3],
    /// Requests that lacked a key and were not let wait for a fetch.
    pub not_asked: Counter,
    oldest_at: Gauge<f64, AtomicU64>,
}

impl IssuerKeyMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let by_outcome = Family::<Labels, Counter>::default();
        registry.register(metric::JWKS_FETCHES, "Fetches of the keys of issuers", by_outcome.clone());
        let fetches = KeyFetch::ALL.map(|end| by_outcome.get_or_create(&Labels { outcome: end.as_str() }).clone());
        let not_asked = Counter::default();
        registry.register(
            metric::JWKS_NOT_ASKED,
            "Requests that lacked a key for which the issuer was not asked again",
            not_asked.clone(),
        );
        let oldest_at = Gauge::<f64, AtomicU64>::default();
        registry.register_with_unit(
            metric::JWKS_OLDEST_AT,
            "When the oldest keys that are held were fetched, since the epoch",
            Unit::Seconds,
            oldest_at.clone(),
        );
        Self { fetches, not_asked, oldest_at }
    }

    /// Counts a fetch.
    pub fn fetched(&self, end: KeyFetch) {
        if let Some(counter) = self.fetches.get(end as usize) {
            counter.inc();
        }
    }

    /// When the oldest keys that are held were fetched, milliseconds since the epoch.
    #[expect(clippy::cast_precision_loss, reason = "a moment of this millennium needs no more than 53 bits")]
    pub fn oldest(&self, at_ms: Option<i64>) {
        self.oldest_at.set(at_ms.map_or(0.0, |at_ms| at_ms as f64 / 1e3));
    }
}
