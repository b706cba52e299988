//! The audit trail and the decision log.

use crate::admin::audit_log::{EventFilter, Exported};
use crate::admin::{Admin, AdminResult, DecisionFilter};
use crate::audit::chain::Damage;
use crate::audit::checkpoint::{Checkpoint, PublicKey};
use crate::audit::lines::{EventLine, Header};
use crate::audit::verify::{Trust, Verified};
use crate::clock::rfc3339;
use crate::domain::{Action, hex};
use crate::pb::admin::v1 as pb;
use crate::store::ChainedEvent;
use crate::transport::admin::Desk;
use crate::transport::admin::convert::{self, invalid, required, timestamp};
use crate::transport::admin::page::Listing;

/// Anchors that are compared in one call.
pub const MAX_ANCHORS: usize = 5_000;
/// Bytes of lines that are sent at once.
const PIECE: usize = 64 * 1024;

pub(super) fn event(chained: ChainedEvent) -> pb::AuditEvent {
    let ChainedEvent { sequence, event, hash } = chained;
    let detail =
        |(key, value): (crate::domain::event::DetailKey, String)| pb::Detail { key: key.as_str().to_owned(), value };
    pb::AuditEvent {
        sequence,
        at: Some(timestamp(event.at_ms)),
        actor: event.actor.to_text(),
        action: event.action.as_str().to_owned(),
        subject_kind: event.subject.kind().to_owned(),
        subject_id: event.subject.id_text(),
        tenant_id: event.tenant.map(|tenant| tenant.to_string()).unwrap_or_default(),
        details: event.details.into_iter().map(detail).collect(),
        request_id: event.request_id,
        hash: hex::encode(&hash),
    }
}

pub(super) fn filter(admin: &Admin, filter: Option<pb::AuditFilter>) -> AdminResult<EventFilter> {
    let pb::AuditFilter { tenant, action, actor, subject, since, until } = filter.unwrap_or_default();
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    let action = match action.as_str() {
        "" => None,
        text => Some(Action::parse(text).ok_or_else(|| {
            let all: Vec<&str> = Action::ALL.iter().map(|action| action.as_str()).collect();
            invalid("action", format!("one of {}", all.join(", ")))
        })?),
    };
    Ok(EventFilter {
        tenant: given(tenant).map(|slug| admin.tenant(&slug)).transpose()?.map(|tenant| tenant.id),
        action,
        actor: given(actor),
        subject: given(subject),
        since_ms: convert::optional_ms("since", since.as_ref())?,
        until_ms: convert::optional_ms("until", until.as_ref())?,
    })
}

pub(super) fn list(_: &Desk, admin: &Admin, q: pb::ListAuditEventsRequest) -> AdminResult<pb::ListAuditEventsResponse> {
    // What it was asked with, in a fixed order of fields.
    let asked = q.filter.as_ref().map(prost::Message::encode_to_vec).unwrap_or_default();
    let listing = Listing::of("ListAuditEvents", &[&hex::encode(&asked)]);
    let page = listing.page::<u64>(q.page_size, &q.page_token)?;
    let filter = filter(admin, q.filter)?;
    let found = admin.events(&filter, page.after.unwrap_or(q.after), page.limit as usize)?;
    let next_page_token = listing.token(Some(&found.scanned_to).filter(|_| found.more));
    Ok(pb::ListAuditEventsResponse { events: found.events.into_iter().map(event).collect(), next_page_token })
}

pub(super) fn public_key(text: &str) -> AdminResult<PublicKey> {
    hex::array(text).ok_or_else(|| invalid("public_key", "64 hexadecimal digits"))
}

pub(super) fn verify(
    desk: &Desk,
    admin: &Admin,
    q: pb::VerifyAuditTrailRequest,
) -> AdminResult<pb::VerifyAuditTrailResponse> {
    if q.anchors.len() > MAX_ANCHORS {
        return Err(invalid("anchors", format!("at most {MAX_ANCHORS}")));
    }
    let _turn = desk.long_call()?;
    let anchors = q.anchors.iter().enumerate().map(|(number, line)| {
        Checkpoint::parse(line).ok_or_else(|| invalid("anchors", format!("the one of index {number} is no checkpoint")))
    });
    let anchors = anchors.collect::<AdminResult<Vec<_>>>()?;
    let trust = if q.public_key.is_empty() { Trust::First } else { Trust::Key(public_key(&q.public_key)?) };
    Ok(verdict(&trust, &admin.verify_trail(&trust, anchors)?))
}

/// What a walk over a trail came to.
pub fn verdict(trust: &Trust, result: &Result<Verified, Damage>) -> pb::VerifyAuditTrailResponse {
    let (verified, damage) = (result.as_ref().ok(), result.as_ref().err());
    let signed = verified.and_then(|verified| verified.signed_up_to);
    pb::VerifyAuditTrailResponse {
        consistent: damage.is_none(),
        statement: match result {
            Ok(verified) => verified.statement(),
            Err(damage) => damage.to_string(),
        },
        damage: damage.map(Damage::kind).unwrap_or_default().to_owned(),
        first_bad_event: damage.map(Damage::sequence),
        first_event: verified.map(|verified| verified.first),
        last_event: verified.map(|verified| verified.last),
        head: verified.map(|verified| hex::encode(&verified.head)).unwrap_or_default(),
        signed_up_to: signed.map(|(sequence, _)| sequence),
        signed_at: signed.map(|(_, at_ms)| timestamp(at_ms)),
        anchors: verified.map(|verified| verified.anchors),
        trusted_key: match trust {
            Trust::Key(key) => hex::encode(key),
            Trust::First => String::new(),
        },
    }
}

