//! The pepper file: made once by `init`, read at start, never made up when missing (rule R5).
//!
//! 64 hexadecimal digits and a newline, mode 0600, owned by us. It lies beside the database by
//! default, which protects against a copied database file and not against a copied directory;
//! backups leave it out.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::clock::Entropy;
use crate::secret::{Pepper, Secret};
use crate::verify::tag::PEPPER_LEN;

/// The file's name in a data directory.
pub const FILE_NAME: &str = "pepper";

/// Why there is no pepper. The texts say what to do.
#[derive(Debug, thiserror::Error)]
pub enum PepperError {
    /// There is none.
    #[error("no pepper at {}: restore it from where it was kept; without it no credential verifies", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// Somebody else may read or change it.
    #[error("{} must be a file of ours with mode 0600 (it is {mode:04o}, owner {owner}): chmod 600 it", path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// Its owner.
        owner: u32,
    },
    /// Not 64 hexadecimal digits.
    #[error("{} is not a pepper: expected 64 hexadecimal digits", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
    },
    /// One exists already, and is never overwritten.
    #[error("{} exists already", path.display())]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// The file could not be read or written.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// No randomness.
    #[error("the operating system's random generator failed")]
    Entropy,
}

/// Makes a new pepper; refuses to overwrite one. Durable when it returns.
///
/// # Errors
/// When one exists, or the file cannot be written.
pub fn create(path: &Path, entropy: &dyn Entropy) -> Result<Secret<Pepper>, PepperError> {
    let io = |operation: &'static str| {
        move |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::AlreadyExists => PepperError::Exists { path: path.to_owned() },
            _ => PepperError::Io { operation, path: path.to_owned(), source },
        }
    };
    let mut bytes = Zeroizing::new(vec![0; PEPPER_LEN]);
    entropy.fill(&mut bytes).map_err(|_| PepperError::Entropy)?;
    let mut text = Zeroizing::new(Vec::with_capacity(2 * PEPPER_LEN + 1));
    for byte in bytes.iter() {
        text.extend([byte >> 4, byte & 15].map(|digit| if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }));
    }
    text.push(b'\n');
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io("create"))?;
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(io("write"))?;
    if let Some(dir) = path.parent() {
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(io("sync the directory of"))?;
    }
    Ok(Secret::new(bytes.to_vec()))
}

/// Reads the pepper, after checking whose file it is.
///
/// # Errors
/// When it is missing, exposed or not a pepper.
pub fn load(path: &Path) -> Result<Secret<Pepper>, PepperError> {
    let io = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => PepperError::Missing { path: path.to_owned() },
        _ => PepperError::Io { operation: "read", path: path.to_owned(), source },
    };
    let file = File::open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    let (mode, owner) = (metadata.permissions().mode() & 0o7777, metadata.uid());
    if !metadata.is_file() || mode & 0o077 != 0 || owner != rustix::process::geteuid().as_raw() {
        return Err(PepperError::Exposed { path: path.to_owned(), mode, owner });
    }
    let mut text = Zeroizing::new(Vec::with_capacity(4 * PEPPER_LEN));
    file.take(4 * PEPPER_LEN as u64).read_to_end(&mut text).map_err(io)?;
    parse(text.trim_ascii()).ok_or_else(|| PepperError::Malformed { path: path.to_owned() })
}

/// From 64 hexadecimal digits.
pub fn parse(text: &[u8]) -> Option<Secret<Pepper>> {
    if text.len() != 2 * PEPPER_LEN {
        return None;
    }
    let digits = text.iter().map(|&c| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok()));
    let digits: Zeroizing<Vec<u8>> = Zeroizing::new(digits.collect::<Option<_>>()?);
    let bytes = digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit));
    Some(Secret::new(bytes.collect()))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests look inside secrets")]
mod tests {
    use super::*;
    use crate::clock::SystemEntropy;

    #[test]
    fn r5_a_pepper_is_made_once_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        let made = create(&path, &SystemEntropy).unwrap();
        assert_eq!(load(&path).unwrap().expose(), made.expose());
        assert!(matches!(create(&path, &SystemEntropy), Err(PepperError::Exists { .. })));
        assert_eq!(load(&path).unwrap().expose(), made.expose(), "the first one is untouched");
    }

    #[test]
    fn r5_a_missing_pepper_is_said_and_never_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        assert!(matches!(load(&path), Err(PepperError::Missing { .. })));
        assert!(!path.exists());
    }

    proptest::proptest! {
        #[test]
        fn only_64_hexadecimal_digits_are_a_pepper(text in proptest::collection::vec(proptest::prelude::any::<u8>(), 60..70)) {
            let digits = text.len() == 64 && text.iter().all(u8::is_ascii_hexdigit);
            proptest::prop_assert_eq!(parse(&text).is_some(), digits);
        }
    }

    #[test]
    fn a_pepper_that_others_may_read_or_that_is_none_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        create(&path, &SystemEntropy).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(load(&path), Err(PepperError::Exposed { mode: 0o640, .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        for bad in ["", "abc", &"g".repeat(64), &"a".repeat(63), &"a".repeat(200)] {
            std::fs::write(&path, bad).unwrap();
            assert!(matches!(load(&path), Err(PepperError::Malformed { .. })), "{bad:?}");
        }
    }
}
