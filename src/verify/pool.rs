//! The hashing threads of a process: who waits for Argon2id, and whose turn it is (rules R12 and R13).
//!
//! One hash takes milliseconds and 19 MiB by design, so it never runs on an async thread: a fixed number of our own
//! threads does it, at low priority, each with one reused and wiped buffer that is allocated at first use and freed
//! when idle (decision 3). Hashes of fresh secrets are made here too, so that whoever issues keys has the same turns as
//! whoever presents them, and memory has the same bound.
//!
//! What waits is bounded, and nobody can lock anybody out. The same secret of the same credential is hashed once for all
//! who present it meanwhile. One credential has one job running and a few waiting; if more come, chance decides which
//! of them goes. Tenants take turns, and so do the credentials of a tenant; half the threads at most work for one tenant.
//! Sources that failed much come last. What goes is refused with a reason of its own and counted.

mod job;
mod queue;

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::domain::{CredentialId, TenantId};
use crate::fair_cache::Digest;
use crate::verify::argon::{self, Buffer, Cost, HashError, SALT_LEN};
use job::{Job, Maker, Work};
use queue::Queue;

const IDLE: Duration = Duration::from_secs(5);
/// Jobs of one credential that may wait.
const WAITING_OF_ONE: usize = 8;
/// Callers that may wait for one job.
const CALLERS_OF_ONE: usize = 256;

/// Why nothing was hashed: too much to do, or a stored hash or a cost that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// Too many wait; refuse now rather than let everybody wait.
    #[error("too many hashes wait")]
    Full,
    /// The stored hash, or what was asked for, cannot be used.
    #[error(transparent)]
    Hash(#[from] HashError),
}

type Answer = Result<bool, Unproven>;
type Made = Result<String, Unproven>;

/// A secret to be proven.
pub struct Ask<'a> {
    /// Whose turn it uses.
    pub tenant: TenantId,
    /// Which credential.
    pub credential: CredentialId,
    /// The keyed digest of what was presented: the same digest is the same secret.
    pub digest: Digest,
    /// The stored hash.
    pub phc: &'a str,
    /// What was presented.
    pub secret: &'a [u8],
    /// It comes from where many failures came from: last of all.
    pub suspect: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
    taken: AtomicU64,
    dice: (RandomState, AtomicU64),
    most: usize,
    most_of_a_tenant: usize,
}

/// The pool. Its threads end when it is dropped.
pub struct ArgonPool {
    shared: Arc<Shared>,
}

impl ArgonPool {
    /// Starts `threads` threads; at most `queue_len` jobs wait.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(threads: usize, queue_len: usize) -> std::io::Result<Self> {
        let threads = threads.max(1);
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            work: Condvar::new(),
            taken: AtomicU64::new(0),
            dice: (RandomState::new(), AtomicU64::new(0)),
            most: queue_len.max(1),
            most_of_a_tenant: (threads / 2).max(1),
        });
        for index in 0..threads {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name(format!("argon2-{index}")).spawn(move || shared.work())?;
        }
        Ok(Self { shared })
    }

    /// Whether the secret is the one that the stored hash was made of. A caller that goes away takes nothing from others
    /// who wait for the same.
    ///
    /// # Errors
    /// When too many wait, or the stored hash cannot be used.
    pub async fn verify(&self, ask: Ask<'_>) -> Answer {
        let answered = self.shared.enqueue(&ask)?;
        // A job that had to make way drops its callers.
        answered.await.unwrap_or(Err(Unproven::Full))
    }

    /// Makes a hash of a fresh secret, as a PHC string. Fair turns are the tenant's and the credential's, as above. A
    /// caller that goes away leaves nothing to do.
    ///
    /// # Errors
    /// When too many wait, or the cost is out of bounds.
    pub async fn hash(
        &self,
        tenant: TenantId,
        credential: CredentialId,
        cost: Cost,
        secret: &[u8],
        salt: [u8; SALT_LEN],
    ) -> Made {
        let (caller, made) = oneshot::channel();
        self.shared.enqueue_making(tenant, credential, secret, (cost, salt), caller)?;
        made.await.unwrap_or(Err(Unproven::Full))
    }

    /// The same for a thread that may stand still: not for an async one.
    ///
    /// # Errors
    /// As [`ArgonPool::hash`].
    pub fn hash_blocking(
        &self,
        tenant: TenantId,
        credential: CredentialId,
        cost: Cost,
        secret: &[u8],
        salt: [u8; SALT_LEN],
    ) -> Made {
        futures::executor::block_on(self.hash(tenant, credential, cost, secret, salt))
    }

    /// Hashes computed so far, proofs and fresh ones.
    pub fn taken(&self) -> u64 {
        self.shared.taken.load(Ordering::Relaxed)
    }

    /// Jobs that wait now.
    pub fn waiting(&self) -> usize {
        self.shared.lock().count
    }
}

