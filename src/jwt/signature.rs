//! The cryptography: `jsonwebtoken`'s verifiers on aws-lc, handed one algorithm and one key that were chosen before.
//!
//! Its provider is called by name and not through the process's default, which a second feature of the crate would turn into a
//! panic. A [`VerifyingKey`] keeps the key as the provider takes it; no text or DER is parsed for a token. aws-lc itself sees
//! to it that r and s of ECDSA and S of Ed25519 are in range, that PSS has a salt of the hash's length, and that RSA
//! signatures are fully padded; `signature_tests.rs` holds it to that.

use jsonwebtoken::Algorithm as Theirs;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;

use crate::domain::algorithm::Algorithm;
use crate::jwt::Fault;
use crate::jwt::keys::VerifyingKey;

const fn theirs(algorithm: Algorithm) -> Theirs {
    match algorithm {
        Algorithm::HS256 => Theirs::HS256,
        Algorithm::HS384 => Theirs::HS384,
        Algorithm::HS512 => Theirs::HS512,
        Algorithm::RS256 => Theirs::RS256,
        Algorithm::RS384 => Theirs::RS384,
        Algorithm::RS512 => Theirs::RS512,
        Algorithm::PS256 => Theirs::PS256,
        Algorithm::PS384 => Theirs::PS384,
        Algorithm::PS512 => Theirs::PS512,
        Algorithm::ES256 => Theirs::ES256,
        Algorithm::ES384 => Theirs::ES384,
        Algorithm::EdDSA => Theirs::EdDSA,
    }
}

/// Bytes of a signature: always the same for an algorithm and a key.
fn len(algorithm: Algorithm, key: &VerifyingKey) -> usize {
    match algorithm {
        Algorithm::HS256 => 32,
        Algorithm::HS384 => 48,
        Algorithm::HS512 | Algorithm::ES256 | Algorithm::EdDSA => 64,
        Algorithm::ES384 => 96,
        Algorithm::RS256
        | Algorithm::RS384
        | Algorithm::RS512
        | Algorithm::PS256
        | Algorithm::PS384
        | Algorithm::PS512 => usize::try_from(key.bits().div_ceil(8)).unwrap_or(usize::MAX),
    }
}

/// Whether `key` signed `message` with `algorithm`.
///
/// # Errors
/// When the key is not for the algorithm, or the signature is not that.
pub fn verify(algorithm: Algorithm, key: &VerifyingKey, message: &[u8], signature: &Vec<u8>) -> Result<(), Fault> {
    key.fits(algorithm)?;
    if signature.len() != len(algorithm, key) {
        return Err(Fault::SignatureLength);
    }
    let verifier = (DEFAULT_PROVIDER.verifier_factory)(&theirs(algorithm), key.decoding());
    verifier.map_err(|_| Fault::KeyFamily)?.verify(message, signature).map_err(|_| Fault::SignatureWrong)
}

#[cfg(test)]
#[path = "signature_tests.rs"]
mod tests;
