//! The directory of the store's own tables.

use std::sync::Arc;

use crate::directory::{Directory, DirectoryError, Linkage, ObjectsFuture};
use crate::store::Store;

/// The name of this source.
pub const SOURCE: &str = "store";

/// Answers from the store: one snapshot, read inline.
pub struct LocalDirectory {
    store: Arc<dyn Store>,
}

impl LocalDirectory {
    /// Reads from this store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }
}

impl Directory for LocalDirectory {
    fn objects(&self, linkage: Linkage) -> ObjectsFuture<'_> {
        let Linkage { tenant, app, user } = linkage;
        let rows = self.store.credentials().linked(tenant, app, user);
        Box::pin(std::future::ready(rows.map_err(|error| DirectoryError { source: error.into() })))
    }

    fn source(&self) -> &'static str {
        SOURCE
    }
}
