use super::*;
use crate::domain::issuer::{ClaimPath, Half};
use crate::domain::{AppId, UserId};

const NOW: i64 = 1_800_000_000_000;

/// What one issuer is made of, without anything that the linter would say.
struct Made {
    rules: TokenRules,
    source: KeySource,
    identity: Identity,
    strict: bool,
    waivers: Vec<Waiver>,
    keys: Vec<Key>,
    left_out: Vec<(Option<String>, Fault)>,
    /// In the place of the keys.
    instead: Option<Keys<'static>>,
    shared: bool,
    reserved: Vec<String>,
    plain_loopback: bool,
}

fn key(kid: &str, family: KeyFamily, bits: u32) -> Key {
    Key { kid: Some(kid.to_owned()), family, algorithm: None, bits }
}

fn good() -> Made {
    Made {
        rules: TokenRules {
            iss: "https://id.example".to_owned(),
            audiences: vec!["gateway".to_owned()],
            algorithms: vec![Algorithm::ES256],
            types: vec!["at+jwt".to_owned()],
            leeway_s: 60,
            max_age_s: Some(3_600),
            required: vec![ClaimPath::parse("azp").unwrap()],
        },
        source: KeySource::Url("https://id.example/keys".to_owned()),
        identity: Identity::Mapped {
            app: Half::Fixed(AppId::new(7).unwrap()),
            user: Half::Claim(ClaimPath::parse("sub").unwrap()),
        },
        strict: false,
        waivers: Vec::new(),
        keys: vec![key("1", KeyFamily::P256, 256)],
        left_out: Vec::new(),
        instead: None,
        shared: false,
        reserved: vec!["https://latchkey.example".to_owned()],
        plain_loopback: false,
    }
}

fn said(made: &Made) -> Vec<Finding> {
    let keys = made.instead.unwrap_or(Keys::Known(&made.keys, &made.left_out));
    let Made { rules, source, identity, strict, waivers, shared, .. } = made;
    let draft = Draft { rules, source, identity, strict: *strict, waivers, keys, shared: *shared };
    let bounds = Bounds { reserved: &made.reserved, plain_loopback: made.plain_loopback, now_ms: NOW };
    lint(&draft, &bounds)
}

fn secret(made: &mut Made, bits: u32, algorithms: &[Algorithm]) {
    made.source = KeySource::Secret([0; 32]);
    made.rules.algorithms = algorithms.to_vec();
    made.keys = vec![Key { kid: None, ..key("", KeyFamily::Secret, bits) }];
}

fn mapped(app: &str, user: &str) -> Identity {
    let (app, user) = (ClaimPath::parse(app).unwrap(), ClaimPath::parse(user).unwrap());
    Identity::Mapped { app: Half::Claim(app), user: Half::Claim(user) }
}

fn first_use(claims: &[&str]) -> Identity {
    let allow = claims.iter().map(|claim| (ClaimPath::parse(claim).unwrap(), "x".to_owned())).collect();
    let (app, user) = (AppId::new(7).unwrap(), UserId::new(9).unwrap());
    Identity::Linked { first_use: Some(FirstUse { app, user, allow, cap: 1, until_ms: NOW + 1 }) }
}

type Spoil = fn(&mut Made);

