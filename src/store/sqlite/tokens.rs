//! Short-lived tokens, and the public halves of the keys that sign them.

use rusqlite::types::ToSql;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use crate::domain::{
    Algorithm, AuditEvent, Credential, CredentialId, Generation, IssuedToken, JtiHash, SigningKeyRow, Subject,
    TenantId, TokenId,
};
use crate::store::sqlite::rows::convert_text;
use crate::store::sqlite::{SqliteStore, credentials, feed, reader, store_error};
use crate::store::{
    At, KEPT_AFTER_END_MS, Page, Record, SWEPT_AT_ONCE, StoreError, StoreResult, TokenAndParent, TokenPlace, Tokens,
};

const COLUMNS: &str =
    "jti_hash, tenant_id, credential_id, generation, content_hash, issued_at_ms, expires_at_ms, revoked_at_ms, row_mac";

fn from_row(row: &Row<'_>) -> rusqlite::Result<IssuedToken> {
    Ok(IssuedToken {
        jti: JtiHash(row.get(0)?),
        tenant: TenantId::from_bytes(row.get(1)?),
        credential: CredentialId::from_bytes(row.get(2)?),
        parent: Generation(row.get(3)?),
        content: row.get(4)?,
        issued_at_ms: row.get(5)?,
        expires_at_ms: row.get(6)?,
        revoked_at_ms: row.get(7)?,
        mac: row.get(8)?,
    })
}

fn key_from_row(row: &Row<'_>) -> rusqlite::Result<SigningKeyRow> {
    Ok(SigningKeyRow {
        kid: row.get(0)?,
        algorithm: convert_text(row, 1, "signature algorithm", Algorithm::parse)?,
        public_jwk: row.get(2)?,
        created_at_ms: row.get(3)?,
        retires_at_ms: row.get(4)?,
        mac: row.get(5)?,
    })
}

/// Rows that fit.
fn select(connection: &Connection, fits: &str, values: &[&dyn ToSql]) -> rusqlite::Result<Vec<IssuedToken>> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM tokens {fits}"))?;
    statement.query_map(values, from_row)?.collect()
}

fn by_hash(connection: &Connection, jti: JtiHash) -> rusqlite::Result<Option<IssuedToken>> {
    select(connection, "WHERE jti_hash = ?1", &[&jti.0]).map(|found| found.into_iter().next())
}

/// That the credential is there, as it was read.
fn check_parent(transaction: &Transaction<'_>, token: &IssuedToken) -> rusqlite::Result<StoreResult<()>> {
    let sql = "SELECT generation FROM credentials WHERE id = ?1 AND tenant_id = ?2";
    let values = params![token.credential.as_bytes(), token.tenant.as_bytes()];
    let found: Option<i64> = transaction.prepare_cached(sql)?.query_row(values, |row| row.get(0)).optional()?;
    Ok(match found {
        None => Err(StoreError::Missing { what: "credential" }),
        Some(generation) if generation == token.parent.0 => Ok(()),
        Some(_) => Err(StoreError::Conflict { what: "credential" }),
    })
}

/// How many of its tokens are in force, counted up to `most`.
fn count_in_force(transaction: &Transaction<'_>, token: &IssuedToken, most: u32) -> rusqlite::Result<u32> {
    let sql = "SELECT count(*) FROM (SELECT 1 FROM tokens WHERE credential_id = ?1 AND generation = ?2 \
               AND expires_at_ms > ?3 AND revoked_at_ms IS NULL LIMIT ?4)";
    let values = params![token.credential.as_bytes(), token.parent.0, token.issued_at_ms, most];
    transaction.prepare_cached(sql)?.query_row(values, |row| row.get(0))
}

fn sweep(transaction: &Transaction<'_>, now_ms: i64) -> rusqlite::Result<()> {
    let sql = "DELETE FROM tokens WHERE jti_hash IN \
               (SELECT jti_hash FROM tokens WHERE expires_at_ms < ?1 ORDER BY expires_at_ms LIMIT ?2)";
    let values = params![now_ms.saturating_sub(KEPT_AFTER_END_MS), SWEPT_AT_ONCE];
    transaction.prepare_cached(sql)?.execute(values).map(drop)
}

