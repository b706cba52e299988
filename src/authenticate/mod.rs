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
pub mod claims;
pub mod denied;
pub mod entry;
pub mod explain;
mod flight;
pub mod gate;
pub mod grant;
mod introspect;
pub mod link;
pub mod operators;
mod problems;
pub mod record;
mod settings;
mod suspicion;
#[cfg(test)]
pub(crate) mod testing;
pub mod upgrade;
pub mod usage;

use std::sync::Arc;
use std::time::Duration;

pub use attempt::{Attempt, RequestedLlm, Stage};
pub use gate::{Gate, Health, Problem};
pub use grant::Grant;
pub use introspect::Worth;
pub use link::Linked;
pub use settings::Settings;

use crate::authenticate::cache::VerifiedCache;
use crate::authenticate::denied::DeniedHere;
use crate::authenticate::entry::{Entry, Finding};
use crate::authenticate::flight::{Flights, Turn, within};
use crate::authenticate::record::Recorder;
use crate::authenticate::suspicion::Suspicion;
use crate::authenticate::upgrade::Upgrades;
use crate::authenticate::usage::Usage;
use crate::clock::{Clock, ExpiryClock};
use crate::directory::{Directory, Lease, Linkage, Objects, Standing};
use crate::domain::presented::Scheme;
use crate::domain::{Denial, Presented, Reason};
use crate::secret::{CredentialText, Secret};
use crate::store::feed::ChangeFeed;
use crate::store::{LinkedRows, Store};
use crate::telemetry::metrics::Metrics;
use crate::verify::{Asked, Refused, RestsOn, Verifier};

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
    directory: Arc<dyn Directory>,
    cache: VerifiedCache,
    flights: Flights<Finding>,
    suspicion: Suspicion,
    feed: Arc<ChangeFeed>,
    clock: Arc<dyn Clock>,
    expiry: Arc<ExpiryClock>,
    recorder: Recorder,
    usage: Usage,
    upgrades: Option<Upgrades>,
    denied: Arc<DeniedHere>,
    settings: Settings,
}

/// The parts of an [`Authenticator`].
pub struct Parts {
    /// Where credentials live.
    pub store: Arc<dyn Store>,
    /// Proves them.
    pub verifier: Verifier,
    /// Finds App and User.
    pub directory: Arc<dyn Directory>,
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
    /// Where rows that are worth sealing anew go; none leaves them as they are.
    pub upgrades: Option<Upgrades>,
    /// What this process refuses although the store does not say so yet.
    pub denied: Arc<DeniedHere>,
}

impl Authenticator {
    /// Puts the parts together.
    pub fn new(parts: Parts, settings: Settings) -> Self {
        let Parts { store, verifier, directory, feed, cache_key, clock, expiry, recorder, usage, upgrades, denied } =
            parts;
        let cache = VerifiedCache::new(&settings.cache, &cache_key);
        let (flights, suspicion) = (Flights::new(), Suspicion::new());
        Self {
            store,
            verifier,
            directory,
            cache,
            flights,
            suspicion,
            feed,
            clock,
            expiry,
            recorder,
            usage,
            upgrades,
            denied,
            settings,
        }
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
        let presented = match Presented::parse(credential).and_then(|presented| attempt.stage.admit(presented)) {
            Ok(presented) if !matches!(presented.scheme(), Scheme::Foreign(_)) => presented,
            // Keys of other systems are looked for only where there are any.
            Ok(presented) if self.verifier.has_imports() => presented,
            Ok(_) => return self.refuse(&Reason::CredentialForm.into(), None, attempt, started_ns, answer),
            Err(reason) => return self.refuse(&reason.into(), None, attempt, started_ns, answer),
        };
        let entry = match self.facts(&presented, attempt, started_ns).await {
            Ok(entry) => entry,
            Err(refused) => {
                self.hold_back(&presented, started_ns).await;
                return self.refuse(&refused, Some(&presented), attempt, started_ns, answer);
            }
        };
        let now_ms = self.expiry.now_ms();
        let stale = entry.lease().is_some_and(|lease| lease.is_stale(started_ns));
        match self.judge(&entry, attempt, now_ms, stale) {
            Ok(grant) => {
                if !attempt.stage.is_trial() {
                    self.usage.note(&entry, attempt, now_ms);
                }
                if entry.is_first_use()
                    && let Some(upgrades) = &self.upgrades
                    && let Some(row) = entry.verified().key_row()
                    && let Some(row) = self.verifier.reseal(&presented, row)
                {
                    upgrades.note(row);
                }
                self.recorder.accepted(&entry, attempt, self.elapsed_ns(started_ns));
                answer(Decision::Grant(grant))
            }
            Err(reason) => {
                let known = Some(entry.verified().known());
                let refused = Refused { reason, known, rests_on: None };
                self.hold_back(&presented, started_ns).await;
                self.refuse(&refused, Some(&presented), attempt, started_ns, answer)
            }
        }
    }

