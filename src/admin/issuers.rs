//! Trusted issuers of JWTs: whose tokens a tenant takes, under which rules, and for whom they stand.
//!
//! Whoever may say which keys sign for a tenant may act as everybody there. An owner who is bound to tenants therefore
//! trusts an issuer with the keys alone that its own discovery document names; keys that are pasted, an issuer that another
//! tenant has, and waivers of the linter's rules are an unbound owner's (rule R16). A secret that both sides have comes in on
//! the store's machine alone.

mod change;
mod keys;
mod policy;
mod values;

use std::path::PathBuf;
use std::sync::Arc;

use crate::admin::authority::{Act, Backend, Permit};
use crate::admin::limits::invalid;
use crate::admin::pages::{Listed, collect};
use crate::admin::{Admin, AdminError, AdminResult, not_found, record, retrying};
use crate::domain::event::{Actor, DetailKey};
use crate::domain::issuer::{ClaimPath, Identity, KeySource, TokenRules, Waiver};
use crate::domain::{Action, Issuer, IssuerId, Subject, Tenant, TenantStatus};
use crate::jwt::lint::{self, Finding};
use crate::secret::{IssuerSecret, Secret};
use crate::store::{IssuerPlace, KeptKeys, OTHERS_ISS, Page, Sharing, StoreError};
use crate::verify::issuer_secret;
use crate::verify::subject::SubjectKey;

use keys::Found;
use policy::Neighbourhood;

pub use change::IssuerChanges;
pub use keys::{Discovered, IssuerKeysSource, UNREACHABLE};
pub use policy::{CheckedKey, IssuerCheck};

/// Where the keys of an issuer are to come from. No `Debug`, because of the secret.
pub enum NewKeys {
    /// From where its discovery document says, which is fetched now.
    Discover,
    /// From this URL.
    Url(String),
    /// These: a JWK set of public keys.
    Jwks(String),
    /// This secret.
    Secret(Secret<IssuerSecret>),
}

/// An issuer to be trusted. No `Debug`, because of its keys.
pub struct NewIssuer {
    /// What its tokens must fulfil.
    pub rules: TokenRules,
    /// Where its keys come from.
    pub keys: NewKeys,
    /// Whom its tokens stand for.
    pub identity: Identity,
    /// The claim that the scopes are taken from.
    pub scope_claim: ClaimPath,
    /// Refuses keys below 128 bits of security too.
    pub strict: bool,
    /// Rules of the linter that it need not keep.
    pub waivers: Vec<Waiver>,
    /// Refuses it where its keys cannot be fetched now.
    pub require_keys: bool,
}

/// What a row is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IssuerState {
    /// Its tokens are taken.
    Active,
    /// It is switched off.
    Inactive,
    /// The linter refuses it as it is now.
    PolicyRefused,
    /// Somebody without the key wrote it: it counts for nothing (rule R4).
    Forged,
    /// The key of subject hashes is not here to tell.
    KeyMissing,
}

impl IssuerState {
    /// Its name, as shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::PolicyRefused => "policy_refused",
            Self::Forged => "row_forged",
            Self::KeyMissing => "key_missing",
        }
    }
}

/// An issuer, what its row is worth, and what the linter says of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JudgedIssuer {
    /// As it is stored.
    pub issuer: Issuer,
    /// What that is worth.
    pub state: IssuerState,
    /// What the linter says.
    pub findings: Vec<Finding>,
}

/// What issuers are judged by on this machine.
#[derive(Clone, Default)]
pub struct IssuerSettings {
    source: Option<Arc<dyn IssuerKeysSource>>,
    reserved: Vec<String>,
    plain_loopback: bool,
    secrets: Option<PathBuf>,
}

impl Backend {
    /// Fetches issuers' keys there.
    #[must_use]
    pub fn with_issuer_keys(mut self, source: Arc<dyn IssuerKeysSource>) -> Self {
        self.issuers.source = Some(source);
        self
    }