impl Drop for ArgonPool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number below `below`, or 0.
    fn chance(&self, below: usize) -> usize {
        let thrown = self.dice.0.hash_one(self.dice.1.fetch_add(1, Ordering::Relaxed));
        usize::try_from(thrown % (below.max(1) as u64)).unwrap_or(0)
    }

    fn enqueue(&self, ask: &Ask<'_>) -> Result<oneshot::Receiver<Answer>, Unproven> {
        let (caller, answered) = oneshot::channel();
        let mut queue = self.lock();
        if let Some(callers) = queue.askers(ask.credential, &ask.digest) {
            if callers.len() >= CALLERS_OF_ONE {
                return Err(Unproven::Full);
            }
            callers.push(caller);
            return Ok(answered);
        }
        // What finds no room is refused before anything is copied for it.
        self.make_room(&mut queue, ask.tenant, ask.credential)?;
        let work = Work::Prove { digest: ask.digest, phc: ask.phc.to_owned(), callers: vec![caller] };
        let job = Job { work, secret: Zeroizing::new(ask.secret.to_vec()), suspect: ask.suspect };
        queue.add(ask.tenant, ask.credential, job);
        drop(queue);
        self.work.notify_one();
        Ok(answered)
    }

    fn enqueue_making(
        &self,
        tenant: TenantId,
        credential: CredentialId,
        secret: &[u8],
        (cost, salt): (Cost, [u8; SALT_LEN]),
        caller: Maker,
    ) -> Result<(), Unproven> {
        // Known at once, and no reason for anybody to make way.
        argon::check_cost(cost)?;
        let mut queue = self.lock();
        self.make_room(&mut queue, tenant, credential)?;
        let work = Work::Make { cost, salt, caller };
        // Whoever issues was let in to do so.
        let job = Job { work, secret: Zeroizing::new(secret.to_vec()), suspect: false };
        queue.add(tenant, credential, job);
        drop(queue);
        self.work.notify_one();
        Ok(())
    }

    /// Room for one more job: within its credential's few, and within what may wait at all. Where there is none, one job
    /// of the same credential goes, or one of the tenant that waits for the most; the newcomer takes part in the draw.
    fn make_room(&self, queue: &mut Queue, newcomer: TenantId, credential: CredentialId) -> Result<(), Unproven> {
        let of_one = queue.waiting_for(credential);
        if of_one >= WAITING_OF_ONE {
            let drawn = self.chance(of_one + 1);
            if drawn == of_one {
                return Err(Unproven::Full);
            }
            queue.remove(credential, drawn);
        } else if queue.count >= self.most {
            let longest = queue.longest_lane().filter(|(tenant, _)| *tenant != newcomer);
            let (tenant, length) = longest.unwrap_or((newcomer, queue.waiting_of(newcomer)));
            let draw = self.chance(length + usize::from(tenant == newcomer));
            let Some(credential) = queue.nth_of(tenant, draw) else { return Err(Unproven::Full) };
            let index = self.chance(queue.waiting_for(credential));
            queue.remove(credential, index);
        }
        Ok(())
    }

    fn work(&self) {
        // Hashing takes only spare time: at normal priority two hash threads cost other callers
        // milliseconds at the 99th percentile. On Linux this is per thread; elsewhere it may do nothing.
        let _ = rustix::process::setpriority_process(None, 15);
        let mut buffer = Buffer::default();
        let mut queue = self.lock();
        loop {
            if queue.closed {
                return;
            }
            let chance = |below| self.chance(below);
            let Some((tenant, credential, job)) = queue.next(self.most_of_a_tenant, &chance) else {
                let (guard, waited) = self.work.wait_timeout(queue, IDLE).unwrap_or_else(PoisonError::into_inner);
                queue = guard;
                if waited.timed_out() {
                    buffer = Buffer::default();
                }
                continue;
            };
            drop(queue);
            let done = job.work(&mut buffer);
            self.taken.fetch_add(1, Ordering::Relaxed);
            queue = self.lock();
            done.tell(queue.done(tenant, credential));
            // A tenant or a credential that was at its limit may go on.
            self.work.notify_one();
        }
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
