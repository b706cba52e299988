//! The claims of a token (RFC 7519 section 4), strictly typed, and what they must fulfil.

use crate::domain::issuer::{ClaimPath, MAX_LEEWAY_S};
use crate::jwt::header::Header;
use crate::jwt::json::{self, Object, Value};
use crate::jwt::{Fault, MAX_AUDIENCES, compact};

/// The last second of the year 9999. What is above it is no time in seconds; the milliseconds of today are.
pub const MAX_TIME_S: i64 = 253_402_300_799;

/// Claims. Whether they may be believed is told by who gives them: [`VerifiedToken`](crate::jwt::token::VerifiedToken).
pub struct Claims {
    issuer: Option<String>,
    subject: Option<String>,
    audiences: Vec<String>,
    token_id: Option<String>,
    expires_s: Option<i64>,
    not_before_s: Option<i64>,
    issued_s: Option<i64>,
    all: Object,
}

/// Names that somebody reads: another one that differs by case alone is there to be read otherwise by somebody else.
const REGISTERED: &[&str] = &["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "cnf"];

impl Claims {
    /// Reads encoded claims. A claim of a wrong type is refused and never taken for absent.
    ///
    /// # Errors
    /// When they are malformed, over a limit, or contradict themselves.
    pub fn parse(encoded: &[u8]) -> Result<Self, Fault> {
        let all = json::object(&compact::decode(encoded)?)?;
        all.no_variants(REGISTERED)?;
        let claims = Self {
            issuer: text(&all, "iss", Fault::IssuerType)?,
            subject: text(&all, "sub", Fault::SubjectType)?,
            audiences: audiences(&all)?,
            token_id: text(&all, "jti", Fault::TokenIdType)?,
            expires_s: time(&all, "exp")?,
            not_before_s: time(&all, "nbf")?,
            issued_s: time(&all, "iat")?,
            all,
        };
        let is_after_end = |moment: Option<i64>| moment.zip(claims.expires_s).is_some_and(|(moment, end)| moment > end);
        if is_after_end(claims.not_before_s) || is_after_end(claims.issued_s) {
            return Err(Fault::TimesContradict);
        }
        Ok(claims)
    }

    /// `iss`; empty where there is none, which no verified token is without.
    pub fn issuer(&self) -> &str {
        self.issuer.as_deref().unwrap_or_default()
    }

    /// `sub`.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// The values of `aud`.
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// `jti`.
    pub fn token_id(&self) -> Option<&str> {
        self.token_id.as_deref()
    }

    /// `exp` in milliseconds: the first moment at which the token is over, leeway aside. 0 where there is none, which no
    /// verified token is without.
    pub fn expires_at_ms(&self) -> i64 {
        ms(self.expires_s.unwrap_or_default())
    }

    /// `nbf` in milliseconds.
    pub fn not_before_ms(&self) -> Option<i64> {
        self.not_before_s.map(ms)
    }

    /// `iat` in milliseconds.
    pub fn issued_at_ms(&self) -> Option<i64> {
        self.issued_s.map(ms)
    }

    /// The claim at a path.
    pub fn get(&self, path: &ClaimPath) -> Option<&Value> {
        let (first, inner) = path.0.split_first()?;
        inner.iter().try_fold(self.all.get(first)?, |value, name| match value {
            Value::Object(object) => object.get(name),
            _ => None,
        })
    }

    /// The texts of a claim that is a text or a list of texts; none where it is neither or not there.
    pub fn text_or_list(&self, path: &ClaimPath) -> Option<Vec<&str>> {
        self.get(path)?.texts()
    }

    /// All of them.
    pub fn all(&self) -> &Object {
        &self.all
    }

    pub(super) fn has_issuer(&self) -> bool {
        self.issuer.is_some()
    }
}

fn ms(seconds: i64) -> i64 {
    seconds.saturating_mul(1000)
}

/// A text that is compared, hashed and logged: not empty, and without what moves a terminal or ends a line.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_control)
}

fn text(all: &Object, name: &str, fault: Fault) -> Result<Option<String>, Fault> {
    let Some(value) = all.get(name) else { return Ok(None) };
    value.as_text().filter(|text| is_plain(text)).map(|text| Some(text.to_owned())).ok_or(fault)
}

fn audiences(all: &Object) -> Result<Vec<String>, Fault> {
    let Some(value) = all.get("aud") else { return Ok(Vec::new()) };
    let texts = value.texts().ok_or(Fault::AudienceType)?;
    let fits = (1..=MAX_AUDIENCES).contains(&texts.len()) && texts.iter().all(|text| is_plain(text));
    if fits { Ok(texts.into_iter().map(str::to_owned).collect()) } else { Err(Fault::AudienceType) }
}