    /// Takes these `iss` for our own, and keys over plain HTTP from this machine itself if that is permitted.
    #[must_use]
    pub fn with_issuer_rules(mut self, reserved: Vec<String>, plain_loopback: bool) -> Self {
        (self.issuers.reserved, self.issuers.plain_loopback) = (reserved, plain_loopback);
        self
    }

    /// Keeps the secrets of issuers in this directory.
    #[must_use]
    pub fn with_issuer_secrets(mut self, dir: PathBuf) -> Self {
        self.issuers.secrets = Some(dir);
        self
    }
}

/// What the trail has of an issuer.
fn details(issuer: &Issuer, fields: &[&str]) -> Vec<(DetailKey, String)> {
    let TokenRules { iss, audiences, algorithms, .. } = &issuer.rules;
    let names: Vec<&str> = algorithms.iter().map(|algorithm| algorithm.as_str()).collect();
    let list = |texts: &[String]| serde_json::to_string(texts).unwrap_or_default();
    let keys = match &issuer.keys {
        KeySource::Url(url) => format!("jwks_url {url}"),
        other => other.kind().to_owned(),
    };
    let mut details = vec![
        (DetailKey::Issuer, iss.clone()),
        (DetailKey::Audiences, list(audiences)),
        (DetailKey::Algorithms, names.join(",")),
        (DetailKey::Keys, keys),
        (DetailKey::Active, issuer.active.to_string()),
    ];
    let (app, user) = issuer.identity.fixed();
    details.extend(app.map(|app| (DetailKey::App, app.to_string())));
    details.extend(user.map(|user| (DetailKey::User, user.to_string())));
    if !issuer.waivers.is_empty() {
        let waivers = issuer.waivers.iter().map(|w| format!("{}:{}:{}", w.rule, w.owner, w.until_ms));
        details.push((DetailKey::Waivers, list(&waivers.collect::<Vec<_>>())));
    }
    if !fields.is_empty() {
        details.push((DetailKey::Fields, fields.join(",")));
    }
    details
}

impl Admin {
    /// Where issuers' secrets are kept, for whoever has the files in hand.
    fn secrets_dir(&self) -> AdminResult<&PathBuf> {
        let local = matches!(self.caller.actor, Actor::Local { .. });
        let dir = self.backend.issuers.secrets.as_ref().filter(|_| local);
        dir.ok_or_else(|| invalid("secret", "only on the store's machine, offline: it never goes over a wire"))
    }

    /// Whether the caller may say that an `iss` is several tenants'.
    fn sharing(&self) -> Sharing {
        if self.permit(Act::Govern).is_ok() { Sharing::Allowed } else { Sharing::Refused }
    }

    /// That an `iss` is no other tenant's, or may be shared. Asked after its provider was: who may not know is told what a
    /// provider that fails is told of, after the same work.
    fn check_others(permit: &Permit<'_>, tenant: &Tenant, iss: &str, sharing: Sharing) -> AdminResult<()> {
        let is_others = || -> AdminResult<bool> {
            Ok(permit.store().issuers().by_iss(iss)?.row.iter().any(|row| row.tenant != tenant.id))
        };
        if sharing == Sharing::Refused && is_others()? { Err(Self::others_iss(tenant)) } else { Ok(()) }
    }

    /// Only the log of this machine has the reason.
    fn others_iss(tenant: &Tenant) -> AdminError {
        tracing::info!(tenant = tenant.slug, "an issuer was refused: another tenant has its iss");
        AdminError::IssuerKeys(UNREACHABLE)
    }

    /// That the App and User that it names are the tenant's.
    fn check_named(permit: &Permit<'_>, tenant: &Tenant, identity: &Identity) -> AdminResult<()> {
        let (app, user) = identity.fixed();
        app.map_or(Ok(()), |app| permit.app(tenant, app).map(drop))?;
        user.map_or(Ok(()), |user| permit.user(tenant, user).map(drop))
    }

    /// A row of a tenant.
    fn issuer_row(permit: &Permit<'_>, tenant: &Tenant, id: IssuerId) -> AdminResult<Issuer> {
        permit.store().issuers().by_id(tenant.id, id)?.ok_or_else(|| not_found("issuer", &id, tenant))
    }

