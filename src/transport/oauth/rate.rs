//! How often a credential gets a token: a bucket each, that fills at an even pace. Asked only of who has proven the
//! credential, so it tells nobody else anything (rule R13).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::domain::CredentialId;

/// Credentials whose buckets are kept. One that is full is the same as none.
const MOST: usize = 16_384;
const MINUTE_NS: u64 = 60_000_000_000;

/// The buckets.
#[derive(Default)]
pub(super) struct Rate(Mutex<HashMap<CredentialId, u64>>);

impl Rate {
    /// Takes one of `per_minute` at `now_ns`; or says after how many seconds there is one. At once a whole minute's may be
    /// taken.
    pub(super) fn take(&self, id: CredentialId, per_minute: u32, now_ns: u64) -> Result<(), u64> {
        let each_ns = MINUTE_NS / u64::from(per_minute.max(1));
        let mut full_at = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What is kept of a bucket is when it will be full.
        let full_at_ns = full_at.get(&id).copied().unwrap_or(now_ns).max(now_ns).saturating_add(each_ns);
        let over_ns = full_at_ns.saturating_sub(now_ns.saturating_add(MINUTE_NS));
        if over_ns > 0 {
            return Err(over_ns.div_ceil(1_000_000_000));
        }
        if full_at.len() >= MOST && !full_at.contains_key(&id) {
            full_at.retain(|_, full_at_ns| *full_at_ns > now_ns);
            if full_at.len() >= MOST {
                // So many at once that none of them is much: each of them must have proven a credential of its own.
                return Ok(());
            }
        }
        full_at.insert(id, full_at_ns);
        Ok(())
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn id(n: u32) -> CredentialId {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        CredentialId::from_bytes(bytes)
    }

    #[test]
    fn a_minutes_worth_at_once_and_then_at_an_even_pace_each_for_itself() {
        let (rate, start) = (Rate::default(), 1_000 * S);
        for _ in 0..6 {
            assert_eq!(rate.take(id(1), 6, start), Ok(()));
        }
        assert_eq!(rate.take(id(1), 6, start), Err(10));
        assert_eq!(rate.take(id(2), 6, start), Ok(()));
        assert_eq!(rate.take(id(1), 6, start + 9 * S), Err(1));
        assert_eq!(rate.take(id(1), 6, start + 10 * S), Ok(()));
        assert_eq!(rate.take(id(1), 6, start + 10 * S), Err(10), "what was refused cost nothing");
    }

    #[test]
    fn the_memory_is_bounded_and_full_buckets_are_forgotten() {
        let (rate, start) = (Rate::default(), 1_000 * S);
        for n in 0..u32::try_from(MOST).unwrap() + 10 {
            assert_eq!(rate.take(id(n), 60, start), Ok(()));
        }
        assert_eq!(rate.len(), MOST);
        assert_eq!(rate.take(id(0), 1, start), Err(1), "those that are kept count on");
        assert_eq!(rate.take(id(u32::MAX), 60, start + 61 * S), Ok(()));
        assert_eq!(rate.len(), 1);
    }
}
