//! The key of subject hashes, and everything that is computed under it (rule R5): whom of an issuer a link is about, and
//! that its row, an issuer's row or the keys that were kept of one were written by who holds the key.
//!
//! A key of its own, because subjects are short and often known: whoever had the database and could compute hashes could
//! try names. It is made by `init`, and once by `migrate up` for a store from before there were links; it is never made up
//! where it is missing. Read when something is to be computed and dropped after it.

use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit as _};
use sha2::Sha256;

use crate::clock::Entropy;
use crate::domain::issuer::{ClaimPath, FirstUse, Half, Identity, KeySource, TokenRules};
use crate::domain::{
    AppId, IssuedToken, Issuer, IssuerId, Link, SigningKeyRow, SubjectHash, SubjectKeyFingerprint, TenantId, UserId,
};
use crate::secret::{IssuerSecret, Secret, SubjectKeyBytes, equal_in_constant_time};
use crate::store::KeptKeys;
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
        "no key of subject hashes at {}: put it back from where it was kept; without it no link and no issuer is added or believed",
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

/// Computes subject hashes and the MACs of links and issuers.
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

    /// The MAC over everything that an issuer's row asserts.
    pub fn issuer_mac(&self, row: &Issuer) -> [u8; 32] {
        let mut fields = Fields::new(b"latchkey issuer row v1");
        fields.bytes(row.tenant.as_bytes());
        fields.bytes(row.id.as_bytes());
        rules(&mut fields, &row.rules);
        fields.bytes(row.keys.kind().as_bytes());
        match &row.keys {
            KeySource::Url(text) | KeySource::Keys(text) => fields.bytes(text.as_bytes()),
            KeySource::Secret(fingerprint) => fields.bytes(fingerprint),
        }
        identity(&mut fields, &row.identity);
        path(&mut fields, &row.scope_claim);
        fields.number(i64::from(row.strict));
        fields.number(count(&row.waivers));
        for waiver in &row.waivers {
            fields.bytes(waiver.rule.as_bytes());
            fields.bytes(waiver.owner.as_bytes());
            fields.number(waiver.until_ms);
        }
        fields.number(i64::from(row.active));
        fields.bytes(row.created_by.as_bytes());
        fields.number(row.created_at_ms);
        fields.number(row.generation.0);
        finish(Hmac::clone(&self.keyed), b"latchkey issuer v1", &[fields.as_bytes()])
    }

    /// Whether an issuer's row is as a holder of the key wrote it (rule R4).
    pub fn is_genuine_issuer(&self, row: &Issuer) -> bool {
        equal_in_constant_time(&self.issuer_mac(row), &row.mac)
    }

    /// The MAC over keys that are kept of an issuer: which, from where, and when they came.
    pub fn keys_mac(&self, issuer: IssuerId, url: &str, jwks: &str, fetched_at_ms: i64) -> [u8; 32] {
        let parts: [&[u8]; 4] = [issuer.as_bytes(), url.as_bytes(), jwks.as_bytes(), &fetched_at_ms.to_be_bytes()];
        finish(Hmac::clone(&self.keyed), b"latchkey issuer keys v1", &parts)
    }

    /// Whether kept keys are as a holder of the key kept them, of this issuer and from there.
    pub fn are_genuine_keys(&self, issuer: IssuerId, url: &str, kept: &KeptKeys) -> bool {
        equal_in_constant_time(&self.keys_mac(issuer, url, &kept.jwks, kept.fetched_at_ms), &kept.mac)
    }

    /// Names a secret that an issuer's tokens are signed with: of this issuer alone, so that two rows do not tell whether
    /// they have the same.
    #[expect(clippy::disallowed_methods, reason = "the fingerprint is computed over the secret")]
    pub fn secret_fingerprint(&self, issuer: IssuerId, secret: &Secret<IssuerSecret>) -> [u8; 32] {
        finish(Hmac::clone(&self.keyed), b"latchkey issuer secret v1", &[issuer.as_bytes(), secret.expose()])
    }

    /// The MAC over everything that the row of a token in force asserts.
    pub fn token_mac(&self, row: &IssuedToken) -> [u8; 32] {
        let mut fields = Fields::new(b"latchkey token row v1");
        fields.bytes(&row.jti.0);
        fields.bytes(row.tenant.as_bytes());
        fields.bytes(row.credential.as_bytes());
        fields.number(row.parent.0);
        fields.bytes(&row.content);
        fields.number(row.issued_at_ms);
        fields.number(row.expires_at_ms);
        finish(Hmac::clone(&self.keyed), b"latchkey token v1", &[fields.as_bytes()])
    }

    /// Whether a token's row is as a holder of the key wrote it and nobody took it back (rule R4): who takes one back breaks
    /// the seal.
    pub fn is_genuine_token(&self, row: &IssuedToken) -> bool {
        row.revoked_at_ms.is_none() && equal_in_constant_time(&self.token_mac(row), &row.mac)
    }

    /// The MAC over everything that the row of a key asserts that signs tokens.
    pub fn signing_key_mac(&self, row: &SigningKeyRow) -> [u8; 32] {
        let mut fields = Fields::new(b"latchkey signing key row v1");
        fields.bytes(row.kid.as_bytes());
        fields.bytes(row.algorithm.as_str().as_bytes());
        fields.bytes(row.public_jwk.as_bytes());
        fields.number(row.created_at_ms);
        fields.optional(row.retires_at_ms);
        finish(Hmac::clone(&self.keyed), b"latchkey signing key v1", &[fields.as_bytes()])
    }

    /// Whether the row of a key that signs tokens is as a holder of the key wrote it (rule R4).
    pub fn is_genuine_signing_key(&self, row: &SigningKeyRow) -> bool {
        equal_in_constant_time(&self.signing_key_mac(row), &row.mac)
    }

    /// What is kept of a request that names a subject, in the place of its plain hash, by which names could be tried.
    pub fn request_hash(&self, hash: &[u8; 32]) -> [u8; 32] {
        finish(Hmac::clone(&self.keyed), b"latchkey link request v1", &[hash])
    }
}

