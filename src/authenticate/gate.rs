//! The door that every caller goes through: it denies until there is something to decide with.
//!
//! A plugin must come up healthy and deny when its configuration or store is unusable, because a host
//! without a plugin falls back to credentials of its own (hazard H4). [`Gate`] is that state, and can
//! be opened later without a restart.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::authenticate::{Attempt, Authenticator, Decision};
use crate::domain::Reason;
use crate::secret::{CredentialText, Secret};
use crate::telemetry::metrics::{KindLabel, Metrics};

/// One thing that is wrong, and what to do about it. Never holds a secret.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Problem {
    /// A stable name.
    pub code: &'static str,
    /// What is wrong, where, and what to do.
    pub text: String,
}

/// How the process is, for `health`.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Health {
    /// `healthy`, `degraded` (decides, but something is wrong) or `unhealthy` (denies everything).
    pub status: &'static str,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// Age of the last look at the change feed in milliseconds, where there is one.
    pub feed_check_age_ms: Option<u64>,
    /// Entries in the verified cache.
    pub cached_credentials: usize,
}

enum State {
    Closed { reason: Reason, problems: Vec<Problem> },
    Open { authenticator: Arc<Authenticator>, problems: Vec<Problem> },
}

/// Decides when it can, denies when it cannot.
pub struct Gate {
    state: ArcSwap<State>,
    metrics: Arc<Metrics>,
}

impl Gate {
    /// Closed: everything is denied, for these reasons.
    pub fn closed(metrics: Arc<Metrics>, problems: Vec<Problem>) -> Self {
        Self { state: ArcSwap::from_pointee(State::Closed { reason: Reason::NotReady, problems }), metrics }
    }

    /// Opens: from now on `authenticator` decides. `problems` are what is wrong all the same.
    pub fn open(&self, authenticator: Arc<Authenticator>, problems: Vec<Problem>) {
        self.state.store(Arc::new(State::Open { authenticator, problems }));
    }

    /// Closes for good or until opened again.
    pub fn close(&self, reason: Reason, problems: Vec<Problem>) {
        self.state.store(Arc::new(State::Closed { reason, problems }));
    }

    /// Whether requests are decided at all.
    pub fn is_open(&self) -> bool {
        matches!(**self.state.load(), State::Open { .. })
    }

    /// See [`Authenticator::authenticate`]; denies while closed.
    pub async fn authenticate<R>(
        &self,
        credential: &Secret<CredentialText>,
        attempt: &Attempt<'_>,
        answer: impl FnOnce(Decision<'_>) -> R,
    ) -> R {
        match &*self.state.load_full() {
            State::Open { authenticator, .. } => authenticator.authenticate(credential, attempt, answer).await,
            State::Closed { reason, .. } => {
                self.metrics.refused(*reason as usize, KindLabel::None, 0);
                answer(Decision::Deny((*reason).into()))
            }
        }
    }

    /// Counts a refusal that was made before the credential could be looked at.
    pub fn refused_unread(&self, reason: Reason) {
        self.metrics.refused(reason as usize, KindLabel::None, 0);
    }

    /// The metrics of the process.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// How the process is.
    pub fn health(&self) -> Health {
        match &**self.state.load() {
            State::Closed { problems, .. } => Health {
                status: "unhealthy",
                problems: problems.clone(),
                feed_check_age_ms: None,
                cached_credentials: 0,
            },
            State::Open { authenticator, problems } => {
                let age = Duration::from_nanos(authenticator.feed().check_age_ns());
                let mut problems = problems.clone();
                problems.extend(authenticator.clock_problem());
                Health {
                    status: if problems.is_empty() { "healthy" } else { "degraded" },
                    problems,
                    feed_check_age_ms: u64::try_from(age.as_millis()).ok(),
                    cached_credentials: authenticator.cached(),
                }
            }
        }
    }
}
