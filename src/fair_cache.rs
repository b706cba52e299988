//! A bounded cache in which no tenant can crowd out another.
//!
//! Keys are digests that nobody outside can choose, so they are their own hashes. Bounded by entries and by bytes. When it
//! is full, the tenant that holds the most loses its entry that was not used for longest, about (the clock algorithm): a
//! tenant that holds less than its share of what there is never loses any. Looking up takes one shared lock of one of
//! many shards; only putting in takes a lock of the whole.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use crate::domain::TenantId;

/// The keyed digest of a whole credential.
pub type Digest = [u8; 32];

const SHARDS: usize = 64;
/// Entries in use that are passed over before one goes all the same.
const MOST_PASSED: usize = 64;

/// What can be held.
pub trait Held: Clone {
    /// Whose share it counts to.
    fn owner(&self) -> TenantId;
    /// How much memory it takes, about.
    fn bytes(&self) -> usize;
}

/// A digest is random already.
#[derive(Clone, Copy, Default)]
pub struct AsItIs;

/// The first bytes of a digest.
pub struct FirstBytes(u64);

impl Hasher for FirstBytes {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk::<8>() {
            self.0 = u64::from_le_bytes(*first);
        }
    }
}

impl BuildHasher for AsItIs {
    type Hasher = FirstBytes;
    fn build_hasher(&self) -> FirstBytes {
        FirstBytes(0)
    }
}

struct Slot<V> {
    value: V,
    // Kept beside it, so that an entry that goes is not looked at: its memory is cold.
    owner: TenantId,
    bytes: usize,
    used: AtomicBool,
}

type Shard<V> = RwLock<HashMap<Digest, Slot<V>, AsItIs>>;

/// What one tenant holds, in the order in which it came.
#[derive(Default)]
struct Holding {
    bytes: usize,
    order: VecDeque<Digest>,
}

/// Who holds how much.
#[derive(Default)]
struct Book {
    holdings: HashMap<TenantId, Holding>,
    by_size: BTreeSet<(usize, TenantId)>,
    entries: usize,
    bytes: usize,
}

impl Book {
    fn resize(&mut self, owner: TenantId, less: usize, more: usize) {
        let holding = self.holdings.entry(owner).or_default();
        self.by_size.remove(&(holding.bytes, owner));
        holding.bytes = holding.bytes.saturating_sub(less).saturating_add(more);
        self.by_size.insert((holding.bytes, owner));
        self.bytes = self.bytes.saturating_sub(less).saturating_add(more);
    }

    fn forget_if_empty(&mut self, owner: TenantId) {
        if self.holdings.get(&owner).is_some_and(|holding| holding.order.is_empty())
            && let Some(holding) = self.holdings.remove(&owner)
        {
            self.by_size.remove(&(holding.bytes, owner));
        }
    }
}

/// The cache.
pub struct FairCache<V> {
    shards: Box<[Shard<V>]>,
    book: Mutex<Book>,
    max_entries: usize,
    max_bytes: usize,
}

impl<V: Held> FairCache<V> {
    /// Holds at most so many entries and bytes.
    pub fn new(max_entries: usize, max_bytes: usize) -> Self {
        let shards = (0..SHARDS).map(|_| RwLock::new(HashMap::with_hasher(AsItIs))).collect();
        Self { shards, book: Mutex::default(), max_entries: max_entries.max(1), max_bytes }
    }

    fn shard(&self, digest: &Digest) -> Option<&Shard<V>> {
        // Other bytes than those that the maps themselves begin with.
        self.shards.get(usize::from(digest.last().copied().unwrap_or(0)) % SHARDS)
    }

    /// What was put in under this digest, if it is still there.
    pub fn get(&self, digest: &Digest) -> Option<V> {
        let shard = self.shard(digest)?.read().unwrap_or_else(PoisonError::into_inner);
        let slot = shard.get(digest)?;
        // Written only when it changes, so that readers on other cores keep the line.
        if !slot.used.load(Ordering::Relaxed) {
            slot.used.store(true, Ordering::Relaxed);
        }
        Some(slot.value.clone())
    }

    /// Puts in, in the place of what was there; then what is too much goes.
    pub fn put(&self, digest: Digest, value: V) {
        let Some(shard) = self.shard(&digest) else { return };
        let (owner, bytes) = (value.owner(), value.bytes());
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = Slot { value, owner, bytes, used: AtomicBool::new(false) };
        let before = shard.write().unwrap_or_else(PoisonError::into_inner).insert(digest, slot);
        let before = before.map(|slot| (slot.owner, slot.bytes));
        if let Some((was_of, was)) = before {
            book.resize(was_of, was, 0);
        } else {
            book.entries += 1;
        }
        book.resize(owner, 0, bytes);
        if before.is_none_or(|(was_of, _)| was_of != owner) {
            // In the order of another owner it stays as well, and is skipped there.
            book.holdings.entry(owner).or_default().order.push_back(digest);
        }
        while book.entries > self.max_entries || book.bytes > self.max_bytes {
            if !self.evict(&mut book) {
                break;
            }
        }
    }

    /// Takes one entry from whoever holds the most.
    fn evict(&self, book: &mut Book) -> bool {
        let Some(&(_, owner)) = book.by_size.last() else { return false };
        let mut passed = 0;
        while let Some(digest) = book.holdings.get_mut(&owner).and_then(|holding| holding.order.pop_front()) {
            let Some(shard) = self.shard(&digest) else { continue };
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            let Some(slot) = shard.get(&digest).filter(|slot| slot.owner == owner) else { continue };
            if passed < MOST_PASSED && slot.used.swap(false, Ordering::Relaxed) {
                passed += 1;
                if let Some(holding) = book.holdings.get_mut(&owner) {
                    holding.order.push_back(digest);
                }
                continue;
            }
            let bytes = slot.bytes;
            let gone = shard.remove(&digest);
            book.entries = book.entries.saturating_sub(1);
            book.resize(owner, bytes, 0);
            book.forget_if_empty(owner);
            drop(shard);
            // Only now, when nobody waits for the shard: it is many small frees.
            drop(gone);
            return true;
        }
        book.forget_if_empty(owner);
        true
    }

    /// Entries held.
    pub fn len(&self) -> usize {
        self.book.lock().unwrap_or_else(PoisonError::into_inner).entries
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes held, about.
    pub fn bytes(&self) -> usize {
        self.book.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }

    /// Drops everything.
    pub fn clear(&self) {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        for shard in &self.shards {
            shard.write().unwrap_or_else(PoisonError::into_inner).clear();
        }
        *book = Book::default();
    }
}

#[cfg(test)]
#[path = "fair_cache_tests.rs"]
mod tests;
