//! The validation checklist: five claims about every credential in force, or about some chosen by chance, judged against
//! the store and the directory as they are now.
//!
//! A row counts as it would for a request: the same rules ([`crate::authenticate::claims`]), the same directory. Memory is
//! bounded, whatever the store holds; who asks is looked up again for each part, and the walk ends when nobody listens.

mod judge;
mod report;
mod sample;

use std::sync::Arc;
use std::time::Duration;

use crate::admin::authority::{Act, Permit, Scope};
use crate::admin::limits::invalid;
use crate::admin::pages::KeyPlace;
use crate::admin::{Admin, AdminError, AdminResult, Backend};
use crate::audit::report::{Report, Status};
use crate::directory::Directory;
use crate::domain::event::DetailKey;
use crate::domain::{Action, Credential, CredentialId, Reason, Subject, Tenant, TenantId};
use crate::store::Page;

use judge::Tally;
use sample::Reservoir;

/// Rows taken from the store at once, and rows judged between two looks at who asks.
const CHUNK: u32 = 500;
/// Most credentials that may be chosen by chance: what is kept of one is 32 bytes.
pub const MAX_SAMPLE: u32 = 100_000;

/// What is to be run.
#[derive(Clone, Debug, Default)]
pub struct ChecklistRequest {
    /// Of this tenant; without it of all that are the caller's.
    pub tenant: Option<String>,
    /// How many credentials, chosen by chance; without it every one.
    pub sample: Option<u32>,
    /// Where it must not take long.
    pub bounds: Option<Bounds>,
    /// Which of the host's programs runs this process, where that is known.
    pub host_runtime: Option<&'static str>,
}

/// Where a run ends although there is more. The report says so.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Rows looked at.
    pub rows: u64,
    /// Time, after which nothing more is begun.
    pub within: Duration,
}

/// How far a run is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Rows looked at.
    pub looked_at: u64,
    /// Credentials judged.
    pub checked: u64,
}

/// A finished run.
pub struct Checklist {
    /// What it says.
    pub report: Report,
    /// The same with its signature: a line of JSON, for a file.
    pub file: String,
}

/// Whether a credential is one that a request could be let in with, now or later.
fn in_force(row: &Credential, now_ms: i64) -> bool {
    matches!(row.check_validity(now_ms), Ok(()) | Err(Reason::NotYetValid))
}

/// A run under way.
struct Run<'a> {
    admin: &'a Admin,
    permit: &'a Permit<'a>,
    told: &'a mut dyn FnMut(Progress) -> bool,
    bounds: Option<Bounds>,
    began_ns: u64,
    tally: Tally,
}

impl Run<'_> {
    /// Whether enough rows were looked at, or it is late: the rest is left out.
    fn is_over(&mut self) -> bool {
        let enough = self.bounds.is_some_and(|bounds| self.tally.looked_at >= bounds.rows);
        self.tally.complete &= !enough;
        enough || self.is_late()
    }

    /// Whether nothing more is to be begun.
    fn is_late(&mut self) -> bool {
        let gone = self.admin.backend.clock.boot_ns().saturating_sub(self.began_ns);
        let late = self.bounds.is_some_and(|bounds| u128::from(gone) >= bounds.within.as_nanos());
        self.tally.complete &= !late;
        late
    }

    /// Between two parts: whether the caller still may, and listens.
    fn pause(&mut self) -> AdminResult<()> {
        self.admin.still_in_force()?;
        let progress = Progress { looked_at: self.tally.looked_at, checked: self.tally.checked };
        if (self.told)(progress) { Ok(()) } else { Err(AdminError::Unavailable("the caller went away".to_owned())) }
    }

    /// Every credential in force of a tenant: into the sample, or judged at once.
    fn walk(&mut self, tenant: &Tenant, mut sample: Option<&mut Reservoir>) -> AdminResult<()> {
        let suspended = tenant.status == crate::domain::TenantStatus::Suspended;
        let mut after = None::<KeyPlace>;
        loop {
            let rows = self.permit.store().credentials().list(tenant.id, &Page { after, limit: CHUNK })?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = Some((last.created_at_ms, last.id));
            self.pause()?;
            let now_ms = self.admin.now_ms();
            for row in rows {
                if self.is_over() {
                    return Ok(());
                }
                self.tally.looked_at += 1;
                if !in_force(&row, now_ms) {
                    continue;
                }
                self.tally.population += 1;
                match &mut sample {
                    _ if suspended => self.tally.not_usable += 1,
                    Some(sample) => sample.offer((row.tenant, row.id), self.admin.backend.entropy.as_ref())?,
                    None => self.judge(row)?,
                }
            }
        }
    }

    /// Those that were chosen, as they are now.
    fn judge_chosen(&mut self, chosen: &[(TenantId, CredentialId)]) -> AdminResult<()> {
        for (at, (tenant, id)) in chosen.iter().enumerate() {
            if at % CHUNK as usize == 0 {
                self.pause()?;
            }
            if self.is_late() {
                return Ok(());
            }
            match self.permit.store().credentials().by_id(*tenant, *id)? {
                Some(row) if in_force(&row, self.admin.now_ms()) => self.judge(row)?,
                _ => self.tally.ended += 1,
            }
        }
        Ok(())
    }
}

