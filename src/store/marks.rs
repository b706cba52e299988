//! Up to which position of the feed each subject changed: what says whether something that was read still holds.
//!
//! Generic over its words, so that the very code is model-checked (`marks_model_tests.rs`): what was read before a
//! change never holds again after the change is acknowledged, whatever the order of everything in between.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::Position;

/// The stripes of one cached finding's subjects.
#[derive(Clone, Copy, Debug)]
pub struct Stripes(pub(super) [u16; 5]);

/// Which store something was read from: ends when the file under us was replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Era(u64);

/// How old facts are.
#[derive(Clone, Copy, Debug)]
pub struct Vintage {
    /// Taken with [`Marks::era`] before anything was read.
    pub era: Era,
    /// The feed position of the oldest snapshot among the reads.
    pub position: Position,
    /// What it is about.
    pub stripes: Stripes,
}

/// An atomic number.
pub trait Word: Send + Sync {
    /// With this value.
    fn new(value: u64) -> Self;
    /// Its value, and with it all that was written before that was.
    fn get(&self) -> u64;
    /// Raises it to `value` if it is lower; the value before.
    fn raise(&self, value: u64) -> u64;
    /// Sets it to 0.
    fn clear(&self);
    /// Adds one.
    fn step(&self);
}

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

/// The marks of one process.
pub struct Marks<W> {
    changed_at: Box<[W]>,
    floor: W,
    era: W,
}

impl<W: Word> Marks<W> {
    /// For so many stripes; nothing changed yet.
    pub fn new(stripes: usize) -> Self {
        Self { changed_at: (0..stripes).map(|_| W::new(0)).collect(), floor: W::new(0), era: W::new(0) }
    }

    /// The era to read in: to be taken before the first read.
    pub fn era(&self) -> Era {
        Era(self.era.get())
    }

    /// Whether what was read still holds, as far as this process knows.
    pub fn holds(&self, vintage: Vintage) -> bool {
        let Vintage { era, position, stripes } = vintage;
        let unchanged = |stripe: u16| {
            let changed_at = self.changed_at.get(usize::from(stripe));
            changed_at.is_some_and(|changed| changed.get() <= position.0)
        };
        era == self.era() && position.0 >= self.floor.get() && stripes.0.iter().all(|&stripe| unchanged(stripe))
    }

    /// What the stripe is about changed at this position. Says whether that is news.
    pub fn changed(&self, stripe: u16, at: Position) -> bool {
        self.changed_at.get(usize::from(stripe)).is_some_and(|mark| mark.raise(at.0) < at.0)
    }

    /// Everything changed at this position. Says whether that is news.
    pub fn all_changed(&self, at: Position) -> bool {
        self.floor.raise(at.0) < at.0
    }

    /// The store may be another one, with other positions: nothing read so far holds.
    pub fn start_era(&self) {
        self.floor.clear();
        self.changed_at.iter().for_each(W::clear);
        // Last: whoever reads the new era reads its rows after the reset, so it misses no change
        // that the reset wiped.
        self.era.step();
    }
}

#[cfg(test)]
#[path = "marks_model_tests.rs"]
mod model_tests;
