//! Trusted issuers of JWTs. A secret is in no message: it comes in on the store's machine alone.

use crate::admin::{Admin, AdminError, AdminResult, CheckedKey, IssuerChanges, JudgedIssuer, NewIssuer, NewKeys};
use crate::domain::issuer::{ClaimPath, FirstUse, Half, Identity, KeySource, TokenRules, Waiver};
use crate::domain::{Algorithm, AppId, Issuer, UserId};
use crate::jwt::lint::Finding;
use crate::pb::admin::v1 as pb;
use crate::secret::{IssuerSecret, Secret};
use crate::transport::admin::Desk;
use crate::transport::admin::convert::{
    self, Chosen, app_id, invalid, issuer_id, moment_ms, required, timestamp, user_id,
};
use crate::transport::admin::page::Listing;
use crate::transport::admin::urgent::Effect;

/// What stands for tokens without `typ`.
const NO_TYPE: &str = "none";
/// The values of `typ` that are taken where nobody says: identity providers differ.
const TYPES: &[&str] = &["at+jwt", "jwt", NO_TYPE];
/// Seconds that the clocks may differ where nobody says.
const LEEWAY_S: u32 = 30;
const SCOPE_CLAIM: &str = "scope";

fn finding(finding: Finding) -> pb::Finding {
    pb::Finding {
        rule: finding.rule.to_owned(),
        clause: finding.clause.to_owned(),
        severity: finding.severity.as_str().to_owned(),
        text: finding.text,
    }
}

fn half_message<Id: Copy>(half: &Half<Id>, number: impl Fn(Id) -> u32) -> (u32, String) {
    match half {
        Half::Fixed(id) => (number(*id), String::new()),
        Half::Claim(claim) => (0, claim.to_text()),
    }
}

fn identity_message(identity: &Identity) -> Option<pb::Identity> {
    match identity {
        Identity::Mapped { app, user } => {
            let ((app_id, app_claim), (user_id, user_claim)) =
                (half_message(app, AppId::get), half_message(user, UserId::get));
            Some(pb::Identity { app_id, app_claim, user_id, user_claim, first_use: None })
        }
        Identity::Linked { first_use: None } => None,
        Identity::Linked { first_use: Some(first) } => {
            let allow = first.allow.iter().map(|(claim, value)| {
                let (claim, value) = (claim.to_text(), value.clone());
                pb::AllowedClaim { claim, value }
            });
            let first_use = Some(pb::FirstUse {
                app_id: first.app.get(),
                user_id: first.user.get(),
                allow: allow.collect(),
                cap: first.cap,
                until: Some(timestamp(first.until_ms)),
            });
            Some(pb::Identity { first_use, ..pb::Identity::default() })
        }
    }
}

/// As the wire has it.
pub fn message(tenant: &str, judged: JudgedIssuer) -> pb::Issuer {
    let JudgedIssuer { issuer, state, findings } = judged;
    let Issuer { rules, keys, waivers, .. } = issuer;
    let key_source = keys.kind().to_owned();
    let (jwks_url, jwks) = match keys {
        KeySource::Url(url) => (url, String::new()),
        KeySource::Keys(jwks) => (String::new(), jwks),
        KeySource::Secret(_) => (String::new(), String::new()),
    };
    let waiver = |waiver: Waiver| {
        let until = Some(timestamp(waiver.until_ms));
        pb::Waiver { rule: waiver.rule, owner: waiver.owner, until }
    };
    let typ = |typ: String| if typ.is_empty() { NO_TYPE.to_owned() } else { typ };
    pb::Issuer {
        issuer_id: issuer.id.to_string(),
        tenant: tenant.to_owned(),
        iss: rules.iss,
        audiences: rules.audiences,
        algorithms: rules.algorithms.iter().map(ToString::to_string).collect(),
        types: rules.types.into_iter().map(typ).collect(),
        leeway_seconds: Some(rules.leeway_s),
        max_age_seconds: rules.max_age_s.unwrap_or(0),
        required_claims: rules.required.iter().map(ClaimPath::to_text).collect(),
        key_source,
        jwks_url,
        jwks,
        identity: identity_message(&issuer.identity),
        scope_claim: issuer.scope_claim.to_text(),
        strict: issuer.strict,
        waivers: waivers.into_iter().map(waiver).collect(),
        active: issuer.active,
        status: state.as_str().to_owned(),
        findings: findings.into_iter().map(finding).collect(),
        created_by: issuer.created_by,
        created_at: Some(timestamp(issuer.created_at_ms)),
        etag: convert::etag(issuer.generation),
    }
}

