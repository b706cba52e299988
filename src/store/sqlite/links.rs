//! Links, and the name of the key that they are under.

use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use crate::domain::{
    AuditEvent, Generation, IssuerId, Link, LinkId, PepperFingerprint, Position, Subject, SubjectHash,
    SubjectKeyFingerprint, TenantId,
};
use crate::store::sqlite::credentials::check_owners;
use crate::store::sqlite::rows::{app_id, user_id};
use crate::store::sqlite::{SqliteStore, store_error};
use crate::store::{At, LinkPlace, Links, Page, Record, StoreError, StoreResult};

const COLUMNS: &str = "id, tenant_id, issuer, subject_hash, app_id, user_id, generation, row_mac, created_at_ms";

/// The keys that a new store knows, by their fingerprints.
#[derive(Clone, Copy, Debug)]
pub struct NewKeys {
    /// Its pepper.
    pub pepper: PepperFingerprint,
    /// Its key of subject hashes.
    pub subject_key: Option<SubjectKeyFingerprint>,
}

impl From<PepperFingerprint> for NewKeys {
    fn from(pepper: PepperFingerprint) -> Self {
        Self { pepper, subject_key: None }
    }
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Link> {
    Ok(Link {
        id: LinkId::from_bytes(row.get(0)?),
        tenant: TenantId::from_bytes(row.get(1)?),
        issuer: row.get(2)?,
        subject: SubjectHash(row.get(3)?),
        app: app_id(row, 4)?,
        user: user_id(row, 5)?,
        generation: Generation(row.get(6)?),
        mac: row.get(7)?,
        created_at_ms: row.get(8)?,
    })
}

/// That a subject was linked at its first use, and when.
pub type FirstUsed = (IssuerId, SubjectHash, i64);

impl SqliteStore {
    /// Who was linked at their first use; as many as the rules permitted.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn first_uses(&self) -> StoreResult<Vec<FirstUsed>> {
        self.read("read who was linked at a first use", |connection| {
            let mut statement = connection.prepare("SELECT issuer_id, subject_hash, at_ms FROM first_uses")?;
            let row = |row: &Row<'_>| Ok((IssuerId::from_bytes(row.get(0)?), SubjectHash(row.get(1)?), row.get(2)?));
            statement.query_map([], row)?.collect()
        })
    }

    /// Takes over that they were, for a restore: none of them is linked by the rule again.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn add_first_uses(&self, used: Vec<FirstUsed>) -> StoreResult<()> {
        const OPERATION: &str = "take over who was linked at a first use";
        self.writer.commit_unrecorded(OPERATION, move |transaction| {
            let sql = "INSERT OR IGNORE INTO first_uses (issuer_id, subject_hash, at_ms) VALUES (?1, ?2, ?3)";
            let mut statement = transaction.prepare(sql).map_err(store_error(OPERATION, "link"))?;
            for (issuer, subject, at_ms) in used {
                let values = params![issuer.as_bytes(), subject.0, at_ms];
                statement.execute(values).map_err(store_error(OPERATION, "link"))?;
            }
            Ok(())
        })
    }
}

