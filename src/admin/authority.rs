//! Who calls, and what they may: the one way to the store.
//!
//! The store is private to this file. A use case gets at it only through a `Permit`, which it gets only by naming what
//! it is about to do: a use case that forgets to ask does not compile. Whether a caller may do a thing is asked before
//! whether the thing is there, so that nobody learns what exists from a refusal; and everything of a tenant that the
//! caller is not bound to reads as not found (rules R3 and R18).

mod doors;

use std::path::PathBuf;
use std::sync::Arc;

use crate::admin::issuers::IssuerSettings;
use crate::admin::{Admin, AdminError, AdminResult, Decisions, PortalRules, TokenRules, TrailKeys, not_found};
use crate::clock::{Clock, Entropy};
use crate::directory::Directory;
use crate::directory::local::LocalDirectory;
use crate::domain::event::Actor;
use crate::domain::{App, AppId, Credential, CredentialId, LlmGrants, Operator, Role, Tenant, TenantId, User, UserId};
use crate::store::{Once, RequestKey, Store, StoreResult};
use crate::verify::Hasher;
use crate::verify::keyring::Keyring;

/// What a caller may see and change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Every tenant, and what belongs to none.
    All,
    /// These tenants.
    Tenants(Vec<TenantId>),
}

/// Who calls: an identity that was proven, never one that was claimed.
#[derive(Clone, Debug)]
pub struct Caller {
    /// As the trail names them.
    pub actor: Actor,
    /// What they may do.
    pub role: Role,
    /// For which tenants.
    pub scope: Scope,
    /// Only what is this User's own: callers from the portal.
    pub own: Option<UserId>,
    /// Ties what they do to their request; empty for none.
    pub request_id: String,
    /// SHA-256 of what they ask, so that a create with a request id happens once.
    pub request_hash: [u8; 32],
    /// From where they ask, as the trail has it; empty where nobody asks.
    pub source: String,
}

impl Caller {
    /// Somebody who may do everything.
    pub fn unbound_owner(actor: Actor) -> Self {
        Self::new(actor, Role::Owner, Scope::All)
    }

    /// With this role, for these tenants.
    pub fn new(actor: Actor, role: Role, scope: Scope) -> Self {
        let (request_id, source) = (String::new(), String::new());
        Self { actor, role, scope, own: None, request_id, request_hash: [0; 32], source }
    }

    /// The same, who asks from there.
    #[must_use]
    pub fn from_there(self, source: impl Into<String>) -> Self {
        Self { source: source.into(), ..self }
    }

    /// An operator who proved who they are.
    pub fn operator(operator: &Operator) -> Self {
        let actor = Actor::Operator(crate::domain::OperatorId::from_bytes(*operator.id.as_bytes()));
        let bound = !operator.tenants.is_empty();
        let scope = if bound { Scope::Tenants(operator.tenants.clone()) } else { Scope::All };
        Self::new(actor, operator.role, scope)
    }

    fn may(&self, act: Act) -> bool {
        let unbound = self.scope == Scope::All && self.own.is_none();
        match act {
            Act::ReadKeys => true,
            Act::Read => self.own.is_none(),
            Act::ReadAll => unbound,
            Act::Issue => matches!(self.role, Role::Owner | Role::Issuer),
            Act::Try | Act::Change | Act::Link => self.own.is_none() && matches!(self.role, Role::Owner | Role::Issuer),
            Act::Manage | Act::Trust => self.role == Role::Owner && self.own.is_none(),
            Act::Govern => self.role == Role::Owner && unbound,
        }
    }
}

/// What is about to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// Read Apps and credentials.
    ReadKeys,
    /// Read tenants, Users, operators and the trail, as far as they are the caller's.
    Read,
    /// Read what concerns all tenants at once.
    ReadAll,
    /// Try credentials: says whether a guess was right.
    Try,
    /// Issue, rotate and revoke credentials.
    Issue,
    /// Change what a credential is bound to; issue tokens of it, and take them back.
    Change,
    /// Say for which App and User an outside identity stands.
    Link,
    /// Change Apps and Users that a tenant has.
    Manage,
    /// Say whose tokens a tenant takes.
    Trust,
    /// Everything else: tenants, which tenant has which of the host's Apps and Users, imports, operators, peppers, the
    /// trail's end. What is unique in the whole store is here, so that nobody bound to a tenant learns what others have.
    Govern,
}

impl Act {
    /// Who may, in words.
    pub const fn needs(self) -> &'static str {
        match self {
            Self::ReadKeys => "any operator",
            Self::Read => "an operator",
            Self::ReadAll => "an operator who is bound to no tenant",
            Self::Try | Self::Issue | Self::Change | Self::Link => "the role issuer or owner",
            Self::Manage | Self::Trust => "the role owner",
            Self::Govern => "the role owner, bound to no tenant",
        }
    }
}

