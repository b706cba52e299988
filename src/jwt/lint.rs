//! The linter of what a tenant would take of an issuer: refuses what RFC 8725 forbids, with the clause, and warns of what it
//! advises against. It runs when an issuer is added or changed, when a process starts and when keys come anew.
//!
//! Rules that are a matter of the provider's habits can be waived for a time, with a name that answers for it; a waiver that
//! is over counts no more, and then the issuer's tokens are refused. What would let somebody forge a token cannot be waived.

mod rules;
mod usable;

use std::net::IpAddr;

use crate::domain::issuer::{ClaimPath, FirstUse, Identity, KeySource, MAX_LEEWAY_S, TokenRules, Waiver};
use crate::domain::{Algorithm, KeyFamily};
use crate::jwt::Fault;
use crate::jwt::keys::VerifyingKey;

pub use rules::{OUR_PREFIX, RULES, is_waivable};
pub use usable::against;

use rules::{
    CHOSEN, FIRST_USE_EMAIL, FIRST_USE_OPEN, HMAC_MIXED, HMAC_PUBLISHED, HMAC_SHORT, IDENTITY_CHOSEN,
    KEY_ALGORITHM_AMBIGUOUS, KEY_LEFT_OUT, KEY_SHARED, KEY_UNUSABLE, KEY_WITHOUT_KID, KEYS_UNKNOWN, LEEWAY,
    NEVER_TAKEN, NO_ALGORITHM, NO_AUDIENCE, NO_ISSUER, NO_MAX_AGE, NOT_HTTPS, OTHER_TYPES, PKCS1, REQUIRED_UNKNOWN,
    RESERVED_ISSUER, RSA_2048, RSA_LONG, RSA_SHORT, Rule, STRICT_KEY, TYPE_ABSENT, TYPE_LOGOUT, TYPE_NOT_EXPLICIT,
    TYPE_UNKNOWN, WAIVER_OVER, secret_bits,
};

/// What a finding means.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// Refused, whatever anybody says.
    Refused,
    /// Refused, unless somebody answers for it.
    Waivable,
    /// Somebody answers for it, for now.
    Waived,
    /// Taken, and better done otherwise.
    Warning,
}

impl Severity {
    /// Its stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Waivable => "waivable",
            Self::Waived => "waived",
            Self::Warning => "warning",
        }
    }
}

/// What the linter says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// The rule's stable name.
    pub rule: &'static str,
    /// Where the rule comes from.
    pub clause: &'static str,
    /// What it means.
    pub severity: Severity,
    /// What is wrong and what to do.
    pub text: String,
}

/// Whether what was found lets no token of the issuer be taken.
pub fn refuses(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| matches!(finding.severity, Severity::Refused | Severity::Waivable))
}

/// What the linter needs to know of a key that can be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    /// Its `kid`.
    pub kid: Option<String>,
    /// Its kind.
    pub family: KeyFamily,
    /// The one algorithm that it is for, where it says so.
    pub algorithm: Option<Algorithm>,
    /// Bits of an RSA modulus or of a secret.
    pub bits: u32,
}

impl From<&VerifyingKey> for Key {
    fn from(key: &VerifyingKey) -> Self {
        let (kid, family, algorithm) = (key.kid().map(str::to_owned), key.family(), key.algorithm());
        Self { kid, family, algorithm, bits: key.bits() }
    }
}

/// The keys of an issuer, as far as they are known.
#[derive(Clone, Copy, Debug)]
pub enum Keys<'a> {
    /// They would have to be fetched, and were not, or could not be, for this reason.
    Unknown(Option<&'a str>),
    /// These, and those that were left out, by their `kid`.
    Known(&'a [Key], &'a [(Option<String>, Fault)]),
    /// They cannot be used at all.
    Wrong(Fault),
}

/// What a tenant would take of an issuer.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    /// What tokens must fulfil.
    pub rules: &'a TokenRules,
    /// Where keys come from.
    pub source: &'a KeySource,
    /// Whom tokens stand for.
    pub identity: &'a Identity,
    /// Refuses keys below 128 bits of security.
    pub strict: bool,
    /// What need not be kept.
    pub waivers: &'a [Waiver],
    /// The keys.
    pub keys: Keys<'a>,
    /// Whether another `iss` of the store has one of the keys, or the same URL.
    pub shared: bool,
}

