//! Keys for another store of ours: hashes, no secrets.

use crate::admin::authority::Act;
use crate::admin::pages::KeyPlace;
use crate::admin::{Admin, AdminResult};
use crate::domain::{Action, Credential, Status, Subject};
use crate::store::Page;

/// Rows taken from the store at once.
const CHUNK: u32 = 500;

impl Admin {
    /// Every key of a tenant that is in force, oldest first, until `each` wants no more. Those of other systems cannot go
    /// along: what they are found by is worth nothing under another pepper. Returns how many of them there are.
    ///
    /// # Errors
    /// When there is no such tenant, or the caller may not.
    pub fn export_keys(&self, tenant: &str, mut each: impl FnMut(Credential) -> bool) -> AdminResult<u64> {
        let permit = self.permit(Act::Govern)?;
        let (tenant, now_ms) = (permit.tenant(tenant)?, self.now_ms());
        // Before the first row leaves.
        let event = self.event(Action::CredentialsExported, Subject::Tenant(tenant.id), Some(tenant.id), Vec::new());
        permit.store().audit().note(event)?;
        let (mut after, mut left_out) = (None::<KeyPlace>, 0);
        loop {
            let rows = permit.store().credentials().list(tenant.id, &Page { after, limit: CHUNK })?;
            let Some(last) = rows.last() else { return Ok(left_out) };
            after = Some((last.created_at_ms, last.id));
            self.still_in_force()?;
            for row in rows {
                if row.status != Status::Active || row.end_ms().is_some_and(|end| end <= now_ms) || row.decoy {
                    continue;
                }
                if row.verifier.prehash.is_some() {
                    left_out += 1;
                } else if !each(row) {
                    return Ok(left_out);
                }
            }
        }
    }
}
