//! What may be changed of an issuer: everything but whose it is and which.

use crate::admin::authority::Act;
use crate::admin::issuers::policy::Neighbourhood;
use crate::admin::issuers::{IssuerState, JudgedIssuer, NewKeys, details, values};
use crate::admin::limits::invalid;
use crate::admin::{Admin, AdminError, AdminResult, check_etag, retrying, take};
use crate::domain::issuer::{ClaimPath, Identity, KeySource, Waiver};
use crate::domain::{Action, Algorithm, Generation, IssuerId, Subject};
use crate::jwt::lint;
use crate::store::Sharing;

/// What is to be changed; what is none stays. No `Debug`, because of its keys.
#[derive(Default)]
pub struct IssuerChanges {
    /// The audiences.
    pub audiences: Option<Vec<String>>,
    /// The algorithms.
    pub algorithms: Option<Vec<Algorithm>>,
    /// The values of `typ`.
    pub types: Option<Vec<String>>,
    /// Seconds that the clocks may differ.
    pub leeway_s: Option<u32>,
    /// The greatest age in seconds, or none.
    pub max_age_s: Option<Option<u32>>,
    /// Claims that must be there.
    pub required: Option<Vec<ClaimPath>>,
    /// Where the keys come from; never a secret.
    pub keys: Option<NewKeys>,
    /// Whom tokens stand for.
    pub identity: Option<Identity>,
    /// The claim that the scopes are taken from.
    pub scope_claim: Option<ClaimPath>,
    /// Whether keys below 128 bits of security are refused.
    pub strict: Option<bool>,
    /// What need not be kept.
    pub waivers: Option<Vec<Waiver>>,
    /// Whether tokens are taken.
    pub active: Option<bool>,
    /// Refuses the change where the keys cannot be fetched.
    pub require_keys: bool,
    /// Only if it is still as it was read.
    pub etag: Option<Generation>,
}

impl Admin {
    /// Changes an issuer. Fetches its keys, unless it is inactive afterwards: blocks for as long.
    ///
    /// # Errors
    /// As [`Admin::add_issuer`]; also when the tenant has no such issuer, or somebody else wrote its row.
    pub fn set_issuer(&self, tenant: &str, id: IssuerId, changes: &IssuerChanges) -> AdminResult<JudgedIssuer> {
        let permit = self.permit(Act::Trust)?;
        let pasted = changes.keys.as_ref().is_some_and(|keys| !matches!(keys, NewKeys::Discover));
        if pasted || changes.waivers.is_some() {
            self.permit(Act::Govern)?;
        }
        let tenant = permit.tenant(tenant)?;
        let key = self.subject_key(&permit)?;
        retrying(|| {
            let mut row = Self::issuer_row(&permit, &tenant, id)?;
            if !key.is_genuine_issuer(&row) {
                return Err(AdminError::IssuerForged(id.to_string()));
            }
            check_etag(changes.etag, row.generation, "issuer", &id)?;
            let (before, mut fields) = (row.clone(), Vec::new());
            let rules = &mut row.rules;
            take("audiences", changes.audiences.as_ref(), &mut rules.audiences, &mut fields);
            take("algorithms", changes.algorithms.as_ref(), &mut rules.algorithms, &mut fields);
            take("types", changes.types.as_ref(), &mut rules.types, &mut fields);
            take("leeway_seconds", changes.leeway_s.as_ref(), &mut rules.leeway_s, &mut fields);
            take("max_age_seconds", changes.max_age_s.as_ref(), &mut rules.max_age_s, &mut fields);
            take("required_claims", changes.required.as_ref(), &mut rules.required, &mut fields);
            take("identity", changes.identity.as_ref(), &mut row.identity, &mut fields);
            take("scope_claim", changes.scope_claim.as_ref(), &mut row.scope_claim, &mut fields);
            take("strict", changes.strict.as_ref(), &mut row.strict, &mut fields);
            take("waivers", changes.waivers.as_ref(), &mut row.waivers, &mut fields);
            take("active", changes.active.as_ref(), &mut row.active, &mut fields);
            values::check(&row, Some(&fields), self.now_ms())?;
            let more = row.rules.audiences.iter().any(|aud| !before.rules.audiences.contains(aud));
            let sharing = if more { self.sharing() } else { Sharing::Allowed };
            if row.identity != before.identity {
                Self::check_named(&permit, &tenant, &row.identity)?;
            }
            // To switch one off is never held up, neither by its provider nor, where it is all, by what the linter says.
            let only_off = fields == ["active"] && !row.active && changes.keys.is_none();
            let found = if let Some(new) = &changes.keys {
                if matches!(new, NewKeys::Secret(_)) || matches!(before.keys, KeySource::Secret(_)) {
                    return Err(invalid("keys", "a secret is not replaced: remove the issuer, and add it anew"));
                }
                let (source, found) = self.resolve(&row, new, &key)?;
                values::check_keys(&source)?;
                take("keys", Some(&source), &mut row.keys, &mut fields);
                found
            } else {
                self.keys_of(&row, Some(&key), row.active && !fields.is_empty())
            };
            Self::check_others(&permit, &tenant, &row.rules.iss, sharing)?;
            if fields.is_empty() {
                return self
                    .judged_issuers(&permit, vec![row])?
                    .into_iter()
                    .next()
                    .ok_or(AdminError::IssuerForged(id.to_string()));
            }
            if changes.require_keys && row.active {
                found.required()?;
            }
            let neighbours = Neighbourhood::of(permit.store(), tenant.id, !only_off)?;
            let findings = self.lint(&row, &found, &neighbours);
            if !only_off && lint::refuses(&findings) {
                return Err(AdminError::Policy(findings));
            }
            row.generation = self.generation()?;
            row.mac = key.issuer_mac(&row);
            let event = self.event(Action::IssuerChanged, Subject::Issuer(id), Some(tenant.id), details(&row, &fields));
            let updated = permit.store().issuers().update(&row, before.generation, sharing, event);
            updated.map_err(|error| Self::issuer_error(&tenant, &row, error))?;
            self.keep(&permit, &key, &row, &found);
            let state = if row.active { IssuerState::Active } else { IssuerState::Inactive };
            Ok(JudgedIssuer { issuer: row, state, findings })
        })
    }
}