fn count<T>(list: &[T]) -> i64 {
    i64::try_from(list.len()).unwrap_or(i64::MAX)
}

fn path(fields: &mut Fields, path: &ClaimPath) {
    fields.list(path.0.iter().map(String::as_bytes));
}

fn rules(fields: &mut Fields, rules: &TokenRules) {
    // Every field by its name: a new one is to be sealed too.
    let TokenRules { iss, audiences, algorithms, types, leeway_s, max_age_s, required } = rules;
    fields.bytes(iss.as_bytes());
    fields.list(audiences.iter().map(String::as_bytes));
    fields.list(algorithms.iter().map(|algorithm| algorithm.as_str().as_bytes()));
    fields.list(types.iter().map(String::as_bytes));
    fields.number(i64::from(*leeway_s));
    fields.optional(max_age_s.map(i64::from));
    fields.number(count(required));
    for claim in required {
        path(fields, claim);
    }
}

fn half<Id: Copy>(fields: &mut Fields, half: &Half<Id>, number: impl Fn(Id) -> u32) {
    match half {
        Half::Fixed(id) => {
            fields.bytes(b"fixed");
            fields.number(i64::from(number(*id)));
        }
        Half::Claim(claim) => {
            fields.bytes(b"claim");
            path(fields, claim);
        }
    }
}

fn identity(fields: &mut Fields, identity: &Identity) {
    match identity {
        Identity::Mapped { app, user } => {
            fields.bytes(b"mapped");
            half(fields, app, AppId::get);
            half(fields, user, UserId::get);
        }
        Identity::Linked { first_use: None } => fields.bytes(b"linked"),
        Identity::Linked { first_use: Some(FirstUse { app, user, allow, cap, until_ms }) } => {
            fields.bytes(b"linked at first use");
            fields.number(i64::from(app.get()));
            fields.number(i64::from(user.get()));
            fields.number(count(allow));
            for (claim, text) in allow {
                path(fields, claim);
                fields.bytes(text.as_bytes());
            }
            fields.number(i64::from(*cap));
            fields.number(*until_ms);
        }
    }
}

#[cfg(test)]
#[path = "subject_tests.rs"]
mod tests;
