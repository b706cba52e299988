//! The keys of all issuers, at hand for whoever verifies a token.
//!
//! Whoever asks for a key that is held gets it at once, and never waits for anybody: keys are fetched anew beside the answers.
//! Only who meets an issuer for the first time, or a key that is not held, waits for a fetch, for [`Settings::wait`] at most. All
//! wait for the same one, few of them, and none while it is known to be slow. After a fetch for the sake of a key that nobody
//! held, or one that failed, nobody asks for [`Settings::cooldown`]: whoever makes up names of keys costs nothing.

use std::sync::{Arc, MutexGuard, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::clock::{Clock, Entropy};
use crate::jwks::fault::{FetchError, Outside};
use crate::jwks::fetch::{Fetch, Published, published, usable};
use crate::jwks::last_good::{Kept, LastGood};
use crate::jwks::line::{Flight, Grounded, KeysHandle, Line, Place, Source, State, knows};
use crate::jwks::report;
use crate::jwks::settings::Settings;
use crate::telemetry::issuer_keys::KeyFetch;
use crate::telemetry::metrics::Metrics;

/// Issuers whose keys are held at most, a few KiB each. Whose are asked for least recently lose their place.
const ISSUERS: u64 = 4_096;
/// Requests that wait for a key that is not held, of one issuer.
const WAITING: usize = 256;
/// And those that wait for an issuer's first keys: whoever comes just after the start.
const WAITING_FIRST: usize = 2_048;
/// How often one who waits asks: the fetch that was under way may have been asked for before the key was there.
const ATTEMPTS: u32 = 2;
/// How often it is looked whose keys are due.
const ROUND: Duration = Duration::from_secs(1);
/// After its first failure an issuer without any keys is asked again after this, then after twice as long, up to the cooldown.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// What an answer may say of how long it may be kept.
const MAX_AGE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3_600));
/// What is kept of an issuer whose keys were all taken back.
const EMPTY: &[u8] = br#"{"keys":[]}"#;
/// Further in the future than this, what was kept beyond the process is not from there.
const CLOCKS_DIFFER_MS: i64 = 60_000;

/// There are no keys of an issuer that may be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the issuer's keys are not available")]
pub struct KeysUnavailable {
    /// What came of the last fetch, if one has ended.
    pub problem: Option<FetchError>,
}

/// What is known of an issuer's keys.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Status {
    /// The names of those held that may be used; nothing stands for one without a name.
    pub kids: Vec<Option<String>>,
    /// When they were asked for, milliseconds since the epoch.
    pub fetched_at_ms: Option<i64>,
    /// Why the last fetch gave nothing, and when, if it did not.
    pub problem: Option<(FetchError, i64)>,
}

/// Why somebody fetches.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// It is time to.
    Due,
    /// A request needs what is not held.
    Wanted,
}

/// When a fetch began, by both clocks: what came of it is as old as that.
#[derive(Clone, Copy)]
struct Moment {
    boot_ns: u64,
    wall_ms: i64,
}

/// Bounded, shared by all requests.
pub struct Jwks {
    lines: moka::sync::Cache<Source, Arc<Line>>,
    from: Arc<dyn Fetch>,
    last_good: Arc<dyn LastGood>,
    settings: Settings,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    metrics: Arc<Metrics>,
    runtime: Handle,
}

impl Jwks {
    /// Fetches on this runtime, for as long as somebody holds what is returned.
    pub fn new(
        settings: Settings,
        from: Arc<dyn Fetch>,
        last_good: Arc<dyn LastGood>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        metrics: Arc<Metrics>,
        runtime: Handle,
    ) -> Arc<Self> {
        let lines = moka::sync::Cache::builder()
            .max_capacity(ISSUERS)
            .eviction_policy(moka::policy::EvictionPolicy::lru())
            .time_to_idle(settings.max_stale)
            .eviction_listener(|_, line: Arc<Line>, _| line.give_up())
            .build();
        let this = Arc::new(Self { lines, from, last_good, settings, clock, entropy, metrics, runtime });
        let weak = Arc::downgrade(&this);
        this.runtime.spawn(rounds(weak));
        this
    }

