//! Why there is no store to work with.

use std::path::PathBuf;

use crate::store::sqlite::{GuardError, MigrateError};

/// Why a store cannot be opened or made: what, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory or a file in it is not as it must be.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The schema is not one that this version can use.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// There is a store already.
    #[error("{} exists already: a store is never overwritten", path.display())]
    Exists {
        /// Its database.
        path: PathBuf,
    },
    /// The file is no database, or damaged.
    #[error("{} is not a usable Latchkey database: restore it from a backup", path.display())]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
    /// A copy of a store is not whole.
    #[error("{} is damaged: {damage}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What was found first.
        damage: String,
    },
    /// A restore is under way.
    #[error("the store in {} is being restored: try again when that is done", path.display())]
    Restoring {
        /// Which directory.
        path: PathBuf,
    },
    /// Somebody uses it.
    #[error("the store in {} is in use: stop every gateway, plugin and command on it first", path.display())]
    InUse {
        /// Which directory.
        path: PathBuf,
    },
    /// A process of another boot or kernel uses it.
    #[error(
        "process {pid} of another boot or machine has {} open: one store belongs to one kernel; other machines \
         use `latchkey serve`",
        path.display()
    )]
    OtherKernel {
        /// Which store.
        path: PathBuf,
        /// The other process.
        pid: i64,
    },
    /// SQLite failed otherwise.
    #[error("cannot {operation} {}: {source}", path.display())]
    Sqlite {
        /// What was being done.
        operation: &'static str,
        /// Which file.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
    /// The system gave no thread or no randomness.
    #[error("cannot start the store: {what}")]
    System {
        /// What was missing.
        what: String,
    },
}
