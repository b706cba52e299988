//! What becomes of a token: it is found, judged by its row, listed and taken back.

use crate::admin::authority::{Act, Permit};
use crate::admin::pages::{Listed, collect};
use crate::admin::{Admin, AdminError, AdminResult, not_found, retrying};
use crate::domain::event::DetailKey;
use crate::domain::{Action, Credential, CredentialId, IssuedToken, JtiHash, Subject, Tenant, TenantId, TokenId};
use crate::jwt::token::Unverified;
use crate::secret::{Secret, TokenText};
use crate::store::{Page, StoreError, TokenPlace};

/// Which token.
pub enum TokenRef {
    /// By its public id, or by its `jti`.
    Id(TokenId),
    /// By its text; who signed it does not matter.
    Text(Secret<TokenText>),
}

/// What a token's row is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenState {
    /// In force, as far as its row says.
    Active,
    /// Past its end.
    Expired,
    /// Taken back.
    Revoked,
    /// Its credential was changed since.
    Superseded,
    /// Somebody without the key wrote the row: the token is refused (rule R4).
    Forged,
    /// The key of subject hashes is not here to tell.
    KeyMissing,
}

impl TokenState {
    /// Its name, as shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Superseded => "superseded",
            Self::Forged => "row_forged",
            Self::KeyMissing => "key_missing",
        }
    }
}

/// A token, and what its row is worth.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JudgedToken {
    /// As stored.
    pub token: IssuedToken,
    /// What that is worth.
    pub state: TokenState,
}

/// What a token is called that was given as its text.
pub(super) const AS_PRESENTED: &str = "as presented";

/// That there is no such token, or none that is the caller's.
pub(super) fn no_token(name: impl Into<String>) -> AdminError {
    AdminError::NotFound { what: "token", name: name.into(), place: String::new() }
}

impl Admin {
    /// A token that is the caller's.
    pub(super) fn token_of(&self, permit: &Permit<'_>, which: &TokenRef) -> AdminResult<IssuedToken> {
        let (tokens, rules) = (permit.store().tokens(), self.token_rules()?);
        let (found, name) = match which {
            TokenRef::Id(id) => match tokens.by_id(*id)? {
                Some(found) => (Some(found), id.to_string()),
                None => (tokens.look_up(JtiHash::of(&rules.issuer, &id.to_string()))?.row, id.to_string()),
            },
            TokenRef::Text(text) => match jti(&rules.issuer, text) {
                Some(jti) => (tokens.look_up(jti)?.row, AS_PRESENTED.to_owned()),
                None => (None, AS_PRESENTED.to_owned()),
            },
        };
        found.filter(|row| permit.covers(Some(row.tenant))).ok_or_else(|| no_token(name))
    }

    fn token_in(&self, permit: &Permit<'_>, tenant: Option<&str>, which: &TokenRef) -> AdminResult<IssuedToken> {
        let named = tenant.map(|slug| permit.tenant(slug)).transpose()?;
        let found = self.token_of(permit, which)?;
        match named {
            Some(tenant) if tenant.id != found.tenant => Err(not_found("token", &found.jti.id(), &tenant)),
            _ => Ok(found),
        }
    }

    /// A token that is to be taken back.
    ///
    /// # Errors
    /// When the caller may not, or there is none that is theirs.
    pub fn may_revoke_token(&self, tenant: Option<&str>, which: &TokenRef) -> AdminResult<Subject> {
        let permit = self.permit(Act::Change)?;
        self.token_in(&permit, tenant, which).map(|row| Subject::Token(row.jti.id()))
    }

    /// Takes a token back, at once and for good; whether it was before, and then nothing is changed. Needs no key.
    ///
    /// # Errors
    /// When there is none.
    pub fn revoke_token(&self, tenant: Option<&str>, which: &TokenRef) -> AdminResult<(JudgedToken, bool)> {
        let permit = self.permit(Act::Change)?;
        let mut token = self.token_in(&permit, tenant, which)?;
        let already = token.revoked_at_ms.is_some();
        if !already {
            let (id, now_ms) = (token.jti.id(), self.now_ms());
            let details = vec![(DetailKey::Credential, token.credential.to_string())];
            let event = self.event(Action::TokenRevoked, Subject::Token(id), Some(token.tenant), details);
            permit.store().tokens().revoke(token.tenant, token.jti, now_ms, event).map_err(|error| match error {
                StoreError::Missing { .. } => no_token(id.to_string()),
                error => error.into(),
            })?;
            (token.revoked_at_ms, token.mac) = (Some(now_ms), [0; 32]);
        }
        Ok((JudgedToken { token, state: TokenState::Revoked }, already))
    }