    /// The keys of an issuer. Where they are held, and the key of this name among them, this does not wait; else it waits for a
    /// fetch, for so long at most and never longer than [`Settings::wait`]. What is returned need not have a key of that name:
    /// then none is known, and who cannot do without refuses. Nobody should remember that refusal: the next fetch may bring it.
    ///
    /// # Errors
    /// When no keys may be used.
    pub async fn keys(
        self: &Arc<Self>,
        source: &Source,
        kid: Option<&str>,
        patience: Duration,
    ) -> Result<KeysHandle, KeysUnavailable> {
        self.ask(source, patience, |handle| kid.is_none_or(|kid| knows(handle.set(), kid))).await
    }

    /// Newer keys than these, if there are any: for a token that names none, and that none of these signed. Who replaces a key that
    /// has no name does so unseen. Asks and waits as for a key that is not held.
    pub async fn newer(self: &Arc<Self>, source: &Source, than: &KeysHandle, patience: Duration) -> Option<KeysHandle> {
        let asked = self.ask(source, patience, |handle| handle.is_other_than(than)).await;
        asked.ok().filter(|handle| handle.is_other_than(than))
    }

    /// What is held, if it is what is wanted, or what is held after a fetch.
    async fn ask(
        self: &Arc<Self>,
        source: &Source,
        patience: Duration,
        is_it: impl Fn(&KeysHandle) -> bool,
    ) -> Result<KeysHandle, KeysUnavailable> {
        let mut until = None;
        for _ in 0..ATTEMPTS {
            let line = self.line(source);
            let now_ns = self.clock.boot_ns();
            let held = line.handle(now_ns);
            if line.is_due(now_ns) {
                self.refresh(&line, now_ns);
            }
            if let Some(handle) = held.filter(&is_it) {
                return Ok(handle);
            }
            let Some((place, mut flight)) = self.board(&line, now_ns) else { break };
            let until = *until.get_or_insert_with(|| Instant::now() + self.settings.wait.min(patience));
            let landed = timeout_at(until, flight.wait_for(|landed| *landed)).await.is_ok();
            drop(place);
            if !landed {
                if patience >= self.settings.wait {
                    let mut state = line.state();
                    state.slow = state.flight.is_some();
                }
                break;
            }
        }
        let line = self.line(source);
        let problem = || KeysUnavailable { problem: line.state().problem.map(|(error, _)| error) };
        line.handle(self.clock.boot_ns()).ok_or_else(problem)
    }

    /// What is known of an issuer's keys.
    pub fn status(&self, source: &Source) -> Status {
        let Some(line) = self.lines.get(source) else { return Status::default() };
        let handle = line.handle(self.clock.boot_ns());
        let kids = |handle: &KeysHandle| handle.set().keys().iter().map(|key| key.kid().map(str::to_owned)).collect();
        Status {
            kids: handle.as_ref().map(kids).unwrap_or_default(),
            fetched_at_ms: handle.as_ref().map(KeysHandle::fetched_at_ms),
            problem: line.state().problem,
        }
    }

    /// An issuer is not what it was, or gone: whatever was held of it is neither used nor fetched any more.
    pub fn forget(&self, source: &Source) {
        self.lines.invalidate(source);
    }

    /// Whose keys are due is asked, whose keys are too old loses them.
    pub fn look_after(self: &Arc<Self>) {
        let now_ns = self.clock.boot_ns();
        let mut oldest_ms = None;
        for (source, line) in &self.lines {
            let state = line.state();
            if line.outlive(now_ns) {
                report::outlived(&source);
            }
            drop(state);
            if line.is_due(now_ns) {
                self.refresh(&line, now_ns);
            }
            if let Some(handle) = line.handle(now_ns) {
                let at_ms = handle.fetched_at_ms();
                oldest_ms = Some(oldest_ms.map_or(at_ms, |oldest: i64| oldest.min(at_ms)));
            }
        }
        self.metrics.jwks.oldest(oldest_ms);
    }

    fn line(&self, source: &Source) -> Arc<Line> {
        self.lines
            .get(source)
            .unwrap_or_else(|| self.lines.get_with(source.clone(), || Arc::new(Line::new(source.clone()))))
    }

