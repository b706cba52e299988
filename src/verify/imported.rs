//! Proves keys that other systems made. They carry no id of ours: what is presented is turned into what each method in use
//! finds keys by, and found by a keyed handle of that (rule R6).
//!
//! A key that was proven by a salted digest or another system's hash is proven by its own digest from then on. Slow hashes run for
//! secrets of low entropy, and where another system's hash is all that is known, so refusals are released by a timer
//! (rule R13).

use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Sha256, Sha512};
use zeroize::Zeroizing;

use crate::clock::Entropy;
use crate::domain::imported::{Algorithm, Handle, HmacKeyId, LENGTHS, Method, Prehash, Proof};
use crate::domain::presented::Scheme;
use crate::domain::{Credential, CredentialId, PepperFingerprint, Presented, Reason, Subject, Tag, hex};
use crate::secret::equal_in_constant_time;
use crate::store::{Resealed, Store, StoreResult};
use crate::verify::api_key::{Sealed, absent, refused};
use crate::verify::keyring::{Keyring, Ring};
use crate::verify::{Asked, Refused, RestsOn, Verified, Verifier, argon, tag};

/// The methods in use, each with the pepper of its handles.
pub type Methods = Vec<(Method, PepperFingerprint)>;

/// Most methods of a store: each costs a digest and a read for everything that may be a key of another system.
pub const MOST_METHODS: usize = 8;

/// When a refusal leaves: longer than one Argon2id hash of ours takes.
pub const QUANTUM: Duration = Duration::from_millis(100);
/// The same where keys are proven by other systems' hashes, which may take longer.
pub const SLOW_QUANTUM: Duration = Duration::from_secs(1);

/// The constant key of another system's HMAC. Its presence in a store's methods is its name alone.
pub struct HmacKey {
    id: HmacKeyId,
    key: Zeroizing<Vec<u8>>,
}

impl HmacKey {
    /// Bytes of one.
    pub const LENGTHS: std::ops::RangeInclusive<usize> = 8..=128;

    /// From hexadecimal digits.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let key = Zeroizing::new(hex::decode(std::str::from_utf8(text).ok()?)?);
        if !Self::LENGTHS.contains(&key.len()) {
            return None;
        }
        let named = Self { id: HmacKeyId([0; 8]), key };
        let name = named.digest(Algorithm::Sha256, b"latchkey import hmac key v1");
        Some(Self { id: HmacKeyId(*name.first_chunk()?), ..named })
    }

    /// Names it.
    pub fn id(&self) -> HmacKeyId {
        self.id
    }

    fn digest(&self, algorithm: Algorithm, text: &[u8]) -> Zeroizing<Vec<u8>> {
        // A key of any length will do (RFC 2104 section 3).
        let digest = match algorithm {
            Algorithm::Sha256 => Hmac::<Sha256>::new_from_slice(&self.key)
                .map(|mac| mac.chain_update(text).finalize().into_bytes().to_vec()),
            Algorithm::Sha512 => Hmac::<Sha512>::new_from_slice(&self.key)
                .map(|mac| mac.chain_update(text).finalize().into_bytes().to_vec()),
        };
        Zeroizing::new(digest.unwrap_or_default())
    }
}

/// A digest of several parts after one another.
pub fn digest(algorithm: Algorithm, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    fn of<D: sha2::Digest>(parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(parts.iter().fold(D::new(), D::chain_update).finalize().to_vec())
    }
    match algorithm {
        Algorithm::Sha256 => of::<Sha256>(parts),
        Algorithm::Sha512 => of::<Sha512>(parts),
    }
}

/// What a key is found by; none where its HMAC's key is not held here, or it is no longer than its public beginning.
pub fn value(method: Method, key: &[u8], held: &[HmacKey]) -> Option<Zeroizing<Vec<u8>>> {
    match method {
        Method::Digest(algorithm) => Some(digest(algorithm, &[key])),
        Method::Hmac(algorithm, id) => {
            held.iter().find(|key| key.id == id).map(|constant| constant.digest(algorithm, key))
        }
        Method::Prefix(length) => {
            let (prefix, rest) = key.split_at_checked(usize::from(length))?;
            (!rest.is_empty()).then(|| Zeroizing::new(prefix.to_vec()))
        }
    }
}

/// What a key's stored hash or tag is made over.
pub fn secret(prehash: &Prehash, key: &[u8], held: &[HmacKey]) -> Option<Zeroizing<Vec<u8>>> {
    match &prehash.proof {
        Proof::Found => value(prehash.found_by, key, held),
        Proof::Digest(algorithm) => Some(digest(*algorithm, &[key])),
        Proof::Key { .. } => Some(Zeroizing::new(key.to_vec())),
        Proof::Salted { algorithm, salt, first: true } => Some(digest(*algorithm, &[salt, key])),
        Proof::Salted { algorithm, salt, first: false } => Some(digest(*algorithm, &[key, salt])),
    }
}

