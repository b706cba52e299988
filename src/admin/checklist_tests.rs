//! What of the checklist needs a clock, a directory or a store in a test's hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::tests::{request, world};
use super::*;
use crate::admin::checklist::{Bounds, ChecklistRequest};
use crate::audit::report::{Report, Status};
use crate::directory::lease::{Answer, Terms};
use crate::directory::local::LocalDirectory;
use crate::directory::{Directory, DirectoryError, HostApp, Lease, Linkage, ObjectsFuture};
use crate::domain::Role;
use crate::domain::event::Actor;
use crate::store::{LinkedRows, Store as _};

type Spoil = fn(&mut LinkedRows);
/// The claims that fail, and why.
type Failing<'a> = &'a [(&'a str, &'a str)];

/// The store's own, and what becomes of its answers.
struct Other {
    local: LocalDirectory,
    source: &'static str,
    /// None does not answer.
    spoil: Option<Spoil>,
    asked: Arc<dyn Fn() + Send + Sync>,
    /// When a host's answer may no longer be used.
    ends_ns: u64,
}

/// What a host says of an App.
fn host(linkage: Linkage) -> HostApp {
    HostApp {
        id: linkage.app,
        name: "Shop".to_owned(),
        description: "sells".to_owned(),
        active: true,
        decides: false,
        owner_email: None,
        owner: None,
        monthly_budget: 9.5,
        rate_limit: Some(60),
        llms: None,
        tools: None,
        datasources: None,
        namespace: None,
        metadata: std::collections::BTreeMap::from([("tier".to_owned(), "gold".to_owned())]),
    }
}

impl Directory for Other {
    fn objects(&self, linkage: Linkage) -> ObjectsFuture<'_> {
        Box::pin(async move {
            (self.asked)();
            let mut found = self.local.objects(linkage).await?;
            let spoil = self.spoil.ok_or_else(|| DirectoryError { source: "nobody is there".into() })?;
            if self.source == "studio" {
                let (app, host) = (found.at.row.app.take().unwrap(), host(linkage));
                found.at.row.app = Some(host.merged_into(app));
                let terms =
                    Terms { look_at_ns: self.ends_ns, fresh_until_ns: self.ends_ns, stale_until_ns: self.ends_ns };
                found.lease = Some(Arc::new(Lease::new(linkage.app, Answer::Present(Box::new(host)), terms)));
            }
            spoil(&mut found.at.row);
            Ok(found)
        })
    }
    fn source(&self) -> &'static str {
        self.source
    }
}

fn with(world: &tests::World, source: &'static str, spoil: Option<Spoil>) -> Backend {
    let local = LocalDirectory::new(Arc::clone(&world.store) as _);
    world.backend.clone().with_directory(Arc::new(Other {
        local,
        source,
        spoil,
        asked: Arc::new(|| {}),
        ends_ns: u64::MAX,
    }))
}

fn owner(backend: &Backend) -> Admin {
    backend.admin(Caller::unbound_owner(Actor::Local { uid: 1000 }))
}

fn run(admin: &Admin, request: &ChecklistRequest) -> Report {
    admin.run_checklist(request, |_| true).unwrap().report
}

/// The claims that fail, and why.
fn failing(report: &Report) -> Vec<(&str, &str)> {
    let failed = report.claims.iter().filter(|claim| claim.status == Status::Fail);
    failed.map(|claim| (claim.id.as_str(), claim.offenders[0].reason.as_str())).collect()
}

