//! What was counted, as a report that is signed.

use crate::admin::authority::{Permit, Scope};
use crate::admin::checklist::judge::Tally;
use crate::admin::checklist::{Checklist, ChecklistRequest};
use crate::admin::{Admin, AdminResult};
use crate::audit::report::{REPORT_VERSION, Report, Signature, Status, file, message};
use crate::clock::rfc3339;
use crate::domain::{LlmGrants, Tenant, hex};

/// Said of a report that nobody signed.
const NO_KEY: &str = "no key that signs the audit trail is here";
const KEY_UNREADABLE: &str = "the key that signs the audit trail cannot be read; the log of the process says why";

/// As the setting of this machine has it.
const fn llm_grants(local: LlmGrants) -> &'static str {
    match local {
        LlmGrants::Required => "required",
        LlmGrants::Unchecked => "tenant",
    }
}

impl Admin {
    pub(super) fn report(
        &self,
        permit: &Permit<'_>,
        request: &ChecklistRequest,
        only: Option<&Tenant>,
        started_ms: i64,
        tally: Tally,
    ) -> AdminResult<Checklist> {
        let tenants = match (&permit.caller().scope, only) {
            (_, Some(tenant)) => Some(vec![tenant.slug.clone()]),
            (Scope::All, None) => None,
            (Scope::Tenants(ids), None) => {
                let mut slugs = ids.iter().map(|id| self.slug_of(*id)).collect::<AdminResult<Vec<_>>>()?;
                slugs.sort_unstable();
                Some(slugs)
            }
        };
        let (beginning, _) = permit.store().audit().beginning()?;
        let (trail_last_event, head) = permit.store().audit().head()?.unwrap_or_default();
        let status = Status::of_all(tally.statuses());
        let mut report = Report {
            report_version: REPORT_VERSION,
            product: "latchkey".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            schema_version: self.backend.schema_version,
            trail_beginning: hex::encode(&beginning),
            trail_last_event,
            trail_head: hex::encode(&head),
            started_at: rfc3339(started_ms),
            finished_at: rfc3339(self.now_ms()),
            run_by: permit.caller().actor.to_text(),
            tenants,
            directory: self.backend.directory.source().to_owned(),
            host_runtime: request.host_runtime.map(str::to_owned),
            llm_grants: llm_grants(self.backend.llm_grants).to_owned(),
            population: tally.population,
            population_complete: tally.complete,
            not_usable: tally.not_usable,
            sample: request.sample,
            checked: tally.checked,
            ended_meanwhile: tally.ended,
            status,
            claims: tally.into_claims(),
            unsigned_because: None,
            signature: None,
        };
        let body = report.body();
        let (body, signature) = match self.sign_report(&body) {
            Ok(signature) => (body, Some(signature)),
            Err(because) => {
                report.unsigned_because = Some(because.to_owned());
                (report.body(), None)
            }
        };
        let file = file(&body, signature.as_ref());
        Ok(Checklist { report: Report { signature, ..report }, file })
    }

    fn sign_report(&self, body: &str) -> Result<Signature, &'static str> {
        let keys = self.backend.trail_keys.as_deref().ok_or(NO_KEY)?;
        let signed = keys.sign_text(&message(body)).map_err(|error| {
            tracing::warn!(%error, "the report of a checklist is not signed");
            KEY_UNREADABLE
        });
        signed.map(|(key, value)| Signature::new(&key, &value))
    }
}
