//! The key that signs checkpoints of the audit trail: Ed25519, made by `init`, a file of its own.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

use crate::audit::chain::Hash;
use crate::audit::checkpoint::{Checkpoint, PublicKey};
use crate::secret::{Secret, SigningKey};

/// The key's name in the data directory.
pub const FILE_NAME: &str = "audit.key";

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file could not be made or read, or others may read it.
    #[error("cannot {operation} {}: {source}", path.display())]
    File {
        /// What was tried.
        operation: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// Not a PKCS#8 Ed25519 key.
    #[error("{} is not an Ed25519 private key (PKCS#8)", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
    },
    /// The library could not make one.
    #[error("an Ed25519 key could not be made")]
    Generate,
}

/// Makes the key file with mode 0600; refuses to overwrite. Durable when it returns.
///
/// # Errors
/// When one exists or it cannot be written.
#[expect(clippy::disallowed_methods, reason = "the key is written to its file, once")]
pub fn create(path: &Path) -> Result<(), KeyError> {
    let file_error = |operation| move |source| KeyError::File { operation, path: path.to_owned(), source };
    let document =
        Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new()).map_err(|_| KeyError::Generate)?;
    let key: Secret<SigningKey> = Secret::new(document.as_ref().to_vec());
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(file_error("create"))?;
    file.write_all(key.expose()).and_then(|()| file.sync_all()).map_err(file_error("write"))
}

/// Signs checkpoints. Loaded when something is to be signed and dropped after it, so that a key that was handed over is
/// used at once.
pub struct Signer {
    pair: Ed25519KeyPair,
    key: PublicKey,
}

impl Signer {
    /// Reads the key file.
    ///
    /// # Errors
    /// When the file is not there, others may read it, or it is no key.
    #[expect(clippy::disallowed_methods, reason = "the key is parsed")]
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let file_error = |operation| move |source| KeyError::File { operation, path: path.to_owned(), source };
        let malformed = || KeyError::Malformed { path: path.to_owned() };
        let metadata = std::fs::metadata(path).map_err(file_error("read"))?;
        if metadata.permissions().mode() & 0o077 != 0 || metadata.uid() != rustix::process::geteuid().as_raw() {
            let exposed = std::io::Error::new(std::io::ErrorKind::PermissionDenied, "it must be ours, with mode 0600");
            return Err(file_error("trust")(exposed));
        }
        let text: Secret<SigningKey> = Secret::new(std::fs::read(path).map_err(file_error("read"))?);
        let pair = Ed25519KeyPair::from_pkcs8(text.expose()).map_err(|_| malformed())?;
        let key = pair.public_key().as_ref().try_into().map_err(|_| malformed())?;
        Ok(Self { pair, key })
    }

    /// The public half: what a verifier elsewhere needs.
    pub fn public_key(&self) -> PublicKey {
        self.key
    }

    /// Signs how far a trail goes.
    pub fn checkpoint(&self, beginning: [u8; 16], sequence: u64, head: Hash, at_ms: i64) -> Checkpoint {
        let message = Checkpoint::message(&beginning, sequence, &head, at_ms, &self.key);
        Checkpoint { beginning, sequence, head, at_ms, key: self.key, signature: self.sign(&message) }
    }

    /// Signs a text that begins with the domain it is for, which is no checkpoint's.
    pub fn sign(&self, text: &[u8]) -> [u8; 64] {
        self.pair.sign(text).as_ref().try_into().unwrap_or([0; 64])
    }
}

/// Reads the public half of a key file.
///
/// # Errors
/// As [`Signer::load`].
pub fn public_key(path: &Path) -> Result<PublicKey, KeyError> {
    Signer::load(path).map(|signer| signer.public_key())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_its_public_half_can_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        create(&path).unwrap();
        let public = public_key(&path).unwrap();
        assert!(matches!(create(&path), Err(KeyError::File { operation: "create", .. })));
        assert_eq!(public_key(&path).unwrap(), public);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(public_key(&path), Err(KeyError::File { operation: "trust", .. })));
    }
}
