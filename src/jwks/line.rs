//! The place of one issuer: its keys, and the fetch under way.
//!
//! Who answers a request loads what is held and nothing else. All that changes is changed under one lock, which nobody holds
//! while waiting for anything.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;
use tokio::sync::watch;

use crate::domain::{IssuerId, TenantId};
use crate::jwks::fault::FetchError;
use crate::jwt::keys::{KeySet, VerifyingKey};

/// Where keys are published, and whose they are. Made once for an issuer as it stands; another URL is another source.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Source {
    /// The issuer.
    pub issuer: IssuerId,
    /// Who trusts it.
    pub tenant: TenantId,
    /// The URL of its set of keys.
    pub url: Arc<str>,
}

/// The keys of an issuer as they were at one moment.
#[derive(Clone)]
pub struct KeysHandle {
    held: Arc<Held>,
    version: Arc<AtomicU64>,
}

impl KeysHandle {
    /// The keys.
    pub fn set(&self) -> &Arc<KeySet> {
        &self.held.set
    }

    /// When they were asked for, milliseconds since the epoch.
    pub fn fetched_at_ms(&self) -> i64 {
        self.held.fetched_at_ms
    }

    /// Whether these were fetched at another time.
    pub(super) fn is_other_than(&self, other: &Self) -> bool {
        !Arc::ptr_eq(&self.held, &other.held)
    }

    /// How long what they verified may be believed without asking again.
    pub fn mark(&self) -> KeysMark {
        let Held { version, usable_until_ns, .. } = *self.held;
        KeysMark { current: Arc::clone(&self.version), version, usable_until_ns }
    }
}

/// What is kept beside a token that was verified: whether the keys of its issuer are still those.
#[derive(Clone, Debug)]
pub struct KeysMark {
    current: Arc<AtomicU64>,
    version: u64,
    usable_until_ns: u64,
}

impl KeysMark {
    /// Whether none of the keys was removed, changed or given up since. One load.
    pub fn is_current(&self, now_ns: u64) -> bool {
        now_ns < self.usable_until_ns && self.current.load(Ordering::Acquire) == self.version
    }

    /// The moment of the boot clock at which the keys end, were nothing fetched any more.
    pub fn usable_until_ns(&self) -> u64 {
        self.usable_until_ns
    }
}

pub(super) struct Held {
    pub(super) set: Arc<KeySet>,
    version: u64,
    pub(super) usable_until_ns: u64,
    pub(super) fetched_at_ms: i64,
}

/// How a fetch ended, for those who wait: they look at what is held then.
pub(super) type Flight = watch::Receiver<bool>;

#[derive(Default)]
pub(super) struct State {
    pub(super) flight: Option<Flight>,
    /// The fetch under way takes longer than a request waits.
    pub(super) slow: bool,
    /// Requests that wait for it.
    pub(super) waiting: usize,
    /// Fetches that failed, one after another.
    pub(super) failures: u32,
    /// Before this nobody asks on their own behalf.
    pub(super) ask_after_ns: u64,
    pub(super) problem: Option<(FetchError, i64)>,
    /// Since when its set has been empty, by the boot clock.
    pub(super) empty_since_ns: Option<u64>,
    /// Whether what was kept beyond the process has been looked for.
    pub(super) recalled: bool,
    /// It lost its place: nothing is kept in it any more.
    pub(super) dead: bool,
}

/// What a new set of keys changed.
#[derive(Default, PartialEq, Eq, Debug)]
pub(super) struct Change {
    pub(super) added: Vec<String>,
    pub(super) removed: Vec<String>,
}

/// What is known of one issuer.
pub(super) struct Line {
    pub(super) source: Source,
    held: ArcSwapOption<Held>,
    /// Grows when a key that was used must not be used any more.
    version: Arc<AtomicU64>,
    /// When it is to be fetched anew.
    due_ns: AtomicU64,
    state: Mutex<State>,
}

