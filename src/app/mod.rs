//! The only place where concrete types meet: settings become a store, a pepper, an authenticator, a
//! process that serves.
//!
//! [`open()`] is for everybody; [`engine`] keeps an authenticator going beside its change feed; [`office`] is what is
//! administered; [`plugin`], [`serve`] and [`init`] are what a process can be.

mod aside;
pub mod audit_key;
pub mod decisions;
pub mod dev;
pub mod doctor;
pub mod engine;
mod hosted;
pub mod init;
mod keep;
pub mod office;
mod outside;
pub mod peppers;
mod places;
pub mod plugin;
pub mod restore;
pub mod serve;
pub mod subject_key;
pub mod tokens;
mod word;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use crate::admin::PortalRules;
use crate::admin::{Backend, TokenRules};
use crate::authenticate::Problem;
use crate::clock::{Clock, Entropy, SystemClock, SystemEntropy};
use crate::domain::LlmGrants;
use crate::store::Store as _;
use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::migrate::MIGRATIONS;
use crate::store::sqlite::{OpenError, OpenOptions, ProcessKind};
use crate::verify::keyring::{Keyring, KeyringError};
use crate::verify::pepper::{self, PepperError, Source};
use crate::verify::tag::PepperLength;

/// What the process is set to, in the terms of the modules that it is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the data lives. None in plugin mode until a local setting or the host names it.
    pub data_dir: Option<PathBuf>,
    /// Permits file systems that lose data or locks, for tests and `--dev` (rule R10).
    pub dev: bool,
    /// The pepper's file; beside the database by default.
    pub pepper_file: Option<PathBuf>,
    /// Where peppers are if not in a file.
    pub pepper_source: Option<Source>,
    /// How to learn of Apps and Users.
    pub directory: crate::directory::Settings,
    /// How keys of outside issuers are fetched and kept.
    pub jwks: crate::jwks::Settings,
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
    /// Each so many-th acceptance kept one by one; 0 keeps none.
    pub accepted_one_in: u32,
    /// The key that signs the audit trail; beside the database by default.
    pub audit_key: Option<PathBuf>,
    /// The key of subject hashes; beside the database by default.
    pub subject_key: Option<PathBuf>,
    /// How short-lived tokens are issued.
    pub tokens: tokens::TokenSettings,
    /// How much of the trail nobody gives up over the admin RPC.
    pub audit_min_retention: std::time::Duration,
    /// A file that each checkpoint of the trail is appended to.
    pub audit_anchors: Option<PathBuf>,
    /// What people may make for themselves in the portal.
    pub portal_rules: PortalRules,
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
    /// The pepper is not one.
    #[error(transparent)]
    PepperLength(#[from] PepperLength),
    /// The peppers are not those of this store.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The authorities for fetching keys of issuers cannot be read.
    #[error(transparent)]
    Authorities(#[from] crate::jwks::TlsError),
    /// The system gave no thread or no randomness.
    #[error("cannot start: {0}")]
    System(#[source] std::io::Error),
}

impl OpenFailure {
    /// Whether the machine's set-up is what is wrong: where the data is, who may use it, the pepper.
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::NoDataDir | Self::Pepper(_) | Self::PepperLength(_) | Self::Keyring(_) | Self::Authorities(_) => true,
            Self::Store(error) => matches!(error, OpenError::Guard(_)),
            Self::System(_) => false,
        }
    }

    /// For `health`.
    pub fn problem(&self) -> Problem {
        let code = match self {
            Self::NoDataDir => "no_data_dir",
            Self::Store(_) => "store",
            Self::Keyring(KeyringError::Wrong { .. }) => "wrong_pepper",
            Self::Pepper(_) | Self::PepperLength(_) | Self::Keyring(_) => "pepper",
            Self::Authorities(_) => "jwks",
            Self::System(_) => "system",
        };
        Problem { code, text: self.to_string() }
    }
}

/// A store and the pepper to use it with.
pub struct Opened {
    /// The store.
    pub store: Arc<SqliteStore>,
    /// Its peppers.
    pub keyring: Arc<Keyring>,
    /// The machine's clocks.
    pub clock: Arc<dyn Clock>,
    /// The machine's randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Where it was found.
    pub data_dir: PathBuf,
    /// As in `auth.llm_grants`.
    pub llm_grants: LlmGrants,
    /// The key that signs its trail.
    pub audit_key: PathBuf,
    /// The key of its subject hashes.
    pub subject_key: PathBuf,
    /// How its tokens are issued.
    pub tokens: TokenRules,
    /// How keys of issuers are fetched.
    pub jwks: crate::jwks::Settings,
    asking: Arc<outside::Asking>,
}

impl Opened {
    /// What administers it.
    pub fn backend(&self) -> Backend {
        let (store, keyring) = (Arc::clone(&self.store) as _, Arc::clone(&self.keyring));
        let backend = Backend::new(store, keyring, Arc::clone(&self.clock), Arc::clone(&self.entropy), self.llm_grants);
        let (key, clock) = (self.audit_key.clone(), Arc::clone(&self.clock));
        let keys = audit_key::FileKeys::new(key, Arc::clone(&self.store), clock);
        let decisions = decisions::FileDecisions(self.data_dir.clone());
        // An opened store is brought up to date.
        let schema_version = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
        let backend = backend.with_trail_keys(Arc::new(keys)).with_decisions(Arc::new(decisions));
        let reserved = vec![self.tokens.issuer.clone()];
        let backend =
            backend.with_issuer_secrets(self.data_dir.clone()).with_issuer_keys(Arc::clone(&self.asking) as _);
        let backend = backend.with_issuer_rules(reserved, self.jwks.allow_loopback_http);
        backend
            .with_schema_version(schema_version)
            .with_subject_key(self.subject_key.clone())
            .with_tokens(self.tokens.clone())
    }
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
    store.sign_with(audit_key(settings, &data_dir), settings.audit_anchors.clone());
    let state = store.peppers().list().map_err(|error| OpenFailure::System(std::io::Error::other(error)))?;
    let keyring = Arc::new(Keyring::load(pepper_source(settings, &data_dir), &state)?);
    let (llm_grants, audit_key) = (settings.authenticate.llm_grants, audit_key(settings, &data_dir));
    let subject_key = subject_key(settings, &data_dir);
    let tokens = settings.tokens.rules(&data_dir, store.as_ref());
    let tokens = tokens.map_err(|error| OpenFailure::System(std::io::Error::other(error)))?;
    let (jwks, asking) = (settings.jwks.clone(), Arc::new(outside::Asking::new(&settings.jwks)?));
    Ok(Opened { store, keyring, clock, entropy, data_dir, llm_grants, audit_key, subject_key, tokens, jwks, asking })
}

/// Where this machine keeps the key that signs the audit trail.
pub fn audit_key(settings: &Settings, data_dir: &Path) -> PathBuf {
    settings.audit_key.clone().unwrap_or_else(|| data_dir.join(crate::audit::key::FILE_NAME))
}

/// Where this machine keeps the key of subject hashes.
pub fn subject_key(settings: &Settings, data_dir: &Path) -> PathBuf {
    settings.subject_key.clone().unwrap_or_else(|| data_dir.join(crate::verify::subject::FILE_NAME))
}

/// Where this machine keeps its peppers.
pub fn pepper_source(settings: &Settings, data_dir: &Path) -> Source {
    let file = || settings.pepper_file.clone().unwrap_or_else(|| data_dir.join(pepper::FILE_NAME));
    settings.pepper_source.clone().unwrap_or_else(|| Source::File(file()))
}
