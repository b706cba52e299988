//! What a token that names us as its issuer says of itself: for whoever may ask what a token is worth (RFC 7662). Nothing of
//! it is proven here.

use crate::jwt::token::Unverified;
use crate::verify::Verifier;

/// Claims of a token, as they stand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Said {
    /// `iss`: ourselves.
    pub issuer: String,
    /// `aud`: the one that our tokens have.
    pub audience: String,
    /// `jti`.
    pub token_id: String,
    /// `iat`, milliseconds since the epoch.
    pub issued_at_ms: i64,
}

impl Verifier {
    /// What it says; none where it does not name us, so that it is never looked for elsewhere: no keys are fetched, and
    /// nobody is linked, because somebody asked.
    pub fn said_by_own(&self, text: &[u8]) -> Option<Said> {
        let ours = &self.jwts.as_ref()?.settings;
        let token = Unverified::parse(text).ok().filter(|token| token.issuer() == Some(&ours.issuer))?;
        let claims = token.unverified_claims();
        let [audience] = claims.audiences() else { return None };
        Some(Said {
            issuer: claims.issuer().to_owned(),
            audience: audience.clone(),
            token_id: claims.token_id()?.to_owned(),
            issued_at_ms: claims.issued_at_ms()?,
        })
    }
}
