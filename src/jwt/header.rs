//! The header of a token (RFC 7515 section 4): which algorithm and key it claims, and nothing that would have us do more.

use crate::domain::algorithm::Algorithm;
use crate::jwt::json::{self, Object, Value};
use crate::jwt::{Fault, MAX_HEADER_LEN, MAX_KID_LEN, compact};

/// A header that asks for nothing that is not done here.
pub struct Header {
    algorithm: Algorithm,
    kid: Option<String>,
    typ: Option<String>,
    all: Object,
}

/// Parameters that would change what is verified or how, and the fault that each is. What is not listed is ignored, as RFC
/// 7515 section 4 asks; so are thumbprints (`x5t`), which bring no key.
const REFUSED: &[(&str, Fault)] = &[
    ("crit", Fault::HeaderCritical),
    ("b64", Fault::HeaderUnencoded),
    ("zip", Fault::HeaderCompressed),
    ("cty", Fault::HeaderNested),
    ("jwk", Fault::HeaderKey),
    ("jku", Fault::HeaderKey),
    ("x5u", Fault::HeaderKey),
    ("x5c", Fault::HeaderKey),
    ("enc", Fault::HeaderEncrypted),
    ("epk", Fault::HeaderEncrypted),
    ("apu", Fault::HeaderEncrypted),
    ("apv", Fault::HeaderEncrypted),
    ("iv", Fault::HeaderEncrypted),
    ("tag", Fault::HeaderEncrypted),
    ("p2s", Fault::HeaderEncrypted),
    ("p2c", Fault::HeaderEncrypted),
];

impl Header {
    /// Reads an encoded header.
    ///
    /// # Errors
    /// When it is over a limit, malformed, or asks for what is not done.
    pub fn parse(encoded: &[u8]) -> Result<Self, Fault> {
        Self::read(encoded, REFUSED)
    }

    /// Reads the header of a signature over any payload: what the payload is said to be does not matter.
    ///
    /// # Errors
    /// As [`Header::parse`].
    pub fn parse_raw(encoded: &[u8]) -> Result<Self, Fault> {
        let any: Vec<_> = REFUSED.iter().copied().filter(|(_, fault)| *fault != Fault::HeaderNested).collect();
        Self::read(encoded, &any)
    }

    fn read(encoded: &[u8], refused: &[(&str, Fault)]) -> Result<Self, Fault> {
        // Four characters for three bytes.
        if encoded.len() > MAX_HEADER_LEN.div_ceil(3) * 4 {
            return Err(Fault::HeaderTooLong);
        }
        let all = json::object(&compact::decode(encoded)?)?;
        all.no_variants(&["alg", "kid", "typ"])?;
        for (name, _) in refused {
            all.no_variants(&[name])?;
        }
        let fault = refused.iter().find(|(name, _)| all.has(name)).map(|(_, fault)| *fault);
        if let Some(fault) = fault {
            return Err(fault);
        }
        let algorithm = algorithm(&all)?;
        let kid = all.get("kid").map(|value| kid(value).ok_or(Fault::KidInvalid)).transpose()?;
        let typ = all.get("typ").map(|value| media_type(value).ok_or(Fault::TypeInvalid)).transpose()?;
        Ok(Self { algorithm, kid, typ, all })
    }

    /// The algorithm that it claims.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key that it claims.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The type in lower case and without `application/`; empty for none. Media types are case-insensitive, and the prefix may
    /// be left out (RFC 7515 section 4.1.9).
    pub fn typ(&self) -> &str {
        self.typ.as_deref().unwrap_or_default()
    }

    /// All of it.
    pub fn all(&self) -> &Object {
        &self.all
    }
}

fn algorithm(all: &Object) -> Result<Algorithm, Fault> {
    let name = match all.get("alg") {
        None => return Err(Fault::AlgorithmMissing),
        Some(value) => value.as_text().ok_or(Fault::AlgorithmType)?,
    };
    if name.eq_ignore_ascii_case("none") {
        return Err(Fault::AlgorithmNone);
    }
    Algorithm::parse(name).ok_or(Fault::AlgorithmUnknown)
}

/// A `kid` as it may be: a short text that no log or file name suffers from.
pub(super) fn kid(value: &Value) -> Option<String> {
    let text = value.as_text()?;
    let fits = !text.is_empty() && text.len() <= MAX_KID_LEN && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
}

/// The name of a media type (RFC 6838 section 4.2), short, in lower case, without `application/`.
fn media_type(value: &Value) -> Option<String> {
    let mut text = value.as_text()?.to_owned();
    text.make_ascii_lowercase();
    let name = text.strip_prefix("application/").unwrap_or(&text);
    let fits = (1..=127).contains(&name.len())
        && name.bytes().all(|c| c.is_ascii_alphanumeric() || b"!#$&-^_.+/".contains(&c));
    fits.then(|| name.to_owned())
}

#[cfg(test)]
#[path = "header_tests.rs"]
mod tests;
