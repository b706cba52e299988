//! One credential, claim by claim.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::executor::block_on;

use crate::admin::AdminResult;
use crate::admin::checklist::{Run, in_force};
use crate::audit::report::{Claim, Offender, Status};
use crate::authenticate::claims;
use crate::directory::lease::Answer;
use crate::directory::{Lease, Linkage, Objects, Standing};
use crate::domain::{App, Credential, Reason, User};
use crate::store::LinkedRows;

/// The claims that the plugin is built from, by their ids.
const CLAIMS: [(&str, &str); 5] = [
    ("V1", "HandleAuth returns a valid AppId that exists in the database"),
    ("V2", "HandleAuth returns a valid UserId that exists in the database"),
    ("V3", "GetAppByCredential fetches the complete App object via the Service API"),
    ("V4", "GetUserByCredential fetches the complete User object via the Service API"),
    ("V5", "the App has the required permissions for the tools and LLMs the user needs"),
];
/// How long a directory is waited for, for one credential: as long as a request waits.
const PATIENCE: Duration = Duration::from_secs(2);
/// Credentials that are named for a claim that they fail.
const MOST_OFFENDERS: usize = 20;

/// A directory's object lacks something that its source has.
const APP_INCOMPLETE: &str = "app_incomplete";
const USER_INCOMPLETE: &str = "user_incomplete";
/// The grants that are kept are not those that the host says.
const OUT_OF_STEP: &str = "grants_out_of_step";
/// A directory does not say where its objects come from.
const NO_SOURCE: &str = "source_unnamed";

/// How a claim turned out for one credential.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Holds,
    Fails(&'static str),
    /// Something before it is missing, which counts against another claim.
    NotJudged,
}
use Verdict::{Fails, Holds, NotJudged};

impl Verdict {
    fn of(failed: Option<Reason>) -> Self {
        failed.map_or(Holds, |reason| Fails(reason.code()))
    }
}

/// Of the claims in their order; none of a credential that is refused whatever they say.
type Verdicts = Option<[Verdict; CLAIMS.len()]>;

/// What was counted.
pub(super) struct Tally {
    pub(super) looked_at: u64,
    pub(super) complete: bool,
    pub(super) population: u64,
    pub(super) not_usable: u64,
    pub(super) checked: u64,
    pub(super) ended: u64,
    /// Credentials that fail a claim or more.
    pub(super) failed: u64,
    claims: [Claim; CLAIMS.len()],
}

impl Default for Tally {
    fn default() -> Self {
        let claims = CLAIMS.map(|(id, claim)| Claim {
            id: id.to_owned(),
            claim: claim.to_owned(),
            status: Status::NotChecked,
            checked: 0,
            failed: 0,
            offenders: Vec::new(),
        });
        let (looked_at, population, not_usable, checked, ended, failed) = (0, 0, 0, 0, 0, 0);
        Self { looked_at, complete: true, population, not_usable, checked, ended, failed, claims }
    }
}

impl Tally {
    pub(super) fn statuses(&self) -> impl Iterator<Item = Status> {
        self.claims.iter().map(|claim| match (claim.checked, claim.failed) {
            (0, _) => Status::NotChecked,
            (_, 0) => Status::Pass,
            _ => Status::Fail,
        })
    }

    pub(super) fn into_claims(self) -> Vec<Claim> {
        let statuses: Vec<Status> = self.statuses().collect();
        self.claims.into_iter().zip(statuses).map(|(claim, status)| Claim { status, ..claim }).collect()
    }
}

