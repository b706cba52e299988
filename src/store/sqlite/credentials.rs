//! Gateway credentials with their verifiers.

use std::sync::atomic::Ordering;

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use crate::domain::credential::{Replaced, RevocationReason};
use crate::domain::imported::{Handle, Prehash};
use crate::domain::{
    AppId, AuditEvent, Credential, CredentialId, Environment, Generation, PepperFingerprint, Position, Status, Subject,
    TenantId, UserId, Verifier,
};
use crate::store::sqlite::rows::{app_id, convert_text, json, prehash, to_json, unreadable, user_id, verifier};
use crate::store::sqlite::{Shared, SqliteStore, directory, linked, peppers, store_error, tokens};
use crate::store::{At, Credentials, LinkedRows, Page, Record, Room, StoreError, StoreResult};

macro_rules! columns {
    () => {
        "c.id, c.tenant_id, c.app_id, c.user_id, c.label, c.environment, c.scopes, c.cidrs, c.not_before_ms, \
         c.expires_at_ms, c.revoked_at_ms, c.revocation_reason, c.generation, c.row_mac, c.created_by, \
         c.created_at_ms, v.phc, v.tag, v.pepper, c.replaces, c.replaced_by, c.grace_until_ms, c.decoy, \
         c.last_used_at_ms, v.prehash"
    };
}
const COLUMNS: &str = columns!();

/// Of the answer path: the columns, the feed's position, whether the row that was read is the one that was looked for, and
/// its number. Where there is none, another row is read, so that an unknown id costs what a known one costs (rule R13).
const LOOK_UP: &str = concat!(
    "SELECT ",
    columns!(),
    ", (SELECT seq FROM sqlite_sequence WHERE name = 'changes'), c.id IS ?1 AND v.row_id IS NOT NULL, c.row_id \
     FROM (SELECT 1) \
     LEFT JOIN credentials AS c ON c.row_id = coalesce((SELECT row_id FROM credentials WHERE id = ?1), ?2) \
     LEFT JOIN verifiers AS v ON v.row_id = c.row_id"
);
const POSITION: usize = 25;
const PRESENT: usize = 26;
const ROW_ID: usize = 27;

fn from_row(row: &Row<'_>) -> rusqlite::Result<Credential> {
    let revoked_at_ms: Option<i64> = row.get(10)?;
    let status = match revoked_at_ms {
        None => Status::Active,
        Some(at_ms) => {
            let reason = convert_text(row, 11, "revocation reason", RevocationReason::parse)?;
            Status::Revoked { at_ms, reason }
        }
    };
    let replaced = match (row.get::<_, Option<[u8; 16]>>(20)?, row.get(21)?) {
        (None, None) => None,
        (Some(by), Some(grace_until_ms)) => Some(Replaced { by: CredentialId::from_bytes(by), grace_until_ms }),
        // A rotated credential without an end would live for ever.
        _ => return Err(unreadable(21, "end of grace")),
    };
    let cidrs: Vec<String> = json(row, 7, "address list")?;
    let cidrs = cidrs.iter().map(|text| text.parse().ok()).collect::<Option<Vec<_>>>();
    Ok(Credential {
        id: CredentialId::from_bytes(row.get(0)?),
        tenant: TenantId::from_bytes(row.get(1)?),
        app: app_id(row, 2)?,
        user: user_id(row, 3)?,
        label: row.get(4)?,
        environment: convert_text(row, 5, "environment", Environment::parse)?,
        scopes: json(row, 6, "scope list")?,
        // An address list that cannot be read must never read as "any address".
        cidrs: convert_text(row, 7, "address list", |_| cidrs)?,
        not_before_ms: row.get(8)?,
        expires_at_ms: row.get(9)?,
        status,
        generation: Generation(row.get(12)?),
        row_mac: row.get(13)?,
        created_by: row.get(14)?,
        created_at_ms: row.get(15)?,
        verifier: Verifier { prehash: prehash(row, 24)?, ..verifier(row, 16)? },
        replaces: row.get::<_, Option<[u8; 16]>>(19)?.map(CredentialId::from_bytes),
        replaced,
        decoy: row.get(22)?,
        last_used_at_ms: row.get(23)?,
    })
}

fn status_columns(status: &Status) -> (Option<i64>, Option<&'static str>) {
    match status {
        Status::Active => (None, None),
        Status::Revoked { at_ms, reason } => (Some(*at_ms), Some(reason.as_str())),
    }
}