fn put_key(transaction: &Transaction<'_>, key: &SigningKeyRow) -> rusqlite::Result<()> {
    let sql = "INSERT INTO signing_keys (kid, algorithm, public_jwk, created_at_ms, retires_at_ms, row_mac) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
               ON CONFLICT (kid) DO UPDATE SET retires_at_ms = excluded.retires_at_ms, row_mac = excluded.row_mac";
    let values =
        params![key.kid, key.algorithm.as_str(), key.public_jwk, key.created_at_ms, key.retires_at_ms, key.mac];
    transaction.prepare_cached(sql)?.execute(values).map(drop)
}

/// Takes back what was issued for a credential, but for what is of a generation.
pub(super) fn revoke_of(
    transaction: &Transaction<'_>,
    credential: CredentialId,
    but: Option<Generation>,
    at_ms: i64,
    operation: &'static str,
) -> StoreResult<()> {
    let sql = "UPDATE tokens SET revoked_at_ms = ?2, row_mac = zeroblob(32) \
               WHERE credential_id = ?1 AND generation IS NOT ?3 AND revoked_at_ms IS NULL";
    let values = params![credential.as_bytes(), at_ms, but.map(|generation| generation.0)];
    transaction.execute(sql, values).map(drop).map_err(store_error(operation, "token"))
}

impl Tokens for SqliteStore {
    fn keys(&self) -> StoreResult<At<Vec<SigningKeyRow>>> {
        self.read("read which keys sign tokens", |connection| {
            reader::in_snapshot(connection, |connection| {
                let sql = "SELECT kid, algorithm, public_jwk, created_at_ms, retires_at_ms, row_mac FROM signing_keys \
                           ORDER BY created_at_ms, kid";
                let row = connection.prepare_cached(sql)?.query_map([], key_from_row)?.collect::<Result<_, _>>()?;
                Ok(At { position: feed::position(connection)?, row })
            })
        })
    }

    fn put_keys(&self, keys: &[SigningKeyRow], events: Vec<AuditEvent>) -> StoreResult<()> {
        const OPERATION: &str = "change which keys sign tokens";
        let keys = keys.to_vec();
        self.writer.commit_for_all(OPERATION, events, vec![Subject::SigningKeys], move |transaction| {
            let failed = || store_error(OPERATION, "signing key");
            let known = || -> rusqlite::Result<Vec<String>> {
                let sql = "SELECT kid FROM signing_keys WHERE retires_at_ms IS NULL";
                transaction.prepare_cached(sql)?.query_map([], |row| row.get(0))?.collect()
            };
            if known().map_err(failed())?.iter().any(|kid| keys.iter().all(|key| key.kid != *kid)) {
                return Err(StoreError::Conflict { what: "signing key" });
            }
            keys.iter().try_for_each(|key| put_key(transaction, key)).map_err(failed())
        })
    }

