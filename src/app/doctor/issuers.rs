//! Whether the issuers that tenants trust are believed, and what the linter says of them now, without their keys where
//! those would have to be fetched.

use std::path::Path;

use crate::app::doctor::{Told, Verdict};
use crate::app::{Settings, subject_key};
use crate::clock::{Clock as _, SystemClock};
use crate::domain::Issuer;
use crate::domain::issuer::KeySource;
use crate::jwt::keys::KeySet;
use crate::jwt::lint::{self, Bounds, Draft, Finding, Key, Keys};
use crate::store::Store as _;
use crate::store::sqlite::SqliteStore;
use crate::verify::issuer_secret;
use crate::verify::subject::SubjectKey;

/// What the linter refuses of one.
fn refused(issuer: &Issuer) -> Vec<Finding> {
    let set = match &issuer.keys {
        KeySource::Keys(jwks) => Some(KeySet::from_jwks(jwks.as_bytes())),
        KeySource::Url(_) | KeySource::Secret(_) => None,
    };
    let known: Vec<Key> = set.iter().flatten().flat_map(KeySet::keys).map(Key::from).collect();
    let keys = match &set {
        None => Keys::Unknown(None),
        Some(Ok(_)) => Keys::Known(&known, &[]),
        Some(Err(fault)) => Keys::Wrong(*fault),
    };
    let Issuer { rules, keys: source, identity, strict, waivers, .. } = issuer;
    let draft = Draft { rules, source, identity, strict: *strict, waivers, keys, shared: false };
    // What this machine permits beyond that is judged where it decides.
    let bounds = Bounds { reserved: &[], plain_loopback: true, now_ms: SystemClock.wall_ms() };
    let mut findings = lint::lint(&draft, &bounds);
    findings.retain(|finding| lint::refuses(std::slice::from_ref(finding)));
    findings
}

/// Says in the log which issuers' tokens will be refused for their rules as they stand: a process that starts finds waivers that
/// are over before anybody's token does.
pub(in crate::app) fn warn(store: &SqliteStore) {
    let issuers = store.issuers().all().unwrap_or_default();
    for issuer in issuers.iter().filter(|issuer| issuer.active) {
        for Finding { rule, clause, text, .. } in refused(issuer) {
            tracing::error!(issuer = %issuer.id, rule, clause, "the tokens of an issuer are refused: {text}");
        }
    }
}

/// Says what is wrong with each.
pub(super) fn look(store: &SqliteStore, settings: &Settings, dir: &Path, told: Told<'_>) {
    let issuers = match store.issuers().all() {
        Ok(issuers) if issuers.is_empty() => return,
        Ok(issuers) => issuers,
        Err(error) => return told("issuers", Verdict::Problem, error.to_string()),
    };
    // That it is missing is said of the key itself.
    let key =
        store.links().key().ok().and_then(|known| SubjectKey::load_known(&subject_key(settings, dir), known).ok());
    let mut good = 0_usize;
    for issuer in &issuers {
        let name = format!("issuer {} ({:?})", issuer.id, issuer.rules.iss);
        if key.as_ref().is_some_and(|key| !key.is_genuine_issuer(issuer)) {
            let text = format!(
                "{name} was not written by Latchkey, and counts for nothing: remove it, then docs/OPERATIONS.md"
            );
            told("issuers", Verdict::Problem, text);
            continue;
        }
        let secret = matches!(issuer.keys, KeySource::Secret(_)).then(|| issuer_secret::load(dir, issuer.id));
        if let Some(Err(error)) = secret {
            told("issuers", Verdict::Problem, format!("the secret of {name} cannot be used: {error}"));
            continue;
        }
        let refused = refused(issuer);
        for Finding { rule, text, clause, .. } in refused.iter().filter(|_| issuer.active) {
            told("issuers", Verdict::Problem, format!("the tokens of {name} are refused: {rule}: {text} ({clause})"));
        }
        good += usize::from(refused.is_empty() || !issuer.active);
    }
    if good == issuers.len() {
        told("issuers", Verdict::Good, format!("{good} trusted; `latchkey issuer check` looks at the keys of one"));
    }
}
