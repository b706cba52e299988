//! The door that every caller goes through: it denies until there is something to decide with.
//!
//! A plugin must come up healthy and deny when its configuration or store is unusable, because a host
//! without a plugin falls back to credentials of its own (hazard H4). [`Gate`] is that state, and can
//! be opened later without a restart.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::authenticate::denied::DeniedHere;
use crate::authenticate::{Attempt, Authenticator, Decision};
use crate::domain::Reason;
use crate::secret::{CredentialText, Secret};
use crate::telemetry::metrics::{KindLabel, Metrics};

/// How long a request waits for a store that is being opened, before it is refused.
pub const OPENING_WAIT: Duration = Duration::from_secs(1);

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
    /// The store is being opened: callers wait for it, within [`OPENING_WAIT`].
    Opening,
    Closed {
        reason: Reason,
        problems: Vec<Problem>,
    },
    Open {
        authenticator: Arc<Authenticator>,
        problems: Vec<Problem>,
    },
}

/// Decides when it can, denies when it cannot.
pub struct Gate {
    state: ArcSwap<State>,
    changed: tokio::sync::Notify,
    metrics: Arc<Metrics>,
    denied: Arc<DeniedHere>,
}

impl Gate {
    /// About to open: requests wait a little for it.
    pub fn opening(metrics: Arc<Metrics>) -> Self {
        let (changed, denied) = (tokio::sync::Notify::new(), Arc::default());
        Self { state: ArcSwap::from_pointee(State::Opening), changed, metrics, denied }
    }

    /// Closed: everything is denied, for these reasons.
    pub fn closed(metrics: Arc<Metrics>, problems: Vec<Problem>) -> Self {
        let gate = Self::opening(metrics);
        gate.close(Reason::NotReady, problems);
        gate
    }

    /// Opens: from now on `authenticator` decides. `problems` are what is wrong all the same.
    pub fn open(&self, authenticator: Arc<Authenticator>, problems: Vec<Problem>) {
        self.state.store(Arc::new(State::Open { authenticator, problems }));
        self.changed.notify_waiters();
    }

    /// The store is about to be opened: requests wait a little for it.
    pub fn begin(&self) {
        self.state.store(Arc::new(State::Opening));
    }

    /// Closes for good or until opened again.
    pub fn close(&self, reason: Reason, problems: Vec<Problem>) {
        self.state.store(Arc::new(State::Closed { reason, problems }));
        self.changed.notify_waiters();
    }

    /// Who decides, where requests are decided at all.
    pub fn authenticator(&self) -> Option<Arc<Authenticator>> {
        match &**self.state.load() {
            State::Open { authenticator, .. } => Some(Arc::clone(authenticator)),
            State::Opening | State::Closed { .. } => None,
        }
    }

    /// Whether requests are decided at all.
    pub fn is_open(&self) -> bool {
        matches!(**self.state.load(), State::Open { .. })
    }

    /// Whether everything is denied, and nothing is about to change that.
    pub fn is_closed(&self) -> bool {
        matches!(**self.state.load(), State::Closed { .. })
    }

