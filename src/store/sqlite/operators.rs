//! Operators with their verifiers.

use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use crate::domain::{AuditEvent, CredentialId, Generation, Operator, Role, Subject, TenantId};
use crate::store::sqlite::rows::{convert, json, to_json, verifier};
use crate::store::sqlite::{SqliteStore, store_error};
use crate::store::{Operators, Record, StoreError, StoreResult};

const COLUMNS: &str =
    "id, name, role, tenants, phc, tag, pepper, generation, row_mac, created_at_ms, revoked_at_ms, certificate";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Operator> {
    let tenants: Vec<String> = json(row, 3, "tenant list")?;
    let tenants = tenants.iter().map(|text| text.parse().ok()).collect::<Option<Vec<TenantId>>>();
    Ok(Operator {
        id: CredentialId::from_bytes(row.get(0)?),
        name: row.get(1)?,
        role: convert(row, 2, "role", |s: String| Role::parse(&s))?,
        // A list that cannot be read must never read as "bound to none, so all".
        tenants: convert(row, 3, "tenant list", |_: String| tenants)?,
        verifier: verifier(row, 4)?,
        generation: Generation(row.get(7)?),
        row_mac: row.get(8)?,
        created_at_ms: row.get(9)?,
        revoked_at_ms: row.get(10)?,
        certificate: row.get(11)?,
    })
}

/// Whether another one in force has the certificate.
fn has(transaction: &Transaction<'_>, operator: &Operator) -> StoreResult<bool> {
    let Some(certificate) = operator.certificate else { return Ok(false) };
    let sql = "SELECT count(*) FROM operators WHERE certificate = ?1 AND revoked_at_ms IS NULL";
    let count: rusqlite::Result<i64> = transaction.query_row(sql, [certificate], |row| row.get(0));
    count.map(|count| count > 0).map_err(store_error("add an operator", "operator"))
}

impl Operators for SqliteStore {
    fn add(&self, operator: &Operator, record: Record) -> StoreResult<()> {
        let o = operator.clone();
        self.writer.commit("add an operator", record, vec![Subject::Operator(operator.id)], move |transaction| {
            let tenants: Vec<String> = o.tenants.iter().map(ToString::to_string).collect();
            let sql =
                format!("INSERT INTO operators ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)");
            let values = params![
                o.id.as_bytes(),
                o.name,
                o.role.as_str(),
                to_json(&tenants),
                o.verifier.phc,
                o.verifier.tag.as_ref().map(|tag| tag.0),
                o.verifier.pepper.0,
                o.generation.0,
                o.row_mac,
                o.created_at_ms,
                o.revoked_at_ms,
                o.certificate
            ];
            let failed = store_error("add an operator", if has(transaction, &o)? { "certificate" } else { "operator" });
            transaction.execute(&sql, values).map(drop).map_err(failed)
        })
    }

    fn look_up(&self, id: CredentialId) -> StoreResult<Option<Operator>> {
        self.read("look an operator up", |connection| {
            let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM operators WHERE id = ?1"))?;
            statement.query_row([id.as_bytes()], from_row).optional()
        })
    }

    fn by_certificate(&self, public_key: &[u8; 32]) -> StoreResult<Option<Operator>> {
        self.read("look an operator up", |connection| {
            let sql = format!("SELECT {COLUMNS} FROM operators WHERE certificate = ?1 AND revoked_at_ms IS NULL");
            connection.prepare_cached(&sql)?.query_row([public_key], from_row).optional()
        })
    }

    fn revoke(&self, operator: &Operator, expected: Generation, event: AuditEvent) -> StoreResult<()> {
        const OPERATION: &str = "revoke an operator";
        let o = operator.clone();
        self.writer.commit(OPERATION, event, vec![Subject::Operator(operator.id)], move |transaction| {
            let failed = || store_error(OPERATION, "operator");
            let values =
                params![o.id.as_bytes(), o.revoked_at_ms, o.generation.0, o.row_mac, o.verifier.pepper.0, expected.0];
            let changed = transaction
                .execute(
                    "UPDATE operators SET revoked_at_ms = ?2, generation = ?3, row_mac = ?4, pepper = ?5 \
                     WHERE id = ?1 AND generation = ?6",
                    values,
                )
                .map_err(failed())?;
            if changed != 1 {
                return Err(StoreError::Conflict { what: "operator" });
            }
            // In the transaction, so that two owners cannot revoke each other at once.
            let owners: i64 = transaction
                .query_row(
                    "SELECT count(*) FROM operators WHERE role = 'owner' AND tenants = '[]' AND revoked_at_ms IS NULL",
                    [],
                    |row| row.get(0),
                )
                .map_err(failed())?;
            if owners > 0 { Ok(()) } else { Err(StoreError::Missing { what: "owner" }) }
        })
    }

    fn list(&self) -> StoreResult<Vec<Operator>> {
        self.read("list operators", |connection| {
            let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM operators ORDER BY id"))?;
            statement.query_map([], from_row)?.collect()
        })
    }
}
