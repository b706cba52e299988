//! Room for taking back: a file of blocks that is given up when the disk is full, for revocations and suspensions alone
//! (rule R11).

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

use crate::domain::{Action, AuditEvent};

/// The file's name in the data directory.
pub const FILE_NAME: &str = "reserve";
/// How much is held back: hundreds of revocations.
pub const BYTES: u64 = 1 << 20;
/// Made anew only where so much is free beside it.
const PLENTY: u64 = 8 << 20;

/// The reserve of one data directory.
pub(super) struct Reserve(PathBuf);

impl Reserve {
    pub(super) fn beside(database: &Path) -> Self {
        Self(database.with_file_name(FILE_NAME))
    }

    /// Makes it if it is not there and there is room. Failing is as good as not trying.
    pub(super) fn tend(&self) {
        let free = self.0.parent().and_then(|dir| statvfs(dir).ok()).map_or(0, |fs| fs.f_bavail * fs.f_frsize);
        if self.0.exists() || free < BYTES + PLENTY {
            return;
        }
        let Ok(file) = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.0) else { return };
        if fallocate(&file, FallocateFlags::empty(), 0, BYTES).is_err() {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    /// Gives it up for an act that takes back. Whether that made room.
    pub(super) fn release_for(&self, events: &[AuditEvent]) -> bool {
        let takes_back = events.iter().any(|event| {
            matches!(
                event.action,
                Action::CredentialRevoked | Action::TenantSuspended | Action::IssuerRemoved | Action::TokenRevoked
            )
        });
        takes_back && std::fs::remove_file(&self.0).is_ok()
    }
}
