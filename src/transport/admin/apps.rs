//! Apps.

use crate::admin::{Admin, AdminError, AdminResult, AppChanges, NewApp};
use crate::domain::{App, AppId, UserId};
use crate::pb::admin::v1 as pb;
use crate::transport::admin::Desk;
use crate::transport::admin::convert::{self, Chosen, app_id, invalid, required};
use crate::transport::admin::page::Listing;
use crate::transport::admin::urgent::Effect;

pub(super) fn message(tenant: &str, app: App) -> pb::App {
    let llm = |grant: crate::domain::LlmGrant| pb::LlmGrant { id: grant.id.get(), slug: grant.slug };
    pb::App {
        tenant: tenant.to_owned(),
        app_id: app.id.get(),
        name: app.name,
        description: app.description,
        owner_email: app.owner_email,
        owner_user_id: app.owner.map_or(0, UserId::get),
        active: app.active,
        llms: app.llms.into_iter().map(llm).collect(),
        monthly_budget: app.monthly_budget,
        rate_limit: app.rate_limit,
        metadata: app.metadata,
        etag: convert::etag(app.generation),
        host_active: app.host.active,
        host_gone_at: app.host.gone_at_ms.map(convert::timestamp),
        tool_ids: app.tools,
        datasource_ids: app.datasources,
    }
}

fn grants(llms: Vec<pb::LlmGrant>) -> AdminResult<Vec<crate::domain::LlmGrant>> {
    llms.into_iter().map(convert::llm).collect()
}

pub(super) fn create(_: &Desk, admin: &Admin, q: pb::CreateAppRequest) -> AdminResult<pb::CreateAppResponse> {
    let a = required("app", q.app)?;
    let new = NewApp {
        id: app_id("app_id", a.app_id)?,
        name: a.name,
        description: a.description,
        owner_email: a.owner_email,
        owner: UserId::new(a.owner_user_id),
        active: a.active,
        monthly_budget: a.monthly_budget,
        rate_limit: a.rate_limit,
        metadata: a.metadata,
        llms: grants(a.llms)?,
    };
    let (app, replayed) = match admin.add_app(&a.tenant, &new) {
        Err(AdminError::Replayed { resource }) => {
            let id: AppId = resource.parse().map_err(|_| invalid("request_id", "made something else"))?;
            (admin.app(&a.tenant, id)?, true)
        }
        other => (other?, false),
    };
    Ok(pb::CreateAppResponse { app: Some(message(&a.tenant, app)), replayed })
}

pub(super) fn get(_: &Desk, admin: &Admin, q: pb::GetAppRequest) -> AdminResult<pb::App> {
    Ok(message(&q.tenant, admin.app(&q.tenant, app_id("app_id", q.app_id)?)?))
}

pub(super) fn list(_: &Desk, admin: &Admin, q: pb::ListAppsRequest) -> AdminResult<pb::ListAppsResponse> {
    let listing = Listing::of("ListApps", &[&q.tenant]);
    let listed = admin.list_apps(&q.tenant, listing.page(q.page_size, &q.page_token)?)?;
    let next_page_token = listing.token(listed.next.as_ref());
    let apps = listed.rows.into_iter().map(|app| message(&q.tenant, app)).collect();
    Ok(pb::ListAppsResponse { apps, next_page_token })
}

pub(super) fn unclaimed(
    _: &Desk,
    admin: &Admin,
    q: pb::ListUnclaimedAppsRequest,
) -> AdminResult<pb::ListUnclaimedAppsResponse> {
    let listing = Listing::of("ListUnclaimedApps", &[]);
    let (listed, synced) = admin.list_unclaimed_apps(listing.page(q.page_size, &q.page_token)?)?;
    let next_page_token = listing.token(listed.next.as_ref());
    let apps = listed.rows.into_iter().map(|app| pb::UnclaimedApp {
        app_id: app.id.get(),
        name: app.name,
        namespace: app.namespace,
        owner_user_id: app.owner.map_or(0, UserId::get),
        active: app.active,
    });
    let synced_at = synced.map(|sync| convert::timestamp(sync.finished_at_ms));
    Ok(pb::ListUnclaimedAppsResponse { apps: apps.collect(), next_page_token, synced_at })
}

/// Whether an update switches it off or on.
pub(super) fn switches(_: &Desk, admin: &Admin, q: &pb::UpdateAppRequest) -> AdminResult<Effect> {
    let Some(app) = &q.app else { return Ok(Effect::Neither) };
    Effect::switching(q.update_mask.as_ref(), app.active, || {
        admin.may_switch_app(&app.tenant, app_id("app_id", app.app_id)?, false)
    })
}

pub(super) fn deletes(_: &Desk, admin: &Admin, q: &pb::DeleteAppRequest) -> AdminResult<Effect> {
    admin.may_switch_app(&q.tenant, app_id("app_id", q.app_id)?, true).map(Effect::Takes)
}

pub(super) fn update(_: &Desk, admin: &Admin, q: pb::UpdateAppRequest) -> AdminResult<pb::App> {
    let a = required("app", q.app)?;
    let fields = [
        ("name", !a.name.is_empty()),
        ("description", !a.description.is_empty()),
        ("owner_email", !a.owner_email.is_empty()),
        ("owner_user_id", a.owner_user_id != 0),
        ("active", a.active),
        ("llms", !a.llms.is_empty()),
        ("monthly_budget", a.monthly_budget != 0.0),
        ("rate_limit", a.rate_limit != 0),
        ("metadata", !a.metadata.is_empty()),
    ];
    let chosen = Chosen::new(q.update_mask, &fields)?;
    let changes = AppChanges {
        name: chosen.take("name", a.name),
        description: chosen.take("description", a.description),
        owner_email: chosen.take("owner_email", a.owner_email),
        owner: chosen.take("owner_user_id", UserId::new(a.owner_user_id)),
        active: chosen.take("active", a.active),
        monthly_budget: chosen.take("monthly_budget", a.monthly_budget),
        rate_limit: chosen.take("rate_limit", a.rate_limit),
        metadata: chosen.take("metadata", a.metadata),
        llms: chosen.take("llms", grants(a.llms)?),
        etag: convert::generation(&a.etag)?,
    };
    Ok(message(&a.tenant, admin.set_app(&a.tenant, app_id("app_id", a.app_id)?, &changes)?))
}

pub(super) fn delete(_: &Desk, admin: &Admin, q: pb::DeleteAppRequest) -> AdminResult<pb::DeleteAppResponse> {
    admin.remove_app(&q.tenant, app_id("app_id", q.app_id)?)?;
    Ok(pb::DeleteAppResponse {})
}
