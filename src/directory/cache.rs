//! What the host said of Apps, kept for as long as a [`Lease`] says.
//!
//! One place for each App. Who asks first starts a call, all others wait for it; the call runs beside the requests,
//! so that one that gives up ends nothing for the others. What was asked for before the host told of a change is not kept
//! ([`AppCache::forget`]). A place that is given up ends its lease, so nothing rests on facts that nobody renews.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::{Clock, Entropy};
use crate::directory::condition::Condition;
use crate::directory::lease::{Answer, Lease, Standing, Terms, nanos};
use crate::directory::service::{HostError, HostLink};
use crate::directory::settings::Settings;
use crate::directory::shares::Shares;
use crate::directory::slot::{Flight, Grounded, Landed, Slot, State, landing};
use crate::domain::{AppId, Generation, TenantId};
use crate::telemetry::metrics::{DirectoryCall, Metrics};
use crate::turns::Turns;

/// After a failed call an App is asked for again beside the answers only after this.
const RETRY: Duration = Duration::from_secs(1);
/// And by those who have nothing else to answer from after this.
const RETRY_WAITED_FOR: Duration = Duration::from_millis(200);
/// Calls to the host at once, and for one tenant.
const CALLS: usize = 16;
const CALLS_OF_ONE: usize = 8;
/// How often one who waits asks anew, because what was asked for changed meanwhile.
const AGAIN: u32 = 3;

/// Bounded, shared by all requests.
pub struct AppCache {
    slots: moka::sync::Cache<AppId, Arc<Slot>>,
    shares: Shares,
    calls: Turns,
    link: Arc<HostLink>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    settings: Settings,
    metrics: Arc<Metrics>,
    condition: Condition,
}

impl AppCache {
    /// Asks over this link.
    pub fn new(
        link: Arc<HostLink>,
        settings: Settings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        // Looked up only when something is due: idle is what nobody asked about for longer than it could be used.
        let idle = settings.ttl.saturating_mul(2).saturating_add(settings.max_stale);
        let slots = moka::sync::Cache::builder()
            .max_capacity(settings.entries)
            // Whoever is new is let in: one that is not would be fetched for each request.
            .eviction_policy(moka::policy::EvictionPolicy::lru())
            .time_to_idle(idle)
            .eviction_listener(|_, slot: Arc<Slot>, _| slot.give_up())
            .build();
        let shares = Shares::new(settings.entries);
        let condition = Condition::default();
        Arc::new(Self {
            slots,
            shares,
            calls: Turns::new(CALLS, CALLS_OF_ONE),
            link,
            clock,
            entropy,
            settings,
            metrics,
            condition,
        })
    }

    /// What the host says of an App of this tenant, whose row in the store is this one: what is kept, or what it answers now.
    /// Waits as long as the host takes.
    ///
    /// # Errors
    /// When nothing that may be used is kept and the host gives no answer.
    pub async fn get(
        self: &Arc<Self>,
        tenant: TenantId,
        app: AppId,
        row: Generation,
    ) -> Result<(Arc<Lease>, Standing), HostError> {
        for _ in 0..AGAIN {
            let slot = self.slot(tenant, app);
            let (flight, stale) = {
                let mut state = slot.state();
                if state.dead {
                    continue;
                }
                state.met(row, !self.settings.max_stale.is_zero());
                let now_ns = self.clock.boot_ns();
                let standing = state.lease.as_ref().map_or(Standing::Ended, |lease| lease.standing(now_ns));
                let kept = state.lease.clone().filter(|_| standing != Standing::Ended);
                match (kept, standing) {
                    (Some(lease), Standing::Fresh) => {
                        if !lease.is_current(now_ns) {
                            self.refresh(&slot, &mut state, now_ns);
                        }
                        return Ok((lease, Standing::Fresh));
                    }
                    (Some(lease), _) if self.condition.struggles() || state.is_unanswered() => {
                        self.refresh(&slot, &mut state, now_ns);
                        self.metrics.directory_stale.inc();
                        return Ok((lease, Standing::Stale));
                    }
                    (kept, _) => {
                        let waited_for = state.failed.as_ref().filter(|(at, _)| !after(*at, RETRY_WAITED_FOR, now_ns));
                        if let (None, Some((_, error))) = (&kept, waited_for) {
                            return Err(error.clone());
                        }
                        (self.fly(&slot, &mut state), kept)
                    }
                }
            };
            match (landing(flight, stale.is_some()).await, stale) {
                (Some(Landed::Answer(lease)), _) => return Ok((lease, Standing::Fresh)),
                (Some(Landed::Changed), _) => {}
                (Some(Landed::Failed(error)), None) => return Err(error),
                (landed, Some(lease)) => {
                    if landed.is_none() {
                        slot.is_slow();
                    }
                    self.metrics.directory_stale.inc();
                    return Ok((lease, Standing::Stale));
                }
                (None, None) => return Err(HostError::TimedOut),
            }
        }
        Err(HostError::Changing)
    }

