//! The key of subject hashes of a store that was made before there were links, or whose key is gone and under which there
//! is neither a link nor an issuer.

use crate::admin::AdminError;
use crate::app::Opened;
use crate::app::init::local_admin;
use crate::store::{Store as _, StoreError};
use crate::verify::subject::{SubjectKey, SubjectKeyError};

/// Why the store has no key of subject hashes that can be used.
#[derive(Debug, thiserror::Error)]
pub enum SubjectKeyFailure {
    /// The key's file.
    #[error(transparent)]
    Key(#[from] SubjectKeyError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was to be written.
    #[error(transparent)]
    Admin(#[from] AdminError),
}

/// Makes the key where the store knows none, and where it is missing and nothing is under it; whether it did. One that lies
/// there already, from a run that was cut off, is taken and never replaced.
///
/// # Errors
/// When the key of a store with links or issuers is missing, another one is there, or it cannot be made.
pub fn ensure(opened: &Opened) -> Result<bool, SubjectKeyFailure> {
    let (links, path) = (opened.store.links(), &opened.subject_key);
    let known = links.key()?;
    let key = match SubjectKey::load_known(path, known) {
        Ok(_) => return Ok(false),
        Err(SubjectKeyError::Unmade) if path.symlink_metadata().is_ok() => SubjectKey::load(path)?,
        Err(SubjectKeyError::Unmade) => SubjectKey::create(path, opened.entropy.as_ref())?,
        Err(SubjectKeyError::Missing { .. }) if !links.any()? => SubjectKey::create(path, opened.entropy.as_ref())?,
        Err(error) => return Err(error.into()),
    };
    local_admin(opened).set_subject_key(key.fingerprint())?;
    Ok(true)
}
