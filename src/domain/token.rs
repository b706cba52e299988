//! Short-lived tokens that we sign for a credential (RFC 9068): what is kept of each, and of the keys that sign them.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::domain::algorithm::Algorithm;
use crate::domain::ids::{CredentialId, Generation, TenantId, TokenId};

/// The one type that our tokens have (RFC 9068 section 2.1).
pub const TYP: &str = "at+jwt";
/// Our claim with the generation that the parent's row had, as decimal text: a number of 64 bits does not survive JSON.
pub const GENERATION: &str = "lk_gen";
/// Our claim with the LLMs that it may be used for, where these are fewer than its App's: their ids, as numbers.
pub const LLMS: &str = "lk_llms";
/// SHA-256 over the issuer and the `jti` of a token, by which its row is found (rule R5). The `jti` itself is kept nowhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct JtiHash(pub [u8; 32]);

impl JtiHash {
    /// Of this issuer's token.
    pub fn of(issuer: &str, jti: &str) -> Self {
        let mut hash = Sha256::new();
        for part in [b"latchkey token id v1", issuer.as_bytes(), jti.as_bytes()] {
            // Each part is led by its length, so that no two lists of parts read the same.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// What the token is called in lists, the feed and the trail.
    pub fn id(&self) -> TokenId {
        TokenId::from_bytes(self.0.first_chunk().copied().unwrap_or_default())
    }
}

/// What the row keeps of all that a token says: SHA-256 of its payload, the bytes between the dots decoded.
pub fn content_hash(payload: &[u8]) -> [u8; 32] {
    Sha256::digest(payload).into()
}

/// A token that we signed. Without its row a token is refused, and one that says anything else than its row's content:
/// whoever has a signing key alone mints nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IssuedToken {
    /// By what it is found.
    pub jti: JtiHash,
    /// Whose it is.
    pub tenant: TenantId,
    /// The credential that it was issued for, and dies with.
    pub credential: CredentialId,
    /// The generation that the credential's row had: another one ends it, unless that came of a rotation.
    pub parent: Generation,
    /// [`content_hash`] of its payload.
    pub content: [u8; 32],
    /// When, milliseconds since the epoch.
    pub issued_at_ms: i64,
    /// First invalid moment, milliseconds since the epoch.
    pub expires_at_ms: i64,
    /// When it was taken back, milliseconds since the epoch.
    pub revoked_at_ms: Option<i64>,
    /// Over all that it asserts, under the key of subject hashes. Nothing once it was taken back.
    pub mac: [u8; 32],
}

/// The public half of a key that signs our tokens, or did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SigningKeyRow {
    /// Its name: the thumbprint of the public half (RFC 7638), base64url.
    pub kid: String,
    /// What it signs with: `EdDSA` or `ES256`.
    pub algorithm: Algorithm,
    /// The public half as a JWK (RFC 7517), JSON.
    pub public_jwk: String,
    /// When it was made, milliseconds since the epoch.
    pub created_at_ms: i64,
    /// From when on it is neither published nor believed, milliseconds since the epoch. One that has such a time signs no
    /// more.
    pub retires_at_ms: Option<i64>,
    /// Over all that it asserts, under the key of subject hashes.
    pub mac: [u8; 32],
}

impl SigningKeyRow {
    /// What a key may sign with.
    pub const ALGORITHMS: &'static [Algorithm] = &[Algorithm::EdDSA, Algorithm::ES256];

    /// Whether what it signed is believed at `now_ms`.
    pub fn verifies(&self, now_ms: i64) -> bool {
        self.retires_at_ms.is_none_or(|end| now_ms < end)
    }

    /// Whether it may sign.
    pub const fn signs(&self) -> bool {
        self.retires_at_ms.is_none()
    }

    /// The one of these keys that signs: the newest that was not retired.
    pub fn signing(keys: &[Self]) -> Option<&Self> {
        keys.iter().filter(|key| key.signs()).max_by_key(|key| (key.created_at_ms, &key.kid))
    }
}

impl fmt::Display for JtiHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.id(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r5_a_tokens_hash_is_of_its_issuer_and_jti_apart() {
        let hash = JtiHash::of("urn:a", "b");
        assert_eq!(JtiHash::of("urn:a", "b"), hash);
        for (issuer, jti) in [("urn:", "ab"), ("urn:ab", ""), ("", "urn:ab"), ("urn:b", "a"), ("urn:a", "B")] {
            assert_ne!(JtiHash::of(issuer, jti), hash, "{issuer} {jti}");
        }
        assert_eq!(hash.id().as_bytes(), hash.0.first_chunk().unwrap());
    }

    #[test]
    fn the_newest_key_signs_and_a_retired_one_never() {
        let key = |kid: &str, created_at_ms, retires_at_ms| SigningKeyRow {
            kid: kid.to_owned(),
            algorithm: Algorithm::EdDSA,
            public_jwk: String::new(),
            created_at_ms,
            retires_at_ms,
            mac: [0; 32],
        };
        let keys = [key("a", 1, None), key("c", 3, Some(i64::MAX)), key("b", 2, None)];
        assert_eq!(SigningKeyRow::signing(&keys).map(|key| key.kid.as_str()), Some("b"));
        assert_eq!(SigningKeyRow::signing(&keys[1..2]), None);
        let ending = key("d", 1, Some(10));
        assert!(ending.verifies(9) && !ending.verifies(10) && !ending.signs());
    }
}
