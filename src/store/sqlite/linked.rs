//! What a credential is linked to, for the answer path: tenant, App with its grants, and User, in one statement, which is
//! one snapshot and one read lock.

use rusqlite::{Connection, Row, params};

use crate::domain::{AppId, LlmGrant, Position, TenantId, UserId};
use crate::store::sqlite::rows::convert_text;
use crate::store::sqlite::{directory, tenants};
use crate::store::{At, LinkedRows};

const TENANT: usize = 1;
const APP: usize = 10;
const LLMS: usize = 25;
const USER: usize = 26;

/// Grants come as lines `ID` or `ID=SLUG`: no slug holds a line end (`admin::limits`), and what does not parse is corrupt.
const LINKED: &str = "SELECT (SELECT seq FROM sqlite_sequence WHERE name = 'changes'), \
     t.id, t.slug, t.name, t.status, t.key_prefix, t.llm_grants, t.namespaces, t.generation, t.created_at_ms, \
     a.tenant_id, a.app_id, a.name, a.description, a.owner_email, a.active, a.monthly_budget, a.rate_limit, \
     a.metadata, a.generation, a.owner_user_id, a.host_active, a.host_gone_at_ms, a.tools, a.datasources, \
     (SELECT group_concat(l.llm_id || coalesce('=' || l.llm_slug, ''), char(10)) \
     FROM app_llms AS l WHERE l.realm = ?4 AND l.app_id = a.app_id), \
     u.tenant_id, u.user_id, u.email, u.name, u.active, u.metadata, u.generation, u.host_active, u.host_gone_at_ms \
     FROM (SELECT 1) LEFT JOIN tenants AS t ON t.id = ?1 \
     LEFT JOIN apps AS a ON a.realm = ?4 AND a.app_id = ?2 AND a.tenant_id = ?1 \
     LEFT JOIN users AS u ON u.realm = ?4 AND u.user_id = ?3 AND u.tenant_id = ?1";

pub(super) fn read(
    connection: &Connection,
    realm: &str,
    tenant: TenantId,
    app: AppId,
    user: UserId,
) -> rusqlite::Result<At<LinkedRows>> {
    let mut statement = connection.prepare_cached(LINKED)?;
    statement.query_row(params![tenant.as_bytes(), app.get(), user.get(), realm], |row| {
        let position = row.get::<_, Option<i64>>(0)?.unwrap_or(0);
        let mut app = present(row, APP, directory::app_from_row)?;
        if let Some(app) = &mut app {
            app.llms = grants(row)?;
        }
        let tenant = present(row, TENANT, tenants::from_row)?;
        let row = LinkedRows { tenant, app, user: present(row, USER, directory::user_from_row)? };
        Ok(At { position: Position(u64::try_from(position).unwrap_or(0)), row })
    })
}

/// A part of the row, where the join found it: its first column is never null.
fn present<'r, 's, T>(
    row: &'r Row<'s>,
    first: usize,
    read: impl FnOnce(&'r Row<'s>, usize) -> rusqlite::Result<T>,
) -> rusqlite::Result<Option<T>> {
    match row.get_ref(first)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => read(row, first).map(Some),
    }
}

fn grants(row: &Row<'_>) -> rusqlite::Result<Vec<LlmGrant>> {
    if matches!(row.get_ref(LLMS)?, rusqlite::types::ValueRef::Null) {
        return Ok(Vec::new());
    }
    let mut grants: Vec<LlmGrant> = convert_text(row, LLMS, "LLM grants", |text| {
        text.split('\n')
            .map(|line| {
                let (id, slug) = line.split_once('=').map_or((line, None), |(id, slug)| (id, Some(slug)));
                Some(LlmGrant { id: id.parse().ok()?, slug: slug.map(str::to_owned) })
            })
            .collect::<Option<_>>()
    })?;
    // Sorted here: SQLite would make a temporary table for it, which costs more than all the rest.
    grants.sort_unstable_by_key(|grant| grant.id);
    Ok(grants)
}
