//! Links: which App and User an identity of an outside issuer stands for. What adds one gives that identity the rights of the
//! App, and so needs what issuing a credential needs.
//!
//! The subject is used here to compute its hash, and goes nowhere else: not into the store, the trail, the log or an error.

use crate::admin::authority::{Act, Permit};
use crate::admin::limits::{self, invalid};
use crate::admin::pages::{Listed, collect};
use crate::admin::{Admin, AdminError, AdminResult, not_found, record, retrying};
use crate::domain::event::DetailKey;
use crate::domain::{Action, AppId, Link, LinkId, Subject, SubjectHash, SubjectKeyFingerprint, TenantStatus, UserId};
use crate::store::{LinkPlace, Page, StoreError};
use crate::verify::subject::{SubjectKey, SubjectKeyError};

/// A link to be added. No `Debug`, because of its subject.
pub struct NewLink {
    /// The issuer, by the exact text of `iss`.
    pub issuer: String,
    /// Who there, by the exact text of `sub`.
    pub subject: String,
    /// The App it is to act as.
    pub app: AppId,
    /// The User it is to act for.
    pub user: UserId,
}

/// Which links to list. Nothing given is all of them. No `Debug`, because of its subject.
#[derive(Clone, Default)]
pub struct LinkFilter {
    /// Of this issuer.
    pub issuer: Option<String>,
    /// About this subject of the issuer: one, or none.
    pub subject: Option<String>,
}

/// What a row is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkState {
    /// It is as who holds the key wrote it.
    Genuine,
    /// Somebody without the key wrote it: it stands for nobody (rule R4).
    Forged,
    /// The key of subject hashes is not here to tell.
    KeyMissing,
}

impl LinkState {
    /// Its name, as shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Genuine => "active",
            Self::Forged => "row_forged",
            Self::KeyMissing => "key_missing",
        }
    }
}

/// A link, and what its row is worth.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JudgedLink {
    /// As it is stored.
    pub link: Link,
    /// What that is worth.
    pub state: LinkState,
}

/// The text of an issuer or a subject: compared as it stands, so that nothing of it is mended.
fn exact(field: &'static str, value: &str) -> AdminResult<()> {
    if value.is_empty() {
        return Err(invalid(field, "must not be empty"));
    }
    limits::text(field, value, limits::MAX_CLAIM)
}

/// What a caller is told of a key that cannot be used: not where it is, for they may be a tenant's alone. That is in the log.
const fn told(error: &SubjectKeyError) -> &'static str {
    match error {
        SubjectKeyError::Unmade => {
            "this store has no key of subject hashes yet: `latchkey migrate up` on its machine makes one"
        }
        SubjectKeyError::Missing { .. } => {
            "the key of subject hashes is missing: put it back on the store's machine, `latchkey doctor` there says where"
        }
        SubjectKeyError::Wrong { .. } => {
            "the key of subject hashes is not the one of this store: put the right one back, `latchkey doctor` there says more"
        }
        SubjectKeyError::Malformed { .. } | SubjectKeyError::File(_) => {
            "the key of subject hashes cannot be read: `latchkey doctor` on the store's machine says why"
        }
    }
}

impl Admin {
    /// The key that the store's links, issuers and tokens are under.
    pub(super) fn subject_key(&self, permit: &Permit<'_>) -> AdminResult<SubjectKey> {
        let known = permit.store().links().key()?;
        let path = self.backend.subject_key.as_deref().ok_or(AdminError::SubjectKey(told(&SubjectKeyError::Unmade)))?;
        SubjectKey::load_known(path, known).map_err(|error| {
            tracing::warn!(%error, "links and issuers cannot be added, found or believed");
            AdminError::SubjectKey(told(&error))
        })
    }

    /// The same, where only what rows are worth depends on it.
    pub(super) fn subject_key_if_there(&self, permit: &Permit<'_>) -> AdminResult<Option<SubjectKey>> {
        match self.subject_key(permit) {
            Ok(key) => Ok(Some(key)),
            Err(AdminError::SubjectKey(_)) => Ok(None),
            Err(other) => Err(other),
        }
    }

    fn judged(&self, permit: &Permit<'_>, links: Vec<Link>) -> AdminResult<Vec<JudgedLink>> {
        if links.is_empty() {
            return Ok(Vec::new());
        }
        let key = self.subject_key_if_there(permit)?;
        let judge = |link: Link| {
            let state = match key.as_ref().map(|key| key.is_genuine(&link)) {
                Some(true) => LinkState::Genuine,
                Some(false) => LinkState::Forged,
                None => LinkState::KeyMissing,
            };
            JudgedLink { link, state }
        };
        Ok(links.into_iter().map(judge).collect())
    }

