//! Gateway credentials: issue, list, show, revoke. [`super::lifecycle`] has what happens to them in between.

use ipnet::IpNet;

use crate::admin::authority::{Act, Permit};
use crate::admin::limits::{self, invalid};
use crate::admin::own::full;
use crate::admin::{Admin, AdminError, AdminResult, record, retrying};
use crate::domain::credential::{CredentialKind, RevocationReason};
use crate::domain::event::DetailKey;
use crate::domain::{
    Action, AppId, Credential, CredentialId, Environment, Status, Subject, Tenant, TenantStatus, UserId, key_format,
};
use crate::secret::{ApiKeyText, Secret};
use crate::store::{Record, StoreError};
use crate::verify::argon::{self, Cost};

/// A credential to be issued.
#[derive(Clone, Debug)]
pub struct IssueRequest {
    /// The App it acts as.
    pub app: AppId,
    /// The User it acts for.
    pub user: UserId,
    /// A name for people.
    pub label: String,
    /// Live or test.
    pub environment: Environment,
    /// What the gateway is told it may do.
    pub scopes: Vec<String>,
    /// The addresses it may be used from; empty means any.
    pub cidrs: Vec<IpNet>,
    /// First valid moment, milliseconds since the epoch.
    pub not_before_ms: Option<i64>,
    /// First invalid moment, milliseconds since the epoch.
    pub expires_at_ms: Option<i64>,
    /// A honey key: refused like any other bad key, and an alarm when it is used.
    pub decoy: bool,
    /// How expensive its stored hash is; at least OWASP's floor.
    pub cost: Cost,
}

/// A fresh credential, with its text this once.
pub struct Issued {
    /// The record.
    pub credential: Credential,
    /// The text, to be shown once. No `Debug` on this type, because of this field.
    pub key: Secret<ApiKeyText>,
}

/// Which credentials to list. Nothing given is all of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct KeyFilter {
    /// That act as this App.
    pub app: Option<AppId>,
    /// That act for this User.
    pub user: Option<UserId>,
    /// Only those in force that cost a slow hash at first use.
    pub weak: bool,
}

impl KeyFilter {
    /// Whether it is one of them at that time.
    pub fn wants(&self, key: &Credential, now_ms: i64) -> bool {
        let weak = || key.verifier.tag.is_none() && key.check_validity(now_ms).is_ok();
        self.app.is_none_or(|app| key.app == app)
            && self.user.is_none_or(|user| key.user == user)
            && (!self.weak || weak())
    }
}

/// What revoking came to.
#[derive(Clone, Debug)]
pub struct Revoked {
    /// The record as it is now.
    pub credential: Credential,
    /// Whether it was revoked before; then nothing was changed.
    pub already: bool,
}

impl IssueRequest {
    fn check(&self, now_ms: i64) -> AdminResult<()> {
        limits::text("label", &self.label, limits::MAX_NAME)?;
        limits::scopes(&self.scopes)?;
        limits::cidrs(&self.cidrs)?;
        limits::times(self.not_before_ms, self.expires_at_ms, now_ms)?;
        let floor = argon::DEFAULT_COST;
        if self.cost.memory_kib < floor.memory_kib || self.cost.passes < floor.passes || self.cost.lanes == 0 {
            return Err(invalid("argon2", format!("at least m={},t={},p=1", floor.memory_kib, floor.passes)));
        }
        Ok(())
    }
}

impl Admin {
    /// Issues a key. Takes the milliseconds of one Argon2id hash: not for an async thread.
    ///
    /// # Errors
    /// When the tenant is suspended, has no such App or User, or a value does not fit.
    pub fn issue_key(&self, tenant: &str, request: &IssueRequest) -> AdminResult<Issued> {
        let permit = self.permit(Act::Issue)?;
        let (tenant, rules) = (permit.tenant(tenant)?, &self.backend.portal_rules);
        retrying(|| {
            let claim = permit.once("IssueCredential", Some(tenant.id))?;
            let (request, room) = permit.bound(rules, request, true, self.now_ms())?;
            let issued = self.mint(&permit, &tenant, &request, None)?;
            let credential = &issued.credential;
            let mut details = vec![
                (DetailKey::App, credential.app.to_string()),
                (DetailKey::User, credential.user.to_string()),
                (DetailKey::Environment, credential.environment.as_str().to_owned()),
                (DetailKey::Name, credential.label.clone()),
            ];
            details.extend(credential.expires_at_ms.map(|end| (DetailKey::ExpiresAt, end.to_string())));
            details.extend(credential.decoy.then(|| (DetailKey::Decoy, "true".to_owned())));
            let subject = Subject::Credential(credential.id);
            let event = self.event(Action::CredentialIssued, subject, Some(tenant.id), details);
            let record = Record { room, ..record(event, claim, &credential.id) };
            let stored = permit.store().credentials().issue(credential, record);
            stored.map_err(|error| full(owner_gone(error, credential, &tenant), rules))?;
            Ok(issued)
        })
    }