fn cidr_texts(credential: &Credential) -> Vec<String> {
    credential.cidrs.iter().map(ToString::to_string).collect()
}

fn write_verifier(transaction: &Transaction<'_>, c: &Credential) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO verifiers (row_id, phc, tag, pepper, prehash) \
             VALUES ((SELECT row_id FROM credentials WHERE id = ?1), ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            c.id.as_bytes(),
            c.verifier.phc,
            c.verifier.tag.as_ref().map(|tag| tag.0),
            c.verifier.pepper.0,
            c.verifier.prehash.as_ref().map(Prehash::to_string)
        ])
        .map(drop)
}

/// By handles: the feed's position, and the credentials of those that are there, in the handles' order.
pub(super) fn by_handles(connection: &Connection, handles: &[Handle]) -> rusqlite::Result<At<Vec<Credential>>> {
    super::reader::in_snapshot(connection, |connection| {
        let mut statement = connection.prepare_cached(concat!(
            "SELECT ",
            columns!(),
            " FROM handles AS h JOIN credentials AS c ON c.row_id = h.row_id \
             JOIN verifiers AS v ON v.row_id = c.row_id WHERE h.handle = ?1"
        ))?;
        let mut found = Vec::new();
        for handle in handles {
            found.extend(statement.query_row([handle.0], from_row).optional()?);
        }
        Ok(At { position: super::feed::position(connection)?, row: found })
    })
}

/// Adds a credential with its verifier, where tenant, App and User are there, and room.
fn insert(
    transaction: &Transaction<'_>,
    realm: &str,
    c: &Credential,
    room: Option<Room>,
    operation: &'static str,
) -> StoreResult<()> {
    check_owners(transaction, realm, (c.tenant, c.app, c.user), operation)?;
    if let Some(room) = room {
        check_room(transaction, c, room).map_err(store_error(operation, "credential"))??;
    }
    insert_row(transaction, c, operation)
}

/// That its App and User may have one more in force.
fn check_room(transaction: &Transaction<'_>, c: &Credential, room: Room) -> rusqlite::Result<StoreResult<()>> {
    let mut statement = transaction.prepare_cached(
        "SELECT count(*) FROM (SELECT 1 FROM credentials WHERE tenant_id = ?1 AND user_id = ?2 AND app_id = ?3 \
         AND revoked_at_ms IS NULL AND decoy = 0 AND coalesce(expires_at_ms > ?4, 1) AND coalesce(grace_until_ms > ?4, 1) \
         LIMIT ?5)",
    )?;
    let values = params![c.tenant.as_bytes(), c.user.get(), c.app.get(), room.now_ms, room.most];
    let taken: u32 = statement.query_row(values, |row| row.get(0))?;
    Ok(if taken < room.most { Ok(()) } else { Err(StoreError::Full { what: "credentials" }) })
}

/// That the App and User of a credential or a link are there, and its tenant's.
pub(super) fn check_owners(
    transaction: &Transaction<'_>,
    realm: &str,
    (tenant, app, user): (TenantId, AppId, UserId),
    operation: &'static str,
) -> StoreResult<()> {
    let failed = || store_error(operation, "credential");
    // In the transaction, so that neither can be removed or moved in between.
    if directory::app(transaction, realm, tenant, app).map_err(failed())?.is_none() {
        return Err(StoreError::Missing { what: "App" });
    }
    if directory::user(transaction, realm, tenant, user).map_err(failed())?.is_none() {
        return Err(StoreError::Missing { what: "User" });
    }
    Ok(())
}

/// Adds a credential with its verifier.
pub(super) fn insert_row(transaction: &Transaction<'_>, c: &Credential, operation: &'static str) -> StoreResult<()> {
    let failed = || store_error(operation, "credential");
    let (revoked_at_ms, reason) = status_columns(&c.status);
    let values = params![
        c.id.as_bytes(),
        c.tenant.as_bytes(),
        c.app.get(),
        c.user.get(),
        c.label,
        c.environment.as_str(),
        to_json(&c.scopes),
        to_json(&cidr_texts(c)),
        c.not_before_ms,
        c.expires_at_ms,
        revoked_at_ms,
        reason,
        c.generation.0,
        c.row_mac,
        c.created_by,
        c.created_at_ms,
        c.replaces.map(|id| *id.as_bytes()),
        c.replaced.map(|replaced| *replaced.by.as_bytes()),
        c.replaced.map(|replaced| replaced.grace_until_ms),
        c.decoy
    ];
    transaction
        .prepare_cached(
            "INSERT INTO credentials (id, tenant_id, app_id, user_id, kind, label, environment, scopes, cidrs, \
             not_before_ms, expires_at_ms, revoked_at_ms, revocation_reason, generation, row_mac, created_by, \
             created_at_ms, replaces, replaced_by, grace_until_ms, decoy) \
             VALUES (?1, ?2, ?3, ?4, 'api_key', ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)",
        )
        .and_then(|mut insert| insert.execute(values))
        .map_err(failed())?;
    peppers::check(transaction, c.verifier.pepper)?;
    write_verifier(transaction, c).map_err(failed())
}

