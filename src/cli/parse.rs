//! Values on the command line.

use crate::domain::{LlmGrant, LlmId};
use crate::transport::admin::convert;
pub(super) use crate::transport::admin::convert::timestamp;
use crate::verify::argon::{Cost, DEFAULT_COST};

/// A length of time such as `90d`, `12h` or `1w 2d`, in milliseconds. A day is 24 hours.
pub(super) fn duration_ms(text: &str) -> Result<i64, String> {
    let expected = || "expected a length of time such as 90d, 12h or 30m".to_owned();
    let span: jiff::Span = text.parse().map_err(|_| expected())?;
    let duration = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| expected())?;
    let ms = i64::try_from(duration.as_millis()).map_err(|_| expected())?;
    if ms > 0 { Ok(ms) } else { Err(expected()) }
}

/// The same, in whole seconds.
pub(super) fn seconds(text: &str) -> Result<u64, String> {
    let ms = duration_ms(text)?;
    let whole = (ms % 1_000 == 0).then(|| u64::try_from(ms / 1_000).ok()).flatten();
    whole.ok_or_else(|| "expected whole seconds".to_owned())
}

/// The same, or 0 for none.
pub(super) fn grace(text: &str) -> Result<u64, String> {
    if text == "0" || text == "0s" { Ok(0) } else { seconds(text) }
}

/// A moment of the wire as in RFC 3339, UTC.
pub(super) fn timestamp_text(moment: &prost_types::Timestamp) -> String {
    moment_text(convert::ms(moment))
}

/// A moment as in RFC 3339, in milliseconds since the epoch.
pub(super) fn moment_ms(text: &str) -> Result<i64, String> {
    let moment: jiff::Timestamp =
        text.parse().map_err(|_| "expected a moment such as 2027-01-31T12:00:00Z".to_owned())?;
    Ok(moment.as_millisecond())
}

/// The same, or a day such as `2027-01-31`, which is its beginning in UTC.
pub(super) fn day_or_moment_ms(text: &str) -> Result<i64, String> {
    let is_day = text.len() == "2027-01-31".len();
    let moment = if is_day { moment_ms(&format!("{text}T00:00:00Z")) } else { moment_ms(text) };
    moment.map_err(|_| "expected a day such as 2027-01-31 or a moment such as 2027-01-31T12:00:00Z".to_owned())
}

/// Milliseconds since the epoch as in RFC 3339, UTC.
pub(super) fn moment_text(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |moment| moment.to_string())
}

/// `3`, or `3=gpt-4` to name the slug that a request must agree with.
pub(super) fn llm(text: &str) -> Result<LlmGrant, String> {
    let (id, slug) = text.split_once('=').map_or((text, None), |(id, slug)| (id, Some(slug)));
    let id: LlmId = id.parse().map_err(|error| format!("{error}, or ID=SLUG"))?;
    match slug {
        Some("") => Err("the slug after = is empty".to_owned()),
        slug => Ok(LlmGrant { id, slug: slug.map(str::to_owned) }),
    }
}

/// Characters in a row that make a key, a token, or any other secret; no name or id of ours is as long.
const SECRET_RUN: usize = 40;

/// A message that quotes what was typed, with long runs of a credential's characters replaced.
pub(super) fn without_credentials(text: &str) -> String {
    let of_credential = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '+' | '~');
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let run = rest.find(|c| !of_credential(c)).unwrap_or(rest.len());
        let after = rest.get(run..).unwrap_or_default();
        let plain = after.find(of_credential).unwrap_or(after.len());
        clean.push_str(if run < SECRET_RUN { rest.get(..run).unwrap_or_default() } else { "[hidden]" });
        clean.push_str(after.get(..plain).unwrap_or_default());
        rest = after.get(plain..).unwrap_or_default();
    }
    clean
}

/// `KEY=VALUE`.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// `m=19456,t=2,p=1`: memory in KiB, passes, lanes; what is left out stays at the default.
pub(super) fn cost(text: &str) -> Result<Cost, String> {
    let mut cost = DEFAULT_COST;
    for part in text.split(',') {
        let (name, value) = part.split_once('=').ok_or("expected m=KIB,t=PASSES,p=LANES")?;
        let value: u32 = value.parse().map_err(|_| format!("{name} must be a whole number"))?;
        match name {
            "m" => cost.memory_kib = value,
            "t" => cost.passes = value,
            "p" => cost.lanes = value,
            _ => return Err(format!("unknown parameter {name}: expected m, t or p")),
        }
    }
    Ok(cost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time() {
        assert_eq!(duration_ms("90d"), Ok(90 * 86_400_000));
        assert_eq!(duration_ms("12h"), Ok(12 * 3_600_000));
        assert_eq!(duration_ms("1w 2d"), Ok(9 * 86_400_000));
        for wrong in ["", "90", "-1d", "0s", "1y", "soon"] {
            assert!(duration_ms(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a6_what_may_be_a_credential_is_not_repeated() {
        let key = format!("lk_live_{}_{}", "0".repeat(22), "z".repeat(49));
        assert_eq!(without_credentials(&format!("invalid value '{key}' for")), "invalid value '[hidden]' for");
        assert_eq!(without_credentials(&key), "[hidden]");
        for plain in ["", "no tenant acme", "0000000000000000000001", "é/x/é"] {
            assert_eq!(without_credentials(plain), plain);
        }
    }

    #[test]
    fn moments() {
        assert_eq!(moment_ms("2027-01-31T12:00:00Z").map(moment_text).as_deref(), Ok("2027-01-31T12:00:00Z"));
        assert!(moment_ms("tomorrow").is_err());
        assert_eq!(day_or_moment_ms("2027-01-31"), moment_ms("2027-01-31T00:00:00Z"));
        assert_eq!(day_or_moment_ms("2027-01-31T12:00:00Z"), moment_ms("2027-01-31T12:00:00Z"));
        for wrong in ["2027-02-30", "2027-1-31", "2027-01-31T12", "tomorrow", ""] {
            assert!(day_or_moment_ms(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn grants_and_costs() {
        assert_eq!(llm("3").unwrap().slug, None);
        assert_eq!(llm("3=gpt").unwrap().slug.as_deref(), Some("gpt"));
        assert!(llm("0").is_err() && llm("x").is_err() && llm("3=").is_err());
        assert_eq!(cost("t=3").unwrap(), Cost { passes: 3, ..DEFAULT_COST });
        assert!(cost("q=1").is_err() && cost("m").is_err());
    }
}
