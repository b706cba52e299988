//! Why a request with a credential would be refused, for those who may know.

use crate::admin::authority::{Act, Permit};
use crate::admin::{Admin, AdminError, AdminResult};
use crate::authenticate::Attempt;
use crate::authenticate::explain::{Asked, Explainer, Explanation};
use crate::domain::Presented;
use crate::domain::presented::Scheme;
use crate::secret::{CredentialText, Secret};

fn none_presented() -> AdminError {
    AdminError::NotFound { what: "credential", name: "as presented".to_owned(), place: String::new() }
}

impl Admin {
    /// Every condition that a request is judged by, and how it turns out. Blocks, for as long as a slow hash takes where
    /// only that can prove the secret.
    ///
    /// # Errors
    /// When there is no such credential that is the caller's.
    pub fn explain_key(&self, asked: Asked<'_>, attempt: &Attempt<'_>) -> AdminResult<Explanation> {
        let permit = match asked {
            Asked::Id(id) => {
                let permit = self.permit(Act::Read)?;
                permit.credential(id)?;
                permit
            }
            // What tells whether a secret is right is no reading.
            Asked::Credential(presented) => {
                let permit = self.permit(Act::Try)?;
                self.check_presented(&permit, presented)?;
                permit
            }
        };
        let ring = self.backend.keyring.ring();
        let explainer = Explainer {
            store: permit.store(),
            ring: &ring,
            llm_grants: self.backend.llm_grants,
            now_ms: self.now_ms(),
        };
        let told = explainer.explain(asked, attempt)?;
        match &told.credential {
            Some(row) if !permit.may_see(row)? => Err(none_presented()),
            _ => Ok(told),
        }
    }

    /// Before any work is done for it: who is bound to tenants tries keys of ours alone, and theirs alone.
    fn check_presented(&self, permit: &Permit<'_>, presented: &Secret<CredentialText>) -> AdminResult<()> {
        if !self.is_bound() {
            return Ok(());
        }
        let row = match Presented::parse(presented).map(|presented| presented.scheme()) {
            Ok(Scheme::Key(parts)) => permit.store().credentials().look_up(parts.id)?.row,
            _ => None,
        };
        match row {
            Some(row) if permit.may_see(&row)? => Ok(()),
            _ => Err(none_presented()),
        }
    }
}