#[test]
fn v3_v4_what_a_directory_leaves_out_of_an_object_is_found() {
    let world = world();
    world.admin.issue_key("acme", &request()).unwrap();
    let everything = ChecklistRequest::default();
    let cases: [(&str, Spoil, Failing<'_>); 10] = [
        ("store", |_| {}, &[]),
        ("store", |rows| rows.app.as_mut().unwrap().owner_email.clear(), &[("V3", "app_incomplete")]),
        ("store", |rows| rows.user.as_mut().unwrap().name.clear(), &[("V4", "user_incomplete")]),
        // Written in between: there is nothing to compare.
        (
            "store",
            |rows| {
                let app = rows.app.as_mut().unwrap();
                app.owner_email.clear();
                app.generation = Generation(app.generation.0.wrapping_add(1));
            },
            &[],
        ),
        // What the host said counts, and what only the store knows.
        ("studio", |_| {}, &[]),
        ("studio", |rows| rows.app.as_mut().unwrap().metadata.clear(), &[("V3", "app_incomplete")]),
        ("studio", |rows| rows.app.as_mut().unwrap().owner_email.clear(), &[("V3", "app_incomplete")]),
        ("studio", |rows| rows.app.as_mut().unwrap().name.clear(), &[("V3", "app_incomplete")]),
        ("studio", |rows| rows.app = None, &[("V1", "app_unknown")]),
        ("", |_| {}, &[("V3", "source_unnamed"), ("V4", "source_unnamed")]),
    ];
    for (number, (source, spoil, expected)) in cases.into_iter().enumerate() {
        let report = run(&owner(&with(&world, source, Some(spoil))), &everything);
        assert_eq!((failing(&report).as_slice(), report.directory.as_str()), (expected, source), "case {number}");
    }
}

#[test]
fn a_directory_that_does_not_answer_fails_every_claim() {
    let world = world();
    world.admin.issue_key("acme", &request()).unwrap();
    let report = run(&owner(&with(&world, "gateway", None)), &ChecklistRequest::default());
    let expected = ["V1", "V2", "V3", "V4", "V5"].map(|claim| (claim, "directory_unavailable"));
    assert_eq!(failing(&report), expected);
    // An answer that is too old is none.
    let local = LocalDirectory::new(Arc::clone(&world.store) as _);
    let old = Other { local, source: "studio", spoil: Some(|_| {}), asked: Arc::new(|| {}), ends_ns: 0 };
    let report = run(&owner(&world.backend.clone().with_directory(Arc::new(old))), &ChecklistRequest::default());
    assert_eq!(failing(&report), expected);
}

#[test]
fn a_bounded_run_ends_in_time_and_says_what_it_left_out() {
    let world = world();
    for _ in 0..6 {
        world.admin.issue_key("acme", &request()).unwrap();
    }
    let bounded = |rows, seconds| {
        let bounds = Some(Bounds { rows, within: Duration::from_secs(seconds) });
        ChecklistRequest { sample: Some(4), bounds, ..ChecklistRequest::default() }
    };
    let whole = run(&world.admin, &bounded(100, 2));
    assert_eq!((whole.population, whole.checked, whole.population_complete), (6, 4, true));
    let cut = run(&world.admin, &bounded(3, 2));
    assert_eq!((cut.population, cut.checked, cut.population_complete), (3, 3, false));
    // A directory that takes a second for each.
    let clock = Arc::clone(&world.clock);
    let local = LocalDirectory::new(Arc::clone(&world.store) as _);
    let asked = Arc::new(move || clock.advance(Duration::from_secs(1)));
    let slow = Other { local, source: "gateway", spoil: Some(|_| {}), asked, ends_ns: u64::MAX };
    let late = run(&owner(&world.backend.clone().with_directory(Arc::new(slow))), &bounded(100, 2));
    assert_eq!((late.population, late.checked, late.population_complete), (6, 2, false));
}

#[test]
fn a_run_ends_when_nobody_listens_and_leaves_no_event() {
    let world = world();
    world.admin.issue_key("acme", &request()).unwrap();
    let told = AtomicU32::new(0);
    let ended = world.admin.run_checklist(&ChecklistRequest::default(), |_| {
        told.fetch_add(1, Ordering::Relaxed);
        false
    });
    assert!(matches!(ended, Err(AdminError::Unavailable(_))));
    assert_eq!(told.load(Ordering::Relaxed), 1);
    let events = world.store.audit().list(0, 1_000).unwrap();
    assert!(events.iter().all(|entry| entry.event.action != Action::ChecklistRun));
}

#[test]
fn f1_nobody_of_the_portal_runs_it_and_who_is_bound_hears_of_their_tenants_alone() {
    let world = world();
    world.admin.issue_key("acme", &request()).unwrap();
    let (acme, globex) = (world.admin.tenant("acme").unwrap().id, world.admin.tenant("globex").unwrap().id);
    let portal = world.backend.admin(Caller::portal(request().user, acme));
    assert!(matches!(portal.run_checklist(&ChecklistRequest::default(), |_| true), Err(AdminError::Forbidden { .. })));
    let bound = |tenant| world.backend.admin(Caller::new(Actor::Studio, Role::Auditor, Scope::Tenants(vec![tenant])));
    let theirs = run(&bound(globex), &ChecklistRequest::default());
    assert_eq!((theirs.population, theirs.tenants), (0, Some(vec!["globex".to_owned()])));
    let ours = run(&bound(acme), &ChecklistRequest::default());
    assert_eq!((ours.population, ours.status), (1, Status::Pass));
    let named = ChecklistRequest { tenant: Some("acme".to_owned()), ..ChecklistRequest::default() };
    assert!(matches!(bound(globex).run_checklist(&named, |_| true), Err(AdminError::NotFound { .. })));
    assert_eq!(ours.llm_grants, "required");
    assert_eq!(ours.unsigned_because.as_deref(), Some("no key that signs the audit trail is here"));
}

#[test]
fn a_key_that_is_taken_back_while_it_is_judged_is_no_failure() {
    let world = world();
    let id = world.admin.issue_key("acme", &request()).unwrap().credential.id;
    let admin = owner(&world.backend);
    let asked = Arc::new(move || {
        // Its App goes, and it with it, between the row and the answer about it.
        admin.revoke_key(id, crate::domain::credential::RevocationReason::Superseded).map(drop).unwrap();
    });
    let local = LocalDirectory::new(Arc::clone(&world.store) as _);
    let directory = Other { local, source: "gateway", spoil: Some(|rows| rows.app = None), asked, ends_ns: u64::MAX };
    let report = run(&owner(&world.backend.clone().with_directory(Arc::new(directory))), &ChecklistRequest::default());
    assert_eq!((report.population, report.checked, report.ended_meanwhile), (1, 0, 1));
    assert_eq!(report.status, Status::NotChecked);
}