/// What the use cases work with, whoever calls.
#[derive(Clone)]
pub struct Backend {
    store: Arc<dyn Store>,
    pub(super) keyring: Arc<Keyring>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    /// As in `auth.llm_grants`: what explanations are judged by.
    pub(super) llm_grants: LlmGrants,
    /// How much of the trail must stay, in milliseconds back from now.
    pub(super) retention_ms: i64,
    /// What people may make for themselves.
    pub(super) portal_rules: PortalRules,
    pub(super) trail_keys: Option<Arc<dyn TrailKeys>>,
    /// The file of the key of subject hashes.
    pub(super) subject_key: Option<PathBuf>,
    pub(super) tokens: Option<Arc<TokenRules>>,
    pub(super) issuers: IssuerSettings,
    pub(super) decisions: Option<Arc<dyn Decisions>>,
    pub(super) hasher: Hasher,
    /// Whom the checklist asks for Apps and Users: whoever requests ask.
    pub(super) directory: Arc<dyn Directory>,
    /// The version of the store's schema, for reports.
    pub(super) schema_version: u32,
}

impl Backend {
    /// Works on this store.
    pub fn new(
        store: Arc<dyn Store>,
        keyring: Arc<Keyring>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        llm_grants: LlmGrants,
    ) -> Self {
        let directory = Arc::new(LocalDirectory::new(Arc::clone(&store)));
        Self {
            store,
            keyring,
            clock,
            entropy,
            llm_grants,
            retention_ms: 0,
            portal_rules: PortalRules::default(),
            trail_keys: None,
            subject_key: None,
            tokens: None,
            issuers: IssuerSettings::default(),
            decisions: None,
            hasher: Hasher::Here,
            directory,
            schema_version: 0,
        }
    }

    /// Gives up no event that is younger.
    #[must_use]
    pub fn with_retention(self, retention: std::time::Duration) -> Self {
        let retention_ms = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
        Self { retention_ms, ..self }
    }

    /// Hashes fresh secrets there.
    #[must_use]
    pub fn with_hasher(self, hasher: Hasher) -> Self {
        Self { hasher, ..self }
    }

    /// Bounds what people make for themselves in the portal.
    #[must_use]
    pub fn with_portal_rules(self, portal_rules: PortalRules) -> Self {
        Self { portal_rules, ..self }
    }

    /// Signs the trail with these keys.
    #[must_use]
    pub fn with_trail_keys(self, keys: Arc<dyn TrailKeys>) -> Self {
        Self { trail_keys: Some(keys), ..self }
    }

    /// Computes subject hashes with the key in this file.
    #[must_use]
    pub fn with_subject_key(self, path: PathBuf) -> Self {
        Self { subject_key: Some(path), ..self }
    }

    /// Reads decisions there.
    #[must_use]
    pub fn with_decisions(self, decisions: Arc<dyn Decisions>) -> Self {
        Self { decisions: Some(decisions), ..self }
    }

    /// The use cases, for one caller.
    pub fn admin(&self, caller: Caller) -> Admin {
        Admin { backend: self.clone(), caller }
    }
}

/// That the caller may do what was named, and the store to do it on.
pub(super) struct Permit<'a> {
    store: &'a dyn Store,
    caller: &'a Caller,
}

impl Admin {
    /// Asks whether the caller may.
    ///
    /// # Errors
    /// When they may not.
    pub(super) fn permit(&self, act: Act) -> AdminResult<Permit<'_>> {
        if self.caller.may(act) {
            Ok(Permit { store: self.backend.store.as_ref(), caller: &self.caller })
        } else {
            Err(AdminError::Forbidden { needs: act.needs() })
        }
    }

    /// Who this acts for.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// That they may read at all.
    ///
    /// # Errors
    /// When they may not.
    pub fn may_read(&self) -> AdminResult<()> {
        self.permit(Act::Read).map(drop)
    }

    /// That they may try credentials of any tenant.
    ///
    /// # Errors
    /// When they may not.
    pub fn may_test(&self) -> AdminResult<()> {
        self.permit(Act::ReadAll)?;
        self.permit(Act::Try).map(drop)
    }

    /// Whether the caller is bound to tenants.
    pub(super) fn is_bound(&self) -> bool {
        !self.caller.may(Act::ReadAll)
    }

    /// That an operator is still who they were when the call began: for calls that last.
    ///
    /// # Errors
    /// When their token was taken back meanwhile.
    pub fn still_in_force(&self) -> AdminResult<()> {
        let permit = self.permit(Act::Read)?;
        let Actor::Operator(id) = self.caller.actor else { return Ok(()) };
        let row = permit.store.operators().look_up(CredentialId::from_bytes(*id.as_bytes()))?;
        match row {
            Some(row) if row.revoked_at_ms.is_none() => Ok(()),
            _ => Err(AdminError::Forbidden { needs: Act::Read.needs() }),
        }
    }
}

