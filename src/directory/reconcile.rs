//! Keeps the store in step with the host's Apps: all of them on a schedule, one when the host tells of it.
//!
//! Only Studio's process does this: no other host says what an App may use. Rows that did not change are not written. What
//! is written has its audit event in the same transaction: one for each thing that begins, stops or goes on working, one for
//! each tenant and batch for the rest. Blocks, but for the calls to the host: for a thread of its own.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::clock::{Clock, Entropy};
use crate::directory::cache::AppCache;
use crate::directory::facts::HostApp;
use crate::directory::plan::{self, KEPT_WHEN_GONE, Kept, Rules};
use crate::directory::record;
use crate::directory::service::{HostError, HostLink, HostService};
use crate::domain::{App, AppId, Generation, HostSync, TenantId};
use crate::store::{HostChange, Page, Store, StoreError, StoreResult};

/// Rows of the store that are looked through at once.
const ROWS: u32 = 500;
/// Pages at most: a host that never ends is not followed for ever.
const MOST_PAGES: u32 = 100_000;
/// Pages in a row that bring nothing new, as they may where Apps are made meanwhile: then it repeats itself.
const MOST_REPEATS: u32 = 3;
/// Changes that fail one by one, and none that does not, until it is given up.
const MOST_FAILURES: u32 = 3;
/// The longest that a page or an App is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why the store could not be brought in step.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The host did not answer.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The store did not.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no host to ask.
    #[error("the host has no Service API")]
    NoHost,
    /// It lists none at all, and there are some that tenants have.
    #[error("the host lists no Apps at all; nothing is taken from tenants by that")]
    NoApps,
    /// It was told to stop.
    #[error("it was stopped")]
    Stopped,
}

/// Brings the store in step.
pub struct Reconciler {
    pub(super) store: Arc<dyn Store>,
    link: Arc<HostLink>,
    cache: Option<Arc<AppCache>>,
    pub(super) clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// Slugs of tenants by the namespaces that are theirs.
    namespaces: Vec<(String, String)>,
    runtime: Handle,
}

/// A run under way.
struct Run<'a> {
    service: &'a dyn HostService,
    namespaces: BTreeMap<String, TenantId>,
    seen: HashSet<AppId>,
    sync: HostSync,
    stopped: &'a dyn Fn() -> bool,
}