/// The methods in use, in the order in which they are tried: what covers the whole key, then the longest beginning.
///
/// # Errors
/// When the store cannot be read.
pub fn methods(store: &dyn Store) -> StoreResult<Methods> {
    let mut methods = store.imports().methods()?;
    methods.sort_by_key(|(method, _)| match method {
        Method::Prefix(length) => u16::from(u8::MAX) + 1 - u16::from(*length),
        Method::Digest(_) | Method::Hmac(..) => 0,
    });
    Ok(methods)
}

/// The methods in use whose constant key is not held.
///
/// # Errors
/// When the store cannot be read.
pub fn lacking(store: &dyn Store, ring: &Ring) -> StoreResult<Vec<Method>> {
    let held = |id: &HmacKeyId| ring.hmac_keys().iter().any(|key| key.id == *id);
    let lacking = |(method, _): (Method, PepperFingerprint)| match &method {
        Method::Hmac(_, id) if !held(id) => Some(method),
        _ => None,
    };
    let mut lacking: Vec<Method> = methods(store)?.into_iter().filter_map(lacking).collect();
    lacking.dedup();
    Ok(lacking)
}

/// The handles that a key may be found by.
pub fn handles(ring: &Ring, methods: &[(Method, PepperFingerprint)], key: &[u8]) -> Vec<Handle> {
    let handle = |(method, pepper): &(Method, PepperFingerprint)| {
        Some(ring.of(*pepper)?.handle(*method, &value(*method, key, ring.hmac_keys())?))
    };
    methods.iter().filter_map(handle).collect()
}

impl Verifier {
    /// Whether keys of other systems are looked for at all.
    pub fn has_imports(&self) -> bool {
        !self.methods.load().is_empty()
    }

    /// When a refusal of a key of another system leaves.
    pub(super) fn foreign_quantum(&self) -> Duration {
        let slow = self.methods.load().iter().any(|(method, _)| matches!(method, Method::Prefix(_)));
        if slow { SLOW_QUANTUM } else { QUANTUM }
    }

    /// Learns which methods are in use, and reads the source of peppers again where the key of one of them is not held.
    /// Blocks: not for an async thread.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn reload_methods(&self) -> StoreResult<()> {
        let store = self.store.as_ref();
        if !lacking(store, &self.keyring.ring())?.is_empty() {
            if let Err(error) = self.keyring.reload(&store.peppers().list()?) {
                tracing::warn!(%error, "the source of peppers could not be read again");
            }
            for method in lacking(store, &self.keyring.ring())? {
                tracing::error!(%method, "the source of peppers has no hmac: line for keys that were imported: they are refused");
            }
        }
        let methods = methods(store)?;
        self.methods.store(Arc::new(methods));
        Ok(())
    }

    pub(super) async fn imported(&self, text: &[u8], asked: &Asked, now_ms: i64) -> Result<Verified, Refused> {
        let methods = self.methods.load_full();
        if methods.is_empty() || !LENGTHS.contains(&text.len()) {
            return Err(Reason::CredentialForm.into());
        }
        let handles = handles(&self.keyring.ring(), &methods, text);
        let found = self.store.imports().look_up(&handles).map_err(|_| Reason::StoreUnavailable)?;
        let position = found.position;
        let rests_on = |credential: Option<CredentialId>| {
            let proved = credential.map_or(Subject::Imports, Subject::Credential);
            Some(RestsOn { position, proved, beside: None, linked: false, until_ms: None })
        };
        if found.row.is_empty() {
            let ring = self.keyring.ring();
            // The same work as for one that is there.
            let _ = seals(&ring, &absent(CredentialId::from_bytes([0; 16]), ring.current()), text);
            return Err(Refused { reason: Reason::UnknownCredential, known: None, rests_on: rests_on(None) });
        }
        // Several may begin alike. A refusal that rests on more than one row is not remembered.
        let alone = found.row.len() == 1;
        let mut refusal = None;
        for row in found.row {
            let (sealed, secret) = seals(&self.keyring.ring(), &row, text);
            match self.judge(&row, sealed, &secret, asked, now_ms).await {
                Ok(()) => return Ok(Verified::key(row, position)),
                Err(reason) => {
                    let rests_on = rests_on(Some(row.id)).filter(|_| alone);
                    let refused = refused(reason, &row, rests_on);
                    // Another row may begin alike. But what was taken back here is not let in by another row there.
                    if reason != Reason::WrongSecret {
                        return Err(refused);
                    }
                    refusal.get_or_insert(refused);
                }
            }
        }
        Err(refusal.unwrap_or_else(|| Reason::UnknownCredential.into()))
    }

    /// The row of a proven key of another system as it is kept from now on: proven by its own digest, under the current
    /// pepper; none if it is so already. What it is found by stays, so that an import of the same line still finds it.
    pub(super) fn reseal_imported(&self, text: &[u8], row: &Credential) -> Option<Reseal> {
        let prehash = row.verifier.prehash.as_ref()?;
        let ring = self.keyring.ring();
        if row.verifier.pepper == ring.current().fingerprint() && prehash.is_settled() {
            return None;
        }
        // What had no tag for its low entropy never gets one.
        let high = row.verifier.tag.is_some() || prehash.proof == Proof::Key { high: true };
        let (was, mut row) = (row.row_mac, row.clone());
        let settled = prehash.is_settled();
        if !settled {
            row.verifier.prehash =
                Some(Prehash { found_by: prehash.found_by, proof: Proof::Digest(Algorithm::Sha256) });
            row.verifier.phc.clear();
        }
        let value = value(prehash.found_by, text, ring.hmac_keys())?;
        let digest = secret(row.verifier.prehash.as_ref()?, text, ring.hmac_keys())?;
        let job = Settle { keyring: Arc::clone(&self.keyring), was, row, digest, value };
        Some(if settled || high { Reseal::Done(Box::new(job.seal(high)?)) } else { Reseal::Hash(Box::new(job)) })
    }

    /// A row sealed anew from what was presented, if that is worth it.
    pub fn reseal(&self, presented: &Presented<'_>, row: &Credential) -> Option<Reseal> {
        match presented.scheme() {
            Scheme::Key(parts) => self.reseal_key(&parts, row).map(|row| Reseal::Done(Box::new(row))),
            Scheme::Foreign(text) => self.reseal_imported(text, row),
            Scheme::Jwt => None,
        }
    }
}

