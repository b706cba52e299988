//! Short-lived tokens of a credential: issued for less than it may do, and taken back one by one or all at once.
//!
//! A token dies with its parent: issued only while that is in force, never beyond its end, and of the generation that its
//! row had. `rows` has what becomes of one, `keys` the keys that sign them, `inspect` what is said of one.

pub mod client;
mod inspect;
mod keys;
mod rows;

use std::path::PathBuf;
use std::sync::Arc;

use crate::admin::authority::{Act, Backend, Caller, Claim, Permit, Scope};
use crate::admin::limits::{self, invalid};
use crate::admin::{Admin, AdminError, AdminResult, not_found, record, retrying};
use crate::domain::event::{Actor, DetailKey};
use crate::domain::{
    Action, Credential, CredentialId, IssuedToken, LlmGrants, LlmId, Role, Subject, Tenant, TenantStatus,
};
use crate::issue::token::MintError;
use crate::issue::{self, Claims};
use crate::secret::{Secret, TokenText};
use crate::store::{LinkedRows, StoreError};

pub use inspect::{Inspection, Verdict};
pub use keys::{JudgedSigningKey, RotatedSigningKey, SigningKeyState};
pub use rows::{JudgedToken, TokenRef, TokenState};

/// How tokens are issued on this machine.
#[derive(Clone, Debug)]
pub struct TokenRules {
    /// Where the private keys are.
    pub key_dir: PathBuf,
    /// Ourselves, as in `iss`.
    pub issuer: String,
    /// For whom tokens are, as in `aud`.
    pub audience: String,
    /// How long one lives where nobody says, in seconds.
    pub ttl_s: u32,
    /// How long one may live, in seconds.
    pub max_ttl_s: u32,
    /// How many of a credential may be in force.
    pub most: u32,
}

/// What a token is to be; what is none is as the credential has it.
#[derive(Clone, Debug, Default)]
pub struct TokenRequest {
    /// What it is for: some of the credential's scopes, or none.
    pub scopes: Option<Vec<String>>,
    /// The only LLMs that it is for: some of the App's.
    pub llms: Option<Vec<LlmId>>,
    /// How long it lives, in seconds; never beyond the credential.
    pub ttl_s: Option<u64>,
}

/// A token that was just issued, with its text this once.
pub struct MintedToken {
    /// Its row.
    pub token: IssuedToken,
    /// Its text.
    pub text: Secret<TokenText>,
    /// What it is for.
    pub scopes: Vec<String>,
    /// The only LLMs that it is for; none for all of its App.
    pub llms: Option<Vec<LlmId>>,
}

impl Backend {
    /// Issues tokens so.
    #[must_use]
    pub fn with_tokens(mut self, rules: TokenRules) -> Self {
        self.tokens = Some(Arc::new(rules));
        self
    }

    /// Issues a token to a program that just proved this credential, and for nothing else. `source` is from where it asks,
    /// as the trail has it.
    ///
    /// # Errors
    /// As [`Admin::issue_token`].
    pub fn issue_token_for_client(
        &self,
        parent: &Credential,
        source: impl Into<String>,
        request: &TokenRequest,
    ) -> AdminResult<MintedToken> {
        let scope = Scope::Tenants(vec![parent.tenant]);
        // Who proves a credential gets no more of an issuer's rights than this one call.
        let caller = Caller::new(Actor::Client(parent.id), Role::Issuer, scope).from_there(source);
        self.admin(caller).issue_token(None, parent.id, request)
    }
}

/// A token lives no shorter, in seconds, unless its credential does: many that end at once are many rows.
pub const LEAST_TTL_S: u32 = 60;

/// The parts of a lifetime: whole seconds since the epoch.
struct Life {
    issued_at_s: i64,
    expires_at_s: i64,
}

impl Admin {
    pub(super) fn token_rules(&self) -> AdminResult<&TokenRules> {
        let rules = self.backend.tokens.as_deref();
        rules.ok_or_else(|| AdminError::Unavailable("no tokens are issued here".to_owned()))
    }

