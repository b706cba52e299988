//! What a token of ours is worth now: what a request with it would be let in as, told to somebody of the same tenant.

use crate::authenticate::{Attempt, Authenticator, Decision};
use crate::domain::presented::Scheme;
use crate::domain::{CredentialId, Presented, TenantId};
use crate::secret::{CredentialText, Secret};
use crate::verify::jwt::Said;

/// A token that a request would be let in with. Facts to be told, nothing that lets anybody in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Worth {
    /// What it says of itself.
    pub said: Said,
    /// The credential that it was issued for.
    pub client: CredentialId,
    /// The slug of its tenant.
    pub tenant: String,
    /// What it is for: its own scopes that its credential still has, separated by spaces.
    pub scope: String,
    /// Its first invalid moment, its own or its credential's, milliseconds since the epoch.
    pub expires_at_ms: i64,
}

impl Authenticator {
    /// By the whole decision, in which there is no request: what is bound to an address is worth nothing, for none is
    /// known. None for whatever is not a token of ours of that tenant, or not good now.
    pub async fn worth(
        &self,
        token: &Secret<CredentialText>,
        tenant: TenantId,
        attempt: &Attempt<'_>,
    ) -> Option<Worth> {
        let presented = Presented::parse(token).ok().filter(|it| matches!(it.scheme(), Scheme::Jwt))?;
        let said = self.verifier.said_by_own(presented.text())?;
        let told = |decision: Decision<'_>| match decision {
            Decision::Grant(grant) if grant.tenant().id == tenant => {
                let (client, expires_at_ms) = grant.issued()?;
                let scope = grant.claims().iter().find(|(name, _)| *name == "scopes").map(|(_, value)| value.clone());
                let tenant = grant.tenant().slug.clone();
                Some(Worth { said, client, tenant, scope: scope.unwrap_or_default(), expires_at_ms })
            }
            Decision::Grant(_) | Decision::Deny(_) => None,
        };
        self.authenticate(token, attempt, told).await
    }
}
