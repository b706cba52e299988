//! RSA keys that are none: too short, with an exponent or a modulus that gives the private key away.

use crate::jwt::Fault;

/// Bits of a modulus at least (RFC 7518 section 3.3).
pub const MIN_BITS: u32 = 2048;
/// Bits of a modulus at most: the work of one verification grows with their square.
pub const MAX_BITS: u32 = 8192;
/// The least exponent (FIPS 186-5 section A.1.1): below it are 1, 3 and 17, which forgeries need.
const MIN_EXPONENT: u64 = 65_537;
/// Bits of an exponent at most; aws-lc's own limit.
const MAX_EXPONENT_BITS: u32 = 33;

/// The odd primes by which the mark of ROCA is told. Of keys without it, less than one in 2^150 has it by chance.
const PRIMES: &[u32] = &[
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109,
    113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// Judges a modulus and an exponent, big-endian without leading zeros (RFC 7518 section 6.3.1), and tells the bits.
///
/// # Errors
/// Why it is no key.
pub fn check(modulus: &[u8], exponent: &[u8]) -> Result<u32, Fault> {
    let (Some(&first), Some(&last)) = (modulus.first(), modulus.last()) else { return Err(Fault::JwkMember) };
    if first == 0 || exponent.first().is_none_or(|first| *first == 0) {
        return Err(Fault::JwkMember);
    }
    let bits = u32::try_from(modulus.len()).map_or(u32::MAX, |len| len.saturating_mul(8)) - first.leading_zeros();
    if !(MIN_BITS..=MAX_BITS).contains(&bits) {
        return Err(Fault::RsaSize);
    }
    if exponent.len() > 8 {
        return Err(Fault::RsaExponent);
    }
    let exponent = exponent.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    if exponent % 2 == 0 || exponent < MIN_EXPONENT || exponent >> MAX_EXPONENT_BITS != 0 {
        return Err(Fault::RsaExponent);
    }
    let rest = |prime: u32| modulus.iter().fold(0, |rest, byte| (rest << 8 | u32::from(*byte)) % prime);
    let has_factor = last % 2 == 0 || PRIMES.iter().any(|prime| rest(*prime) == 0);
    // The primes of that generator are powers of 65537 modulo a product of small primes, and so is their product.
    if has_factor || PRIMES.iter().all(|prime| is_power(rest(*prime), *prime)) {
        return Err(Fault::RsaModulus);
    }
    Ok(bits)
}

/// Whether `rest` is a power of 65537 modulo `prime`.
fn is_power(rest: u32, prime: u32) -> bool {
    let step = 65_537 % prime;
    std::iter::successors(Some(1), |power| Some(power * step % prime)).take(prime as usize).any(|power| power == rest)
}

#[cfg(test)]
#[path = "rsa_tests.rs"]
mod tests;
