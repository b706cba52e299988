//! Slow hashes of other systems, each within bounds (rule R12): what asks for more is refused, never computed.
//!
//! Argon2 in its three variants (RFC 9106), scrypt (RFC 7914) and PBKDF2 (RFC 8018) as PHC strings, and bcrypt as its
//! modular crypt string. A key that was proven by one is kept another way from then on.

use argon2::password_hash::phc::{Output, PasswordHash, Salt};
use sha2::{Sha256, Sha512};
use zeroize::Zeroizing;

use crate::secret::equal_in_constant_time;
use crate::verify::argon::{self, Buffer, HashError};

/// bcrypt's cost: 2^12 rounds take a quarter of a second.
const BCRYPT_COST: std::ops::RangeInclusive<u32> = 4..=12;
/// bcrypt looks at no more of a secret, and this refuses what is longer, in bytes.
const BCRYPT_LONGEST: usize = 72;
/// scrypt: at most 64 MiB, 2^16 blocks of 8 times 128 bytes.
const SCRYPT_MOST: (u8, u32, u32) = (16, 8, 2);
/// PBKDF2: fewer rounds protect nothing, more take half a second.
const PBKDF2_ROUNDS: std::ops::RangeInclusive<u32> = 1_000..=1_200_000;

/// A stored hash, understood, and within bounds.
enum Stored {
    Argon(argon::Stored),
    Bcrypt,
    Scrypt { params: scrypt::Params, salt: Salt, expected: Output },
    Pbkdf2 { sha512: bool, rounds: u32, salt: Salt, expected: Output },
}

fn parse(phc: &str) -> Result<Stored, HashError> {
    if phc.starts_with("$argon2") {
        return argon::Stored::parse(phc).map(Stored::Argon);
    }
    if let Some(rest) = ["$2a$", "$2b$", "$2y$"].iter().find_map(|version| phc.strip_prefix(version)) {
        let cost = rest.split_once('$').and_then(|(cost, rest)| (rest.len() == 53).then_some(cost));
        let cost: u32 = cost.and_then(|cost| cost.parse().ok()).ok_or(HashError::Phc)?;
        return if BCRYPT_COST.contains(&cost) { Ok(Stored::Bcrypt) } else { Err(HashError::Cost) };
    }
    let hash = PasswordHash::new(phc).map_err(|_| HashError::Phc)?;
    let (Some(salt), Some(expected)) = (hash.salt, hash.hash) else { return Err(HashError::Phc) };
    let number = |name: &str| hash.params.get_decimal(name);
    match hash.algorithm.as_str() {
        "scrypt" => {
            let (Some(ln), Some(r), Some(p)) = (number("ln"), number("r"), number("p")) else {
                return Err(HashError::Phc);
            };
            let ln = u8::try_from(ln).map_err(|_| HashError::Cost)?;
            if ln > SCRYPT_MOST.0 || r > SCRYPT_MOST.1 || p > SCRYPT_MOST.2 {
                return Err(HashError::Cost);
            }
            let params = scrypt::Params::new(ln, r, p).map_err(|_| HashError::Cost)?;
            Ok(Stored::Scrypt { params, salt, expected })
        }
        algorithm @ ("pbkdf2-sha256" | "pbkdf2-sha512") => {
            let rounds = number("i").ok_or(HashError::Phc)?;
            if !PBKDF2_ROUNDS.contains(&rounds) {
                return Err(HashError::Cost);
            }
            Ok(Stored::Pbkdf2 { sha512: algorithm.ends_with("512"), rounds, salt, expected })
        }
        _ => Err(HashError::Phc),
    }
}

/// Whether a stored hash can be used: of a kind that is known, its cost within bounds.
///
/// # Errors
/// When it cannot.
pub fn check(phc: &str) -> Result<(), HashError> {
    parse(phc).map(drop)
}

pub(super) fn matches(buffer: &mut Buffer, phc: &str, secret: &[u8]) -> Result<bool, HashError> {
    let computed = |expected: &Output, compute: &dyn Fn(&mut [u8]) -> bool| {
        let mut output = Zeroizing::new(vec![0; expected.len()]);
        if compute(&mut output) {
            Ok(equal_in_constant_time(&output, expected.as_bytes()))
        } else {
            Err(HashError::Phc)
        }
    };
    match parse(phc)? {
        Stored::Argon(stored) => stored.matches(buffer, secret),
        Stored::Bcrypt if secret.len() > BCRYPT_LONGEST => Ok(false),
        Stored::Bcrypt => bcrypt::verify(secret, phc).map_err(|_| HashError::Phc),
        Stored::Scrypt { params, salt, expected } => {
            computed(&expected, &|output| scrypt::scrypt(secret, salt.as_ref(), &params, output).is_ok())
        }
        Stored::Pbkdf2 { sha512, rounds, salt, expected } => computed(&expected, &|output| {
            if sha512 {
                pbkdf2::pbkdf2_hmac::<Sha512>(secret, salt.as_ref(), rounds, output);
            } else {
                pbkdf2::pbkdf2_hmac::<Sha256>(secret, salt.as_ref(), rounds, output);
            }
            true
        }),
    }
}

/// Whether `secret` is the one that `phc` was made of, on the calling thread, which must not be an async one.
///
/// # Errors
/// When the stored hash cannot be used.
pub fn verify(phc: &str, secret: &[u8]) -> Result<bool, HashError> {
    matches(&mut Buffer::default(), phc, secret)
}

#[cfg(test)]
#[path = "slow_tests.rs"]
mod tests;