    /// What the store says against a row, in the caller's terms.
    fn issuer_error(tenant: &Tenant, issuer: &Issuer, error: StoreError) -> AdminError {
        let (app, user) = issuer.identity.fixed();
        match (error, app, user) {
            (StoreError::Missing { what: "App" }, Some(app), _) => not_found("App", &app, tenant),
            (StoreError::Missing { what: "User" }, _, Some(user)) => not_found("User", &user, tenant),
            (StoreError::Exists { what: OTHERS_ISS }, ..) => Self::others_iss(tenant),
            // Whose it is is not said.
            (StoreError::Exists { what: "issuer" }, ..) => {
                AdminError::Exists { what: "an issuer with this iss and", name: "one of these audiences".to_owned() }
            }
            (StoreError::Full { .. }, ..) => invalid("iss", "there are as many issuers as there may be: remove one"),
            (other, ..) => other.into(),
        }
    }

    /// Keeps keys that were just fetched, for when they cannot be. What fails is no harm.
    fn keep(&self, permit: &Permit<'_>, key: &SubjectKey, issuer: &Issuer, found: &Found) {
        let (Found::Known { fetched: Some(jwks), .. }, KeySource::Url(url)) = (found, &issuer.keys) else { return };
        let fetched_at_ms = self.now_ms();
        let mac = key.keys_mac(issuer.id, url, jwks, fetched_at_ms);
        let kept = KeptKeys { jwks: jwks.clone(), fetched_at_ms, mac };
        if let Err(error) = permit.store().issuers().keep_keys(issuer.id, &kept) {
            tracing::warn!(%error, issuer_id = %issuer.id, "an issuer's keys could not be kept");
        }
    }

    /// Trusts an issuer. Fetches its discovery document and keys where they are to be fetched: blocks for as long.
    ///
    /// # Errors
    /// When the caller may not, the linter refuses it, somebody has the issuer with one of its audiences, the tenant is
    /// suspended or has no such App or User, the key of subject hashes cannot be used, or a value does not fit.
    pub fn add_issuer(&self, tenant: &str, new: &NewIssuer) -> AdminResult<JudgedIssuer> {
        let permit = self.permit(Act::Trust)?;
        if !matches!(new.keys, NewKeys::Discover) || !new.waivers.is_empty() {
            self.permit(Act::Govern)?;
        }
        let tenant = permit.tenant(tenant)?;
        let id = IssuerId::random(self.backend.entropy.as_ref())?;
        let mut row = Issuer {
            id,
            tenant: tenant.id,
            rules: new.rules.clone(),
            keys: KeySource::Url(String::new()),
            identity: new.identity.clone(),
            scope_claim: new.scope_claim.clone(),
            strict: new.strict,
            waivers: new.waivers.clone(),
            active: true,
            created_by: self.caller.actor.to_text(),
            created_at_ms: self.now_ms(),
            generation: self.generation()?,
            mac: [0; 32],
        };
        values::check(&row, None, self.now_ms())?;
        let key = self.subject_key(&permit)?;
        // Before anything is fetched.
        drop(permit.once("CreateIssuer", Some(tenant.id))?);
        if tenant.status == TenantStatus::Suspended {
            return Err(AdminError::Suspended(tenant.slug.clone()));
        }
        Self::check_named(&permit, &tenant, &row.identity)?;
        let found;
        (row.keys, found) = self.resolve(&row, &new.keys, &key)?;
        let sharing = self.sharing();
        Self::check_others(&permit, &tenant, &row.rules.iss, sharing)?;
        values::check_keys(&row.keys)?;
        if new.require_keys {
            found.required()?;
        }
        let neighbours = Neighbourhood::of_new(permit.store(), tenant.id)?;
        let findings = self.lint(&row, &found, &neighbours);
        if lint::refuses(&findings) {
            return Err(AdminError::Policy(findings));
        }
        if let NewKeys::Secret(secret) = &new.keys {
            let kept = issuer_secret::create(self.secrets_dir()?, id, secret);
            kept.map_err(|error| AdminError::IssuerSecret(error.to_string()))?;
        }
        row.mac = key.issuer_mac(&row);
        let added = retrying(|| {
            let claim = permit.once("CreateIssuer", Some(tenant.id))?;
            let event = self.event(Action::IssuerAdded, Subject::Issuer(id), Some(tenant.id), details(&row, &[]));
            let added = permit.store().issuers().add(&row, sharing, record(event, claim, &id));
            added.map_err(|error| Self::issuer_error(&tenant, &row, error))
        });
        if let Err(error) = added {
            self.drop_secret(&row);
            return Err(error);
        }
        self.keep(&permit, &key, &row, &found);
        Ok(JudgedIssuer { issuer: row, state: IssuerState::Active, findings })
    }