/// What it is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Bounds<'a> {
    /// Values of `iss` that are ours.
    pub reserved: &'a [String],
    /// Whether keys may be fetched over plain HTTP from this machine itself.
    pub plain_loopback: bool,
    /// The time that waivers are judged by, milliseconds since the epoch.
    pub now_ms: i64,
}

struct Linter<'a> {
    draft: &'a Draft<'a>,
    bounds: &'a Bounds<'a>,
    findings: Vec<Finding>,
}

/// Whether people choose a claim themselves, or it passes from one to another: by its last name, whoever's namespace it is in.
fn is_chosen(claim: &ClaimPath) -> bool {
    let last = claim.0.last().and_then(|name| name.rsplit(['/', '#', ':']).next()).unwrap_or_default();
    let last = last.to_ascii_lowercase();
    CHOSEN.contains(&last.as_str()) || last.contains("mail")
}

/// Everything that is to be said, the worst first.
pub fn lint(draft: &Draft<'_>, bounds: &Bounds<'_>) -> Vec<Finding> {
    let mut linter = Linter { draft, bounds, findings: Vec::new() };
    linter.names();
    linter.algorithms();
    linter.types();
    linter.times();
    linter.source();
    linter.keys();
    linter.identity();
    linter.waivers();
    linter.findings.sort_by_key(|finding| finding.severity);
    linter.findings
}

