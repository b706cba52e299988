//! Creates that were asked for with a request id: written in the transaction of the create, kept for a week.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use crate::domain::{AuditEvent, TenantId};
use crate::store::sqlite::{SqliteStore, store_error};
use crate::store::{Once, RequestKey, Requests, StoreResult};

/// How long a repeated request is recognised, in milliseconds.
const KEPT_MS: i64 = 7 * 24 * 3_600_000;
/// Stands for no tenant.
const NO_TENANT: [u8; 16] = [0; 16];

fn tenant_bytes(tenant: Option<TenantId>) -> [u8; 16] {
    tenant.map_or(NO_TENANT, |tenant| *tenant.as_bytes())
}

/// Takes the request id. One that is taken is `Exists` of a request.
pub(super) fn take(transaction: &Transaction<'_>, event: &AuditEvent, once: &Once) -> StoreResult<()> {
    let values = params![
        event.actor.to_text(),
        tenant_bytes(once.tenant),
        once.method,
        event.request_id,
        once.hash,
        once.resource,
        event.at_ms
    ];
    transaction
        .prepare_cached(
            "INSERT INTO requests (actor, tenant_id, method, request_id, request_hash, resource, at_ms) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )
        .and_then(|mut insert| insert.execute(values))
        .map(drop)
        .map_err(store_error("note a request", "request"))
}

/// Forgets requests that are too old to be repeated.
pub(super) fn sweep(connection: &Connection, now_ms: i64) -> rusqlite::Result<()> {
    let mut delete = connection.prepare_cached("DELETE FROM requests WHERE at_ms < ?1")?;
    delete.execute([now_ms.saturating_sub(KEPT_MS)]).map(drop)
}

impl Requests for SqliteStore {
    fn find(&self, key: &RequestKey<'_>) -> StoreResult<Option<([u8; 32], String)>> {
        self.read("look a request up", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT request_hash, resource FROM requests \
                 WHERE actor = ?1 AND tenant_id = ?2 AND method = ?3 AND request_id = ?4",
            )?;
            let values = params![key.actor, tenant_bytes(key.tenant), key.method, key.request_id];
            statement.query_row(values, |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })
    }
}
