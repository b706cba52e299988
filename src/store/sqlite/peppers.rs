//! Peppers, and the rows under them.

use rusqlite::{OptionalExtension as _, Transaction, params};

use crate::domain::{
    AuditEvent, Credential, CredentialId, Generation, LostPepper, Operator, PepperFingerprint, PepperVersion, Subject,
};
use crate::store::sqlite::{SqliteStore, credentials, imports, store_error};
use crate::store::{Page, Peppers, Resealed, StoreError, StoreResult};

/// Whether rows may name a pepper.
pub(super) fn check(transaction: &Transaction<'_>, pepper: PepperFingerprint) -> StoreResult<()> {
    let known: Option<bool> = transaction
        .prepare_cached("SELECT retired_at_ms IS NULL FROM peppers WHERE fingerprint = ?1")
        .and_then(|mut statement| statement.query_row([pepper.0], |row| row.get(0)).optional())
        .map_err(store_error("check a pepper", "pepper"))?;
    if known == Some(true) { Ok(()) } else { Err(StoreError::Missing { what: "pepper" }) }
}

fn add(transaction: &Transaction<'_>, fingerprint: PepperFingerprint, at_ms: i64) -> StoreResult<()> {
    let added = transaction
        .execute("INSERT INTO peppers (fingerprint, added_at_ms) VALUES (?1, ?2)", params![fingerprint.0, at_ms]);
    added.map(drop).map_err(store_error("add a pepper", "pepper"))
}

fn make_current(transaction: &Transaction<'_>, fingerprint: PepperFingerprint) -> StoreResult<()> {
    check(transaction, fingerprint)?;
    let made = transaction.execute("UPDATE store_meta SET pepper_fingerprint = ?1", [fingerprint.0]);
    made.map(drop).map_err(store_error("make a pepper current", "pepper"))
}

impl Peppers for SqliteStore {
    fn list(&self) -> StoreResult<crate::domain::Peppers> {
        self.read("list peppers", |connection| {
            super::reader::in_snapshot(connection, |connection| {
                let current =
                    connection.query_row("SELECT pepper_fingerprint FROM store_meta", [], |row| row.get(0))?;
                let mut statement = connection.prepare_cached(
                    "SELECT fingerprint, added_at_ms, retired_at_ms, lost_until_ms, lost_mac FROM peppers \
                     ORDER BY added_at_ms, fingerprint",
                )?;
                let versions = statement.query_map([], |row| {
                    let lost = match (row.get(3)?, row.get(4)?) {
                        (Some(until_ms), Some(mac)) => Some(LostPepper { until_ms, mac }),
                        _ => None,
                    };
                    Ok(PepperVersion {
                        fingerprint: PepperFingerprint(row.get(0)?),
                        added_at_ms: row.get(1)?,
                        retired_at_ms: row.get(2)?,
                        lost,
                    })
                })?;
                let versions = versions.collect::<rusqlite::Result<_>>()?;
                Ok(crate::domain::Peppers { current: PepperFingerprint(current), versions })
            })
        })
    }

    fn add(&self, fingerprint: PepperFingerprint, event: AuditEvent) -> StoreResult<()> {
        let at_ms = event.at_ms;
        self.writer.commit("add a pepper", event, vec![Subject::Pepper], move |transaction| {
            add(transaction, fingerprint, at_ms)
        })
    }

    fn make_current(&self, fingerprint: PepperFingerprint, event: AuditEvent) -> StoreResult<()> {
        self.writer.commit("make a pepper current", event, vec![Subject::Pepper], move |transaction| {
            make_current(transaction, fingerprint)
        })
    }

    fn set_retired(&self, fingerprint: PepperFingerprint, at_ms: Option<i64>, event: AuditEvent) -> StoreResult<()> {
        const OPERATION: &str = "retire a pepper";
        self.writer.commit(OPERATION, event, vec![Subject::Pepper], move |transaction| {
            let changed = transaction
                .execute(
                    "UPDATE peppers SET retired_at_ms = ?2 WHERE fingerprint = ?1 \
                     AND fingerprint <> (SELECT pepper_fingerprint FROM store_meta)",
                    params![fingerprint.0, at_ms],
                )
                .map_err(store_error(OPERATION, "pepper"))?;
            if changed == 1 { Ok(()) } else { Err(StoreError::Missing { what: "pepper" }) }
        })
    }

