//! One reader for many that ask the same at once.
//!
//! Whoever asks first leads, the others wait for what it found. A leader that goes away without an answer (its caller has
//! hung up, its time ran out, the machine could not say) fails nobody: one of those who wait leads then.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::fair_cache::{AsItIs, Digest};

const SHARDS: usize = 16;

#[derive(Clone)]
enum State<T> {
    Running,
    Landed(T),
    Abandoned,
}

/// What one leader is finding out.
pub(super) struct Flight<T> {
    state: Mutex<State<T>>,
    over: Notify,
}

impl<T: Clone> Flight<T> {
    fn end(&self, state: State<T>) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        self.over.notify_waiters();
    }

    fn state(&self) -> State<T> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for what the leader finds; none if it went away.
    pub(super) async fn wait(&self) -> Option<T> {
        loop {
            let over = self.over.notified();
            tokio::pin!(over);
            // Registered before the look, so that an end in between is not missed.
            over.as_mut().enable();
            match self.state() {
                State::Running => {}
                State::Landed(found) => return Some(found),
                State::Abandoned => return None,
            }
            over.await;
        }
    }
}

type Shard<T> = Mutex<HashMap<Digest, Arc<Flight<T>>, AsItIs>>;

/// All that is being found out.
pub(super) struct Flights<T> {
    shards: [Shard<T>; SHARDS],
}

/// What to do.
pub(super) enum Turn<'a, T: Clone> {
    /// Find out, and tell the others.
    Lead(Lead<'a, T>),
    /// Wait.
    Follow(Arc<Flight<T>>),
}

/// The right and the duty to find out. Dropped, it makes way for another.
pub(super) struct Lead<'a, T: Clone> {
    flights: &'a Flights<T>,
    digest: Digest,
    flight: Arc<Flight<T>>,
}

impl<T: Clone> Flights<T> {
    pub(super) fn new() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()) }
    }

    fn shard(&self, digest: &Digest) -> Option<&Shard<T>> {
        self.shards.get(usize::from(digest.last().copied().unwrap_or(0)) % SHARDS)
    }

    /// Leads if nobody does.
    pub(super) fn join(&self, digest: Digest) -> Turn<'_, T> {
        let flight = Arc::new(Flight { state: Mutex::new(State::Running), over: Notify::new() });
        if let Some(shard) = self.shard(&digest) {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(running) = shard.get(&digest) {
                return Turn::Follow(Arc::clone(running));
            }
            shard.insert(digest, Arc::clone(&flight));
        }
        Turn::Lead(Lead { flights: self, digest, flight })
    }
}

impl<T: Clone> Lead<'_, T> {
    /// Tells the others.
    pub(super) fn land(self, found: T) {
        self.leave();
        self.flight.end(State::Landed(found));
    }

    /// Whoever asks from now on leads anew.
    fn leave(&self) {
        if let Some(shard) = self.flights.shard(&self.digest) {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            if shard.get(&self.digest).is_some_and(|flight| Arc::ptr_eq(flight, &self.flight)) {
                shard.remove(&self.digest);
            }
        }
    }
}

impl<T: Clone> Drop for Lead<'_, T> {
    fn drop(&mut self) {
        self.leave();
        if matches!(self.flight.state(), State::Running) {
            self.flight.end(State::Abandoned);
        }
    }
}

/// Runs a future that is nearly always ready at once, and makes a timer only when it is not: most
/// cold reads never leave this thread.
pub(super) async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    let first = std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context))).await;
    match first {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => tokio::time::timeout(limit, future).await.ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lead<'a>(flights: &'a Flights<u32>, digest: &Digest) -> Lead<'a, u32> {
        match flights.join(*digest) {
            Turn::Lead(lead) => lead,
            Turn::Follow(_) => panic!("somebody leads"),
        }
    }

    fn follow(flights: &Flights<u32>, digest: &Digest) -> Arc<Flight<u32>> {
        match flights.join(*digest) {
            Turn::Lead(_) => panic!("nobody leads"),
            Turn::Follow(flight) => flight,
        }
    }

    #[tokio::test]
    async fn followers_get_what_the_leader_finds() {
        let (flights, digest) = (Flights::new(), [1; 32]);
        let leader = lead(&flights, &digest);
        let (one, other) = (follow(&flights, &digest), follow(&flights, &digest));
        let _unrelated = lead(&flights, &[2; 32]);
        let (first, second, ()) = tokio::join!(one.wait(), other.wait(), async {
            tokio::task::yield_now().await;
            leader.land(7);
        });
        assert_eq!((first, second), (Some(7), Some(7)));
        assert_eq!(one.wait().await, Some(7), "however late");
        drop(lead(&flights, &digest));
    }

    #[tokio::test]
    async fn a_leader_that_goes_away_makes_way_for_a_follower() {
        let (flights, digest) = (Flights::<u32>::new(), [1; 32]);
        let leader = lead(&flights, &digest);
        let one = follow(&flights, &digest);
        let (found, ()) = tokio::join!(one.wait(), async {
            tokio::task::yield_now().await;
            drop(leader);
        });
        assert_eq!(found, None);
        lead(&flights, &digest).land(8);
    }

    #[tokio::test]
    async fn an_old_leader_does_not_end_the_flight_of_a_new_one() {
        let (flights, digest) = (Flights::<u32>::new(), [1; 32]);
        let old = lead(&flights, &digest);
        let flight = follow(&flights, &digest);
        old.land(1);
        let new = lead(&flights, &digest);
        assert_eq!(flight.wait().await, Some(1));
        let waiting = follow(&flights, &digest);
        new.land(2);
        assert_eq!(waiting.wait().await, Some(2));
    }
}
