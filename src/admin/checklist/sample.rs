//! So many of a stream of unknown length, each with the same chance.

use crate::clock::{Entropy, EntropyError};
use crate::domain::{CredentialId, TenantId};

/// Random bytes asked for at once.
const BUFFER: usize = 4_096;

/// Algorithm R: the n-th that comes takes the place of one that was chosen, with the chance size / n.
pub(super) struct Reservoir {
    size: usize,
    offered: u64,
    chosen: Vec<(TenantId, CredentialId)>,
    random: Vec<u8>,
}

impl Reservoir {
    pub(super) fn new(size: u32) -> Self {
        Self { size: size as usize, offered: 0, chosen: Vec::new(), random: Vec::new() }
    }

    pub(super) fn offer(&mut self, one: (TenantId, CredentialId), entropy: &dyn Entropy) -> Result<(), EntropyError> {
        self.offered += 1;
        if self.chosen.len() < self.size {
            self.chosen.push(one);
            return Ok(());
        }
        let at = self.below(self.offered, entropy)?;
        if let Some(place) = usize::try_from(at).ok().and_then(|at| self.chosen.get_mut(at)) {
            *place = one;
        }
        Ok(())
    }

    /// A number below `end`: 64 random bits, scaled, which prefers none by more than end / 2^64.
    fn below(&mut self, end: u64, entropy: &dyn Entropy) -> Result<u64, EntropyError> {
        if self.random.is_empty() {
            self.random.resize(BUFFER, 0);
            entropy.fill(&mut self.random)?;
        }
        let rest = self.random.len().saturating_sub(8);
        let bits = self.random.split_off(rest).iter().fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
        Ok(u64::try_from((u128::from(bits) * u128::from(end)) >> 64).unwrap_or(0))
    }

    pub(super) fn chosen(&self) -> &[(TenantId, CredentialId)] {
        &self.chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemEntropy;

    fn chosen(size: u32, of: u8) -> Vec<u8> {
        let mut reservoir = Reservoir::new(size);
        for number in 0..of {
            let id = CredentialId::from_bytes([number; 16]);
            reservoir.offer((TenantId::from_bytes([0; 16]), id), &SystemEntropy).unwrap();
        }
        reservoir.chosen().iter().map(|(_, id)| id.as_bytes()[0]).collect()
    }

    #[test]
    fn as_many_as_there_are_room_for_and_no_one_twice() {
        assert_eq!(chosen(5, 3), [0, 1, 2]);
        let mut some = chosen(5, 200);
        some.sort_unstable();
        some.dedup();
        assert_eq!(some.len(), 5);
    }

    #[test]
    fn each_has_the_same_chance() {
        let mut times = [0_u32; 20];
        for _ in 0..4_000 {
            for number in chosen(5, 20) {
                times[usize::from(number)] += 1;
            }
        }
        // 1000 expected each, standard deviation 27: eight of them are never seen.
        assert!(times.iter().all(|times| (781..1_219).contains(times)), "{times:?}");
    }
}
