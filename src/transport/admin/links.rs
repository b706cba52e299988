//! Links.

use crate::admin::{Admin, AdminError, AdminResult, JudgedLink, LinkFilter, NewLink};
use crate::pb::admin::v1 as pb;
use crate::transport::admin::Desk;
use crate::transport::admin::convert::{app_id, link_id, required, timestamp, user_id};
use crate::transport::admin::page::Listing;
use crate::transport::admin::urgent::Effect;

pub(super) fn message(tenant: &str, judged: JudgedLink) -> pb::Link {
    let JudgedLink { link, state } = judged;
    pb::Link {
        link_id: link.id.to_string(),
        tenant: tenant.to_owned(),
        issuer: link.issuer,
        app_id: link.app.get(),
        user_id: link.user.get(),
        status: state.as_str().to_owned(),
        created_at: Some(timestamp(link.created_at_ms)),
    }
}

fn given(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

pub(super) fn create(_: &Desk, admin: &Admin, q: pb::CreateLinkRequest) -> AdminResult<pb::CreateLinkResponse> {
    let l = required("link", q.link)?;
    let (app, user) = (app_id("app_id", l.app_id)?, user_id("user_id", l.user_id)?);
    let new = NewLink { issuer: l.issuer, subject: q.subject, app, user };
    let (link, replayed) = match admin.add_link(&l.tenant, &new) {
        Err(AdminError::Replayed { resource }) => (admin.link(&l.tenant, link_id(&resource)?)?, true),
        other => (other?, false),
    };
    Ok(pb::CreateLinkResponse { link: Some(message(&l.tenant, link)), replayed })
}

pub(super) fn get(_: &Desk, admin: &Admin, q: pb::GetLinkRequest) -> AdminResult<pb::Link> {
    Ok(message(&q.tenant, admin.link(&q.tenant, link_id(&q.link_id)?)?))
}

pub(super) fn list(_: &Desk, admin: &Admin, q: pb::ListLinksRequest) -> AdminResult<pb::ListLinksResponse> {
    // A page token says nothing of a subject: where one is given there is one page.
    let listing = Listing::of("ListLinks", &[&q.tenant, &q.issuer]);
    let page = listing.page(q.page_size, &q.page_token)?;
    let filter = LinkFilter { issuer: given(q.issuer), subject: given(q.subject) };
    let listed = admin.list_links(&q.tenant, &filter, page)?;
    let next_page_token = listing.token(listed.next.as_ref());
    let links = listed.rows.into_iter().map(|link| message(&q.tenant, link)).collect();
    Ok(pb::ListLinksResponse { links, next_page_token })
}

pub(super) fn deletes(_: &Desk, admin: &Admin, q: &pb::DeleteLinkRequest) -> AdminResult<Effect> {
    admin.may_remove_link(&q.tenant, link_id(&q.link_id)?).map(Effect::Takes)
}

pub(super) fn delete(_: &Desk, admin: &Admin, q: pb::DeleteLinkRequest) -> AdminResult<pb::DeleteLinkResponse> {
    admin.remove_link(&q.tenant, link_id(&q.link_id)?)?;
    Ok(pb::DeleteLinkResponse {})
}