impl Line {
    pub(super) fn new(source: Source) -> Self {
        Self {
            source,
            held: ArcSwapOption::empty(),
            version: Arc::default(),
            due_ns: AtomicU64::new(u64::MAX),
            state: Mutex::default(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its keys, if there are any that may be used.
    pub(super) fn handle(&self, now_ns: u64) -> Option<KeysHandle> {
        let held = self.held.load_full().filter(|held| now_ns < held.usable_until_ns)?;
        Some(KeysHandle { held, version: Arc::clone(&self.version) })
    }

    pub(super) fn is_due(&self, now_ns: u64) -> bool {
        now_ns >= self.due_ns.load(Ordering::Acquire)
    }

    pub(super) fn due_at(&self, at_ns: u64) {
        self.due_ns.store(at_ns, Ordering::Release);
    }

    /// These are its keys from now on. Only under its lock, as the two below.
    pub(super) fn hold(&self, set: KeySet, fetched_at_ms: i64, usable_until_ns: u64) -> Change {
        let before = self.held.load_full();
        let known = before.as_ref().map_or(&[][..], |before| before.set.keys());
        let change = Change { added: names(set.keys(), known), removed: names(known, set.keys()) };
        if !change.removed.is_empty() {
            // Before the swap: who finds the new ones finds their version too.
            self.version.fetch_add(1, Ordering::AcqRel);
        }
        let version = self.version.load(Ordering::Acquire);
        self.held.store(Some(Arc::new(Held { set: Arc::new(set), version, usable_until_ns, fetched_at_ms })));
        change
    }

    /// They have become too old. Whether there were any.
    pub(super) fn outlive(&self, now_ns: u64) -> bool {
        let over = self.held.load().as_ref().is_some_and(|held| now_ns >= held.usable_until_ns);
        if over {
            self.let_go();
        }
        over
    }

    /// There are none any more.
    pub(super) fn let_go(&self) {
        self.version.fetch_add(1, Ordering::AcqRel);
        self.held.store(None);
    }

    /// It lost its place: what was verified under its keys is to be verified anew.
    pub(super) fn give_up(&self) {
        let mut state = self.state();
        state.dead = true;
        self.due_at(u64::MAX);
        self.let_go();
    }
}

/// Names of the keys that are not among others, or not as they are here.
fn names(keys: &[VerifyingKey], others: &[VerifyingKey]) -> Vec<String> {
    let same = |one: &VerifyingKey, other: &VerifyingKey| {
        one.kid() == other.kid() && one.thumbprint() == other.thumbprint() && one.algorithm() == other.algorithm()
    };
    let missing = keys.iter().filter(|key| !others.iter().any(|other| same(key, other)));
    missing.map(|key| key.kid().unwrap_or("(unnamed)").to_owned()).collect()
}

/// Whether a set says which key is meant by a name, or that it cannot be used; otherwise newer keys may know it.
pub(super) fn knows(set: &KeySet, kid: &str) -> bool {
    let is_unnamed = |key: &VerifyingKey| key.kid().is_none();
    let skipped = set.skipped();
    set.has_kid(kid)
        || skipped.iter().any(|skipped| skipped.kid.as_deref() == Some(kid))
        || (skipped.is_empty() && set.keys().len() == 1 && set.keys().iter().all(is_unnamed))
}

/// Ends a fetch whatever becomes of it: one that panics must not be waited for for ever.
pub(super) struct Grounded<'a> {
    line: &'a Line,
    land: watch::Sender<bool>,
    again_ns: u64,
    landed: bool,
}

impl<'a> Grounded<'a> {
    /// Tried again at this moment, if it ends without landing.
    pub(super) fn new(line: &'a Line, land: watch::Sender<bool>, again_ns: u64) -> Self {
        Self { line, land, again_ns, landed: false }
    }

    /// It is over, and what came of it is held.
    pub(super) fn land(mut self, mut state: MutexGuard<'_, State>) {
        (state.flight, state.slow, self.landed) = (None, false, true);
    }
}

impl Drop for Grounded<'_> {
    fn drop(&mut self) {
        if !self.landed {
            let mut state = self.line.state();
            (state.flight, state.slow) = (None, false);
            state.ask_after_ns = state.ask_after_ns.max(self.again_ns);
            self.line.due_at(self.again_ns);
        }
        self.land.send_replace(true);
    }
}

/// One who waits for a fetch.
pub(super) struct Place(pub(super) Arc<Line>);

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.waiting = state.waiting.saturating_sub(1);
    }
}
