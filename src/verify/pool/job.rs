//! What a hashing thread does, and who waits for it.

use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::fair_cache::Digest;
use crate::verify::argon::{self, Buffer, Cost, SALT_LEN};
use crate::verify::pool::{Answer, Made, Unproven};
use crate::verify::slow::matches;

/// Waits for a proof.
pub(super) type Asker = oneshot::Sender<Answer>;

/// Waits for a fresh hash.
pub(super) type Maker = oneshot::Sender<Made>;

/// What is to be done with a secret.
pub(super) enum Work {
    /// Find out whether a stored hash was made of it, once for all who present it meanwhile.
    Prove { digest: Digest, phc: String, callers: Vec<Asker> },
    /// Make a hash of it.
    Make { cost: Cost, salt: [u8; SALT_LEN], caller: Maker },
}

pub(super) struct Job {
    pub(super) work: Work,
    pub(super) secret: Zeroizing<Vec<u8>>,
    pub(super) suspect: bool,
}

impl Job {
    /// What is proven; none where a hash is made, which nobody joins.
    pub(super) fn digest(&self) -> Option<Digest> {
        match &self.work {
            Work::Prove { digest, .. } => Some(*digest),
            Work::Make { .. } => None,
        }
    }

    /// Who waits, if it is that secret that is proven.
    pub(super) fn askers(&mut self, wanted: &Digest) -> Option<&mut Vec<Asker>> {
        match &mut self.work {
            Work::Prove { digest, callers, .. } if digest == wanted => Some(callers),
            _ => None,
        }
    }

    pub(super) fn is_wanted(&self) -> bool {
        match &self.work {
            Work::Prove { callers, .. } => callers.iter().any(|caller| !caller.is_closed()),
            Work::Make { caller, .. } => !caller.is_closed(),
        }
    }

    /// Hashes, on the calling thread.
    pub(super) fn work(self, buffer: &mut Buffer) -> Done {
        match self.work {
            Work::Prove { phc, callers, .. } => {
                Done::Proven(matches(buffer, &phc, &self.secret).map_err(Unproven::Hash), callers)
            }
            Work::Make { cost, salt, caller } => {
                Done::Made(argon::make(buffer, cost, &self.secret, &salt).map_err(Unproven::Hash), caller)
            }
        }
    }
}

/// What came out, and who is to be told.
pub(super) enum Done {
    Proven(Answer, Vec<Asker>),
    Made(Made, Maker),
}

impl Done {
    /// Tells everybody, those included who joined while it ran.
    pub(super) fn tell(self, joined: Vec<Asker>) {
        match self {
            Self::Proven(answer, callers) => {
                for caller in callers.into_iter().chain(joined) {
                    let _ = caller.send(answer);
                }
            }
            Self::Made(made, caller) => drop(caller.send(made)),
        }
    }
}
