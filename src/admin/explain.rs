//! Why a request with a credential would be refused, for those who may know.

use crate::admin::authority::Act;
use crate::admin::{Admin, AdminError, AdminResult};
use crate::authenticate::Attempt;
use crate::authenticate::explain::{Asked, Explainer, Explanation};

impl Admin {
    /// Every condition that a request is judged by, and how it turns out. Blocks, for as long as a slow hash takes where
    /// only that can prove the secret.
    ///
    /// # Errors
    /// When there is no such credential that is the caller's.
    pub fn explain_key(&self, asked: Asked<'_>, attempt: &Attempt<'_>) -> AdminResult<Explanation> {
        let permit = self.permit(Act::Read)?;
        let ring = self.backend.keyring.ring();
        let explainer = Explainer {
            store: permit.store(),
            ring: &ring,
            llm_grants: self.backend.llm_grants,
            now_ms: self.now_ms(),
        };
        let told = explainer.explain(asked, attempt)?;
        let mine = match &told.credential {
            Some(row) => permit.may_see(row)?,
            // Of what is not there everybody may know who sees all tenants; to others it reads like another tenant's.
            None => permit.covers(None),
        };
        if mine {
            return Ok(told);
        }
        let name = match asked {
            Asked::Id(id) => id.to_string(),
            Asked::Credential(_) => "as presented".to_owned(),
        };
        Err(AdminError::NotFound { what: "credential", name, place: String::new() })
    }
}
