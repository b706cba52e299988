//! Credentials: issue, read, change, rotate, revoke.

use ipnet::IpNet;

use crate::admin::{Admin, AdminError, AdminResult, IssueRequest, KeyChanges, KeyFilter, RotateRequest};
use crate::domain::imported::Proof;
use crate::domain::{AppId, Credential, Status, UserId};
use crate::pb::admin::v1 as pb;
use crate::transport::admin::Desk;
use crate::transport::admin::convert::{self, Chosen, app_id, invalid, required, timestamp, user_id};
use crate::transport::admin::page::Listing;
use crate::transport::admin::urgent::Effect;

pub(super) fn message(tenant: &str, credential: Credential, now_ms: i64) -> pb::Credential {
    let state = credential.check_validity(now_ms);
    let (revoked_at, reason) = match credential.status {
        Status::Active => (None, pb::RevocationReason::Unspecified),
        Status::Revoked { at_ms, reason } => (Some(timestamp(at_ms)), convert::reason_of(reason)),
    };
    let text = |id: crate::domain::CredentialId| id.to_string();
    pb::Credential {
        credential_id: credential.id.to_string(),
        tenant: tenant.to_owned(),
        app_id: credential.app.get(),
        user_id: credential.user.get(),
        label: credential.label,
        environment: convert::environment_of(credential.environment).into(),
        status: state.map_or_else(crate::domain::Reason::code, |()| "active").to_owned(),
        scopes: credential.scopes,
        cidrs: credential.cidrs.iter().map(ToString::to_string).collect(),
        not_before: credential.not_before_ms.map(timestamp),
        expires_at: credential.expires_at_ms.map(timestamp),
        revoked_at,
        revocation_reason: reason.into(),
        replaces: credential.replaces.map(text).unwrap_or_default(),
        replaced_by: credential.replaced.map(|replaced| text(replaced.by)).unwrap_or_default(),
        grace_until: credential.replaced.map(|replaced| timestamp(replaced.grace_until_ms)),
        decoy: credential.decoy,
        proof: match (&credential.verifier.tag, &credential.verifier.prehash) {
            (Some(_), _) => "tag",
            (None, Some(prehash)) if matches!(prehash.proof, Proof::Key { .. }) => "hash_of_another_system",
            (None, _) => "slow_hash",
        }
        .to_owned(),
        last_used_at: credential.last_used_at_ms.map(timestamp),
        created_by: credential.created_by,
        created_at: Some(timestamp(credential.created_at_ms)),
        etag: convert::etag(credential.generation),
    }
}

/// With the slug of its tenant.
fn described(admin: &Admin, credential: Credential) -> AdminResult<pb::Credential> {
    Ok(message(&admin.tenant_of(&credential)?, credential, admin.now_ms()))
}

fn cidrs(texts: &[String]) -> AdminResult<Vec<IpNet>> {
    let read = texts.iter().map(|text| text.parse().ok()).collect::<Option<Vec<_>>>();
    read.ok_or_else(|| invalid("cidrs", "ranges such as 10.0.0.0/8"))
}

pub(super) fn issue(
    _: &Desk,
    admin: &Admin,
    q: pb::IssueCredentialRequest,
) -> AdminResult<pb::IssueCredentialResponse> {
    let c = required("credential", q.credential)?;
    let request = IssueRequest {
        app: app_id("app_id", c.app_id)?,
        user: user_id("user_id", c.user_id)?,
        label: c.label,
        environment: convert::environment(c.environment)?,
        scopes: c.scopes,
        cidrs: cidrs(&c.cidrs)?,
        not_before_ms: convert::optional_ms("not_before", c.not_before.as_ref())?,
        expires_at_ms: convert::end_ms(c.expires_at.as_ref(), q.expires_in_seconds, admin.now_ms())?,
        decoy: c.decoy,
        cost: convert::cost(q.argon2),
    };
    match admin.issue_key(&c.tenant, &request) {
        Err(AdminError::Replayed { resource }) => {
            let credential = described(admin, admin.key(convert::credential_id(&resource)?)?)?;
            Ok(pb::IssueCredentialResponse { credential: Some(credential), key: String::new(), replayed: true })
        }
        other => {
            let issued = other?;
            let credential = Some(message(&c.tenant, issued.credential, admin.now_ms()));
            Ok(pb::IssueCredentialResponse { credential, key: convert::shown(&issued.key), replayed: false })
        }
    }
}

