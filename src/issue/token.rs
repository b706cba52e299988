//! What a token of ours says, and how it is signed: a JWT access token (RFC 9068), with three claims of our own.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::clock::{Entropy, EntropyError};
use crate::domain::token::{TYP, content_hash};
use crate::domain::{CredentialId, Generation, JtiHash, LlmId, TokenId};
use crate::issue::keys::{Signer, TokenKeyError};
use crate::secret::{Secret, TokenText};

/// Our claim with the tenant's slug, for people alone: whose a token is follows from its parent.
pub const TENANT: &str = "tenant";

/// What a token is to say.
#[derive(Clone, Copy, Debug)]
pub struct Claims<'a> {
    /// Ourselves.
    pub issuer: &'a str,
    /// For whom it is.
    pub audience: &'a str,
    /// The credential that it is of: subject and client in one (RFC 9068 section 2.2).
    pub credential: CredentialId,
    /// The generation of that credential's row.
    pub generation: Generation,
    /// The slug of its tenant.
    pub tenant: &'a str,
    /// When it is issued, in seconds since the epoch.
    pub issued_at_s: i64,
    /// Its first invalid moment, in seconds since the epoch.
    pub expires_at_s: i64,
    /// What it is for.
    pub scopes: &'a [String],
    /// The only LLMs that it is for; none for all of the App's.
    pub llms: Option<&'a [LlmId]>,
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'a str,
    typ: &'a str,
    kid: &'a str,
}

#[derive(Serialize)]
struct Payload<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    client_id: &'a str,
    iat: i64,
    exp: i64,
    jti: &'a str,
    #[serde(skip_serializing_if = "String::is_empty")]
    scope: String,
    tenant: &'a str,
    lk_gen: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    lk_llms: Option<Vec<u32>>,
}

/// A token that was just signed, to be shown once.
pub struct Minted {
    /// Its text.
    pub text: Secret<TokenText>,
    /// By what its row is found.
    pub jti: JtiHash,
    /// What its row keeps of what it says.
    pub content: [u8; 32],
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// The key.
    #[error(transparent)]
    Key(#[from] TokenKeyError),
    /// No randomness.
    #[error("the operating system's random generator failed")]
    Entropy(#[from] EntropyError),
    /// What it is to say could not be written.
    #[error("the token could not be written")]
    Json(#[from] serde_json::Error),
}

/// Signs a token that says this, under an id that was never there before: 128 random bits.
///
/// # Errors
/// When there is no randomness, or the library fails.
pub fn mint(signer: &Signer, claims: &Claims<'_>, entropy: &dyn Entropy) -> Result<Minted, MintError> {
    // Of the same form as every id of ours; what a token is called elsewhere is the hash of this.
    let jti = Zeroizing::new(TokenId::random(entropy)?.to_string());
    let (public, credential) = (signer.public(), claims.credential.to_string());
    let header = Header { alg: public.algorithm.as_str(), typ: TYP, kid: &public.kid };
    let payload = Payload {
        iss: claims.issuer,
        sub: &credential,
        aud: claims.audience,
        client_id: &credential,
        iat: claims.issued_at_s,
        exp: claims.expires_at_s,
        jti: &jti,
        scope: claims.scopes.join(" "),
        tenant: claims.tenant,
        lk_gen: claims.generation.0.to_string(),
        lk_llms: claims.llms.map(|llms| llms.iter().map(|llm| llm.get()).collect()),
    };
    let payload = Zeroizing::new(serde_json::to_vec(&payload)?);
    let mut text = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&header)?);
    // At once as long as it will be, so that no part of it stays behind when it grows.
    text.reserve_exact(2 + payload.len().div_ceil(3) * 4 + 86);
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(&*payload, &mut text);
    let signature = signer.sign(text.as_bytes())?;
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut text);
    let jti = JtiHash::of(claims.issuer, &jti);
    Ok(Minted { text: Secret::new(text.into_bytes()), jti, content: content_hash(&payload) })
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
