//! The verified cache: a keyed digest of the whole credential leads to all that a warm answer needs.
//!
//! No plaintext is ever a key: HMAC-SHA-256 under a key made at process start. Bounded by count. An entry
//! is never removed to make a change take effect; it carries the feed position that it was read at
//! and stops holding (`store::feed`). Only facts are kept: no decision, no [`super::Grant`] (rule R14).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use hmac::{Hmac, KeyInit as _, Mac as _};
use quick_cache::sync::Cache;
use sha2::Sha256;

use crate::authenticate::link::Facts;
use crate::domain::{App, Position, Subject, Tenant, User};
use crate::store::feed::{ChangeFeed, Era, Vintage};
use crate::verify::Verified;

/// The keyed digest of a whole credential.
pub type Digest = [u8; 32];

/// What was proven of a credential and read of its links, at one position of the feed.
pub struct Entry {
    verified: Verified,
    tenant: Tenant,
    app: App,
    user: User,
    vintage: Vintage,
    claims: Vec<(&'static str, String)>,
    used_at_ms: AtomicI64,
}

impl Entry {
    /// Puts the facts together.
    pub(super) fn new(
        verified: Verified,
        tenant: Tenant,
        app: App,
        user: User,
        era: Era,
        position: Position,
        feed: &ChangeFeed,
    ) -> Self {
        let credential = verified.credential();
        let subjects = [
            Subject::Credential(credential.id),
            Subject::Tenant(credential.tenant),
            Subject::App(credential.app),
            Subject::User(credential.user),
        ];
        let vintage = Vintage { era, position, stripes: feed.stripes(subjects) };
        let mut claims = vec![
            ("tenant", tenant.slug.clone()),
            ("credential_id", credential.id.to_string()),
            ("credential_kind", "api_key".to_owned()),
            ("scopes", credential.scopes.join(" ")),
            ("environment", credential.environment.as_str().to_owned()),
            ("expires_at", credential.end_ms().map_or_else(String::new, crate::clock::rfc3339)),
        ];
        // Said only while an old credential lives out its grace (RFC 8594 names the idea).
        claims.extend(credential.replaced.and(credential.end_ms()).map(|end| ("sunset", crate::clock::rfc3339(end))));
        let used_at_ms = AtomicI64::new(credential.last_used_at_ms.unwrap_or(0));
        Self { verified, tenant, app, user, vintage, claims, used_at_ms }
    }

    /// Whether a use at `now_ms` is worth a note, the last being at least `resolution_ms` ago. Says so once.
    pub(super) fn use_is_due(&self, now_ms: i64, resolution_ms: i64) -> bool {
        let noted = self.used_at_ms.load(Ordering::Relaxed);
        now_ms.saturating_sub(noted) >= resolution_ms
            && self.used_at_ms.compare_exchange(noted, now_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    pub(super) fn facts(&self) -> Facts<'_> {
        Facts { credential: self.verified.credential(), tenant: &self.tenant, app: &self.app, user: &self.user }
    }

    /// The proven credential.
    pub fn verified(&self) -> &Verified {
        &self.verified
    }

    /// Its tenant.
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// Its App.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Its User.
    pub fn user(&self) -> &User {
        &self.user
    }

    /// When the facts were read.
    pub fn vintage(&self) -> Vintage {
        self.vintage
    }

    /// What the gateway is told.
    pub fn claims(&self) -> &[(&'static str, String)] {
        &self.claims
    }
}

/// Bounded, shared by all requests.
pub struct VerifiedCache {
    keyed: Hmac<Sha256>,
    entries: Cache<Digest, Arc<Entry>>,
}

impl VerifiedCache {
    /// Holds at most `capacity` entries; digests are keyed with `key`.
    pub fn new(capacity: usize, key: &[u8; 64]) -> Self {
        Self { keyed: Hmac::new(&(*key).into()), entries: Cache::new(capacity.max(1)) }
    }

    /// The digest of a whole credential.
    pub fn digest(&self, credential: &[u8]) -> Digest {
        let mut mac = self.keyed.clone();
        mac.update(credential);
        mac.finalize().into_bytes().into()
    }

    /// What is kept under a digest, held or not.
    pub fn find(&self, digest: &Digest) -> Option<Arc<Entry>> {
        self.entries.get(digest)
    }

    /// Keeps an entry, evicting another if full.
    pub fn keep(&self, digest: Digest, entry: Arc<Entry>) {
        self.entries.insert(digest, entry);
    }

    /// Entries kept now.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Drops everything kept.
    pub fn clear(&self) {
        self.entries.clear();
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
