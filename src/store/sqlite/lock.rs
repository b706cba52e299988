//! Who uses a data directory: every process that has the store open shares a lock, and a restore takes it alone (rule R9).
//!
//! `flock` on a file of its own: the kernel gives it back when the process ends, however it ends. The database's own
//! files are never touched (rule R10).

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::store::sqlite::{GuardError, OpenError};

/// The file's name in the data directory.
pub const FILE_NAME: &str = "lock";

/// Held while it lives.
#[derive(Debug)]
pub struct DirLock {
    _file: File,
}

fn take(dir: &Path, operation: FlockOperation) -> Result<Option<DirLock>, OpenError> {
    let path = dir.join(FILE_NAME);
    let io = |operation| {
        let path = path.clone();
        move |source| OpenError::Guard(GuardError::Io { operation, path, source })
    };
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path).map_err(io("open"))?;
    match flock(&file, operation) {
        Ok(()) => Ok(Some(DirLock { _file: file })),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(io("lock")(error.into())),
    }
}

/// Beside others that use the store.
///
/// # Errors
/// When a restore is under way.
pub fn shared(dir: &Path) -> Result<DirLock, OpenError> {
    let taken = take(dir, FlockOperation::NonBlockingLockShared)?;
    taken.ok_or_else(|| OpenError::Restoring { path: dir.to_owned() })
}

/// Alone.
///
/// # Errors
/// When somebody uses the store.
pub fn exclusive(dir: &Path) -> Result<DirLock, OpenError> {
    let taken = take(dir, FlockOperation::NonBlockingLockExclusive)?;
    taken.ok_or_else(|| OpenError::InUse { path: dir.to_owned() })
}
