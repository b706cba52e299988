//! `init`: a data directory from nothing. Everything is made beside and moved into place, the database last, so that a
//! half-made store is never taken for one.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::admin::{Admin, AdminError, Backend, Caller, IssuedToken, TokenRules};
use crate::app::{OpenFailure, Opened, Settings};
use crate::audit::key::{self, KeyError};
use crate::clock::{Clock as _, Entropy as _, SystemClock, SystemEntropy};
use crate::domain::event::{Actor, DetailKey};
use crate::domain::{Action, Algorithm, AuditEvent, LlmGrants, Subject};
use crate::issue::{self, TokenKeyError};
use crate::store::sqlite::{self, NewKeys, OpenError, OpenOptions, ProcessKind, SqliteStore, guard};
use crate::verify::keyring::Keyring;
use crate::verify::pepper;
use crate::verify::subject::{self, SubjectKey, SubjectKeyError};
use crate::verify::tag::Tagger;

/// The one host installation that a store serves.
const REALM: &str = "host";

/// Why no store was made. Nothing that was there is touched.
#[derive(Debug, thiserror::Error)]
pub enum InitFailure {
    /// Something of a store is there.
    #[error(
        "{} exists already: nothing is ever overwritten. Use another directory; or, if this one holds no store that \
         anybody needs, remove that file first", path.display()
    )]
    Exists {
        /// What is in the way.
        path: PathBuf,
    },
    /// The directory cannot be made or written.
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
    /// The audit key could not be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The key of subject hashes could not be made or read.
    #[error(transparent)]
    SubjectKey(#[from] SubjectKeyError),
    /// The key that signs tokens could not be put in place.
    #[error(transparent)]
    TokenKey(#[from] TokenKeyError),
    /// The store or the pepper.
    #[error(transparent)]
    Open(#[from] OpenFailure),
    /// The first operator could not be added.
    #[error(transparent)]
    Admin(#[from] AdminError),
}

/// What `init` made.
pub struct Initialised {
    /// The directory.
    pub data_dir: PathBuf,
    /// Where the pepper is.
    pub pepper: pepper::Source,
    /// Where the key of subject hashes is.
    pub subject_key: PathBuf,
    /// The name of the key that signs tokens.
    pub token_key: String,
    /// The public half of the audit key.
    pub audit_public_key: [u8; 32],
    /// The first operator, with the token this once.
    pub owner: IssuedToken,
}

impl Initialised {
    /// The public half of the audit key in hexadecimal.
    pub fn audit_public_key_hex(&self) -> String {
        crate::domain::hex::encode(&self.audit_public_key)
    }
}

/// A directory to make things in, removed whatever happens.
pub(super) struct Workshop(PathBuf);

impl Workshop {
    /// In `dir`, on the same file system, under a name that begins so.
    pub(super) fn beside(dir: &Path, name: &str) -> std::io::Result<Self> {
        let mut random = [0; 8];
        SystemEntropy.fill(&mut random).map_err(std::io::Error::other)?;
        let path = dir.join(format!("{name}-{:016x}", u64::from_ne_bytes(random)));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Makes the directory (0700), the pepper (0600), the audit key, the key of subject hashes, the key that
/// signs tokens, the store and the first operator.
/// A pepper or a key of subject hashes that the configuration places elsewhere is used if it is there, and made if it is not.
///
/// # Errors
/// What is in the way. What was there before stays as it was.
pub fn init(settings: &Settings) -> Result<Initialised, InitFailure> {
    let data_dir = settings.data_dir.clone().ok_or(OpenFailure::NoDataDir)?;
    make_dir(&data_dir)?;
    guard::check_dir(&data_dir, settings.dev).map_err(|error| OpenFailure::Store(error.into()))?;
    let own_pepper = settings.pepper_file.is_none() && settings.pepper_source.is_none();
    let own_subject_key = settings.subject_key.is_none();
    // The database last: without it there is no store.
    let names = [
        own_pepper.then_some(pepper::FILE_NAME),
        own_subject_key.then_some(subject::FILE_NAME),
        Some(key::FILE_NAME),
        Some(sqlite::FILE_NAME),
    ];
    for name in names.into_iter().flatten() {
        let path = data_dir.join(name);
        if path.symlink_metadata().is_ok() {
            return Err(InitFailure::Exists { path });
        }
    }
    let workshop = Workshop::beside(&data_dir, ".init").map_err(|source| InitFailure::Io {
        operation: "make a directory in",
        path: data_dir.clone(),
        source,
    })?;
    let pepper_path = settings.pepper_file.clone().unwrap_or_else(|| workshop.0.join(pepper::FILE_NAME));
    let secret = if let Some(source) = &settings.pepper_source {
        let first = source.read().map_err(OpenFailure::from)?.into_iter().next();
        first.ok_or(pepper::PepperError::Unset)
    } else if own_pepper || !pepper_path.exists() {
        pepper::create(&pepper_path, &SystemEntropy)
    } else {
        pepper::load(&pepper_path)
    };
    let tagger = Tagger::new(&secret.map_err(OpenFailure::from)?).map_err(OpenFailure::from)?;
    key::create(&workshop.0.join(key::FILE_NAME))?;
    let audit_public_key = key::public_key(&workshop.0.join(key::FILE_NAME))?;
    let subject_path = settings.subject_key.clone().unwrap_or_else(|| workshop.0.join(subject::FILE_NAME));
    let subject_key = if subject_path.symlink_metadata().is_ok() {
        SubjectKey::load(&subject_path)?
    } else {
        SubjectKey::create(&subject_path, &SystemEntropy)?
    };
    let token_dir = settings.tokens.key_dir(&workshop.0);
    let first = First { subject_key, subject_path, token_dir: token_dir.clone() };
    let (owner, token_key) = make_store(&workshop.0, settings, Arc::new(tagger), first)?;
    if settings.tokens.key_dir.is_none() {
        let made = issue::keys::path(&token_dir, &token_key)?;
        put_in_place(&made, &issue::keys::path(&data_dir, &token_key)?)?;
    }
    for name in names.into_iter().flatten() {
        put_in_place(&workshop.0.join(name), &data_dir.join(name))?;
    }
    sync_dir(&data_dir)?;
    let pepper = crate::app::pepper_source(settings, &data_dir);
    let subject_key = crate::app::subject_key(settings, &data_dir);
    Ok(Initialised { data_dir, pepper, subject_key, token_key, audit_public_key, owner })
}

/// What the first rows are sealed with, and where the first key that signs tokens is made.
struct First {
    subject_key: SubjectKey,
    subject_path: PathBuf,
    token_dir: PathBuf,
}

/// The store, its first operator, and the name of the key that signs its tokens.
fn make_store(
    dir: &Path,
    settings: &Settings,
    tagger: Arc<Tagger>,
    first: First,
) -> Result<(IssuedToken, String), InitFailure> {
    let First { subject_key, subject_path, token_dir } = first;
    let (clock, entropy, dev) = (Arc::new(SystemClock), Arc::new(SystemEntropy), settings.dev);
    let options = OpenOptions { dev, kind: ProcessKind::Command, clock: clock.clone(), entropy: entropy.clone() };
    let (fingerprint, subject_key) = (tagger.fingerprint(), subject_key.fingerprint());
    let first = AuditEvent {
        at_ms: clock.wall_ms(),
        actor: local_actor(),
        action: Action::StoreInitialised,
        subject: Subject::Everything,
        tenant: None,
        details: vec![
            (DetailKey::PepperFingerprint, fingerprint.to_string()),
            (DetailKey::SubjectKeyFingerprint, subject_key.to_string()),
        ],
        request_id: String::new(),
    };
    let keys = NewKeys { pepper: fingerprint, subject_key: Some(subject_key) };
    let store = SqliteStore::create(dir, REALM, keys, &first, options).map_err(OpenFailure::Store)?;
    let store = Arc::new(store);
    let keyring = Arc::new(Keyring::single(tagger));
    let tokens = settings.tokens.rules(&token_dir, store.as_ref()).map_err(AdminError::from)?;
    let backend = Backend::new(store.clone(), keyring, clock, entropy, LlmGrants::Required);
    let backend = backend.with_subject_key(subject_path).with_tokens(TokenRules { key_dir: token_dir, ..tokens });
    let admin = backend.admin(local_caller());
    let token_key = admin.rotate_signing_key(Algorithm::EdDSA, false)?.key.kid;
    let owner = admin.add_owner("owner")?;
    drop((admin, backend));
    // The writer's end closes the database, which folds the write-ahead log into it.
    match Arc::into_inner(store).map(SqliteStore::close) {
        Some(Ok(())) => Ok((owner, token_key)),
        Some(Err(error)) => Err(OpenFailure::Store(error).into()),
        None => Err(OpenFailure::Store(OpenError::System { what: "the new store is still in use".to_owned() }).into()),
    }
}

/// Whoever runs this process.
pub fn local_actor() -> Actor {
    Actor::Local { uid: rustix::process::geteuid().as_raw() }
}

/// The same, with the files in hand: an unbound owner (rule R3).
pub fn local_caller() -> Caller {
    Caller::unbound_owner(local_actor()).from_there("files")
}

/// The use cases over an opened store, for whoever runs this process: with the files in hand, an unbound owner.
pub fn local_admin(opened: &Opened) -> Admin {
    opened.backend().admin(local_caller())
}

fn make_dir(dir: &Path) -> Result<(), InitFailure> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map_err(|source| InitFailure::Io { operation: "make", path: dir.to_owned(), source }),
    }
}

/// Puts a file where none is. A link, because it never replaces anything on any file system; the other name goes with
/// the workshop.
fn put_in_place(from: &Path, to: &Path) -> Result<(), InitFailure> {
    fs::hard_link(from, to).map_err(|source| match source.kind() {
        std::io::ErrorKind::AlreadyExists => InitFailure::Exists { path: to.to_owned() },
        _ => InitFailure::Io { operation: "make", path: to.to_owned(), source },
    })
}

fn sync_dir(dir: &Path) -> Result<(), InitFailure> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|source| InitFailure::Io { operation: "sync", path: dir.to_owned(), source })
}