/// What the seals of a row say of a presented key, and what its hash is made over.
pub fn seals(ring: &Ring, row: &Credential, text: &[u8]) -> (Sealed, Zeroizing<Vec<u8>>) {
    let held = ring.of(row.verifier.pepper);
    let tagger = held.unwrap_or(ring.current());
    let prehash = row.verifier.prehash.as_ref().unwrap_or(&Prehash::SHA256);
    let made_over = secret(prehash, text, ring.hmac_keys());
    let provable = made_over.is_some();
    let made_over = made_over.unwrap_or_default();
    let presented = tagger.imported_tag(prehash, row.tenant, row.id, &made_over);
    let zero = Tag([0; 32]);
    let same_secret = tag::same_tag(row.verifier.tag.as_ref().unwrap_or(&zero), &presented) && provable;
    let genuine_row = equal_in_constant_time(&tagger.credential_mac(row), &row.row_mac);
    // A row that was not imported is not found by a handle, whatever the table of handles says.
    let genuine_row = genuine_row && row.verifier.prehash.is_some();
    let sealed = if held.is_some() { Sealed::Under { same_secret, genuine_row } } else { Sealed::Unknown };
    (sealed, made_over)
}

/// A row that is worth sealing anew.
pub enum Reseal {
    /// As it is to be stored.
    Done(Box<Resealed>),
    /// After a slow hash.
    Hash(Box<Settle>),
}

impl Reseal {
    /// The row as it is to be stored. May take as long as a slow hash.
    pub fn finish(self, entropy: &dyn Entropy) -> Option<Resealed> {
        match self {
            Self::Done(row) => Some(*row),
            Self::Hash(mut job) => {
                job.row.verifier.phc = argon::hash(argon::DEFAULT_COST, &job.digest, entropy).ok()?;
                job.seal(false)
            }
        }
    }
}

/// A key that was seen, to be kept by its digest.
pub struct Settle {
    keyring: Arc<Keyring>,
    was: [u8; 32],
    row: Credential,
    digest: Zeroizing<Vec<u8>>,
    value: Zeroizing<Vec<u8>>,
}

impl Settle {
    fn seal(mut self, tagged: bool) -> Option<Resealed> {
        let ring = self.keyring.ring();
        let current = ring.current();
        let prehash = self.row.verifier.prehash.clone()?;
        self.row.verifier.tag =
            tagged.then(|| current.imported_tag(&prehash, self.row.tenant, self.row.id, &self.digest));
        self.row.verifier.pepper = current.fingerprint();
        let row_mac = current.credential_mac(&self.row);
        let handle = Some((prehash.found_by, current.handle(prehash.found_by, &self.value)));
        Some(Resealed { id: self.row.id, was: self.was, verifier: self.row.verifier, row_mac, handle })
    }
}

#[cfg(test)]
#[path = "imported_tests.rs"]
mod tests;
