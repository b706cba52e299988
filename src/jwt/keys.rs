//! The keys of an issuer, parsed once, and which of them a token means.

use jsonwebtoken::DecodingKey;
use sha2::{Digest as _, Sha256};

use crate::domain::algorithm::{Algorithm, KeyFamily};
use crate::jwt::json::{self, Object, Value, quoted};
use crate::jwt::jwk::{self, Allowed};
use crate::jwt::{Fault, MAX_JWKS_LEN, MAX_KEYS};
use crate::secret::{IssuerSecret, Secret};

/// A key that may verify. Only a check of all that it is makes one.
#[derive(Clone)]
pub struct VerifyingKey {
    kid: Option<String>,
    algorithm: Option<Algorithm>,
    family: KeyFamily,
    bits: u32,
    thumbprint: [u8; 32],
    decoding: DecodingKey,
    /// The members of its thumbprint as JSON (RFC 7638 section 3.2); none for a secret.
    members: Option<String>,
}

impl VerifyingKey {
    pub(super) fn public(family: KeyFamily, bits: u32, decoding: DecodingKey, members: String) -> Self {
        let thumbprint = Sha256::digest(&members).into();
        Self { kid: None, algorithm: None, family, bits, thumbprint, decoding, members: Some(members) }
    }

    pub(super) fn secret(bits: u32, decoding: DecodingKey, secret: &[u8]) -> Self {
        let mut hash = Sha256::new_with_prefix(br#"{"k":""#);
        hash.update(zeroize::Zeroizing::new(super::compact::encode(secret)).as_bytes());
        hash.update(br#"","kty":"oct"}"#);
        let thumbprint = hash.finalize().into();
        Self { kid: None, algorithm: None, family: KeyFamily::Secret, bits, thumbprint, decoding, members: None }
    }

    pub(super) fn named(self, kid: Option<String>, algorithm: Option<Algorithm>) -> Self {
        Self { kid, algorithm, ..self }
    }

    /// Its name in the set.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The one algorithm that the set says it is for.
    pub fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }

    /// What kind of key it is.
    pub fn family(&self) -> KeyFamily {
        self.family
    }

    /// Bits of the modulus, the curve or the secret.
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// SHA-256 over its members (RFC 7638): the same key has the same one, wherever it is. That of a secret is shown to nobody.
    pub fn thumbprint(&self) -> &[u8; 32] {
        &self.thumbprint
    }

    /// As a public JWK; none for a secret.
    pub fn to_public_jwk_json(&self) -> Option<String> {
        let mut json = self.members.as_deref()?.strip_suffix('}')?.to_owned();
        let kid = self.kid.as_deref().map(|kid| format!(r#","kid":{}"#, quoted(kid)));
        let algorithm = self.algorithm.map(|algorithm| format!(r#","alg":"{algorithm}""#));
        json.extend(kid.into_iter().chain(algorithm));
        Some(json + r#","use":"sig"}"#)
    }

    /// Whether it may be used with an algorithm: the kind fits, the set says no other, and a secret is as long as the hash.
    ///
    /// # Errors
    /// Why not.
    pub fn fits(&self, algorithm: Algorithm) -> Result<(), Fault> {
        if self.family != algorithm.family() {
            return Err(Fault::KeyFamily);
        }
        if self.algorithm.is_some_and(|own| own != algorithm) {
            return Err(Fault::KeyAlgorithm);
        }
        let least = match algorithm {
            Algorithm::HS384 => 384,
            Algorithm::HS512 => 512,
            _ => 0,
        };
        if self.bits < least { Err(Fault::KeyShort) } else { Ok(()) }
    }

    pub(super) fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }
}

/// A key of a set that is left out, as RFC 7517 section 5 asks.
#[derive(Clone)]
pub struct Skipped {
    /// Its name, where it has one.
    pub kid: Option<String>,
    /// Why.
    pub why: Fault,
}

/// The keys of an issuer.
pub struct KeySet {
    keys: Vec<VerifyingKey>,
    skipped: Vec<Skipped>,
}

impl KeySet {
    /// From a JWK set of public keys.
    ///
    /// # Errors
    /// When it is no set, over a limit, has a private key or a secret in it, or one `kid` twice.
    pub fn from_jwks(json: &[u8]) -> Result<Self, Fault> {
        Self::read(json, Allowed::default())
    }

    /// From an operator's own file: a JWK set or one JWK, in which more is allowed than an issuer publishes.
    ///
    /// # Errors
    /// As [`KeySet::from_jwks`].
    pub fn from_file(json: &[u8], allowed: Allowed) -> Result<Self, Fault> {
        Self::read(json, allowed)
    }

    fn read(json: &[u8], allowed: Allowed) -> Result<Self, Fault> {
        if json.len() > MAX_JWKS_LEN {
            return Err(Fault::JwksTooLarge);
        }
        let set = json::object(json)?;
        let single = (allowed.secrets || allowed.private) && set.has("kty");
        let keys: Vec<&Object> = match set.get("keys") {
            Some(Value::List(keys)) if keys.len() > MAX_KEYS => return Err(Fault::JwksTooMany),
            Some(Value::List(keys)) => keys.iter().map(object).collect::<Option<_>>().ok_or(Fault::JwksForm)?,
            None if single => vec![&set],
            _ => return Err(Fault::JwksForm),
        };
        if let Some(fault) = keys.iter().find_map(|jwk| jwk::exposed(jwk, allowed)) {
            return Err(fault);
        }
        let mut read = Self { keys: Vec::new(), skipped: Vec::new() };
        for jwk in keys {
            match jwk::key(jwk, allowed) {
                Ok(key) if key.kid().is_some_and(|kid| read.has_kid(kid)) => return Err(Fault::JwksDuplicate),
                Ok(key) => read.keys.push(key),
                Err(why) => {
                    let kid = jwk.get("kid").and_then(super::header::kid);
                    read.skipped.push(Skipped { kid, why });
                }
            }
        }
        Ok(read)
    }

    /// Without some of its keys, which may not be used for a reason beyond the set: who names one is told that it cannot be.
    #[must_use]
    pub fn without(&self, is_left_out: impl Fn(usize) -> bool) -> Self {
        let mut rest = Self { keys: Vec::new(), skipped: self.skipped.clone() };
        for (n, key) in self.keys.iter().enumerate() {
            if is_left_out(n) {
                rest.skipped.push(Skipped { kid: key.kid.clone(), why: Fault::KeyUnusable });
            } else {
                rest.keys.push(key.clone());
            }
        }
        rest
    }

    /// From a secret that both sides have.
    ///
    /// # Errors
    /// When it is shorter than 256 bits, or one that is guessed (RFC 8725 section 3.5).
    #[expect(clippy::disallowed_methods, reason = "a secret that everybody knows is told by its bytes")]
    pub fn from_secret(secret: &Secret<IssuerSecret>) -> Result<Self, Fault> {
        let set = Self::from_any_secret(secret)?;
        if is_guessable(secret.expose()) { Err(Fault::SecretGuessable) } else { Ok(set) }
    }

    /// From a secret that may be a published example, for test suites.
    ///
    /// # Errors
    /// When it is shorter than 256 bits.
    #[expect(clippy::disallowed_methods, reason = "the secret becomes the key that tokens are verified with")]
    pub fn from_any_secret(secret: &Secret<IssuerSecret>) -> Result<Self, Fault> {
        Ok(Self { keys: vec![jwk::secret_key(secret.expose())?], skipped: Vec::new() })
    }

    /// The keys that may verify.
    pub fn keys(&self) -> &[VerifyingKey] {
        &self.keys
    }

    /// The keys that are left out, and why.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Whether one of the keys that may verify has that name.
    pub fn has_kid(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid() == Some(kid))
    }

    /// The one key that a token means.
    ///
    /// # Errors
    /// When there is none, more than one could be meant, or it does not fit the algorithm. [`Fault::KeyUnknown`] alone says that
    /// newer keys may help.
    pub fn select(&self, algorithm: Algorithm, kid: Option<&str>) -> Result<&VerifyingKey, Fault> {
        if let Some(kid) = kid {
            let key = self.meant(kid)?;
            return key.fits(algorithm).map(|()| key);
        }
        let mut fitting = self.keys.iter().filter(|key| key.fits(algorithm).is_ok());
        let Some(key) = fitting.next() else {
            let is_short = self.keys.iter().any(|key| key.fits(algorithm) == Err(Fault::KeyShort));
            return Err(if is_short { Fault::KeyShort } else { Fault::KeyNone });
        };
        if fitting.next().is_some() { Err(Fault::KeyAmbiguous) } else { Ok(key) }
    }

    /// By the exact bytes of its name. The only key of its set, if it has no name, is meant by any: a secret or a single PEM
    /// key has none, while `kid` is a hint (RFC 7515 section 4.1.4).
    fn meant(&self, kid: &str) -> Result<&VerifyingKey, Fault> {
        let named = self.keys.iter().find(|key| key.kid() == Some(kid));
        if let Some(key) = named {
            return Ok(key);
        }
        match self.keys.as_slice() {
            [only] if only.kid().is_none() && self.skipped.is_empty() => Ok(only),
            _ if self.skipped.iter().any(|skipped| skipped.kid.as_deref() == Some(kid)) => Err(Fault::KeyUnusable),
            _ => Err(Fault::KeyUnknown),
        }
    }
}

fn object(value: &Value) -> Option<&Object> {
    match value {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

/// Long enough and public all the same: examples of standards and of the web's token debuggers.
const KNOWN: &[&[u8]] = &[
    b"a-string-secret-at-least-256-bits-long",
    b"a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
    b"a-valid-string-secret-that-is-at-least-384-bits-long",
    b"your-256-bit-secret-your-256-bit-secret",
    b"your-384-bit-secret-your-384-bit-secret",
    b"your-512-bit-secret-your-512-bit-secret",
    b"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    b"hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg",
    b"abcdefghijklmnopqrstuvwxyz123456",
    b"abcdefghijklmnopqrstuvwxyz0123456789",
    b"0123456789abcdefghijklmnopqrstuvwxyz",
    b"12345678901234567890123456789012",
];

/// Bytes of a text whose repetition is no secret.
const MAX_REPEATED: usize = 8;

/// One of the known, or their base64url decoded, or a short text over and over.
fn is_guessable(secret: &[u8]) -> bool {
    let repeats =
        (1..=MAX_REPEATED).any(|len| secret.iter().zip(secret.iter().skip(len)).all(|(one, next)| one == next));
    let is_known = |known: &[u8]| secret == known || super::compact::decode(known).is_ok_and(|bytes| bytes == secret);
    repeats || KNOWN.iter().any(|known| is_known(known))
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
