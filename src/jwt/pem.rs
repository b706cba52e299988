//! One public key in PEM (RFC 7468 section 13), as a JWK set of that key.
//!
//! DER has one form for each key (RFC 5280 section 4.1.2.7), so that what surrounds a point is compared byte for byte, and
//! only RSA's two numbers have to be read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::domain::algorithm::KeyFamily;
use crate::jwt::json::Value;
use crate::jwt::keys::VerifyingKey;
use crate::jwt::{Fault, header, jwk};

/// Bytes of a PEM text at most: an RSA key of 8192 bits has 1.5 KiB.
pub const MAX_LEN: usize = 16 * 1024;

const BEGIN: &str = "-----BEGIN ";
const LABEL: &str = "PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

/// SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING { point } }, up to the x of the point.
const P256: &[u8] =
    b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04";
/// The same with secp384r1.
const P384: &[u8] = b"\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00\x04";
/// SEQUENCE { SEQUENCE { id-Ed25519 }, BIT STRING { point } } (RFC 8410 section 4), up to the point.
const ED25519: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
/// SEQUENCE { rsaEncryption, NULL } (RFC 3279 section 2.3.1).
const RSA: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";

/// The key in a PEM block `PUBLIC KEY`, as the JSON of a set of one, with `kid` as its name.
///
/// # Errors
/// When there is another thing than one public key, or the key is none that may verify.
pub fn to_jwks(pem: &str, kid: Option<&str>) -> Result<String, Fault> {
    let kid = kid.map(|kid| header::kid(&Value::Text(kid.to_owned())).ok_or(Fault::KidInvalid)).transpose()?;
    let key = key(&block(pem)?)?.named(kid, None);
    let jwk = key.to_public_jwk_json().ok_or(Fault::PemKind)?;
    Ok(format!(r#"{{"keys":[{jwk}]}}"#))
}

/// The bytes of the one block.
fn block(pem: &str) -> Result<Vec<u8>, Fault> {
    if pem.len() > MAX_LEN {
        return Err(Fault::PemForm);
    }
    if pem.contains("PRIVATE KEY-----") {
        return Err(Fault::PemPrivate);
    }
    let (before, after) = pem.split_once(BEGIN).ok_or(Fault::PemForm)?;
    let (body, rest) = after.strip_prefix(LABEL).and_then(|after| after.split_once(END)).ok_or(Fault::PemForm)?;
    // Text around a block is allowed by RFC 7468 section 2; a second block would be a second key.
    if before.contains("-----") || rest.contains("-----") {
        return Err(Fault::PemForm);
    }
    let body: Vec<u8> = body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    STANDARD.decode(body).map_err(|_| Fault::PemForm)
}

fn key(der: &[u8]) -> Result<VerifyingKey, Fault> {
    if let Some((x, y)) = der.strip_prefix(P256).and_then(|point| point.split_at_checked(32)) {
        return jwk::ec_key(KeyFamily::P256, x, y);
    }
    if let Some((x, y)) = der.strip_prefix(P384).and_then(|point| point.split_at_checked(48)) {
        return jwk::ec_key(KeyFamily::P384, x, y);
    }
    if let Some(point) = der.strip_prefix(ED25519) {
        return jwk::ed25519_key(point);
    }
    let (n, e) = rsa_numbers(der).ok_or(Fault::PemKind)?;
    jwk::rsa_key(n, e)
}

/// SEQUENCE { rsaEncryption, BIT STRING { SEQUENCE { modulus, exponent } } } (RFC 8017 section A.1.1).
fn rsa_numbers(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (outer, rest) = element(der, 0x30)?;
    let (bits, inner_rest) = element(outer.strip_prefix(RSA)?, 0x03)?;
    let (numbers, bits_rest) = element(bits.strip_prefix(&[0])?, 0x30)?;
    let (n, after) = element(numbers, 0x02)?;
    let (e, last) = element(after, 0x02)?;
    let is_whole = [rest, inner_rest, bits_rest, last].iter().all(|rest| rest.is_empty());
    is_whole.then_some((unsigned(n)?, unsigned(e)?))
}

/// The content of a DER element of that tag, and what follows. Lengths are in their shortest form (X.690 section 10.1).
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = der.strip_prefix(&[tag])?.split_first()?;
    let (len, rest) = match first {
        short @ 0..=0x7f => (usize::from(short), rest),
        0x81 => rest.split_first().map(|(&len, rest)| (usize::from(len), rest)).filter(|(len, _)| *len > 0x7f)?,
        0x82 => {
            let (&bytes, rest) = rest.split_first_chunk::<2>()?;
            Some((usize::from(u16::from_be_bytes(bytes)), rest)).filter(|(len, _)| *len > 0xff)?
        }
        _ => return None,
    };
    rest.split_at_checked(len)
}

/// A number that is not negative, without the zero byte that keeps it so.
fn unsigned(integer: &[u8]) -> Option<&[u8]> {
    match integer {
        [0, rest @ ..] if rest.first().is_some_and(|first| *first >= 0x80) => Some(rest),
        [first, ..] if *first > 0 && *first < 0x80 => Some(integer),
        _ => None,
    }
}

#[cfg(test)]
#[path = "pem_tests.rs"]
mod tests;