/// The trail as lines, in pieces, until `send` wants no more.
pub(super) fn export(admin: &Admin, send: &dyn Fn(pb::ExportAuditTrailResponse) -> bool) -> AdminResult<()> {
    let (mut lines, mut events, mut wanted) = (Vec::with_capacity(PIECE), 0, true);
    let mut flush = |lines: &mut Vec<u8>, events: u64| {
        wanted = wanted && send(pb::ExportAuditTrailResponse { lines: std::mem::take(lines), events });
        wanted
    };
    admin.export_trail(|part| {
        let text = match part {
            Exported::Beginning(beginning, base) => {
                serde_json::to_string(&Header::new(beginning, base)).unwrap_or_default()
            }
            Exported::Event(chained) => {
                events += 1;
                let at = rfc3339(chained.event.at_ms);
                let line = EventLine::new(chained.sequence, &chained.event, &chained.hash, at);
                serde_json::to_string(&line).unwrap_or_default()
            }
            Exported::Checkpoint(checkpoint) => checkpoint.to_line(),
        };
        lines.extend_from_slice(text.as_bytes());
        lines.push(b'\n');
        if lines.len() >= PIECE && !flush(&mut lines, events) {
            return Err(crate::admin::AdminError::Unavailable("the caller went away".to_owned()));
        }
        Ok(())
    })?;
    flush(&mut lines, events);
    Ok(())
}

pub(super) fn checkpoint(
    _: &Desk,
    admin: &Admin,
    _: pb::CreateAuditCheckpointRequest,
) -> AdminResult<pb::AuditCheckpoint> {
    let signed = admin.sign_trail()?;
    Ok(pb::AuditCheckpoint {
        sequence: signed.sequence,
        head: hex::encode(&signed.head),
        at: Some(timestamp(signed.at_ms)),
        public_key: hex::encode(&signed.key),
        line: signed.to_line(),
    })
}

pub(super) fn key(_: &Desk, admin: &Admin, _: pb::GetAuditPublicKeyRequest) -> AdminResult<pb::AuditPublicKey> {
    Ok(pb::AuditPublicKey { public_key: hex::encode(&admin.audit_public_key()?) })
}

pub(super) fn rotate_key(
    _: &Desk,
    admin: &Admin,
    _: pb::RotateAuditKeyRequest,
) -> AdminResult<pb::RotateAuditKeyResponse> {
    let (old, new) = admin.rotate_audit_key()?;
    Ok(pb::RotateAuditKeyResponse { public_key: hex::encode(&new), replaced: hex::encode(&old) })
}

pub(super) fn prune(
    desk: &Desk,
    admin: &Admin,
    q: pb::PruneAuditTrailRequest,
) -> AdminResult<pb::PruneAuditTrailResponse> {
    let _turn = desk.long_call()?;
    let before_ms = convert::moment_ms("before", &required("before", q.before)?)?;
    let (given_up, base) = admin.prune_trail(before_ms)?;
    Ok(pb::PruneAuditTrailResponse { given_up, up_to: base.sequence, base: base.to_line() })
}

pub(super) fn decisions(
    _: &Desk,
    admin: &Admin,
    q: pb::ListDecisionsRequest,
) -> AdminResult<pb::ListDecisionsResponse> {
    let (since, until) =
        (convert::optional_ms("since", q.since.as_ref())?, convert::optional_ms("until", q.until.as_ref())?);
    let asked = format!("{since:?} {until:?}");
    let listing = Listing::of("ListDecisions", &[&q.reason, &q.credential_id, &asked]);
    let page = listing.page::<u64>(q.page_size, &q.page_token)?;
    let credential =
        Some(q.credential_id.as_str()).filter(|id| !id.is_empty()).map(convert::credential_id).transpose()?;
    let reason = Some(q.reason).filter(|reason| !reason.is_empty());
    let filter = DecisionFilter { reason, credential, since_ms: since, until_ms: until };
    let found = admin.decisions(&filter, page.after.unwrap_or(0), page.limit)?;
    let next = found.last().map(|last| last.sequence).filter(|_| found.len() >= page.limit as usize);
    let decisions = found.into_iter().map(|row| pb::Decision {
        sequence: row.sequence,
        at: Some(timestamp(row.at_ms)),
        kind: row.kind,
        reason: row.reason,
        stage: row.stage,
        credential_id: row.credential.map(|id| id.to_string()).unwrap_or_default(),
        tenant_id: row.tenant.map(|id| id.to_string()).unwrap_or_default(),
        app_id: row.app.unwrap_or(0),
        user_id: row.user.unwrap_or(0),
        request_id: row.request_id,
        source: row.source,
        calls: row.calls,
    });
    Ok(pb::ListDecisionsResponse { decisions: decisions.collect(), next_page_token: listing.token(next.as_ref()) })
}
