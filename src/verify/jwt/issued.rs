//! Tokens that we signed (RFC 9068). One is good only beside its row and its parent's, both read when it is verified: so it
//! dies with its parent at once, and whoever has a signing key alone mints nothing.
//!
//! Its authority is never more than its parent's as that is now (rule R15): validity, addresses, App, User and tenant are
//! the parent's row's; scopes and LLMs are those of both.

use crate::domain::issuer::TokenRules;
use crate::domain::token::{GENERATION, LLMS, TYP, content_hash};
use crate::domain::{
    Credential, CredentialId, IssuedToken, JtiHash, LlmId, Reason, SigningKeyRow, Subject, issuer::ClaimPath,
};
use crate::jwt::compact;
use crate::jwt::json::Value;
use crate::jwt::token::Unverified;
use crate::verify::api_key::refused;
use crate::verify::jwt::{AGAIN_MS, Jwts, for_now, reason, resting};
use crate::verify::keyring::Keyring;
use crate::verify::subject::SubjectKey;
use crate::verify::verified::Issued;
use crate::verify::{Refused, RestsOn, Verified};

fn claim(name: &str) -> ClaimPath {
    ClaimPath(vec![name.to_owned()])
}

impl Jwts {
    pub(super) fn issued(
        &self,
        key: &SubjectKey,
        text: &[u8],
        token: Unverified<'_>,
        keyring: &Keyring,
        now_ms: i64,
    ) -> Result<Verified, Refused> {
        let kid = token.kid().ok_or(Reason::JwtKeyUnknown)?;
        let keys = self.store.tokens().keys().map_err(|_| Reason::StoreUnavailable)?;
        let row = keys.row.into_iter().find(|row| row.kid == kid && row.verifies(now_ms));
        let row = row.ok_or(Reason::JwtKeyUnknown)?;
        if !key.is_genuine_signing_key(&row) {
            return Err(Reason::TokenForged.into());
        }
        let judged = token.verify(self.registry.own_key(&row)?.as_ref(), &self.rules(&row), now_ms);
        let verified = judged.map_err(|fault| match reason(fault) {
            again @ (Reason::Expired | Reason::JwtSignature) => {
                for_now(resting(again, keys.position, Subject::SigningKeys), now_ms + AGAIN_MS)
            }
            other => other.into(),
        })?;
        let claims = verified.claims();
        let id = claims.subject().and_then(|sub| sub.parse::<CredentialId>().ok()).ok_or(Reason::JwtClaims)?;
        let jti = JtiHash::of(&self.settings.issuer, claims.token_id().ok_or(Reason::JwtClaims)?);
        let found = self.store.tokens().look_up_with_parent(jti, id).map_err(|_| Reason::StoreUnavailable)?;
        let position = found.position.min(keys.position);
        let (proved, beside) = (Subject::Credential(id), Some(Subject::Token(jti.id())));
        let rests_on = Some(RestsOn { position, proved, beside, linked: false, until_ms: None });
        let (Some(stored), Some(parent)) = found.row else {
            return Err(Refused { reason: Reason::TokenUnknown, known: None, rests_on });
        };
        let refused = |reason| refused(reason, &parent, rests_on);
        let payload = text.split(|&byte| byte == b'.').nth(1).and_then(|payload| compact::decode(payload).ok());
        judge(key, &stored, &parent, &payload.unwrap_or_default()).map_err(refused)?;
        match keyring.ring().is_genuine(&parent) {
            Some(true) => {}
            Some(false) => return Err(Refused { rests_on: None, ..refused(Reason::RowForged) }),
            None => return Err(refused(Reason::PepperMissing)),
        }
        if stored.parent != parent.generation && parent.replaced.is_none() {
            return Err(refused(Reason::TokenSuperseded));
        }
        parent.check_validity(now_ms).map_err(refused)?;
        let scopes = claims.text_or_list(&claim("scope")).unwrap_or_default();
        let scopes = scopes.iter().flat_map(|text| text.split(' ')).filter(|scope| !scope.is_empty());
        // What its parent may no more, it may not.
        let scopes = scopes.filter(|scope| parent.scopes.iter().any(|own| own == scope)).map(str::to_owned).collect();
        let llms = claims.get(&claim(LLMS)).map(llms).transpose()?;
        let ends_at_ms = row.retires_at_ms.map_or(claims.expires_at_ms(), |end| end.min(claims.expires_at_ms()));
        Ok(Verified::issued(parent, Issued { id: jti.id(), scopes, llms, ends_at_ms }, position))
    }

    /// As strict as we sign: the type exact (RFC 9068 section 4), no leeway, for the clock is our own.
    fn rules(&self, row: &SigningKeyRow) -> TokenRules {
        TokenRules {
            iss: self.settings.issuer.clone(),
            audiences: vec![self.settings.audience.clone()],
            algorithms: vec![row.algorithm],
            types: vec![TYP.to_owned()],
            leeway_s: 0,
            max_age_s: None,
            required: ["jti", "sub", "iat", "client_id", GENERATION].map(claim).to_vec(),
        }
    }
}

/// Whether a row is this very token's.
fn judge(key: &SubjectKey, stored: &IssuedToken, parent: &Credential, payload: &[u8]) -> Result<(), Reason> {
    if stored.revoked_at_ms.is_some() {
        return Err(Reason::Revoked);
    }
    if !key.is_genuine_token(stored) {
        return Err(Reason::TokenForged);
    }
    let same = stored.credential == parent.id && stored.tenant == parent.tenant;
    if same && stored.content == content_hash(payload) { Ok(()) } else { Err(Reason::TokenUnknown) }
}

fn llms(value: &Value) -> Result<Vec<LlmId>, Reason> {
    let Value::List(list) = value else { return Err(Reason::JwtClaims) };
    let id = |value: &Value| match value {
        Value::Integer(number) => u32::try_from(*number).ok().and_then(LlmId::new).ok_or(Reason::JwtClaims),
        _ => Err(Reason::JwtClaims),
    };
    list.iter().map(id).collect()
}
