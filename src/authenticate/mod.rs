//! The whole decision, top to bottom: whose credential is it, and may it do this?
//!
//! `Secret -> Presented -> Verified -> Linked -> Grant`: each step is a type that only the step itself can
//! make, and only a [`Grant`] becomes an acceptance. A grant borrows the facts it was judged from, so it
//! cannot be stored or replayed (rule R14). A refusal is a normal result; what we cannot decide is
//! refused too.
//!
//! 1. [`Presented::parse`]: junk stops here.
//! 2. [`cache`]: facts proven before, while nothing that they rest on changed; else
//! 3. [`crate::verify`]: the secret, the row, its times; then
//! 4. [`crate::directory`]: tenant, App and User as they are now.
//! 5. [`link`]: all of them active, one tenant, namespace and address allowed. On every request.
//! 6. [`grant`]: the App may use this LLM. On every request.

pub mod attempt;
pub mod cache;
pub mod explain;
pub mod gate;
pub mod grant;
pub mod link;
pub mod record;
#[cfg(test)]
pub(crate) mod testing;
pub mod usage;

use std::sync::Arc;
use std::time::Duration;

pub use attempt::{Attempt, RequestedLlm, Stage};
pub use gate::{Gate, Health, Problem};
pub use grant::Grant;
pub use link::Linked;

use crate::authenticate::cache::{Entry, VerifiedCache};
use crate::authenticate::record::Recorder;
use crate::authenticate::usage::Usage;
use crate::clock::{Clock, ExpiryClock, WALL_CLOCK_LAG_ALARM_MS};
use crate::directory::{Directory, Linkage};
use crate::domain::{Denial, LlmGrants, Presented, Reason};
use crate::secret::{CredentialText, Secret};
use crate::store::feed::ChangeFeed;
use crate::store::{LinkedRows, Store};
use crate::telemetry::metrics::Metrics;
use crate::verify::{Refused, Verifier};

/// What authentication can be set to.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Most entries of the verified cache.
    pub cache_entries: usize,
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
            cache_entries: 20_000,
            llm_grants: LlmGrants::Required,
            deadline: Duration::from_secs(2),
            logged_refusals_per_second: 50,
        }
    }
}

/// What was decided. Both are normal results.
pub enum Decision<'a> {
    /// Yes: as this App and User.
    Grant(Grant<'a>),
    /// No.
    Deny(Denial),
}

/// Everything that a decision needs.
pub struct Authenticator {
    store: Arc<dyn Store>,
    verifier: Verifier,
    directory: Box<dyn Directory>,
    cache: VerifiedCache,
    feed: Arc<ChangeFeed>,
    clock: Arc<dyn Clock>,
    expiry: Arc<ExpiryClock>,
    recorder: Recorder,
    usage: Usage,
    settings: Settings,
}

/// The parts of an [`Authenticator`].
pub struct Parts {
    /// Where credentials live.
    pub store: Arc<dyn Store>,
    /// Proves them.
    pub verifier: Verifier,
    /// Finds App and User.
    pub directory: Box<dyn Directory>,
    /// Which cached facts still hold. Must be the store's commit listener.
    pub feed: Arc<ChangeFeed>,
    /// Keys the cache's digests; random bytes of this process alone, as long as a block of the MAC.
    pub cache_key: [u8; 64],
    /// The machine's clocks.
    pub clock: Arc<dyn Clock>,
    /// The time that expiry is judged by.
    pub expiry: Arc<ExpiryClock>,
    /// Where outcomes go.
    pub recorder: Recorder,
    /// Where uses are noted.
    pub usage: Usage,
}

impl Authenticator {
    /// Puts the parts together.
    pub fn new(parts: Parts, settings: Settings) -> Self {
        let Parts { store, verifier, directory, feed, cache_key, clock, expiry, recorder, usage } = parts;
        let cache = VerifiedCache::new(settings.cache_entries, &cache_key);
        Self { store, verifier, directory, cache, feed, clock, expiry, recorder, usage, settings }
    }

