//! Secrets that an issuer signs with and we verify with: each in a file of its own in the data directory, named by the
//! issuer's id, never in the database and so in no backup. The row has the secret's keyed name alone.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::domain::IssuerId;
use crate::secret::{IssuerSecret, Secret};
use crate::verify::pepper::{self, PepperError};

/// Longest secret in bytes: far more than any hash takes in.
pub const MAX_LEN: usize = 1_024;

/// Where the secret of an issuer lies.
pub fn path(dir: &Path, issuer: IssuerId) -> PathBuf {
    dir.join(format!("issuer-{issuer}.secret"))
}

/// Writes a secret with mode 0600, as it is; refuses to overwrite one. Durable when it returns.
///
/// # Errors
/// When one exists, or it cannot be written.
#[expect(clippy::disallowed_methods, reason = "the secret is written where it is kept")]
pub fn create(dir: &Path, issuer: IssuerId, secret: &Secret<IssuerSecret>) -> Result<(), PepperError> {
    let path = path(dir, issuer);
    let io = |operation: &'static str| {
        let path = path.clone();
        move |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::AlreadyExists => PepperError::Exists { path },
            _ => PepperError::Io { operation, path, source },
        }
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(io("create"))?;
    file.write_all(secret.expose()).and_then(|()| file.sync_all()).map_err(io("write"))?;
    pepper::sync_parent(&path).map_err(io("sync the directory of"))
}

/// Reads the secret of an issuer, after checking whose file it is.
///
/// # Errors
/// When it is missing, or others may read it.
pub fn load(dir: &Path, issuer: IssuerId) -> Result<Secret<IssuerSecret>, PepperError> {
    let mut bytes: Zeroizing<Vec<u8>> = pepper::read_at_most(&path(dir, issuer), MAX_LEN)?;
    Ok(Secret::new(std::mem::take(&mut *bytes)))
}

/// Removes the secret of an issuer that is gone, if it had one.
///
/// # Errors
/// When it is there and stays.
pub fn remove(dir: &Path, issuer: IssuerId) -> std::io::Result<()> {
    match std::fs::remove_file(path(dir, issuer)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests look inside secrets")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn r5_an_issuers_secret_is_kept_as_it_is_for_our_eyes_alone_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let id = IssuerId::from_bytes([7; 16]);
        let bytes = [b"\0\xffa line\n".as_slice(), &[b'x'; MAX_LEN - 9]].concat();
        create(dir.path(), id, &Secret::new(bytes.clone())).unwrap();
        assert_eq!(load(dir.path(), id).unwrap().expose(), bytes);
        let again = create(dir.path(), id, &Secret::new(b"another".to_vec()));
        assert!(matches!(again, Err(PepperError::Exists { .. })));
        assert_eq!(load(dir.path(), id).unwrap().expose(), bytes);
        let path = path(dir.path(), id);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(load(dir.path(), id), Err(PepperError::Exposed { .. })));
        remove(dir.path(), id).unwrap();
        remove(dir.path(), id).unwrap();
        assert!(matches!(load(dir.path(), id), Err(PepperError::Missing { .. })));
    }
}