/// What each rule finds, one way after another: without the rule nothing is said of it.
const CASES: &[(&str, Spoil)] = &[
    ("no_issuer", |m| m.rules.iss.clear()),
    ("reserved_issuer", |m| m.rules.iss = "urn:latchkey:anything".to_owned()),
    ("reserved_issuer", |m| m.rules.iss = "https://latchkey.example".to_owned()),
    ("no_audience", |m| m.rules.audiences.clear()),
    ("no_audience", |m| m.rules.audiences.push(String::new())),
    ("no_algorithm", |m| m.rules.algorithms.clear()),
    ("hmac_mixed", |m| m.rules.algorithms.push(Algorithm::HS256)),
    ("hmac_mixed", |m| secret(m, 512, &[Algorithm::HS256, Algorithm::EdDSA])),
    ("hmac_published", |m| {
        secret(m, 256, &[Algorithm::HS256]);
        m.source = good().source;
    }),
    ("hmac_short", |m| secret(m, 256, &[Algorithm::HS256, Algorithm::HS384])),
    ("hmac_short", |m| secret(m, 504, &[Algorithm::HS512])),
    ("hmac_short", |m| m.instead = Some(Keys::Wrong(Fault::SecretShort))),
    ("hmac_guessable", |m| m.instead = Some(Keys::Wrong(Fault::SecretGuessable))),
    ("rsa_short", |m| m.left_out = vec![(Some("2".to_owned()), Fault::RsaSize)]),
    ("rsa_short", |m| m.instead = Some(Keys::Wrong(Fault::RsaSize))),
    ("private_key", |m| m.instead = Some(Keys::Wrong(Fault::JwkPrivate))),
    ("private_key", |m| m.instead = Some(Keys::Wrong(Fault::JwkSecret))),
    ("private_key", |m| m.instead = Some(Keys::Wrong(Fault::PemPrivate))),
    ("duplicate_kid", |m| m.instead = Some(Keys::Wrong(Fault::JwksDuplicate))),
    ("keys_malformed", |m| m.instead = Some(Keys::Wrong(Fault::JwksForm))),
    ("key_unusable", |m| m.keys = vec![key("1", KeyFamily::P384, 384)]),
    ("key_unusable", |m| m.keys.clear()),
    ("key_unusable", |m| m.keys[0].algorithm = Some(Algorithm::ES384)),
    ("key_unusable", |m| secret(m, 512, &[Algorithm::ES256])),
    ("strict_key", |m| {
        (m.strict, m.rules.algorithms) = (true, vec![Algorithm::PS256]);
        m.keys = vec![key("1", KeyFamily::Rsa, 3_071)];
    }),
    ("leeway", |m| m.rules.leeway_s = 61),
    ("type_unknown", |m| m.rules.types.push("AT+JWT".to_owned())),
    ("type_unknown", |m| m.rules.types.push("application/at+jwt".to_owned())),
    ("type_unknown", |m| m.rules.types.clear()),
    ("type_logout", |m| m.rules.types.push("logout+jwt".to_owned())),
    ("type_logout", |m| m.rules.types.push("secevent+jwt".to_owned())),
    ("not_https", |m| m.source = KeySource::Url("http://id.example/keys".to_owned())),
    ("not_https", |m| m.source = KeySource::Url("http://127.0.0.1/keys".to_owned())),
    ("not_https", |m| m.source = KeySource::Url("https://ann:secret@id.example/keys".to_owned())),
    ("not_https", |m| m.source = KeySource::Url("https://id.example/keys#1".to_owned())),
    ("not_https", |m| m.source = KeySource::Url("file:///etc/passwd".to_owned())),
    ("not_https", |m| m.source = KeySource::Url("https:///keys".to_owned())),
    ("not_https", |m| {
        (m.plain_loopback, m.source) = (true, KeySource::Url("http://127.0.0.1.example/keys".to_owned()));
    }),
    ("rsa_long", |m| {
        m.rules.algorithms = vec![Algorithm::PS256];
        m.keys = vec![key("1", KeyFamily::Rsa, 4_097)];
    }),
    ("identity_chosen", |m| m.identity = mapped("sub", "preferred_username")),
    ("identity_chosen", |m| m.identity = mapped("user.Name", "sub")),
    ("identity_chosen", |m| m.identity = mapped("sub", "https://acme.example/work_email")),
    ("first_use_open", |m| m.identity = first_use(&[])),
    ("first_use_email", |m| m.identity = first_use(&["groups", "email"])),
    ("first_use_email", |m| m.identity = first_use(&["https://acme.example/nickname"])),
    ("first_use_email", |m| m.identity = first_use(&["user.preferred_username"])),
    ("first_use_email", |m| m.identity = first_use(&["https://acme.example/UPN"])),
    ("required_unknown", |m| m.rules.required.push(ClaimPath::parse("cnf.jkt").unwrap())),
    ("key_algorithm_ambiguous", |m| {
        m.rules.algorithms = vec![Algorithm::PS256, Algorithm::PS384];
        m.keys = vec![key("1", KeyFamily::Rsa, 3_072)];
    }),
    ("key_without_kid", |m| m.keys.push(Key { kid: None, ..key("", KeyFamily::P256, 256) })),
    ("key_shared", |m| m.shared = true),
    ("type_absent_accepted", |m| m.rules.types = vec![String::new()]),
    ("rsa_2048", |m| {
        m.rules.algorithms = vec![Algorithm::PS256];
        m.keys = vec![key("1", KeyFamily::Rsa, 3_071)];
    }),
    ("type_not_explicit", |m| m.rules.types.push("jwt".to_owned())),
    ("type_not_explicit", |m| m.rules.types.push(String::new())),
    ("no_max_age", |m| m.rules.max_age_s = None),
    ("pkcs1", |m| {
        m.rules.algorithms = vec![Algorithm::RS256];
        m.keys = vec![key("1", KeyFamily::Rsa, 3_072)];
    }),
    ("key_left_out", |m| m.left_out = vec![(None, Fault::JwkUse)]),
    ("keys_unknown", |m| m.instead = Some(Keys::Unknown(None))),
    ("waiver_over", |m| m.waivers = vec![waiver("key_shared", NOW)]),
];