fn time(all: &Object, name: &str) -> Result<Option<i64>, Fault> {
    match all.get(name) {
        None => Ok(None),
        Some(Value::Integer(seconds)) if (0..=MAX_TIME_S).contains(seconds) => Ok(Some(*seconds)),
        Some(Value::Integer(_)) => Err(Fault::TimeRange),
        Some(_) => Err(Fault::TimeType),
    }
}

/// What is to be fulfilled. Of an issuer's record everything is; an operator who looks at a token may leave something out.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// The exact `iss`.
    pub issuer: Option<&'a str>,
    /// One of these is in `aud`.
    pub audiences: Option<&'a [String]>,
    /// Values of `typ` as [`Header::typ`] gives them; with them tokens that are no access tokens are refused.
    pub types: Option<&'a [String]>,
    /// Seconds that the clocks may differ; what is over [`MAX_LEEWAY_S`] counts as that.
    pub leeway_s: u32,
    /// The greatest age by `iat`.
    pub max_age_s: Option<u32>,
    /// Claims that must be there.
    pub required: &'a [ClaimPath],
}

/// Judges verified claims, in the order of [`Check`](crate::jwt::Check).
///
/// # Errors
/// The first rule that is not fulfilled.
pub(super) fn check(header: &Header, claims: &Claims, rules: &Rules<'_>, now_ms: i64) -> Result<(), Fault> {
    if let Some(types) = rules.types {
        kind(header, claims, types)?;
    }
    if let Some(issuer) = rules.issuer {
        match &claims.issuer {
            None => return Err(Fault::IssuerMissing),
            Some(own) if own != issuer => return Err(Fault::IssuerOther),
            Some(_) => {}
        }
    }
    if let Some(audiences) = rules.audiences {
        if claims.audiences.is_empty() {
            return Err(Fault::AudienceMissing);
        }
        if !claims.audiences.iter().any(|audience| audiences.contains(audience)) {
            return Err(Fault::AudienceOther);
        }
    }
    times(claims, rules, now_ms)?;
    let is_missing = |path: &ClaimPath| matches!(claims.get(path), None | Some(Value::Null));
    if rules.required.iter().any(is_missing) {
        return Err(Fault::ClaimMissing);
    }
    if claims.all.has("cnf") { Err(Fault::Confirmation) } else { Ok(()) }
}

/// Types of tokens that are no access tokens, whatever a record says: logout tokens, events, proofs of possession.
const OTHER_TYPES: &[&str] = &["logout+jwt", "secevent+jwt", "dpop+jwt"];

/// The type of access tokens (RFC 9068 section 2.1).
const ACCESS_TYPE: &str = "at+jwt";

fn kind(header: &Header, claims: &Claims, types: &[String]) -> Result<(), Fault> {
    let typ = header.typ();
    if OTHER_TYPES.contains(&typ) {
        return Err(Fault::NotAccessToken);
    }
    if !types.iter().any(|taken| taken == typ) {
        return Err(Fault::TypeNotAllowed);
    }
    // What says of itself that it is an access token is one; of others these claims tell that they are not: RFC 8417 section
    // 2.2, OpenID Connect Core section 2, 3.1.3.6 and 3.3.2.11, and Cognito's `token_use`.
    let tells = ["events", "nonce", "at_hash", "c_hash", "s_hash"].iter().any(|name| claims.all.has(name));
    let uses = claims.all.get("token_use").is_some_and(|value| value.as_text() != Some("access"));
    // Keycloak says it in the claims.
    let said = claims.all.get("typ").and_then(Value::as_text);
    let other = said.is_some_and(|said| ["ID", "Refresh", "Offline", "Logout"].contains(&said));
    if typ != ACCESS_TYPE && (tells || uses || other) { Err(Fault::NotAccessToken) } else { Ok(()) }
}

fn times(claims: &Claims, rules: &Rules<'_>, now_ms: i64) -> Result<(), Fault> {
    let leeway = ms(i64::from(rules.leeway_s.min(MAX_LEEWAY_S)));
    let expires = claims.expires_s.map(ms).ok_or(Fault::ExpiryMissing)?;
    if now_ms >= expires.saturating_add(leeway) {
        return Err(Fault::Expired);
    }
    if claims.not_before_ms().is_some_and(|start| now_ms < start.saturating_sub(leeway)) {
        return Err(Fault::NotYetValid);
    }
    if claims.issued_at_ms().is_some_and(|issued| issued > now_ms.saturating_add(leeway)) {
        return Err(Fault::IssuedInFuture);
    }
    let Some(age) = rules.max_age_s else { return Ok(()) };
    let issued = claims.issued_at_ms().ok_or(Fault::IssuedMissing)?;
    let last = issued.saturating_add(ms(i64::from(age))).saturating_add(leeway);
    if now_ms > last { Err(Fault::TooOld) } else { Ok(()) }
}

#[cfg(test)]
#[path = "claims_tests.rs"]
mod tests;
