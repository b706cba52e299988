//! The key that signs the audit trail is put in another's place.

use std::path::PathBuf;

use crate::admin::AdminError;
use crate::app::init::local_admin;
use crate::app::{OpenFailure, Opened, Settings, audit_key};
use crate::audit::checkpoint::PublicKey;
use crate::audit::key::{self, KeyError, Signer};
use crate::store::{Store as _, StoreError};

/// Why the key is the one that it was.
#[derive(Debug, thiserror::Error)]
pub enum KeyFailure {
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
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenFailure),
}

/// Makes a new key. The event that says so is signed by both, and the new key's file takes the old one's place; what
/// other processes sign with the old key until they see it does not count.
///
/// # Errors
/// When something cannot be read or written. Before the last step the old key stays in force.
pub fn rotate(settings: &Settings, opened: &Opened) -> Result<(PublicKey, PublicKey), KeyFailure> {
    let path = audit_key(settings, &opened.data_dir);
    let old = Signer::load(&path)?;
    let beside = path.with_extension("key.new");
    // What a rotation that was cut off left behind was never announced as in force.
    let _ = std::fs::remove_file(&beside);
    key::create(&beside)?;
    let new = Signer::load(&beside)?;
    // What came before is signed by the old one alone.
    opened.store.sign_now()?;
    let (sequence, head) = local_admin(opened).note_audit_key(&new.public_key())?;
    let (beginning, _) = opened.store.audit().beginning()?;
    let now_ms = opened.clock.wall_ms();
    let signed = [&old, &new].map(|signer| signer.checkpoint(beginning, sequence, head, now_ms));
    opened.store.audit().add_checkpoints(&signed)?;
    std::fs::rename(&beside, &path).map_err(|source| KeyFailure::Place { path: beside, source })?;
    Ok((old.public_key(), new.public_key()))
}
