//! What happens to a credential between its issue and its end: it is changed, or another takes its place.

use ipnet::IpNet;

use crate::admin::authority::Act;
use crate::admin::credentials::owner_gone;
use crate::admin::limits::{self, invalid};
use crate::admin::own::full;
use crate::admin::{Admin, AdminError, AdminResult, IssueRequest, Issued, check_etag, record, retrying, take};
use crate::domain::credential::Replaced;
use crate::domain::event::DetailKey;
use crate::domain::{Action, Credential, CredentialId, Generation, Status, Subject};
use crate::store::Record;
use crate::verify::argon::Cost;

/// The longest overlap of an old credential and the one that took its place.
pub const MAX_GRACE_MS: i64 = 365 * 24 * 3_600_000;

/// How a credential is to be replaced.
#[derive(Clone, Copy, Debug)]
pub struct RotateRequest {
    /// How long the old one is good beside the new one, in milliseconds; 0 ends it at once. It never extends the old
    /// one's own expiry.
    pub grace_ms: i64,
    /// When the new one expires; without it, the new one lives as long as the old one was made for.
    pub expires_at_ms: Option<i64>,
    /// How expensive the new one's stored hash is.
    pub cost: Cost,
    /// What was read of the old one before; none rotates it whatever it is.
    pub etag: Option<Generation>,
}

/// A new credential, and the old one as it is now.
pub struct Rotated {
    /// The new one, with its text this once.
    pub new: Issued,
    /// The old one.
    pub old: Credential,
}

/// What to change of a credential; what is none stays as it is.
#[derive(Clone, Debug, Default)]
pub struct KeyChanges {
    /// The name for people.
    pub label: Option<String>,
    /// What the gateway is told it may do.
    pub scopes: Option<Vec<String>>,
    /// The addresses it may be used from.
    pub cidrs: Option<Vec<IpNet>>,
    /// The first valid moment; none inside for no such bound.
    pub not_before_ms: Option<Option<i64>>,
    /// The first invalid moment; none inside for no such bound.
    pub expires_at_ms: Option<Option<i64>>,
    /// What was read of it before; none changes it whatever it is.
    pub etag: Option<Generation>,
}

fn ended(credential: &Credential, state: impl Into<String>) -> AdminError {
    AdminError::NotInForce { id: credential.id.to_string(), state: state.into() }
}

impl Admin {
    /// Puts a new key in the place of another, with all that the old one was bound to. Both rows are written in one
    /// transaction. Takes the milliseconds of one Argon2id hash: not for an async thread.
    ///
    /// # Errors
    /// When there is no such credential, or it is revoked, expired, replaced already or a honey key; when its tenant is
    /// suspended or its App or User gone.
    pub fn rotate_key(&self, id: CredentialId, request: RotateRequest) -> AdminResult<Rotated> {
        if !(0..=MAX_GRACE_MS).contains(&request.grace_ms) {
            return Err(invalid("grace", "at most 365 days"));
        }
        let (permit, rules) = (self.permit(Act::Issue)?, &self.backend.portal_rules);
        retrying(|| {
            let mut old = self.genuine_key(&permit, id)?;
            // Before anything else: of a rotation that happened, the old one is not as it was.
            let claim = permit.once("RotateCredential", Some(old.tenant))?;
            check_etag(request.etag, old.generation, "credential", &id)?;
            let now_ms = self.now_ms();
            match old.replaced {
                _ if matches!(old.status, Status::Revoked { .. }) => return Err(ended(&old, "is revoked for good")),
                _ if old.decoy => return Err(ended(&old, "is a honey key")),
                Some(replaced) => return Err(ended(&old, format!("was rotated before: rotate {}", replaced.by))),
                None if old.expires_at_ms.is_some_and(|end| end <= now_ms) => {
                    return Err(ended(&old, "has expired: issue a new one"));
                }
                None => {}
            }
            let tenant = permit.tenant(&self.tenant_of(&old)?)?;
            let (successor, asked) = (successor(&old, &request, now_ms), request.expires_at_ms.is_some());
            let (successor, room) = permit.bound(rules, &successor, asked, now_ms)?;
            let new = self.mint(&permit, &tenant, &successor, Some(old.id))?;
            let grace_until_ms = now_ms.saturating_add(request.grace_ms);
            let grace_until_ms = old.expires_at_ms.map_or(grace_until_ms, |end| end.min(grace_until_ms));
            let expected = old.generation;
            old.replaced = Some(Replaced { by: new.credential.id, grace_until_ms });
            old.generation = self.generation()?;
            self.backend.keyring.ring().seal(&mut old);
            let mut details = vec![
                (DetailKey::ReplacedBy, new.credential.id.to_string()),
                (DetailKey::GraceUntil, grace_until_ms.to_string()),
            ];
            details.extend(new.credential.expires_at_ms.map(|end| (DetailKey::ExpiresAt, end.to_string())));
            let event = self.event(Action::CredentialRotated, Subject::Credential(id), Some(tenant.id), details);
            let record = Record { room, ..record(event, claim, &new.credential.id) };
            let stored = permit.store().credentials().rotate(&new.credential, &old, expected, record);
            stored.map_err(|error| full(owner_gone(error, &new.credential, &tenant), rules))?;
            Ok(Rotated { new, old })
        })
    }

