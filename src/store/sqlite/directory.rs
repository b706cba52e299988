//! Apps with their LLM grants, and Users: the store's own copy of the host's directory.
//!
//! Every statement on them binds realm and tenant; the unique key is (realm, host id) alone (rule R3).

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use crate::domain::{App, AppId, AuditEvent, Generation, HostState, LlmGrant, LlmId, Subject, TenantId, User, UserId};
use crate::store::sqlite::rows::{app_id, convert, json, to_json, user_id};
use crate::store::sqlite::{SqliteStore, reader, store_error};
use crate::store::{Apps, Page, Record, StoreError, StoreResult, Users};

pub(super) const APP: &str = "tenant_id, app_id, name, description, owner_email, active, monthly_budget, rate_limit, metadata, \
                   generation, owner_user_id, host_active, host_gone_at_ms, tools, datasources";
pub(super) const USER: &str =
    "tenant_id, user_id, email, name, active, metadata, generation, host_active, host_gone_at_ms";

/// From [`APP`], the first at `first`; without its grants.
pub(super) fn app_from_row(row: &Row<'_>, first: usize) -> rusqlite::Result<App> {
    Ok(App {
        tenant: TenantId::from_bytes(row.get(first)?),
        id: app_id(row, first + 1)?,
        name: row.get(first + 2)?,
        description: row.get(first + 3)?,
        owner_email: row.get(first + 4)?,
        active: row.get(first + 5)?,
        monthly_budget: row.get(first + 6)?,
        rate_limit: row.get(first + 7)?,
        metadata: json(row, first + 8, "metadata")?,
        generation: Generation(row.get(first + 9)?),
        owner: row.get::<_, Option<u32>>(first + 10)?.map(|_| user_id(row, first + 10)).transpose()?,
        host: HostState { active: row.get(first + 11)?, gone_at_ms: row.get(first + 12)? },
        tools: json(row, first + 13, "tools")?,
        datasources: json(row, first + 14, "datasources")?,
        llms: Vec::new(),
    })
}

/// From [`USER`], the first at `first`.
pub(super) fn user_from_row(row: &Row<'_>, first: usize) -> rusqlite::Result<User> {
    Ok(User {
        tenant: TenantId::from_bytes(row.get(first)?),
        id: user_id(row, first + 1)?,
        email: row.get(first + 2)?,
        name: row.get(first + 3)?,
        active: row.get(first + 4)?,
        metadata: json(row, first + 5, "metadata")?,
        generation: Generation(row.get(first + 6)?),
        host: HostState { active: row.get(first + 7)?, gone_at_ms: row.get(first + 8)? },
    })
}

/// One App with its grants. Two statements: to be called inside a snapshot.
pub(super) fn app(connection: &Connection, realm: &str, tenant: TenantId, id: AppId) -> rusqlite::Result<Option<App>> {
    let sql = format!("SELECT {APP} FROM apps WHERE realm = ?1 AND app_id = ?2 AND tenant_id = ?3");
    let mut statement = connection.prepare_cached(&sql)?;
    let found =
        statement.query_row(params![realm, id.get(), tenant.as_bytes()], |row| app_from_row(row, 0)).optional()?;
    found.map(|app| with_llms(connection, realm, app)).transpose()
}

pub(super) fn with_llms(connection: &Connection, realm: &str, mut app: App) -> rusqlite::Result<App> {
    let mut statement = connection
        .prepare_cached("SELECT llm_id, llm_slug FROM app_llms WHERE realm = ?1 AND app_id = ?2 ORDER BY llm_id")?;
    let grants = statement.query_map(params![realm, app.id.get()], |row| {
        Ok(LlmGrant { id: convert(row, 0, "LLM id", |id: u32| LlmId::new(id))?, slug: row.get(1)? })
    })?;
    app.llms = grants.collect::<rusqlite::Result<_>>()?;
    Ok(app)
}

/// One User.
pub(super) fn user(
    connection: &Connection,
    realm: &str,
    tenant: TenantId,
    id: UserId,
) -> rusqlite::Result<Option<User>> {
    let sql = format!("SELECT {USER} FROM users WHERE realm = ?1 AND user_id = ?2 AND tenant_id = ?3");
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_row(params![realm, id.get(), tenant.as_bytes()], |row| user_from_row(row, 0)).optional()
}

fn write_llms(transaction: &Transaction<'_>, realm: &str, app: &App) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM app_llms WHERE realm = ?1 AND app_id = ?2", params![realm, app.id.get()])?;
    let mut insert =
        transaction.prepare_cached("INSERT INTO app_llms (realm, app_id, llm_id, llm_slug) VALUES (?1, ?2, ?3, ?4)")?;
    for llm in &app.llms {
        insert.execute(params![realm, app.id.get(), llm.id.get(), llm.slug])?;
    }
    Ok(())
}

