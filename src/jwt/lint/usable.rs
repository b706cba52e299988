//! Which keys of a published set are left out, so that one bad key of a provider is no outage of all its good ones.
//!
//! Where an issuer is added or changed, the linter refuses the whole set instead: somebody is there to mend it.

use super::rules::{KEY_ALGORITHM_AMBIGUOUS, KEY_WITHOUT_KID, RSA_LONG, STRICT_KEY};
use super::{Bounds, Draft, Key, Keys, Rule, lint};
use crate::jwt::lint::{Finding, refuses};

/// What is said of one key alone.
const OF_ONE: [Rule; 3] = [KEY_ALGORITHM_AMBIGUOUS, RSA_LONG, STRICT_KEY];

/// For each of the keys, the rule for which a token of it is not taken; none where the draft has nothing against it. Its own
/// keys are not looked at.
pub fn against(draft: &Draft<'_>, keys: &[Key], bounds: &Bounds<'_>) -> Vec<Option<&'static str>> {
    let said = |keys: &[Key]| lint(&Draft { keys: Keys::Known(keys, &[]), ..*draft }, bounds);
    let is_refused =
        |finding: &Finding, rule: Rule| finding.rule == rule.code && refuses(std::slice::from_ref(finding));
    let mut against: Vec<Option<&'static str>> = keys
        .iter()
        .map(|key| {
            let findings = said(std::slice::from_ref(key));
            OF_ONE.iter().find(|rule| findings.iter().any(|finding| is_refused(finding, **rule))).map(|rule| rule.code)
        })
        .collect();
    let left: Vec<Key> =
        keys.iter().zip(&against).filter(|(_, why)| why.is_none()).map(|(key, _)| key.clone()).collect();
    if said(&left).iter().any(|finding| is_refused(finding, KEY_WITHOUT_KID)) {
        for (why, _) in against.iter_mut().zip(keys).filter(|(why, key)| why.is_none() && key.kid.is_none()) {
            *why = Some(KEY_WITHOUT_KID.code);
        }
    }
    against
}
