//! Users.

use crate::admin::{Admin, AdminError, AdminResult, NewUser, UserChanges};
use crate::domain::{User, UserId};
use crate::pb::admin::v1 as pb;
use crate::transport::admin::Desk;
use crate::transport::admin::convert::{self, Chosen, invalid, required, user_id};
use crate::transport::admin::page::Listing;
use crate::transport::admin::urgent::Effect;

pub(super) fn message(tenant: &str, user: User) -> pb::User {
    let User { id, email, name, active, metadata, generation, host, .. } = user;
    let (tenant, etag) = (tenant.to_owned(), convert::etag(generation));
    let (host_active, host_gone_at) = (host.active, host.gone_at_ms.map(convert::timestamp));
    pb::User { tenant, user_id: id.get(), email, name, active, metadata, etag, host_active, host_gone_at }
}

pub(super) fn create(_: &Desk, admin: &Admin, q: pb::CreateUserRequest) -> AdminResult<pb::CreateUserResponse> {
    let u = required("user", q.user)?;
    let id = user_id("user_id", u.user_id)?;
    let new = NewUser { id, email: u.email, name: u.name, active: u.active, metadata: u.metadata };
    let (user, replayed) = match admin.add_user(&u.tenant, &new) {
        Err(AdminError::Replayed { resource }) => {
            let id: UserId = resource.parse().map_err(|_| invalid("request_id", "made something else"))?;
            (admin.user(&u.tenant, id)?, true)
        }
        other => (other?, false),
    };
    Ok(pb::CreateUserResponse { user: Some(message(&u.tenant, user)), replayed })
}

pub(super) fn get(_: &Desk, admin: &Admin, q: pb::GetUserRequest) -> AdminResult<pb::User> {
    Ok(message(&q.tenant, admin.user(&q.tenant, user_id("user_id", q.user_id)?)?))
}

pub(super) fn list(_: &Desk, admin: &Admin, q: pb::ListUsersRequest) -> AdminResult<pb::ListUsersResponse> {
    let listing = Listing::of("ListUsers", &[&q.tenant]);
    let listed = admin.list_users(&q.tenant, listing.page(q.page_size, &q.page_token)?)?;
    let next_page_token = listing.token(listed.next.as_ref());
    let users = listed.rows.into_iter().map(|user| message(&q.tenant, user)).collect();
    Ok(pb::ListUsersResponse { users, next_page_token })
}

/// Whether an update switches it off or on.
pub(super) fn switches(_: &Desk, admin: &Admin, q: &pb::UpdateUserRequest) -> AdminResult<Effect> {
    let Some(user) = &q.user else { return Ok(Effect::Neither) };
    Effect::switching(q.update_mask.as_ref(), user.active, || {
        admin.may_switch_user(&user.tenant, user_id("user_id", user.user_id)?, false)
    })
}

pub(super) fn deletes(_: &Desk, admin: &Admin, q: &pb::DeleteUserRequest) -> AdminResult<Effect> {
    admin.may_switch_user(&q.tenant, user_id("user_id", q.user_id)?, true).map(Effect::Takes)
}

pub(super) fn update(_: &Desk, admin: &Admin, q: pb::UpdateUserRequest) -> AdminResult<pb::User> {
    let u = required("user", q.user)?;
    let fields = [
        ("email", !u.email.is_empty()),
        ("name", !u.name.is_empty()),
        ("active", u.active),
        ("metadata", !u.metadata.is_empty()),
    ];
    let chosen = Chosen::new(q.update_mask, &fields)?;
    let changes = UserChanges {
        email: chosen.take("email", u.email),
        name: chosen.take("name", u.name),
        active: chosen.take("active", u.active),
        metadata: chosen.take("metadata", u.metadata),
        etag: convert::generation(&u.etag)?,
    };
    Ok(message(&u.tenant, admin.set_user(&u.tenant, user_id("user_id", u.user_id)?, &changes)?))
}

pub(super) fn delete(_: &Desk, admin: &Admin, q: pb::DeleteUserRequest) -> AdminResult<pb::DeleteUserResponse> {
    admin.remove_user(&q.tenant, user_id("user_id", q.user_id)?)?;
    Ok(pb::DeleteUserResponse {})
}
