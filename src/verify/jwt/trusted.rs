//! What was made of an issuer's row: its keys parsed, its rules linted. Kept while the row is what it was.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::issuer::{Issuer, KeySource, Waiver};
use crate::domain::{Generation, IssuerId, Reason, SigningKeyRow};
use crate::jwks::Source;
use crate::jwt::keys::KeySet;
use crate::jwt::lint::{self, Bounds, Draft, Keys, Severity};
use crate::verify::issuer_secret;
use crate::verify::subject::SubjectKey;

/// Issuers kept; where there are more, they are made anew.
const MOST: usize = 4_096;

/// Until when rules that are not kept are waived: the first end of a waiver that counts, none where none does.
type Verdict = Result<Option<i64>, Reason>;

/// Keys, and until when they may be used.
pub(super) type KeysUntil = (Arc<KeySet>, Option<i64>);

pub(super) struct Trusted {
    generation: Generation,
    /// Where its keys are fetched, if they are.
    source: Option<Source>,
    /// Its own keys, where they are not fetched, and what the linter says of them.
    own: Option<(Arc<KeySet>, Verdict)>,
    /// What it says of the set that was fetched last.
    fetched: Mutex<Option<Fetched>>,
}

/// A set that was fetched, and what of it may be used.
struct Fetched {
    whole: Arc<KeySet>,
    good: Arc<KeySet>,
    verdict: Verdict,
    /// The keys that are left out, and the rules for it.
    left_out: Vec<(Option<String>, &'static str)>,
}

pub(super) struct Registry {
    data_dir: PathBuf,
    known: Mutex<HashMap<IssuerId, Arc<Trusted>>>,
    /// Issuers whose secret could not be used, as of which row, and when that was, milliseconds since the epoch.
    lacking: Mutex<HashMap<IssuerId, (Generation, i64)>>,
    /// Our own signing keys, by the seal of their rows.
    own: Mutex<HashMap<[u8; 32], Arc<KeySet>>>,
}

/// How long a secret that could not be used is not looked for again, in milliseconds: anybody can send a token.
const AGAIN_MS: i64 = 1_000;

impl Registry {
    pub(super) fn new(data_dir: PathBuf) -> Self {
        Self { data_dir, known: Mutex::default(), lacking: Mutex::default(), own: Mutex::default() }
    }

    /// What was made of this very row, which is genuine.
    pub(super) fn of(&self, issuer: &Issuer, key: &SubjectKey, now_ms: i64) -> Result<Arc<Trusted>, Reason> {
        let known = |known: &HashMap<IssuerId, Arc<Trusted>>| {
            known.get(&issuer.id).filter(|trusted| trusted.generation == issuer.generation).map(Arc::clone)
        };
        if let Some(trusted) = known(&self.known.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(trusted);
        }
        let own = match &issuer.keys {
            KeySource::Url(_) => None,
            KeySource::Keys(json) => Some(KeySet::from_jwks(json.as_bytes()).map_err(|_| Reason::IssuerPolicy)?),
            KeySource::Secret(fingerprint) => Some(self.secret(issuer, fingerprint, key, now_ms)?),
        };
        let own = own.map(|set| {
            let keys: Vec<lint::Key> = set.keys().iter().map(lint::Key::from).collect();
            let skipped: Vec<_> = set.skipped().iter().map(|skipped| (skipped.kid.clone(), skipped.why)).collect();
            let verdict = verdict(issuer, Keys::Known(&keys, &skipped), now_ms);
            (Arc::new(set), verdict)
        });
        let trusted =
            Arc::new(Trusted { generation: issuer.generation, source: source(issuer), own, fetched: Mutex::default() });
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(issuer.id, Arc::clone(&trusted));
        Ok(trusted)
    }

    /// Our own key of this row, which is genuine.
    pub(super) fn own_key(&self, row: &SigningKeyRow) -> Result<Arc<KeySet>, Reason> {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(set) = own.get(&row.mac) {
            return Ok(Arc::clone(set));
        }
        let set = KeySet::from_jwks(format!("{{\"keys\":[{}]}}", row.public_jwk).as_bytes());
        let set = Arc::new(set.map_err(|_| Reason::KeysUnavailable)?);
        if own.len() >= MOST {
            own.clear();
        }
        own.insert(row.mac, Arc::clone(&set));
        Ok(set)
    }

    fn secret(&self, issuer: &Issuer, fingerprint: &[u8; 32], key: &SubjectKey, now_ms: i64) -> Result<KeySet, Reason> {
        let mut lacking = self.lacking.lock().unwrap_or_else(PoisonError::into_inner);
        let before = lacking.get(&issuer.id).filter(|(of, _)| *of == issuer.generation).copied();
        if before.is_some_and(|(_, at_ms)| (at_ms..at_ms + AGAIN_MS).contains(&now_ms)) {
            return Err(Reason::KeysUnavailable);
        }
        let problem = match issuer_secret::load(&self.data_dir, issuer.id) {
            Ok(secret) if key.secret_fingerprint(issuer.id, &secret) == *fingerprint => {
                lacking.remove(&issuer.id);
                return KeySet::from_secret(&secret).map_err(|_| Reason::IssuerPolicy);
            }
            Ok(_) => "it is another than the one it was added with".to_owned(),
            Err(error) => error.to_string(),
        };
        // Said once for a row, however many tokens come.
        if before.is_none() {
            tracing::error!(issuer = %issuer.id, problem, "the secret of an issuer cannot be used: its tokens are refused");
        }
        if lacking.len() >= MOST {
            lacking.clear();
        }
        lacking.insert(issuer.id, (issuer.generation, now_ms));
        Err(Reason::KeysUnavailable)
    }
}

/// Where the keys of an issuer are fetched, if they are.
fn source(issuer: &Issuer) -> Option<Source> {
    let KeySource::Url(url) = &issuer.keys else { return None };
    Some(Source { issuer: issuer.id, tenant: issuer.tenant, url: url.as_str().into() })
}

impl Trusted {
    /// Where its keys are fetched, if they are.
    pub(super) fn source(&self) -> Option<&Source> {
        self.source.as_ref()
    }

