//! Tags and row MACs: everything that is computed under a pepper.
//!
//! HMAC-SHA-256 throughout, each input separated by its domain: version, purpose, kind, tenant,
//! credential id (security rule R4). A tag under a pepper that we hold is final: a mismatch is a refusal.

use std::sync::atomic::{AtomicU64, Ordering};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::domain::credential::{Credential, CredentialKind, Status};
use crate::domain::ids::{CredentialId, TenantId};
use crate::domain::imported::{Handle, Method, Prehash};
use crate::domain::operator::Operator;
use crate::domain::verifier::{PepperFingerprint, Tag, Verifier};
use crate::secret::{Pepper, Secret, equal_in_constant_time};

/// Bytes of a pepper.
pub const PEPPER_LEN: usize = 32;

/// A pepper that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a pepper is {PEPPER_LEN} bytes, not {0}")]
pub struct PepperLength(pub usize);

/// Computes tags and row MACs under one pepper.
pub struct Tagger {
    /// Never swapped out (rule R20), where the system lets us. Dropped before what it keeps locked.
    _locked: Option<region::LockGuard>,
    keyed: Box<Hmac<Sha256>>,
    fingerprint: PepperFingerprint,
    computed: AtomicU64,
}

impl Tagger {
    /// Keys the MAC with this pepper.
    ///
    /// # Errors
    /// When it has not the length of a pepper.
    #[expect(clippy::disallowed_methods, reason = "the MAC is keyed with the pepper, once")]
    pub fn new(pepper: &Secret<Pepper>) -> Result<Self, PepperLength> {
        if pepper.len() != PEPPER_LEN {
            return Err(PepperLength(pepper.len()));
        }
        let keyed = Hmac::<Sha256>::new_from_slice(pepper.expose()).map_err(|_| PepperLength(pepper.len()))?;
        let keyed = Box::new(keyed);
        let locked = region::lock(std::ptr::from_ref(&*keyed), size_of::<Hmac<Sha256>>());
        if let Err(error) = &locked {
            tracing::warn!(%error, "the pepper cannot be locked in memory and may be swapped out");
        }
        let mut fingerprint = [0; 16];
        let digest = finish(Hmac::clone(&keyed), b"latchkey pepper fingerprint v1", &[]);
        fingerprint.copy_from_slice(digest.first_chunk::<16>().unwrap_or(&[0; 16]));
        let (fingerprint, computed) = (PepperFingerprint(fingerprint), AtomicU64::new(0));
        Ok(Self { _locked: locked.ok(), keyed, fingerprint, computed })
    }

    /// Names the pepper.
    pub fn fingerprint(&self) -> PepperFingerprint {
        self.fingerprint
    }

    /// The tag of a secret, for this credential alone.
    pub fn tag(&self, kind: CredentialKind, tenant: TenantId, id: CredentialId, secret: &[u8]) -> Tag {
        self.computed.fetch_add(1, Ordering::Relaxed);
        let parts: [&[u8]; 4] = [kind.as_str().as_bytes(), tenant.as_bytes(), id.as_bytes(), secret];
        Tag(finish(Hmac::clone(&self.keyed), b"latchkey tag v1", &parts))
    }

    /// The tag of a key of another system, over its digest: in a domain of its own, so that no digest is ever a secret of
    /// ours (rule R6).
    pub fn imported_tag(&self, prehash: &Prehash, tenant: TenantId, id: CredentialId, digest: &[u8]) -> Tag {
        self.computed.fetch_add(1, Ordering::Relaxed);
        let prehash = prehash.to_string();
        let parts: [&[u8]; 4] = [prehash.as_bytes(), tenant.as_bytes(), id.as_bytes(), digest];
        Tag(finish(Hmac::clone(&self.keyed), b"latchkey imported tag v1", &parts))
    }

    /// What a key of another system is found by.
    pub fn handle(&self, method: Method, value: &[u8]) -> Handle {
        Handle(finish(Hmac::clone(&self.keyed), b"latchkey handle v1", &[method.to_string().as_bytes(), value]))
    }

