//! Tenants.

use crate::admin::{Admin, AdminError, AdminResult, NewTenant, TenantChanges};
use crate::domain::key_format::DEFAULT_PREFIX;
use crate::domain::{Tenant, TenantStatus};
use crate::pb::admin::v1 as pb;
use crate::transport::admin::Desk;
use crate::transport::admin::convert::{self, Chosen, required};
use crate::transport::admin::page::Listing;
use crate::transport::admin::urgent::Effect;

pub(super) fn message(tenant: Tenant) -> pb::Tenant {
    pb::Tenant {
        tenant_id: tenant.id.to_string(),
        tenant: tenant.slug,
        name: tenant.name,
        status: convert::tenant_status_of(tenant.status).into(),
        key_prefix: tenant.key_prefix,
        llm_grants: convert::llm_grants_of(tenant.llm_grants).into(),
        namespaces: tenant.namespaces,
        created_at: Some(convert::timestamp(tenant.created_at_ms)),
        etag: convert::etag(tenant.generation),
    }
}

pub(super) fn create(_: &Desk, admin: &Admin, q: pb::CreateTenantRequest) -> AdminResult<pb::CreateTenantResponse> {
    let new = required("tenant", q.tenant)?;
    let prefix = if new.key_prefix.is_empty() { DEFAULT_PREFIX.to_owned() } else { new.key_prefix };
    let new = NewTenant {
        slug: new.tenant,
        name: new.name,
        key_prefix: prefix,
        llm_grants: convert::llm_grants(new.llm_grants)?,
        namespaces: new.namespaces,
    };
    let (tenant, replayed) = match admin.create_tenant(&new) {
        Err(AdminError::Replayed { resource }) => (admin.tenant(&resource)?, true),
        other => (other?, false),
    };
    Ok(pb::CreateTenantResponse { tenant: Some(message(tenant)), replayed })
}

pub(super) fn get(_: &Desk, admin: &Admin, q: pb::GetTenantRequest) -> AdminResult<pb::Tenant> {
    Ok(message(admin.tenant(&q.tenant)?))
}

pub(super) fn list(_: &Desk, admin: &Admin, q: pb::ListTenantsRequest) -> AdminResult<pb::ListTenantsResponse> {
    let listing = Listing::of("ListTenants", &[]);
    let listed = admin.list_tenants(listing.page(q.page_size, &q.page_token)?)?;
    let next_page_token = listing.token(listed.next.as_ref());
    Ok(pb::ListTenantsResponse { tenants: listed.rows.into_iter().map(message).collect(), next_page_token })
}

pub(super) fn update(_: &Desk, admin: &Admin, q: pb::UpdateTenantRequest) -> AdminResult<pb::Tenant> {
    let t = required("tenant", q.tenant)?;
    let fields = [
        ("name", !t.name.is_empty()),
        ("key_prefix", !t.key_prefix.is_empty()),
        ("llm_grants", t.llm_grants != 0),
        ("namespaces", !t.namespaces.is_empty()),
    ];
    let chosen = Chosen::new(q.update_mask, &fields)?;
    let changes = TenantChanges {
        name: chosen.take("name", t.name),
        key_prefix: chosen.take("key_prefix", t.key_prefix),
        llm_grants: chosen.take("llm_grants", convert::llm_grants(t.llm_grants)?),
        namespaces: chosen.take("namespaces", t.namespaces),
        etag: convert::generation(&t.etag)?,
    };
    Ok(message(admin.set_tenant(&t.tenant, &changes)?))
}

pub(super) fn suspends(_: &Desk, admin: &Admin, q: &pb::SuspendTenantRequest) -> AdminResult<Effect> {
    admin.may_suspend(&q.tenant).map(Effect::Takes)
}

pub(super) fn resumes(_: &Desk, admin: &Admin, q: &pb::ResumeTenantRequest) -> AdminResult<Effect> {
    admin.may_suspend(&q.tenant).map(Effect::Gives)
}

pub(super) fn suspend(_: &Desk, admin: &Admin, q: pb::SuspendTenantRequest) -> AdminResult<pb::Tenant> {
    Ok(message(admin.set_tenant_status(&q.tenant, TenantStatus::Suspended)?))
}

pub(super) fn resume(_: &Desk, admin: &Admin, q: pb::ResumeTenantRequest) -> AdminResult<pb::Tenant> {
    Ok(message(admin.set_tenant_status(&q.tenant, TenantStatus::Active)?))
}