    /// Changes what a credential is bound to, at once. The secret stays.
    ///
    /// # Errors
    /// When there is none, it is revoked, or a value does not fit.
    pub fn change_key(&self, id: CredentialId, changes: &KeyChanges) -> AdminResult<Credential> {
        let permit = self.permit(Act::Change)?;
        retrying(|| {
            let mut credential = self.genuine_key(&permit, id)?;
            check_etag(changes.etag, credential.generation, "credential", &id)?;
            if matches!(credential.status, Status::Revoked { .. }) {
                return Err(ended(&credential, "is revoked for good"));
            }
            if credential.end_ms().is_some_and(|end| end <= self.now_ms()) {
                return Err(ended(&credential, "has ended: issue a new one"));
            }
            let mut fields = Vec::new();
            take("label", changes.label.as_ref(), &mut credential.label, &mut fields);
            take("scopes", changes.scopes.as_ref(), &mut credential.scopes, &mut fields);
            take("cidrs", changes.cidrs.as_ref(), &mut credential.cidrs, &mut fields);
            take("not_before", changes.not_before_ms.as_ref(), &mut credential.not_before_ms, &mut fields);
            take("expires_at", changes.expires_at_ms.as_ref(), &mut credential.expires_at_ms, &mut fields);
            limits::text("label", &credential.label, limits::MAX_NAME)?;
            limits::scopes(&credential.scopes)?;
            limits::cidrs(&credential.cidrs)?;
            if fields.contains(&"not_before") || fields.contains(&"expires_at") {
                limits::times(credential.not_before_ms, credential.expires_at_ms, self.now_ms())?;
            }
            if fields.is_empty() {
                return Ok(credential);
            }
            let expected = credential.generation;
            credential.generation = self.generation()?;
            self.backend.keyring.ring().seal(&mut credential);
            let details = vec![(DetailKey::Fields, fields.join(","))];
            let subject = Subject::Credential(id);
            let event = self.event(Action::CredentialChanged, subject, Some(credential.tenant), details);
            permit.store().credentials().update(&credential, expected, event)?;
            Ok(credential)
        })
    }
}

/// The new credential of a rotation: bound as the old one is, and made for as long a life.
fn successor(old: &Credential, request: &RotateRequest, now_ms: i64) -> IssueRequest {
    let started_ms = old.not_before_ms.unwrap_or(old.created_at_ms).max(old.created_at_ms);
    let not_before_ms = old.not_before_ms.filter(|start| *start > now_ms);
    let lifetime_ms = old.expires_at_ms.map(|end| end.saturating_sub(started_ms));
    let from_ms = not_before_ms.unwrap_or(now_ms);
    let inherited = lifetime_ms.map(|length| from_ms.saturating_add(length).min(limits::MAX_TIME_MS));
    IssueRequest {
        app: old.app,
        user: old.user,
        label: old.label.clone(),
        environment: old.environment,
        scopes: old.scopes.clone(),
        cidrs: old.cidrs.clone(),
        not_before_ms,
        expires_at_ms: request.expires_at_ms.or(inherited),
        decoy: false,
        cost: request.cost,
    }
}
