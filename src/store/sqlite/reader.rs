//! One read-only connection per thread and store, with its prepared statements.
//!
//! A read takes microseconds, a hop to another thread takes longer: so reads run where they are needed.
//! No transaction outlives the call.

use std::cell::RefCell;
use std::sync::{Arc, Weak};

use rusqlite::Connection;

use crate::store::sqlite::{Shared, connect_reader};
use crate::store::{StoreError, StoreResult};

struct Reader {
    store: Weak<Shared>,
    instance: u64,
    connection: Connection,
}

thread_local! {
    static READERS: RefCell<Vec<Reader>> = const { RefCell::new(Vec::new()) };
}

/// Runs `read` on this thread's connection to the store.
pub(super) fn with<T>(
    store: &Arc<Shared>,
    operation: &'static str,
    read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> StoreResult<T> {
    let failed = |source: rusqlite::Error| StoreError::Failed { operation, source: source.into() };
    READERS.with_borrow_mut(|readers| {
        let known = readers.iter().position(|reader| reader.instance == store.instance);
        let at = if let Some(at) = known {
            at
        } else {
            // Connections of stores that are closed end with the next store that this thread reads.
            readers.retain(|reader| reader.store.strong_count() > 0);
            let connection = connect_reader(&store.path).map_err(failed)?;
            readers.push(Reader { store: Arc::downgrade(store), instance: store.instance, connection });
            readers.len() - 1
        };
        match readers.get(at) {
            Some(reader) => read(&reader.connection).map_err(failed),
            None => Err(StoreError::Closed),
        }
    })
}

/// Closes this thread's connection to a store. Those of other threads end with the next store that they read.
pub(super) fn forget(store: &Shared) {
    // A thread that is ending has dropped its connections by itself.
    let _ = READERS.try_with(|readers| {
        if let Ok(mut readers) = readers.try_borrow_mut() {
            readers.retain(|reader| reader.instance != store.instance);
        }
    });
}

/// Runs several statements over one snapshot.
pub(super) fn in_snapshot<T>(
    connection: &Connection,
    read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    connection.prepare_cached("BEGIN")?.execute([])?;
    let result = read(connection);
    // A snapshot must never outlive the call, whatever came of it.
    let ended = connection.prepare_cached("ROLLBACK")?.execute([]);
    result.and_then(|value| ended.map(|_| value))
}
