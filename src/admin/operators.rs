//! Operators. In this version the first one, whom `init` makes (rule R18).

use crate::admin::{Admin, AdminResult};
use crate::domain::credential::CredentialKind;
use crate::domain::event::DetailKey;
use crate::domain::{Action, CredentialId, Operator, Role, Subject, TenantId, key_format};
use crate::secret::{OperatorText, Secret};
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

impl Admin {
    /// Makes an unbound owner. Its token is kept like an API key, in a tag domain of its own.
    ///
    /// # Errors
    /// When the name is taken or the store fails.
    pub fn add_owner(&self, name: &str) -> AdminResult<IssuedToken> {
        super::limits::name("name", name)?;
        let id = CredentialId::random(self.entropy.as_ref())?;
        let minted = key_format::mint(key_format::OPERATOR_PREFIX, None, id, self.entropy.as_ref())?;
        let verifier = self.verifier(CredentialKind::Operator, NO_TENANT, id, minted.body(), DEFAULT_COST)?;
        let mut operator = Operator {
            id,
            name: name.to_owned(),
            role: Role::Owner,
            tenants: Vec::new(),
            verifier,
            generation: self.generation()?,
            row_mac: [0; 32],
            created_at_ms: self.clock.wall_ms(),
            revoked_at_ms: None,
        };
        operator.row_mac = self.keyring.ring().current().operator_mac(&operator);
        let details = vec![(DetailKey::Name, name.to_owned()), (DetailKey::Role, Role::Owner.as_str().to_owned())];
        let event = self.event(Action::OperatorAdded, Subject::Operator(id), None, details);
        self.store.operators().add(&operator, event)?;
        Ok(IssuedToken { operator, token: minted.text })
    }
}
