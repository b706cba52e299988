//! Operators: people and programs that may administer a store (rule R18).

use crate::admin::limits::{self, invalid};
use crate::admin::{Admin, AdminError, AdminResult, retrying};
use crate::domain::credential::CredentialKind;
use crate::domain::event::DetailKey;
use crate::domain::{Action, CredentialId, Operator, Role, Subject, TenantId, key_format};
use crate::secret::{OperatorText, Secret};
use crate::store::StoreError;
use crate::verify::argon::DEFAULT_COST;

/// A fresh operator, with the token this once.
pub struct IssuedToken {
    /// The record.
    pub operator: Operator,
    /// The text, to be shown once. No `Debug` on this type, because of this field.
    pub token: Secret<OperatorText>,
}

/// Operators belong to no tenant; the tag's domain has this in its place.
const NO_TENANT: TenantId = TenantId::from_bytes([0; 16]);
/// Tenants that one operator may be bound to.
const MAX_TENANTS: usize = 64;

impl Admin {
    /// Makes an unbound owner.
    ///
    /// # Errors
    /// As [`Admin::add_operator`].
    pub fn add_owner(&self, name: &str) -> AdminResult<IssuedToken> {
        self.add_operator(name, Role::Owner, &[])
    }

    /// Makes an operator, bound to the tenants of these slugs, or to none and so to all. Its token is kept like an API key,
    /// in a tag domain of its own. Takes the milliseconds of one Argon2id hash: not for an async thread.
    ///
    /// # Errors
    /// When the name is taken, a tenant is not there, or the store fails.
    pub fn add_operator(&self, name: &str, role: Role, slugs: &[String]) -> AdminResult<IssuedToken> {
        limits::name("name", name)?;
        limits::count("tenant", slugs.len(), MAX_TENANTS)?;
        let mut tenants = Vec::with_capacity(slugs.len());
        for slug in slugs {
            let tenant = self.tenant(slug)?.id;
            if tenants.contains(&tenant) {
                return Err(invalid("tenant", format!("{slug} stands there twice")));
            }
            tenants.push(tenant);
        }
        let id = CredentialId::random(self.entropy.as_ref())?;
        let minted = key_format::mint(key_format::OPERATOR_PREFIX, None, id, self.entropy.as_ref())?;
        let verifier = self.verifier(CredentialKind::Operator, NO_TENANT, id, minted.body(), DEFAULT_COST)?;
        let mut operator = Operator {
            id,
            name: name.to_owned(),
            role,
            tenants,
            verifier,
            generation: self.generation()?,
            row_mac: [0; 32],
            created_at_ms: self.clock.wall_ms(),
            revoked_at_ms: None,
        };
        operator.row_mac = self.keyring.ring().current().operator_mac(&operator);
        let mut details = vec![(DetailKey::Name, name.to_owned()), (DetailKey::Role, role.as_str().to_owned())];
        if !slugs.is_empty() {
            details.push((DetailKey::Tenants, slugs.join(",")));
        }
        let event = self.event(Action::OperatorAdded, Subject::Operator(id), None, details);
        self.store.operators().add(&operator, event).map_err(|error| match error {
            StoreError::Exists { .. } => AdminError::Exists { what: "operator", name: name.to_owned() },
            other => other.into(),
        })?;
        Ok(IssuedToken { operator, token: minted.text })
    }

    /// Every operator, revoked ones included, in the order of their ids.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn operators(&self) -> AdminResult<Vec<Operator>> {
        Ok(self.store.operators().list()?)
    }

    /// Takes an operator's token back, at once and for good; whether it was before. The last owner of everything stays.
    ///
    /// # Errors
    /// When there is none of that name or id, or it is the last owner.
    pub fn revoke_operator(&self, name_or_id: &str) -> AdminResult<(Operator, bool)> {
        retrying(|| {
            let missing =
                || AdminError::NotFound { what: "operator", name: name_or_id.to_owned(), place: String::new() };
            let named = |operator: &Operator| operator.name == name_or_id || operator.id.to_string() == name_or_id;
            let mut operator = self.operators()?.into_iter().find(named).ok_or_else(missing)?;
            if operator.revoked_at_ms.is_some() {
                return Ok((operator, true));
            }
            let ring = self.keyring.ring();
            let current = ring.current();
            let expected = operator.generation;
            operator.revoked_at_ms = Some(self.clock.wall_ms());
            operator.generation = self.generation()?;
            // As it is revoked nothing rests on what else its row says: sealed under the current pepper, whatever it was.
            operator.verifier.pepper = current.fingerprint();
            operator.row_mac = current.operator_mac(&operator);
            let details = vec![(DetailKey::Name, operator.name.clone())];
            let event = self.event(Action::OperatorRevoked, Subject::Operator(operator.id), None, details);
            match self.store.operators().revoke(&operator, expected, event) {
                Err(StoreError::Missing { what: "owner" }) => Err(AdminError::LastOwner(operator.name.clone())),
                other => Ok(other.map(|()| (operator, false))?),
            }
        })
    }
}