    /// A place among those who wait, and what they wait for; none where waiting is of no use.
    fn board(self: &Arc<Self>, line: &Arc<Line>, now_ns: u64) -> Option<(Place, Flight)> {
        let mut state = line.state();
        let most = if line.handle(now_ns).is_some() { WAITING } else { WAITING_FIRST };
        let is_over = state.flight.is_none() && now_ns < state.ask_after_ns;
        if state.dead || state.slow || state.waiting >= most || is_over {
            self.metrics.jwks.not_asked.inc();
            return None;
        }
        let flight = self.fly(line, &mut state, Cause::Wanted, now_ns);
        state.waiting += 1;
        Some((Place(Arc::clone(line)), flight))
    }

    /// Asks anew beside the answers, if nobody does.
    fn refresh(self: &Arc<Self>, line: &Arc<Line>, now_ns: u64) {
        let mut state = line.state();
        if !state.dead && line.is_due(now_ns) {
            self.fly(line, &mut state, Cause::Due, now_ns);
        }
    }

    /// The fetch under way, or one that starts now.
    fn fly(self: &Arc<Self>, line: &Arc<Line>, state: &mut State, cause: Cause, now_ns: u64) -> Flight {
        if let Some(flight) = &state.flight {
            return flight.clone();
        }
        let (land, flight) = watch::channel(false);
        state.flight = Some(flight.clone());
        // Until it is over nobody needs to look.
        line.due_at(u64::MAX);
        let (this, line, recalled) = (Arc::clone(self), Arc::clone(line), state.recalled);
        let again_ns = now_ns.saturating_add(nanos(self.settings.cooldown));
        self.runtime.spawn(async move {
            let grounded = Grounded::new(&line, land, again_ns);
            if !recalled && this.recall(&line).await {
                // Whoever waits has something; whether it is still true is asked beside.
                grounded.land(line.state());
                return;
            }
            if cause == Cause::Due && !this.is_wanted(&line).await {
                this.forget(&line.source);
                grounded.land(line.state());
                return;
            }
            let asked = Moment { boot_ns: this.clock.boot_ns(), wall_ms: this.clock.wall_ms() };
            let found = published(&*this.from, line.source.tenant, &line.source.url).await;
            let json = found.as_ref().ok().map(|found| found.json.clone());
            let (state, emptied) = this.settle(&line, found, cause, asked);
            grounded.land(state);
            // What was kept must not come back with the next process.
            let json = json.or_else(|| emptied.then(|| EMPTY.to_vec()));
            let kept = json.map(|json| Kept { json, fetched_at_ms: asked.wall_ms });
            if let Some(kept) = kept {
                let (last_good, source) = (Arc::clone(&this.last_good), line.source.clone());
                this.runtime.spawn_blocking(move || last_good.keep(&source, kept));
            }
        });
        flight
    }

    /// Whether somebody still trusts the issuer, as it was when this line began.
    async fn is_wanted(&self, line: &Arc<Line>) -> bool {
        let (last_good, source) = (Arc::clone(&self.last_good), line.source.clone());
        self.runtime.spawn_blocking(move || last_good.is_wanted(&source)).await.unwrap_or(true)
    }

    /// Takes what was kept beyond the process, if it may still be used.
    async fn recall(self: &Arc<Self>, line: &Arc<Line>) -> bool {
        let (last_good, source) = (Arc::clone(&self.last_good), line.source.clone());
        let kept = self.runtime.spawn_blocking(move || last_good.load(&source)).await.ok().flatten();
        let now_ns = self.clock.boot_ns();
        let usable = kept.and_then(|Kept { json, fetched_at_ms }| {
            let age_ms = self.clock.wall_ms().saturating_sub(fetched_at_ms);
            let age = Duration::from_millis(u64::try_from(age_ms.max(0)).unwrap_or(0));
            let rest = self.settings.max_stale.checked_sub(age).filter(|rest| !rest.is_zero())?;
            let set = (age_ms >= -CLOCKS_DIFFER_MS).then(|| usable(&json).ok()).flatten()?;
            Some((set, fetched_at_ms, now_ns.saturating_add(nanos(rest))))
        });
        let mut state = line.state();
        state.recalled = true;
        let Some((set, fetched_at_ms, usable_until_ns)) = usable.filter(|_| !state.dead) else { return false };
        line.hold(set, fetched_at_ms, usable_until_ns);
        line.due_at(now_ns);
        true
    }

