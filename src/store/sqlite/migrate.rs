//! Brings a database to this version's schema, one file of `migrations/sqlite` at a time.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, TransactionBehavior};

/// Every migration in order; its number is its place.
pub const MIGRATIONS: &[(&str, &str)] = &[
    ("0001_create_store_meta", include_str!("../../../migrations/sqlite/0001_create_store_meta.sql")),
    ("0002_create_tenants", include_str!("../../../migrations/sqlite/0002_create_tenants.sql")),
    ("0003_create_directory", include_str!("../../../migrations/sqlite/0003_create_directory.sql")),
    ("0004_create_credentials", include_str!("../../../migrations/sqlite/0004_create_credentials.sql")),
    ("0005_create_operators", include_str!("../../../migrations/sqlite/0005_create_operators.sql")),
    ("0006_create_changes", include_str!("../../../migrations/sqlite/0006_create_changes.sql")),
    ("0007_create_audit_events", include_str!("../../../migrations/sqlite/0007_create_audit_events.sql")),
    ("0008_add_decoys", include_str!("../../../migrations/sqlite/0008_add_decoys.sql")),
    ("0009_create_peppers", include_str!("../../../migrations/sqlite/0009_create_peppers.sql")),
    ("0010_add_trail_epoch", include_str!("../../../migrations/sqlite/0010_add_trail_epoch.sql")),
    ("0011_create_handles", include_str!("../../../migrations/sqlite/0011_create_handles.sql")),
    ("0012_number_credentials", include_str!("../../../migrations/sqlite/0012_number_credentials.sql")),
    ("0013_sign_audit_events", include_str!("../../../migrations/sqlite/0013_sign_audit_events.sql")),
    ("0014_add_operator_certificates", include_str!("../../../migrations/sqlite/0014_add_operator_certificates.sql")),
    ("0015_create_requests", include_str!("../../../migrations/sqlite/0015_create_requests.sql")),
    ("0016_add_app_owners", include_str!("../../../migrations/sqlite/0016_add_app_owners.sql")),
    ("0017_index_credentials_of_users", include_str!("../../../migrations/sqlite/0017_index_credentials_of_users.sql")),
    ("0018_create_links", include_str!("../../../migrations/sqlite/0018_create_links.sql")),
    ("0019_add_host_state", include_str!("../../../migrations/sqlite/0019_add_host_state.sql")),
    ("0020_create_issuers", include_str!("../../../migrations/sqlite/0020_create_issuers.sql")),
    ("0021_create_tokens", include_str!("../../../migrations/sqlite/0021_create_tokens.sql")),
    ("0022_create_first_uses", include_str!("../../../migrations/sqlite/0022_create_first_uses.sql")),
];

/// Why a schema cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A newer Latchkey wrote it.
    #[error(
        "{} has schema {found} and this version knows {known}: use the newer latchkey that wrote it", path.display()
    )]
    Newer {
        /// Which database.
        path: PathBuf,
        /// Its schema.
        found: usize,
        /// Ours.
        known: usize,
    },
    /// A migration failed; nothing of it was kept.
    #[error("cannot migrate {} ({migration}): {source}", path.display())]
    Failed {
        /// Which database.
        path: PathBuf,
        /// Which migration.
        migration: &'static str,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
}

/// The schema's version, `PRAGMA user_version`.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<usize> {
    connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0)).map(|v| usize::try_from(v).unwrap_or(0))
}

/// The schema of the database at `path`, which is left as it is.
///
/// # Errors
/// When it cannot be read.
pub fn status(path: &Path) -> Result<usize, MigrateError> {
    let failed = |source| MigrateError::Failed { path: path.to_owned(), migration: "reading the version", source };
    version(&super::connect_reader(path).map_err(failed)?).map_err(failed)
}

/// Applies what is missing, each migration in a transaction of its own. Safe beside other processes that do the same.
///
/// # Errors
/// When the schema is newer than ours, or a migration fails.
pub fn up(connection: &mut Connection, path: &Path) -> Result<(), MigrateError> {
    apply(connection, path, MIGRATIONS)
}

/// The same with the migrations of any database.
pub(super) fn apply(
    connection: &mut Connection,
    path: &Path,
    migrations: &[(&'static str, &'static str)],
) -> Result<(), MigrateError> {
    let failed =
        |migration: &'static str| move |source| MigrateError::Failed { path: path.to_owned(), migration, source };
    loop {
        let found = version(connection).map_err(failed("reading the version"))?;
        if found > migrations.len() {
            return Err(MigrateError::Newer { path: path.to_owned(), found, known: migrations.len() });
        }
        let Some((name, sql)) = migrations.get(found).copied() else { return Ok(()) };
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed(name))?;
        // Another process may have been faster: look again under the lock.
        if version(&transaction).map_err(failed(name))? == found {
            transaction.execute_batch(sql).map_err(failed(name))?;
            let next = i64::try_from(found).unwrap_or(i64::MAX).saturating_add(1);
            transaction.pragma_update(None, "user_version", next).map_err(failed(name))?;
        }
        transaction.commit().map_err(failed(name))?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_schema_is_refused_and_left_alone() {
        let mut connection = Connection::open_in_memory().unwrap();
        up(&mut connection, Path::new("x")).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        let refused = up(&mut connection, Path::new("x"));
        assert!(matches!(refused, Err(MigrateError::Newer { found: 99, .. })));
    }

    #[test]
    fn the_second_run_does_nothing() {
        let mut connection = Connection::open_in_memory().unwrap();
        up(&mut connection, Path::new("x")).unwrap();
        assert_eq!(version(&connection).unwrap(), MIGRATIONS.len());
        up(&mut connection, Path::new("x")).unwrap();
        assert_eq!(version(&connection).unwrap(), MIGRATIONS.len());
    }
}
