//! Callers who come through a host: its Studio page, an operator who proved a token there, its portal. What they say of
//! themselves decides nothing: the page is what this machine's settings make it, the others are what the store says at
//! each call (rules R1 and R18).

use crate::admin::authority::{Backend, Caller, Scope};
use crate::admin::{AdminError, AdminResult};
use crate::domain::event::Actor;
use crate::domain::{CredentialId, Operator, Role, TenantId, TenantStatus, UserId};

/// Who may come through the portal; the one answer to all others.
const PORTAL: &str = "a User that is active, of a tenant that is active";
/// Where the page and those who come through it ask from, as the trail has it.
const STUDIO: &str = "studio";

impl Caller {
    /// The Studio page: nobody in particular.
    pub fn studio(role: Role, tenants: Vec<TenantId>) -> Self {
        Self::new(Actor::Studio, at_most_issuer(role), Scope::Tenants(tenants)).from_there(STUDIO)
    }

    /// An operator who proved a token on the Studio page: never more than an issuer there.
    pub fn raised(operator: &Operator) -> Self {
        let caller = Self::operator(operator).from_there(STUDIO);
        Self { role: at_most_issuer(caller.role), ..caller }
    }

    /// A User of the host, in its portal: what is their own, in the one tenant that has them.
    pub fn portal(user: UserId, tenant: TenantId) -> Self {
        let caller = Self::new(Actor::Portal(user), Role::Issuer, Scope::Tenants(vec![tenant]));
        Self { own: Some(user), ..caller.from_there("portal") }
    }

    /// Nobody whom the portal knows: without saying which condition fails.
    pub fn not_of_the_portal() -> AdminError {
        AdminError::Forbidden { needs: PORTAL }
    }
}

/// What a page of a host may be at most.
fn at_most_issuer(role: Role) -> Role {
    match role {
        Role::Owner | Role::Issuer => Role::Issuer,
        Role::Auditor => Role::Auditor,
    }
}

impl Backend {
    /// The Studio page for the tenants of these slugs, and the slugs that no tenant has.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn studio(&self, slugs: &[String], role: Role) -> AdminResult<(Caller, Vec<String>)> {
        let (mut tenants, mut unknown) = (Vec::new(), Vec::new());
        for slug in slugs {
            match self.store.tenants().by_slug(slug)? {
                Some(tenant) => tenants.push(tenant.id),
                None => unknown.push(slug.clone()),
            }
        }
        Ok((Caller::studio(role, tenants), unknown))
    }

    /// The operator who proved their token before, as they are now; none once it was taken back.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn raised(&self, id: CredentialId) -> AdminResult<Option<Caller>> {
        let Some(row) = self.store.operators().look_up(id)?.filter(|row| row.revoked_at_ms.is_none()) else {
            return Ok(None);
        };
        let genuine = self.keyring.ring().is_genuine_operator(&row) == Some(true);
        Ok(genuine.then(|| Caller::raised(&row)))
    }

    /// The portal's User of that host id, for the tenant that has them.
    ///
    /// # Errors
    /// One and the same where no tenant has the User, the User is not active or the tenant is suspended; else when the
    /// store cannot be read.
    pub fn portal(&self, id: UserId) -> AdminResult<Caller> {
        let none = Caller::not_of_the_portal;
        let tenant = self.store.users().owner_of(id)?.ok_or_else(none)?;
        let tenant = self.store.tenants().by_id(tenant)?.ok_or_else(none)?;
        let user = self.store.users().by_id(tenant.id, id)?.ok_or_else(none)?;
        if !user.is_active() || tenant.status != TenantStatus::Active {
            return Err(none());
        }
        Ok(Caller::portal(user.id, tenant.id))
    }
}
