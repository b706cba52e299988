//! The attack list as rows (`vectors/jwt.json`), each signed here and judged by the library, some by the binary too. A row
//! with another answer than its own fails the test, an acceptance above all.
#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a failed test is a panic"
)]

#[path = "jwt_vectors/edit.rs"]
mod edit;
#[path = "support/jwt.rs"]
mod jwt;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use jwt::{KEYS, NOW_S, b64, mac};
use latchkey::domain::algorithm::Algorithm;
use latchkey::domain::issuer::{ClaimPath, TokenRules};
use latchkey::jwt::Fault;
use latchkey::jwt::keys::KeySet;
use latchkey::jwt::token::Unverified;
use latchkey::secret::Secret;
use serde_json::Value;

/// Numbers of the attack list that are about tokens and keys, and so have rows. The others are of the wire, the cache and the
/// fetching of keys, and tested there.
const CASES: &[u64] = &[
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 30, 32, 33,
];

fn rows() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/jwt.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn text<'a>(row: &'a Value, name: &str) -> Option<&'a str> {
    row.get(name).and_then(Value::as_str)
}

/// `{@es}` and the like stand for the members of a key of this run.
fn filled(text: &str) -> String {
    let mut text = text.to_owned();
    for name in ["es3", "es", "ed", "rs", "oct", "stranger"] {
        for (from, open, close) in [(format!("{{@{name}}}"), "{", "}"), (format!("{{@{name},"), "{", ",")] {
            text = text.replace(&from, &format!("{open}{}{close}", KEYS.members(name)));
        }
    }
    let n = KEYS.members("rs").split("\"n\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    text.replace("@n", &n)
}

/// An object with some members replaced or added and others left out, or a text as it stands.
fn part(row: &Value, name: &str, base: Value) -> Vec<u8> {
    if let Some(hex) = text(row, &format!("{}_hex", if name == "claims" { "payload" } else { name })) {
        return latchkey::domain::hex::decode(hex).unwrap();
    }
    if let Some(text) = text(row, &format!("{name}_text")) {
        return filled(text).into_bytes();
    }
    let mut part = base;
    for (name, value) in row.get(name).and_then(Value::as_object).into_iter().flatten() {
        part[name] = value.clone();
    }
    for name in row.get(format!("{name}_drop")).and_then(Value::as_array).into_iter().flatten() {
        part.as_object_mut().unwrap().remove(name.as_str().unwrap());
    }
    if let Some(repeat) = row.get(format!("{name}_repeat")) {
        part[repeat[0].as_str().unwrap()] = "k".repeat(repeat[1].as_u64().unwrap() as usize).into();
    }
    part.to_string().into_bytes()
}

fn token(row: &Value) -> Vec<u8> {
    let algorithm = text(row, "alg").unwrap_or("ES256");
    let message =
        format!("{}.{}", b64(part(row, "header", jwt::header(algorithm))), b64(part(row, "claims", jwt::claims())));
    let sign = |message: &str| match text(row, "secret") {
        Some(form) => mac(algorithm, &KEYS.as_secret(form), message.as_bytes()),
        None => KEYS.sign(text(row, "sign").unwrap_or(algorithm), message.as_bytes()),
    };
    match text(row, "edit") {
        Some(how) => edit::edited(how, &message, &sign),
        None => format!("{message}.{}", b64(sign(&message))).into_bytes(),
    }
}

/// The file of a row's keys, and whether it is a secret.
fn keys(row: &Value) -> (Vec<u8>, bool) {
    match row.get("keys") {
        None => (KEYS.jwks().into_bytes(), false),
        Some(Value::String(name)) if name == "secret" => (KEYS.secret.clone(), true),
        Some(Value::String(set)) => (filled(set).into_bytes(), false),
        Some(secret) => match text(secret, "secret_hex") {
            Some(hex) => (latchkey::domain::hex::decode(hex).unwrap(), true),
            None => (text(secret, "secret").unwrap().as_bytes().to_vec(), true),
        },
    }
}

fn rules(row: &Value) -> TokenRules {
    let given = |name: &str| row.get("rules").and_then(|rules| rules.get(name));
    let texts = |name: &str| {
        given(name).map(|list| {
            list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect::<Vec<_>>()
        })
    };
    let asymmetric = || Algorithm::ALL.iter().copied().filter(|algorithm| !algorithm.is_symmetric()).collect();
    TokenRules {
        iss: "https://id.example".to_owned(),
        audiences: vec!["https://api.example".to_owned(), "urn:other".to_owned()],
        algorithms: texts("algorithms")
            .map_or_else(asymmetric, |names| names.iter().map(|name| Algorithm::parse(name).unwrap()).collect()),
        types: texts("types").unwrap_or_else(|| vec!["at+jwt".to_owned()]),
        leeway_s: given("leeway").map_or(0, |leeway| leeway.as_u64().unwrap() as u32),
        max_age_s: given("max_age").map(|age| age.as_u64().unwrap() as u32),
        required: texts("required").unwrap_or_default().iter().map(|path| ClaimPath::parse(path).unwrap()).collect(),
    }
}

fn judged(row: &Value) -> Result<(), Fault> {
    let (file, is_secret) = keys(row);
    let keys = if is_secret { KeySet::from_secret(&Secret::new(file)) } else { KeySet::from_jwks(&file) }?;
    if let Some(why) = text(row, "skipped") {
        assert_eq!(keys.skipped()[0].why.code(), why, "{row}");
    }
    let now = NOW_S * 1000 + row.get("now_ms").map_or(0, |ms| ms.as_i64().unwrap());
    let token = token(row);
    Unverified::parse(&token)?.verify(&keys, &rules(row), now).map(|_| ())
}

#[test]
fn c1_to_c7_each_attack_ends_in_its_refusal() {
    let mut wrong = Vec::new();
    // Made before the first row, whose time would be theirs.
    LazyLock::force(&KEYS);
    for row in rows() {
        let start = Instant::now();
        let code = judged(&row).map_or_else(Fault::code, |()| "ok");
        let took = start.elapsed();
        if code != text(&row, "expect").unwrap() {
            wrong.push(format!("{} {}: {code}, not {}", row["case"], row["name"], row["expect"]));
        }
        assert!(took < Duration::from_secs(2), "{} took {took:?}", row["name"]);
    }
    assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_number_of_the_list_that_is_about_tokens_has_rows_and_every_fault_has_one() {
    let rows = rows();
    for case in CASES {
        assert!(rows.iter().any(|row| row["case"] == *case && row["expect"] != "ok"), "case {case}");
    }
    // What only the parsers of PEM and of long sets say is tested beside them.
    let elsewhere = ["jwks_too_large", "pem_form", "pem_private", "pem_kind"];
    for fault in Fault::ALL.iter().filter(|fault| !elsewhere.contains(&fault.code())) {
        let is_told =
            rows.iter().any(|row| [row.get("expect"), row.get("skipped")].contains(&Some(&fault.code().into())));
        assert!(is_told, "no row ends in {}", fault.code());
    }
}

/// Runs the binary; a reader that stops early is no failure.
fn run(args: &[&str], input: &[u8]) -> (Option<i32>, Vec<u8>, Vec<u8>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_latchkey"))
        .args(args)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    (output.status.code(), output.stdout, output.stderr)
}

#[test]
fn the_command_says_the_same_and_shows_neither_token_nor_secret() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys");
    let mut count = 0;
    for row in rows().iter().filter(|row| row.get("binary").is_some()) {
        let (file, is_secret) = keys(row);
        std::fs::write(&path, &file).unwrap();
        let rules = rules(row);
        let list = rules.algorithms.iter().map(|algorithm| algorithm.as_str()).collect::<Vec<_>>().join(",");
        let option = if is_secret { "--secret-file" } else { "--jwks" };
        let mut args = vec![
            "jwt",
            "verify",
            option,
            path.to_str().unwrap(),
            "--alg",
            &list,
            "--iss",
            &rules.iss,
            "--typ",
            "at+jwt",
        ];
        args.extend(rules.audiences.iter().flat_map(|audience| ["--aud", audience]));
        let token = token(row);
        let (code, out, err) = run(&[&args[..], &["--output", "json"]].concat(), &[&token[..], b"\n"].concat());
        let answer: Value =
            serde_json::from_slice(&out).unwrap_or_else(|_| panic!("{row}: {}", String::from_utf8_lossy(&err)));
        let expected = text(row, "expect").unwrap();
        let is_good = expected == "ok";
        assert_eq!((code, &answer["valid"]), (Some(i32::from(!is_good)), &Value::Bool(is_good)), "{row}");
        assert_eq!(answer["reason"].as_str().unwrap_or("ok"), expected, "{row}");
        assert_eq!(answer["detail"].is_null(), is_good, "{row}");
        let (code, table, tell) = run(&args, &token);
        assert_eq!(code, Some(i32::from(!is_good)));
        let said = String::from_utf8([&table[..], &tell].concat()).unwrap();
        assert!(is_good || (said.contains("FAILED") && said.contains(expected)), "{said}");
        // The signature is what makes a text a token.
        for part in token.rsplit(|byte| *byte == b'.').take(1).filter(|part| part.len() > 20) {
            let part = String::from_utf8_lossy(part).into_owned();
            let all = [&out[..], &err, said.as_bytes()].concat();
            assert!(!String::from_utf8_lossy(&all).contains(&part), "{row}");
        }
        count += 1;
    }
    assert!(count > 30, "{count}");
}

#[test]
fn what_was_not_asked_for_is_said_to_be_and_wrong_usage_is_no_verdict() {
    let dir = tempfile::tempdir().unwrap();
    let (path, secret, pem) = (dir.path().join("keys"), dir.path().join("secret"), dir.path().join("pem"));
    std::fs::write(&path, KEYS.jwks()).unwrap();
    std::fs::write(&secret, latchkey::domain::hex::encode(&KEYS.secret) + "\n").unwrap();
    std::fs::write(&pem, KEYS.as_secret("pem")).unwrap();
    let [path, secret, pem] = [&path, &secret, &pem].map(|path| path.to_str().unwrap());
    let good = KEYS.good("ES256", ("iss", "https://anybody.example".into()));
    let (code, out, _) = run(&["jwt", "verify", "--jwks", path, "--alg", "ES256", "--output", "json"], good.as_bytes());
    let answer: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!((code, &answer["valid"]), (Some(0), &Value::Bool(true)));
    assert_eq!(answer["not_checked"], serde_json::json!(["type", "issuer", "audience", "required"]));
    assert_eq!(answer["claims"]["iss"], "https://anybody.example");
    let (code, _, _) =
        run(&["jwt", "verify", "--pem", pem, "--alg", "ES256", "--iss", "https://anybody.example"], good.as_bytes());
    assert_eq!(code, Some(0));
    // The secret is the text of the file, less its line end.
    let message = format!("{}.{}", b64(r#"{"alg":"HS256"}"#), b64(jwt::claims().to_string()));
    let signed = mac("HS256", latchkey::domain::hex::encode(&KEYS.secret).as_bytes(), message.as_bytes());
    let token = format!("{message}.{}", b64(signed));
    assert_eq!(run(&["jwt", "verify", "--secret-file", secret, "--alg", "HS256"], token.as_bytes()).0, Some(0));
    // One line end is taken off, and no more.
    let verify: &[&str] = &["jwt", "verify", "--jwks", path, "--alg", "ES256"];
    for (end, code) in [("\n", 0), ("\r\n", 0), ("\n\n", 1), (" ", 1), (" \n", 1)] {
        assert_eq!(run(verify, format!("{good}{end}").as_bytes()).0, Some(code), "{end:?}");
    }
    for wrong in [
        &["jwt", "verify", "--alg", "ES256"][..],
        &["jwt", "verify", "--jwks", path],
        &["jwt", "verify", "--jwks", path, "--pem", pem, "--alg", "ES256"],
        &["jwt", "verify", "--jwks", path, "--alg", "none"],
        &["jwt", "verify", "--jwks", path, "--alg", "ES256,HS256"],
        &["jwt", "verify", "--jwks", path, "--alg", "ES256", "--leeway", "61"],
        &["jwt", "verify", "--jwks", "/nowhere", "--alg", "ES256"],
        &["jwt", "verify", "--jwks", path, "--alg", "ES256", "--raw", "--iss", "x"],
    ] {
        assert_eq!(run(wrong, good.as_bytes()).0, Some(2), "{wrong:?}");
    }
}

/// Every bit of a good token of every algorithm: whatever is changed, it is refused.
#[test]
fn any_one_bit_that_changes_refuses_whatever_the_algorithm() {
    let set = KeySet::from_jwks(KEYS.jwks().as_bytes()).unwrap();
    let secret = KeySet::from_secret(&Secret::new(KEYS.secret.clone())).unwrap();
    for &algorithm in Algorithm::ALL {
        let rules = TokenRules { algorithms: vec![algorithm], ..rules(&Value::Null) };
        let keys = if algorithm.is_symmetric() { &secret } else { &set };
        let good = KEYS.good(algorithm.as_str(), ("jti", "one".into()));
        let judge = |token: &[u8]| Unverified::parse(token).and_then(|token| token.verify(keys, &rules, NOW_S * 1000));
        assert!(judge(good.as_bytes()).is_ok(), "{algorithm}");
        for at in 0..good.len() * 8 {
            let mut bytes = good.clone().into_bytes();
            bytes[at / 8] ^= 1 << (at % 8);
            assert!(judge(&bytes).is_err(), "{algorithm}, bit {at}");
        }
    }
}
