//! What is remembered of a credential: the facts that were proven, or why it was refused. Facts only: no decision, no
//! [`super::Grant`] (rule R14).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use crate::authenticate::link::Facts;
use crate::directory::Lease;
use crate::domain::{App, Position, Tenant, TenantId, User};
use crate::fair_cache::Held;
use crate::store::feed::{ChangeFeed, Era, Vintage};
use crate::verify::{Refused, RestsOn, Verified, subjects};

/// What was proven of a credential and read of its links, at one position of the feed.
pub struct Entry {
    verified: Verified,
    tenant: Tenant,
    app: App,
    user: User,
    /// How long the host's part may be used; none where no host was asked.
    lease: Option<Arc<Lease>>,
    vintage: Vintage,
    read_ns: u64,
    claims: Vec<(&'static str, String)>,
    used_at_ms: AtomicI64,
    used: AtomicBool,
}

impl Entry {
    /// Puts the facts together.
    #[expect(clippy::too_many_arguments, reason = "each is a fact, and all are needed")]
    pub(super) fn new(
        verified: Verified,
        tenant: Tenant,
        app: App,
        user: User,
        lease: Option<Arc<Lease>>,
        era: Era,
        position: Position,
        feed: &ChangeFeed,
        read_ns: u64,
    ) -> Self {
        let vintage = Vintage { era, position, stripes: feed.stripes(verified.subjects()) };
        let mut claims = vec![("tenant", tenant.slug.clone())];
        claims.append(&mut verified.claims());
        let used_at_ms = verified.credential().and_then(|row| row.last_used_at_ms);
        let used_at_ms = AtomicI64::new(used_at_ms.unwrap_or(0));
        Self { verified, tenant, app, user, lease, vintage, read_ns, claims, used_at_ms, used: AtomicBool::new(false) }
    }

    /// Whether a use at `now_ms` is worth a note, the last being at least `resolution_ms` ago. Says so once.
    pub(super) fn use_is_due(&self, now_ms: i64, resolution_ms: i64) -> bool {
        let noted = self.used_at_ms.load(Ordering::Relaxed);
        now_ms.saturating_sub(noted) >= resolution_ms
            && self.used_at_ms.compare_exchange(noted, now_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Whether this is the first acceptance since the facts were read. Says so once.
    pub(super) fn is_first_use(&self) -> bool {
        !self.used.load(Ordering::Relaxed) && !self.used.swap(true, Ordering::Relaxed)
    }

    pub(super) fn facts(&self) -> Facts<'_> {
        Facts { holder: self.verified.holder(), tenant: &self.tenant, app: &self.app, user: &self.user }
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

    /// How long the host's part of the facts may be used; none where no host was asked.
    pub fn lease(&self) -> Option<&Lease> {
        self.lease.as_deref()
    }

    /// When the facts were read.
    pub fn vintage(&self) -> Vintage {
        self.vintage
    }

    /// The moment before they were read, on the boot clock.
    pub fn read_ns(&self) -> u64 {
        self.read_ns
    }

    /// What the gateway is told.
    pub fn claims(&self) -> &[(&'static str, String)] {
        &self.claims
    }
}

/// A text's memory: its bytes and its allocation.
fn text_bytes(text: &str) -> usize {
    text.len() + size_of::<String>()
}

impl Held for Arc<Entry> {
    fn owner(&self) -> TenantId {
        self.tenant.id
    }

    fn bytes(&self) -> usize {
        // What allocations and the places in the maps cost beside.
        const AROUND: usize = 512;
        let lists: usize = self.tenant.namespaces.iter().map(|text| text_bytes(text)).sum();
        let metadata = self.app.metadata.iter().chain(&self.user.metadata);
        let metadata: usize = metadata.map(|(key, value)| text_bytes(key) + text_bytes(value)).sum();
        let claims: usize = self.claims.iter().map(|(_, value)| text_bytes(value) + size_of::<&str>()).sum();
        let llms: usize = self.app.llms.iter().map(|llm| 32 + llm.slug.as_deref().map_or(0, str::len)).sum();
        let texts = self.verified.bytes()
            + self.tenant.name.len()
            + self.app.name.len()
            + self.app.description.len()
            + self.app.owner_email.len()
            + self.user.name.len()
            + self.user.email.len();
        size_of::<Entry>() + AROUND + lists + metadata + claims + llms + texts
    }
}

/// A refusal that stands while nothing that it rests on changes.
pub struct Refusal {
    refused: Refused,
    vintage: Vintage,
    until_ms: Option<i64>,
    read_ns: u64,
}

impl Held for Arc<Refusal> {
    fn owner(&self) -> TenantId {
        // What names no credential is nobody's, and has a share of its own.
        self.refused.known.map_or(TenantId::from_bytes([0; 16]), |known| known.tenant)
    }

    fn bytes(&self) -> usize {
        size_of::<Refusal>() + 160
    }
}

/// What was found out about a credential.
#[derive(Clone)]
pub enum Finding {
    /// Its facts.
    Good(Arc<Entry>),
    /// Why it is refused, whoever asks.
    Bad(Arc<Refusal>),
}

impl Finding {
    /// A refusal to remember, if it rests on what was read.
    pub(super) fn refusal(refused: Refused, era: Era, feed: &ChangeFeed, read_ns: u64) -> Option<Self> {
        let RestsOn { position, proved, beside, linked, until_ms } = refused.rests_on?;
        let linked = refused.known.filter(|_| linked).map(|known| (known.tenant, known.app, known.user));
        let vintage = Vintage { era, position, stripes: feed.stripes(subjects(proved, beside, linked)) };
        Some(Self::Bad(Arc::new(Refusal { refused, vintage, until_ms, read_ns })))
    }

    /// When it was read.
    pub fn vintage(&self) -> Vintage {
        match self {
            Self::Good(entry) => entry.vintage,
            Self::Bad(refusal) => refusal.vintage,
        }
    }

    /// How long the host's part of it may be used. Of a refusal [`RestsOn::until_ms`] says so.
    pub fn lease(&self) -> Option<&Lease> {
        match self {
            Self::Good(entry) => entry.lease(),
            Self::Bad(_) => None,
        }
    }

    /// The moment before it was read, on the boot clock.
    pub fn read_ns(&self) -> u64 {
        match self {
            Self::Good(entry) => entry.read_ns,
            Self::Bad(refusal) => refusal.read_ns,
        }
    }

    /// Whether it may still stand at `now_ms`: a refusal for coming too early ends by itself, and a token's facts end with
    /// the keys that proved it.
    pub(super) fn stands_at(&self, boot_ns: u64, now_ms: impl FnOnce() -> i64) -> bool {
        match self {
            Self::Good(entry) => entry.verified.keys_hold(boot_ns),
            Self::Bad(refusal) => refusal.until_ms.is_none_or(|until| now_ms() < until),
        }
    }

    pub(super) fn into_result(self) -> Result<Arc<Entry>, Refused> {
        match self {
            Self::Good(entry) => Ok(entry),
            Self::Bad(refusal) => Err(refusal.refused),
        }
    }
}