    /// A credential whose tokens are to be taken back.
    ///
    /// # Errors
    /// When the caller may not, or there is none that is theirs.
    pub fn may_revoke_tokens_of(&self, tenant: Option<&str>, id: CredentialId) -> AdminResult<Subject> {
        let permit = self.permit(Act::Change)?;
        self.parent(&permit, tenant, id).map(|(_, parent)| Subject::Credential(parent.id))
    }

    /// Takes all tokens of a credential back, at once and for good: its row is of another generation from then on. The
    /// credential itself stays good.
    ///
    /// # Errors
    /// When there is no such credential, its row is forged or its pepper is not here.
    pub fn revoke_tokens_of(&self, tenant: Option<&str>, id: CredentialId) -> AdminResult<Credential> {
        let permit = self.permit(Act::Change)?;
        retrying(|| {
            let (tenant, mut parent) = self.parent(&permit, tenant, id)?;
            let expected = parent.generation;
            parent.generation = self.generation()?;
            self.backend.keyring.ring().seal(&mut parent);
            let event = self.event(Action::TokenRevoked, Subject::Credential(id), Some(tenant.id), Vec::new());
            permit.store().tokens().revoke_of(&parent, expected, self.now_ms(), event)?;
            Ok(parent)
        })
    }

    /// Tokens of a credential, oldest first; those that ended more than a day ago may be gone.
    ///
    /// # Errors
    /// When there is no such credential.
    pub fn list_tokens(
        &self,
        tenant: Option<&str>,
        id: CredentialId,
        page: Page<TokenPlace>,
    ) -> AdminResult<(Tenant, Listed<JudgedToken, TokenPlace>)> {
        let permit = self.permit(Act::Read)?;
        let parent = permit.credential(id)?;
        let tenant = permit.tenant(&match tenant {
            Some(slug) => slug.to_owned(),
            None => self.slug_of(parent.tenant)?,
        })?;
        if tenant.id != parent.tenant {
            return Err(not_found("credential", &id, &tenant));
        }
        let tokens = permit.store().tokens();
        let (key, now_ms) = (self.subject_key_if_there(&permit)?, self.now_ms());
        let key_of = |row: &IssuedToken| (row.issued_at_ms, row.jti);
        let listed = collect(page, |page| tokens.list_of(parent.tenant, id, page), key_of, |_| Ok(true), |_| 256)?;
        let judge = |token: IssuedToken| {
            let genuine = key.as_ref().map(|key| key.is_genuine_token(&token));
            let state = state(&token, Some(&parent), genuine, now_ms);
            JudgedToken { token, state }
        };
        Ok((tenant, Listed { rows: listed.rows.into_iter().map(judge).collect(), next: listed.next }))
    }

    /// A token of the caller's, by its public id.
    ///
    /// # Errors
    /// When there is none.
    pub fn token(&self, id: TokenId) -> AdminResult<JudgedToken> {
        let permit = self.permit(Act::Read)?;
        let token = self.token_of(&permit, &TokenRef::Id(id))?;
        self.judged_token(&permit, token)
    }

    /// What a row is worth.
    pub(super) fn judged_token(&self, permit: &Permit<'_>, token: IssuedToken) -> AdminResult<JudgedToken> {
        let parent = permit.store().credentials().by_id(token.tenant, token.credential)?;
        let genuine = self.subject_key_if_there(permit)?.map(|key| key.is_genuine_token(&token));
        let state = state(&token, parent.as_ref(), genuine, self.now_ms());
        Ok(JudgedToken { token, state })
    }

    /// The slug of the tenant that a token belongs to.
    ///
    /// # Errors
    /// When the store fails.
    pub fn tenant_of_token(&self, id: TenantId) -> AdminResult<String> {
        self.slug_of(id)
    }
}

/// What a row is worth beside its parent's.
fn state(token: &IssuedToken, parent: Option<&Credential>, genuine: Option<bool>, now_ms: i64) -> TokenState {
    let is_of = |parent: &Credential| parent.generation == token.parent || parent.replaced.is_some();
    match genuine {
        _ if token.revoked_at_ms.is_some() => TokenState::Revoked,
        None => TokenState::KeyMissing,
        Some(false) => TokenState::Forged,
        Some(true) if now_ms >= token.expires_at_ms => TokenState::Expired,
        Some(true) if !parent.is_some_and(is_of) => TokenState::Superseded,
        Some(true) => TokenState::Active,
    }
}

/// By what the row of a token of ours is found; none where it is no token, or another's.
fn jti(issuer: &str, text: &Secret<TokenText>) -> Option<JtiHash> {
    #[expect(clippy::disallowed_methods, reason = "the token is read to find its row")]
    let token = Unverified::parse(text.expose()).ok()?;
    let claims = token.unverified_claims();
    let jti = claims.token_id().filter(|_| token.issuer() == Some(issuer))?;
    Some(JtiHash::of(issuer, jti))
}
