//! Every outcome, told once: a metric, a log line within bounds, a record for the decision log.
//!
//! Acceptances are logged at debug, refusals at info up to a rate, the rest counted. A refusal at pre-auth
//! and again at auth of the same request counts once (rule R14): pre-auth and auth are two calls about one
//! attempt of a client.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::audit::decisions::{DecisionRecord, DecisionSink};
use crate::authenticate::attempt::Attempt;
use crate::authenticate::entry::Entry;
use crate::clock::Clock;
use crate::domain::denial::Class;
use crate::domain::presented::Scheme;
use crate::domain::{Presented, Reason};
use crate::fair_cache::Digest;
use crate::telemetry::metrics::{KindLabel, Metrics};
use crate::verify::Refused;

const SEEN: usize = 1024;
/// A decision that takes longer than this is worth a warning.
const SLOW_NS: u64 = 100_000_000;
/// Alarms logged one by one each second.
const ALARMS_PER_SECOND: u32 = 10;

/// Where outcomes go.
pub struct Recorder {
    metrics: Arc<Metrics>,
    decisions: Arc<dyn DecisionSink>,
    clock: Arc<dyn Clock>,
    hasher: RandomState,
    /// Hashes of the last failures by (request id, digest): a small direct-mapped table. A collision
    /// counts one failure twice, never hides another.
    seen: Box<[AtomicU64]>,
    lines: Lines,
    alarms: Lines,
}

/// At most so many lines a second.
struct Lines {
    per_second: u64,
    second: AtomicU64,
    asked: AtomicU64,
}

impl Lines {
    fn new(per_second: u32) -> Self {
        Self { per_second: u64::from(per_second), second: AtomicU64::new(0), asked: AtomicU64::new(0) }
    }

    /// None while this second's lines are used up; else how many were suppressed before.
    fn take(&self, boot_ns: u64) -> Option<u64> {
        let now = boot_ns / 1_000_000_000;
        let mut suppressed = 0;
        if self.second.swap(now, Ordering::AcqRel) != now {
            suppressed = self.asked.swap(0, Ordering::AcqRel).saturating_sub(self.per_second);
        }
        (self.asked.fetch_add(1, Ordering::AcqRel) < self.per_second).then_some(suppressed)
    }
}

impl Recorder {
    /// Records into these; at most `per_second` refusals are logged one by one each second.
    pub fn new(
        metrics: Arc<Metrics>,
        decisions: Arc<dyn DecisionSink>,
        clock: Arc<dyn Clock>,
        per_second: u32,
    ) -> Self {
        Self {
            metrics,
            decisions,
            clock,
            hasher: RandomState::new(),
            seen: (0..SEEN).map(|_| AtomicU64::new(0)).collect(),
            lines: Lines::new(per_second),
            alarms: Lines::new(ALARMS_PER_SECOND),
        }
    }

    /// The metrics that outcomes are counted in.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The labels of [`Metrics::new`] for every reason, in order.
    pub fn reason_labels() -> Vec<(&'static str, bool)> {
        Reason::ALL.iter().map(|reason| (reason.code(), reason.class() == Class::Unavailable)).collect()
    }

    /// A yes.
    pub fn accepted(&self, entry: &Entry, attempt: &Attempt<'_>, duration_ns: u64) {
        self.metrics.accepted(duration_ns);
        self.decisions.record(&DecisionRecord::Accepted {
            known: entry.verified().known().into(),
            stage: attempt.stage.as_str(),
            remote: attempt.remote,
            request_id: attempt.request_id,
        });
        if tracing::enabled!(tracing::Level::DEBUG) || duration_ns > SLOW_NS {
            let known = entry.verified().known();
            macro_rules! line {
                ($level:expr, $text:literal) => {
                    tracing::event!(
                        $level,
                        request_id = attempt.request_id,
                        stage = attempt.stage.as_str(),
                        tenant = %entry.tenant().slug,
                        credential_id = %known.id,
                        app_id = known.app.get(),
                        user_id = known.user.get(),
                        outcome = "accepted",
                        duration_us = duration_ns / 1000,
                        $text
                    )
                };
            }
            if duration_ns > SLOW_NS {
                line!(tracing::Level::WARN, "slow decision");
            } else {
                line!(tracing::Level::DEBUG, "accepted");
            }
        }
    }

    /// A no to a message that was not read. Its metric is the gate's, which counts them without an authenticator too.
    pub fn refused_unread(&self, reason: Reason) {
        let record = DecisionRecord::Refused { reason, stage: "", known: None, remote: None, request_id: "" };
        self.decisions.record(&record);
    }

    /// A no.
    pub fn refused(
        &self,
        refused: &Refused,
        presented: Option<&Presented<'_>>,
        digest: Option<Digest>,
        attempt: &Attempt<'_>,
        duration_ns: u64,
    ) {
        if self.was_counted(attempt.request_id, digest) {
            return;
        }
        let kind = match presented.map(Presented::scheme) {
            Some(Scheme::Key(_) | Scheme::Foreign(_)) => KindLabel::ApiKey,
            Some(Scheme::Jwt) => KindLabel::Jwt,
            None => KindLabel::None,
        };
        self.metrics.refused(refused.reason as usize, kind, duration_ns);
        let known = refused.known;
        self.decisions.record(&DecisionRecord::Refused {
            reason: refused.reason,
            stage: attempt.stage.as_str(),
            known: known.map(Into::into),
            remote: attempt.remote,
            request_id: attempt.request_id,
        });
        if let Some(text) = refused.reason.alarm() {
            self.alarm(text, refused, attempt);
        }
        self.log_refusal(refused, attempt, duration_ns);
    }

    /// At error, whatever else is suppressed: somebody must look.
    fn alarm(&self, text: &'static str, refused: &Refused, attempt: &Attempt<'_>) {
        let Some(suppressed) = self.alarms.take(self.clock.boot_ns()) else { return };
        let known = refused.known;
        tracing::error!(
            alarm = refused.reason.code(),
            request_id = attempt.request_id,
            stage = attempt.stage.as_str(),
            credential_id = known.map(|row| row.id.to_string()),
            remote = attempt.remote.map(|address| address.to_string()),
            suppressed,
            "{text}"
        );
    }

    fn log_refusal(&self, refused: &Refused, attempt: &Attempt<'_>, duration_ns: u64) {
        let Some(suppressed) = self.lines.take(self.clock.boot_ns()) else { return };
        if suppressed > 0 {
            tracing::info!(suppressed, "refusals not logged one by one in the last second with any");
        }
        let known = refused.known;
        tracing::info!(
            request_id = attempt.request_id,
            stage = attempt.stage.as_str(),
            credential_id = known.map(|row| row.id.to_string()),
            app_id = known.map(|row| row.app.get()),
            user_id = known.map(|row| row.user.get()),
            outcome = "refused",
            reason = refused.reason.code(),
            duration_us = duration_ns / 1000,
            "refused"
        );
    }

    fn was_counted(&self, request_id: &str, digest: Option<Digest>) -> bool {
        let (false, Some(digest)) = (request_id.is_empty(), digest) else { return false };
        // Never 0, which an empty place holds.
        let mark = self.hasher.hash_one((request_id, digest)) | 1;
        let place = usize::try_from(mark >> 1).unwrap_or(0) % SEEN;
        self.seen.get(place).is_some_and(|seen| seen.swap(mark, Ordering::AcqRel) == mark)
    }
}