    fn set_lost(
        &self,
        fingerprint: PepperFingerprint,
        lost: LostPepper,
        current: PepperFingerprint,
        event: AuditEvent,
    ) -> StoreResult<()> {
        const OPERATION: &str = "declare a pepper lost";
        let at_ms = event.at_ms;
        self.writer.commit(OPERATION, event, vec![Subject::Pepper], move |transaction| {
            let changed = transaction
                .execute(
                    "UPDATE peppers SET lost_until_ms = ?2, lost_mac = ?3 WHERE fingerprint = ?1",
                    params![fingerprint.0, lost.until_ms, lost.mac],
                )
                .map_err(store_error(OPERATION, "pepper"))?;
            if changed != 1 {
                return Err(StoreError::Missing { what: "pepper" });
            }
            if check(transaction, current).is_err() {
                add(transaction, current, at_ms)?;
            }
            make_current(transaction, current)
        })
    }

    fn credentials_under(
        &self,
        fingerprint: PepperFingerprint,
        page: &Page<CredentialId>,
    ) -> StoreResult<Vec<Credential>> {
        let after = page.after.map_or([0; 16], |id| *id.as_bytes());
        self.read("list the credentials under a pepper", |connection| {
            credentials::under_pepper(connection, fingerprint, after, page.limit)
        })
    }

    fn count_under(&self, fingerprint: PepperFingerprint) -> StoreResult<u64> {
        self.read("count the credentials under a pepper", |connection| {
            let count: i64 =
                connection
                    .query_row("SELECT count(*) FROM verifiers WHERE pepper = ?1", [fingerprint.0], |row| row.get(0))?;
            Ok(u64::try_from(count).unwrap_or(0))
        })
    }

    fn reseal(&self, rows: &[Resealed], event: &dyn Fn(u64) -> AuditEvent) -> StoreResult<u64> {
        const OPERATION: &str = "seal credentials anew";
        // Told in the event how many were meant: fewer where somebody else was faster.
        let (rows, event) = (rows.to_vec(), event(rows.len() as u64));
        let (done, count) = std::sync::mpsc::sync_channel(1);
        let moved = rows.iter().any(|row| row.handle.is_some());
        let subjects = if moved { vec![Subject::Imports] } else { Vec::new() };
        self.writer.commit(OPERATION, event, subjects, move |transaction| {
            let failed = || store_error(OPERATION, "credential");
            let mut seal = transaction
                .prepare_cached("UPDATE credentials SET row_mac = ?3 WHERE id = ?1 AND row_mac = ?2")
                .map_err(failed())?;
            let mut prove = transaction
                .prepare_cached(
                    "UPDATE verifiers SET phc = ?2, tag = ?3, pepper = ?4, prehash = ?5 \
                     WHERE row_id = (SELECT row_id FROM credentials WHERE id = ?1)",
                )
                .map_err(failed())?;
            let mut sealed = 0_u64;
            for row in &rows {
                check(transaction, row.verifier.pepper)?;
                if seal.execute(params![row.id.as_bytes(), row.was, row.row_mac]).map_err(failed())? == 1 {
                    let tag = row.verifier.tag.as_ref().map(|tag| tag.0);
                    let prehash = row.verifier.prehash.as_ref().map(ToString::to_string);
                    let values = params![row.id.as_bytes(), row.verifier.phc, tag, row.verifier.pepper.0, prehash];
                    prove.execute(values).map_err(failed())?;
                    if let Some((method, handle)) = row.handle {
                        imports::replace_handle(transaction, row.id, method, handle, row.verifier.pepper)?;
                    }
                    sealed += 1;
                }
            }
            let _ = done.send(sealed);
            Ok(())
        })?;
        Ok(count.recv().unwrap_or(0))
    }

    fn reseal_operator(&self, operator: &Operator, expected: Generation, event: AuditEvent) -> StoreResult<()> {
        const OPERATION: &str = "seal an operator anew";
        let o = operator.clone();
        self.writer.commit(OPERATION, event, vec![Subject::Operator(operator.id)], move |transaction| {
            check(transaction, o.verifier.pepper)?;
            let tag = o.verifier.tag.as_ref().map(|tag| tag.0);
            let values = params![o.id.as_bytes(), tag, o.verifier.pepper.0, o.generation.0, o.row_mac, expected.0];
            let changed = transaction
                .execute(
                    "UPDATE operators SET tag = ?2, pepper = ?3, generation = ?4, row_mac = ?5 \
                     WHERE id = ?1 AND generation = ?6",
                    values,
                )
                .map_err(store_error(OPERATION, "operator"))?;
            if changed == 1 { Ok(()) } else { Err(StoreError::Conflict { what: "operator" }) }
        })
    }
}
