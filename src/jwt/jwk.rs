//! One JWK (RFC 7517 section 4): a key that may verify, or why it may not.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ParsedPublicKey};
use jsonwebtoken::DecodingKey;

use crate::domain::algorithm::{Algorithm, KeyFamily};
use crate::domain::hex;
use crate::jwt::json::{Object, Value};
use crate::jwt::keys::VerifyingKey;
use crate::jwt::{Fault, compact, header, rsa};

/// What may be in a set beside public keys. Nothing, in that of an issuer.
#[derive(Clone, Copy, Default)]
pub struct Allowed {
    /// Symmetric keys (`oct`): in an operator's own file.
    pub secrets: bool,
    /// Private halves, which are not looked at: public test suites give whole keys.
    pub private: bool,
}

/// Members that only a private key has (RFC 7518 sections 6.2.2 and 6.3.2, RFC 8037 section 2), and `priv`, which newer kinds
/// have.
const PRIVATE: &[&str] = &["d", "p", "q", "dp", "dq", "qi", "oth", "priv"];

/// Whether something is there that belongs in no public set; then the whole of it is refused, for its maker has given away
/// what must be replaced.
pub(super) fn exposed(jwk: &Object, allowed: Allowed) -> Option<Fault> {
    let is_secret = jwk.has("k") || jwk.get("kty").and_then(Value::as_text) == Some("oct");
    if is_secret && !allowed.secrets {
        return Some(Fault::JwkSecret);
    }
    (PRIVATE.iter().any(|name| jwk.has(name)) && !allowed.private).then_some(Fault::JwkPrivate)
}

/// The key of a JWK.
///
/// # Errors
/// Why it cannot be used; the others of its set still can (RFC 7517 section 5).
pub(super) fn key(jwk: &Object, allowed: Allowed) -> Result<VerifyingKey, Fault> {
    let kty = text(jwk, "kty", Fault::JwkType)?.ok_or(Fault::JwkType)?;
    if text(jwk, "use", Fault::JwkUse)?.is_some_and(|purpose| purpose != "sig") {
        return Err(Fault::JwkUse);
    }
    operations(jwk, allowed)?;
    let kid = jwk.get("kid").map(|value| header::kid(value).ok_or(Fault::KidInvalid)).transpose()?;
    let algorithm = text(jwk, "alg", Fault::JwkAlgorithm)?
        .map(|name| Algorithm::parse(name).ok_or(Fault::JwkAlgorithm))
        .transpose()?;
    let key = match kty {
        "RSA" => rsa_key(&bytes(jwk, "n")?, &bytes(jwk, "e")?)?,
        "EC" => match text(jwk, "crv", Fault::JwkCurve)? {
            Some("P-256") => ec_key(KeyFamily::P256, &bytes(jwk, "x")?, &bytes(jwk, "y")?)?,
            Some("P-384") => ec_key(KeyFamily::P384, &bytes(jwk, "x")?, &bytes(jwk, "y")?)?,
            _ => return Err(Fault::JwkCurve),
        },
        "OKP" => match text(jwk, "crv", Fault::JwkCurve)? {
            Some("Ed25519") => ed25519_key(&bytes(jwk, "x")?)?,
            _ => return Err(Fault::JwkCurve),
        },
        "oct" => secret_key(&bytes(jwk, "k")?)?,
        _ => return Err(Fault::JwkType),
    };
    if algorithm.is_some_and(|algorithm| algorithm.family() != key.family()) {
        return Err(Fault::JwkAlgorithm);
    }
    Ok(key.named(kid, algorithm))
}

fn text<'a>(jwk: &'a Object, name: &str, fault: Fault) -> Result<Option<&'a str>, Fault> {
    jwk.get(name).map(|value| value.as_text().ok_or(fault)).transpose()
}

fn bytes(jwk: &Object, name: &str) -> Result<Vec<u8>, Fault> {
    let text = text(jwk, name, Fault::JwkMember)?.ok_or(Fault::JwkMember)?;
    compact::decode(text.as_bytes()).map_err(|_| Fault::JwkMember)
}

