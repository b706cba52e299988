//! What the linter says of an issuer, and what its keys are worth.

use std::collections::HashMap;

use crate::admin::authority::{Act, Permit};
use crate::admin::issuers::keys::{Found, thumbprint_text};
use crate::admin::issuers::{IssuerState, JudgedIssuer};
use crate::admin::{Admin, AdminError, AdminResult};
use crate::domain::issuer::KeySource;
use crate::domain::{Algorithm, Issuer, IssuerId, KeyFamily, TenantId};
use crate::jwt::Fault;
use crate::jwt::keys::{KeySet, VerifyingKey};
use crate::jwt::lint::{self, Bounds, Draft, Finding, Key, Keys};
use crate::store::{IssuerPlace, Store, StoreResult};
use crate::verify::subject::SubjectKey;

/// A key of an issuer, and what it is worth.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckedKey {
    /// Its `kid`.
    pub kid: Option<String>,
    /// Its kind and size; empty where it was left out.
    pub kind: String,
    /// The one algorithm that it is for, where it says so.
    pub algorithm: Option<Algorithm>,
    /// Its thumbprint (RFC 7638), base64url; of a secret none.
    pub thumbprint: Option<String>,
    /// Why no token that it signed can be taken; none where one can.
    pub against: Option<&'static str>,
}

/// What an issuer is worth now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IssuerCheck {
    /// The issuer, with what the linter says of it and its keys.
    pub judged: JudgedIssuer,
    /// Its keys.
    pub keys: Vec<CheckedKey>,
    /// Why there are none.
    pub keys_error: Option<&'static str>,
}

impl IssuerCheck {
    /// Whether tokens of it can be taken.
    pub fn passed(&self) -> bool {
        matches!(self.judged.state, IssuerState::Active | IssuerState::Inactive)
            && !lint::refuses(&self.judged.findings)
            && self.keys.iter().any(|key| key.against.is_none())
    }
}

/// An issuer that has a URL or a key.
struct Neighbour {
    iss: String,
    place: IssuerPlace,
}

/// Which issuers have which URL and which key.
#[derive(Default)]
pub(super) struct Neighbourhood {
    urls: HashMap<String, Vec<Neighbour>>,
    keys: HashMap<[u8; 32], Vec<Neighbour>>,
    /// Who asks is not there yet, and so younger than all.
    newest: bool,
}

impl Neighbourhood {
    /// For rows of a tenant, by the keys that are pasted or, if `kept`, kept of its own issuers.
    pub(super) fn of(store: &dyn Store, tenant: TenantId, kept: bool) -> StoreResult<Self> {
        let mut found = Self::default();
        for row in store.issuers().all()? {
            let place = (row.created_at_ms, row.id);
            let neighbour = || Neighbour { iss: row.rules.iss.clone(), place };
            let jwks = match &row.keys {
                KeySource::Url(url) => {
                    found.urls.entry(url.clone()).or_default().push(neighbour());
                    // What the provider of another tenant publishes must decide nothing here: it may publish what is ours.
                    let kept = if kept && row.tenant == tenant { store.issuers().keys_of(row.id)? } else { None };
                    kept.map(|kept| kept.jwks)
                }
                KeySource::Keys(jwks) => Some(jwks.clone()),
                KeySource::Secret(_) => None,
            };
            let set = jwks.and_then(|jwks| KeySet::from_jwks(jwks.as_bytes()).ok());
            for key in set.iter().flat_map(KeySet::keys) {
                found.keys.entry(*key.thumbprint()).or_default().push(neighbour());
            }
        }
        Ok(found)
    }

    /// For one that is to be added.
    pub(super) fn of_new(store: &dyn Store, tenant: TenantId) -> StoreResult<Self> {
        Ok(Self { newest: true, ..Self::of(store, tenant, true)? })
    }

    /// Whether another `iss` had one of the keys, or the same URL, before this one: the younger yields, so that nobody who
    /// comes later keeps out who was there.
    fn shares(&self, issuer: &Issuer, set: Option<&KeySet>) -> bool {
        let place = (issuer.created_at_ms, issuer.id);
        let is_in_the_way = |other: &Neighbour| other.iss != issuer.rules.iss && (self.newest || other.place < place);
        let others = |of: Option<&Vec<Neighbour>>| of.is_some_and(|of| of.iter().any(is_in_the_way));
        let url = if let KeySource::Url(url) = &issuer.keys { self.urls.get(url) } else { None };
        others(url) || set.iter().flat_map(|set| set.keys()).any(|key| others(self.keys.get(key.thumbprint())))
    }
}

/// A key's kind and size.
fn kind(key: &VerifyingKey) -> String {
    match key.family() {
        KeyFamily::Secret => format!("secret {}", key.bits()),
        KeyFamily::Rsa => format!("RSA {}", key.bits()),
        KeyFamily::P256 => "P-256".to_owned(),
        KeyFamily::P384 => "P-384".to_owned(),
        KeyFamily::Ed25519 => "Ed25519".to_owned(),
    }
}