    /// The MAC over everything that a credential's row asserts.
    pub fn credential_mac(&self, row: &Credential) -> [u8; 32] {
        let mut fields = Fields::new(b"latchkey credential row v1");
        fields.bytes(row.tenant.as_bytes());
        fields.bytes(row.id.as_bytes());
        fields.bytes(CredentialKind::ApiKey.as_str().as_bytes());
        fields.number(i64::from(row.app.get()));
        fields.number(i64::from(row.user.get()));
        fields.bytes(row.environment.as_str().as_bytes());
        fields.list(row.scopes.iter().map(String::as_bytes));
        let cidrs: Vec<String> = row.cidrs.iter().map(ToString::to_string).collect();
        fields.list(cidrs.iter().map(String::as_bytes));
        fields.optional(row.not_before_ms);
        fields.optional(row.expires_at_ms);
        match &row.status {
            Status::Active => fields.bytes(b"active"),
            Status::Revoked { at_ms, reason } => {
                fields.bytes(b"revoked");
                fields.number(*at_ms);
                fields.bytes(reason.as_str().as_bytes());
            }
        }
        fields.verifier(&row.verifier);
        fields.number(row.generation.0);
        // What most rows do not have follows under a label of its own, and only where it is there: the MAC of a row
        // that has none of it is what it was before these fields existed.
        if let Some(replaces) = &row.replaces {
            fields.bytes(b"replaces");
            fields.bytes(replaces.as_bytes());
        }
        if let Some(replaced) = &row.replaced {
            fields.bytes(b"replaced");
            fields.bytes(replaced.by.as_bytes());
            fields.number(replaced.grace_until_ms);
        }
        if row.decoy {
            fields.bytes(b"decoy");
        }
        if let Some(prehash) = &row.verifier.prehash {
            fields.bytes(b"prehash");
            fields.bytes(prehash.to_string().as_bytes());
        }
        self.mac(&fields)
    }

    /// The MAC over everything that an operator's row asserts.
    pub fn operator_mac(&self, row: &Operator) -> [u8; 32] {
        let mut fields = Fields::new(b"latchkey operator row v1");
        fields.bytes(row.id.as_bytes());
        fields.bytes(row.role.as_str().as_bytes());
        fields.list(row.tenants.iter().map(|tenant| tenant.as_bytes().as_slice()));
        fields.optional(row.revoked_at_ms);
        fields.verifier(&row.verifier);
        fields.number(row.generation.0);
        // Only where there is one, as above.
        if let Some(certificate) = &row.certificate {
            fields.bytes(b"certificate");
            fields.bytes(certificate);
        }
        self.mac(&fields)
    }

    /// The MAC of a declaration that a pepper is lost, made under the one that took its place.
    pub fn loss_mac(&self, lost: PepperFingerprint, until_ms: i64) -> [u8; 32] {
        finish(Hmac::clone(&self.keyed), b"latchkey pepper loss v1", &[&lost.0, &until_ms.to_be_bytes()])
    }

    /// Tags and row MACs computed so far: the same for every kind of refusal (control A5).
    pub fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    fn mac(&self, fields: &Fields) -> [u8; 32] {
        self.computed.fetch_add(1, Ordering::Relaxed);
        finish(Hmac::clone(&self.keyed), b"latchkey row v1", &[&fields.0])
    }
}

/// Whether two tags are the same, in constant time.
pub fn same_tag(a: &Tag, b: &Tag) -> bool {
    equal_in_constant_time(&a.0, &b.0)
}

pub(super) fn finish(mut mac: Hmac<Sha256>, domain: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    for part in [domain].iter().chain(parts) {
        // Each part is led by its length, so that no two lists of parts read the same.
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// An unambiguous encoding of a row: every value is led by its kind or its length.
pub(super) struct Fields(Vec<u8>);

impl Fields {
    pub(super) fn new(domain: &[u8]) -> Self {
        let mut fields = Self(Vec::with_capacity(384));
        fields.bytes(domain);
        fields
    }

    pub(super) fn bytes(&mut self, value: &[u8]) {
        self.0.extend_from_slice(&(value.len() as u64).to_be_bytes());
        self.0.extend_from_slice(value);
    }

    pub(super) fn number(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn optional(&mut self, value: Option<i64>) {
        self.0.push(u8::from(value.is_some()));
        self.number(value.unwrap_or(0));
    }

    pub(super) fn list<'a>(&mut self, values: impl ExactSizeIterator<Item = &'a [u8]>) {
        self.0.extend_from_slice(&(values.len() as u64).to_be_bytes());
        values.for_each(|value| self.bytes(value));
    }

    fn verifier(&mut self, verifier: &Verifier) {
        self.bytes(verifier.phc.as_bytes());
        self.bytes(verifier.tag.as_ref().map_or(&[], |tag| tag.0.as_slice()));
        self.bytes(&verifier.pepper.0);
    }
}

#[cfg(test)]
#[path = "tag_tests.rs"]
mod tests;
