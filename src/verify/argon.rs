//! Argon2id: making the durable record of a secret, and what proves secrets that have no tag. [`super::pool`] says when,
//! [`super::slow`] knows the hashes of other systems.

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

/// Bytes of a salt.
pub const SALT_LEN: usize = 16;
const OUTPUT_LEN: usize = 32;

/// Why nothing was hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// The cost is outside what is allowed.
    #[error(
        "argon2 cost out of bounds: at most m={} KiB, t={}, p={} (bcrypt 12, scrypt ln=16,r=8,p=2, pbkdf2 i=1200000)",
        MAX_COST.memory_kib, MAX_COST.passes, MAX_COST.lanes
    )]
    Cost,
    /// No randomness for the salt.
    #[error("no randomness for a salt")]
    Entropy,
    /// A stored hash of no kind that is known here.
    #[error("not a stored hash of a kind that is known here")]
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

    fn fill(&mut self, argon: &Argon2<'_>, secret: &[u8], salt: &[u8], output: &mut [u8]) -> Result<(), HashError> {
        let blocks = self.blocks(argon.params());
        let result = argon.hash_password_into_with_memory(secret, salt, output, &mut *blocks);
        blocks.iter_mut().for_each(Block::zeroize);
        result.map_err(|_| HashError::Cost)
    }
}

/// Hashes a secret into a PHC string, on the calling thread, which must not be an async one.
///
/// # Errors
/// When the cost is out of bounds or there is no randomness.
pub fn hash(cost: Cost, secret: &[u8], entropy: &dyn Entropy) -> Result<String, HashError> {
    check_cost(cost)?;
    make(&mut Buffer::default(), cost, secret, &salt(entropy)?)
}

/// A salt for one hash.
///
/// # Errors
/// When there is no randomness.
pub fn salt(entropy: &dyn Entropy) -> Result<[u8; SALT_LEN], HashError> {
    let mut salt = [0; SALT_LEN];
    entropy.fill(&mut salt).map(|()| salt).map_err(|_| HashError::Entropy)
}

/// Hashes in a buffer that is used again.
pub(super) fn make(buffer: &mut Buffer, cost: Cost, secret: &[u8], salt: &[u8; SALT_LEN]) -> Result<String, HashError> {
    let params = checked_params(cost)?;
    let mut output = Zeroizing::new([0; OUTPUT_LEN]);
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    buffer.fill(&argon, secret, salt, output.as_mut())?;
    let phc = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).map_err(|_| HashError::Cost)?,
        salt: Some(Salt::new(salt).map_err(|_| HashError::Phc)?),
        hash: Some(Output::new(output.as_ref()).map_err(|_| HashError::Phc)?),
    };
    Ok(phc.to_string())
}

pub(super) fn check_cost(cost: Cost) -> Result<(), HashError> {
    checked_params(cost).map(drop)
}

fn checked_params(cost: Cost) -> Result<Params, HashError> {
    let Cost { memory_kib, passes, lanes } = cost;
    if memory_kib > MAX_COST.memory_kib || passes > MAX_COST.passes || lanes > MAX_COST.lanes {
        return Err(HashError::Cost);
    }
    Params::new(memory_kib, passes, lanes, Some(OUTPUT_LEN)).map_err(|_| HashError::Cost)
}

/// A stored hash of any of the three variants, its cost within bounds.
pub(super) struct Stored {
    argon: Argon2<'static>,
    salt: Salt,
    expected: Output,
}

impl Stored {
    pub(super) fn parse(phc: &str) -> Result<Self, HashError> {
        let phc = PasswordHash::new(phc).map_err(|_| HashError::Phc)?;
        let algorithm = Algorithm::try_from(phc.algorithm.as_str()).map_err(|_| HashError::Phc)?;
        let version = phc.version.map_or(Ok(Version::V0x10), Version::try_from).map_err(|_| HashError::Phc)?;
        let params = Params::try_from(&phc).map_err(|_| HashError::Phc)?;
        let (Some(salt), Some(expected)) = (phc.salt, phc.hash) else { return Err(HashError::Phc) };
        let cost = Cost { memory_kib: params.m_cost(), passes: params.t_cost(), lanes: params.p_cost() };
        checked_params(cost)?;
        Ok(Self { argon: Argon2::new(algorithm, version, params), salt, expected })
    }

    pub(super) fn matches(&self, buffer: &mut Buffer, secret: &[u8]) -> Result<bool, HashError> {
        let mut output = Zeroizing::new(vec![0; self.expected.len()]);
        buffer.fill(&self.argon, secret, self.salt.as_ref(), &mut output)?;
        Ok(equal_in_constant_time(&output, self.expected.as_bytes()))
    }
}

/// Whether a stored hash is one as we make them: Argon2id, its cost within bounds.
///
/// # Errors
/// When it is not.
pub fn check(phc: &str) -> Result<(), HashError> {
    let stored = Stored::parse(phc)?;
    let ours = phc.starts_with("$argon2id$v=19$") && stored.expected.len() == OUTPUT_LEN;
    if ours { Ok(()) } else { Err(HashError::Phc) }
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
        make(&mut buffer, CHEAP, b"secret", &[1; SALT_LEN]).unwrap();
        assert!(buffer.0.len() == 64 && buffer.0.iter().all(|block| block.as_ref().iter().all(|&word| word == 0)));
        let stored = Stored::parse(&phc).unwrap();
        assert_eq!(stored.matches(&mut buffer, b"secret"), Ok(true));
        assert_eq!(stored.matches(&mut buffer, b"Secret"), Ok(false));
        assert!(buffer.0.iter().all(|block| block.as_ref().iter().all(|&word| word == 0)), "the buffer is wiped");
    }

    #[test]
    fn r12_a_hash_that_asks_for_too_much_is_refused_unread() {
        let phc = "$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";
        assert_eq!(check(phc), Err(HashError::Cost));
        for bad in ["", "plain", "$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo", "$2b$12$abc"] {
            assert_eq!(check(bad), Err(HashError::Phc), "{bad}");
        }
    }
}
