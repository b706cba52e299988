//! Argon2id: making the durable record of a secret, and proving secrets that have no tag.
//!
//! One verification takes milliseconds and 19 MiB by design, so it never runs on an async thread: a fixed
//! pool of our own threads does it, as many as cores, at low priority, each with one reused and
//! wiped buffer that is allocated at first use and freed when idle (decision 3). The queue is bounded; a full queue
//! refuses, and the refusal is counted by its reason.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use tokio::sync::oneshot;
use zeroize::{Zeroize as _, Zeroizing};

use crate::clock::Entropy;
use crate::secret::equal_in_constant_time;

/// How expensive a hash is: OWASP's floor by default.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

/// OWASP's minimum: 19 MiB, 2 passes, 1 lane.
pub const DEFAULT_COST: Cost = Cost { memory_kib: 19_456, passes: 2, lanes: 1 };
/// The most that a stored hash may ask for (rule R12); more is refused, never computed.
pub const MAX_COST: Cost = Cost { memory_kib: 65_536, passes: 4, lanes: 2 };

const SALT_LEN: usize = 16;
const OUTPUT_LEN: usize = 32;
const IDLE: Duration = Duration::from_secs(5);

/// Why nothing was hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// The cost is outside what is allowed.
    #[error("argon2 cost out of bounds: at most m={} KiB, t={}, p={}", MAX_COST.memory_kib, MAX_COST.passes, MAX_COST.lanes)]
    Cost,
    /// No randomness for the salt.
    #[error("no randomness for a salt")]
    Entropy,
    /// A stored hash that is not Argon2id in PHC form.
    #[error("the stored hash is not an argon2id PHC string")]
    Phc,
}

/// Working memory, wiped after each use.
#[derive(Default)]
struct Buffer(Vec<Block>);

impl Buffer {
    fn blocks(&mut self, params: &Params) -> &mut [Block] {
        if self.0.len() < params.block_count() {
            self.0.resize(params.block_count(), Block::default());
        }
        self.0.get_mut(..params.block_count()).unwrap_or_default()
    }

    fn fill(&mut self, params: Params, secret: &[u8], salt: &[u8]) -> Result<Zeroizing<[u8; OUTPUT_LEN]>, HashError> {
        let mut output = Zeroizing::new([0; OUTPUT_LEN]);
        let blocks = self.blocks(&params);
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let result = argon.hash_password_into_with_memory(secret, salt, output.as_mut(), &mut *blocks);
        blocks.iter_mut().for_each(Block::zeroize);
        result.map(|()| output).map_err(|_| HashError::Cost)
    }
}

/// Hashes a secret into a PHC string, on the calling thread, which must not be an async one.
///
/// # Errors
/// When the cost is out of bounds or there is no randomness.
pub fn hash(cost: Cost, secret: &[u8], entropy: &dyn Entropy) -> Result<String, HashError> {
    let params = checked_params(cost)?;
    let mut salt = [0; SALT_LEN];
    entropy.fill(&mut salt).map_err(|_| HashError::Entropy)?;
    let output = Buffer::default().fill(params.clone(), secret, &salt)?;
    let phc = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).map_err(|_| HashError::Cost)?,
        salt: Some(Salt::new(&salt).map_err(|_| HashError::Phc)?),
        hash: Some(Output::new(output.as_ref()).map_err(|_| HashError::Phc)?),
    };
    Ok(phc.to_string())
}

fn checked_params(cost: Cost) -> Result<Params, HashError> {
    let Cost { memory_kib, passes, lanes } = cost;
    if memory_kib > MAX_COST.memory_kib || passes > MAX_COST.passes || lanes > MAX_COST.lanes {
        return Err(HashError::Cost);
    }
    Params::new(memory_kib, passes, lanes, Some(OUTPUT_LEN)).map_err(|_| HashError::Cost)
}

fn matches(buffer: &mut Buffer, phc: &str, secret: &[u8]) -> Result<bool, HashError> {
    let phc = PasswordHash::new(phc).map_err(|_| HashError::Phc)?;
    if phc.algorithm != Algorithm::Argon2id.ident() || phc.version != Some(Version::V0x13.into()) {
        return Err(HashError::Phc);
    }
    let params = Params::try_from(&phc).map_err(|_| HashError::Phc)?;
    let cost = Cost { memory_kib: params.m_cost(), passes: params.t_cost(), lanes: params.p_cost() };
    let params = checked_params(cost)?;
    let (Some(salt), Some(expected)) = (phc.salt, phc.hash) else { return Err(HashError::Phc) };
    let output = buffer.fill(params, secret, salt.as_ref())?;
    Ok(equal_in_constant_time(output.as_ref(), expected.as_bytes()))
}