/// Adds a row with its grants.
pub(super) fn insert_app(transaction: &Transaction<'_>, realm: &str, a: &App) -> StoreResult<()> {
    let failed = || store_error("add an App", "App");
    let places = "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16";
    let mut statement =
        transaction.prepare_cached(&format!("INSERT INTO apps (realm, {APP}) VALUES ({places})")).map_err(failed())?;
    let values = params![
        realm,
        a.tenant.as_bytes(),
        a.id.get(),
        a.name,
        a.description,
        a.owner_email,
        a.active,
        a.monthly_budget,
        a.rate_limit,
        to_json(&a.metadata),
        a.generation.0,
        a.owner.map(UserId::get),
        a.host.active,
        a.host.gone_at_ms,
        to_json(&a.tools),
        to_json(&a.datasources)
    ];
    statement.execute(values).map_err(failed())?;
    let sql = "DELETE FROM released_apps WHERE realm = ?1 AND app_id = ?2";
    transaction
        .prepare_cached(sql)
        .and_then(|mut delete| delete.execute(params![realm, a.id.get()]))
        .map_err(failed())?;
    write_llms(transaction, realm, a).map_err(failed())
}

/// Replaces a row and its grants where its generation is `expected`.
pub(super) fn update_app(transaction: &Transaction<'_>, realm: &str, a: &App, expected: Generation) -> StoreResult<()> {
    let failed = || store_error("change an App", "App");
    let mut statement = transaction
        .prepare_cached(
            "UPDATE apps SET name = ?4, description = ?5, owner_email = ?6, active = ?7, monthly_budget = ?8, \
             rate_limit = ?9, metadata = ?10, generation = ?11, owner_user_id = ?13, host_active = ?14, \
             host_gone_at_ms = ?15, tools = ?16, datasources = ?17 \
             WHERE realm = ?1 AND app_id = ?2 AND tenant_id = ?3 AND generation = ?12",
        )
        .map_err(failed())?;
    let values = params![
        realm,
        a.id.get(),
        a.tenant.as_bytes(),
        a.name,
        a.description,
        a.owner_email,
        a.active,
        a.monthly_budget,
        a.rate_limit,
        to_json(&a.metadata),
        a.generation.0,
        expected.0,
        a.owner.map(UserId::get),
        a.host.active,
        a.host.gone_at_ms,
        to_json(&a.tools),
        to_json(&a.datasources)
    ];
    if statement.execute(values).map_err(failed())? != 1 {
        return Err(StoreError::Conflict { what: "App" });
    }
    write_llms(transaction, realm, a).map_err(failed())
}

/// Replaces a row where its generation is `expected`.
pub(super) fn update_user(
    transaction: &Transaction<'_>,
    realm: &str,
    u: &User,
    expected: Generation,
) -> StoreResult<()> {
    let values = params![
        realm,
        u.id.get(),
        u.tenant.as_bytes(),
        u.email,
        u.name,
        u.active,
        to_json(&u.metadata),
        u.generation.0,
        expected.0,
        u.host.active,
        u.host.gone_at_ms
    ];
    let changed = transaction
        .execute(
            "UPDATE users SET email = ?4, name = ?5, active = ?6, metadata = ?7, generation = ?8, host_active = ?10, \
             host_gone_at_ms = ?11 WHERE realm = ?1 AND user_id = ?2 AND tenant_id = ?3 AND generation = ?9",
            values,
        )
        .map_err(store_error("change a User", "User"))?;
    if changed == 1 { Ok(()) } else { Err(StoreError::Conflict { what: "User" }) }
}

/// Removes a row, and by the schema its grants.
pub(super) fn remove_app(
    transaction: &Transaction<'_>,
    realm: &str,
    tenant: TenantId,
    id: AppId,
    expected: Option<Generation>,
) -> StoreResult<()> {
    let failed = || store_error("remove an App", "App");
    let sql = "DELETE FROM apps WHERE realm = ?1 AND app_id = ?2 AND tenant_id = ?3 AND generation = coalesce(?4, generation)";
    let values = params![realm, id.get(), tenant.as_bytes(), expected.map(|generation| generation.0)];
    if transaction.execute(sql, values).map_err(failed())? != 1 {
        return Err(StoreError::Missing { what: "App" });
    }
    // So that no rule gives it away again, with the credentials that are still there.
    let sql = "INSERT OR REPLACE INTO released_apps (realm, app_id) VALUES (?1, ?2)";
    transaction.execute(sql, params![realm, id.get()]).map(drop).map_err(failed())
}

/// Removes a row.
pub(super) fn remove_user(
    transaction: &Transaction<'_>,
    realm: &str,
    tenant: TenantId,
    id: UserId,
    expected: Option<Generation>,
) -> StoreResult<()> {
    let sql = "DELETE FROM users WHERE realm = ?1 AND user_id = ?2 AND tenant_id = ?3 AND generation = coalesce(?4, generation)";
    let values = params![realm, id.get(), tenant.as_bytes(), expected.map(|generation| generation.0)];
    let removed = transaction.execute(sql, values).map_err(store_error("remove a User", "User"))?;
    if removed == 1 { Ok(()) } else { Err(StoreError::Missing { what: "User" }) }
}

