//! Who administers: operators, proven as credentials are. What they may do is not for this module to say.

use std::sync::Arc;

use crate::authenticate::Authenticator;
use crate::domain::event::{Actor, DetailKey};
use crate::domain::{Action, AuditEvent, Operator, Reason, Subject};
use crate::secret::{CredentialText, Secret};
use crate::verify::pool::ArgonPool;

impl Authenticator {
    /// Whose token it is.
    ///
    /// # Errors
    /// Why it is nobody's; for the log alone.
    pub async fn operator(&self, token: &Secret<CredentialText>) -> Result<Operator, Reason> {
        let proven = self.verifier.operator(token).await?;
        self.check_denied(&proven.operator)?;
        if let Some(row) = proven.retagged {
            let (store, at_ms) = (Arc::clone(&self.store), self.clock.wall_ms());
            let retag = move || {
                let event = AuditEvent {
                    at_ms,
                    actor: Actor::System,
                    action: Action::CredentialsResealed,
                    subject: Subject::Operator(row.id),
                    tenant: None,
                    details: vec![(DetailKey::Count, "1".to_owned())],
                    request_id: String::new(),
                };
                // Of two at once the later writes the same; failing costs a slow hash at the next use.
                if let Err(error) = store.peppers().reseal_operator(&row, row.generation, event) {
                    tracing::warn!(%error, "an operator's row could not be sealed anew");
                }
            };
            drop(tokio::task::spawn_blocking(retag));
        }
        Ok(proven.operator)
    }

    /// Whose client certificate it is, by the SHA-256 of its public key.
    ///
    /// # Errors
    /// Why it is nobody's; for the log alone.
    pub fn operator_by_certificate(&self, public_key: &[u8; 32]) -> Result<Operator, Reason> {
        let operator = self.verifier.operator_by_certificate(public_key)?;
        self.check_denied(&operator).map(|()| operator)
    }

    fn check_denied(&self, operator: &Operator) -> Result<(), Reason> {
        let denied = self.denied.denies([Subject::Operator(operator.id)]);
        if denied { Err(Reason::DeniedHere) } else { Ok(()) }
    }

    /// The hashing threads, for those who make keys in the same process.
    pub fn pool(&self) -> &Arc<ArgonPool> {
        self.verifier.pool()
    }
}

#[cfg(test)]
#[path = "operators_tests.rs"]
mod tests;