    /// Its own keys, and until when they may be used; none where they are to be fetched.
    pub(super) fn own(&self, now_ms: i64) -> Result<Option<KeysUntil>, Reason> {
        let in_force = |(set, verdict): &(Arc<KeySet>, Verdict)| Ok((Arc::clone(set), in_force(*verdict, now_ms)?));
        self.own.as_ref().map(in_force).transpose()
    }

    /// Those of keys that were fetched that may be used for it, and until when, by its rules as they stand. What the linter
    /// has against single keys is against those alone: a provider publishes what it likes, and its good keys are good.
    pub(super) fn judge(&self, issuer: &Issuer, set: &Arc<KeySet>, now_ms: i64) -> Result<KeysUntil, Reason> {
        let mut last = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        // What was waived and is no more, is left out from then on.
        let is_over = |of: &Fetched| of.verdict.is_ok_and(|until| until.is_some_and(|until| now_ms >= until));
        if last.as_ref().is_none_or(|of| !Arc::ptr_eq(&of.whole, set) || is_over(of)) {
            let judged = Fetched::judge(issuer, set, now_ms);
            judged.tell(issuer, last.as_ref());
            *last = Some(judged);
        }
        let judged = last.as_ref().ok_or(Reason::IssuerPolicy)?;
        in_force(judged.verdict, now_ms).map(|until| (Arc::clone(&judged.good), until))
    }
}

impl Fetched {
    fn judge(issuer: &Issuer, whole: &Arc<KeySet>, now_ms: i64) -> Self {
        let keys: Vec<lint::Key> = whole.keys().iter().map(lint::Key::from).collect();
        let against = lint::against(&draft(issuer, Keys::Known(&[], &[])), &keys, &bounds(now_ms));
        let why = |n: usize| against.get(n).copied().flatten();
        let left_out: Vec<_> =
            keys.iter().enumerate().filter_map(|(n, key)| Some((key.kid.clone(), why(n)?))).collect();
        let good = if left_out.is_empty() { Arc::clone(whole) } else { Arc::new(whole.without(|n| why(n).is_some())) };
        // What could not be read at all is left out already, which is all that its rule wants here.
        let kept: Vec<lint::Key> = good.keys().iter().map(lint::Key::from).collect();
        let verdict = verdict(issuer, Keys::Known(&kept, &[]), now_ms);
        Self { whole: Arc::clone(whole), good, verdict, left_out }
    }

    /// Once for each change, not at each fetch.
    fn tell(&self, issuer: &Issuer, before: Option<&Self>) {
        if before.is_some_and(|before| before.left_out == self.left_out) {
            return;
        }
        for (kid, rule) in &self.left_out {
            tracing::warn!(issuer = %issuer.id, kid, rule, "a key of an issuer is left out; its tokens are refused");
        }
    }
}

fn in_force(verdict: Verdict, now_ms: i64) -> Verdict {
    let until = verdict?;
    if until.is_some_and(|until| now_ms >= until) { Err(Reason::IssuerPolicy) } else { Ok(until) }
}

/// What the linter says, with the waivers of the row. What it asks of several issuers at once, of reserved names and of the
/// network is asked where one is added and where keys are fetched.
fn verdict(issuer: &Issuer, keys: Keys<'_>, now_ms: i64) -> Verdict {
    let findings = lint::lint(&draft(issuer, keys), &bounds(now_ms));
    if lint::refuses(&findings) {
        for finding in findings.iter().filter(|finding| finding.severity <= Severity::Waivable) {
            let (rule, clause) = (finding.rule, finding.clause);
            tracing::error!(issuer = %issuer.id, rule, clause, "the tokens of an issuer are refused: {}", finding.text);
        }
        return Err(Reason::IssuerPolicy);
    }
    let waived = |waiver: &&Waiver| findings.iter().any(|f| f.severity == Severity::Waived && f.rule == waiver.rule);
    Ok(issuer.waivers.iter().filter(waived).map(|waiver| waiver.until_ms).min())
}

fn draft<'a>(issuer: &'a Issuer, keys: Keys<'a>) -> Draft<'a> {
    let Issuer { rules, keys: source, identity, strict, waivers, .. } = issuer;
    Draft { rules, source, identity, strict: *strict, waivers, keys, shared: false }
}

fn bounds(now_ms: i64) -> Bounds<'static> {
    Bounds { reserved: &[], plain_loopback: true, now_ms }
}

#[cfg(test)]
#[path = "trusted_tests.rs"]
mod tests;