    /// The credential of a tenant, or of whichever has it.
    fn parent(&self, permit: &Permit<'_>, tenant: Option<&str>, id: CredentialId) -> AdminResult<(Tenant, Credential)> {
        let named = tenant.map(|slug| permit.tenant(slug)).transpose()?;
        let parent = match (self.genuine_key(permit, id), &named) {
            (Ok(parent), Some(tenant)) if parent.tenant != tenant.id => {
                return Err(not_found("credential", &id, tenant));
            }
            (Err(AdminError::NotFound { .. }), Some(tenant)) => return Err(not_found("credential", &id, tenant)),
            (parent, _) => parent?,
        };
        let tenant = match named {
            Some(tenant) => tenant,
            None => permit.tenant(&self.slug_of(parent.tenant)?)?,
        };
        Ok((tenant, parent))
    }

    /// Issues a token for a credential that is in force: for some of its scopes and of its App's LLMs, never beyond its end.
    ///
    /// # Errors
    /// When there is no such credential in that tenant, or it, its tenant, App or User are not in force; when it may not do
    /// what is asked for, as many tokens are in force as may be, or there is no key to sign with.
    pub fn issue_token(
        &self,
        tenant: Option<&str>,
        id: CredentialId,
        request: &TokenRequest,
    ) -> AdminResult<MintedToken> {
        let permit = self.permit(Act::Change)?;
        retrying(|| {
            let (tenant, parent) = self.parent(&permit, tenant, id)?;
            let claim = permit.once("IssueToken", Some(tenant.id))?;
            self.issue_of(&permit, &tenant, &parent, request, claim)
        })
    }

    fn issue_of(
        &self,
        permit: &Permit<'_>,
        tenant: &Tenant,
        parent: &Credential,
        request: &TokenRequest,
        claim: Claim,
    ) -> AdminResult<MintedToken> {
        let (rules, now_ms) = (self.token_rules()?, self.now_ms());
        let linked = permit.store().credentials().linked(parent.tenant, parent.app, parent.user)?.row;
        check_in_force(tenant, parent, &linked, now_ms)?;
        let scopes = scopes(parent, request)?;
        let llms = self.llms(tenant, &linked, request)?;
        let life = life(rules, parent, request, now_ms)?;
        let (key, signer) = self.token_signer(permit)?;
        let claims = Claims {
            issuer: &rules.issuer,
            audience: &rules.audience,
            credential: parent.id,
            generation: parent.generation,
            tenant: &tenant.slug,
            issued_at_s: life.issued_at_s,
            expires_at_s: life.expires_at_s,
            scopes: &scopes,
            llms: llms.as_deref(),
        };
        let minted = issue::token::mint(&signer, &claims, self.backend.entropy.as_ref());
        let minted = minted.map_err(|error| match error {
            MintError::Entropy(error) => error.into(),
            other => {
                tracing::warn!(error = %other, "a token could not be signed");
                AdminError::TokenKey("the token could not be signed: the log of the store's machine says why")
            }
        })?;
        let mut token = IssuedToken {
            jti: minted.jti,
            tenant: parent.tenant,
            credential: parent.id,
            parent: parent.generation,
            content: minted.content,
            issued_at_ms: now_ms,
            expires_at_ms: life.expires_at_s.saturating_mul(1_000),
            revoked_at_ms: None,
            mac: [0; 32],
        };
        token.mac = key.token_mac(&token);
        let mut details = vec![
            (DetailKey::Credential, parent.id.to_string()),
            (DetailKey::ExpiresAt, token.expires_at_ms.to_string()),
            (DetailKey::KeyId, signer.public().kid.clone()),
        ];
        details.extend((!scopes.is_empty()).then(|| (DetailKey::Scope, scopes.join(" "))));
        let names = |llms: &Vec<LlmId>| llms.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        details.extend(llms.as_ref().map(|llms| (DetailKey::Llms, names(llms))));
        let event = self.event(Action::TokenIssued, Subject::Token(token.jti.id()), Some(parent.tenant), details);
        match permit.store().tokens().issue(&token, rules.most, record(event, claim, &token.jti.id())) {
            Ok(()) => Ok(MintedToken { token, text: minted.text, scopes, llms }),
            Err(StoreError::Full { .. }) => Err(AdminError::TooManyTokens { most: rules.most }),
            Err(StoreError::Missing { .. }) => Err(not_found("credential", &parent.id, tenant)),
            Err(error) => Err(error.into()),
        }
    }

