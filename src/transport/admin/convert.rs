//! Between messages of the wire and what the use cases take.

use prost_types::{FieldMask, Timestamp};

use crate::admin::{AdminError, AdminResult};
use crate::domain::hex;
use crate::domain::{
    AppId, CredentialId, Environment, Generation, IssuerId, LinkId, LlmGrants, LlmId, Role, TenantStatus, TokenId,
    UserId,
};
use crate::pb::admin::v1 as pb;
use crate::secret::{Kind, Secret};
use crate::verify::argon::{Cost, DEFAULT_COST};

/// The longest request id, in bytes.
const MAX_REQUEST_ID: usize = 128;

pub(super) fn invalid(field: &'static str, problem: impl Into<String>) -> AdminError {
    AdminError::Invalid { field, problem: problem.into() }
}

/// A part of a message that must be there.
pub(super) fn required<T>(field: &'static str, part: Option<T>) -> AdminResult<T> {
    part.ok_or_else(|| invalid(field, "must be given"))
}

pub(super) fn app_id(field: &'static str, id: u32) -> AdminResult<AppId> {
    AppId::new(id).ok_or_else(|| invalid(field, "a number from 1 to 4294967295"))
}

pub(super) fn user_id(field: &'static str, id: u32) -> AdminResult<UserId> {
    UserId::new(id).ok_or_else(|| invalid(field, "a number from 1 to 4294967295"))
}

pub(super) fn credential_id(id: &str) -> AdminResult<CredentialId> {
    id.parse().map_err(|error: crate::domain::ids::IdError| invalid("credential_id", error.to_string()))
}

pub(super) fn link_id(id: &str) -> AdminResult<LinkId> {
    id.parse().map_err(|error: crate::domain::ids::IdError| invalid("link_id", error.to_string()))
}

pub(super) fn issuer_id(id: &str) -> AdminResult<IssuerId> {
    id.parse().map_err(|error: crate::domain::ids::IdError| invalid("issuer_id", error.to_string()))
}

pub(super) fn token_id(id: &str) -> AdminResult<TokenId> {
    id.parse().map_err(|error: crate::domain::ids::IdError| invalid("token_id", error.to_string()))
}

pub(super) fn llm(grant: pb::LlmGrant) -> AdminResult<crate::domain::LlmGrant> {
    let id = LlmId::new(grant.id).ok_or_else(|| invalid("llms", "an id from 1 to 4294967295"))?;
    match grant.slug {
        Some(slug) if slug.is_empty() => Err(invalid("llms", "a slug that is given is not empty")),
        slug => Ok(crate::domain::LlmGrant { id, slug }),
    }
}

/// Milliseconds since the epoch. What is finer is refused rather than rounded.
pub(super) fn moment_ms(field: &'static str, moment: &Timestamp) -> AdminResult<i64> {
    let wrong = || invalid(field, "a time from 1970 to 9999, in whole milliseconds");
    let nanos = u32::try_from(moment.nanos).map_err(|_| wrong())?;
    let ms = moment.seconds.checked_mul(1_000).and_then(|ms| ms.checked_add(i64::from(nanos / 1_000_000)));
    match ms {
        Some(ms) if nanos % 1_000_000 == 0 && (0..=crate::admin::limits::MAX_TIME_MS).contains(&ms) => Ok(ms),
        _ => Err(wrong()),
    }
}

pub(super) fn optional_ms(field: &'static str, moment: Option<&Timestamp>) -> AdminResult<Option<i64>> {
    moment.map(|moment| moment_ms(field, moment)).transpose()
}

/// A moment as the wire has it.
pub fn timestamp(ms: i64) -> Timestamp {
    let nanos = i32::try_from(ms.rem_euclid(1_000)).unwrap_or(0) * 1_000_000;
    Timestamp { seconds: ms.div_euclid(1_000), nanos }
}

/// A moment of the wire in milliseconds since the epoch; what is finer is left out.
pub fn ms(moment: &Timestamp) -> i64 {
    moment.seconds.saturating_mul(1_000).saturating_add(i64::from(moment.nanos) / 1_000_000)
}

/// The end that was asked for, as a moment or as a length of time from now.
pub(super) fn end_ms(moment: Option<&Timestamp>, in_seconds: u64, now_ms: i64) -> AdminResult<Option<i64>> {
    match (moment, in_seconds) {
        (Some(_), 1..) => Err(invalid("expires_in_seconds", "not beside expires_at")),
        (moment, 0) => optional_ms("expires_at", moment),
        (None, seconds) => {
            let end =
                i64::try_from(seconds).ok().and_then(|s| s.checked_mul(1_000)).and_then(|ms| ms.checked_add(now_ms));
            end.map(Some).ok_or_else(|| invalid("expires_in_seconds", "lies too far in the future"))
        }
    }
}

