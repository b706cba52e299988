//! The hashing threads of a process: who waits for Argon2id, and whose turn it is (rules R12 and R13).
//!
//! One verification takes milliseconds and 19 MiB by design, so it never runs on an async thread: a fixed number of our
//! own threads does it, at low priority, each with one reused and wiped buffer that is allocated at first use and freed
//! when idle (decision 3).
//!
//! What waits is bounded, and nobody can lock anybody out. The same secret of the same credential is hashed once for all
//! who present it meanwhile. One credential has one job running and a few waiting; if more come, chance decides which
//! of them goes. Tenants take turns, and so do the credentials of a tenant; half the threads at most work for one tenant.
//! Sources that failed much come last. What goes is refused with a reason of its own and counted.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::domain::{CredentialId, TenantId};
use crate::fair_cache::Digest;
use crate::verify::argon::{Buffer, HashError};
use crate::verify::slow::matches;

const IDLE: Duration = Duration::from_secs(5);
/// Jobs of one credential that may wait.
const WAITING_OF_ONE: usize = 8;
/// Callers that may wait for one job.
const CALLERS_OF_ONE: usize = 256;

/// Why nothing was proven: too much to do, or a stored hash that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// Too many wait; refuse now rather than let everybody wait.
    #[error("too many hashes wait")]
    Full,
    /// The stored hash cannot be used.
    #[error(transparent)]
    Hash(#[from] HashError),
}

type Answer = Result<bool, Unproven>;

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

struct Job {
    digest: Digest,
    phc: String,
    secret: Zeroizing<Vec<u8>>,
    callers: Vec<oneshot::Sender<Answer>>,
    suspect: bool,
}

impl Job {
    fn is_wanted(&self) -> bool {
        self.callers.iter().any(|caller| !caller.is_closed())
    }

    fn answer(self, answer: Answer) {
        for caller in self.callers {
            let _ = caller.send(answer);
        }
    }
}

/// What one tenant waits for, in the order of its credentials' turns.
#[derive(Default)]
struct Lane {
    turns: VecDeque<CredentialId>,
    running: usize,
}

struct Running {
    digest: Digest,
    callers: Vec<oneshot::Sender<Answer>>,
}

#[derive(Default)]
struct Queue {
    waiting: HashMap<CredentialId, Vec<Job>>,
    count: usize,
    lanes: HashMap<TenantId, Lane>,
    turns: VecDeque<TenantId>,
    running: HashMap<CredentialId, Running>,
    closed: bool,
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

    /// Hashes computed so far.
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
        let same = match queue.running.get_mut(&ask.credential).filter(|running| running.digest == ask.digest) {
            Some(running) => Some(&mut running.callers),
            None => queue
                .waiting
                .get_mut(&ask.credential)
                .and_then(|jobs| jobs.iter_mut().find(|job| job.digest == ask.digest))
                .map(|job| &mut job.callers),
        };
        if let Some(callers) = same {
            if callers.len() >= CALLERS_OF_ONE {
                return Err(Unproven::Full);
            }
            callers.push(caller);
            return Ok(answered);
        }
        self.make_room(&mut queue, ask)?;
        let job = Job {
            digest: ask.digest,
            phc: ask.phc.to_owned(),
            secret: Zeroizing::new(ask.secret.to_vec()),
            callers: vec![caller],
            suspect: ask.suspect,
        };
        queue.add(ask.tenant, ask.credential, job);
        drop(queue);
        self.work.notify_one();
        Ok(answered)
    }

    /// Room for one more job: within its credential's few, and within what may wait at all. Where there is none, one job
    /// of the same credential goes, or one of the tenant that waits for the most; the newcomer takes part in the draw.
    fn make_room(&self, queue: &mut Queue, ask: &Ask<'_>) -> Result<(), Unproven> {
        let of_one = queue.waiting.get(&ask.credential).map_or(0, Vec::len);
        if of_one >= WAITING_OF_ONE {
            let drawn = self.chance(of_one + 1);
            if drawn == of_one {
                return Err(Unproven::Full);
            }
            queue.remove(ask.credential, drawn);
        } else if queue.count >= self.most {
            let longest = queue.longest_lane().filter(|(tenant, _)| *tenant != ask.tenant);
            let (tenant, length) = longest.unwrap_or((ask.tenant, queue.waiting_of(ask.tenant)));
            let draw = self.chance(length + usize::from(tenant == ask.tenant));
            let Some(credential) = queue.nth_of(tenant, draw) else { return Err(Unproven::Full) };
            let index = self.chance(queue.waiting.get(&credential).map_or(0, Vec::len));
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
            let answer = matches(&mut buffer, &job.phc, &job.secret).map_err(Unproven::Hash);
            self.taken.fetch_add(1, Ordering::Relaxed);
            queue = self.lock();
            let joined = queue.done(tenant, credential);
            job.answer(answer);
            for caller in joined {
                let _ = caller.send(answer);
            }
            // A tenant or a credential that was at its limit may go on.
            self.work.notify_one();
        }
    }
}

