//! A cold token: our strict layer, from the bytes to claims that may be believed, against `jsonwebtoken::decode` with its claim
//! checks and a key that it parsed before. One thread and its processor time, the same tokens, interleaved; links and directory
//! left out.
//!
//! `cargo bench --bench jwt [-- --pairs 41 --calls 400]`
#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a benchmark that cannot go on stops"
)]

#[path = "../tests/support/jwt.rs"]
mod jwt;
mod support;

use std::hint::black_box;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm as Theirs, DecodingKey, Validation, decode};
use jwt::{KEYS, NOW_S};
use latchkey::domain::algorithm::Algorithm;
use latchkey::domain::issuer::TokenRules;
use latchkey::jwt::keys::KeySet;
use latchkey::jwt::token::Unverified;
use serde_json::{Value, json};
use support::Ratio;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The claims of a provider's access token, as a program reads them: a struct, which costs less than a map.
#[derive(serde::Deserialize)]
#[expect(dead_code, reason = "read for what reading costs")]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    exp: u64,
    iat: u64,
    nbf: u64,
    jti: String,
    client_id: String,
    scope: String,
    tenant: String,
}

/// Bound of the ratio.
const BOUND: f64 = 1.25;
/// Different tokens, so that none is in a branch predictor's memory alone.
const TOKENS: usize = 64;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let number = |name: &str, default: usize| {
        let given = args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1));
        given.and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (pairs, calls) = (number("--pairs", 41), number("--calls", 400));
    println!("| algorithm | latchkey, us | jsonwebtoken, us | ratio, median [95 %] | bound |");
    println!("| --- | --- | --- | --- | --- |");
    for (name, theirs) in [
        ("ES256", Theirs::ES256),
        ("EdDSA", Theirs::EdDSA),
        ("RS256", Theirs::RS256),
        ("ES384", Theirs::ES384),
        ("PS256", Theirs::PS256),
    ] {
        measure(name, theirs, pairs, calls);
    }
}

/// Of this thread: what others do on the machine meanwhile is no part of it.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

fn tokens(name: &str) -> Vec<String> {
    let claims = |at: usize| {
        json!({
            "iss": "https://id.example", "aud": "https://api.example", "sub": format!("0a1b2c3d-0000-4000-8000-{at:012}"),
            "exp": 4_102_444_800_u64, "iat": 1_700_000_000, "nbf": 1_700_000_000, "jti": format!("{at:032x}"),
            "client_id": "s6BhdRkqt3", "scope": "openid profile read:orders write:orders", "tenant": "acme",
        })
    };
    let header = jwt::header(name).to_string();
    (0..TOKENS).map(|at| KEYS.token(name, &header, claims(at).to_string())).collect()
}

/// The key as their documentation parses it from a JWK, once.
fn their_key(name: &str) -> DecodingKey {
    let kid = jwt::kid(name).unwrap();
    let jwk: Value = serde_json::from_str(&format!("{{{}}}", KEYS.members(kid))).unwrap();
    let text = |name: &str| jwk[name].as_str().unwrap();
    match jwk["kty"].as_str().unwrap() {
        "EC" => DecodingKey::from_ec_components(text("x"), text("y")).unwrap(),
        "OKP" => DecodingKey::from_ed_der(&URL_SAFE_NO_PAD.decode(text("x")).unwrap()),
        _ => DecodingKey::from_rsa_components(text("n"), text("e")).unwrap(),
    }
}

fn measure(name: &str, theirs: Theirs, pairs: usize, calls: usize) {
    let tokens = tokens(name);
    let keys = KeySet::from_jwks(KEYS.jwks().as_bytes()).unwrap();
    let rules = TokenRules {
        iss: "https://id.example".into(),
        audiences: vec!["https://api.example".into()],
        algorithms: vec![Algorithm::parse(name).unwrap()],
        types: vec!["at+jwt".into()],
        leeway_s: 30,
        max_age_s: None,
        required: vec![],
    };
    let key = their_key(name);
    let mut validation = Validation::new(theirs);
    validation.set_issuer(&["https://id.example"]);
    validation.set_audience(&["https://api.example"]);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    validation.validate_nbf = true;
    let ours = |token: &str| {
        let verified = Unverified::parse(token.as_bytes()).and_then(|token| token.verify(&keys, &rules, NOW_S * 1000));
        assert!(black_box(verified).is_ok());
    };
    let other = |token: &str| assert!(black_box(decode::<Claims>(token, &key, &validation)).is_ok());
    let time = |verify: &dyn Fn(&str)| {
        let start = processor_time();
        for at in 0..calls {
            verify(&tokens[at % TOKENS]);
        }
        (processor_time() - start).as_nanos() as f64 / calls as f64 / 1000.0
    };
    time(&ours);
    time(&other);
    let (mut first, mut second, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..pairs {
        // In turns, so that neither always comes after a pause.
        let (a, b) = if pair % 2 == 0 {
            let a = time(&ours);
            (a, time(&other))
        } else {
            let b = time(&other);
            (time(&ours), b)
        };
        first.push(a);
        second.push(b);
        ratios.push(a / b);
    }
    let median = |mut samples: Vec<f64>| {
        samples.sort_by(f64::total_cmp);
        samples[samples.len() / 2]
    };
    let ratio = Ratio::of(ratios);
    println!(
        "| {name} | {:.1} | {:.1} | {ratio} | <= {BOUND}: {} |",
        median(first),
        median(second),
        ratio.met_at_most(BOUND)
    );
}