/// What a row was when it was read, as text.
pub(super) fn etag(generation: Generation) -> String {
    hex::encode(&generation.0.to_be_bytes())
}

pub(super) fn generation(etag: &str) -> AdminResult<Option<Generation>> {
    if etag.is_empty() {
        return Ok(None);
    }
    let bytes = hex::array(etag).ok_or_else(|| invalid("etag", "as it was read, or empty"))?;
    Ok(Some(Generation(i64::from_be_bytes(bytes))))
}

/// A request id that may be stored and logged.
pub(super) fn check_request_id(text: &str) -> AdminResult<()> {
    if text.len() <= MAX_REQUEST_ID && text.bytes().all(|c| c.is_ascii_graphic()) {
        return Ok(());
    }
    Err(invalid("request_id", format!("at most {MAX_REQUEST_ID} printable ASCII characters, no spaces")))
}

pub(super) fn cost(argon2: Option<pb::Argon2Cost>) -> Cost {
    argon2.map_or(DEFAULT_COST, |cost| Cost { memory_kib: cost.memory_kib, passes: cost.passes, lanes: cost.lanes })
}

/// An enumeration's value; one of a newer version is refused, not taken for another.
fn known<E: TryFrom<i32>>(field: &'static str, value: i32) -> AdminResult<E> {
    E::try_from(value).map_err(|_| invalid(field, "a value that this version knows"))
}

pub(super) fn role(value: i32) -> AdminResult<Role> {
    Ok(match known::<pb::Role>("role", value)? {
        pb::Role::Owner => Role::Owner,
        pb::Role::Issuer => Role::Issuer,
        // The least, where nobody says.
        pb::Role::Auditor | pb::Role::Unspecified => Role::Auditor,
    })
}

pub(super) fn role_of(role: Role) -> pb::Role {
    match role {
        Role::Owner => pb::Role::Owner,
        Role::Issuer => pb::Role::Issuer,
        Role::Auditor => pb::Role::Auditor,
    }
}

pub(super) fn llm_grants(value: i32) -> AdminResult<LlmGrants> {
    Ok(match known::<pb::LlmGrants>("llm_grants", value)? {
        pb::LlmGrants::Unchecked => LlmGrants::Unchecked,
        pb::LlmGrants::Required | pb::LlmGrants::Unspecified => LlmGrants::Required,
    })
}

pub(super) fn llm_grants_of(grants: LlmGrants) -> pb::LlmGrants {
    match grants {
        LlmGrants::Required => pb::LlmGrants::Required,
        LlmGrants::Unchecked => pb::LlmGrants::Unchecked,
    }
}

pub(super) fn tenant_status_of(status: TenantStatus) -> pb::TenantStatus {
    match status {
        TenantStatus::Active => pb::TenantStatus::Active,
        TenantStatus::Suspended => pb::TenantStatus::Suspended,
    }
}

pub(super) fn environment(value: i32) -> AdminResult<Environment> {
    Ok(match known::<pb::Environment>("environment", value)? {
        pb::Environment::Test => Environment::Test,
        pb::Environment::Live | pb::Environment::Unspecified => Environment::Live,
    })
}

pub(super) fn environment_of(environment: Environment) -> pb::Environment {
    match environment {
        Environment::Live => pb::Environment::Live,
        Environment::Test => pb::Environment::Test,
    }
}

/// The one other names of both enumerations are the same word.
macro_rules! reasons {
    ($($name:ident),+) => {
        pub(super) fn reason(value: i32) -> AdminResult<crate::domain::credential::RevocationReason> {
            use crate::domain::credential::RevocationReason;
            Ok(match known::<pb::RevocationReason>("reason", value)? {
                $(pb::RevocationReason::$name => RevocationReason::$name,)+
            })
        }

        pub(super) fn reason_of(reason: crate::domain::credential::RevocationReason) -> pb::RevocationReason {
            use crate::domain::credential::RevocationReason;
            match reason {
                $(RevocationReason::$name => pb::RevocationReason::$name,)+
            }
        }
    };
}

reasons!(Unspecified, KeyCompromise, AffiliationChanged, Superseded, CessationOfOperation, PrivilegeWithdrawn);

