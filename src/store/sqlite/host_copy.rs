//! The copy of a host's own directory: rows of Apps and Users across tenants, and Apps that no tenant has.

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use crate::domain::{App, AppId, AuditEvent, HostSync, LlmId, UnclaimedApp, User, UserId};
use crate::store::sqlite::directory::{self, APP, USER, app_from_row, user_from_row, with_llms};
use crate::store::sqlite::rows::{app_id, user_id};
use crate::store::sqlite::{SqliteStore, reader, store_error};
use crate::store::{HostChange, HostCopy, Page, StoreError, StoreResult};

const UNCLAIMED: &str = "app_id, name, namespace, owner_user_id, active";
const OPERATION: &str = "bring the directory in step";

fn unclaimed_from_row(row: &Row<'_>) -> rusqlite::Result<UnclaimedApp> {
    Ok(UnclaimedApp {
        id: app_id(row, 0)?,
        name: row.get(1)?,
        namespace: row.get(2)?,
        owner: row.get::<_, Option<u32>>(3)?.map(|_| user_id(row, 3)).transpose()?,
        active: row.get(4)?,
    })
}

/// Ids as a JSON array, which SQLite reads as a table: one statement however many there are.
fn ids_text(ids: &[AppId]) -> String {
    let numbers: Vec<String> = ids.iter().map(|id| id.get().to_string()).collect();
    format!("[{}]", numbers.join(","))
}

fn apps(
    connection: &Connection,
    realm: &str,
    rest: &str,
    values: &[&dyn rusqlite::ToSql],
) -> rusqlite::Result<Vec<App>> {
    reader::in_snapshot(connection, |connection| {
        let mut statement = connection.prepare_cached(&format!("SELECT {APP} FROM apps WHERE realm = ?1 {rest}"))?;
        let rows = statement.query_map(values, |row| app_from_row(row, 0))?;
        rows.map(|app| app.and_then(|app| with_llms(connection, realm, app))).collect()
    })
}

impl SqliteStore {
    fn write(transaction: &Transaction<'_>, realm: &str, change: &HostChange) -> StoreResult<()> {
        let failed = || store_error(OPERATION, "App");
        match change {
            HostChange::App { app, expected } => directory::update_app(transaction, realm, app, *expected),
            HostChange::Claim(app) => directory::insert_app(transaction, realm, app),
            HostChange::RemoveApp { tenant, id, expected } => {
                directory::remove_app(transaction, realm, *tenant, *id, Some(*expected))
            }
            HostChange::User { user, expected } => directory::update_user(transaction, realm, user, *expected),
            HostChange::RemoveUser { tenant, id, expected } => {
                directory::remove_user(transaction, realm, *tenant, *id, Some(*expected))
            }
            HostChange::Unclaimed(app) => {
                let sql = format!(
                    "INSERT OR REPLACE INTO unclaimed_apps (realm, {UNCLAIMED}) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
                );
                let owner = app.owner.map(UserId::get);
                let values = params![realm, app.id.get(), app.name, app.namespace, owner, app.active];
                transaction.prepare_cached(&sql).and_then(|mut put| put.execute(values)).map(drop).map_err(failed())
            }
            HostChange::Forget(id) => transaction
                .prepare_cached("DELETE FROM unclaimed_apps WHERE realm = ?1 AND app_id = ?2")
                .and_then(|mut delete| delete.execute(params![realm, id.get()]))
                .map(drop)
                .map_err(failed()),
        }
    }
}

impl HostCopy for SqliteStore {
    fn claimed(&self, ids: &[AppId]) -> StoreResult<Vec<App>> {
        let (realm, ids) = (&self.shared.realm, ids_text(ids));
        self.read("read Apps", |connection| {
            let rest = "AND app_id IN (SELECT value FROM json_each(?2)) ORDER BY app_id";
            apps(connection, realm, rest, &[realm, &ids])
        })
    }

    fn list_claimed(&self, page: &Page<AppId>) -> StoreResult<Vec<App>> {
        let (realm, after) = (&self.shared.realm, page.after.map_or(0, AppId::get));
        self.read("list Apps", |connection| {
            apps(connection, realm, "AND app_id > ?2 ORDER BY app_id LIMIT ?3", &[realm, &after, &page.limit])
        })
    }

    fn with_llm(&self, llm: LlmId, page: &Page<AppId>) -> StoreResult<Vec<App>> {
        let (realm, after) = (&self.shared.realm, page.after.map_or(0, AppId::get));
        self.read("list Apps of an LLM", |connection| {
            let rest = "AND app_id IN (SELECT app_id FROM app_llms WHERE realm = ?1 AND llm_id = ?2) AND app_id > ?3 \
                        ORDER BY app_id LIMIT ?4";
            apps(connection, realm, rest, &[realm, &llm.get(), &after, &page.limit])
        })
    }