/// Whether `secret` is the one that `phc` was made of, on the calling thread, which must not be an async one.
///
/// # Errors
/// When the stored hash cannot be used.
pub fn verify(phc: &str, secret: &[u8]) -> Result<bool, HashError> {
    matches(&mut Buffer::default(), phc, secret)
}

struct Job {
    phc: String,
    secret: Zeroizing<Vec<u8>>,
    answer: oneshot::Sender<Result<bool, HashError>>,
}

/// The queue is full: refuse now rather than let everybody wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the hashing queue is full")]
pub struct QueueFull;

/// The hashing threads of a process.
pub struct ArgonPool {
    queue: SyncSender<Job>,
    taken: AtomicU64,
}

impl ArgonPool {
    /// Starts `threads` threads behind a queue of `queue_len` jobs. They end when the pool is dropped.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(threads: usize, queue_len: usize) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel::<Job>(queue_len);
        let jobs = Arc::new(Mutex::new(jobs));
        for index in 0..threads.max(1) {
            let jobs = Arc::clone(&jobs);
            std::thread::Builder::new().name(format!("argon2-{index}")).spawn(move || work(&jobs))?;
        }
        Ok(Self { queue, taken: AtomicU64::new(0) })
    }

    /// Whether `secret` is the one that `phc` was made of.
    ///
    /// # Errors
    /// `Err(None)` when the queue is full; `Err(Some(_))` when the stored hash cannot be used.
    pub async fn verify(&self, phc: &str, secret: &[u8]) -> Result<bool, Option<HashError>> {
        let (answer, answered) = oneshot::channel();
        let job = Job { phc: phc.to_owned(), secret: Zeroizing::new(secret.to_vec()), answer };
        self.queue.try_send(job).map_err(|_| None)?;
        self.taken.fetch_add(1, Ordering::Relaxed);
        answered.await.map_err(|_| None)?.map_err(Some)
    }

    /// Jobs taken so far.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    // Hashing takes only spare time: at normal priority two hash threads cost other callers
    // milliseconds at the 99th percentile. On Linux this is per thread; elsewhere it may do nothing.
    let _ = rustix::process::setpriority_process(None, 15);
    let mut buffer = Buffer::default();
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(IDLE);
        match next {
            Ok(job) if job.answer.is_closed() => {}
            Ok(job) => {
                let _ = job.answer.send(matches(&mut buffer, &job.phc, &job.secret));
            }
            Err(RecvTimeoutError::Timeout) => buffer = Buffer::default(),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemEntropy;

    const CHEAP: Cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };

    #[test]
    fn a_hash_proves_its_secret_and_no_other() {
        let phc = hash(CHEAP, b"secret", &SystemEntropy).unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
        let mut buffer = Buffer::default();
        assert_eq!(matches(&mut buffer, &phc, b"secret"), Ok(true));
        assert_eq!(matches(&mut buffer, &phc, b"Secret"), Ok(false));
        assert!(buffer.0.iter().all(|block| block.as_ref().iter().all(|&word| word == 0)), "the buffer is wiped");
    }

    #[test]
    fn r12_a_hash_that_asks_for_too_much_is_refused_unread() {
        let phc = "$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";
        assert_eq!(matches(&mut Buffer::default(), phc, b"x"), Err(HashError::Cost));
        for bad in ["", "plain", "$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo", "$2b$12$abc"] {
            assert_eq!(matches(&mut Buffer::default(), bad, b"x"), Err(HashError::Phc), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once() {
        let pool = ArgonPool::start(1, 1).unwrap();
        let phc = hash(Cost { memory_kib: 19_456, passes: 2, lanes: 1 }, b"s", &SystemEntropy).unwrap();
        let calls = (0..8).map(|_| pool.verify(&phc, b"s"));
        let answers = futures::future::join_all(calls).await;
        assert!(answers.contains(&Ok(true)), "some are served");
        assert!(answers.contains(&Err(None)), "some are refused");
    }
}
