//! The directory of a process that a host started: the store says which tenant has an App and who its Users are, the host
//! says whether the App is there and what it is.

use std::sync::Arc;

use crate::directory::cache::AppCache;
use crate::directory::lease::{Answer, Lease, Standing};
use crate::directory::local::LocalDirectory;
use crate::directory::service::{HostLink, HostRuntime};
use crate::directory::{Directory, DirectoryError, Linkage, Objects, ObjectsFuture};
use crate::store::Store;

/// Answers from both. While the host has no Service API, from the store alone.
pub struct HostDirectory {
    local: LocalDirectory,
    link: Arc<HostLink>,
    apps: Arc<AppCache>,
}

impl HostDirectory {
    /// Reads from this store, asks over this link.
    pub fn new(store: Arc<dyn Store>, link: Arc<HostLink>, apps: Arc<AppCache>) -> Self {
        Self { local: LocalDirectory::new(store), link, apps }
    }

    async fn both(&self, linkage: Linkage) -> Result<Objects, DirectoryError> {
        let mut objects = self.local.read(linkage)?;
        // What is nobody's, or another tenant's, is not asked for: a refusal needs no host.
        let row = match objects.at.row.app.take() {
            Some(row) if self.link.service().is_some() => row,
            row => {
                objects.at.row.app = row;
                return Ok(objects);
            }
        };
        let found = self.apps.get(linkage.tenant, linkage.app, row.generation).await;
        let (lease, _) = found.map_err(|error| DirectoryError { source: error.into() })?;
        objects.at.row.app = match lease.answer() {
            Answer::Present(app) => Some(app.merged_into(row)),
            Answer::Absent => None,
        };
        objects.lease = Some(lease);
        Ok(objects)
    }
}

impl Directory for HostDirectory {
    fn objects(&self, linkage: Linkage) -> ObjectsFuture<'_> {
        Box::pin(self.both(linkage))
    }

    fn standing(&self, lease: &Lease, now_ns: u64) -> Standing {
        self.apps.standing(lease, now_ns)
    }

    fn asks_host(&self) -> bool {
        self.link.runtime().is_some()
    }

    fn source(&self) -> &'static str {
        match self.link.runtime() {
            Some(HostRuntime::Microgateway) => "gateway",
            Some(HostRuntime::Studio) => "studio",
            None => "store",
        }
    }

    fn problem(&self) -> Option<String> {
        if self.link.runtime().is_none() {
            let text = "the host has no Service API: the store alone says which Apps are there and active. Set directory.source = \
                        \"store\" if that is meant";
            return Some(text.to_owned());
        }
        let error = self.apps.condition().problem()?;
        Some(format!(
            "{error}: Apps that are not known already are refused. Approve the scope apps.read for this plugin and push the \
             configuration; a gateway without a Studio has no such scopes: set directory.source = \"store\" there"
        ))
    }
}
