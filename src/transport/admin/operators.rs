//! Operators.

use std::collections::HashMap;

use crate::admin::{Admin, AdminError, AdminResult, NewOperator};
use crate::domain::{Operator, TenantId, hex};
use crate::pb::admin::v1 as pb;
use crate::transport::admin::Desk;
use crate::transport::admin::convert::{self, invalid, required, timestamp};
use crate::transport::admin::page::Listing;
use crate::transport::admin::urgent::Effect;

/// With the slugs of its tenants; by id where one is gone.
fn message(admin: &Admin, operator: Operator, slugs: &mut HashMap<TenantId, String>) -> AdminResult<pb::Operator> {
    let mut tenants = Vec::with_capacity(operator.tenants.len());
    for id in &operator.tenants {
        let slug = match slugs.get(id) {
            Some(slug) => slug.clone(),
            None => admin.slug_of(*id)?,
        };
        slugs.insert(*id, slug.clone());
        tenants.push(slug);
    }
    Ok(pb::Operator {
        operator_id: operator.id.to_string(),
        name: operator.name,
        role: convert::role_of(operator.role).into(),
        tenants,
        status: if operator.revoked_at_ms.is_some() { "revoked" } else { "active" }.to_owned(),
        certificate_sha256: operator.certificate.map(|hash| hex::encode(&hash)).unwrap_or_default(),
        created_at: Some(timestamp(operator.created_at_ms)),
        revoked_at: operator.revoked_at_ms.map(timestamp),
        etag: convert::etag(operator.generation),
    })
}

fn one(admin: &Admin, operator: Operator) -> AdminResult<Option<pb::Operator>> {
    message(admin, operator, &mut HashMap::new()).map(Some)
}

pub(super) fn create(_: &Desk, admin: &Admin, q: pb::CreateOperatorRequest) -> AdminResult<pb::CreateOperatorResponse> {
    let o = required("operator", q.operator)?;
    let certificate = match o.certificate_sha256.as_str() {
        "" => None,
        text => Some(hex::array(text).ok_or_else(|| invalid("certificate_sha256", "64 hexadecimal digits, or empty"))?),
    };
    let new = NewOperator { name: o.name, role: convert::role(o.role)?, tenants: o.tenants, certificate };
    match admin.add_operator(&new) {
        Err(AdminError::Replayed { resource }) => {
            let operator = one(admin, admin.operator(&resource)?)?;
            Ok(pb::CreateOperatorResponse { operator, token: String::new(), replayed: true })
        }
        other => {
            let issued = other?;
            let token = convert::shown(&issued.token);
            Ok(pb::CreateOperatorResponse { operator: one(admin, issued.operator)?, token, replayed: false })
        }
    }
}

pub(super) fn get(_: &Desk, admin: &Admin, q: pb::GetOperatorRequest) -> AdminResult<pb::Operator> {
    message(admin, admin.operator(&q.operator)?, &mut HashMap::new())
}

pub(super) fn list(_: &Desk, admin: &Admin, q: pb::ListOperatorsRequest) -> AdminResult<pb::ListOperatorsResponse> {
    let listing = Listing::of("ListOperators", &[]);
    let listed = admin.list_operators(&listing.page(q.page_size, &q.page_token)?)?;
    let (next_page_token, mut slugs) = (listing.token(listed.next.as_ref()), HashMap::new());
    let operators = listed.rows.into_iter().map(|operator| message(admin, operator, &mut slugs));
    Ok(pb::ListOperatorsResponse { operators: operators.collect::<AdminResult<_>>()?, next_page_token })
}

pub(super) fn revokes(desk: &Desk, admin: &Admin, q: &pb::RevokeOperatorRequest) -> AdminResult<Effect> {
    let denied = desk.office.gate().denied();
    admin.may_revoke_operator(&q.operator, |subject| denied.denies([subject])).map(Effect::Takes)
}

pub(super) fn revoke(_: &Desk, admin: &Admin, q: pb::RevokeOperatorRequest) -> AdminResult<pb::RevokeOperatorResponse> {
    let (operator, already) = admin.revoke_operator(&q.operator)?;
    Ok(pb::RevokeOperatorResponse { operator: one(admin, operator)?, already })
}
