//! Proves keys that other systems made. They carry no id: what is presented is digested by each method in use, and found by
//! a keyed handle of the digest (rule R6).
//!
//! The work follows from the methods in use and never from what is found: one digest and one handle a method, one read,
//! one tag, one row MAC. Argon2id runs for secrets of low entropy, so refusals are released by a timer (rule R13).

use std::sync::Arc;

use sha2::{Digest as _, Sha256, Sha512};
use zeroize::Zeroizing;

use crate::domain::imported::{Handle, LENGTHS, Method};
use crate::domain::presented::Scheme;
use crate::domain::{CredentialId, PepperFingerprint, Presented, Reason, Tag};
use crate::secret::equal_in_constant_time;
use crate::store::{Resealed, StoreResult};
use crate::verify::api_key::{Sealed, absent, refused};
use crate::verify::{Asked, Refused, RestsOn, Verified, Verifier, tag};

/// The methods in use, each with the pepper of its handles.
pub type Methods = Vec<(Method, PepperFingerprint)>;

/// The digest of a key by a method.
pub fn digest(method: Method, key: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(match method {
        Method::Sha256 => Sha256::digest(key).to_vec(),
        Method::Sha512 => Sha512::digest(key).to_vec(),
    })
}

impl Verifier {
    /// Whether keys of other systems are looked for at all.
    pub fn has_imports(&self) -> bool {
        !self.methods.load().is_empty()
    }

    /// Learns which methods are in use.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn reload_methods(&self) -> StoreResult<()> {
        self.methods.store(Arc::new(self.store.imports().methods()?));
        Ok(())
    }

    pub(super) async fn imported(&self, text: &[u8], asked: &Asked, now_ms: i64) -> Result<Verified, Refused> {
        let methods = self.methods.load_full();
        if methods.is_empty() || !LENGTHS.contains(&text.len()) {
            return Err(Reason::CredentialForm.into());
        }
        let digests: Vec<(Method, Zeroizing<Vec<u8>>)> =
            Method::ALL.iter().map(|&method| (method, digest(method, text))).collect();
        let of = |method: Method| digests.iter().find(|(m, _)| *m == method).map_or(&[][..], |(_, d)| d.as_slice());
        let ring = self.keyring.ring();
        let handle = |(method, pepper): &(Method, PepperFingerprint)| {
            ring.of(*pepper).map(|tagger| tagger.handle(*method, of(*method)))
        };
        let handles: Vec<Handle> = methods.iter().filter_map(handle).collect();
        let found = self.store.imports().look_up(&handles).map_err(|_| Reason::StoreUnavailable)?;
        let position = found.position;
        let dummy;
        let row = if let Some(row) = &found.row {
            row
        } else {
            dummy = absent(CredentialId::from_bytes([0; 16]), ring.current());
            &dummy
        };
        let held = ring.of(row.verifier.pepper);
        let tagger = held.unwrap_or(ring.current());
        let method = row.verifier.prehash.unwrap_or(Method::Sha256);
        let presented = tagger.imported_tag(method, row.tenant, row.id, of(method));
        let zero = Tag([0; 32]);
        let same_secret = tag::same_tag(row.verifier.tag.as_ref().unwrap_or(&zero), &presented);
        let genuine_row = equal_in_constant_time(&tagger.credential_mac(row), &row.row_mac);
        // A row that was not imported is not found by a handle, whatever the table of handles says.
        let genuine_row = genuine_row && row.verifier.prehash.is_some();
        let sealed = if held.is_some() { Sealed::Under { same_secret, genuine_row } } else { Sealed::Unknown };
        drop(ring);
        let rests_on = |credential| Some(RestsOn { position, credential, linked: None, until_ms: None });
        let Some(row) = found.row else {
            return Err(Refused { reason: Reason::UnknownCredential, known: None, rests_on: rests_on(None) });
        };
        match self.judge(&row, sealed, of(method), asked, now_ms).await {
            Ok(()) => Ok(Verified { credential: row, position }),
            Err(reason) => Err(refused(reason, &row, rests_on(Some(row.id)))),
        }
    }

    /// The row of a proven key of another system under the current pepper, with its handle; none if it is there already.
    pub(super) fn reseal_imported(&self, text: &[u8], row: &crate::domain::Credential) -> Option<Resealed> {
        let method = row.verifier.prehash?;
        let ring = self.keyring.ring();
        let current = ring.current();
        if row.verifier.pepper == current.fingerprint() {
            return None;
        }
        let digest = digest(method, text);
        let mut sealed = row.clone();
        // What had no tag for its low entropy never gets one.
        sealed.verifier.tag =
            row.verifier.tag.as_ref().map(|_| current.imported_tag(method, row.tenant, row.id, &digest));
        sealed.verifier.pepper = current.fingerprint();
        let row_mac = current.credential_mac(&sealed);
        let handle = Some((method, current.handle(method, &digest)));
        Some(Resealed { id: row.id, was: row.row_mac, verifier: sealed.verifier, row_mac, handle })
    }

    /// A row sealed anew from what was presented, if that is worth it.
    pub fn reseal(&self, presented: &Presented<'_>, row: &crate::domain::Credential) -> Option<Resealed> {
        match presented.scheme() {
            Scheme::Key(parts) => self.reseal_key(&parts, row),
            Scheme::Foreign(text) => self.reseal_imported(text, row),
            Scheme::Jwt => None,
        }
    }
}
