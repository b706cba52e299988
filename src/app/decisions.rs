//! The decision log of a data directory, for those who administer it.

use std::path::PathBuf;

use crate::admin::{DecisionFilter, DecisionRow, Decisions};
use crate::domain::{AppId, UserId};
use crate::store::sqlite::decisions;
use crate::store::{StoreError, StoreResult};

/// Reads the log beside whoever writes it.
pub struct FileDecisions(pub PathBuf);

impl Decisions for FileDecisions {
    fn list(&self, filter: &DecisionFilter, after: u64, limit: u32) -> StoreResult<Vec<DecisionRow>> {
        let DecisionFilter { reason, credential, since_ms, until_ms } = filter.clone();
        let wanted = decisions::DecisionFilter { reason, credential, since_ms, until_ms, tenant: None };
        let failed = |source: crate::store::sqlite::OpenError| StoreError::Failed {
            operation: "read the decision log",
            source: source.into(),
        };
        let rows = decisions::list(&self.0, after, limit, &wanted).map_err(failed)?;
        let row = |row: decisions::Row| DecisionRow {
            sequence: row.sequence,
            at_ms: row.at_ms,
            kind: row.kind.as_str().to_owned(),
            reason: row.reason,
            stage: row.stage,
            credential: row.credential,
            tenant: row.tenant,
            app: row.app.map(AppId::get),
            user: row.user.map(UserId::get),
            // As a gateway sent it: what could steer a terminal is left out.
            request_id: row.request_id.chars().filter(|c| !c.is_control()).collect(),
            source: row.source,
            calls: row.calls,
        };
        Ok(rows.into_iter().map(row).collect())
    }
}
