//! Our verdict against that of PyJWT, an independent implementation, on the tokens of `tests/differential/tokens.py`. What we
//! take and it refuses is a failure; what it takes and we refuse is a rule of ours that is in the list.
#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    missing_docs,
    reason = "a failed test is a panic"
)]

use std::collections::BTreeMap;

use latchkey::domain::algorithm::Algorithm;
use latchkey::domain::issuer::TokenRules;
use latchkey::jwt::Fault;
use latchkey::jwt::keys::KeySet;
use latchkey::jwt::token::Unverified;
use latchkey::secret::Secret;
use serde_json::Value;

/// Where we are stricter, and why.
const STRICTER: &[(Fault, &str)] = &[
    (Fault::Base64, "padding, other characters and left-over bits give a token a second spelling"),
    (Fault::JsonDuplicate, "the last of two members wins there"),
    (Fault::JsonSurrogate, "half a pair is a text there"),
    (Fault::JsonEncoding, "a byte order mark, and UTF-16 and UTF-32 by guessing, are read there"),
    (Fault::JsonLimits, "nesting of more than 16"),
    (Fault::JsonSyntax, "NaN and its like are numbers there"),
    (Fault::HeaderKey, "keys in the token are ignored there"),
    (Fault::HeaderNested, "cty is ignored there"),
    (Fault::HeaderCompressed, "zip is ignored there"),
    (Fault::HeaderCritical, "an extension that is known there"),
    (Fault::HeaderUnencoded, "b64 is known there"),
    (Fault::KidInvalid, "a kid is any text there"),
    (Fault::TypeInvalid, "typ is not looked at there"),
    (Fault::TimeType, "what int() takes is a time there: texts, fractions, true"),
    (Fault::TimeRange, "milliseconds are the far future there"),
    (Fault::TimesContradict, "times are not compared with each other there"),
    (Fault::AudienceType, "an empty text or one with control characters is an audience there"),
    (Fault::SubjectType, "an empty text or one with control characters is a subject there"),
    (Fault::TokenIdType, "an empty text or one with control characters is an id there"),
    (Fault::IssuerType, "control characters"),
    (Fault::NotAccessToken, "events and the hashes of ID tokens are not looked at there"),
    (Fault::Confirmation, "cnf is ignored there"),
];

#[test]
#[ignore = "needs the file that tests/differential/tokens.py writes, named by LATCHKEY_TEST_TOKENS"]
fn whatever_we_take_another_implementation_takes_too() {
    let path = std::env::var("LATCHKEY_TEST_TOKENS").expect("LATCHKEY_TEST_TOKENS names the file");
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let setting = lines.next().unwrap();
    let set = KeySet::from_jwks(setting["jwks"].as_str().unwrap().as_bytes()).unwrap();
    assert_eq!(set.keys().len(), 4);
    let secret = latchkey::domain::hex::decode(setting["secret"].as_str().unwrap()).unwrap();
    let secret = KeySet::from_secret(&Secret::new(secret)).unwrap();
    let (mut both, mut neither, mut stricter, mut wrong) = (0, 0, BTreeMap::new(), Vec::new());
    for line in lines {
        let symmetric = line["symmetric"].as_bool().unwrap();
        let rules = TokenRules {
            iss: "https://id.example".into(),
            audiences: vec!["https://api.example".into()],
            algorithms: Algorithm::ALL
                .iter()
                .copied()
                .filter(|algorithm| algorithm.is_symmetric() == symmetric)
                .collect(),
            types: vec!["at+jwt".into(), "jwt".into(), String::new()],
            leeway_s: 0,
            max_age_s: None,
            required: vec![],
        };
        let token = line["token"].as_str().unwrap();
        let keys = if symmetric { &secret } else { &set };
        let now = setting["now"].as_i64().unwrap() * 1000;
        let ours = Unverified::parse(token.as_bytes()).and_then(|token| token.verify(keys, &rules, now)).err();
        match (ours, line["theirs"].as_str() == Some("ok")) {
            (None, true) => both += 1,
            (Some(_), false) => neither += 1,
            (Some(fault), true) if STRICTER.iter().any(|(known, _)| *known == fault) => {
                *stricter.entry(fault.code()).or_insert(0) += 1;
            }
            (ours, _) => wrong.push(format!("{:?}: {line}", ours.map(Fault::code))),
        }
    }
    println!("both take {both}, both refuse {neither}, we alone refuse {stricter:?}");
    assert!(wrong.is_empty(), "{} verdicts:\n{}", wrong.len(), wrong.join("\n"));
    assert!(both > 100 && neither > 100, "the tokens are of both kinds");
}