    /// Refusals of keys of other systems and of JWTs leave at a fixed time after they came, or at the next multiple of it,
    /// whatever was found (rule R13).
    async fn hold_back(&self, presented: &Presented<'_>, started_ns: u64) {
        let Some(quantum) = self.verifier.quantum(presented.scheme()) else { return };
        let quantum = u64::try_from(quantum.as_nanos()).unwrap_or(u64::MAX).max(1);
        let over = self.elapsed_ns(started_ns) % quantum;
        tokio::time::sleep(Duration::from_nanos(quantum - over)).await;
    }

    /// Learns which keys of other systems there are.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn reload_imports(&self) -> crate::store::StoreResult<()> {
        self.verifier.reload_methods()
    }

    /// The rules that are judged on every request, cached facts or not.
    fn judge<'a>(
        &self,
        entry: &'a Entry,
        attempt: &Attempt<'_>,
        now_ms: i64,
        stale: bool,
    ) -> Result<Grant<'a>, Reason> {
        entry.verified().check_validity(now_ms)?;
        // One load, nearly always.
        if self.denied.count() > 0 && self.denied.denies(entry.verified().subjects()) {
            return Err(Reason::DeniedHere);
        }
        let linked = link::link(entry, attempt)?;
        grant::grant(linked, attempt, self.settings.llm_grants, stale)
    }

    async fn facts(
        &self,
        presented: &Presented<'_>,
        attempt: &Attempt<'_>,
        started_ns: u64,
    ) -> Result<Arc<Entry>, Refused> {
        let digest = self.cache.digest(presented.text());
        // A hit rests on a look at the feed at most 100 ms ago (rule R8); if the watcher was held up,
        // this request looks itself, and without an answer nothing cached may be used.
        let (mut met, mut stale) = (false, false);
        let found = self.cache.find(&digest, started_ns, |finding| {
            met = true;
            stale |= !self.feed.is_fresh() && self.feed.check(self.store.feed()).is_err();
            !stale && self.holds(finding, started_ns)
        });
        if stale {
            self.metrics().feed_failures.inc();
            return Err(Reason::FeedStale.into());
        }
        if let Some(finding) = found {
            self.metrics().cache_hits.inc();
            return finding.into_result();
        }
        if met {
            self.metrics().cache_ended.inc();
        }
        self.metrics().cache_misses.inc();
        let suspect = self.suspicion.is_suspect(attempt.remote, started_ns);
        // Half of the time, so that there is an answer within it.
        let (patience, may_link) = (self.settings.deadline / 2, attempt.stage.is_of_a_request());
        let asked = Asked { digest, suspect, patience, may_link };
        self.find_out(presented, asked, started_ns).await
    }

    /// Whether what was found out still stands: nothing that it rests on changed, and the host's part is young enough.
    fn holds(&self, finding: &Finding, now_ns: u64) -> bool {
        let may_be_used =
            |lease: &Lease| lease.is_current(now_ns) || self.directory.standing(lease, now_ns) != Standing::Ended;
        self.feed.holds(finding.vintage())
            && finding.stands_at(now_ns, || self.expiry.now_ms())
            && match finding.lease() {
                Some(lease) => may_be_used(lease),
                None => matches!(finding, Finding::Bad(_)) || !self.directory.asks_host(),
            }
    }

    /// Reads once for all who ask at the same time. What changed while it was being found out is read again, so that no
    /// answer rests on facts that ended before it is given; after a few times what was read last stands, for it was read
    /// after this request began.
    async fn find_out(&self, presented: &Presented<'_>, asked: Asked, started_ns: u64) -> Result<Arc<Entry>, Refused> {
        const AGAIN: u32 = 3;
        let mut reads = 0;
        loop {
            let left = self.time_left(started_ns);
            match self.flights.join(asked.digest) {
                Turn::Lead(lead) => {
                    reads += 1;
                    let finding = self.read(presented, &asked, left).await?;
                    self.cache.keep(asked.digest, finding.clone());
                    lead.land(finding.clone());
                    if reads > AGAIN || self.holds(&finding, self.clock.boot_ns()) {
                        return finding.into_result();
                    }
                }
                Turn::Follow(flight) => match within(left, flight.wait()).await {
                    Some(Some(finding)) if self.holds(&finding, self.clock.boot_ns()) => return finding.into_result(),
                    // It was read before a change, or the leader went away: lead, or follow another.
                    Some(_) => {}
                    None => return Err(Reason::DeadlineExceeded.into()),
                },
            }
            if self.time_left(started_ns).is_zero() {
                return Err(Reason::DeadlineExceeded.into());
            }
        }
    }

    fn time_left(&self, started_ns: u64) -> Duration {
        self.settings.deadline.saturating_sub(Duration::from_nanos(self.elapsed_ns(started_ns)))
    }

    /// Proves the credential and reads what it is linked to. The era is taken before the first read and the
    /// position is that of the oldest snapshot, so a change during the reads ends the finding (rule R8). An error is what
    /// could not be decided, which is nobody else's answer.
    async fn read(&self, presented: &Presented<'_>, asked: &Asked, left: Duration) -> Result<Finding, Refused> {
        let (era, read_ns) = (self.feed.era(), self.clock.boot_ns());
        let reads = async {
            let verified = self.verifier.verify(presented, asked, self.expiry.now_ms()).await?;
            let known = Some(verified.known());
            let (tenant, app, user) = verified.linkage();
            let linkage = Linkage { tenant, app, user };
            let Ok(objects) = self.directory.objects(linkage).await else {
                return Err(Refused { reason: Reason::DirectoryUnavailable, known, rests_on: None });
            };
            let Objects { at, lease } = objects;
            let position = verified.position().min(at.position);
            // What the host does not have it may have soon.
            let until_ms = lease.as_ref().map(|lease| self.expiry.wall_ms_at(lease.fresh_until_ns()));
            let missing = |reason| {
                let (proved, beside) = verified.proved_by();
                let rests_on = Some(RestsOn { position, proved, beside, linked: true, until_ms });
                move || Refused { reason, known, rests_on }
            };
            let LinkedRows { tenant, app, user } = at.row;
            let tenant = tenant.ok_or_else(missing(Reason::TenantUnknown))?;
            let app = app.ok_or_else(missing(Reason::AppUnknown))?;
            let user = user.ok_or_else(missing(Reason::UserUnknown))?;
            Ok(Entry::new(verified, tenant, app, user, lease, era, position, &self.feed, read_ns))
        };
        match within(left, reads).await {
            Some(Ok(entry)) => Ok(Finding::Good(Arc::new(entry))),
            Some(Err(refused)) => Finding::refusal(refused, era, &self.feed, read_ns).ok_or(refused),
            None => Err(Reason::DeadlineExceeded.into()),
        }
    }

    fn refuse<R>(
        &self,
        refused: &Refused,
        presented: Option<&Presented<'_>>,
        attempt: &Attempt<'_>,
        started_ns: u64,
        answer: impl FnOnce(Decision<'_>) -> R,
    ) -> R {
        // Of a trial the address is not that of whoever has the credential.
        if refused.reason.tells_of_a_guess() && !attempt.stage.is_trial() {
            self.suspicion.failed(attempt.remote, started_ns);
        }
        let digest = presented.map(|presented| self.cache.digest(presented.text()));
        self.recorder.refused(refused, presented, digest, attempt, self.elapsed_ns(started_ns));
        answer(Decision::Deny(refused.reason.into()))
    }

    /// Records a refusal that was made before the credential could be looked at.
    pub fn refused_unread(&self, reason: Reason) {
        self.recorder.refused_unread(reason);
    }

    fn elapsed_ns(&self, started_ns: u64) -> u64 {
        self.clock.boot_ns().saturating_sub(started_ns)
    }

    fn metrics(&self) -> &Metrics {
        self.recorder.metrics()
    }

    /// Writes out when credentials were last used and what is to be sealed anew, for at most `within`. Blocks.
    pub fn flush(&self, within: Duration) {
        self.usage.flush();
        if let Some(upgrades) = &self.upgrades {
            upgrades.flush(within);
        }
    }

    /// The change feed as this authenticator's cache sees it.
    pub fn feed(&self) -> &Arc<ChangeFeed> {
        &self.feed
    }

    /// Entries in the verified cache.
    pub fn cached(&self) -> usize {
        self.cache.len()
    }
}

#[cfg(test)]
#[path = "authenticate_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "memory_tests.rs"]
mod memory_tests;

#[cfg(test)]
#[path = "jwt_tests.rs"]
mod jwt_tests;