impl Apps for SqliteStore {
    fn add(&self, app: &App, record: Record) -> StoreResult<()> {
        let (a, realm) = (app.clone(), self.shared.realm.clone());
        let subjects = vec![Subject::App(app.id)];
        self.writer.commit("add an App", record, subjects, move |transaction| insert_app(transaction, &realm, &a))
    }

    fn by_id(&self, tenant: TenantId, id: AppId) -> StoreResult<Option<App>> {
        self.read("read an App", |connection| {
            reader::in_snapshot(connection, |connection| app(connection, &self.shared.realm, tenant, id))
        })
    }

    fn list(&self, tenant: TenantId, page: &Page<AppId>) -> StoreResult<Vec<App>> {
        let realm = &self.shared.realm;
        self.read("list Apps", |connection| {
            reader::in_snapshot(connection, |connection| {
                let sql = format!(
                    "SELECT {APP} FROM apps WHERE realm = ?1 AND tenant_id = ?2 AND app_id > ?3 ORDER BY app_id LIMIT ?4"
                );
                let mut statement = connection.prepare_cached(&sql)?;
                let after = page.after.map_or(0, AppId::get);
                let values = params![realm, tenant.as_bytes(), after, page.limit];
                let rows = statement.query_map(values, |row| app_from_row(row, 0))?;
                rows.map(|app| app.and_then(|app| with_llms(connection, realm, app))).collect()
            })
        })
    }

    fn update(&self, app: &App, expected: Generation, event: AuditEvent) -> StoreResult<()> {
        let (a, realm) = (app.clone(), self.shared.realm.clone());
        self.writer.commit("change an App", event, vec![Subject::App(app.id)], move |transaction| {
            update_app(transaction, &realm, &a, expected)
        })
    }

    fn remove(&self, tenant: TenantId, id: AppId, event: AuditEvent) -> StoreResult<()> {
        let realm = self.shared.realm.clone();
        self.writer.commit("remove an App", event, vec![Subject::App(id)], move |transaction| {
            remove_app(transaction, &realm, tenant, id, None)
        })
    }
}

impl Users for SqliteStore {
    fn add(&self, user: &User, record: Record) -> StoreResult<()> {
        let (u, realm) = (user.clone(), self.shared.realm.clone());
        self.writer.commit("add a User", record, vec![Subject::User(user.id)], move |transaction| {
            let sql = format!("INSERT INTO users (realm, {USER}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
            let values = params![
                realm,
                u.tenant.as_bytes(),
                u.id.get(),
                u.email,
                u.name,
                u.active,
                to_json(&u.metadata),
                u.generation.0,
                u.host.active,
                u.host.gone_at_ms
            ];
            transaction.execute(&sql, values).map(drop).map_err(store_error("add a User", "User"))
        })
    }

    fn by_id(&self, tenant: TenantId, id: UserId) -> StoreResult<Option<User>> {
        self.read("read a User", |connection| user(connection, &self.shared.realm, tenant, id))
    }

    fn owner_of(&self, id: UserId) -> StoreResult<Option<TenantId>> {
        self.read("read whose a User is", |connection| {
            let mut statement =
                connection.prepare_cached("SELECT tenant_id FROM users WHERE realm = ?1 AND user_id = ?2")?;
            let found = statement.query_row(params![self.shared.realm, id.get()], |row| row.get(0)).optional()?;
            Ok(found.map(TenantId::from_bytes))
        })
    }

    fn list(&self, tenant: TenantId, page: &Page<UserId>) -> StoreResult<Vec<User>> {
        self.read("list Users", |connection| {
            let sql = format!(
                "SELECT {USER} FROM users WHERE realm = ?1 AND tenant_id = ?2 AND user_id > ?3 ORDER BY user_id LIMIT ?4"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let after = page.after.map_or(0, UserId::get);
            let values = params![self.shared.realm, tenant.as_bytes(), after, page.limit];
            statement.query_map(values, |row| user_from_row(row, 0))?.collect()
        })
    }

    fn update(&self, user: &User, expected: Generation, event: AuditEvent) -> StoreResult<()> {
        let (u, realm) = (user.clone(), self.shared.realm.clone());
        self.writer.commit("change a User", event, vec![Subject::User(user.id)], move |transaction| {
            update_user(transaction, &realm, &u, expected)
        })
    }

    fn remove(&self, tenant: TenantId, id: UserId, event: AuditEvent) -> StoreResult<()> {
        let realm = self.shared.realm.clone();
        self.writer.commit("remove a User", event, vec![Subject::User(id)], move |transaction| {
            remove_user(transaction, &realm, tenant, id, None)
        })
    }
}
