//! Keys of other systems, and the handles by which they are found.

use rusqlite::{Transaction, params};

use crate::domain::imported::{Handle, Method};
use crate::domain::{AuditEvent, Credential, CredentialId, PepperFingerprint, Subject};
use crate::store::sqlite::rows::convert;
use crate::store::sqlite::{SqliteStore, credentials, store_error};
use crate::store::{At, Imported, Imports, StoreResult};

/// Adds a handle, and says that its method is in use.
pub(super) fn add_handle(
    transaction: &Transaction<'_>,
    id: CredentialId,
    method: Method,
    handle: Handle,
    pepper: PepperFingerprint,
) -> StoreResult<()> {
    let failed = || store_error("add a handle", "key");
    transaction
        .prepare_cached("INSERT INTO handles (handle, row_id) SELECT ?1, row_id FROM credentials WHERE id = ?2")
        .and_then(|mut insert| insert.execute(params![handle.0, id.as_bytes()]))
        .map_err(failed())?;
    transaction
        .prepare_cached("INSERT OR IGNORE INTO import_methods (method, pepper) VALUES (?1, ?2)")
        .and_then(|mut insert| insert.execute(params![method.to_string(), pepper.0]))
        .map(drop)
        .map_err(failed())
}

/// Puts a handle in the place of those that a credential has.
pub(super) fn replace_handle(
    transaction: &Transaction<'_>,
    id: CredentialId,
    method: Method,
    handle: Handle,
    pepper: PepperFingerprint,
) -> StoreResult<()> {
    transaction
        .prepare_cached("DELETE FROM handles WHERE row_id = (SELECT row_id FROM credentials WHERE id = ?1)")
        .and_then(|mut delete| delete.execute([id.as_bytes()]))
        .map_err(store_error("replace a handle", "key"))?;
    add_handle(transaction, id, method, handle, pepper)
}

impl Imports for SqliteStore {
    fn methods(&self) -> StoreResult<Vec<(Method, PepperFingerprint)>> {
        self.read("list the methods of imports", |connection| {
            let mut statement = connection.prepare_cached("SELECT method, pepper FROM import_methods ORDER BY 1, 2")?;
            let methods = statement.query_map([], |row| {
                let method = convert(row, 0, "way of finding a key", |text: String| Method::parse(&text))?;
                Ok((method, PepperFingerprint(row.get(1)?)))
            })?;
            methods.collect()
        })
    }

    fn look_up(&self, handles: &[Handle]) -> StoreResult<At<Vec<Credential>>> {
        self.shared.reads.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.read("look an imported key up", |connection| credentials::by_handles(connection, handles))
    }

    fn stored(&self, rows: &[(CredentialId, Vec<Handle>)]) -> StoreResult<Vec<bool>> {
        self.read("look for keys that are there already", |connection| {
            super::reader::in_snapshot(connection, |connection| {
                let mut by_handle = connection.prepare_cached("SELECT 1 FROM handles WHERE handle = ?1")?;
                let mut by_id = connection.prepare_cached("SELECT 1 FROM credentials WHERE id = ?1")?;
                let mut stored = Vec::with_capacity(rows.len());
                for (id, handles) in rows {
                    let mut found = handles.is_empty() && by_id.exists([id.as_bytes()])?;
                    for handle in handles {
                        found |= by_handle.exists([handle.0])?;
                    }
                    stored.push(found);
                }
                Ok(stored)
            })
        })
    }

    fn import(&self, mut rows: Vec<Imported>, event: AuditEvent) -> StoreResult<()> {
        const OPERATION: &str = "import keys";
        let realm = self.shared.realm.clone();
        self.writer.commit_bulk(OPERATION, event, vec![Subject::Imports], move |transaction| {
            // Each table in its own order: pages that are done are not touched again.
            rows.sort_unstable_by_key(|row| *row.credential.id.as_bytes());
            let mut owners = std::collections::HashSet::new();
            for Imported { credential, .. } in &rows {
                if owners.insert((credential.tenant, credential.app, credential.user)) {
                    let owners = (credential.tenant, credential.app, credential.user);
                    credentials::check_owners(transaction, &realm, owners, OPERATION)?;
                }
                credentials::insert_row(transaction, credential, OPERATION)?;
            }
            rows.sort_unstable_by_key(|row| row.handle.as_ref().map(|(_, handle)| handle.0));
            for Imported { credential, handle } in &rows {
                if let Some((method, handle)) = handle {
                    add_handle(transaction, credential.id, *method, *handle, credential.verifier.pepper)?;
                }
            }
            Ok(())
        })
    }
}
