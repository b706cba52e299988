//! The key of subject hashes, and everything that is computed under it (rule R5): whom of an issuer a link is about, and
//! that its row was written by who holds the key.
//!
//! A key of its own, because subjects are short and often known: whoever had the database and could compute hashes could
//! try names. It is made by `init`, and once by `migrate up` for a store from before there were links; it is never made up
//! where it is missing. Read when something is to be computed and dropped after it.

use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit as _};
use sha2::Sha256;

use crate::clock::Entropy;
use crate::domain::{Link, SubjectHash, SubjectKeyFingerprint, TenantId};
use crate::secret::{Secret, SubjectKeyBytes, equal_in_constant_time};
use crate::verify::pepper::{self, PepperError};
use crate::verify::tag::{Fields, PEPPER_LEN, finish};

/// The key's name in a data directory.
pub const FILE_NAME: &str = "subject.key";

/// Bytes of the key.
pub const KEY_LEN: usize = PEPPER_LEN;

/// Why there is no key to compute with. The texts say what to do.
#[derive(Debug, thiserror::Error)]
pub enum SubjectKeyError {
    /// The store knows none.
    #[error("this store has no key of subject hashes yet: `latchkey migrate up` on its machine makes one")]
    Unmade,
    /// It is not where it should be.
    #[error(
        "no key of subject hashes at {}: put it back from where it was kept; without it no link is added, found or believed",
        path.display()
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// Not a line of 64 hexadecimal digits.
    #[error("{} holds no key of subject hashes: expected 64 hexadecimal digits", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
    },
    /// Another one than the store's.
    #[error(
        "the key of subject hashes at {} is not the one of this store (its fingerprint is {found}, the store's {expected}): \
         put the right one back", path.display()
    )]
    Wrong {
        /// Where it was read.
        path: PathBuf,
        /// What was there.
        found: SubjectKeyFingerprint,
        /// What the store has.
        expected: SubjectKeyFingerprint,
    },
    /// The file exists already, is exposed, or cannot be read or written.
    #[error(transparent)]
    File(PepperError),
}

/// What a failure with a file of the key is.
fn of_file(path: &Path) -> impl FnOnce(PepperError) -> SubjectKeyError {
    let path = path.to_owned();
    move |error| match error {
        PepperError::Missing { .. } => SubjectKeyError::Missing { path },
        other => SubjectKeyError::File(other),
    }
}

/// Computes subject hashes and the MACs of links.
pub struct SubjectKey {
    /// Never swapped out (rule R20), where the system lets us. Dropped before what it keeps locked.
    _locked: Option<region::LockGuard>,
    keyed: Box<Hmac<Sha256>>,
    fingerprint: SubjectKeyFingerprint,
}

impl SubjectKey {
    /// Keys the MAC; none where the key has not its length.
    #[expect(clippy::disallowed_methods, reason = "the MAC is keyed with the key of subject hashes, once")]
    fn new(key: &Secret<SubjectKeyBytes>) -> Option<Self> {
        let keyed = Some(key).filter(|key| key.len() == KEY_LEN);
        let keyed = Box::new(Hmac::<Sha256>::new_from_slice(keyed?.expose()).ok()?);
        let locked = region::lock(std::ptr::from_ref(&*keyed), size_of::<Hmac<Sha256>>());
        let digest = finish(Hmac::clone(&keyed), b"latchkey subject key fingerprint v1", &[]);
        let fingerprint = SubjectKeyFingerprint(*digest.first_chunk()?);
        Some(Self { _locked: locked.ok(), keyed, fingerprint })
    }

    /// Makes the key file with mode 0600; refuses to overwrite one. Durable when it returns.
    ///
    /// # Errors
    /// When one exists or it cannot be written.
    pub fn create(path: &Path, entropy: &dyn Entropy) -> Result<Self, SubjectKeyError> {
        let key = pepper::create_file(path, entropy).map_err(of_file(path))?;
        Self::new(&key).ok_or_else(|| SubjectKeyError::Malformed { path: path.to_owned() })
    }

    /// Reads the key file.
    ///
    /// # Errors
    /// When it is missing, exposed or holds no key.
    pub fn load(path: &Path) -> Result<Self, SubjectKeyError> {
        let text = pepper::read_file(path).map_err(of_file(path))?;
        let key = pepper::parse_key(text.trim_ascii());
        key.and_then(|key| Self::new(&key)).ok_or_else(|| SubjectKeyError::Malformed { path: path.to_owned() })
    }

    /// Reads the key that the store knows.
    ///
    /// # Errors
    /// As [`SubjectKey::load`]; also when the store knows none, or another.
    pub fn load_known(path: &Path, known: Option<SubjectKeyFingerprint>) -> Result<Self, SubjectKeyError> {
        let expected = known.ok_or(SubjectKeyError::Unmade)?;
        let key = Self::load(path)?;
        if key.fingerprint == expected {
            return Ok(key);
        }
        Err(SubjectKeyError::Wrong { path: path.to_owned(), found: key.fingerprint, expected })
    }

    /// Names the key.
    pub fn fingerprint(&self) -> SubjectKeyFingerprint {
        self.fingerprint
    }

    /// What a subject is found by: of this tenant and issuer alone.
    pub fn hash(&self, tenant: TenantId, issuer: &str, subject: &str) -> SubjectHash {
        let parts: [&[u8]; 3] = [tenant.as_bytes(), issuer.as_bytes(), subject.as_bytes()];
        SubjectHash(finish(Hmac::clone(&self.keyed), b"latchkey subject v1", &parts))
    }

    /// The MAC over everything that a link's row asserts.
    pub fn link_mac(&self, row: &Link) -> [u8; 32] {
        let mut fields = Fields::new(b"latchkey link row v1");
        fields.bytes(row.tenant.as_bytes());
        fields.bytes(row.id.as_bytes());
        fields.bytes(row.issuer.as_bytes());
        fields.bytes(&row.subject.0);
        fields.number(i64::from(row.app.get()));
        fields.number(i64::from(row.user.get()));
        fields.number(row.generation.0);
        finish(Hmac::clone(&self.keyed), b"latchkey link v1", &[fields.as_bytes()])
    }

    /// Whether a row is as a holder of the key wrote it (rule R4).
    pub fn is_genuine(&self, row: &Link) -> bool {
        equal_in_constant_time(&self.link_mac(row), &row.mac)
    }

    /// What is kept of a request that names a subject, in the place of its plain hash, by which names could be tried.
    pub fn request_hash(&self, hash: &[u8; 32]) -> [u8; 32] {
        finish(Hmac::clone(&self.keyed), b"latchkey link request v1", &[hash])
    }
}

#[cfg(test)]
#[path = "subject_tests.rs"]
mod tests;
