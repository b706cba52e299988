//! What the host told of Users and LLMs, until it is written. Of the process, whatever store is open and whether one is: a
//! host tells once, and nothing else makes up for it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::authenticate::denied::{By, DeniedHere};
use crate::directory::told::Told;
use crate::domain::{LlmId, Subject, UserId};

/// Things that wait at most. Who is gone is kept all the same: it may be no more than the host has Users.
const MOST: usize = 10_000;

/// What something was told of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Key {
    User(UserId),
    Llm(LlmId),
}

impl Key {
    fn of(told: &Told) -> Option<Self> {
        match told {
            Told::User { id, .. } | Told::UserGone(id) => Some(Self::User(*id)),
            Told::LlmGone(id) => Some(Self::Llm(*id)),
            Told::App(_) => None,
        }
    }
}

struct Item {
    told: Told,
    version: u64,
    waiting: Vec<oneshot::Sender<()>>,
}

#[derive(Default)]
struct State {
    items: HashMap<Key, Item>,
    order: VecDeque<Key>,
    versions: u64,
}

/// The queue.
pub(super) struct Word {
    state: Mutex<State>,
    woken: Condvar,
    denied: Arc<DeniedHere>,
}

impl Word {
    pub(super) fn new(denied: Arc<DeniedHere>) -> Self {
        Self { state: Mutex::default(), woken: Condvar::new(), denied }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what was told: from now on who is gone is refused here. Of each thing the last word counts, but that one is gone
    /// is not taken back by a word of before. Over when it is written.
    pub(super) fn enter(&self, told: Told) -> oneshot::Receiver<()> {
        let (written, over) = oneshot::channel();
        let Some(key) = Key::of(&told) else { return over };
        let mut state = self.state();
        if let Some(subject) = told.takes_away()
            && !self.denied.deny(subject, By::Host)
        {
            tracing::error!("there is no room to refuse a User who is gone: they are once it is written");
        }
        if state.items.len() >= MOST && told.takes_away().is_none() && !state.items.contains_key(&key) {
            tracing::error!("more was told of by the host than can be kept; one User's address or name is lost");
            return over;
        }
        state.versions += 1;
        let version = state.versions;
        if let Some(item) = state.items.get_mut(&key) {
            item.waiting.push(written);
            if !told.is_older_than(&item.told) {
                (item.told, item.version) = (told, version);
            }
        } else {
            state.items.insert(key, Item { told, version, waiting: vec![written] });
            state.order.push_back(key);
        }
        drop(state);
        self.woken.notify_all();
        over
    }

    /// The next to be written; none when it is to stop. Stays in the queue until it is [`Word::written`].
    pub(super) fn next(&self, stopped: impl Fn() -> bool) -> Option<(Key, Told, u64)> {
        const LOOK: Duration = Duration::from_millis(500);
        let mut state = self.state();
        loop {
            if stopped() {
                return None;
            }
            let first = state.order.front().copied();
            if let Some((key, item)) = first.and_then(|key| Some((key, state.items.get(&key)?))) {
                return Some((key, item.told.clone(), item.version));
            }
            state = self.woken.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// That is in the store. What was told of it meanwhile is still to be.
    pub(super) fn written(&self, key: Key, version: u64) {
        let mut state = self.state();
        if state.items.get(&key).is_none_or(|item| item.version != version) {
            return;
        }
        state.order.retain(|other| *other != key);
        let item = state.items.remove(&key);
        if let Key::User(user) = key {
            // From now on it is for the row to say.
            self.denied.lift(Subject::User(user), By::Host);
        }
        drop(state);
        for waiting in item.into_iter().flat_map(|item| item.waiting) {
            // Who gave up waiting is not told.
            let _ = waiting.send(());
        }
    }

    /// It could not be written: the others come first.
    pub(super) fn failed(&self, key: Key) {
        let mut state = self.state();
        if state.order.front() == Some(&key) {
            state.order.rotate_left(1);
        }
    }

    /// Wakes who waits for the next.
    pub(super) fn wake(&self) {
        self.woken.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone(id: u32) -> Told {
        Told::UserGone(UserId::new(id).unwrap())
    }

    fn there(id: u32, created: bool) -> Told {
        Told::User { id: UserId::new(id).unwrap(), email: None, name: None, active: true, created }
    }

    fn word() -> (Arc<DeniedHere>, Word) {
        let denied = Arc::new(DeniedHere::default());
        (Arc::clone(&denied), Word::new(denied))
    }

    fn user(id: u32) -> Subject {
        Subject::User(UserId::new(id).unwrap())
    }

    #[test]
    fn r11_who_is_gone_is_refused_until_it_is_written_store_or_no_store() {
        let (denied, word) = word();
        let mut over = word.enter(gone(9));
        assert!(denied.denies([user(9)]));
        let (key, told, version) = word.next(|| false).unwrap();
        assert_eq!(told, gone(9));
        word.failed(key);
        assert!(denied.denies([user(9)]) && over.try_recv().is_err());
        word.written(key, version);
        assert!(!denied.denies([user(9)]) && over.try_recv().is_ok());
        assert!(word.next(|| true).is_none());
    }

    #[test]
    fn v2_a_word_of_before_brings_nobody_back() {
        let (denied, word) = word();
        word.enter(gone(9));
        word.enter(there(9, false));
        assert_eq!(word.next(|| false).unwrap().1, gone(9));
        word.enter(there(9, true));
        let (key, told, version) = word.next(|| false).unwrap();
        assert_eq!(told, there(9, true), "made anew");
        // Gone again while that is being written.
        word.enter(gone(9));
        word.written(key, version);
        assert!(denied.denies([user(9)]));
        assert_eq!(word.next(|| false).unwrap().1, gone(9));
    }

    #[test]
    fn one_that_cannot_be_written_holds_up_no_other() {
        let (_, word) = word();
        word.enter(gone(1));
        word.enter(gone(2));
        let (first, ..) = word.next(|| false).unwrap();
        word.failed(first);
        assert_eq!(word.next(|| false).unwrap().1, gone(2));
    }

    #[test]
    fn who_is_gone_is_kept_however_much_waits() {
        let (_, word) = word();
        for id in 1..=20_000 {
            word.enter(there(id, false));
        }
        assert_eq!(word.state().items.len(), MOST);
        word.enter(gone(30_000));
        assert_eq!(word.state().items.len(), MOST + 1);
    }
}