    /// A checked request as a record and its key, not yet in the store.
    pub(super) fn mint(
        &self,
        permit: &Permit<'_>,
        tenant: &Tenant,
        request: &IssueRequest,
        replaces: Option<CredentialId>,
    ) -> AdminResult<Issued> {
        let now_ms = self.now_ms();
        request.check(now_ms)?;
        if tenant.status == TenantStatus::Suspended {
            return Err(AdminError::Suspended(tenant.slug.clone()));
        }
        permit.app(tenant, request.app)?;
        permit.user(tenant, request.user)?;
        let id = CredentialId::random(self.backend.entropy.as_ref())?;
        let minted =
            key_format::mint(&tenant.key_prefix, Some(request.environment), id, self.backend.entropy.as_ref())?;
        let verifier = self.verifier(CredentialKind::ApiKey, tenant.id, id, minted.body(), request.cost)?;
        let mut credential = Credential {
            id,
            tenant: tenant.id,
            app: request.app,
            user: request.user,
            label: request.label.clone(),
            environment: request.environment,
            scopes: request.scopes.clone(),
            cidrs: request.cidrs.clone(),
            not_before_ms: request.not_before_ms,
            expires_at_ms: request.expires_at_ms,
            status: Status::Active,
            replaces,
            replaced: None,
            decoy: request.decoy,
            verifier,
            generation: self.generation()?,
            row_mac: [0; 32],
            created_by: self.caller.actor.to_text(),
            created_at_ms: now_ms,
            last_used_at_ms: None,
        };
        self.backend.keyring.ring().seal(&mut credential);
        Ok(Issued { credential, key: minted.text })
    }

    /// A credential, by its public id.
    ///
    /// # Errors
    /// When there is none that is the caller's.
    pub fn key(&self, id: CredentialId) -> AdminResult<Credential> {
        self.permit(Act::ReadKeys)?.credential(id)
    }

    /// A credential that is to be changed: a new MAC must never be put over what somebody else wrote (rule R4). Such a
    /// row stays refused as it is.
    pub(super) fn genuine_key(&self, permit: &Permit<'_>, id: CredentialId) -> AdminResult<Credential> {
        let credential = permit.credential(id)?;
        match self.backend.keyring.ring().is_genuine(&credential) {
            Some(true) => Ok(credential),
            Some(false) => Err(AdminError::Forged(id.to_string())),
            None => Err(AdminError::PepperMissing(id.to_string())),
        }
    }

    /// A credential whose pepper was declared lost, to be sealed under the current one.
    fn without_seal(&self, permit: &Permit<'_>, id: CredentialId) -> AdminResult<Credential> {
        let mut credential = permit.credential(id)?;
        let ring = self.backend.keyring.ring();
        if !ring.is_lost(credential.verifier.pepper) {
            return Err(AdminError::PepperMissing(id.to_string()));
        }
        credential.verifier.tag = None;
        credential.verifier.pepper = ring.current().fingerprint();
        Ok(credential)
    }

    /// The slug of the tenant that a credential belongs to.
    ///
    /// # Errors
    /// When the store fails.
    pub fn tenant_of(&self, credential: &Credential) -> AdminResult<String> {
        self.slug_of(credential.tenant)
    }

    /// Takes a credential back, at once and for good. A second time is fine and changes nothing: the first time and
    /// reason stand.
    ///
    /// # Errors
    /// When there is none, or its row is forged.
    pub fn revoke_key(&self, id: CredentialId, reason: RevocationReason) -> AdminResult<Revoked> {
        let permit = self.permit(Act::Issue)?;
        retrying(|| {
            let mut credential = match self.genuine_key(&permit, id) {
                // Taking back must be possible whatever was lost: the row is sealed under the current pepper, and as it
                // is revoked nothing rests on what else it says.
                Err(AdminError::PepperMissing(_)) => self.without_seal(&permit, id)?,
                other => other?,
            };
            if matches!(credential.status, Status::Revoked { .. }) {
                return Ok(Revoked { credential, already: true });
            }
            let expected = credential.generation;
            credential.status = Status::Revoked { at_ms: self.now_ms(), reason };
            credential.generation = self.generation()?;
            self.backend.keyring.ring().seal(&mut credential);
            let details = vec![(DetailKey::Reason, reason.as_str().to_owned())];
            let subject = Subject::Credential(id);
            let event = self.event(Action::CredentialRevoked, subject, Some(credential.tenant), details);
            permit.store().credentials().update(&credential, expected, event)?;
            Ok(Revoked { credential, already: false })
        })
    }
}

/// Removed between the look before and the commit.
pub(super) fn owner_gone(error: StoreError, credential: &Credential, tenant: &Tenant) -> AdminError {
    match error {
        StoreError::Missing { what: "App" } => super::not_found("App", &credential.app, tenant),
        StoreError::Missing { what: "User" } => super::not_found("User", &credential.user, tenant),
        error => error.into(),
    }
}
