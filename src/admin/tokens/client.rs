//! What a program gets that proved a credential of its own: what holds for tokens here, and which token is one of its own.

use crate::admin::authority::{Act, Backend, Caller, Scope};
use crate::admin::tokens::TokenRules;
use crate::admin::tokens::rows::TokenRef;
use crate::admin::{AdminError, AdminResult};
use crate::domain::event::Actor;
use crate::domain::{Credential, Role, TokenId};
use crate::secret::{Secret, TokenText};

/// A program that just proved this credential: bound to its tenant, and never an operator.
pub fn client(parent: &Credential, source: impl Into<String>) -> Caller {
    Caller::new(Actor::Client(parent.id), Role::Issuer, Scope::Tenants(vec![parent.tenant])).from_there(source)
}

impl Backend {
    /// How tokens are issued on this machine; none where they are not.
    pub fn token_rules(&self) -> Option<&TokenRules> {
        self.tokens.as_deref()
    }

    /// The token with this text, where it was issued for this very credential: of no other it is told that there is one
    /// (RFC 7009 section 2.1).
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn token_of_client(&self, parent: &Credential, text: Secret<TokenText>) -> AdminResult<Option<TokenId>> {
        let admin = self.admin(client(parent, ""));
        let permit = admin.permit(Act::Change)?;
        match admin.token_of(&permit, &TokenRef::Text(text)) {
            Ok(token) if token.credential == parent.id => Ok(Some(token.jti.id())),
            Ok(_) | Err(AdminError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