impl Backend {
    /// Apps and Users as requests see them.
    #[must_use]
    pub fn with_directory(mut self, directory: Arc<dyn Directory>) -> Self {
        self.directory = directory;
        self
    }

    /// Of a store with this schema.
    #[must_use]
    pub fn with_schema_version(mut self, schema_version: u32) -> Self {
        self.schema_version = schema_version;
        self
    }
}

impl Admin {
    /// Judges the five claims, leaves an event, and gives a report, signed where the key is here. A claim that does not
    /// hold is a result. Blocks, for as long as the directory takes to answer about each credential; `told` hears how far
    /// it is, and ends it with false.
    ///
    /// # Errors
    /// When there is no such tenant that is the caller's, the store cannot be read or written, or nobody listens.
    pub fn run_checklist(
        &self,
        request: &ChecklistRequest,
        mut told: impl FnMut(Progress) -> bool,
    ) -> AdminResult<Checklist> {
        let permit = self.permit(Act::Read)?;
        let only = request.tenant.as_deref().map(|slug| permit.tenant(slug)).transpose()?;
        let mut sample = match request.sample {
            Some(size @ 1..=MAX_SAMPLE) => Some(Reservoir::new(size)),
            Some(_) => return Err(invalid("sample", format!("a number from 1 to {MAX_SAMPLE}"))),
            None => None,
        };
        let (started_ms, began_ns) = (self.now_ms(), self.backend.clock.boot_ns());
        let tally = Tally::default();
        let mut run = Run { admin: self, permit: &permit, told: &mut told, bounds: request.bounds, began_ns, tally };
        match &only {
            Some(tenant) => run.walk(tenant, sample.as_mut())?,
            None => self.each_tenant(|tenant| run.walk(tenant, sample.as_mut()))?,
        }
        if let Some(sample) = &sample {
            run.judge_chosen(sample.chosen())?;
        }
        let tally = run.tally;
        self.note_checklist(&permit, only.as_ref(), &tally)?;
        self.report(&permit, request, only.as_ref(), started_ms, tally)
    }

    /// Every tenant that is the caller's.
    fn each_tenant(&self, mut each: impl FnMut(&Tenant) -> AdminResult<()>) -> AdminResult<()> {
        let mut after = None;
        loop {
            let page = self.list_tenants(Page { after, limit: CHUNK })?;
            page.rows.iter().try_for_each(&mut each)?;
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// That it was run, and how it ended: whose tenant's it was reads of it too.
    fn note_checklist(&self, permit: &Permit<'_>, only: Option<&Tenant>, tally: &Tally) -> AdminResult<()> {
        let tenant = match (&permit.caller().scope, only) {
            (_, Some(tenant)) => Some(tenant.id),
            (Scope::Tenants(tenants), None) if tenants.len() == 1 => tenants.first().copied(),
            _ => None,
        };
        let details = vec![
            (DetailKey::Outcome, Status::of_all(tally.statuses()).as_str().to_owned()),
            (DetailKey::Population, tally.population.to_string()),
            (DetailKey::Checked, tally.checked.to_string()),
            (DetailKey::Failed, tally.failed.to_string()),
        ];
        let subject = tenant.map_or(Subject::Everything, Subject::Tenant);
        Ok(permit.store().audit().note(self.event(Action::ChecklistRun, subject, tenant, details))?)
    }
}