    /// Holds what was found, or what was held before, and says when it is asked again. Whether that is nothing any more.
    fn settle<'a>(
        &self,
        line: &'a Line,
        found: Result<Published, FetchError>,
        cause: Cause,
        asked: Moment,
    ) -> (MutexGuard<'a, State>, bool) {
        let now_ns = self.clock.boot_ns();
        let cooldown = self.settings.cooldown;
        let mut state = line.state();
        self.metrics.jwks.fetched(match found.as_ref().map_err(|error| error.outside()) {
            Ok(_) => KeyFetch::Fetched,
            Err(Outside::Answer) => KeyFetch::Unusable,
            Err(Outside::Url | Outside::Unreachable) => KeyFetch::Unreachable,
        });
        if state.dead {
            return (state, false);
        }
        let emptied = self.is_emptied(line, &mut state, found.as_ref().err(), asked.boot_ns);
        match found {
            Ok(Published { set, max_age, .. }) => {
                let usable_until_ns = asked.boot_ns.saturating_add(nanos(self.settings.max_stale));
                let change = line.hold(set, asked.wall_ms, usable_until_ns);
                report::held(&line.source, &change, line.handle(now_ns).as_ref(), state.problem.take().is_some());
                (state.failures, state.recalled) = (0, true);
                let asked_for = max_age.map_or(self.settings.refresh, |age| age.clamp(MAX_AGE.0, MAX_AGE.1));
                line.due_at(now_ns.saturating_add(self.around(asked_for.min(self.settings.max_stale / 2))));
                if cause == Cause::Wanted {
                    state.ask_after_ns = now_ns.saturating_add(nanos(cooldown));
                }
            }
            Err(error) => {
                let before = state.problem.replace((error, self.clock.wall_ms()));
                report::failed(&line.source, error, before.map(|(error, _)| error));
                state.failures = state.failures.saturating_add(1);
                let doubled = |first: Duration| first.saturating_mul(1 << state.failures.saturating_sub(1).min(16));
                if line.handle(now_ns).is_some() {
                    let again = doubled(cooldown).min(self.settings.refresh.max(cooldown));
                    line.due_at(now_ns.saturating_add(self.around(again).max(nanos(cooldown))));
                    state.ask_after_ns = now_ns.saturating_add(nanos(cooldown));
                } else {
                    state.ask_after_ns = now_ns.saturating_add(nanos(doubled(RETRY_FIRST).min(cooldown)));
                }
            }
        }
        (state, emptied)
    }

    /// Whether all keys are taken back with this: an empty set may be a mistake of a moment, and a cooldown later it is meant.
    fn is_emptied(&self, line: &Line, state: &mut State, error: Option<&FetchError>, asked_ns: u64) -> bool {
        match error {
            Some(FetchError::NoneAtAll) => {}
            // It answered otherwise, or with keys.
            None | Some(FetchError::Keys(_) | FetchError::NoKeys) => {
                state.empty_since_ns = None;
                return false;
            }
            Some(_) => return false,
        }
        let since_ns = *state.empty_since_ns.get_or_insert(asked_ns);
        let held = line.handle(asked_ns).is_some();
        let emptied = held && asked_ns.saturating_sub(since_ns) >= nanos(self.settings.cooldown);
        if emptied {
            line.let_go();
            report::emptied(&line.source);
        }
        emptied
    }

    /// A tenth earlier or later, so that what was fetched at once is not fetched at once again.
    fn around(&self, duration: Duration) -> u64 {
        let mut bytes = [0; 4];
        // Without chance all come somewhat earlier.
        let _ = self.entropy.fill(&mut bytes);
        let tenth = nanos(duration) / 10;
        let chance = (u128::from(2 * tenth) * u128::from(u32::from_ne_bytes(bytes))) >> 32;
        (nanos(duration) - tenth).saturating_add(u64::try_from(chance).unwrap_or(0))
    }
}

/// Looks after the keys until nobody holds them any more.
async fn rounds(jwks: Weak<Jwks>) {
    loop {
        tokio::time::sleep(ROUND).await;
        let Some(jwks) = jwks.upgrade() else { return };
        jwks.look_after();
    }
}

/// A duration as the boot clock counts.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