/// Credentials whose verifier is under a pepper, in the order of ids.
pub(super) fn under_pepper(
    connection: &Connection,
    pepper: PepperFingerprint,
    after: [u8; 16],
    limit: u32,
) -> rusqlite::Result<Vec<Credential>> {
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        columns!(),
        " FROM credentials AS c JOIN verifiers AS v ON v.row_id = c.row_id \
         WHERE c.id > ?2 AND v.pepper = ?1 ORDER BY c.id LIMIT ?3"
    ))?;
    statement.query_map(params![pepper.0, after, limit], from_row)?.collect()
}

/// Replaces what may change of a credential, where its generation is `expected`.
pub(super) fn replace(
    transaction: &Transaction<'_>,
    c: &Credential,
    expected: Generation,
    operation: &'static str,
) -> StoreResult<()> {
    let failed = || store_error(operation, "credential");
    let (revoked_at_ms, reason) = status_columns(&c.status);
    let values = params![
        c.id.as_bytes(),
        c.tenant.as_bytes(),
        c.label,
        to_json(&c.scopes),
        to_json(&cidr_texts(c)),
        c.not_before_ms,
        c.expires_at_ms,
        revoked_at_ms,
        reason,
        c.generation.0,
        c.row_mac,
        c.replaced.map(|replaced| *replaced.by.as_bytes()),
        c.replaced.map(|replaced| replaced.grace_until_ms),
        expected.0
    ];
    let changed = transaction
        .prepare_cached(
            "UPDATE credentials SET label = ?3, scopes = ?4, cidrs = ?5, not_before_ms = ?6, expires_at_ms = ?7, \
             revoked_at_ms = ?8, revocation_reason = ?9, generation = ?10, row_mac = ?11, replaced_by = ?12, \
             grace_until_ms = ?13 WHERE id = ?1 AND tenant_id = ?2 AND generation = ?14",
        )
        .and_then(|mut update| update.execute(values))
        .map_err(failed())?;
    if changed != 1 {
        return Err(StoreError::Conflict { what: "credential" });
    }
    peppers::check(transaction, c.verifier.pepper)?;
    write_verifier(transaction, c).map_err(failed())
}

/// For the answer path. One statement is one snapshot.
pub(super) fn look_up(
    connection: &Connection,
    shared: &Shared,
    id: CredentialId,
) -> rusqlite::Result<At<Option<Credential>>> {
    shared.reads.fetch_add(1, Ordering::Relaxed);
    let mut statement = connection.prepare_cached(LOOK_UP)?;
    let mut rows = statement.query(params![id.as_bytes(), shared.other_row(id)])?;
    let Some(row) = rows.next()? else { return Ok(At { position: Position(0), row: None }) };
    let position = row.get::<_, Option<i64>>(POSITION)?.unwrap_or(0);
    let present: bool = row.get(PRESENT)?;
    shared.rows.fetch_max(row.get::<_, Option<i64>>(ROW_ID)?.unwrap_or(0), Ordering::Relaxed);
    let credential = if present { Some(from_row(row)?) } else { None };
    Ok(At { position: Position(u64::try_from(position).unwrap_or(0)), row: credential })
}

impl Credentials for SqliteStore {
    fn issue(&self, credential: &Credential, record: Record) -> StoreResult<()> {
        const OPERATION: &str = "issue a credential";
        let (c, realm, room) = (credential.clone(), self.shared.realm.clone(), record.room);
        self.writer.commit(OPERATION, record, vec![Subject::Credential(credential.id)], move |transaction| {
            insert(transaction, &realm, &c, room, OPERATION)
        })
    }