pub(super) fn get(_: &Desk, admin: &Admin, q: pb::GetCredentialRequest) -> AdminResult<pb::Credential> {
    described(admin, admin.key(convert::credential_id(&q.credential_id)?)?)
}

pub(super) fn list(_: &Desk, admin: &Admin, q: pb::ListCredentialsRequest) -> AdminResult<pb::ListCredentialsResponse> {
    let (app, user, weak) = (q.app_id.to_string(), q.user_id.to_string(), q.weak.to_string());
    let listing = Listing::of("ListCredentials", &[&q.tenant, &app, &user, &weak]);
    let filter = KeyFilter { app: AppId::new(q.app_id), user: UserId::new(q.user_id), weak: q.weak };
    let listed = admin.list_keys(&q.tenant, &filter, listing.page(q.page_size, &q.page_token)?)?;
    let (next_page_token, now_ms) = (listing.token(listed.next.as_ref()), admin.now_ms());
    let credentials = listed.rows.into_iter().map(|row| message(&q.tenant, row, now_ms)).collect();
    Ok(pb::ListCredentialsResponse { credentials, next_page_token })
}

pub(super) fn update(_: &Desk, admin: &Admin, q: pb::UpdateCredentialRequest) -> AdminResult<pb::Credential> {
    let c = required("credential", q.credential)?;
    let end_ms = convert::end_ms(c.expires_at.as_ref(), q.expires_in_seconds, admin.now_ms())?;
    let fields = [
        ("label", !c.label.is_empty()),
        ("scopes", !c.scopes.is_empty()),
        ("cidrs", !c.cidrs.is_empty()),
        ("not_before", c.not_before.is_some()),
        ("expires_at", end_ms.is_some()),
    ];
    let chosen = Chosen::new(q.update_mask, &fields)?;
    if end_ms.is_some() && !chosen.has("expires_at") {
        return Err(invalid("update_mask", "a new expiry is given and expires_at not named"));
    }
    let changes = KeyChanges {
        label: chosen.take("label", c.label),
        scopes: chosen.take("scopes", c.scopes),
        cidrs: chosen.take("cidrs", cidrs(&c.cidrs)?),
        not_before_ms: chosen.take("not_before", convert::optional_ms("not_before", c.not_before.as_ref())?),
        expires_at_ms: chosen.take("expires_at", end_ms),
        etag: convert::generation(&c.etag)?,
    };
    described(admin, admin.change_key(convert::credential_id(&c.credential_id)?, &changes)?)
}

pub(super) fn rotate(
    _: &Desk,
    admin: &Admin,
    q: pb::RotateCredentialRequest,
) -> AdminResult<pb::RotateCredentialResponse> {
    let id = convert::credential_id(&q.credential_id)?;
    let grace_ms = i64::try_from(q.grace_seconds).ok().and_then(|seconds| seconds.checked_mul(1_000));
    let request = RotateRequest {
        grace_ms: grace_ms.ok_or_else(|| invalid("grace_seconds", "at most a year"))?,
        expires_at_ms: convert::end_ms(q.expires_at.as_ref(), q.expires_in_seconds, admin.now_ms())?,
        cost: convert::cost(q.argon2),
        etag: convert::generation(&q.etag)?,
    };
    let (new, key, old, again) = match admin.rotate_key(id, request) {
        Err(AdminError::Replayed { resource }) => {
            let new = admin.key(convert::credential_id(&resource)?)?;
            (new, String::new(), admin.key(id)?, true)
        }
        other => {
            let rotated = other?;
            (rotated.new.credential, convert::shown(&rotated.new.key), rotated.old, false)
        }
    };
    let (credential, replaced) = (Some(described(admin, new)?), Some(described(admin, old)?));
    Ok(pb::RotateCredentialResponse { credential, key, replayed: again, replaced })
}

pub(super) fn revokes(_: &Desk, admin: &Admin, q: &pb::RevokeCredentialRequest) -> AdminResult<Effect> {
    convert::reason(q.reason)?;
    admin.may_revoke_key(convert::credential_id(&q.credential_id)?).map(Effect::Takes)
}

pub(super) fn revoke(
    _: &Desk,
    admin: &Admin,
    q: pb::RevokeCredentialRequest,
) -> AdminResult<pb::RevokeCredentialResponse> {
    let revoked = admin.revoke_key(convert::credential_id(&q.credential_id)?, convert::reason(q.reason)?)?;
    let credential = Some(described(admin, revoked.credential)?);
    Ok(pb::RevokeCredentialResponse { credential, already: revoked.already })
}
