//! Tenants.

use rusqlite::{OptionalExtension as _, Row, params};

use crate::domain::{AuditEvent, Generation, LlmGrants, Subject, Tenant, TenantId, TenantStatus};
use crate::store::sqlite::rows::{convert_text, json, to_json};
use crate::store::sqlite::{SqliteStore, store_error};
use crate::store::{Page, Record, StoreError, StoreResult, Tenants};

pub(super) const COLUMNS: &str =
    "id, slug, name, status, key_prefix, llm_grants, namespaces, generation, created_at_ms";

/// From [`COLUMNS`], the first at `first`.
pub(super) fn from_row(row: &Row<'_>, first: usize) -> rusqlite::Result<Tenant> {
    Ok(Tenant {
        id: TenantId::from_bytes(row.get(first)?),
        slug: row.get(first + 1)?,
        name: row.get(first + 2)?,
        status: convert_text(row, first + 3, "tenant status", TenantStatus::parse)?,
        key_prefix: row.get(first + 4)?,
        llm_grants: convert_text(row, first + 5, "LLM rule", LlmGrants::parse)?,
        namespaces: json(row, first + 6, "namespace list")?,
        generation: Generation(row.get(first + 7)?),
        created_at_ms: row.get(first + 8)?,
    })
}

impl Tenants for SqliteStore {
    fn create(&self, tenant: &Tenant, record: Record) -> StoreResult<()> {
        let t = tenant.clone();
        self.writer.commit("create a tenant", record, vec![Subject::Tenant(tenant.id)], move |transaction| {
            let sql = format!("INSERT INTO tenants ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
            let values = params![
                t.id.as_bytes(),
                t.slug,
                t.name,
                t.status.as_str(),
                t.key_prefix,
                t.llm_grants.as_str(),
                to_json(&t.namespaces),
                t.generation.0,
                t.created_at_ms
            ];
            transaction.execute(&sql, values).map(drop).map_err(store_error("create a tenant", "tenant"))
        })
    }

    fn by_slug(&self, slug: &str) -> StoreResult<Option<Tenant>> {
        self.read("read a tenant", |connection| {
            let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM tenants WHERE slug = ?1"))?;
            statement.query_row([slug], |row| from_row(row, 0)).optional()
        })
    }

    fn by_id(&self, id: TenantId) -> StoreResult<Option<Tenant>> {
        self.read("read a tenant", |connection| {
            let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM tenants WHERE id = ?1"))?;
            statement.query_row([id.as_bytes()], |row| from_row(row, 0)).optional()
        })
    }

    fn list(&self, page: &Page<String>) -> StoreResult<Vec<Tenant>> {
        self.read("list tenants", |connection| {
            let sql = format!("SELECT {COLUMNS} FROM tenants WHERE slug > ?1 ORDER BY slug LIMIT ?2");
            let mut statement = connection.prepare_cached(&sql)?;
            let after = page.after.as_deref().unwrap_or("");
            statement.query_map(params![after, page.limit], |row| from_row(row, 0))?.collect()
        })
    }

    fn update(&self, tenant: &Tenant, expected: Generation, event: AuditEvent) -> StoreResult<()> {
        let t = tenant.clone();
        self.writer.commit("change a tenant", event, vec![Subject::Tenant(tenant.id)], move |transaction| {
            let values = params![
                t.id.as_bytes(),
                t.name,
                t.status.as_str(),
                t.key_prefix,
                t.llm_grants.as_str(),
                to_json(&t.namespaces),
                t.generation.0,
                expected.0
            ];
            let changed = transaction
                .execute(
                    "UPDATE tenants SET name = ?2, status = ?3, key_prefix = ?4, llm_grants = ?5, namespaces = ?6, \
                     generation = ?7 WHERE id = ?1 AND generation = ?8",
                    values,
                )
                .map_err(store_error("change a tenant", "tenant"))?;
            if changed == 1 { Ok(()) } else { Err(StoreError::Conflict { what: "tenant" }) }
        })
    }
}
