//! Tenants: create, change, suspend, resume.

use crate::admin::authority::Act;
use crate::admin::limits::{self, invalid};
use crate::admin::{Admin, AdminError, AdminResult, check_etag, record, retrying, take};
use crate::domain::event::DetailKey;
use crate::domain::{Action, Generation, LlmGrants, Subject, Tenant, TenantId, TenantStatus, key_format, tenant};
use crate::store::StoreError;

/// A tenant to be made.
#[derive(Clone, Debug)]
pub struct NewTenant {
    /// Its name in commands, claims and logs.
    pub slug: String,
    /// Its name for people; the slug when empty.
    pub name: String,
    /// The prefix of its keys.
    pub key_prefix: String,
    /// What holds for Apps without grants.
    pub llm_grants: LlmGrants,
    /// Gateway namespaces it may be used from; empty means any.
    pub namespaces: Vec<String>,
}

/// What is to change of a tenant; None leaves it.
#[derive(Clone, Debug, Default)]
pub struct TenantChanges {
    /// Name for people.
    pub name: Option<String>,
    /// Prefix of keys made from now on.
    pub key_prefix: Option<String>,
    /// What holds for Apps without grants.
    pub llm_grants: Option<LlmGrants>,
    /// Gateway namespaces; empty means any.
    pub namespaces: Option<Vec<String>>,
    /// What was read of it before; none changes it whatever it is.
    pub etag: Option<Generation>,
}

fn check(tenant: &Tenant) -> AdminResult<()> {
    if !tenant::is_slug(&tenant.slug) {
        return Err(invalid("tenant", "1 to 63 of a-z, 0-9 and -, a letter first"));
    }
    limits::name("name", &tenant.name)?;
    limits::namespaces(&tenant.namespaces)?;
    let prefix = tenant.key_prefix.as_str();
    if !key_format::is_prefix(prefix.as_bytes()) || prefix == key_format::OPERATOR_PREFIX {
        let (max, taken) = (key_format::MAX_PREFIX_LEN, key_format::OPERATOR_PREFIX);
        return Err(invalid("key-prefix", format!("2 to {max} of a-z and 0-9, a letter first, and not {taken}")));
    }
    Ok(())
}

impl Admin {
    /// Makes a tenant.
    ///
    /// # Errors
    /// When the slug is taken or a value does not fit.
    pub fn create_tenant(&self, new: &NewTenant) -> AdminResult<Tenant> {
        let permit = self.permit(Act::Govern)?;
        retrying(|| {
            let claim = permit.once("CreateTenant", None)?;
            let tenant = Tenant {
                id: TenantId::random(self.backend.entropy.as_ref())?,
                name: if new.name.is_empty() { new.slug.clone() } else { new.name.clone() },
                slug: new.slug.clone(),
                status: TenantStatus::Active,
                key_prefix: new.key_prefix.clone(),
                llm_grants: new.llm_grants,
                namespaces: new.namespaces.clone(),
                generation: self.generation()?,
                created_at_ms: self.now_ms(),
            };
            check(&tenant)?;
            let details = vec![(DetailKey::Slug, tenant.slug.clone()), (DetailKey::Name, tenant.name.clone())];
            let event = self.event(Action::TenantCreated, Subject::Tenant(tenant.id), Some(tenant.id), details);
            match permit.store().tenants().create(&tenant, record(event, claim, &tenant.slug)) {
                Ok(()) => Ok(tenant),
                Err(StoreError::Exists { what: "tenant" }) => {
                    Err(AdminError::Exists { what: "tenant", name: tenant.slug })
                }
                Err(error) => Err(error.into()),
            }
        })
    }

    /// Changes a tenant.
    ///
    /// # Errors
    /// When there is none, or a value does not fit.
    pub fn set_tenant(&self, slug: &str, changes: &TenantChanges) -> AdminResult<Tenant> {
        self.update_tenant(slug, Action::TenantChanged, changes.etag, |tenant| {
            let mut fields = Vec::new();
            take("name", changes.name.as_ref(), &mut tenant.name, &mut fields);
            take("key_prefix", changes.key_prefix.as_ref(), &mut tenant.key_prefix, &mut fields);
            take("llm_grants", changes.llm_grants.as_ref(), &mut tenant.llm_grants, &mut fields);
            take("namespaces", changes.namespaces.as_ref(), &mut tenant.namespaces, &mut fields);
            fields
        })
    }

    /// Suspends a tenant, so that none of its credentials works, or resumes it. Already so is fine.
    ///
    /// # Errors
    /// When there is none.
    pub fn set_tenant_status(&self, slug: &str, status: TenantStatus) -> AdminResult<Tenant> {
        let action = match status {
            TenantStatus::Active => Action::TenantResumed,
            TenantStatus::Suspended => Action::TenantSuspended,
        };
        self.update_tenant(slug, action, None, |tenant| {
            let mut fields = Vec::new();
            take("status", Some(&status), &mut tenant.status, &mut fields);
            fields
        })
    }

    fn update_tenant(
        &self,
        slug: &str,
        action: Action,
        etag: Option<Generation>,
        change: impl Fn(&mut Tenant) -> Vec<&'static str>,
    ) -> AdminResult<Tenant> {
        let permit = self.permit(Act::Govern)?;
        retrying(|| {
            let mut tenant = permit.tenant(slug)?;
            let expected = tenant.generation;
            check_etag(etag, expected, "tenant", &slug)?;
            let fields = change(&mut tenant);
            if fields.is_empty() {
                return Ok(tenant);
            }
            check(&tenant)?;
            tenant.generation = self.generation()?;
            let details = vec![(DetailKey::Fields, fields.join(","))];
            let event = self.event(action, Subject::Tenant(tenant.id), Some(tenant.id), details);
            permit.store().tenants().update(&tenant, expected, event)?;
            Ok(tenant)
        })
    }
}
