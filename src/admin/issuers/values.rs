//! What the values of an issuer may be. What they mean together is the linter's to judge.

use crate::admin::AdminResult;
use crate::admin::limits::{self, invalid};
use crate::domain::Issuer;
use crate::domain::issuer::{ClaimPath, FirstUse, Half, Identity, KeySource, Waiver};
use crate::jwt::lint;

/// Most audiences, types, required claims, waivers and allowed claims of an issuer.
const MOST: usize = 16;
/// Longest JWK set that is kept in a row, in bytes.
const MAX_JWKS: usize = 64 * 1024;
/// Longest URL, in characters.
const MAX_URL: usize = 2_000;
/// The greatest of greatest ages: ten years.
const MAX_AGE_S: u32 = 315_360_000;
/// How far ahead a waiver or links at the first use may end: a year and a day.
const MAX_AHEAD_MS: i64 = 366 * 86_400_000;
/// Links that may be made at the first use.
const MAX_CAP: u32 = 1_000_000;

fn exact(field: &'static str, value: &str) -> AdminResult<()> {
    if value.is_empty() {
        return Err(invalid(field, "must not be empty"));
    }
    limits::text(field, value, limits::MAX_CLAIM)
}

fn unique<T: PartialEq>(field: &'static str, values: &[T]) -> AdminResult<()> {
    let twice = values.iter().enumerate().any(|(at, value)| values.iter().take(at).any(|earlier| earlier == value));
    if twice { Err(invalid(field, "one stands there twice")) } else { Ok(()) }
}

fn path(field: &'static str, path: &ClaimPath) -> AdminResult<()> {
    path.0.iter().try_for_each(|name| exact(field, name))
}

fn ahead(field: &'static str, until_ms: i64, now_ms: i64) -> AdminResult<()> {
    let last_ms = now_ms.saturating_add(MAX_AHEAD_MS);
    if until_ms > now_ms && until_ms <= last_ms {
        return Ok(());
    }
    Err(invalid(field, "must end in the future, at most a year ahead"))
}

fn waiver(waiver: &Waiver, now_ms: i64) -> AdminResult<()> {
    if !lint::is_waivable(&waiver.rule) {
        let rules: Vec<&str> =
            lint::RULES.iter().map(|(rule, ..)| *rule).filter(|rule| lint::is_waivable(rule)).collect();
        return Err(invalid("waivers", format!("only {} can be waived", rules.join(", "))));
    }
    limits::name("waivers", &waiver.owner)?;
    ahead("waivers", waiver.until_ms, now_ms)
}

fn identity(identity: &Identity, now_ms: i64) -> AdminResult<()> {
    match identity {
        Identity::Mapped { app, user } => {
            if let Half::Claim(claim) = app {
                path("app_claim", claim)?;
            }
            if let Half::Claim(claim) = user {
                path("user_claim", claim)?;
            }
            Ok(())
        }
        Identity::Linked { first_use: None } => Ok(()),
        Identity::Linked { first_use: Some(FirstUse { allow, cap, until_ms, .. }) } => {
            limits::count("first_use", allow.len(), MOST)?;
            for (claim, value) in allow {
                path("first_use", claim)?;
                exact("first_use", value)?;
            }
            if !(1..=MAX_CAP).contains(cap) {
                return Err(invalid("first_use", format!("a cap from 1 to {MAX_CAP}")));
            }
            ahead("first_use", *until_ms, now_ms)
        }
    }
}

/// Of a new issuer all values, of a change those that are changed: time alone must not keep anybody from switching one off.
pub(super) fn check(issuer: &Issuer, changed: Option<&[&str]>, now_ms: i64) -> AdminResult<()> {
    let asked = |field| changed.is_none_or(|changed| changed.contains(&field));
    let rules = &issuer.rules;
    if asked("iss") {
        exact("iss", &rules.iss)?;
    }
    if asked("audiences") {
        limits::count("audiences", rules.audiences.len(), MOST)?;
        rules.audiences.iter().try_for_each(|aud| exact("audiences", aud))?;
        unique("audiences", &rules.audiences)?;
    }
    if asked("algorithms") {
        unique("algorithms", &rules.algorithms)?;
    }
    if asked("types") {
        limits::count("types", rules.types.len(), MOST)?;
        rules.types.iter().try_for_each(|typ| limits::text("types", typ, limits::MAX_SCOPE))?;
        unique("types", &rules.types)?;
    }
    if asked("max_age_seconds") && rules.max_age_s.is_some_and(|age| !(1..=MAX_AGE_S).contains(&age)) {
        return Err(invalid("max_age_seconds", format!("from 1 to {MAX_AGE_S}")));
    }
    if asked("required_claims") {
        limits::count("required_claims", rules.required.len(), MOST)?;
        rules.required.iter().try_for_each(|claim| path("required_claims", claim))?;
    }
    if asked("identity") {
        identity(&issuer.identity, now_ms)?;
    }
    if asked("scope_claim") {
        path("scope_claim", &issuer.scope_claim)?;
    }
    if asked("waivers") {
        limits::count("waivers", issuer.waivers.len(), MOST)?;
        issuer.waivers.iter().try_for_each(|given| waiver(given, now_ms))?;
        unique("waivers", &issuer.waivers.iter().map(|waiver| &waiver.rule).collect::<Vec<_>>())?;
    }
    Ok(())
}

/// That where keys come from can be kept.
pub(super) fn check_keys(keys: &KeySource) -> AdminResult<()> {
    match keys {
        KeySource::Url(url) => limits::text("jwks_url", url, MAX_URL),
        KeySource::Keys(jwks) if jwks.len() > MAX_JWKS => {
            Err(invalid("jwks", format!("at most {MAX_JWKS} bytes of keys that can be used")))
        }
        KeySource::Keys(_) | KeySource::Secret(_) => Ok(()),
    }
}
