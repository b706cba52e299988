//! What is done to peppers: where they are kept, and what the store knows of them.

use std::sync::Arc;
use std::time::Duration;

use crate::admin::{AdminError, Backend};
use crate::app::init::{local_admin, local_caller};
use crate::app::{OpenFailure, Settings, pepper_source};
use crate::clock::{SystemClock, SystemEntropy};
use crate::domain::PepperFingerprint;
use crate::secret::{Pepper, Secret};
use crate::store::Store as _;
use crate::store::sqlite::{OpenOptions, ProcessKind, SqliteStore};
use crate::verify::keyring::Keyring;
use crate::verify::pepper::{self, PepperError, Source};
use crate::verify::tag::Tagger;

/// How long a new pepper is known before rows name it: twenty looks at the change feed.
const SETTLE: Duration = Duration::from_secs(1);

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum PepperFailure {
    /// The store or its peppers.
    #[error(transparent)]
    Open(#[from] OpenFailure),
    /// What was asked for cannot be done.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// Only the operator can put a pepper there.
    #[error(
        "the source {0} holds no pepper that the store does not know: add a line that `latchkey pepper generate` prints, \
         in every process's source, then rotate"
    )]
    NoneNew(String),
    /// Nothing is lost.
    #[error("the store's pepper {0} is here: nothing is lost")]
    NotLost(PepperFingerprint),
}

impl From<PepperError> for PepperFailure {
    fn from(error: PepperError) -> Self {
        Self::Open(error.into())
    }
}

fn tagger(pepper: &Secret<Pepper>) -> Result<Tagger, PepperFailure> {
    Tagger::new(pepper).map_err(|error| OpenFailure::from(error).into())
}

/// The first pepper of the source that is not among these.
fn first_new(source: &Source, known: &[PepperFingerprint]) -> Result<Option<Tagger>, PepperFailure> {
    for pepper in source.read()? {
        let tagger = tagger(&pepper)?;
        if !known.contains(&tagger.fingerprint()) {
            return Ok(Some(tagger));
        }
    }
    Ok(None)
}

/// Gives new rows a new pepper: made here where it is kept in a file, else one that the operator put into the source. Rows
/// under the old one verify as before and move at their next use. Returns the new one's fingerprint.
///
/// # Errors
/// When there is none to rotate to, or the store fails; whatever was done then is used by the next try.
pub fn rotate(settings: &Settings) -> Result<PepperFingerprint, PepperFailure> {
    let opened = crate::app::open(settings, ProcessKind::Command)?;
    let failed = |error| PepperFailure::Admin(AdminError::Store(error));
    let state = opened.store.peppers().list().map_err(failed)?;
    let source = pepper_source(settings, &opened.data_dir);
    let used: Vec<PepperFingerprint> = state
        .versions
        .iter()
        // One that was added and never made current is left of a rotation that was cut off.
        .filter(|version| {
            version.fingerprint == state.current || version.retired_at_ms.is_some() || older(version, &state)
        })
        .map(|version| version.fingerprint)
        .collect();
    let new = match (first_new(&source, &used)?, &source) {
        (Some(new), _) => new,
        (None, Source::File(path)) => tagger(&pepper::append(path, opened.entropy.as_ref())?)?,
        (None, _) => return Err(PepperFailure::NoneNew(source.to_string())),
    };
    local_admin(&opened).rotate_pepper(new.fingerprint(), SETTLE)?;
    Ok(new.fingerprint())
}

/// Whether a pepper was added before the current one.
fn older(version: &crate::domain::PepperVersion, state: &crate::domain::Peppers) -> bool {
    let current = state.versions.iter().find(|other| other.fingerprint == state.current);
    current.is_some_and(|current| version.added_at_ms < current.added_at_ms)
}

/// Goes on without the store's pepper, which is lost: a new one is made (or taken from the source), and for this long a
/// key is proven once more by Argon2id at its next use. Returns the lost one and the new one.
///
/// # Errors
/// When the pepper is not lost, or there is none to go on with.
pub fn recover(settings: &Settings, for_ms: i64) -> Result<(PepperFingerprint, PepperFingerprint), PepperFailure> {
    use crate::clock::Clock as _;
    let data_dir = settings.data_dir.clone().ok_or(OpenFailure::NoDataDir)?;
    let options = OpenOptions {
        dev: settings.dev,
        kind: ProcessKind::Command,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
    };
    let store = Arc::new(SqliteStore::open(&data_dir, options).map_err(OpenFailure::from)?);
    let failed = |error| PepperFailure::Admin(AdminError::Store(error));
    let state = store.peppers().list().map_err(failed)?;
    let source = pepper_source(settings, &data_dir);
    let held = match source.read() {
        Ok(peppers) => {
            let fingerprints = peppers.iter().map(|pepper| tagger(pepper).map(|tagger| tagger.fingerprint()));
            fingerprints.collect::<Result<Vec<_>, _>>()?
        }
        Err(PepperError::Missing { .. } | PepperError::Unset) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    if held.contains(&state.current) {
        return Err(PepperFailure::NotLost(state.current));
    }
    let known: Vec<PepperFingerprint> = state.versions.iter().map(|version| version.fingerprint).collect();
    let new = if held.is_empty() { None } else { first_new(&source, &known)? };
    let new = match (new, &source) {
        (Some(new), _) => Arc::new(new),
        (None, Source::File(path)) => Arc::new(tagger(&pepper::append(path, &SystemEntropy)?)?),
        (None, _) => return Err(PepperFailure::NoneNew(source.to_string())),
    };
    let keyring = Arc::new(Keyring::single(Arc::clone(&new)));
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let backend = Backend::new(store, keyring, clock, entropy, settings.authenticate.llm_grants);
    backend.admin(local_caller()).lose_pepper(state.current, &new, SystemClock.wall_ms().saturating_add(for_ms))?;
    Ok((state.current, new.fingerprint()))
}
