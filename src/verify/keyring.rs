//! The peppers that this process holds, and which of them new rows get.
//!
//! A row names the pepper that it was made under; a process that holds it verifies the row, whichever is current. One
//! that does not hold it denies (rule R5). After a rotation the feed tells every process to read its source again.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::domain::{Credential, Operator, PepperFingerprint, Peppers};
use crate::secret::equal_in_constant_time;
use crate::verify::imported::HmacKey;
use crate::verify::pepper::{PepperError, Source};
use crate::verify::tag::{PepperLength, Tagger};

/// Why there is no keyring to work with.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The source has none, or it cannot be read.
    #[error(transparent)]
    Pepper(#[from] PepperError),
    /// What it has is none.
    #[error(transparent)]
    Length(#[from] PepperLength),
    /// It has others than the store's.
    #[error(
        "the pepper {source_name} is not the one of this store (its fingerprint is {found}, the store's {expected}): \
         put the right one back"
    )]
    Wrong {
        /// Where it was read.
        source_name: String,
        /// What was there.
        found: String,
        /// What the store has.
        expected: PepperFingerprint,
    },
}

/// What is held at one moment.
pub struct Ring {
    current: Arc<Tagger>,
    others: Vec<Arc<Tagger>>,
    lost: Vec<(PepperFingerprint, i64)>,
    hmac: Vec<HmacKey>,
}

impl Ring {
    fn read(source: &Source, state: &Peppers) -> Result<Self, KeyringError> {
        let mut taggers = Vec::new();
        let kept = source.read_all()?;
        for pepper in kept.peppers {
            let tagger = Arc::new(Tagger::new(&pepper)?);
            let retired = |v: &crate::domain::PepperVersion| v.retired_at_ms.is_some();
            let known = state.versions.iter().find(|version| version.fingerprint == tagger.fingerprint());
            // One that the store does not list yet is on its way in; a retired one is gone.
            if !known.is_some_and(retired) {
                taggers.push(tagger);
            }
        }
        let Some(at) = taggers.iter().position(|tagger| tagger.fingerprint() == state.current) else {
            let found: Vec<String> = taggers.iter().map(|tagger| tagger.fingerprint().to_string()).collect();
            return Err(KeyringError::Wrong {
                source_name: source.to_string(),
                found: found.join(", "),
                expected: state.current,
            });
        };
        let current = taggers.swap_remove(at);
        let lost = state.versions.iter().filter_map(|version| {
            let lost = version.lost?;
            let mac = current.loss_mac(version.fingerprint, lost.until_ms);
            // Nobody without the pepper starts a recovery by writing into the file.
            equal_in_constant_time(&mac, &lost.mac).then_some((version.fingerprint, lost.until_ms))
        });
        Ok(Self { lost: lost.collect(), current, others: taggers, hmac: kept.hmac })
    }

    /// The one that new rows get.
    pub fn current(&self) -> &Arc<Tagger> {
        &self.current
    }

    /// All that are held, the current one first.
    pub fn held(&self) -> impl Iterator<Item = &Arc<Tagger>> {
        std::iter::once(&self.current).chain(&self.others)
    }

    /// The one of that fingerprint.
    pub fn of(&self, fingerprint: PepperFingerprint) -> Option<&Arc<Tagger>> {
        self.held().find(|tagger| tagger.fingerprint() == fingerprint)
    }

    /// Whether a row under that pepper, which nobody has any more, may be proven anew by Argon2id.
    pub fn is_recovering(&self, fingerprint: PepperFingerprint, now_ms: i64) -> bool {
        self.of(fingerprint).is_none() && self.lost.iter().any(|(lost, until)| *lost == fingerprint && now_ms < *until)
    }

    /// Whether it was declared lost, for however long.
    pub fn is_lost(&self, fingerprint: PepperFingerprint) -> bool {
        self.of(fingerprint).is_none() && self.lost.iter().any(|(lost, _)| *lost == fingerprint)
    }

    /// Whether a row is as a holder of its pepper wrote it; none where we do not hold that.
    pub fn is_genuine(&self, row: &Credential) -> Option<bool> {
        let tagger = self.of(row.verifier.pepper)?;
        Some(equal_in_constant_time(&tagger.credential_mac(row), &row.row_mac))
    }

    /// The same of an operator's row: it says role and tenants, and whoever has the file alone must not say more of them
    /// (rule R4).
    pub fn is_genuine_operator(&self, row: &Operator) -> Option<bool> {
        let tagger = self.of(row.verifier.pepper)?;
        Some(equal_in_constant_time(&tagger.operator_mac(row), &row.row_mac))
    }

    /// Seals a row under the pepper that it names; under one that we do not hold it is left as it is.
    pub fn seal(&self, row: &mut Credential) {
        if let Some(tagger) = self.of(row.verifier.pepper) {
            row.row_mac = tagger.credential_mac(row);
        }
    }

    /// Constant keys of other systems' HMACs.
    pub fn hmac_keys(&self) -> &[HmacKey] {
        &self.hmac
    }

    /// Fingerprints of all that are held, the current one first.
    pub fn fingerprints(&self) -> Vec<PepperFingerprint> {
        self.held().map(|tagger| tagger.fingerprint()).collect()
    }
}

/// The peppers of a process.
pub struct Keyring {
    ring: ArcSwap<Ring>,
    source: Option<Source>,
}

impl Keyring {
    /// Of one pepper that is in hand: for a new store, and tests.
    pub fn single(tagger: Arc<Tagger>) -> Self {
        let ring = Ring { current: tagger, others: Vec::new(), lost: Vec::new(), hmac: Vec::new() };
        Self { ring: ArcSwap::from_pointee(ring), source: None }
    }

    /// Reads the source, and takes what the store knows.
    ///
    /// # Errors
    /// When the store's current pepper is not there.
    pub fn load(source: Source, state: &Peppers) -> Result<Self, KeyringError> {
        let ring = Ring::read(&source, state)?;
        Ok(Self { ring: ArcSwap::from_pointee(ring), source: Some(source) })
    }

    /// Reads the source again. What was held before stays if that fails. Blocks: not for an async thread.
    ///
    /// # Errors
    /// As [`Keyring::load`].
    pub fn reload(&self, state: &Peppers) -> Result<(), KeyringError> {
        if let Some(source) = &self.source {
            self.ring.store(Arc::new(Ring::read(source, state)?));
        }
        Ok(())
    }

    /// What is held now.
    pub fn ring(&self) -> arc_swap::Guard<Arc<Ring>> {
        self.ring.load()
    }
}

#[cfg(test)]
#[path = "keyring_tests.rs"]
mod tests;