    /// Decides, records the outcome, and hands the decision to `answer`, the only place where a
    /// [`Grant`] can be seen.
    pub async fn authenticate<R>(
        &self,
        credential: &Secret<CredentialText>,
        attempt: &Attempt<'_>,
        answer: impl FnOnce(Decision<'_>) -> R,
    ) -> R {
        let started_ns = self.clock.boot_ns();
        let presented = match Presented::parse(credential) {
            Ok(presented) => presented,
            Err(reason) => return self.refuse(&reason.into(), None, attempt, started_ns, answer),
        };
        let entry = match self.facts(&presented, started_ns).await {
            Ok(entry) => entry,
            Err(refused) => return self.refuse(&refused, Some(&presented), attempt, started_ns, answer),
        };
        let now_ms = self.expiry.now_ms();
        match self.judge(&entry, attempt, now_ms) {
            Ok(grant) => {
                self.usage.note(&entry, attempt, now_ms);
                self.recorder.accepted(&entry, attempt, self.elapsed_ns(started_ns));
                answer(Decision::Grant(grant))
            }
            Err(reason) => {
                let refused = Refused { reason, known: Some(Box::new(entry.verified().credential().clone())) };
                self.refuse(&refused, Some(&presented), attempt, started_ns, answer)
            }
        }
    }

    /// The rules that are judged on every request, cached facts or not.
    fn judge<'a>(&self, entry: &'a Entry, attempt: &Attempt<'_>, now_ms: i64) -> Result<Grant<'a>, Reason> {
        entry.verified().credential().check_validity(now_ms)?;
        let linked = link::link(entry, attempt)?;
        grant::grant(linked, attempt, self.settings.llm_grants)
    }

    async fn facts(&self, presented: &Presented<'_>, started_ns: u64) -> Result<Arc<Entry>, Refused> {
        let digest = self.cache.digest(presented.text());
        // A hit rests on a look at the feed at most 100 ms ago (rule R8); if the watcher was held up,
        // this request looks itself, and without an answer nothing cached may be used.
        if let Some(entry) = self.cache.find(&digest) {
            if !self.feed.is_fresh() && self.feed.check(self.store.feed()).is_err() {
                self.metrics().feed_failures.inc();
                return Err(Reason::FeedStale.into());
            }
            if self.feed.holds(entry.vintage()) {
                self.metrics().cache_hits.inc();
                return Ok(entry);
            }
            self.metrics().cache_ended.inc();
        }
        self.metrics().cache_misses.inc();
        let entry = Arc::new(self.read(presented, started_ns).await?);
        self.cache.keep(digest, Arc::clone(&entry));
        Ok(entry)
    }

    /// Proves the credential and reads what it is linked to. The era is taken before the first read and the
    /// position is that of the oldest snapshot, so a change during the reads ends the entry (rule R8).
    async fn read(&self, presented: &Presented<'_>, started_ns: u64) -> Result<Entry, Refused> {
        let era = self.feed.era();
        let spent = Duration::from_nanos(self.elapsed_ns(started_ns));
        let left = self.settings.deadline.saturating_sub(spent);
        let reads = async {
            let verified = self.verifier.verify(presented, self.expiry.now_ms()).await?;
            let credential = verified.credential();
            let linkage = Linkage { tenant: credential.tenant, app: credential.app, user: credential.user };
            match self.directory.objects(linkage).await {
                Ok(objects) => Ok((verified, objects)),
                Err(_) => Err(Refused {
                    reason: Reason::DirectoryUnavailable,
                    known: Some(Box::new(verified.credential().clone())),
                }),
            }
        };
        let (verified, objects) = within(left, reads).await.unwrap_or(Err(Reason::DeadlineExceeded.into()))?;
        let position = verified.position().min(objects.position);
        let known = || Some(Box::new(verified.credential().clone()));
        let LinkedRows { tenant, app, user } = objects.row;
        let tenant = tenant.ok_or_else(|| Refused { reason: Reason::TenantUnknown, known: known() })?;
        let app = app.ok_or_else(|| Refused { reason: Reason::AppUnknown, known: known() })?;
        let user = user.ok_or_else(|| Refused { reason: Reason::UserUnknown, known: known() })?;
        Ok(Entry::new(verified, tenant, app, user, era, position, &self.feed))
    }

    fn refuse<R>(
        &self,
        refused: &Refused,
        presented: Option<&Presented<'_>>,
        attempt: &Attempt<'_>,
        started_ns: u64,
        answer: impl FnOnce(Decision<'_>) -> R,
    ) -> R {
        let digest = presented.map(|presented| self.cache.digest(presented.text()));
        self.recorder.refused(refused, presented, digest, attempt, self.elapsed_ns(started_ns));
        answer(Decision::Deny(refused.reason.into()))
    }

    fn elapsed_ns(&self, started_ns: u64) -> u64 {
        self.clock.boot_ns().saturating_sub(started_ns)
    }

    fn metrics(&self) -> &Metrics {
        self.recorder.metrics()
    }

    /// Writes out when credentials were last used, for at most `within`. Blocks.
    pub fn flush(&self, within: Duration) {
        self.usage.flush(within);
    }

    /// The change feed as this authenticator's cache sees it.
    pub fn feed(&self) -> &Arc<ChangeFeed> {
        &self.feed
    }

    /// What is wrong with the wall clock, if something is (rule R8).
    pub fn clock_problem(&self) -> Option<Problem> {
        let lag_ms = self.expiry.lag_ms();
        (lag_ms > WALL_CLOCK_LAG_ALARM_MS).then(|| Problem {
            code: "clock_behind",
            text: format!("the wall clock is {} s behind what was seen before: set it right", lag_ms / 1000),
        })
    }

    /// Entries in the verified cache.
    pub fn cached(&self) -> usize {
        self.cache.len()
    }
}

/// Runs a future that is nearly always ready at once, and makes a timer only when it is not: most
/// cold reads never leave this thread.
async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    let first = std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context))).await;
    match first {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => tokio::time::timeout(limit, future).await.ok(),
    }
}

#[cfg(test)]
#[path = "authenticate_tests.rs"]
mod tests;
