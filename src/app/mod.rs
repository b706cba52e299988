//! The only place where concrete types meet: settings become a store, a pepper, an authenticator, a
//! process that serves.
//!
//! [`open()`] is for everybody; [`engine`] keeps an authenticator going beside its change feed; [`plugin`], [`serve`],
//! [`init`] and [`authenticate`] are what a process can be.

pub mod authenticate;
pub mod dev;
pub mod engine;
mod hosted;
pub mod init;
pub mod plugin;
pub mod serve;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::authenticate::Problem;
use crate::clock::{Clock, Entropy, SystemClock, SystemEntropy};
use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::{OpenError, OpenOptions, ProcessKind};
use crate::verify::pepper::{self, PepperError};
use crate::verify::tag::{PepperLength, Tagger};

/// What the process is set to, in the terms of the modules that it is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the data lives. None in plugin mode until a local setting or the host names it.
    pub data_dir: Option<PathBuf>,
    /// Permits file systems that lose data or locks, for tests and `--dev` (rule R10).
    pub dev: bool,
    /// The pepper's file; beside the database by default.
    pub pepper_file: Option<PathBuf>,
    /// How to authenticate.
    pub authenticate: crate::authenticate::Settings,
    /// Hashing threads; as many as cores by default.
    pub argon_threads: usize,
    /// Hashes that may wait.
    pub argon_queue: usize,
    /// Refusals of known credentials kept one by one each second; the rest are counted.
    pub decisions_per_second: u32,
    /// Most rows of the decision log.
    pub decisions_max_rows: u64,
    /// Async worker threads.
    pub worker_threads: usize,
    /// How the plugin services answer.
    pub service: crate::transport::Settings,
    /// How the wire behaves.
    pub wire: crate::transport::go_plugin::Settings,
}

/// Why nothing can be opened, in words for people: what, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenFailure {
    /// Nobody said where the data is.
    #[error(
        "no data directory: set LATCHKEY_DATA_DIR, or data_dir in the configuration file, to an absolute path that \
         `latchkey init` made"
    )]
    NoDataDir,
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// There is no usable pepper.
    #[error(transparent)]
    Pepper(#[from] PepperError),
    /// The pepper file holds something else.
    #[error(transparent)]
    PepperLength(#[from] PepperLength),
    /// The pepper is not the one that this store was made with.
    #[error(
        "the pepper at {} is not the one of this store (its fingerprint is {found:?}, the store's {expected:?}): \
         put the right one back",
        path.display()
    )]
    WrongPepper {
        /// Where it was read.
        path: PathBuf,
        /// What it is.
        found: crate::domain::PepperFingerprint,
        /// What the store knows.
        expected: crate::domain::PepperFingerprint,
    },
    /// The system gave no thread or no randomness.
    #[error("cannot start: {0}")]
    System(#[source] std::io::Error),
}

impl OpenFailure {
    /// Whether the machine's set-up is what is wrong: where the data is, who may use it, the pepper.
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::NoDataDir | Self::Pepper(_) | Self::PepperLength(_) | Self::WrongPepper { .. } => true,
            Self::Store(error) => matches!(error, OpenError::Guard(_)),
            Self::System(_) => false,
        }
    }

    /// For `health`.
    pub fn problem(&self) -> Problem {
        let code = match self {
            Self::NoDataDir => "no_data_dir",
            Self::Store(_) => "store",
            Self::Pepper(_) | Self::PepperLength(_) => "pepper",
            Self::WrongPepper { .. } => "wrong_pepper",
            Self::System(_) => "system",
        };
        Problem { code, text: self.to_string() }
    }
}

/// A store and the pepper to use it with.
pub struct Opened {
    /// The store.
    pub store: Arc<SqliteStore>,
    /// Tags and row MACs under its pepper.
    pub tagger: Arc<Tagger>,
    /// The machine's clocks.
    pub clock: Arc<dyn Clock>,
    /// The machine's randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Where it was found.
    pub data_dir: PathBuf,
}

/// Opens the store and its pepper.
///
/// # Errors
/// What is wrong and what to do.
pub fn open(settings: &Settings, kind: ProcessKind) -> Result<Opened, OpenFailure> {
    let data_dir = settings.data_dir.clone().ok_or(OpenFailure::NoDataDir)?;
    let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let options = OpenOptions { dev: settings.dev, kind, clock: Arc::clone(&clock), entropy: Arc::clone(&entropy) };
    let store = Arc::new(SqliteStore::open(&data_dir, options)?);
    let tagger = load_tagger(settings, &data_dir, &store)?;
    Ok(Opened { store, tagger: Arc::new(tagger), clock, entropy, data_dir })
}

fn load_tagger(settings: &Settings, data_dir: &Path, store: &SqliteStore) -> Result<Tagger, OpenFailure> {
    let path = settings.pepper_file.clone().unwrap_or_else(|| data_dir.join(pepper::FILE_NAME));
    let tagger = Tagger::new(&pepper::load(&path)?)?;
    let (found, expected) = (tagger.fingerprint(), store.pepper_fingerprint());
    if found == expected { Ok(tagger) } else { Err(OpenFailure::WrongPepper { path, found, expected }) }
}