fn waiver(rule: &str, until_ms: i64) -> Waiver {
    Waiver { rule: rule.to_owned(), owner: "ops@acme.example".to_owned(), until_ms }
}

#[test]
fn c_each_rule_is_found_alone_and_means_what_the_table_says() {
    assert_eq!(said(&good()), []);
    for (n, (rule, spoil)) in CASES.iter().enumerate() {
        let mut made = good();
        spoil(&mut made);
        let findings = said(&made);
        let codes: Vec<&str> = findings.iter().map(|finding| finding.rule).collect();
        assert_eq!(codes, [*rule], "{n}: {findings:?}");
        let (_, clause, severity) = RULES.iter().find(|(code, ..)| code == rule).unwrap();
        assert_eq!((findings[0].clause, findings[0].severity), (*clause, *severity), "{rule}");
        assert_eq!(refuses(&findings), *severity < Severity::Waived, "{rule}");
    }
    for (rule, ..) in RULES {
        assert!(CASES.iter().any(|(code, _)| code == rule), "{rule} has no case");
    }
}

#[test]
fn a_waiver_holds_for_its_rule_and_its_time_and_never_for_what_lets_tokens_be_forged() {
    for (rule, spoil) in CASES {
        let mut made = good();
        spoil(&mut made);
        let refused = refuses(&said(&made));
        made.waivers = vec![waiver(rule, NOW + 1)];
        assert_eq!(refuses(&said(&made)), refused && !is_waivable(rule), "{rule}: waived");
        made.waivers = vec![waiver(rule, NOW)];
        assert_eq!(refuses(&said(&made)), refused, "{rule}: over");
        made.waivers = vec![waiver("another", NOW + 1)];
        assert_eq!(refuses(&said(&made)), refused, "{rule}: another's");
    }
    let waivable: Vec<&str> = RULES.iter().map(|(code, ..)| *code).filter(|code| is_waivable(code)).collect();
    let expected = ["key_algorithm_ambiguous", "key_without_kid", "key_shared", "type_absent_accepted"];
    assert_eq!(waivable, expected);
}

#[test]
fn what_is_good_is_not_spoken_of() {
    let mut made = good();
    made.rules.algorithms = vec![Algorithm::ES256, Algorithm::EdDSA, Algorithm::PS256];
    made.keys.push(key("2", KeyFamily::Ed25519, 256));
    made.keys.push(Key { algorithm: Some(Algorithm::PS256), ..key("3", KeyFamily::Rsa, 3_072) });
    // Of no use here, and no harm.
    made.keys.push(Key { kid: None, ..key("", KeyFamily::P384, 384) });
    made.identity = first_use(&["groups", "https://acme.example/tenant"]);
    made.strict = true;
    assert_eq!(said(&made), []);
    secret(&mut made, 512, &[Algorithm::HS256, Algorithm::HS512]);
    assert_eq!(said(&made), []);
    for url in ["http://127.0.0.1:8080/keys", "http://[::1]/keys", "http://localhost/keys"] {
        let mut made = good();
        (made.plain_loopback, made.source) = (true, KeySource::Url(url.to_owned()));
        assert_eq!(said(&made), [], "{url}");
    }
}

#[test]
fn the_worst_comes_first() {
    let mut made = good();
    made.rules.max_age_s = None;
    made.shared = true;
    made.rules.leeway_s = 61;
    let codes: Vec<&str> = said(&made).iter().map(|finding| finding.rule).collect();
    assert_eq!(codes, ["leeway", "key_shared", "no_max_age"]);
}