    /// Whether facts under a lease that is due may be used; what is to be done about it is done beside. Never waits.
    pub fn standing(self: &Arc<Self>, lease: &Lease, now_ns: u64) -> Standing {
        let standing = lease.standing(now_ns);
        if standing == Standing::Ended {
            return standing;
        }
        let Some(slot) = self.slots.get(&lease.app()) else { return Standing::Ended };
        let mut state = slot.state();
        // The lease may have been ended meanwhile, and another be in its place.
        if !state.lease.as_ref().is_some_and(|now| std::ptr::eq(Arc::as_ptr(now), lease)) {
            return Standing::Ended;
        }
        if standing == Standing::Stale && !self.condition.struggles() && !state.is_unanswered() {
            return Standing::Ended;
        }
        self.refresh(&slot, &mut state, now_ns);
        if standing == Standing::Stale {
            self.metrics.directory_stale.inc();
        }
        standing
    }

    /// The host told that an App changed: what is kept of it is used no more, nor what is being asked for.
    pub fn forget(&self, app: AppId) {
        if let Some(slot) = self.slots.get(&app) {
            slot.end();
        }
    }

    /// Another generation of the host's Service API: everything is to be fetched anew, beside the answers.
    pub fn look_again(&self) {
        self.condition.is_another();
        for (_, slot) in &self.slots {
            let mut state = slot.state();
            state.failed = None;
            if let Some(lease) = &state.lease {
                lease.look_at(0);
            }
        }
    }

    /// Apps kept.
    #[cfg(test)]
    fn len(&self) -> u64 {
        self.slots.run_pending_tasks();
        self.slots.entry_count()
    }

    /// How the host has been.
    pub fn condition(&self) -> &Condition {
        &self.condition
    }

    fn slot(&self, tenant: TenantId, app: AppId) -> Arc<Slot> {
        let make = || Arc::new(Slot { app, tenant, state: Mutex::default() });
        let slot = self.slots.get(&app);
        // An App that another tenant has now starts from nothing.
        if let Some(slot) = slot.filter(|slot| slot.tenant == tenant) {
            return slot;
        }
        self.slots.invalidate(&app);
        let slot = self.slots.get_with(app, make);
        if let Some(crowded_out) = self.shares.entered(tenant, app) {
            self.slots.invalidate(&crowded_out);
        }
        self.metrics.directory_entries.set(i64::try_from(self.slots.entry_count()).unwrap_or(i64::MAX));
        slot
    }

    /// Asks anew beside the answers, if nobody does and the last failure is a while ago.
    fn refresh(self: &Arc<Self>, slot: &Arc<Slot>, state: &mut State, now_ns: u64) {
        if state.flight.is_none() && state.failed.as_ref().is_none_or(|(at, _)| after(*at, RETRY, now_ns)) {
            self.fly(slot, state);
        }
        // Until it is over nobody needs to look again.
        if let Some(lease) = &state.lease {
            lease.look_at(now_ns.saturating_add(nanos(RETRY)));
        }
    }