impl Linter<'_> {
    fn say(&mut self, rule: Rule, text: impl Into<String>) {
        let waived = rule.severity == Severity::Waivable
            && self.draft.waivers.iter().any(|w| w.rule == rule.code && self.bounds.now_ms < w.until_ms);
        let severity = if waived { Severity::Waived } else { rule.severity };
        self.findings.push(Finding { rule: rule.code, clause: rule.clause, severity, text: text.into() });
    }

    fn names(&mut self) {
        let TokenRules { iss, audiences, required, .. } = self.draft.rules;
        if iss.is_empty() {
            self.say(NO_ISSUER, "there is no issuer: give the exact iss of its tokens");
        }
        if iss.starts_with(OUR_PREFIX) || self.bounds.reserved.iter().any(|ours| ours == iss) {
            self.say(RESERVED_ISSUER, "this iss is Latchkey's own: tokens of ours need no issuer");
        }
        if audiences.is_empty() || audiences.iter().any(String::is_empty) {
            self.say(
                NO_AUDIENCE,
                "there is no audience, so that tokens for anybody would be taken: give what aud says of tokens for this gateway",
            );
        }
        for claim in required {
            if claim.0.first().is_some_and(|name| NEVER_TAKEN.contains(&name.as_str())) {
                let text = format!("{} is required, and no token that has it is taken", claim.to_text());
                self.say(REQUIRED_UNKNOWN, text);
            }
        }
    }

    fn algorithms(&mut self) {
        let algorithms = &self.draft.rules.algorithms;
        let is_secret = matches!(self.draft.source, KeySource::Secret(_));
        let (symmetric, asymmetric): (Vec<Algorithm>, Vec<Algorithm>) =
            algorithms.iter().partition(|algorithm| algorithm.is_symmetric());
        if algorithms.is_empty() {
            self.say(NO_ALGORITHM, "no algorithm is allowed: name those that the issuer signs with, such as ES256");
        }
        if !symmetric.is_empty() && !asymmetric.is_empty() {
            let text = "HMAC is allowed beside other algorithms: who has a public key could sign with it as a secret. One kind \
                        for each issuer";
            self.say(HMAC_MIXED, text);
        }
        if !symmetric.is_empty() && asymmetric.is_empty() && !is_secret {
            self.say(
                HMAC_PUBLISHED,
                "HMAC is allowed and the keys are public ones: give the secret in a file, or another alg",
            );
        }
        if symmetric.is_empty() && !asymmetric.is_empty() && is_secret && matches!(self.draft.keys, Keys::Unknown(_)) {
            self.say(KEY_UNUSABLE, "there is a secret and no algorithm that uses one: allow HS256, HS384 or HS512");
        }
        if let Some(weak) = algorithms.iter().find(|algorithm| algorithm.as_str().starts_with("RS")) {
            self.say(PKCS1, format!("{weak} is RSA with PKCS#1 v1.5: PS256, ES256 or EdDSA where the issuer can"));
        }
    }

    fn types(&mut self) {
        let types = &self.draft.rules.types;
        // A media type's name (RFC 6838 section 4.2) in lower case, its tree left out as RFC 7515 section 4.1.9 advises.
        let is_type = |text: &String| {
            let name = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"!#$&-^_.+/".contains(&c);
            text.len() <= 127 && text.bytes().all(name) && !text.starts_with("application/")
        };
        if types.is_empty() {
            self.say(TYPE_UNKNOWN, "no typ is taken: name them, such as at+jwt, or none for tokens without one");
        }
        if let Some(wrong) = types.iter().find(|text| !is_type(text)) {
            let text = format!("{wrong:?} is no typ: a media type in lower case without application/, or none");
            self.say(TYPE_UNKNOWN, text);
        }
        if let Some(other) = types.iter().find(|text| OTHER_TYPES.contains(&text.as_str())) {
            self.say(
                TYPE_LOGOUT,
                format!("{other} is the typ of another kind of token, which gives no access: leave it out"),
            );
        }
        match types.as_slice() {
            [one] if one.is_empty() => {
                self.say(
                    TYPE_ABSENT,
                    "only tokens without typ are taken, which says of none what it is for: at+jwt, or waive it",
                );
            }
            some if some.iter().any(|text| text.is_empty() || text == "jwt") => {
                self.say(
                    TYPE_NOT_EXPLICIT,
                    "tokens of any kind are taken (typ JWT or none): at+jwt alone where the issuer sets it",
                );
            }
            _ => {}
        }
    }

    fn times(&mut self) {
        let TokenRules { leeway_s, max_age_s, .. } = self.draft.rules;
        if *leeway_s > MAX_LEEWAY_S {
            self.say(LEEWAY, format!("a leeway of {leeway_s} s: at most {MAX_LEEWAY_S}; set the clocks right instead"));
        }
        if max_age_s.is_none() {
            self.say(NO_MAX_AGE, "tokens are taken for as long as their issuer says: a greatest age bounds that");
        }
    }

    fn source(&mut self) {
        if let KeySource::Url(url) = self.draft.source
            && !self.is_good_url(url)
        {
            let text = "keys are fetched over https alone, from a URL with a host and without name, password or fragment: whoever \
                        is on the way could give others";
            self.say(NOT_HTTPS, text);
        }
        if self.draft.shared {
            let text = "one of these keys, or this URL, is not known to be this iss's alone: a token of another could be taken for \
                        one of it. Ask the provider for keys of its own, or waive it";
            self.say(KEY_SHARED, text);
        }
    }

    fn is_good_url(&self, url: &str) -> bool {
        let Ok(uri) = url.parse::<http::Uri>() else { return false };
        let Some(host) = uri.host().filter(|host| !host.is_empty()) else { return false };
        let clean = !url.contains('#') && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let loopback = bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        clean
            && match uri.scheme_str() {
                Some("https") => true,
                Some("http") => self.bounds.plain_loopback && loopback,
                _ => false,
            }
    }

    fn keys(&mut self) {
        match self.draft.keys {
            Keys::Unknown(why) => {
                let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
                self.say(
                    KEYS_UNKNOWN,
                    format!("its keys are not known yet{why}, and nothing is said of them: `issuer check`"),
                );
            }
            Keys::Wrong(fault) => self.say(rules::rule_of(fault), fault.text()),
            Keys::Known(keys, left_out) => {
                self.left_out(left_out);
                self.known(keys);
            }
        }
    }

    fn left_out(&mut self, left_out: &[(Option<String>, Fault)]) {
        for (kid, fault) in left_out {
            let rule = if *fault == Fault::RsaSize { RSA_SHORT } else { KEY_LEFT_OUT };
            let text = format!("key {} is left out: {}", kid.as_deref().unwrap_or("without kid"), fault.text());
            self.say(rule, text);
        }
    }

    fn known(&mut self, keys: &[Key]) {
        let allowed = self.draft.rules.algorithms.clone();
        let fits = |key: &Key| -> Vec<Algorithm> {
            let of_key = allowed.iter().copied().filter(|algorithm| algorithm.family() == key.family);
            of_key.filter(|algorithm| key.algorithm.is_none_or(|only| only == *algorithm)).collect()
        };
        let usable: Vec<&Key> = keys.iter().filter(|key| !fits(key).is_empty()).collect();
        if usable.is_empty() && !allowed.is_empty() {
            let names: Vec<&str> = allowed.iter().map(|algorithm| algorithm.as_str()).collect();
            self.say(
                KEY_UNUSABLE,
                format!("no key can be used with {}: `issuer check` shows the keys", names.join(", ")),
            );
        }
        for key in &usable {
            let name = key.kid.as_deref().unwrap_or("without kid");
            let algorithms = fits(key);
            if key.family == KeyFamily::Secret {
                let needs = algorithms.iter().map(|algorithm| secret_bits(*algorithm)).max().unwrap_or(256);
                if key.bits < needs {
                    self.say(
                        HMAC_SHORT,
                        format!("the secret has {} bits, and what is allowed needs {needs}", key.bits),
                    );
                }
            } else if algorithms.len() > 1 {
                let names: Vec<&str> = algorithms.iter().map(|algorithm| algorithm.as_str()).collect();
                let text = format!(
                    "key {name} names no alg and could be used with each of {}: allow one of them, or waive it",
                    names.join(", ")
                );
                self.say(KEY_ALGORITHM_AMBIGUOUS, text);
            }
            if key.family == KeyFamily::Rsa && key.bits > 4_096 {
                self.say(RSA_LONG, format!("key {name} is RSA of {} bits: 4096 are plenty, and quicker", key.bits));
            }
            if key.family == KeyFamily::Rsa && key.bits < 3_072 {
                let text = format!("key {name} is RSA of {} bits: 3072 have 128 bits of security", key.bits);
                self.say(if self.draft.strict { STRICT_KEY } else { RSA_2048 }, text);
            }
        }
        if usable.len() > 1 && usable.iter().any(|key| key.kid.is_none()) {
            let text = "there are several keys, and one has no kid: tokens of it cannot say which it is. Give it one, or waive it";
            self.say(KEY_WITHOUT_KID, text);
        }
    }

    fn identity(&mut self) {
        if let Identity::Mapped { app, user } = self.draft.identity {
            let paths = [app.claim(), user.claim()];
            for claim in paths.into_iter().flatten().filter(|claim| is_chosen(claim)) {
                let text =
                    format!("{} is chosen by people: it must not decide for whom a token stands", claim.to_text());
                self.say(IDENTITY_CHOSEN, text);
            }
        }
        let Identity::Linked { first_use: Some(FirstUse { allow, .. }) } = self.draft.identity else { return };
        if allow.is_empty() {
            let text = "links at the first use need claims that the provider controls: without any, every subject of it is linked";
            self.say(FIRST_USE_OPEN, text);
        }
        for (claim, _) in allow {
            if is_chosen(claim) {
                let text = format!(
                    "{} is chosen by people, or passes from one to another: it must not decide who is linked; take a group or \
                     an organisation that the provider gives",
                    claim.to_text()
                );
                self.say(FIRST_USE_EMAIL, text);
            }
        }
    }

    fn waivers(&mut self) {
        for waiver in self.draft.waivers.iter().filter(|waiver| self.bounds.now_ms >= waiver.until_ms) {
            self.say(WAIVER_OVER, format!("the waiver of {} by {} is over", waiver.rule, waiver.owner));
        }
    }
}

#[cfg(test)]
#[path = "lint_tests.rs"]
mod tests;
