//! Every interleaving of a verification that read the old row, a change, and a request after it, by loom. Each model is
//! run with its guard taken out as well, and must then fail: so the model sees what it is there to see.

use std::sync::Arc;

use loom::sync::Mutex;
use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use loom::thread;

use super::*;

impl Word for AtomicU64 {
    fn new(value: u64) -> Self {
        Self::new(value)
    }
    fn get(&self) -> u64 {
        self.load(Ordering::Acquire)
    }
    fn raise(&self, value: u64) -> u64 {
        self.fetch_max(value, Ordering::AcqRel)
    }
    fn clear(&self) {
        self.store(0, Ordering::Release);
    }
    fn step(&self) {
        self.fetch_add(1, Ordering::AcqRel);
    }
}

/// What is in the store: which store it is, its feed position, and whether the credential is revoked.
#[derive(Clone, Copy)]
struct Stored {
    store: u8,
    position: u64,
    revoked: bool,
}

/// What a verification kept.
#[derive(Clone, Copy)]
struct Kept {
    store: u8,
    vintage: Vintage,
}

struct World {
    stored: Mutex<Stored>,
    marks: Marks<AtomicU64>,
    cache: Mutex<Option<Kept>>,
    acknowledged: AtomicBool,
}

impl World {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            stored: Mutex::new(Stored { store: 1, position: 7, revoked: false }),
            marks: Marks::new(1),
            cache: Mutex::new(None),
            acknowledged: AtomicBool::new(false),
        })
    }

    fn vintage(era: Era, position: u64) -> Vintage {
        Vintage { era, position: Position(position), stripes: Stripes([0; 5]) }
    }

    /// A cold verification, as it is: era, then row and position in one snapshot, then the cache.
    fn verify(&self) {
        let era = self.marks.era();
        let stored = *self.stored.lock().unwrap();
        if !stored.revoked {
            let kept = Kept { store: stored.store, vintage: Self::vintage(era, stored.position) };
            *self.cache.lock().unwrap() = Some(kept);
        }
    }

    /// A revocation, as it is: committed, then told to the caches of the process, then acknowledged.
    fn revoke(&self) {
        let position = {
            let mut stored = self.stored.lock().unwrap();
            stored.revoked = true;
            stored.position += 1;
            stored.position
        };
        self.marks.changed(0, Position(position));
        self.acknowledged.store(true, Ordering::Release);
    }

    /// The store is replaced by another, where the credential is revoked and positions are lower.
    fn replace(&self) {
        *self.stored.lock().unwrap() = Stored { store: 2, position: 3, revoked: true };
        self.marks.start_era();
        self.acknowledged.store(true, Ordering::Release);
    }

    /// A request: must not be answered from what was kept before the acknowledgement.
    fn request(&self, holds: impl Fn(&Self, Vintage) -> bool) {
        if !self.acknowledged.load(Ordering::Acquire) {
            return;
        }
        let kept = *self.cache.lock().unwrap();
        if let Some(kept) = kept {
            assert!(!holds(self, kept.vintage), "accepted after the acknowledgement, from store {}", kept.store);
        }
    }
}

fn as_it_is(world: &World, vintage: Vintage) -> bool {
    world.marks.holds(vintage)
}

/// Runs a verification and a change at once, and a request beside both and after both.
fn race(
    verify: impl Fn(&World) + Copy + Send + Sync + 'static,
    change: impl Fn(&World) + Copy + Send + Sync + 'static,
    holds: impl Fn(&World, Vintage) -> bool + Copy + Send + Sync + 'static,
) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let world = World::new();
        let verifier = thread::spawn({
            let world = Arc::clone(&world);
            move || verify(&world)
        });
        let changer = thread::spawn({
            let world = Arc::clone(&world);
            move || change(&world)
        });
        world.request(holds);
        verifier.join().unwrap();
        changer.join().unwrap();
        world.request(holds);
    });
}

#[test]
fn b4_what_was_read_before_a_revocation_never_comes_back_to_life() {
    race(World::verify, World::revoke, as_it_is);
}

#[test]
#[should_panic(expected = "accepted after the acknowledgement")]
fn b4_the_model_fails_without_the_mark() {
    race(World::verify, World::revoke, |world, vintage| vintage.era == world.marks.era());
}

#[test]
#[should_panic(expected = "accepted after the acknowledgement")]
fn b4_the_model_fails_when_the_position_is_not_of_the_rows_own_snapshot() {
    let position_read_later = |world: &World| {
        let era = world.marks.era();
        let revoked = world.stored.lock().unwrap().revoked;
        let position = world.stored.lock().unwrap().position;
        if !revoked {
            *world.cache.lock().unwrap() = Some(Kept { store: 1, vintage: World::vintage(era, position) });
        }
    };
    race(position_read_later, World::revoke, as_it_is);
}

#[test]
#[should_panic(expected = "accepted after the acknowledgement")]
fn b4_the_model_fails_when_a_change_is_acknowledged_before_it_is_told() {
    let told_later = |world: &World| {
        let position = {
            let mut stored = world.stored.lock().unwrap();
            stored.revoked = true;
            stored.position += 1;
            stored.position
        };
        world.acknowledged.store(true, Ordering::Release);
        world.marks.changed(0, Position(position));
    };
    race(World::verify, told_later, as_it_is);
}

#[test]
fn r9_what_was_read_from_a_replaced_store_never_comes_back_to_life() {
    race(World::verify, World::replace, as_it_is);
}

#[test]
#[should_panic(expected = "accepted after the acknowledgement")]
fn r9_the_model_fails_when_the_era_is_taken_after_the_read() {
    let era_taken_later = |world: &World| {
        let stored = *world.stored.lock().unwrap();
        let era = world.marks.era();
        if !stored.revoked {
            let kept = Kept { store: stored.store, vintage: World::vintage(era, stored.position) };
            *world.cache.lock().unwrap() = Some(kept);
        }
    };
    race(era_taken_later, World::replace, as_it_is);
}
