//! The validation checklist: as a call that lasts, and as what a page may ask.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::admin::checklist::{Bounds, ChecklistRequest, Progress};
use crate::admin::{Admin, AdminResult};
use crate::audit::report::Report;
use crate::pb::admin::v1 as pb;
use crate::transport::admin::Desk;
use crate::transport::admin::convert::invalid;

/// Credentials that a page has judged at most: the host waits for the answer, and holds a lock meanwhile.
const PAGE_SAMPLE: u32 = 200;
/// Rows among which they are chosen, and the time after which nothing more is begun.
const PAGE_BOUNDS: Bounds = Bounds { rows: 20_000, within: Duration::from_secs(2) };

fn request(q: pb::RunChecklistRequest) -> ChecklistRequest {
    ChecklistRequest {
        tenant: Some(q.tenant).filter(|slug| !slug.is_empty()),
        sample: Some(q.sample).filter(|size| *size > 0),
        bounds: None,
        host_runtime: None,
    }
}

/// Tells how far it is, and then the report, until `send` wants no more.
pub(super) fn run(
    admin: &Admin,
    q: pb::RunChecklistRequest,
    send: &dyn Fn(pb::RunChecklistResponse) -> bool,
) -> AdminResult<()> {
    let checklist = admin.run_checklist(&request(q), |Progress { looked_at, checked }| {
        send(pb::RunChecklistResponse { looked_at, checked, ..pb::RunChecklistResponse::default() })
    })?;
    send(pb::RunChecklistResponse {
        done: true,
        looked_at: checklist.report.population,
        checked: checklist.report.checked,
        status: checklist.report.status.as_str().to_owned(),
        report: checklist.file,
    });
    Ok(())
}

/// What a page is answered.
#[derive(Serialize, JsonSchema)]
pub(super) struct ChecklistView {
    /// What was run, in words: a page never judges every credential of a great store.
    says: String,
    /// What it found.
    report: Report,
    /// The same with its signature, to be kept byte for byte.
    file: String,
}

/// A few credentials, in a time that a host waits for.
pub(super) fn run_on_page(desk: &Desk, admin: &Admin, q: pb::RunChecklistRequest) -> AdminResult<ChecklistView> {
    if q.sample > PAGE_SAMPLE {
        let problem = format!("at most {PAGE_SAMPLE} on a page; `latchkey checklist` judges as many as there are");
        return Err(invalid("sample", problem));
    }
    let _turn = desk.long_call()?;
    let size = if q.sample == 0 { PAGE_SAMPLE } else { q.sample };
    let asked = request(pb::RunChecklistRequest { sample: size, ..q });
    // Pages are Studio's alone.
    let asked = ChecklistRequest { bounds: Some(PAGE_BOUNDS), host_runtime: Some("studio"), ..asked };
    let checklist = admin.run_checklist(&asked, |_| true)?;
    let report = &checklist.report;
    let among = if report.population_complete { "all" } else { "the first" };
    let says = format!(
        "a sample: {} credentials were judged, chosen by chance among {among} {} in force; `latchkey checklist` judges every \
         one",
        report.checked, report.population
    );
    Ok(ChecklistView { says, file: checklist.file, report: checklist.report })
}