impl Run<'_> {
    /// Judges a credential in force, and counts it.
    pub(super) fn judge(&mut self, mut row: Credential) -> AdminResult<()> {
        let mut verdicts = self.verdicts(&row)?;
        if verdicts.is_some_and(|verdicts| verdicts.iter().any(|verdict| matches!(verdict, Fails(_)))) {
            // Perhaps it was taken back since it was read, and its App after it.
            match self.permit.store().credentials().by_id(row.tenant, row.id)? {
                Some(now) if !in_force(&now, self.admin.now_ms()) => {
                    self.tally.ended += 1;
                    return Ok(());
                }
                Some(now) if now.generation != row.generation => {
                    verdicts = self.verdicts(&now)?;
                    row = now;
                }
                _ => {}
            }
        }
        let Some(verdicts) = verdicts else {
            self.tally.not_usable += 1;
            return Ok(());
        };
        self.tally.checked += 1;
        let mut failed = false;
        for (claim, verdict) in self.tally.claims.iter_mut().zip(verdicts) {
            claim.checked += u64::from(verdict != NotJudged);
            let Fails(reason) = verdict else { continue };
            failed = true;
            claim.failed += 1;
            if claim.offenders.len() < MOST_OFFENDERS {
                claim.offenders.push(Offender {
                    tenant: self.admin.slug_of(row.tenant)?,
                    credential_id: row.id.to_string(),
                    app_id: row.app.get(),
                    user_id: row.user.get(),
                    reason: reason.to_owned(),
                });
            }
        }
        self.tally.failed += u64::from(failed);
        Ok(())
    }

    fn verdicts(&self, row: &Credential) -> AdminResult<Verdicts> {
        // What a row asserts that we did not write is nobody's claim: nothing else of it is judged (rule R4).
        let genuine = self.admin.backend.keyring.ring().is_genuine(row);
        let untrusted = match genuine {
            Some(true) => None,
            Some(false) => Some(Reason::RowForged),
            None => Some(Reason::PepperMissing),
        };
        if let Some(reason) = untrusted {
            return Ok(Some([Fails(reason.code()), NotJudged, NotJudged, NotJudged, NotJudged]));
        }
        let directory = &self.admin.backend.directory;
        let linkage = Linkage { tenant: row.tenant, app: row.app, user: row.user };
        // What cannot be known does not hold.
        let unknown = Ok(Some([Fails(Reason::DirectoryUnavailable.code()); CLAIMS.len()]));
        // Within a runtime a host may be asked, which may take its time; else the store answers at once.
        let asked = async {
            match tokio::runtime::Handle::try_current() {
                Ok(_) => tokio::time::timeout(PATIENCE, directory.objects(linkage)).await.ok(),
                Err(_) => Some(directory.objects(linkage).await),
            }
        };
        let Objects { at, lease } = match block_on(asked) {
            Some(Ok(objects)) => objects,
            None => return unknown,
            Some(Err(error)) => {
                tracing::warn!(credential_id = %row.id, error = %error.source, "the directory did not answer");
                return unknown;
            }
        };
        let now_ns = self.admin.backend.clock.boot_ns();
        if lease.as_ref().is_some_and(|lease| directory.standing(lease, now_ns) == Standing::Ended) {
            return unknown;
        }
        let (found, lease) = (at.row, lease.as_deref());
        let links = claims::links(row, &found);
        if links.suspended {
            return Ok(None);
        }
        let LinkedRows { tenant, app, user } = &found;
        let object = |failed: Option<&'static str>| match failed {
            _ if directory.source().is_empty() => Fails(NO_SOURCE),
            failed => failed.map_or(Holds, Fails),
        };
        let app_object = match app {
            Some(app) => object((!self.is_whole_app(row, app, lease)?).then_some(APP_INCOMPLETE)),
            None => NotJudged,
        };
        let user_object = match user {
            Some(user) => object((!self.is_whole_user(row, user)?).then_some(USER_INCOMPLETE)),
            None => NotJudged,
        };
        let grants = match (tenant, app) {
            (Some(tenant), Some(app)) => match claims::llms(app, tenant, self.admin.backend.llm_grants) {
                None if !self.grants_are_the_hosts(row, lease)? => Fails(OUT_OF_STEP),
                failed => Verdict::of(failed),
            },
            _ => NotJudged,
        };
        Ok(Some([Verdict::of(links.app), Verdict::of(links.user), app_object, user_object, grants]))
    }

    /// Whether the grants that are kept, by which gateways judge, are those that the host says: of LLMs, tools and
    /// datasources. A host that does not say is not contradicted.
    fn grants_are_the_hosts(&self, row: &Credential, lease: Option<&Lease>) -> AdminResult<bool> {
        let Some(Answer::Present(host)) = lease.map(Lease::answer) else { return Ok(true) };
        let Some(kept) = self.permit.store().apps().by_id(row.tenant, row.app)? else { return Ok(true) };
        let same = |kept: &mut dyn Iterator<Item = u32>, said: Option<Vec<u32>>| {
            said.is_none_or(|said| kept.collect::<BTreeSet<_>>() == said.into_iter().collect())
        };
        let llms = host.llms.as_ref().map(|llms| llms.iter().map(|llm| llm.get()).collect());
        Ok(same(&mut kept.llms.iter().map(|llm| llm.id.get()), llms)
            && same(&mut kept.tools.iter().copied(), host.tools.clone())
            && same(&mut kept.datasources.iter().copied(), host.datasources.clone()))
    }

    /// Whether what the directory gave is all that its source has: what the host answered, where it was asked, and what is
    /// stored else, field by field.
    fn is_whole_app(&self, row: &Credential, app: &App, lease: Option<&Lease>) -> AdminResult<bool> {
        if app.name.trim().is_empty() {
            return Ok(false);
        }
        let kept = self.permit.store().apps().by_id(row.tenant, row.app)?;
        // Another generation was written in between: it is not to be compared.
        let Some(kept) = kept.filter(|kept| kept.generation == app.generation) else { return Ok(true) };
        let source = match lease.map(Lease::answer) {
            Some(Answer::Present(host)) => host.merged_into(kept),
            Some(Answer::Absent) => return Ok(false),
            None => kept,
        };
        Ok(source == *app)
    }

    /// The same of a User, whom the store alone knows: they have an address, and perhaps no name.
    fn is_whole_user(&self, row: &Credential, user: &User) -> AdminResult<bool> {
        let kept = self.permit.store().users().by_id(row.tenant, row.user)?;
        let differs = kept.is_some_and(|kept| kept.generation == user.generation && kept != *user);
        Ok(!differs && !user.email.trim().is_empty())
    }
}
