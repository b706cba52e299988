//! The key that signs the audit trail is put in another's place.

use std::path::PathBuf;
use std::sync::Arc;

use crate::admin::{AdminError, AdminResult, Announce, TrailKeys};
use crate::audit::checkpoint::PublicKey;
use crate::audit::key::{self, KeyError, Signer};
use crate::clock::Clock;
use crate::store::sqlite::SqliteStore;
use crate::store::{Store as _, StoreError};

/// Why the key is the one that it was.
#[derive(Debug, thiserror::Error)]
enum KeyFailure {
    /// A key's file.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// What was to be written.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The new key could not be put in the old one's place; it is beside it.
    #[error("cannot put {} in place: {source}", path.display())]
    Place {
        /// The new key's file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// The key in a file of this machine, and the store that it signs.
pub struct FileKeys {
    path: PathBuf,
    store: Arc<SqliteStore>,
    clock: Arc<dyn Clock>,
}

impl FileKeys {
    /// For an opened store.
    pub fn new(path: PathBuf, store: Arc<SqliteStore>, clock: Arc<dyn Clock>) -> Self {
        Self { path, store, clock }
    }

    fn put_another(&self, announce: Announce<'_>) -> Result<(PublicKey, PublicKey), KeyFailure> {
        let old = Signer::load(&self.path)?;
        let beside = self.path.with_extension("key.new");
        // What a rotation that was cut off left behind was never announced as in force.
        let _ = std::fs::remove_file(&beside);
        key::create(&beside)?;
        let new = Signer::load(&beside)?;
        // What came before is signed by the old one alone.
        self.store.sign_now()?;
        let (sequence, head) = announce(&new.public_key())?;
        let (beginning, _) = self.store.audit().beginning()?;
        let now_ms = self.clock.wall_ms();
        let signed = [&old, &new].map(|signer| signer.checkpoint(beginning, sequence, head, now_ms));
        self.store.audit().add_checkpoints(&signed)?;
        std::fs::rename(&beside, &self.path).map_err(|source| KeyFailure::Place { path: beside, source })?;
        Ok((old.public_key(), new.public_key()))
    }
}

impl TrailKeys for FileKeys {
    fn sign(&self) -> AdminResult<()> {
        Ok(self.store.sign_now()?)
    }

    fn public_key(&self) -> AdminResult<PublicKey> {
        key::public_key(&self.path).map_err(|error| AdminError::SigningKey(error.to_string()))
    }

    fn sign_text(&self, text: &[u8]) -> AdminResult<(PublicKey, [u8; 64])> {
        let signer = Signer::load(&self.path).map_err(|error| AdminError::SigningKey(error.to_string()))?;
        Ok((signer.public_key(), signer.sign(text)))
    }

    /// The event that says so is signed by both, and the new key's file takes the old one's place; what other processes
    /// sign with the old key until they see it does not count.
    fn rotate(&self, announce: Announce<'_>) -> AdminResult<(PublicKey, PublicKey)> {
        self.put_another(announce).map_err(|failure| match failure {
            KeyFailure::Admin(error) => error,
            KeyFailure::Store(error) => error.into(),
            other => AdminError::SigningKey(other.to_string()),
        })
    }
}