fn insert(transaction: &Transaction<'_>, realm: &str, l: &Link, operation: &'static str) -> StoreResult<()> {
    check_owners(transaction, realm, (l.tenant, l.app, l.user), operation)?;
    let sql = format!("INSERT INTO links ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
    let values = params![
        l.id.as_bytes(),
        l.tenant.as_bytes(),
        l.issuer,
        l.subject.0,
        l.app.get(),
        l.user.get(),
        l.generation.0,
        l.mac,
        l.created_at_ms
    ];
    transaction.execute(&sql, values).map(drop).map_err(store_error(operation, "link"))
}

impl Links for SqliteStore {
    fn key(&self) -> StoreResult<Option<SubjectKeyFingerprint>> {
        self.read("read which key of subject hashes there is", |connection| {
            let known = connection.query_row("SELECT subject_key FROM store_meta", [], |row| row.get(0));
            known.map(|known: Option<[u8; 16]>| known.map(SubjectKeyFingerprint))
        })
    }

    fn any(&self) -> StoreResult<bool> {
        self.read("look for a link or an issuer", |connection| {
            let sql = "SELECT EXISTS (SELECT 1 FROM links) OR EXISTS (SELECT 1 FROM issuers)";
            connection.query_row(sql, [], |row| row.get(0))
        })
    }

    fn set_key(&self, key: SubjectKeyFingerprint, event: AuditEvent) -> StoreResult<()> {
        const OPERATION: &str = "add a key of subject hashes";
        self.writer.commit(OPERATION, event, vec![Subject::SubjectKey], move |transaction| {
            let set = "UPDATE store_meta SET subject_key = ?1 \
                       WHERE NOT EXISTS (SELECT 1 FROM links) AND NOT EXISTS (SELECT 1 FROM issuers)";
            let changed = transaction.execute(set, [key.0]).map_err(store_error(OPERATION, "subject key"))?;
            if changed == 1 { Ok(()) } else { Err(StoreError::Conflict { what: "subject key" }) }
        })
    }

    fn add(&self, link: &Link, record: Record) -> StoreResult<()> {
        const OPERATION: &str = "add a link";
        let (l, realm) = (link.clone(), self.shared.realm.clone());
        self.writer.commit(OPERATION, record, vec![Subject::Link(link.id), Subject::Links], move |transaction| {
            insert(transaction, &realm, &l, OPERATION)
        })
    }

    fn add_first(&self, link: &Link, issuer: (IssuerId, Generation), cap: u32, event: AuditEvent) -> StoreResult<()> {
        const OPERATION: &str = "add a link at a first use";
        let (l, realm, (id, generation)) = (link.clone(), self.shared.realm.clone(), issuer);
        self.writer.commit(OPERATION, event, vec![Subject::Link(link.id), Subject::Links], move |transaction| {
            let failed = store_error(OPERATION, "issuer");
            let sql = "SELECT (SELECT count(*) FROM first_uses WHERE issuer_id = ?1) FROM issuers WHERE id = ?1 AND \
                       generation = ?2 AND active = 1";
            let read = |row: &Row<'_>| row.get::<_, u32>(0);
            let made =
                transaction.query_row(sql, params![id.as_bytes(), generation.0], read).optional().map_err(failed)?;
            match made {
                None => return Err(StoreError::Conflict { what: "issuer" }),
                Some(made) if made >= cap => return Err(StoreError::Full { what: "links made at a first use" }),
                Some(_) => {}
            }
            let sql = "INSERT INTO first_uses (subject_hash, issuer_id, at_ms) VALUES (?1, ?2, ?3)";
            let values = params![l.subject.0, id.as_bytes(), l.created_at_ms];
            transaction.execute(sql, values).map_err(store_error(OPERATION, "link"))?;
            insert(transaction, &realm, &l, OPERATION)
        })
    }

    fn may_be_first(&self, issuer: IssuerId, subject: SubjectHash, cap: u32) -> StoreResult<bool> {
        self.read("look for a first use", |connection| {
            let sql = "SELECT (SELECT count(*) FROM first_uses WHERE issuer_id = ?1) < ?3 \
                       AND NOT EXISTS (SELECT 1 FROM first_uses WHERE subject_hash = ?2)";
            let mut statement = connection.prepare_cached(sql)?;
            statement.query_row(params![issuer.as_bytes(), subject.0, cap], |row| row.get(0))
        })
    }

    fn by_id(&self, tenant: TenantId, id: LinkId) -> StoreResult<Option<Link>> {
        self.read("read a link", |connection| {
            let sql = format!("SELECT {COLUMNS} FROM links WHERE id = ?1 AND tenant_id = ?2");
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_row(params![id.as_bytes(), tenant.as_bytes()], from_row).optional()
        })
    }

    fn find(&self, tenant: TenantId, issuer: &str, subject: SubjectHash) -> StoreResult<Option<Link>> {
        self.read("find a link", |connection| {
            let sql = format!("SELECT {COLUMNS} FROM links WHERE tenant_id = ?1 AND issuer = ?2 AND subject_hash = ?3");
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_row(params![tenant.as_bytes(), issuer, subject.0], from_row).optional()
        })
    }

    fn look_up(&self, tenant: TenantId, issuer: &str, subject: SubjectHash) -> StoreResult<At<Option<Link>>> {
        self.shared.reads.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.read("look a link up", |connection| {
            let sql = format!(
                "SELECT {COLUMNS}, (SELECT seq FROM sqlite_sequence WHERE name = 'changes') FROM (SELECT 1) LEFT JOIN links \
                 ON tenant_id = ?1 AND issuer = ?2 AND subject_hash = ?3"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_row(params![tenant.as_bytes(), issuer, subject.0], |row| {
                let position = row.get::<_, Option<i64>>(9)?.unwrap_or(0);
                let absent = matches!(row.get_ref(0)?, rusqlite::types::ValueRef::Null);
                let found = if absent { None } else { Some(from_row(row)?) };
                Ok(At { position: Position(u64::try_from(position).unwrap_or(0)), row: found })
            })
        })
    }

    fn list(&self, tenant: TenantId, issuer: Option<&str>, page: &Page<LinkPlace>) -> StoreResult<Vec<Link>> {
        self.read("list links", |connection| {
            // Two statements, so that each has its index.
            let of = if issuer.is_some() { "AND issuer = ?5" } else { "AND ?5 IS NULL" };
            let sql = format!(
                "SELECT {COLUMNS} FROM links WHERE tenant_id = ?1 {of} AND (created_at_ms, id) > (?2, ?3) \
                 ORDER BY created_at_ms, id LIMIT ?4"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let (at, id) = page.after.map_or((i64::MIN, [0; 16]), |(at, id)| (at, *id.as_bytes()));
            statement.query_map(params![tenant.as_bytes(), at, id, page.limit, issuer], from_row)?.collect()
        })
    }

    fn remove(&self, tenant: TenantId, id: LinkId, event: AuditEvent) -> StoreResult<()> {
        const OPERATION: &str = "remove a link";
        self.writer.commit(OPERATION, event, vec![Subject::Link(id), Subject::Links], move |transaction| {
            let removed = transaction
                .execute(
                    "DELETE FROM links WHERE id = ?1 AND tenant_id = ?2",
                    params![id.as_bytes(), tenant.as_bytes()],
                )
                .map_err(store_error(OPERATION, "link"))?;
            if removed == 1 { Ok(()) } else { Err(StoreError::Missing { what: "link" }) }
        })
    }
}
