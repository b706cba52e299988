//! Whether a data directory may be opened at all (rule R10): ours alone, on a file system on which SQLite's
//! WAL is safe.

use std::fs::OpenOptions;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Why a directory or file is not fit.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// No such directory.
    #[error("the data directory {} does not exist: make it with `latchkey --data-dir {} init`", path.display(), path.display())]
    MissingDir {
        /// Which.
        path: PathBuf,
    },
    /// A directory without a store.
    #[error(
        "{} holds no store: make one with `latchkey --data-dir {} init`", path.display(),
        path.parent().unwrap_or(path).display()
    )]
    NotInitialised {
        /// The missing database.
        path: PathBuf,
    },
    /// Not a directory or not a plain file.
    #[error("the {what} {} is not a {expected}", path.display())]
    WrongType {
        /// What it should be of ours.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
    },
    /// Somebody else's.
    #[error("the {what} {} belongs to user {owner} and this process runs as {ours}: run as its owner, or chown it", path.display())]
    Owner {
        /// What it is.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        ours: u32,
    },
    /// Group or others may use it.
    #[error("the {what} {} has mode {mode:04o}, and group or others must have no access: chmod {wanted} it", path.display())]
    Mode {
        /// What it is.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What to set.
        wanted: &'static str,
    },
    /// A file system on which the WAL is not known to be safe.
    #[error("the data directory {} lies on {file_system}, where SQLite's write-ahead log is not safe: use ext4, xfs, btrfs or zfs{}", path.display(), file_system.advice())]
    FileSystem {
        /// Which directory.
        path: PathBuf,
        /// What was found.
        file_system: FileSystem,
    },
    /// The file exists already.
    #[error("{} exists already: a store is never overwritten", path.display())]
    Exists {
        /// Which.
        path: PathBuf,
    },
    /// The system said no.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
}

/// The file systems that matter, by the magic number of statfs(2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileSystem {
    /// ext2, ext3 or ext4.
    Ext,
    /// XFS.
    Xfs,
    /// Btrfs.
    Btrfs,
    /// ZFS.
    Zfs,
    /// Memory.
    Tmpfs,
    /// A container's layers.
    Overlay,
    /// Anything else, by its number.
    Other(u64),
}

impl FileSystem {
    /// From statfs(2)'s `f_type`.
    pub const fn from_magic(magic: u64) -> Self {
        match magic {
            0xEF53 => Self::Ext,
            0x5846_5342 => Self::Xfs,
            0x9123_683E => Self::Btrfs,
            0x2FC1_2FC1 => Self::Zfs,
            0x0102_1994 => Self::Tmpfs,
            0x794C_7630 => Self::Overlay,
            other => Self::Other(other),
        }
    }

    /// Whether a store may lie on it.
    pub const fn is_allowed(self, dev: bool) -> bool {
        match self {
            Self::Ext | Self::Xfs | Self::Btrfs | Self::Zfs => true,
            Self::Tmpfs | Self::Overlay => dev,
            Self::Other(_) => false,
        }
    }
}

impl FileSystem {
    /// What else to do, as the end of a sentence.
    const fn advice(self) -> &'static str {
        match self {
            Self::Tmpfs | Self::Overlay => "; for a store to be thrown away set LATCHKEY_STORE__DEV=true",
            _ => "",
        }
    }
}

impl std::fmt::Display for FileSystem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ext => f.write_str("ext4"),
            Self::Xfs => f.write_str("xfs"),
            Self::Btrfs => f.write_str("btrfs"),
            Self::Zfs => f.write_str("zfs"),
            Self::Tmpfs => f.write_str("tmpfs"),
            Self::Overlay => f.write_str("overlay"),
            Self::Other(magic) => write!(f, "a file system of type {magic:#x}"),
        }
    }
}

/// Checks that `dir` is a directory of ours, closed to others, on a file system that will do.
///
/// # Errors
/// The first thing that is not so.
pub fn check_dir(dir: &Path, dev: bool) -> Result<(), GuardError> {
    let io = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => GuardError::MissingDir { path: dir.to_owned() },
        _ => GuardError::Io { operation: "look at", path: dir.to_owned(), source },
    };
    let metadata = std::fs::metadata(dir).map_err(io)?;
    if !metadata.is_dir() {
        return Err(GuardError::WrongType { what: "data directory", path: dir.to_owned(), expected: "directory" });
    }
    check_ours("data directory", dir, &metadata, "700")?;
    let statfs = rustix::fs::statfs(dir).map_err(|errno| io(errno.into()))?;
    let file_system = FileSystem::from_magic(u64::try_from(statfs.f_type).unwrap_or(u64::MAX));
    if !file_system.is_allowed(dev) {
        return Err(GuardError::FileSystem { path: dir.to_owned(), file_system });
    }
    if matches!(file_system, FileSystem::Tmpfs | FileSystem::Overlay) {
        tracing::warn!(file_system = %file_system, "the store lies on a file system that is for development only");
    }
    Ok(())
}