    fn user(&self, id: UserId) -> StoreResult<Option<User>> {
        self.read("read a User", |connection| {
            let sql = format!("SELECT {USER} FROM users WHERE realm = ?1 AND user_id = ?2");
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_row(params![self.shared.realm, id.get()], |row| user_from_row(row, 0)).optional()
        })
    }

    fn gone_before(&self, at_ms: i64, limit: u32) -> StoreResult<(Vec<App>, Vec<User>)> {
        let realm = &self.shared.realm;
        self.read("list what the host gave up", |connection| {
            let gone =
                apps(connection, realm, "AND host_gone_at_ms < ?2 ORDER BY app_id LIMIT ?3", &[realm, &at_ms, &limit])?;
            let sql =
                format!("SELECT {USER} FROM users WHERE realm = ?1 AND host_gone_at_ms < ?2 ORDER BY user_id LIMIT ?3");
            let mut statement = connection.prepare_cached(&sql)?;
            let users = statement.query_map(params![realm, at_ms, limit], |row| user_from_row(row, 0))?;
            Ok((gone, users.collect::<rusqlite::Result<_>>()?))
        })
    }

    fn unclaimed(&self, ids: &[AppId]) -> StoreResult<Vec<UnclaimedApp>> {
        let ids = ids_text(ids);
        self.read("read unclaimed Apps", |connection| {
            let sql = format!(
                "SELECT {UNCLAIMED} FROM unclaimed_apps WHERE realm = ?1 AND app_id IN (SELECT value FROM json_each(?2)) \
                 ORDER BY app_id"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_map(params![self.shared.realm, ids], unclaimed_from_row)?.collect()
        })
    }

    fn released(&self, ids: &[AppId]) -> StoreResult<Vec<AppId>> {
        let ids = ids_text(ids);
        self.read("read Apps that were let go", |connection| {
            let sql =
                "SELECT app_id FROM released_apps WHERE realm = ?1 AND app_id IN (SELECT value FROM json_each(?2))";
            let mut statement = connection.prepare_cached(sql)?;
            statement.query_map(params![self.shared.realm, ids], |row| app_id(row, 0))?.collect()
        })
    }

    fn list_unclaimed(&self, page: &Page<AppId>) -> StoreResult<Vec<UnclaimedApp>> {
        self.read("list unclaimed Apps", |connection| {
            // One that was claimed a moment ago is still here until the next time in step.
            let sql = format!(
                "SELECT {UNCLAIMED} FROM unclaimed_apps AS u WHERE realm = ?1 AND app_id > ?2 AND NOT EXISTS \
                 (SELECT 1 FROM apps AS a WHERE a.realm = ?1 AND a.app_id = u.app_id) ORDER BY app_id LIMIT ?3"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let after = page.after.map_or(0, AppId::get);
            statement.query_map(params![self.shared.realm, after, page.limit], unclaimed_from_row)?.collect()
        })
    }

    fn apply(&self, changes: Vec<HostChange>, events: Vec<AuditEvent>) -> StoreResult<()> {
        let (realm, subjects) = (self.shared.realm.clone(), changes.iter().filter_map(HostChange::subject).collect());
        self.writer.commit_for_all(OPERATION, events, subjects, move |transaction| {
            changes.iter().try_for_each(|change| Self::write(transaction, &realm, change))
        })
    }

    fn last_sync(&self) -> StoreResult<Option<HostSync>> {
        self.read("read when the directory was in step", |connection| {
            let sql = "SELECT started_at_ms, finished_at_ms, listed, changed, gone, unclaimed FROM host_syncs WHERE realm = ?1";
            let mut statement = connection.prepare_cached(sql)?;
            let read = |row: &Row<'_>| {
                Ok(HostSync {
                    started_at_ms: row.get(0)?,
                    finished_at_ms: row.get(1)?,
                    listed: row.get(2)?,
                    changed: row.get(3)?,
                    gone: row.get(4)?,
                    unclaimed: row.get(5)?,
                })
            };
            statement.query_row([&self.shared.realm], read).optional()
        })
    }

    fn synced(&self, sync: &HostSync) -> StoreResult<()> {
        let (realm, s) = (self.shared.realm.clone(), *sync);
        self.writer.commit_unrecorded("note when the directory was in step", move |transaction| {
            let sql = "INSERT OR REPLACE INTO host_syncs (realm, started_at_ms, finished_at_ms, listed, changed, gone, \
                       unclaimed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            let values = params![realm, s.started_at_ms, s.finished_at_ms, s.listed, s.changed, s.gone, s.unclaimed];
            let noted = transaction.execute(sql, values);
            noted.map(drop).map_err(|source| StoreError::Failed { operation: OPERATION, source: source.into() })
        })
    }
}