fn checked(set: &KeySet, allowed: &[Algorithm]) -> Vec<CheckedKey> {
    let known = set.keys().iter().map(|key| {
        let reasons: Vec<Fault> = allowed.iter().filter_map(|algorithm| key.fits(*algorithm).err()).collect();
        // The nearest miss: of the right kind, if one is.
        let reason = reasons.iter().find(|fault| **fault != Fault::KeyFamily).or(reasons.first());
        CheckedKey {
            kid: key.kid().map(str::to_owned),
            kind: kind(key),
            algorithm: key.algorithm(),
            thumbprint: (key.family() != KeyFamily::Secret).then(|| thumbprint_text(key.thumbprint())),
            against: reason.filter(|_| reasons.len() == allowed.len()).map(|fault| match fault {
                Fault::KeyFamily => "none of the algorithms that are allowed takes such a key",
                Fault::KeyAlgorithm => "it is for an algorithm that is not allowed",
                other => other.text(),
            }),
        }
    });
    let left_out = set.skipped().iter().map(|skipped| {
        let (kid, against) = (skipped.kid.clone(), Some(skipped.why.text()));
        CheckedKey { kid, kind: String::new(), algorithm: None, thumbprint: None, against }
    });
    known.chain(left_out).collect()
}

impl Admin {
    /// What the linter says of a row and what is known of its keys.
    pub(super) fn lint(&self, issuer: &Issuer, found: &Found, neighbours: &Neighbourhood) -> Vec<Finding> {
        let (mut known, mut left_out) = (Vec::new(), Vec::new());
        if let Some(set) = found.set() {
            known.extend(set.keys().iter().map(Key::from));
            left_out.extend(set.skipped().iter().map(|skipped| (skipped.kid.clone(), skipped.why)));
        }
        let keys = match found {
            Found::Unasked => Keys::Unknown(None),
            Found::Unavailable(why) => Keys::Unknown(Some(why)),
            Found::Known { .. } => Keys::Known(&known, &left_out),
            Found::Wrong(fault) => Keys::Wrong(*fault),
        };
        let Issuer { rules, keys: source, identity, strict, waivers, .. } = issuer;
        let shared = neighbours.shares(issuer, found.set());
        let draft = Draft { rules, source, identity, strict: *strict, waivers, keys, shared };
        let settings = &self.backend.issuers;
        let bounds =
            Bounds { reserved: &settings.reserved, plain_loopback: settings.plain_loopback, now_ms: self.now_ms() };
        lint::lint(&draft, &bounds)
    }

    fn judge(key: Option<&SubjectKey>, issuer: Issuer, findings: Vec<Finding>) -> JudgedIssuer {
        let state = match key.map(|key| key.is_genuine_issuer(&issuer)) {
            None => IssuerState::KeyMissing,
            Some(false) => IssuerState::Forged,
            Some(true) if !issuer.active => IssuerState::Inactive,
            Some(true) if lint::refuses(&findings) => IssuerState::PolicyRefused,
            Some(true) => IssuerState::Active,
        };
        JudgedIssuer { issuer, state, findings }
    }

    /// The key of subject hashes, if it can be used.
    fn key_if_any(&self, permit: &Permit<'_>) -> AdminResult<Option<SubjectKey>> {
        match self.subject_key(permit) {
            Ok(key) => Ok(Some(key)),
            Err(AdminError::SubjectKey(_)) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Rows with what they are worth, without anything fetched.
    pub(super) fn judged_issuers(&self, permit: &Permit<'_>, rows: Vec<Issuer>) -> AdminResult<Vec<JudgedIssuer>> {
        let Some(tenant) = rows.first().map(|row| row.tenant) else { return Ok(Vec::new()) };
        let (key, neighbours) = (self.key_if_any(permit)?, Neighbourhood::of(permit.store(), tenant, false)?);
        let judge = |issuer: Issuer| {
            let found = self.keys_of(&issuer, key.as_ref(), false);
            let findings = self.lint(&issuer, &found, &neighbours);
            Self::judge(key.as_ref(), issuer, findings)
        };
        Ok(rows.into_iter().map(judge).collect())
    }

    /// Fetches an issuer's keys, lints it with them, and says what each is worth. Changes nothing. Blocks for as long as the
    /// fetch takes.
    ///
    /// # Errors
    /// When the caller may not, or the tenant has no such issuer.
    pub fn check_issuer(&self, tenant: &str, id: IssuerId) -> AdminResult<IssuerCheck> {
        let permit = self.permit(Act::Trust)?;
        let tenant = permit.tenant(tenant)?;
        let row = Self::issuer_row(&permit, &tenant, id)?;
        let key = self.key_if_any(&permit)?;
        // What somebody else wrote must not say where we ask.
        let genuine = key.as_ref().is_some_and(|key| key.is_genuine_issuer(&row));
        let found = self.keys_of(&row, key.as_ref(), genuine);
        let findings = self.lint(&row, &found, &Neighbourhood::of(permit.store(), tenant.id, true)?);
        let keys_error = match &found {
            Found::Unasked => Some("nothing here fetches keys"),
            Found::Unavailable(why) => Some(*why),
            Found::Wrong(fault) => Some(fault.text()),
            Found::Known { .. } => None,
        };
        let keys = found.set().map(|set| checked(set, &row.rules.algorithms)).unwrap_or_default();
        Ok(IssuerCheck { judged: Self::judge(key.as_ref(), row, findings), keys, keys_error })
    }
}
