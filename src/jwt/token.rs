//! The one way from the bytes of a token to claims that may be believed.
//!
//! [`Unverified::parse`] reads it within limits, so that its issuer can be found; [`Unverified::verify`] takes it and gives a
//! [`VerifiedToken`], which nothing else makes. Order: the algorithm is one of the issuer's record; one key is meant, and is
//! for that algorithm; that key signed it; then type, issuer, audience, times, required claims, and no proof is asked for.

use crate::domain::algorithm::Algorithm;
use crate::domain::issuer::TokenRules;
use crate::jwt::claims::{self, Claims, Rules};
use crate::jwt::compact::{self, Compact};
use crate::jwt::header::Header;
use crate::jwt::keys::KeySet;
use crate::jwt::{Fault, MAX_TOKEN_LEN, signature};

/// A well-formed token that anybody may have written.
pub struct Unverified<'a> {
    message: &'a [u8],
    signature: Vec<u8>,
    header: Header,
    claims: Claims,
}

impl<'a> Unverified<'a> {
    /// Reads a token: three parts, a header that asks for nothing special, claims of the right types.
    ///
    /// # Errors
    /// What is wrong with its form.
    pub fn parse(token: &'a [u8]) -> Result<Self, Fault> {
        let parts = Compact::split(token, MAX_TOKEN_LEN)?;
        let header = Header::parse(parts.header)?;
        let signature = compact::decode(parts.signature)?;
        let claims = Claims::parse(parts.payload)?;
        Ok(Self { message: parts.message, signature, header, claims })
    }

    /// Who is said to have issued it: to find that issuer's record by, and for nothing else.
    pub fn issuer(&self) -> Option<&str> {
        Some(self.claims.issuer()).filter(|_| self.claims.has_issuer())
    }

    /// For whom it is said to be.
    pub fn audiences(&self) -> &[String] {
        self.claims.audiences()
    }

    /// Which key is said to have signed it.
    pub fn kid(&self) -> Option<&str> {
        self.header.kid()
    }

    /// With which algorithm it is said to be signed.
    pub fn algorithm(&self) -> Algorithm {
        self.header.algorithm()
    }

    /// The header, for people who look at a token.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The claims, for people who look at a token; not to be believed.
    pub fn unverified_claims(&self) -> &Claims {
        &self.claims
    }

    /// Judges it by the issuer's keys and rules at a moment, and by nothing else.
    ///
    /// # Errors
    /// The first check that it fails.
    pub fn verify(self, keys: &KeySet, rules: &TokenRules, now_ms: i64) -> Result<VerifiedToken, Fault> {
        let all = Rules {
            issuer: Some(&rules.iss),
            audiences: Some(&rules.audiences),
            types: Some(&rules.types),
            leeway_s: rules.leeway_s,
            max_age_s: rules.max_age_s,
            required: &rules.required,
        };
        self.examine(keys, &rules.algorithms, &all, now_ms)?;
        Ok(VerifiedToken { header: self.header, claims: self.claims })
    }

    /// Judges it by what an operator gave, who may leave rules out. A yes is for reading: nothing is authenticated by it.
    ///
    /// # Errors
    /// The first check that it fails.
    pub fn examine(
        &self,
        keys: &KeySet,
        algorithms: &[Algorithm],
        rules: &Rules<'_>,
        now_ms: i64,
    ) -> Result<(), Fault> {
        let algorithm = self.header.algorithm();
        if !algorithms.contains(&algorithm) {
            return Err(Fault::AlgorithmNotAllowed);
        }
        let key = keys.select(algorithm, self.header.kid())?;
        signature::verify(algorithm, key, self.message, &self.signature)?;
        claims::check(&self.header, &self.claims, rules, now_ms)
    }
}

/// A token that its issuer signed for us, and that holds at the moment at which it was verified.
pub struct VerifiedToken {
    header: Header,
    claims: Claims,
}

impl VerifiedToken {
    /// What it says.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Its header.
    pub fn header(&self) -> &Header {
        &self.header
    }
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