pub(super) fn import_format(value: i32) -> AdminResult<crate::admin::formats::Format> {
    use crate::admin::formats::Format;
    Ok(match known::<pb::ImportFormat>("format", value)? {
        pb::ImportFormat::Latchkey | pb::ImportFormat::Unspecified => Format::Latchkey,
        pb::ImportFormat::Kong => Format::Kong,
        pb::ImportFormat::Tyk => Format::Tyk,
        pb::ImportFormat::Unkey => Format::Unkey,
        pb::ImportFormat::Litellm => Format::LiteLlm,
        pb::ImportFormat::AiStudio => Format::AiStudio,
    })
}

pub(super) fn entropy(value: i32) -> AdminResult<Option<crate::admin::import::Entropy>> {
    use crate::admin::import::Entropy;
    Ok(match known::<pb::Entropy>("entropy", value)? {
        pb::Entropy::Unspecified => None,
        pb::Entropy::High => Some(Entropy::High),
        pb::Entropy::Low => Some(Entropy::Low),
    })
}

/// A fresh secret, for the answer that it is in.
#[expect(clippy::disallowed_methods, reason = "it is shown to whoever asked for it, this once")]
pub(super) fn shown<K: Kind>(secret: &Secret<K>) -> String {
    String::from_utf8_lossy(secret.expose()).into_owned()
}

/// Whether an update changes a field: as [`Chosen`] has it, of one field that may be `given`.
pub(super) fn chooses(mask: Option<&FieldMask>, field: &str, given: bool) -> bool {
    match mask.map(|mask| mask.paths.as_slice()) {
        None | Some([]) => given,
        Some(paths) => paths.iter().any(|path| path == field || path == "*"),
    }
}

/// The fields that an update changes.
pub(super) struct Chosen(Vec<&'static str>);

impl Chosen {
    /// None at all.
    pub(super) fn none() -> Self {
        Self(Vec::new())
    }

    /// Of these fields, each with whether it is given: those that the mask names, all for `*`, those that are given where
    /// there is no mask.
    pub(super) fn new(mask: Option<FieldMask>, fields: &[(&'static str, bool)]) -> AdminResult<Self> {
        let paths = mask.map(|mask| mask.paths).unwrap_or_default();
        let names = || fields.iter().map(|(name, _)| *name);
        if paths.iter().any(|path| path == "*") && paths.len() == 1 {
            return Ok(Self(names().collect()));
        }
        let mut chosen = Vec::new();
        for path in &paths {
            let known = names().find(|name| name == path).ok_or_else(|| {
                let all: Vec<&str> = names().collect();
                invalid("update_mask", format!("only {} can be changed", all.join(", ")))
            })?;
            chosen.push(known);
        }
        if paths.is_empty() {
            chosen.extend(fields.iter().filter(|(_, given)| *given).map(|(name, _)| *name));
        }
        if chosen.is_empty() {
            return Err(invalid("update_mask", "nothing is to be changed: name the fields"));
        }
        Ok(Self(chosen))
    }

    /// The value, if the field is one of them.
    pub(super) fn take<T>(&self, field: &str, value: T) -> Option<T> {
        self.0.contains(&field).then_some(value)
    }

    pub(super) fn has(&self, field: &str) -> bool {
        self.0.contains(&field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_whole_milliseconds() {
        for ms in [0, 1, 999, 1_800_000_000_123] {
            assert_eq!(moment_ms("at", &timestamp(ms)).unwrap(), ms);
        }
        for (seconds, nanos) in [(-1, 0), (1, 1), (1, -1_000_000), (i64::MAX, 0), (253_402_300_800, 0)] {
            assert!(moment_ms("at", &Timestamp { seconds, nanos }).is_err(), "{seconds} {nanos}");
        }
    }

    #[test]
    fn etags_round_trip() {
        for bits in [0, 1, -1, i64::MIN, i64::MAX] {
            assert_eq!(generation(&etag(Generation(bits))).unwrap(), Some(Generation(bits)));
        }
        assert_eq!(generation("").unwrap(), None);
        for wrong in ["0", "xyz", "+000000000000001", "00000000000000001"] {
            assert!(generation(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_mask_names_fields_that_can_be_changed() {
        let fields = [("name", true), ("active", false)];
        let mask = |paths: &[&str]| Some(FieldMask { paths: paths.iter().map(|p| (*p).to_owned()).collect() });
        assert_eq!(Chosen::new(None, &fields).unwrap().0, ["name"]);
        assert_eq!(Chosen::new(mask(&["active"]), &fields).unwrap().0, ["active"]);
        assert_eq!(Chosen::new(mask(&["*"]), &fields).unwrap().0, ["name", "active"]);
        for wrong in [&["tenant_id"][..], &["*", "name"], &["NAME"]] {
            assert!(Chosen::new(mask(wrong), &fields).is_err(), "{wrong:?}");
        }
        assert!(Chosen::new(None, &[("name", false)]).is_err());
    }
}