    /// The call under way, or one that starts now.
    fn fly(self: &Arc<Self>, slot: &Arc<Slot>, state: &mut State) -> Flight {
        if let Some(flight) = &state.flight {
            return flight.clone();
        }
        let (land, flight) = watch::channel(None);
        state.flight = Some(flight.clone());
        let (cache, slot, told) = (Arc::clone(self), Arc::clone(slot), state.told);
        tokio::spawn(async move {
            let grounded = Grounded(Some((&slot, land)));
            let (found, asked_ns) = cache.call(&slot).await;
            grounded.land(cache.keep(&slot, found, told, asked_ns));
        });
        flight
    }

    /// Asks in the tenant's turn. The moment before the question is what the answer's age counts from.
    async fn call(&self, slot: &Slot) -> (Result<Answer, HostError>, u64) {
        let _turn = self.calls.turn(slot.tenant).await;
        let started_ns = self.clock.boot_ns();
        let asked = async {
            let service = self.link.service().ok_or(HostError::Unreachable)?;
            service.app(slot.app).await
        };
        let found = tokio::time::timeout(self.settings.timeout, asked).await.unwrap_or(Err(HostError::TimedOut));
        let took_ns = self.clock.boot_ns().saturating_sub(started_ns);
        let outcome = match &found {
            Ok(Some(_)) => DirectoryCall::Found,
            Ok(None) => DirectoryCall::Absent,
            Err(_) => DirectoryCall::Failed,
        };
        self.metrics.directory_call(outcome, took_ns);
        if found.is_ok() {
            let wall = Duration::from_millis(u64::try_from(self.clock.wall_ms()).unwrap_or(0));
            self.metrics.directory_answered_at.set(wall.as_secs_f64());
        }
        self.condition.note(&found);
        (found.map(|app| app.map_or(Answer::Absent, |app| Answer::Present(Box::new(app)))), started_ns)
    }

    /// Keeps what was found, if nothing changed since it was asked for.
    fn keep(&self, slot: &Slot, found: Result<Answer, HostError>, told: u64, asked_ns: u64) -> Landed {
        let mut state = slot.state();
        (state.flight, state.slow) = (None, false);
        if state.told != told || state.dead {
            return Landed::Changed;
        }
        let answer = match found {
            Ok(answer) => answer,
            Err(error) => {
                state.failed = Some((self.clock.boot_ns(), error.clone()));
                return Landed::Failed(error);
            }
        };
        state.failed = None;
        let (ttl, max_stale) = match answer {
            Answer::Present(_) => (self.settings.ttl, self.settings.max_stale),
            // An App that may be about to come: asked for again soon, and no longer refused than that.
            Answer::Absent => (self.settings.absent_ttl.min(self.settings.ttl), Duration::ZERO),
        };
        let terms = Terms::new(asked_ns, ttl, max_stale, self.chance());
        if let Some(lease) = state.lease.as_ref().filter(|lease| *lease.answer() == answer) {
            lease.renew(terms);
            return Landed::Answer(Arc::clone(lease));
        }
        let lease = Arc::new(Lease::new(slot.app, answer, terms));
        if let Some(before) = state.lease.replace(Arc::clone(&lease)) {
            before.end();
        }
        Landed::Answer(lease)
    }

    fn chance(&self) -> u32 {
        let mut bytes = [0; 4];
        // Without chance all end a little later, and that at once.
        let _ = self.entropy.fill(&mut bytes);
        u32::from_ne_bytes(bytes)
    }
}

fn after(at_ns: u64, wait: Duration, now_ns: u64) -> bool {
    now_ns >= at_ns.saturating_add(nanos(wait))
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
