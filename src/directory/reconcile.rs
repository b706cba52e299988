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
    /// It was told to stop.
    #[error("it was stopped")]
    Stopped,
}

/// Brings the store in step.
pub struct Reconciler {
    pub(super) store: Arc<dyn Store>,
    link: Arc<HostLink>,
    pub(super) cache: Arc<AppCache>,
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
        cache: Arc<AppCache>,
        (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
        namespaces: Vec<(String, String)>,
        runtime: Handle,
    ) -> Self {
        Self { store, link, cache, clock, entropy, namespaces, runtime }
    }

    /// Compares all Apps. Gives way between pages, for as long as each took. Blocks.
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
        for page in 1.. {
            let started_ns = self.clock.boot_ns();
            let listed = self.ask(run.service.apps(page))?;
            if !listed.odd.is_empty() {
                tracing::warn!(ids = ?listed.odd, "the host lists Apps that make no sense; they are left out");
            }
            let fresh: Vec<HostApp> = listed.apps.into_iter().filter(|app| run.seen.insert(app.id)).collect();
            // The end, or a host that repeats itself.
            if fresh.is_empty() {
                return Ok(());
            }
            run.sync.listed += count(fresh.len());
            self.batch(run, &fresh)?;
            self.give_way(run, started_ns)?;
        }
        Ok(())
    }

    fn batch(&self, run: &mut Run<'_>, apps: &[HostApp]) -> Result<(), ReconcileError> {
        let changes = self.planned(apps, &run.namespaces)?;
        let unclaimed = self.unclaimed_among(apps, &changes)?;
        run.sync.unclaimed += unclaimed;
        run.sync.changed += self.write(changes)?;
        Ok(())
    }

    /// How many of these no tenant has afterwards.
    fn unclaimed_among(&self, apps: &[HostApp], changes: &[HostChange]) -> StoreResult<u32> {
        let ids: Vec<AppId> = apps.iter().map(|app| app.id).collect();
        let claimed = self.store.host_copy().claimed(&ids)?.len();
        let claims = changes.iter().filter(|change| matches!(change, HostChange::Claim(_))).count();
        Ok(count(apps.len().saturating_sub(claimed + claims)))
    }

    fn planned(&self, apps: &[HostApp], namespaces: &BTreeMap<String, TenantId>) -> StoreResult<Vec<HostChange>> {
        let ids: Vec<AppId> = apps.iter().map(|app| app.id).collect();
        let copy = self.store.host_copy();
        let claimed: BTreeMap<AppId, App> = copy.claimed(&ids)?.into_iter().map(|app| (app.id, app)).collect();
        let listed: BTreeMap<_, _> = copy.unclaimed(&ids)?.into_iter().map(|app| (app.id, app)).collect();
        let generation = || self.generation();
        let rules = Rules { namespaces, generation: &generation };
        let mut changes = Vec::new();
        for app in apps {
            let kept = match (claimed.get(&app.id), listed.get(&app.id)) {
                (Some(row), _) => Kept::Claimed(row),
                (None, Some(row)) => Kept::Listed(row),
                (None, None) => Kept::Nothing,
            };
            let change = plan::of_app(kept, app, &rules);
            if !matches!(kept, Kept::Nothing) && listed.contains_key(&app.id) {
                let is_claimed = claimed.contains_key(&app.id) || matches!(change, Some(HostChange::Claim(_)));
                changes.extend(is_claimed.then_some(HostChange::Forget(app.id)));
            }
            changes.extend(change);
        }
        Ok(changes)
    }

    /// Apps that tenants have and the host did not list: each is asked for, for a list that is read in pages while it changes
    /// may miss one.
    fn not_listed(&self, run: &mut Run<'_>) -> Result<(), ReconcileError> {
        let mut after = None;
        loop {
            let rows = self.store.host_copy().list_claimed(&Page { after, limit: ROWS })?;
            let Some(last) = rows.last() else { break };
            after = Some(last.id);
            for row in rows.iter().filter(|row| !run.seen.contains(&row.id)) {
                let started_ns = self.clock.boot_ns();
                let changes = match self.ask(run.service.app(row.id))? {
                    Some(app) => self.planned(&[app], &run.namespaces)?,
                    None => self.gone(row),
                };
                run.sync.gone += count(usize::from(row.host.permits() && !changes.is_empty()));
                run.sync.changed += self.write(changes)?;
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
            if self.ask(run.service.app(row.id))?.is_none() {
                run.sync.changed += self.write(vec![HostChange::RemoveApp(row.tenant, row.id)])?;
            }
        }
        for row in users {
            run.sync.changed += self.write(vec![HostChange::RemoveUser(row.tenant, row.id)])?;
        }
        Ok(())
    }

    /// Compares one App that the host told of. Blocks.
    ///
    /// # Errors
    /// As [`Reconciler::run`].
    pub fn one(&self, id: AppId) -> Result<(), ReconcileError> {
        let service = self.link.service().ok_or(ReconcileError::NoHost)?;
        let found = self.ask(service.app(id))?;
        let changes = match found {
            Some(app) => self.planned(&[app], &self.namespaces()?)?,
            None => {
                let rows = self.store.host_copy().claimed(&[id])?;
                let gone = rows.iter().flat_map(|row| self.gone(row));
                gone.chain(std::iter::once(HostChange::Forget(id)).filter(|_| rows.is_empty())).collect()
            }
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
            Err(StoreError::Conflict { .. } | StoreError::Exists { .. } | StoreError::Missing { .. }) => {}
            Err(error) => return Err(error),
        }
        let mut written = 0;
        for change in changes {
            let events = events(std::slice::from_ref(&change));
            match self.store.host_copy().apply(vec![change], events) {
                Ok(()) => written += 1,
                Err(StoreError::Conflict { .. } | StoreError::Exists { .. } | StoreError::Missing { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    fn namespaces(&self) -> StoreResult<BTreeMap<String, TenantId>> {
        let mut found = BTreeMap::new();
        for (namespace, slug) in &self.namespaces {
            match self.store.tenants().by_slug(slug)? {
                Some(tenant) => drop(found.insert(namespace.clone(), tenant.id)),
                None => {
                    tracing::warn!(namespace, tenant = slug, "directory.namespaces names a tenant that is not there")
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

    /// Requests come first: rests as long as the last step took.
    fn give_way(&self, run: &Run<'_>, started_ns: u64) -> Result<(), ReconcileError> {
        if (run.stopped)() {
            return Err(ReconcileError::Stopped);
        }
        std::thread::sleep(Duration::from_nanos(self.clock.boot_ns().saturating_sub(started_ns)).min(PATIENCE));
        Ok(())
    }

    pub(super) fn generation(&self) -> Generation {
        // Without chance the time will do: a generation has to differ from the one before.
        Generation::random(&*self.entropy).unwrap_or_else(|_| Generation(self.clock.wall_ms()))
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