    fn issue(&self, token: &IssuedToken, most: u32, record: Record) -> StoreResult<()> {
        const OPERATION: &str = "issue a token";
        let t = token.clone();
        self.writer.commit(OPERATION, record, vec![Subject::Token(token.jti.id())], move |transaction| {
            let failed = || store_error(OPERATION, "token");
            check_parent(transaction, &t).map_err(failed())??;
            sweep(transaction, t.issued_at_ms).map_err(failed())?;
            if count_in_force(transaction, &t, most).map_err(failed())? >= most {
                return Err(StoreError::Full { what: "tokens" });
            }
            let sql = format!("INSERT INTO tokens ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
            let values = params![
                t.jti.0,
                t.tenant.as_bytes(),
                t.credential.as_bytes(),
                t.parent.0,
                t.content,
                t.issued_at_ms,
                t.expires_at_ms,
                t.revoked_at_ms,
                t.mac
            ];
            transaction.execute(&sql, values).map(drop).map_err(failed())
        })
    }

    fn look_up(&self, jti: JtiHash) -> StoreResult<At<Option<IssuedToken>>> {
        self.read("look a token up", |connection| {
            reader::in_snapshot(connection, |connection| {
                Ok(At { row: by_hash(connection, jti)?, position: feed::position(connection)? })
            })
        })
    }

    fn look_up_with_parent(&self, jti: JtiHash, credential: CredentialId) -> StoreResult<At<TokenAndParent>> {
        self.read("look a token and its credential up", |connection| {
            reader::in_snapshot(connection, |connection| {
                let token = by_hash(connection, jti)?;
                let At { position, row } = credentials::look_up(connection, &self.shared, credential)?;
                Ok(At { position, row: (token, row) })
            })
        })
    }

    fn by_id(&self, id: TokenId) -> StoreResult<Option<IssuedToken>> {
        // All hashes that begin so.
        let ends = [0x00, 0xff].map(|rest| {
            let mut hash = [rest; 32];
            hash.iter_mut().zip(id.as_bytes()).for_each(|(to, byte)| *to = *byte);
            hash
        });
        self.read("read a token", |connection| {
            let [first, last] = ends;
            let fits = "WHERE jti_hash BETWEEN ?1 AND ?2";
            select(connection, fits, &[&first, &last]).map(|found| found.into_iter().next())
        })
    }

    fn forget_all(&self, now_ms: i64) -> StoreResult<u64> {
        const OPERATION: &str = "forget all tokens";
        let in_force = self.read("count the tokens in force", |connection| {
            let sql = "SELECT count(*) FROM tokens WHERE expires_at_ms > ?1 AND revoked_at_ms IS NULL";
            connection.query_row(sql, [now_ms], |row| row.get::<_, i64>(0))
        })?;
        self.writer.commit_unrecorded(OPERATION, move |transaction| {
            transaction.execute("DELETE FROM tokens", []).map(drop).map_err(store_error(OPERATION, "token"))
        })?;
        Ok(u64::try_from(in_force).unwrap_or(0))
    }

    fn list_of(
        &self,
        tenant: TenantId,
        credential: CredentialId,
        page: &Page<TokenPlace>,
    ) -> StoreResult<Vec<IssuedToken>> {
        self.read("list a credential's tokens", |connection| {
            let (at, hash) = page.after.map_or((i64::MIN, [0; 32]), |(at, hash)| (at, hash.0));
            let fits = "WHERE credential_id = ?1 AND tenant_id = ?2 AND (issued_at_ms, jti_hash) > (?3, ?4) \
                        ORDER BY issued_at_ms, jti_hash LIMIT ?5";
            select(connection, fits, &[credential.as_bytes(), tenant.as_bytes(), &at, &hash, &page.limit])
        })
    }

    fn revoke(&self, tenant: TenantId, jti: JtiHash, at_ms: i64, event: AuditEvent) -> StoreResult<()> {
        const OPERATION: &str = "revoke a token";
        self.writer.commit(OPERATION, event, vec![Subject::Token(jti.id())], move |transaction| {
            let sql = "UPDATE tokens SET revoked_at_ms = coalesce(revoked_at_ms, ?3), row_mac = zeroblob(32) \
                       WHERE jti_hash = ?1 AND tenant_id = ?2";
            let changed = transaction.execute(sql, params![jti.0, tenant.as_bytes(), at_ms]);
            match changed.map_err(store_error(OPERATION, "token"))? {
                1 => Ok(()),
                _ => Err(StoreError::Missing { what: "token" }),
            }
        })
    }

    fn revoke_of(&self, parent: &Credential, expected: Generation, at_ms: i64, event: AuditEvent) -> StoreResult<()> {
        const OPERATION: &str = "revoke a credential's tokens";
        let parent = parent.clone();
        self.writer.commit(OPERATION, event, vec![Subject::Credential(parent.id)], move |transaction| {
            credentials::replace(transaction, &parent, expected, OPERATION)?;
            revoke_of(transaction, parent.id, None, at_ms, OPERATION)
        })
    }
}