    fn look_up(&self, id: CredentialId) -> StoreResult<At<Option<Credential>>> {
        self.read("look a credential up", |connection| look_up(connection, &self.shared, id))
    }

    fn linked(&self, tenant: TenantId, app: AppId, user: UserId) -> StoreResult<At<LinkedRows>> {
        self.read("read what a credential is linked to", |connection| {
            linked::read(connection, &self.shared.realm, tenant, app, user)
        })
    }

    fn by_id(&self, tenant: TenantId, id: CredentialId) -> StoreResult<Option<Credential>> {
        self.read("read a credential", |connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM credentials AS c JOIN verifiers AS v ON v.row_id = c.row_id \
                 WHERE c.id = ?1 AND c.tenant_id = ?2"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_row(params![id.as_bytes(), tenant.as_bytes()], from_row).optional()
        })
    }

    fn list(&self, tenant: TenantId, page: &Page<(i64, CredentialId)>) -> StoreResult<Vec<Credential>> {
        self.read("list credentials", |connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM credentials AS c JOIN verifiers AS v ON v.row_id = c.row_id \
                 WHERE c.tenant_id = ?1 AND (c.created_at_ms, c.id) > (?2, ?3) ORDER BY c.created_at_ms, c.id LIMIT ?4"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let (at, id) = page.after.map_or((i64::MIN, [0; 16]), |(at, id)| (at, *id.as_bytes()));
            statement.query_map(params![tenant.as_bytes(), at, id, page.limit], from_row)?.collect()
        })
    }

    fn list_of(
        &self,
        tenant: TenantId,
        user: UserId,
        page: &Page<(i64, CredentialId)>,
    ) -> StoreResult<Vec<Credential>> {
        self.read("list a User's credentials", |connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM credentials AS c JOIN verifiers AS v ON v.row_id = c.row_id \
                 WHERE c.tenant_id = ?1 AND c.user_id = ?2 AND (c.created_at_ms, c.id) > (?3, ?4) \
                 ORDER BY c.created_at_ms, c.id LIMIT ?5"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let (at, id) = page.after.map_or((i64::MIN, [0; 16]), |(at, id)| (at, *id.as_bytes()));
            statement.query_map(params![tenant.as_bytes(), user.get(), at, id, page.limit], from_row)?.collect()
        })
    }

    fn update(&self, credential: &Credential, expected: Generation, event: AuditEvent) -> StoreResult<()> {
        const OPERATION: &str = "change a credential";
        let (c, at_ms) = (credential.clone(), event.at_ms);
        self.writer.commit(OPERATION, event, vec![Subject::Credential(credential.id)], move |transaction| {
            replace(transaction, &c, expected, OPERATION)?;
            // What lives out a grace is of another generation anyway: that it was changed since must be written on it.
            if c.replaced.is_some() { tokens::revoke_of(transaction, c.id, None, at_ms, OPERATION) } else { Ok(()) }
        })
    }

    fn rotate(&self, new: &Credential, old: &Credential, expected: Generation, record: Record) -> StoreResult<()> {
        const OPERATION: &str = "rotate a credential";
        let (new, old, realm, room) = (new.clone(), old.clone(), self.shared.realm.clone(), record.room);
        let subjects = vec![Subject::Credential(old.id), Subject::Credential(new.id)];
        let at_ms = record.event.at_ms;
        self.writer.commit(OPERATION, record, subjects, move |transaction| {
            replace(transaction, &old, expected, OPERATION)?;
            // The others live out the grace: these were ended by a change before, and stay so.
            tokens::revoke_of(transaction, old.id, Some(expected), at_ms, OPERATION)?;
            insert(transaction, &realm, &new, room, OPERATION)
        })
    }

    fn used(&self, uses: &[(CredentialId, i64)]) -> StoreResult<()> {
        const OPERATION: &str = "note when credentials were used";
        let uses = uses.to_vec();
        self.writer.commit_unrecorded(OPERATION, move |transaction| {
            let failed = || store_error(OPERATION, "credential");
            let mut update = transaction
                .prepare_cached(
                    "UPDATE credentials SET last_used_at_ms = ?2 \
                     WHERE id = ?1 AND coalesce(last_used_at_ms, 0) < ?2",
                )
                .map_err(failed())?;
            for (id, at_ms) in &uses {
                update.execute(params![id.as_bytes(), at_ms]).map_err(failed())?;
            }
            Ok(())
        })
    }
}
