//! What was found out about credentials: a keyed digest of the whole credential leads to its facts, or to why it is
//! refused.
//!
//! No plaintext is ever a key: HMAC-SHA-256 under a key made at process start. Facts and refusals are kept apart, each
//! bounded by entries and bytes, with a share for each tenant ([`crate::fair_cache`]). Nothing is ever removed to make a
//! change take effect: what is kept carries the feed position that it was read at and stops holding (`store::feed`).

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::authenticate::entry::{Entry, Finding, Refusal};
use crate::fair_cache::{Digest, FairCache};

/// Refusals remembered, some 300 bytes each.
const REFUSALS: usize = 8_192;

/// How much is remembered, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most credentials with facts.
    pub entries: usize,
    /// Most bytes of facts, about.
    pub bytes: usize,
    /// After which time facts and refusals are read again, changed or not.
    pub ttl: Duration,
}

/// Bounded, shared by all requests.
pub struct VerifiedCache {
    keyed: Hmac<Sha256>,
    facts: FairCache<std::sync::Arc<Entry>>,
    refusals: FairCache<std::sync::Arc<Refusal>>,
    ttl_ns: u64,
}

impl VerifiedCache {
    /// Within these limits; digests are keyed with `key`.
    pub fn new(limits: &Limits, key: &[u8; 64]) -> Self {
        Self {
            keyed: Hmac::new(&(*key).into()),
            facts: FairCache::new(limits.entries, limits.bytes),
            refusals: FairCache::new(REFUSALS, usize::MAX),
            ttl_ns: u64::try_from(limits.ttl.as_nanos()).unwrap_or(u64::MAX),
        }
    }

    /// The digest of a whole credential.
    pub fn digest(&self, credential: &[u8]) -> Digest {
        let mut mac = self.keyed.clone();
        mac.update(credential);
        mac.finalize().into_bytes().into()
    }

    /// What is kept under a digest and young enough: facts first, for most requests are good. Whether it holds is for
    /// the caller to see, with `holds`; what does not is passed over.
    pub fn find(&self, digest: &Digest, now_ns: u64, mut holds: impl FnMut(&Finding) -> bool) -> Option<Finding> {
        let mut good = |finding: &Finding| now_ns.saturating_sub(finding.read_ns()) <= self.ttl_ns && holds(finding);
        let facts = self.facts.get(digest).map(Finding::Good).filter(&mut good);
        facts.or_else(|| self.refusals.get(digest).map(Finding::Bad).filter(good))
    }

    /// Keeps a finding.
    pub fn keep(&self, digest: Digest, finding: Finding) {
        match finding {
            Finding::Good(entry) => self.facts.put(digest, entry),
            Finding::Bad(refusal) => self.refusals.put(digest, refusal),
        }
    }

    /// Credentials with facts.
    pub fn len(&self) -> usize {
        self.facts.len()
    }

    /// Whether no facts are kept.
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }

    /// Bytes of facts, about.
    pub fn bytes(&self) -> usize {
        self.facts.bytes()
    }

    /// Refusals kept.
    pub fn refusals(&self) -> usize {
        self.refusals.len()
    }

    /// Drops everything.
    pub fn clear(&self) {
        self.facts.clear();
        self.refusals.clear();
    }
}