/// Checks that `path` is a plain file of ours, closed to others. Looks, never opens: closing a handle of
/// our own would drop SQLite's locks.
///
/// # Errors
/// The first thing that is not so.
pub fn check_file(path: &Path) -> Result<(), GuardError> {
    let metadata = std::fs::symlink_metadata(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => GuardError::NotInitialised { path: path.to_owned() },
        _ => GuardError::Io { operation: "look at", path: path.to_owned(), source },
    })?;
    if !metadata.is_file() {
        return Err(GuardError::WrongType { what: "database", path: path.to_owned(), expected: "plain file" });
    }
    check_ours("database", path, &metadata, "600")
}

fn check_ours(
    what: &'static str,
    path: &Path,
    metadata: &std::fs::Metadata,
    wanted: &'static str,
) -> Result<(), GuardError> {
    let (owner, ours) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != ours {
        return Err(GuardError::Owner { what, path: path.to_owned(), owner, ours });
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(GuardError::Mode { what, path: path.to_owned(), mode, wanted });
    }
    Ok(())
}

/// Makes an empty file with mode 0600 that did not exist.
///
/// # Errors
/// When it exists or cannot be made.
pub fn create_file(path: &Path) -> Result<(), GuardError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    made.map(drop).map_err(|source| match source.kind() {
        std::io::ErrorKind::AlreadyExists => GuardError::Exists { path: path.to_owned() },
        _ => GuardError::Io { operation: "create", path: path.to_owned(), source },
    })
}

/// Which file a path names: device and inode.
///
/// # Errors
/// When it cannot be looked at.
pub fn identity(path: &Path) -> Result<(u64, u64), GuardError> {
    let metadata = std::fs::metadata(path).map_err(|source| GuardError::Io {
        operation: "look at",
        path: path.to_owned(),
        source,
    })?;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir_with_mode(mode: u32) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        dir
    }

    #[test]
    fn r10_a_directory_open_to_others_is_refused() {
        assert!(check_dir(dir_with_mode(0o700).path(), true).is_ok());
        for mode in [0o710, 0o701, 0o770, 0o755] {
            assert!(matches!(check_dir(dir_with_mode(mode).path(), true), Err(GuardError::Mode { .. })), "{mode:o}");
        }
        assert!(matches!(check_dir(Path::new("/nowhere/at/all"), true), Err(GuardError::MissingDir { .. })));
    }

    #[test]
    fn r10_only_file_systems_on_the_list_are_allowed() {
        let safe = [0xEF53, 0x5846_5342, 0x9123_683E, 0x2FC1_2FC1].map(FileSystem::from_magic);
        assert!(safe.iter().all(|fs| fs.is_allowed(false)));
        for dev_only in [0x0102_1994, 0x794C_7630].map(FileSystem::from_magic) {
            assert!(dev_only.is_allowed(true) && !dev_only.is_allowed(false));
        }
        // NFS, SMB, FUSE, 9p.
        for other in [0x6969, 0xFF53_4D42, 0x6573_5546, 0x0102_1997].map(FileSystem::from_magic) {
            assert!(!other.is_allowed(true), "{other}");
        }
    }

    #[test]
    fn r10_a_database_that_is_a_link_or_open_to_others_is_refused() {
        let dir = dir_with_mode(0o700);
        let file = dir.path().join("db");
        assert!(matches!(check_file(&file), Err(GuardError::NotInitialised { .. })));
        create_file(&file).unwrap();
        assert!(check_file(&file).is_ok());
        assert!(matches!(create_file(&file), Err(GuardError::Exists { .. })));
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(matches!(check_file(&link), Err(GuardError::WrongType { .. })));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o604)).unwrap();
        assert!(matches!(check_file(&file), Err(GuardError::Mode { .. })));
    }

    #[test]
    fn r10_what_belongs_to_another_user_is_refused() {
        if !rustix::process::geteuid().is_root() {
            return; // Only root can give a file away.
        }
        let dir = dir_with_mode(0o700);
        std::os::unix::fs::chown(dir.path(), Some(12_345), None).unwrap();
        assert!(matches!(check_dir(dir.path(), true), Err(GuardError::Owner { owner: 12_345, .. })));
    }
}