    /// See [`Authenticator::authenticate`]; denies while closed.
    pub async fn authenticate<R>(
        &self,
        credential: &Secret<CredentialText>,
        attempt: &Attempt<'_>,
        answer: impl FnOnce(Decision<'_>) -> R,
    ) -> R {
        let mut state = self.state.load_full();
        if matches!(*state, State::Opening) {
            state = self.opened().await;
        }
        let reason = match &*state {
            State::Open { authenticator, .. } => return authenticator.authenticate(credential, attempt, answer).await,
            State::Closed { reason, .. } => *reason,
            State::Opening => Reason::NotReady,
        };
        self.refused_unread(reason);
        answer(Decision::Deny(reason.into()))
    }

    async fn opened(&self) -> Arc<State> {
        let changed = self.changed.notified();
        let mut changed = std::pin::pin!(changed);
        // Registered before the second look, so that a change between the two is not missed.
        changed.as_mut().enable();
        let state = self.state.load_full();
        if !matches!(*state, State::Opening) {
            return state;
        }
        let _ = tokio::time::timeout(OPENING_WAIT, changed).await;
        self.state.load_full()
    }

    /// Counts a refusal that was made before the credential could be looked at. While closed there is no decision log to
    /// write it to.
    pub fn refused_unread(&self, reason: Reason) {
        self.metrics.refused(reason as usize, KindLabel::None, 0);
        if let State::Open { authenticator, .. } = &**self.state.load() {
            authenticator.refused_unread(reason);
        }
    }

    /// The metrics of the process.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// What this process refuses although the store does not say so yet; of the process, whatever store is open.
    pub fn denied(&self) -> &Arc<DeniedHere> {
        &self.denied
    }

    fn denied_problem(&self) -> Option<Problem> {
        let count = self.denied.count();
        (count > 0).then(|| Problem {
            code: "denied_here",
            text: format!(
                "{count} revocations hold in this process alone: the store cannot commit them. They are tried again; a \
                 restart of this process forgets them"
            ),
        })
    }

    /// How the process is.
    pub fn health(&self) -> Health {
        match &**self.state.load() {
            State::Opening => Health {
                status: "unhealthy",
                problems: vec![Problem { code: "opening", text: "the store is being opened".to_owned() }],
                feed_check_age_ms: None,
                cached_credentials: 0,
            },
            State::Closed { problems, .. } => Health {
                status: "unhealthy",
                problems: problems.clone(),
                feed_check_age_ms: None,
                cached_credentials: 0,
            },
            State::Open { authenticator, problems } => {
                let age = Duration::from_nanos(authenticator.feed().check_age_ns());
                let mut problems = problems.clone();
                problems.extend(authenticator.problems());
                problems.extend(self.denied_problem());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authenticate::record::Recorder;
    use crate::authenticate::{RequestedLlm, Stage};
    use crate::domain::denial::{REFUSED, UNAVAILABLE};

    async fn ask(gate: &Gate) -> &'static str {
        let credential = Secret::new(b"lk_live_x".to_vec());
        let llm = RequestedLlm::default();
        let attempt = Attempt { stage: Stage::Auth, llm, namespace: None, remote: None, request_id: "" };
        gate.authenticate(&credential, &attempt, |decision| match decision {
            Decision::Grant(_) => "granted",
            Decision::Deny(denial) => denial.public_text(),
        })
        .await
    }

    fn metrics() -> Arc<Metrics> {
        Arc::new(Metrics::new(&Recorder::reason_labels()))
    }

    #[tokio::test]
    async fn h4_a_closed_gate_denies_and_counts_and_says_why() {
        let problem = Problem { code: "no_data_dir", text: "set LATCHKEY_DATA_DIR".to_owned() };
        let gate = Gate::closed(metrics(), vec![problem.clone()]);
        assert_eq!(ask(&gate).await, UNAVAILABLE);
        assert_ne!(ask(&gate).await, REFUSED);
        assert_eq!(gate.metrics().summary().error_count, 2);
        assert_eq!(gate.health().status, "unhealthy");
        assert_eq!(gate.health().problems, [problem]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_gate_that_is_opening_lets_requests_wait_but_not_for_ever() {
        let gate = Gate::opening(metrics());
        let started = tokio::time::Instant::now();
        assert_eq!(ask(&gate).await, UNAVAILABLE);
        assert_eq!(started.elapsed(), OPENING_WAIT);
        let (asked, ()) = tokio::join!(ask(&gate), async {
            tokio::task::yield_now().await;
            gate.close(Reason::ShuttingDown, Vec::new());
        });
        assert_eq!(asked, UNAVAILABLE);
        assert_eq!(started.elapsed(), OPENING_WAIT, "answered as soon as the gate was closed");
    }
}
