//! Users of the host: claim one for a tenant, change the directory's copy, let it go.

use std::collections::BTreeMap;

use crate::admin::authority::Act;
use crate::admin::limits;
use crate::admin::{Admin, AdminError, AdminResult, check_etag, not_found, record, retrying, take};
use crate::domain::event::DetailKey;
use crate::domain::{Action, Generation, HostState, Subject, User, UserId};
use crate::store::StoreError;

/// A User to be claimed.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The host's id.
    pub id: UserId,
    /// Address.
    pub email: String,
    /// Name.
    pub name: String,
    /// Whether credentials of this User work.
    pub active: bool,
    /// Further fields that the host has.
    pub metadata: BTreeMap<String, String>,
}

/// What is to change of a User; None leaves it.
#[derive(Clone, Debug, Default)]
pub struct UserChanges {
    /// Address.
    pub email: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// Whether credentials of this User work.
    pub active: Option<bool>,
    /// All further fields.
    pub metadata: Option<BTreeMap<String, String>>,
    /// What was read of it before; none changes it whatever it is.
    pub etag: Option<Generation>,
}

/// As of an App: of a change only what is changed.
fn check(user: &User, changed: Option<&[&str]>) -> AdminResult<()> {
    let asked = |field| changed.is_none_or(|changed| changed.contains(&field));
    if asked("email") {
        limits::name("email", &user.email)?;
        limits::email("email", &user.email)?;
    }
    if asked("name") {
        limits::text("name", &user.name, limits::MAX_NAME)?;
    }
    if asked("metadata") { limits::metadata(&user.metadata) } else { Ok(()) }
}

impl Admin {
    /// Claims a host User for a tenant.
    ///
    /// # Errors
    /// When any tenant has it already, or a value does not fit.
    pub fn add_user(&self, tenant: &str, new: &NewUser) -> AdminResult<User> {
        let permit = self.permit(Act::Govern)?;
        let tenant = permit.tenant(tenant)?;
        retrying(|| {
            let claim = permit.once("CreateUser", Some(tenant.id))?;
            let NewUser { id, email, name, active, metadata } = new.clone();
            let user = User {
                tenant: tenant.id,
                id,
                email,
                name,
                active,
                host: HostState::default(),
                metadata,
                generation: self.generation()?,
            };
            check(&user, None)?;
            // Names and addresses of people stay out of the trail, which is never edited.
            let details = vec![(DetailKey::Active, user.active.to_string())];
            let event = self.event(Action::UserAdded, Subject::User(user.id), Some(tenant.id), details);
            match permit.store().users().add(&user, record(event, claim, &user.id)) {
                Ok(()) => Ok(user),
                Err(StoreError::Exists { what: "User" }) => {
                    Err(AdminError::Claimed { what: "User", id: user.id.get() })
                }
                Err(error) => Err(error.into()),
            }
        })
    }

    /// A User of a tenant.
    ///
    /// # Errors
    /// When the tenant has no such User.
    pub fn user(&self, tenant: &str, id: UserId) -> AdminResult<User> {
        let permit = self.permit(Act::Read)?;
        permit.user(&permit.tenant(tenant)?, id)
    }

    /// Changes a User.
    ///
    /// # Errors
    /// When the tenant has no such User, or a value does not fit.
    pub fn set_user(&self, tenant: &str, id: UserId, changes: &UserChanges) -> AdminResult<User> {
        let permit = self.permit(Act::Manage)?;
        let tenant = permit.tenant(tenant)?;
        retrying(|| {
            let mut user = permit.user(&tenant, id)?;
            check_etag(changes.etag, user.generation, "User", &id)?;
            let (expected, mut fields) = (user.generation, Vec::new());
            take("email", changes.email.as_ref(), &mut user.email, &mut fields);
            take("name", changes.name.as_ref(), &mut user.name, &mut fields);
            take("active", changes.active.as_ref(), &mut user.active, &mut fields);
            take("metadata", changes.metadata.as_ref(), &mut user.metadata, &mut fields);
            if fields.is_empty() {
                return Ok(user);
            }
            check(&user, Some(&fields))?;
            user.generation = self.generation()?;
            let details = vec![(DetailKey::Active, user.active.to_string()), (DetailKey::Fields, fields.join(","))];
            let event = self.event(Action::UserChanged, Subject::User(user.id), Some(tenant.id), details);
            permit.store().users().update(&user, expected, event)?;
            Ok(user)
        })
    }

    /// Lets a User go. Their credentials stay in the store and are refused.
    ///
    /// # Errors
    /// When the tenant has no such User.
    pub fn remove_user(&self, tenant: &str, id: UserId) -> AdminResult<()> {
        let permit = self.permit(Act::Govern)?;
        let tenant = permit.tenant(tenant)?;
        let event = self.event(Action::UserRemoved, Subject::User(id), Some(tenant.id), Vec::new());
        match permit.store().users().remove(tenant.id, id, event) {
            Err(StoreError::Missing { .. }) => Err(not_found("User", &id, &tenant)),
            other => Ok(other?),
        }
    }
}
