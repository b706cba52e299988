//! Which cached facts still hold: the change feed, as caches see it.
//!
//! Every cached entry carries the feed position of the snapshot that it was read from. [`ChangeFeed`]
//! keeps, for each subject, the position of its last change, in a fixed table of stripes: a hit holds
//! only while none of its subjects changed after the entry was read. Two subjects that share a
//! stripe cost a needless miss, never a stale hit. Nothing has to be removed from a cache for a change to
//! take effect, and an entry made from an old row can never come back to life: its position is old (rule R8).
//!
//! Commits of this process arrive by [`CommitListener`] before they are acknowledged; those of others by
//! [`ChangeFeed::check`], which a watcher thread calls every [`POLL`]. A hit is good only while the last
//! check, stamped before its read on the boot clock, is at most [`MAX_CHECK_AGE`] old; else the request
//! runs the check itself, and refuses if it can't.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, ExpiryClock};
use crate::domain::{Change, Position, Subject};
pub use crate::store::marks::{Era, Stripes, Vintage};

use crate::store::marks::Marks;
use crate::store::{CommitListener, Feed, News, StoreResult};

/// How often the watcher looks: at most every 50 ms, and twice within [`MAX_CHECK_AGE`], so that a hit
/// normally finds a fresh stamp.
pub const POLL: Duration = Duration::from_millis(50);
/// The oldest check that a hit may rest on (rule R8).
pub const MAX_CHECK_AGE: Duration = Duration::from_millis(100);

const STRIPES: usize = 1 << 14;

/// What a look at the feed brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Checked {
    /// Changes that were news to this process.
    pub changes: usize,
    /// The longest time from a change's commit until now, in milliseconds.
    pub slowest_ms: Option<i64>,
}

/// The process's view of the change feed.
pub struct ChangeFeed {
    hasher: RandomState,
    marks: Marks<AtomicU64>,
    pepper_changes: AtomicU64,
    applying: Mutex<()>,
    checked_at_ns: AtomicU64,
    seen: Mutex<Position>,
    clock: Arc<dyn Clock>,
    expiry: Arc<ExpiryClock>,
}

impl ChangeFeed {
    /// Starts at `position`: nothing is cached yet, so nothing before it matters.
    pub fn new(position: Position, clock: Arc<dyn Clock>, expiry: Arc<ExpiryClock>) -> Self {
        Self {
            hasher: RandomState::new(),
            marks: Marks::new(STRIPES),
            pepper_changes: AtomicU64::new(0),
            applying: Mutex::new(()),
            checked_at_ns: AtomicU64::new(0),
            seen: Mutex::new(position),
            clock,
            expiry,
        }
    }

    /// The stripes to keep with an entry about these subjects.
    pub fn stripes(&self, subjects: [Subject; 5]) -> Stripes {
        Stripes(subjects.map(|subject| self.stripe(subject)))
    }

    /// The era to read in: to be taken before the first read of an entry.
    pub fn era(&self) -> Era {
        self.marks.era()
    }

    /// Whether an entry still holds, as far as this process knows.
    pub fn holds(&self, vintage: Vintage) -> bool {
        self.marks.holds(vintage)
    }

    /// Grows when the store's peppers or its keys of other systems change, or may have.
    pub fn pepper_changes(&self) -> u64 {
        self.pepper_changes.load(Ordering::Acquire)
    }

    /// Whether the last check is young enough for a hit to rest on.
    pub fn is_fresh(&self) -> bool {
        let age = self.clock.boot_ns().saturating_sub(self.checked_at_ns.load(Ordering::Acquire));
        u128::from(age) <= MAX_CHECK_AGE.as_nanos()
    }

    /// Nanoseconds since the last successful check.
    pub fn check_age_ns(&self) -> u64 {
        self.clock.boot_ns().saturating_sub(self.checked_at_ns.load(Ordering::Acquire))
    }