    /// The LLMs that are asked for, where they are the App's.
    fn llms(&self, tenant: &Tenant, linked: &LinkedRows, request: &TokenRequest) -> AdminResult<Option<Vec<LlmId>>> {
        let Some(mut llms) = request.llms.clone() else { return Ok(None) };
        llms.sort_unstable();
        llms.dedup();
        limits::count("llm", llms.len(), limits::MAX_LLMS)?;
        if llms.is_empty() {
            return Err(invalid("llm", "at least one, or none given for all that the App may use"));
        }
        // As requests are judged: no grant is needed where both the machine and the tenant say so.
        let unchecked = self.backend.llm_grants == LlmGrants::Unchecked && tenant.llm_grants == LlmGrants::Unchecked;
        let granted = linked.app.as_ref().map(|app| app.llms.as_slice()).unwrap_or_default();
        match llms.iter().find(|id| !granted.iter().any(|grant| grant.id == **id)) {
            Some(id) if !unchecked => Err(invalid("llm", format!("the App of the credential may not use LLM {id}"))),
            _ => Ok(Some(llms)),
        }
    }
}

/// That requests with the credential would be taken, as far as that is not a matter of the request.
fn check_in_force(tenant: &Tenant, parent: &Credential, linked: &LinkedRows, now_ms: i64) -> AdminResult<()> {
    let ended = |state: String| AdminError::NotInForce { id: parent.id.to_string(), state };
    if let Err(reason) = parent.check_validity(now_ms) {
        return Err(ended(format!("is not in force ({})", reason.code())));
    }
    if tenant.status == TenantStatus::Suspended {
        return Err(AdminError::Suspended(tenant.slug.clone()));
    }
    match (&linked.app, &linked.user) {
        (None, _) => Err(not_found("App", &parent.app, tenant)),
        (_, None) => Err(not_found("User", &parent.user, tenant)),
        (Some(app), _) if !app.is_active() => Err(ended(format!("acts as App {}, which is not active", app.id))),
        (_, Some(user)) if !user.is_active() => Err(ended(format!("acts for User {}, who is not active", user.id))),
        _ => Ok(()),
    }
}

/// The scopes that are asked for, where they are the credential's.
fn scopes(parent: &Credential, request: &TokenRequest) -> AdminResult<Vec<String>> {
    let Some(asked) = &request.scopes else { return Ok(parent.scopes.clone()) };
    limits::scopes(asked)?;
    if let Some(scope) = asked.iter().find(|scope| !parent.scopes.contains(scope)) {
        return Err(invalid("scope", format!("the credential has no scope {scope}")));
    }
    // In the order that the credential has them, each once.
    Ok(parent.scopes.iter().filter(|scope| asked.contains(scope)).cloned().collect())
}

/// From now on, for as long as is asked for, and never beyond the credential.
fn life(rules: &TokenRules, parent: &Credential, request: &TokenRequest, now_ms: i64) -> AdminResult<Life> {
    let issued_at_s = now_ms.div_euclid(1_000);
    let rest_s = parent.end_ms().map(|end| end.div_euclid(1_000).saturating_sub(issued_at_s));
    let (least_s, most_s) = (u64::from(LEAST_TTL_S), u64::from(rules.max_ttl_s));
    let least_here_s = rest_s.map_or(least_s, |rest| least_s.min(u64::try_from(rest).unwrap_or(0)));
    let ttl_s = request.ttl_s.unwrap_or_else(|| u64::from(rules.ttl_s).min(most_s));
    if ttl_s < least_here_s.max(1) || ttl_s > most_s {
        return Err(invalid("expires-in", format!("{least_s} to {most_s} seconds: tokens are short-lived")));
    }
    let asked_s = issued_at_s.saturating_add_unsigned(ttl_s);
    let expires_at_s = parent.end_ms().map_or(asked_s, |end| asked_s.min(end.div_euclid(1_000)));
    if expires_at_s <= issued_at_s {
        let state = "ends within this second".to_owned();
        return Err(AdminError::NotInForce { id: parent.id.to_string(), state });
    }
    Ok(Life { issued_at_s, expires_at_s })
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
