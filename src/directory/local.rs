//! The directory of the store's own tables.

use std::sync::Arc;

use crate::directory::{Directory, DirectoryError, Linkage, Objects, ObjectsFuture};
use crate::store::Store;

/// Answers from the store: one snapshot, read inline.
pub struct LocalDirectory {
    store: Arc<dyn Store>,
}

impl LocalDirectory {
    /// Reads from this store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    pub(super) fn read(&self, linkage: Linkage) -> Result<Objects, DirectoryError> {
        let Linkage { tenant, app, user } = linkage;
        let rows = self.store.credentials().linked(tenant, app, user);
        let at = rows.map_err(|error| DirectoryError { source: error.into() })?;
        Ok(Objects { at, lease: None })
    }
}

impl Directory for LocalDirectory {
    fn objects(&self, linkage: Linkage) -> ObjectsFuture<'_> {
        Box::pin(std::future::ready(self.read(linkage)))
    }
}
