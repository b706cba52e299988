//! A signature over any payload (RFC 7515), as public test suites have them. Nothing is authenticated by it.

use crate::domain::algorithm::Algorithm;
use crate::jwt::compact::{self, Compact};
use crate::jwt::header::Header;
use crate::jwt::keys::KeySet;
use crate::jwt::{Fault, signature};

/// Bytes of a token at most: it is an operator's own.
pub const MAX_LEN: usize = 1024 * 1024;

/// A payload under a good signature.
pub struct Signed {
    /// The header.
    pub header: Header,
    /// The payload as it was before it was encoded.
    pub payload: Vec<u8>,
}

/// Judges form, header, algorithm, key and signature, as strictly as of a JWT.
///
/// # Errors
/// The first check that it fails.
pub fn verify(token: &[u8], keys: &KeySet, algorithms: &[Algorithm]) -> Result<Signed, Fault> {
    let parts = Compact::split(token, MAX_LEN)?;
    let header = Header::parse_raw(parts.header)?;
    let signature = compact::decode(parts.signature)?;
    let payload = compact::decode(parts.payload)?;
    if !algorithms.contains(&header.algorithm()) {
        return Err(Fault::AlgorithmNotAllowed);
    }
    let key = keys.select(header.algorithm(), header.kid())?;
    signature::verify(header.algorithm(), key, parts.message, &signature)?;
    Ok(Signed { header, payload })
}