    /// Removes the secret of an issuer that is not there.
    fn drop_secret(&self, issuer: &Issuer) {
        let (KeySource::Secret(_), Some(dir)) = (&issuer.keys, &self.backend.issuers.secrets) else { return };
        if let Err(error) = issuer_secret::remove(dir, issuer.id) {
            tracing::error!(%error, issuer_id = %issuer.id, "the secret of an issuer that is gone is still there: remove it");
        }
    }

    /// An issuer of a tenant.
    ///
    /// # Errors
    /// When the tenant has no such issuer.
    pub fn issuer(&self, tenant: &str, id: IssuerId) -> AdminResult<JudgedIssuer> {
        let permit = self.permit(Act::Read)?;
        let tenant = permit.tenant(tenant)?;
        let judged = self.judged_issuers(&permit, vec![Self::issuer_row(&permit, &tenant, id)?])?;
        judged.into_iter().next().ok_or_else(|| not_found("issuer", &id, &tenant))
    }

    /// Issuers of a tenant, oldest first.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn list_issuers(
        &self,
        tenant: &str,
        page: Page<IssuerPlace>,
    ) -> AdminResult<Listed<JudgedIssuer, IssuerPlace>> {
        let permit = self.permit(Act::Read)?;
        let tenant = permit.tenant(tenant)?;
        let weight = |row: &Issuer| {
            let keys = if let KeySource::Keys(jwks) = &row.keys { jwks.len() } else { 0 };
            4_096 + row.rules.iss.len() + keys
        };
        let key = |row: &Issuer| (row.created_at_ms, row.id);
        let listed = collect(page, |page| permit.store().issuers().list(tenant.id, page), key, |_| Ok(true), weight)?;
        Ok(Listed { rows: self.judged_issuers(&permit, listed.rows)?, next: listed.next })
    }

    /// An issuer that is to be removed, or switched off or on.
    ///
    /// # Errors
    /// When the caller may not, or there is none that is theirs.
    pub fn may_switch_issuer(&self, tenant: &str, id: IssuerId) -> AdminResult<Subject> {
        let permit = self.permit(Act::Trust)?;
        Self::issuer_row(&permit, &permit.tenant(tenant)?, id).map(|row| Subject::Issuer(row.id))
    }

    /// Removes an issuer, at once and for good; also one that somebody else wrote, and without the key.
    ///
    /// # Errors
    /// When the tenant has no such issuer.
    pub fn remove_issuer(&self, tenant: &str, id: IssuerId) -> AdminResult<()> {
        let permit = self.permit(Act::Trust)?;
        let tenant = permit.tenant(tenant)?;
        let row = Self::issuer_row(&permit, &tenant, id)?;
        let details = vec![(DetailKey::Issuer, row.rules.iss.clone())];
        let event = self.event(Action::IssuerRemoved, Subject::Issuer(id), Some(tenant.id), details);
        match permit.store().issuers().remove(tenant.id, id, event) {
            Err(StoreError::Missing { .. }) => return Err(not_found("issuer", &id, &tenant)),
            other => other?,
        }
        self.drop_secret(&row);
        Ok(())
    }
}