    /// Looks for commits of other processes and takes in what it finds.
    ///
    /// # Errors
    /// When the store cannot be read; then hits stop holding as the last check ages.
    pub fn check(&self, feed: &dyn Feed) -> StoreResult<Checked> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // Stamped before the read: what is committed after this moment may be missing from it.
        let stamp = self.clock.boot_ns();
        let checked = match feed.news(*seen)? {
            News::Nothing => Checked::default(),
            News::Changes(changes) => {
                let checked = self.take_in(&changes);
                if let Some(last) = changes.last() {
                    *seen = last.position;
                }
                checked
            }
            News::Lost { position } => {
                self.start_era();
                *seen = position;
                Checked { changes: 1, slowest_ms: None }
            }
        };
        self.checked_at_ns.fetch_max(stamp, Ordering::AcqRel);
        Ok(checked)
    }

    /// The store under us may be another one, with other positions: nothing read so far holds.
    fn start_era(&self) {
        let _applying = self.applying.lock().unwrap_or_else(PoisonError::into_inner);
        self.marks.start_era();
        self.pepper_changes.fetch_add(1, Ordering::AcqRel);
    }

    fn take_in(&self, changes: &[Change]) -> Checked {
        let _applying = self.applying.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ms = self.clock.wall_ms();
        let mut checked = Checked::default();
        for change in changes {
            if matches!(change.subject, Subject::Pepper | Subject::Imports | Subject::Everything) {
                self.pepper_changes.fetch_add(1, Ordering::AcqRel);
            }
            let is_news = match change.subject {
                // Keys that much rests on, and that change once in a long while.
                Subject::Everything | Subject::SubjectKey | Subject::SigningKeys => {
                    self.marks.all_changed(change.position)
                }
                subject => self.marks.changed(self.stripe(subject), change.position),
            };
            // What this process committed itself was taken in before, and is no news.
            if is_news {
                checked.changes += 1;
                checked.slowest_ms = checked.slowest_ms.max(Some(now_ms.saturating_sub(change.at_ms)));
            }
            self.expiry.saw_commit(change.at_ms);
        }
        checked
    }

    fn stripe(&self, subject: Subject) -> u16 {
        // The remainder is below STRIPES, which fits.
        u16::try_from(self.hasher.hash_one(subject) % STRIPES as u64).unwrap_or(0)
    }
}

impl CommitListener for ChangeFeed {
    fn committed(&self, changes: &[Change]) {
        self.take_in(changes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::domain::{AppId, CredentialId, TenantId, UserId};
    use crate::store::StoreError;

    struct Scripted(Mutex<Vec<StoreResult<News>>>);
    impl Feed for Scripted {
        fn position(&self) -> StoreResult<Position> {
            Ok(Position(0))
        }
        fn news(&self, _: Position) -> StoreResult<News> {
            self.0.lock().unwrap().remove(0)
        }
    }

    fn feed() -> (Arc<ManualClock>, ChangeFeed) {
        let clock = Arc::new(ManualClock::at(1_000));
        let expiry = Arc::new(ExpiryClock::new(clock.clone()));
        (clock.clone(), ChangeFeed::new(Position(10), clock, expiry))
    }

    fn subjects() -> [Subject; 5] {
        [
            Subject::Link(crate::domain::LinkId::from_bytes([3; 16])),
            Subject::Credential(CredentialId::from_bytes([1; 16])),
            Subject::Tenant(TenantId::from_bytes([2; 16])),
            Subject::App(AppId::new(7).unwrap()),
            Subject::User(UserId::new(9).unwrap()),
        ]
    }

    fn read_at(feed: &ChangeFeed, position: u64) -> Vintage {
        Vintage { era: feed.era(), position: Position(position), stripes: feed.stripes(subjects()) }
    }

    fn change(position: u64, subject: Subject) -> Change {
        Change { position: Position(position), subject, at_ms: 2_000 }
    }

    #[test]
    fn r8_a_change_of_any_subject_ends_what_was_read_before_it() {
        for subject in subjects().into_iter().chain([Subject::Everything]) {
            let (_, feed) = feed();
            assert!(feed.holds(read_at(&feed, 10)));
            feed.committed(&[change(11, subject)]);
            assert!(!feed.holds(read_at(&feed, 10)), "{subject:?}");
            assert!(feed.holds(read_at(&feed, 11)), "read after the change");
        }
    }

    #[test]
    fn r8_a_stamp_ages_and_a_failed_check_does_not_renew_it() {
        let (clock, feed) = feed();
        let scripted = Scripted(Mutex::new(vec![
            Ok(News::Nothing),
            Err(StoreError::Closed),
            Ok(News::Changes(vec![change(12, subjects()[0])])),
        ]));
        assert!(feed.check(&scripted).is_ok() && feed.is_fresh());
        clock.advance(MAX_CHECK_AGE);
        assert!(feed.is_fresh());
        clock.advance(Duration::from_millis(1));
        assert!(!feed.is_fresh());
        assert!(feed.check(&scripted).is_err() && !feed.is_fresh());
        assert_eq!(feed.check(&scripted).unwrap().changes, 1);
        assert!(feed.is_fresh() && !feed.holds(read_at(&feed, 11)));
    }

    #[test]
    fn r9_a_replaced_store_ends_every_entry() {
        let (_, feed) = feed();
        feed.committed(&[change(500, subjects()[0])]);
        let before = read_at(&feed, 600);
        feed.check(&Scripted(Mutex::new(vec![Ok(News::Lost { position: Position(10) })]))).unwrap();
        assert!(!feed.holds(before), "read from the store that is gone");
        assert!(feed.holds(read_at(&feed, 10)), "read from the one that took its place");
    }
}
