//! What a value may be, for every field that people give. Bounds keep rows, log lines and claims small; control
//! characters are refused because these texts end up in logs and terminals.

use ipnet::IpNet;

use crate::admin::{AdminError, AdminResult};
use crate::domain::credential::is_scope;
pub use crate::domain::credential::{MAX_SCOPE, MAX_SCOPES};

/// Longest name or label, in characters.
pub const MAX_NAME: usize = 200;
/// Longest description, in characters.
pub const MAX_DESCRIPTION: usize = 2_000;
/// Longest mail address, in characters (RFC 5321 section 4.5.3.1.3).
pub const MAX_EMAIL: usize = 254;
/// Longest issuer or subject, in characters.
pub const MAX_CLAIM: usize = 512;
/// Most address ranges of a credential.
pub const MAX_CIDRS: usize = 64;
/// Most namespaces of a tenant.
pub const MAX_NAMESPACES: usize = 64;
/// Most LLMs granted to an App.
pub const MAX_LLMS: usize = 1_024;
/// Most further fields of an App or User.
pub const MAX_METADATA: usize = 64;
/// The furthest expiry: the end of year 9999, the last that RFC 3339 can write.
pub const MAX_TIME_MS: i64 = 253_402_300_799_999;

pub(super) fn invalid(field: &'static str, problem: impl Into<String>) -> AdminError {
    AdminError::Invalid { field, problem: problem.into() }
}

/// Text for people: at most `max` characters, none that could steer a terminal.
pub(super) fn text(field: &'static str, value: &str, max: usize) -> AdminResult<()> {
    if value.chars().count() > max {
        return Err(invalid(field, format!("at most {max} characters")));
    }
    if value.chars().any(char::is_control) {
        return Err(invalid(field, "no control characters"));
    }
    Ok(())
}

/// The same, and not empty.
pub(super) fn name(field: &'static str, value: &str) -> AdminResult<()> {
    if value.trim().is_empty() {
        return Err(invalid(field, "must not be empty"));
    }
    text(field, value, MAX_NAME)
}

/// An address or nothing. What a mail server would take is not ours to judge.
pub(super) fn email(field: &'static str, value: &str) -> AdminResult<()> {
    text(field, value, MAX_EMAIL)?;
    let fits = value.split_once('@').is_some_and(|(local, host)| !local.is_empty() && !host.is_empty());
    if value.is_empty() || (fits && !value.contains(char::is_whitespace)) {
        Ok(())
    } else {
        Err(invalid(field, "expected an address such as ann@example.com"))
    }
}

/// A few of what [`is_scope`] is.
pub(super) fn scopes(values: &[String]) -> AdminResult<()> {
    count("scope", values.len(), MAX_SCOPES)?;
    if values.iter().all(|scope| is_scope(scope)) {
        return Ok(());
    }
    Err(invalid("scope", format!("1 to {MAX_SCOPE} printable ASCII characters, no space, quote or backslash")))
}

/// A range must say what it means: `10.1.2.3/8` is most often a mistake.
pub(super) fn cidrs(values: &[IpNet]) -> AdminResult<()> {
    count("cidr", values.len(), MAX_CIDRS)?;
    match values.iter().find(|net| net.trunc() != **net) {
        Some(net) => Err(invalid("cidr", format!("{net} has bits beyond its length; did you mean {}?", net.trunc()))),
        None => Ok(()),
    }
}

/// Times that can be written down, in their order, the end still to come.
pub(super) fn times(not_before_ms: Option<i64>, expires_at_ms: Option<i64>, now_ms: i64) -> AdminResult<()> {
    let within = |time: Option<i64>| time.is_none_or(|time| (0..=MAX_TIME_MS).contains(&time));
    if !within(not_before_ms) || !within(expires_at_ms) {
        return Err(invalid("expires", "a time from 1970 to 9999"));
    }
    if expires_at_ms.is_some_and(|end| end <= now_ms) {
        return Err(invalid("expires", "must lie in the future"));
    }
    if expires_at_ms.zip(not_before_ms).is_some_and(|(end, start)| start >= end) {
        return Err(invalid("not-before", "must lie before the expiry"));
    }
    Ok(())
}

pub(super) fn namespaces(values: &[String]) -> AdminResult<()> {
    count("namespace", values.len(), MAX_NAMESPACES)?;
    values.iter().try_for_each(|value| name("namespace", value))
}

pub(super) fn metadata(values: &std::collections::BTreeMap<String, String>) -> AdminResult<()> {
    count("metadata", values.len(), MAX_METADATA)?;
    values.iter().try_for_each(|(key, value)| {
        name("metadata", key)?;
        text("metadata", value, MAX_DESCRIPTION)
    })
}

pub(super) fn count(field: &'static str, have: usize, max: usize) -> AdminResult<()> {
    if have <= max { Ok(()) } else { Err(invalid(field, format!("at most {max}"))) }
}