fn path(field: &'static str, text: &str) -> AdminResult<ClaimPath> {
    ClaimPath::parse(text).ok_or_else(|| invalid(field, "a claim's name, or at most 8 names between dots"))
}

fn algorithms(names: &[String]) -> AdminResult<Vec<Algorithm>> {
    let parse = |name: &String| {
        Algorithm::parse(name).ok_or_else(|| {
            let all: Vec<&str> = Algorithm::ALL.iter().map(|algorithm| algorithm.as_str()).collect();
            invalid("algorithms", format!("only {}, as they are written here", all.join(", ")))
        })
    };
    names.iter().map(parse).collect()
}

fn types(names: Vec<String>) -> Vec<String> {
    names.into_iter().map(|name| if name == NO_TYPE { String::new() } else { name }).collect()
}

fn paths(field: &'static str, texts: &[String]) -> AdminResult<Vec<ClaimPath>> {
    texts.iter().map(|text| path(field, text)).collect()
}

fn waivers(given: Vec<pb::Waiver>) -> AdminResult<Vec<Waiver>> {
    let waiver = |waiver: pb::Waiver| {
        let until_ms = moment_ms("waivers", &required("waivers", waiver.until)?)?;
        Ok(Waiver { rule: waiver.rule, owner: waiver.owner, until_ms })
    };
    given.into_iter().map(waiver).collect()
}