/// `key_ops`, where it is given, has `verify`, and nothing twice.
fn operations(jwk: &Object, allowed: Allowed) -> Result<(), Fault> {
    let Some(operations) = jwk.get("key_ops") else { return Ok(()) };
    let Value::List(_) = operations else { return Err(Fault::JwkOperations) };
    let mut names = operations.texts().ok_or(Fault::JwkOperations)?;
    let verifies = names.contains(&"verify") || (allowed.private && names.contains(&"sign"));
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    if verifies && names.len() == count { Ok(()) } else { Err(Fault::JwkOperations) }
}

/// From a modulus and an exponent.
pub(super) fn rsa_key(n: &[u8], e: &[u8]) -> Result<VerifyingKey, Fault> {
    let bits = rsa::check(n, e)?;
    let members = format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, compact::encode(e), compact::encode(n));
    Ok(VerifyingKey::public(KeyFamily::Rsa, bits, DecodingKey::from_rsa_raw_components(n, e), members))
}

/// From coordinates, which have exactly the length of the curve's field (RFC 7518 section 6.2.1.2).
pub(super) fn ec_key(family: KeyFamily, x: &[u8], y: &[u8]) -> Result<VerifyingKey, Fault> {
    let (bits, curve, on_curve) = match family {
        KeyFamily::P256 => (256, "P-256", &ECDSA_P256_SHA256_FIXED),
        KeyFamily::P384 => (384, "P-384", &ECDSA_P384_SHA384_FIXED),
        _ => return Err(Fault::JwkCurve),
    };
    let len = usize::try_from(bits / 8).unwrap_or_default();
    if x.len() != len || y.len() != len {
        return Err(Fault::JwkMember);
    }
    // The uncompressed form (SEC 1 section 2.3.3); parsing it checks that it is on the curve.
    let point = [&[4], x, y].concat();
    ParsedPublicKey::new(on_curve, &point).map_err(|_| Fault::PointInvalid)?;
    let (x, y) = (compact::encode(x), compact::encode(y));
    let members = format!(r#"{{"crv":"{curve}","kty":"EC","x":"{x}","y":"{y}"}}"#);
    Ok(VerifyingKey::public(family, bits, DecodingKey::from_ec_der(&point), members))
}

/// The y of the points of order 1, 2, 4 and 8, little-endian. Under such a key a signature holds for many messages.
const SMALL_ORDER: &[&str] = &[
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

/// From the encoding of a point (RFC 8032 section 5.1.5).
pub(super) fn ed25519_key(x: &[u8]) -> Result<VerifyingKey, Fault> {
    let mut y: [u8; 32] = x.try_into().map_err(|_| Fault::JwkMember)?;
    // The highest bit is the sign of the other coordinate.
    y[31] &= 0x7f;
    // Not below 2^255 - 19: a second spelling of a small y.
    let is_spelt_twice = y[0] >= 0xed && y[1..31].iter().all(|byte| *byte == 0xff) && y[31] == 0x7f;
    if is_spelt_twice || SMALL_ORDER.contains(&hex::encode(&y).as_str()) {
        return Err(Fault::PointWeak);
    }
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, compact::encode(x));
    Ok(VerifyingKey::public(KeyFamily::Ed25519, 256, DecodingKey::from_ed_der(x), members))
}

/// Bits of a secret at least (RFC 7518 section 3.2, RFC 8725 section 3.5).
pub const MIN_SECRET_BITS: u32 = 256;

/// From a secret.
pub(super) fn secret_key(bytes: &[u8]) -> Result<VerifyingKey, Fault> {
    let bits = u32::try_from(bytes.len()).map_or(u32::MAX, |len| len.saturating_mul(8));
    if bits < MIN_SECRET_BITS {
        return Err(Fault::SecretShort);
    }
    Ok(VerifyingKey::secret(bits, DecodingKey::from_secret(bytes), bytes))
}

#[cfg(test)]
#[path = "jwk_tests.rs"]
mod tests;
