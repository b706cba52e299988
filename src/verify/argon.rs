//! Argon2id: making the durable record of a secret, and proving secrets that have no tag. [`super::pool`] says when.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
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
pub(super) struct Buffer(Vec<Block>);

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

fn parts(phc: &str) -> Result<(Params, Salt, Output), HashError> {
    let phc = PasswordHash::new(phc).map_err(|_| HashError::Phc)?;
    if phc.algorithm != Algorithm::Argon2id.ident() || phc.version != Some(Version::V0x13.into()) {
        return Err(HashError::Phc);
    }
    let params = Params::try_from(&phc).map_err(|_| HashError::Phc)?;
    let cost = Cost { memory_kib: params.m_cost(), passes: params.t_cost(), lanes: params.p_cost() };
    let params = checked_params(cost)?;
    let (Some(salt), Some(expected)) = (phc.salt, phc.hash) else { return Err(HashError::Phc) };
    Ok((params, salt, expected))
}

pub(super) fn matches(buffer: &mut Buffer, phc: &str, secret: &[u8]) -> Result<bool, HashError> {
    let (params, salt, expected) = parts(phc)?;
    let output = buffer.fill(params, secret, salt.as_ref())?;
    Ok(equal_in_constant_time(output.as_ref(), expected.as_bytes()))
}

/// Whether a stored hash can be used: Argon2id, its cost within bounds.
///
/// # Errors
/// When it cannot.
pub fn check(phc: &str) -> Result<(), HashError> {
    parts(phc).map(drop)
}

/// Whether `secret` is the one that `phc` was made of, on the calling thread, which must not be an async one.
///
/// # Errors
/// When the stored hash cannot be used.
pub fn verify(phc: &str, secret: &[u8]) -> Result<bool, HashError> {
    matches(&mut Buffer::default(), phc, secret)
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
}