impl<'a> Permit<'a> {
    /// The store. What is read by id from it must pass one of the look-ups below first.
    pub(super) fn store(&self) -> &'a dyn Store {
        self.store
    }

    pub(super) fn caller(&self) -> &'a Caller {
        self.caller
    }

    /// Whether what belongs to this tenant, or to none, is the caller's.
    pub(super) fn covers(&self, tenant: Option<TenantId>) -> bool {
        match (&self.caller.scope, tenant) {
            (Scope::All, _) => true,
            (Scope::Tenants(tenants), Some(tenant)) => tenants.contains(&tenant),
            (Scope::Tenants(_), None) => false,
        }
    }

    /// The tenant of that slug.
    pub(super) fn tenant(&self, slug: &str) -> AdminResult<Tenant> {
        let found = self.store.tenants().by_slug(slug)?.filter(|tenant| self.covers(Some(tenant.id)));
        found.ok_or_else(|| AdminError::NotFound { what: "tenant", name: slug.to_owned(), place: String::new() })
    }

    /// The App of a tenant that the caller has.
    pub(super) fn app(&self, tenant: &Tenant, id: AppId) -> AdminResult<App> {
        let found = self.store.apps().by_id(tenant.id, id)?.filter(|app| self.owns(app));
        found.ok_or_else(|| not_found("App", &id, tenant))
    }

    /// Whether an App of a tenant that is the caller's is theirs.
    pub(super) fn owns(&self, app: &App) -> bool {
        self.caller.own.is_none_or(|user| app.owner == Some(user))
    }

    /// The User of a tenant that the caller has.
    pub(super) fn user(&self, tenant: &Tenant, id: UserId) -> AdminResult<User> {
        let mine = |user: &User| self.caller.own.is_none_or(|own| user.id == own);
        let found = self.store.users().by_id(tenant.id, id)?.filter(mine);
        found.ok_or_else(|| not_found("User", &id, tenant))
    }

    /// The credential of that id.
    pub(super) fn credential(&self, id: CredentialId) -> AdminResult<Credential> {
        let found = match self.store.credentials().look_up(id)?.row {
            Some(row) if self.may_see(&row)? => Some(row),
            _ => None,
        };
        found.ok_or_else(|| AdminError::NotFound { what: "credential", name: id.to_string(), place: String::new() })
    }

    /// Whether a credential is the caller's: of their tenants, and from the portal of their own Apps and acting for them.
    pub(super) fn may_see(&self, row: &Credential) -> StoreResult<bool> {
        if !self.covers(Some(row.tenant)) {
            return Ok(false);
        }
        let Some(own) = self.caller.own else { return Ok(true) };
        if row.user != own || row.decoy {
            return Ok(false);
        }
        let app = self.store.apps().by_id(row.tenant, row.app)?;
        Ok(app.is_some_and(|app| self.owns(&app)))
    }

    /// That a create was asked for, to be written with it; none where it has no request id. A create that happened before
    /// is the error [`AdminError::Replayed`]; the same id for something else is [`AdminError::RequestReused`].
    pub(super) fn once(&self, method: &'static str, tenant: Option<TenantId>) -> AdminResult<Claim> {
        self.once_as(method, tenant, self.caller.request_hash)
    }

    /// The same, where another hash stands for the request.
    pub(super) fn once_as(
        &self,
        method: &'static str,
        tenant: Option<TenantId>,
        request_hash: [u8; 32],
    ) -> AdminResult<Claim> {
        let Caller { actor, request_id, .. } = self.caller;
        if request_id.is_empty() {
            return Ok(Claim(None));
        }
        let actor = actor.to_text();
        match self.store.requests().find(&RequestKey { actor: &actor, tenant, method, request_id })? {
            Some((hash, resource)) if hash == request_hash => Err(AdminError::Replayed { resource }),
            Some(_) => Err(AdminError::RequestReused { request_id: request_id.clone() }),
            None => Ok(Claim(Some(Once { tenant, method, hash: request_hash, resource: String::new() }))),
        }
    }
}

/// A request id that was not used before.
pub(super) struct Claim(Option<Once>);

impl Claim {
    /// For what was made.
    pub(super) fn of(self, resource: &impl ToString) -> Option<Once> {
        self.0.map(|once| Once { resource: resource.to_string(), ..once })
    }
}