impl Queue {
    fn add(&mut self, tenant: TenantId, credential: CredentialId, job: Job) {
        let jobs = self.waiting.entry(credential).or_default();
        jobs.push(job);
        self.count += 1;
        let lane = self.lanes.entry(tenant).or_default();
        if !lane.turns.contains(&credential) {
            lane.turns.push_back(credential);
        }
        if !self.turns.contains(&tenant) {
            self.turns.push_back(tenant);
        }
    }

    fn waiting_of(&self, tenant: TenantId) -> usize {
        let credentials = self.lanes.get(&tenant).into_iter().flat_map(|lane| &lane.turns);
        credentials.filter_map(|credential| self.waiting.get(credential)).map(Vec::len).sum()
    }

    fn longest_lane(&self) -> Option<(TenantId, usize)> {
        self.turns.iter().map(|&tenant| (tenant, self.waiting_of(tenant))).max_by_key(|(_, length)| *length)
    }

    /// The credential whose job is the `n`th that a tenant waits for.
    fn nth_of(&self, tenant: TenantId, mut n: usize) -> Option<CredentialId> {
        for credential in &self.lanes.get(&tenant)?.turns {
            let length = self.waiting.get(credential).map_or(0, Vec::len);
            if n < length {
                return Some(*credential);
            }
            n -= length;
        }
        None
    }

    fn remove(&mut self, credential: CredentialId, index: usize) -> Option<Job> {
        let jobs = self.waiting.get_mut(&credential)?;
        if index >= jobs.len() {
            return None;
        }
        let job = jobs.swap_remove(index);
        self.count = self.count.saturating_sub(1);
        if jobs.is_empty() {
            self.waiting.remove(&credential);
        }
        Some(job)
    }

    /// Whose turn it is: first of those who are not suspect, then of those who are.
    fn next(
        &mut self,
        most_of_a_tenant: usize,
        chance: &dyn Fn(usize) -> usize,
    ) -> Option<(TenantId, CredentialId, Job)> {
        [false, true].into_iter().find_map(|suspect| self.next_of(suspect, most_of_a_tenant, chance))
    }

    fn next_of(
        &mut self,
        suspect: bool,
        most_of_a_tenant: usize,
        chance: &dyn Fn(usize) -> usize,
    ) -> Option<(TenantId, CredentialId, Job)> {
        for _ in 0..self.turns.len() {
            let tenant = self.turns.pop_front()?;
            let taken = match self.lanes.get_mut(&tenant) {
                Some(lane) if lane.running < most_of_a_tenant => self.next_of_lane(tenant, suspect, chance),
                _ => None,
            };
            let lane = self.lanes.get_mut(&tenant);
            if lane.as_ref().is_some_and(|lane| lane.turns.is_empty() && lane.running == 0 && taken.is_none()) {
                self.lanes.remove(&tenant);
            } else {
                // Behind the others, whether it got its turn or cannot use it now.
                self.turns.push_back(tenant);
            }
            if let Some((credential, job)) = taken {
                if let Some(lane) = self.lanes.get_mut(&tenant) {
                    lane.running += 1;
                }
                self.running.insert(credential, Running { digest: job.digest, callers: Vec::new() });
                return Some((tenant, credential, job));
            }
        }
        None
    }

    fn next_of_lane(
        &mut self,
        tenant: TenantId,
        suspect: bool,
        chance: &dyn Fn(usize) -> usize,
    ) -> Option<(CredentialId, Job)> {
        let turns = self.lanes.get(&tenant)?.turns.len();
        for _ in 0..turns {
            let credential = self.lanes.get_mut(&tenant)?.turns.pop_front()?;
            // Nobody waits for these any more.
            while let Some(gone) =
                self.waiting.get(&credential).and_then(|jobs| jobs.iter().position(|j| !j.is_wanted()))
            {
                self.remove(credential, gone);
            }
            let mut taken = None;
            if !self.running.contains_key(&credential)
                && let Some(jobs) = self.waiting.get(&credential)
            {
                let eligible: Vec<usize> =
                    jobs.iter().enumerate().filter(|(_, job)| job.suspect == suspect).map(|(at, _)| at).collect();
                if let Some(&at) = eligible.get(chance(eligible.len())) {
                    taken = self.remove(credential, at);
                }
            }
            if self.waiting.contains_key(&credential) {
                self.lanes.get_mut(&tenant)?.turns.push_back(credential);
            }
            if let Some(job) = taken {
                return Some((credential, job));
            }
        }
        None
    }

    /// The job is done; gives back who joined it while it ran.
    fn done(&mut self, tenant: TenantId, credential: CredentialId) -> Vec<oneshot::Sender<Answer>> {
        if let Some(lane) = self.lanes.get_mut(&tenant) {
            lane.running = lane.running.saturating_sub(1);
        }
        self.running.remove(&credential).map(|running| running.callers).unwrap_or_default()
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
