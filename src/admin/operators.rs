//! Operators: people and programs that may administer a store (rule R18).

use crate::admin::authority::{Act, Permit};
use crate::admin::limits::{self, invalid};
use crate::admin::{Admin, AdminError, AdminResult, record, retrying};
use crate::domain::credential::CredentialKind;
use crate::domain::event::DetailKey;
use crate::domain::operator::NO_TENANT;
use crate::domain::{Action, CredentialId, Operator, Role, Subject, TenantId, key_format};
use crate::secret::{OperatorText, Secret};
use crate::store::StoreError;
use crate::verify::argon::DEFAULT_COST;

/// An operator to be added.
#[derive(Clone, Debug)]
pub struct NewOperator {
    /// A name for people and audit.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The slugs of the tenants it is bound to; none means all.
    pub tenants: Vec<String>,
    /// SHA-256 of its client certificate's public key, where it may come with one.
    pub certificate: Option<[u8; 32]>,
}

/// A fresh operator, with the token this once.
pub struct IssuedToken {
    /// The record.
    pub operator: Operator,
    /// The text, to be shown once. No `Debug` on this type, because of this field.
    pub token: Secret<OperatorText>,
}

/// Tenants that one operator may be bound to.
const MAX_TENANTS: usize = 64;

impl Admin {
    /// Makes an unbound owner.
    ///
    /// # Errors
    /// As [`Admin::add_operator`].
    pub fn add_owner(&self, name: &str) -> AdminResult<IssuedToken> {
        let (name, tenants, certificate) = (name.to_owned(), Vec::new(), None);
        self.add_operator(&NewOperator { name, role: Role::Owner, tenants, certificate })
    }

    /// Makes an operator, bound to the tenants of these slugs, or to none and so to all. Its token is kept like an API key,
    /// in a tag domain of its own. Takes the milliseconds of one Argon2id hash: not for an async thread.
    ///
    /// # Errors
    /// When the name is taken, a tenant is not there, or the store fails.
    pub fn add_operator(&self, new: &NewOperator) -> AdminResult<IssuedToken> {
        let NewOperator { name, role, tenants: slugs, certificate } = new;
        let permit = self.permit(Act::Govern)?;
        limits::name("name", name)?;
        limits::count("tenant", slugs.len(), MAX_TENANTS)?;
        let mut tenants = Vec::with_capacity(slugs.len());
        for slug in slugs {
            let tenant = permit.tenant(slug)?.id;
            if tenants.contains(&tenant) {
                return Err(invalid("tenant", format!("{slug} stands there twice")));
            }
            tenants.push(tenant);
        }
        retrying(|| {
            let claim = permit.once("CreateOperator", None)?;
            let id = CredentialId::random(self.backend.entropy.as_ref())?;
            let minted = key_format::mint(key_format::OPERATOR_PREFIX, None, id, self.backend.entropy.as_ref())?;
            let verifier = self.verifier(CredentialKind::Operator, NO_TENANT, id, minted.body(), DEFAULT_COST)?;
            let mut operator = Operator {
                id,
                name: name.clone(),
                role: *role,
                tenants: tenants.clone(),
                verifier,
                generation: self.generation()?,
                certificate: *certificate,
                row_mac: [0; 32],
                created_at_ms: self.now_ms(),
                revoked_at_ms: None,
            };
            operator.row_mac = self.backend.keyring.ring().current().operator_mac(&operator);
            let mut details = vec![(DetailKey::Name, name.clone()), (DetailKey::Role, role.as_str().to_owned())];
            if !slugs.is_empty() {
                details.push((DetailKey::Tenants, slugs.join(",")));
            }
            let event = self.event(Action::OperatorAdded, Subject::Operator(id), None, details);
            permit.store().operators().add(&operator, record(event, claim, &id)).map_err(|error| match error {
                StoreError::Exists { what: "certificate" } => {
                    AdminError::Exists { what: "an operator with this", name: "certificate".to_owned() }
                }
                StoreError::Exists { what: "operator" } => AdminError::Exists { what: "operator", name: name.clone() },
                other => other.into(),
            })?;
            Ok(IssuedToken { operator, token: minted.text })
        })
    }

    /// The slug of a tenant, by its id; the id's text where it is gone.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn slug_of(&self, id: TenantId) -> AdminResult<String> {
        let tenant = self.permit(Act::ReadKeys)?.store().tenants().by_id(id)?;
        Ok(tenant.map_or_else(|| id.to_string(), |tenant| tenant.slug))
    }

    /// Every operator that is the caller's, revoked ones included, in the order of their ids.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn operators(&self) -> AdminResult<Vec<Operator>> {
        visible(&self.permit(Act::Read)?)
    }

    /// An operator, by name or id.
    ///
    /// # Errors
    /// When there is none of that name or id that is the caller's.
    pub fn operator(&self, name_or_id: &str) -> AdminResult<Operator> {
        named(&self.permit(Act::Read)?, name_or_id)
    }

    /// Takes an operator's token back, at once and for good; whether it was before. The last owner of everything stays.
    ///
    /// # Errors
    /// When there is none of that name or id, or it is the last owner.
    pub fn revoke_operator(&self, name_or_id: &str) -> AdminResult<(Operator, bool)> {
        let permit = self.permit(Act::Govern)?;
        retrying(|| {
            let mut operator = named(&permit, name_or_id)?;
            if operator.revoked_at_ms.is_some() {
                return Ok((operator, true));
            }
            let ring = self.backend.keyring.ring();
            let current = ring.current();
            let expected = operator.generation;
            operator.revoked_at_ms = Some(self.now_ms());
            operator.generation = self.generation()?;
            // As it is revoked nothing rests on what else its row says: sealed under the current pepper, whatever it was.
            operator.verifier.pepper = current.fingerprint();
            operator.row_mac = current.operator_mac(&operator);
            let details = vec![(DetailKey::Name, operator.name.clone())];
            let event = self.event(Action::OperatorRevoked, Subject::Operator(operator.id), None, details);
            match permit.store().operators().revoke(&operator, expected, event) {
                Err(StoreError::Missing { what: "owner" }) => Err(AdminError::LastOwner(operator.name.clone())),
                other => Ok(other.map(|()| (operator, false))?),
            }
        })
    }
}

/// An operator is visible to whoever is bound to all of its tenants.
fn visible(permit: &Permit<'_>) -> AdminResult<Vec<Operator>> {
    let mut operators = permit.store().operators().list()?;
    operators.retain(|operator| match operator.tenants.as_slice() {
        [] => permit.covers(None),
        tenants => tenants.iter().all(|tenant| permit.covers(Some(*tenant))),
    });
    Ok(operators)
}

fn named(permit: &Permit<'_>, name_or_id: &str) -> AdminResult<Operator> {
    let missing = || AdminError::NotFound { what: "operator", name: name_or_id.to_owned(), place: String::new() };
    let is_it = |operator: &Operator| operator.name == name_or_id || operator.id.to_string() == name_or_id;
    visible(permit)?.into_iter().find(is_it).ok_or_else(missing)
}