/// One half; none where nothing is said of it.
fn half<Id>(
    (id_field, claim_field): (&'static str, &'static str),
    id: u32,
    claim: &str,
    known: impl Fn(&'static str, u32) -> AdminResult<Id>,
) -> AdminResult<Option<Half<Id>>> {
    match (id, claim) {
        (0, "") => Ok(None),
        (0, claim) => path(claim_field, claim).map(|claim| Some(Half::Claim(claim))),
        (id, "") => known(id_field, id).map(|id| Some(Half::Fixed(id))),
        _ => Err(invalid(claim_field, "not beside a fixed one")),
    }
}

fn first_use(first: pb::FirstUse) -> AdminResult<FirstUse> {
    let allow = first.allow.iter().map(|allowed| Ok((path("first_use", &allowed.claim)?, allowed.value.clone())));
    Ok(FirstUse {
        app: app_id("first_use", first.app_id)?,
        user: user_id("first_use", first.user_id)?,
        allow: allow.collect::<AdminResult<_>>()?,
        cap: first.cap,
        until_ms: moment_ms("first_use", &required("first_use", first.until)?)?,
    })
}

fn identity(given: Option<pb::Identity>) -> AdminResult<Identity> {
    let given = given.unwrap_or_default();
    let app = half(("app_id", "app_claim"), given.app_id, &given.app_claim, app_id)?;
    let user = half(("user_id", "user_claim"), given.user_id, &given.user_claim, user_id)?;
    match (app, user, given.first_use) {
        (Some(app), Some(user), None) => Ok(Identity::Mapped { app, user }),
        (None, None, first) => Ok(Identity::Linked { first_use: first.map(first_use).transpose()? }),
        (_, _, Some(_)) => {
            Err(invalid("first_use", "only where links say for whom a token stands: beside no App or User"))
        }
        _ => Err(invalid("identity", "an App and a User, each fixed or by a claim; or neither, then links say")),
    }
}

/// Exactly one place for keys, or none.
fn keys(discover: bool, url: String, jwks: String) -> AdminResult<Option<NewKeys>> {
    match (discover, url.is_empty(), jwks.is_empty()) {
        (true, true, true) => Ok(Some(NewKeys::Discover)),
        (false, false, true) => Ok(Some(NewKeys::Url(url))),
        (false, true, false) => Ok(Some(NewKeys::Jwks(jwks))),
        (false, true, true) => Ok(None),
        _ => Err(invalid("jwks_url", "keys come from one place: a URL, a set, or the discovery document")),
    }
}

fn new_issuer(issuer: pb::Issuer, keys: NewKeys, require_keys: bool) -> AdminResult<NewIssuer> {
    let given = |texts: Vec<String>, default: &[&str]| {
        if texts.is_empty() { default.iter().map(|text| (*text).to_owned()).collect() } else { texts }
    };
    let scope_claim = if issuer.scope_claim.is_empty() { SCOPE_CLAIM } else { issuer.scope_claim.as_str() };
    Ok(NewIssuer {
        rules: TokenRules {
            iss: issuer.iss,
            audiences: issuer.audiences,
            algorithms: algorithms(&issuer.algorithms)?,
            types: types(given(issuer.types, TYPES)),
            leeway_s: issuer.leeway_seconds.unwrap_or(LEEWAY_S),
            max_age_s: Some(issuer.max_age_seconds).filter(|age| *age != 0),
            required: paths("required_claims", &issuer.required_claims)?,
        },
        keys,
        identity: identity(issuer.identity)?,
        scope_claim: path("scope_claim", scope_claim)?,
        strict: issuer.strict,
        waivers: waivers(issuer.waivers)?,
        require_keys,
    })
}

/// An issuer with a secret that both sides have: for the command line on the store's machine.
///
/// # Errors
/// When a value does not fit, or it has other keys too.
pub fn with_secret(issuer: pb::Issuer, secret: Secret<IssuerSecret>) -> AdminResult<NewIssuer> {
    if !issuer.jwks_url.is_empty() || !issuer.jwks.is_empty() {
        return Err(invalid("jwks_url", "not beside a secret"));
    }
    new_issuer(issuer, NewKeys::Secret(secret), false)
}

pub(super) fn create(_: &Desk, admin: &Admin, q: pb::CreateIssuerRequest) -> AdminResult<pb::CreateIssuerResponse> {
    let mut issuer = required("issuer", q.issuer)?;
    let tenant = std::mem::take(&mut issuer.tenant);
    let (url, jwks) = (std::mem::take(&mut issuer.jwks_url), std::mem::take(&mut issuer.jwks));
    let keys = keys(q.discover, url, jwks)?.ok_or_else(|| invalid("jwks_url", "say where its keys come from"))?;
    let new = new_issuer(issuer, keys, q.require_keys)?;
    let (issuer, replayed) = match admin.add_issuer(&tenant, &new) {
        Err(AdminError::Replayed { resource }) => (admin.issuer(&tenant, issuer_id(&resource)?)?, true),
        other => (other?, false),
    };
    Ok(pb::CreateIssuerResponse { issuer: Some(message(&tenant, issuer)), replayed })
}

pub(super) fn get(_: &Desk, admin: &Admin, q: pb::GetIssuerRequest) -> AdminResult<pb::Issuer> {
    Ok(message(&q.tenant, admin.issuer(&q.tenant, issuer_id(&q.issuer_id)?)?))
}

pub(super) fn list(_: &Desk, admin: &Admin, q: pb::ListIssuersRequest) -> AdminResult<pb::ListIssuersResponse> {
    let listing = Listing::of("ListIssuers", &[&q.tenant]);
    let listed = admin.list_issuers(&q.tenant, listing.page(q.page_size, &q.page_token)?)?;
    let next_page_token = listing.token(listed.next.as_ref());
    let issuers = listed.rows.into_iter().map(|issuer| message(&q.tenant, issuer)).collect();
    Ok(pb::ListIssuersResponse { issuers, next_page_token })
}

/// Whether an update switches it off or on.
pub(super) fn switches(_: &Desk, admin: &Admin, q: &pb::UpdateIssuerRequest) -> AdminResult<Effect> {
    let Some(issuer) = &q.issuer else { return Ok(Effect::Neither) };
    Effect::switching(q.update_mask.as_ref(), issuer.active, || {
        admin.may_switch_issuer(&issuer.tenant, issuer_id(&issuer.issuer_id)?)
    })
}

pub(super) fn update(_: &Desk, admin: &Admin, q: pb::UpdateIssuerRequest) -> AdminResult<pb::Issuer> {
    let i = required("issuer", q.issuer)?;
    let fields = [
        ("audiences", !i.audiences.is_empty()),
        ("algorithms", !i.algorithms.is_empty()),
        ("types", !i.types.is_empty()),
        ("leeway_seconds", i.leeway_seconds.is_some()),
        ("max_age_seconds", i.max_age_seconds != 0),
        ("required_claims", !i.required_claims.is_empty()),
        ("jwks_url", !i.jwks_url.is_empty()),
        ("jwks", !i.jwks.is_empty()),
        ("identity", i.identity.is_some()),
        ("scope_claim", !i.scope_claim.is_empty()),
        ("strict", i.strict),
        ("waivers", !i.waivers.is_empty()),
        ("active", i.active),
    ];
    let unsaid = q.update_mask.as_ref().is_none_or(|mask| mask.paths.is_empty());
    let nothing = q.discover && unsaid && fields.iter().all(|(_, given)| !given);
    let chosen = if nothing { Chosen::none() } else { Chosen::new(q.update_mask, &fields)? };
    let url = chosen.take("jwks_url", i.jwks_url).unwrap_or_default();
    let jwks = chosen.take("jwks", i.jwks).unwrap_or_default();
    let keys = keys(q.discover, url, jwks)?;
    if keys.is_none() && (chosen.has("jwks_url") || chosen.has("jwks")) {
        return Err(invalid("jwks_url", "an issuer has keys: give others"));
    }
    let changes = IssuerChanges {
        audiences: chosen.take("audiences", i.audiences),
        algorithms: chosen.take("algorithms", i.algorithms).map(|names| algorithms(&names)).transpose()?,
        types: chosen.take("types", types(i.types)),
        leeway_s: chosen.take("leeway_seconds", i.leeway_seconds.unwrap_or(LEEWAY_S)),
        max_age_s: chosen.take("max_age_seconds", Some(i.max_age_seconds).filter(|age| *age != 0)),
        required: chosen
            .take("required_claims", i.required_claims)
            .map(|texts| paths("required_claims", &texts))
            .transpose()?,
        keys,
        identity: chosen.take("identity", i.identity).map(identity).transpose()?,
        scope_claim: chosen.take("scope_claim", i.scope_claim).map(|text| path("scope_claim", &text)).transpose()?,
        strict: chosen.take("strict", i.strict),
        waivers: chosen.take("waivers", i.waivers).map(waivers).transpose()?,
        active: chosen.take("active", i.active),
        require_keys: q.require_keys,
        etag: convert::generation(&i.etag)?,
    };
    Ok(message(&i.tenant, admin.set_issuer(&i.tenant, issuer_id(&i.issuer_id)?, &changes)?))
}

pub(super) fn deletes(_: &Desk, admin: &Admin, q: &pb::DeleteIssuerRequest) -> AdminResult<Effect> {
    admin.may_switch_issuer(&q.tenant, issuer_id(&q.issuer_id)?).map(Effect::Takes)
}

pub(super) fn delete(_: &Desk, admin: &Admin, q: pb::DeleteIssuerRequest) -> AdminResult<pb::DeleteIssuerResponse> {
    admin.remove_issuer(&q.tenant, issuer_id(&q.issuer_id)?)?;
    Ok(pb::DeleteIssuerResponse {})
}

fn key_message(key: CheckedKey) -> pb::IssuerKey {
    pb::IssuerKey {
        kid: key.kid.unwrap_or_default(),
        kind: key.kind,
        algorithm: key.algorithm.map(|algorithm| algorithm.to_string()).unwrap_or_default(),
        thumbprint: key.thumbprint.unwrap_or_default(),
        usable: key.against.is_none(),
        note: key.against.unwrap_or_default().to_owned(),
    }
}

pub(super) fn check(_: &Desk, admin: &Admin, q: pb::CheckIssuerRequest) -> AdminResult<pb::CheckIssuerResponse> {
    let checked = admin.check_issuer(&q.tenant, issuer_id(&q.issuer_id)?)?;
    let passed = checked.passed();
    Ok(pb::CheckIssuerResponse {
        issuer: Some(message(&q.tenant, checked.judged)),
        keys: checked.keys.into_iter().map(key_message).collect(),
        keys_error: checked.keys_error.unwrap_or_default().to_owned(),
        passed,
    })
}