    /// Links an identity of an issuer to an App and a User.
    ///
    /// # Errors
    /// When the tenant is suspended, has no such App or User or has a link for the identity, the key of subject hashes cannot
    /// be used, or a value does not fit.
    pub fn add_link(&self, tenant: &str, new: &NewLink) -> AdminResult<JudgedLink> {
        let permit = self.permit(Act::Link)?;
        let tenant = permit.tenant(tenant)?;
        exact("issuer", &new.issuer)?;
        exact("subject", &new.subject)?;
        let key = self.subject_key(&permit)?;
        let subject: SubjectHash = key.hash(tenant.id, &new.issuer, &new.subject);
        // The hash of the request has the subject in it, and whoever has the file could try names against it.
        let request_hash = key.request_hash(&self.caller.request_hash);
        retrying(|| {
            let claim = permit.once_as("CreateLink", Some(tenant.id), request_hash)?;
            if tenant.status == TenantStatus::Suspended {
                return Err(AdminError::Suspended(tenant.slug.clone()));
            }
            permit.app(&tenant, new.app)?;
            permit.user(&tenant, new.user)?;
            let mut link = Link {
                tenant: tenant.id,
                id: LinkId::random(self.backend.entropy.as_ref())?,
                issuer: new.issuer.clone(),
                subject,
                app: new.app,
                user: new.user,
                created_at_ms: self.now_ms(),
                generation: self.generation()?,
                mac: [0; 32],
            };
            link.mac = key.link_mac(&link);
            let details = vec![
                (DetailKey::App, link.app.to_string()),
                (DetailKey::User, link.user.to_string()),
                (DetailKey::Issuer, link.issuer.clone()),
            ];
            let event = self.event(Action::LinkAdded, Subject::Link(link.id), Some(tenant.id), details);
            match permit.store().links().add(&link, record(event, claim, &link.id)) {
                Ok(()) => Ok(JudgedLink { link, state: LinkState::Genuine }),
                Err(StoreError::Missing { what: "App" }) => Err(not_found("App", &new.app, &tenant)),
                Err(StoreError::Missing { what: "User" }) => Err(not_found("User", &new.user, &tenant)),
                Err(StoreError::Exists { what: "link" }) => {
                    let other = permit.store().links().find(tenant.id, &new.issuer, subject)?;
                    let name = other.map(|other| other.id.to_string()).unwrap_or_default();
                    Err(AdminError::Exists { what: "link", name })
                }
                Err(error) => Err(error.into()),
            }
        })
    }

    /// A link of a tenant.
    ///
    /// # Errors
    /// When the tenant has no such link.
    pub fn link(&self, tenant: &str, id: LinkId) -> AdminResult<JudgedLink> {
        let permit = self.permit(Act::Read)?;
        let tenant = permit.tenant(tenant)?;
        let found = permit.store().links().by_id(tenant.id, id)?;
        let judged = self.judged(&permit, found.into_iter().collect())?;
        judged.into_iter().next().ok_or_else(|| not_found("link", &id, &tenant))
    }

    /// Links of a tenant that fit, oldest first.
    ///
    /// # Errors
    /// When there is no such tenant, or a subject is to be found and the key of subject hashes cannot be used.
    pub fn list_links(
        &self,
        tenant: &str,
        filter: &LinkFilter,
        page: Page<LinkPlace>,
    ) -> AdminResult<Listed<JudgedLink, LinkPlace>> {
        let permit = self.permit(Act::Read)?;
        let tenant = permit.tenant(tenant)?;
        let links = permit.store().links();
        let issuer = filter.issuer.as_deref();
        if let Some(subject) = &filter.subject {
            let issuer = issuer.ok_or_else(|| invalid("issuer", "must be given beside a subject"))?;
            let hash = self.subject_key(&permit)?.hash(tenant.id, issuer, subject);
            let found = links.find(tenant.id, issuer, hash)?;
            return Ok(Listed { rows: self.judged(&permit, found.into_iter().collect())?, next: None });
        }
        let weight = |row: &Link| 256 + row.issuer.len();
        let key = |row: &Link| (row.created_at_ms, row.id);
        let listed = collect(page, |page| links.list(tenant.id, issuer, page), key, |_| Ok(true), weight)?;
        Ok(Listed { rows: self.judged(&permit, listed.rows)?, next: listed.next })
    }

    /// A link that is to be removed.
    ///
    /// # Errors
    /// When the caller may not, or there is none that is theirs.
    pub fn may_remove_link(&self, tenant: &str, id: LinkId) -> AdminResult<Subject> {
        let permit = self.permit(Act::Link)?;
        let tenant = permit.tenant(tenant)?;
        let found = permit.store().links().by_id(tenant.id, id)?;
        found.map(|link| Subject::Link(link.id)).ok_or_else(|| not_found("link", &id, &tenant))
    }

    /// Removes a link, at once and for good; also one that somebody else wrote, and without the key.
    ///
    /// # Errors
    /// When the tenant has no such link.
    pub fn remove_link(&self, tenant: &str, id: LinkId) -> AdminResult<()> {
        let permit = self.permit(Act::Link)?;
        let tenant = permit.tenant(tenant)?;
        let event = self.event(Action::LinkRemoved, Subject::Link(id), Some(tenant.id), Vec::new());
        match permit.store().links().remove(tenant.id, id, event) {
            Err(StoreError::Missing { .. }) => Err(not_found("link", &id, &tenant)),
            other => Ok(other?),
        }
    }

    /// Makes the key of subject hashes known to the store.
    ///
    /// # Errors
    /// When there are links under another.
    pub fn set_subject_key(&self, key: SubjectKeyFingerprint) -> AdminResult<()> {
        let permit = self.permit(Act::Govern)?;
        let details = vec![(DetailKey::SubjectKeyFingerprint, key.to_string())];
        let event = self.event(Action::SubjectKeyAdded, Subject::SubjectKey, None, details);
        Ok(permit.store().links().set_key(key, event)?)
    }
}

#[cfg(test)]
#[path = "links_tests.rs"]
mod tests;