impl Reconciler {
    /// Asks over `link` and from `runtime`. An App of a namespace that `namespaces` names goes to the tenant of that slug.
    pub fn new(
        store: Arc<dyn Store>,
        link: Arc<HostLink>,
        cache: Option<Arc<AppCache>>,
        (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
        namespaces: Vec<(String, String)>,
        runtime: Handle,
    ) -> Self {
        Self { store, link, cache, clock, entropy, namespaces, runtime }
    }

    /// Compares all Apps. Gives way between pages, twice as long as each took. Blocks.
    ///
    /// # Errors
    /// When host or store gave no answer. What was written until then stays.
    pub fn run(&self, stopped: &dyn Fn() -> bool) -> Result<HostSync, ReconcileError> {
        let service = self.link.service().ok_or(ReconcileError::NoHost)?;
        let sync = HostSync { started_at_ms: self.clock.wall_ms(), ..HostSync::default() };
        let namespaces = self.namespaces()?;
        let mut run = Run { service: &*service, namespaces, seen: HashSet::new(), sync, stopped };
        self.listed(&mut run)?;
        self.not_listed(&mut run)?;
        self.given_up(&mut run)?;
        run.sync.finished_at_ms = self.clock.wall_ms();
        self.store.host_copy().synced(&run.sync)?;
        Ok(run.sync)
    }

    /// Every page that the host has.
    fn listed(&self, run: &mut Run<'_>) -> Result<(), ReconcileError> {
        let mut repeats = 0;
        for page in 1.. {
            let started_ns = self.clock.boot_ns();
            let turn = self.turn();
            let listed = self.ask(run.service.apps(page))?;
            if !listed.odd.is_empty() {
                tracing::warn!(ids = ?listed.odd, "the host lists Apps that make no sense; they are left out");
            }
            let was_empty = listed.apps.is_empty() && listed.odd.is_empty();
            let fresh: Vec<HostApp> = listed.apps.into_iter().filter(|app| run.seen.insert(app.id)).collect();
            repeats = if fresh.is_empty() { repeats + 1 } else { 0 };
            if was_empty || repeats > MOST_REPEATS || page > MOST_PAGES {
                return Ok(());
            }
            run.sync.listed += count(fresh.len());
            let (changes, unclaimed) = self.planned(&fresh, &run.namespaces)?;
            run.sync.unclaimed += unclaimed;
            run.sync.changed += self.write(changes)?;
            drop(turn);
            self.give_way(run, started_ns)?;
        }
        Ok(())
    }

    /// What is to be written of these, and how many of them no tenant has afterwards.
    fn planned(
        &self,
        apps: &[HostApp],
        namespaces: &BTreeMap<String, TenantId>,
    ) -> StoreResult<(Vec<HostChange>, u32)> {
        let ids: Vec<AppId> = apps.iter().map(|app| app.id).collect();
        let copy = self.store.host_copy();
        let claimed: BTreeMap<AppId, App> = copy.claimed(&ids)?.into_iter().map(|app| (app.id, app)).collect();
        // What a tenant let go is claimed by whoever may, and by no rule.
        let released: HashSet<AppId> = copy.released(&ids)?.into_iter().collect();
        let listed: BTreeMap<_, _> = copy.unclaimed(&ids)?.into_iter().map(|app| (app.id, app)).collect();
        let generation = || self.generation();
        let (rules, no_rules) = (Rules { namespaces, generation: &generation }, BTreeMap::new());
        let no_rules = Rules { namespaces: &no_rules, generation: &generation };
        let (mut changes, mut unclaimed) = (Vec::new(), 0);
        for app in apps {
            let kept = match (claimed.get(&app.id), listed.get(&app.id)) {
                (Some(row), _) => Kept::Claimed(row),
                (None, Some(row)) => Kept::Listed(row),
                (None, None) => Kept::Nothing,
            };
            let change = plan::of_app(kept, app, if released.contains(&app.id) { &no_rules } else { &rules });
            let is_claimed = matches!(kept, Kept::Claimed(_)) || matches!(change, Some(HostChange::Claim(_)));
            if !is_claimed {
                unclaimed += 1;
            } else if listed.contains_key(&app.id) {
                changes.push(HostChange::Forget(app.id));
            }
            changes.extend(change);
        }
        Ok((changes, unclaimed))
    }

    /// Apps that tenants have and the host did not list: each is asked for, for a list that is read in pages while it changes
    /// may miss one.
    fn not_listed(&self, run: &mut Run<'_>) -> Result<(), ReconcileError> {
        let mut after = None;
        if run.seen.is_empty() && !self.store.host_copy().list_claimed(&Page { after, limit: 1 })?.is_empty() {
            // More likely the wrong database than a host whose last App is gone.
            return Err(ReconcileError::NoApps);
        }
        loop {
            let rows = self.store.host_copy().list_claimed(&Page { after, limit: ROWS })?;
            let Some(last) = rows.last() else { break };
            after = Some(last.id);
            for row in rows.iter().filter(|row| !run.seen.contains(&row.id)) {
                let started_ns = self.clock.boot_ns();
                let turn = self.turn();
                let changes = match self.ask(run.service.app(row.id)) {
                    Ok(Some(app)) => self.planned(&[app], &run.namespaces)?.0,
                    Ok(None) => self.gone(row),
                    // One that it cannot be asked for holds up no other.
                    Err(error @ (HostError::Failed { .. } | HostError::Nonsense { .. })) => {
                        tracing::warn!(app_id = row.id.get(), %error, "an App cannot be compared");
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                };
                run.sync.gone += count(usize::from(row.host.permits() && !changes.is_empty()));
                run.sync.changed += self.write(changes)?;
                drop(turn);
                self.give_way(run, started_ns)?;
            }
        }
        let mut after = None;
        loop {
            let rows = self.store.host_copy().list_unclaimed(&Page { after, limit: ROWS })?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = Some(last.id);
            let forgotten = rows.iter().filter(|row| !run.seen.contains(&row.id)).map(|row| HostChange::Forget(row.id));
            run.sync.changed += self.write(forgotten.collect())?;
        }
    }

    fn gone(&self, row: &App) -> Vec<HostChange> {
        plan::of_gone(row, self.clock.wall_ms(), self.generation()).into_iter().collect()
    }

    /// Rows whose things the host gave up long ago. An App is asked for once more.
    fn given_up(&self, run: &mut Run<'_>) -> Result<(), ReconcileError> {
        let kept_ms = i64::try_from(KEPT_WHEN_GONE.as_millis()).unwrap_or(i64::MAX);
        let (apps, users) = self.store.host_copy().gone_before(self.clock.wall_ms().saturating_sub(kept_ms), ROWS)?;
        for row in apps {
            let _turn = self.turn();
            if let Ok(None) = self.ask(run.service.app(row.id)) {
                let change = HostChange::RemoveApp { tenant: row.tenant, id: row.id, expected: row.generation };
                run.sync.changed += self.write(vec![change])?;
            }
        }
        for row in users {
            let change = HostChange::RemoveUser { tenant: row.tenant, id: row.id, expected: row.generation };
            run.sync.changed += self.write(vec![change])?;
        }
        Ok(())
    }

    /// Compares one App that the host told of. Blocks.
    ///
    /// # Errors
    /// As [`Reconciler::run`].
    pub fn one(&self, id: AppId) -> Result<(), ReconcileError> {
        let service = self.link.service().ok_or(ReconcileError::NoHost)?;
        let _turn = self.turn();
        let changes = if let Some(app) = self.ask(service.app(id))? {
            self.planned(&[app], &self.namespaces()?)?.0
        } else {
            let copy = self.store.host_copy();
            let gone = copy.claimed(&[id])?.iter().flat_map(|row| self.gone(row)).collect::<Vec<_>>();
            let forgotten = copy.unclaimed(&[id])?.into_iter().map(|row| HostChange::Forget(row.id));
            gone.into_iter().chain(forgotten).collect()
        };
        self.write(changes)?;
        Ok(())
    }

    /// Writes changes with their events; how many. A row that somebody changed meanwhile is left for the next time.
    pub(super) fn write(&self, changes: Vec<HostChange>) -> StoreResult<u32> {
        if changes.is_empty() {
            return Ok(0);
        }
        let events = |changes: &[HostChange]| record::events(changes, self.clock.wall_ms());
        match self.store.host_copy().apply(changes.clone(), events(&changes)) {
            Ok(()) => return Ok(count(changes.len())),
            Err(error) if changes.len() == 1 => return if is_anothers(&error) { Ok(0) } else { Err(error) },
            Err(error @ (StoreError::Closed | StoreError::Replaced)) => return Err(error),
            // One by one, so that what one of them is costs no other.
            Err(_) => {}
        }
        let (mut written, mut failures, mut failed) = (0, 0, None);
        for change in changes {
            // It is the store: each try may take as long as it waits for a lock.
            if written == 0 && failures == MOST_FAILURES {
                break;
            }
            let events = events(std::slice::from_ref(&change));
            match self.store.host_copy().apply(vec![change], events) {
                Ok(()) => written += 1,
                Err(error) if is_anothers(&error) => {}
                Err(error) => (failures, failed) = (failures + 1, Some(error)),
            }
        }
        match failed {
            Some(error) if written == 0 => Err(error),
            Some(error) => {
                tracing::warn!(%error, "a change that the host told of could not be written");
                Ok(written)
            }
            None => Ok(written),
        }
    }

    fn turn(&self) -> std::sync::MutexGuard<'_, ()> {
        self.link.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn namespaces(&self) -> StoreResult<BTreeMap<String, TenantId>> {
        let mut found = BTreeMap::new();
        for (namespace, slug) in &self.namespaces {
            match self.store.tenants().by_slug(slug)? {
                Some(tenant) => drop(found.insert(namespace.clone(), tenant.id)),
                None => {
                    tracing::warn!(namespace, tenant = slug, "directory.namespaces names a tenant that is not there");
                }
            }
        }
        Ok(found)
    }

    fn ask<T>(&self, answer: impl Future<Output = Result<T, HostError>>) -> Result<T, HostError> {
        self.runtime
            .block_on(async { tokio::time::timeout(PATIENCE, answer).await })
            .unwrap_or(Err(HostError::TimedOut))
    }

    /// Requests come first: rests twice as long as the last step took.
    fn give_way(&self, run: &Run<'_>, started_ns: u64) -> Result<(), ReconcileError> {
        if (run.stopped)() {
            return Err(ReconcileError::Stopped);
        }
        let took = Duration::from_nanos(self.clock.boot_ns().saturating_sub(started_ns));
        std::thread::sleep((took * 2).min(PATIENCE));
        Ok(())
    }

    /// What is known of an App is used no more.
    pub fn forget(&self, id: AppId) {
        if let Some(cache) = &self.cache {
            cache.forget(id);
        }
    }

    /// The second, for who counts what comes in one.
    pub fn second(&self) -> u64 {
        self.clock.boot_ns() / 1_000_000_000
    }

    pub(super) fn generation(&self) -> Generation {
        // Without chance the time will do: a generation has to differ from the one before.
        Generation::random(&*self.entropy).unwrap_or_else(|_| Generation(self.clock.wall_ms()))
    }
}

/// Whether somebody else was faster: then it is left for the next time.
fn is_anothers(error: &StoreError) -> bool {
    matches!(error, StoreError::Conflict { .. } | StoreError::Exists { .. } | StoreError::Missing { .. })
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
