//! The examples of the standards, through `jwt verify --raw` as public suites are run, and through the library.
#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a failed test is a panic"
)]

use std::io::Write as _;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use latchkey::domain::algorithm::Algorithm;
use latchkey::jwt::jwk::Allowed;
use latchkey::jwt::keys::KeySet;
use latchkey::jwt::{Fault, raw};
use serde_json::Value;

struct Example {
    from: &'static str,
    algorithm: &'static str,
    key: &'static str,
    token: String,
    payload: &'static str,
}

/// RFC 7515 appendix A.1 to A.3: claims, with line ends inside.
const JOE: &str = "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";
const JOE_ENCODED: &str =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
/// RFC 7520 section 4.
const FRODO: &str = "It’s a dangerous business, Frodo, going out your door. You step onto the road, and if you don't keep your feet, there’s no knowing where you might be swept off to.";

const A1_KEY: &str =
    r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;
const A2_KEY: &str = r#"{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}"#;
const A3_KEY: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
const BILBO: &str = r#"{"keys":[{"kty":"RSA","kid":"bilbo.baggins@hobbiton.example","use":"sig","n":"n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw","e":"AQAB"}]}"#;

fn examples() -> Vec<Example> {
    let frodo = URL_SAFE_NO_PAD.encode(FRODO);
    vec![
        Example {
            from: "RFC 7515 A.1",
            algorithm: "HS256",
            key: A1_KEY,
            token: format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{JOE_ENCODED}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            payload: JOE,
        },
        Example {
            from: "RFC 7515 A.2",
            algorithm: "RS256",
            key: A2_KEY,
            token: format!("eyJhbGciOiJSUzI1NiJ9.{JOE_ENCODED}.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"),
            payload: JOE,
        },
        Example {
            from: "RFC 7515 A.3",
            algorithm: "ES256",
            key: A3_KEY,
            token: format!("eyJhbGciOiJFUzI1NiJ9.{JOE_ENCODED}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"),
            payload: JOE,
        },
        Example {
            from: "RFC 8037 A.4",
            algorithm: "EdDSA",
            key: r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
            token: "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg".to_owned(),
            payload: "Example of Ed25519 signing",
        },
        Example {
            from: "RFC 7520 4.1",
            algorithm: "RS256",
            key: BILBO,
            token: format!("eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.{frodo}.MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg"),
            payload: FRODO,
        },
        Example {
            from: "RFC 7520 4.2",
            algorithm: "PS384",
            key: BILBO,
            token: format!("eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.{frodo}.cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw"),
            payload: FRODO,
        },
        Example {
            from: "RFC 7520 4.4",
            algorithm: "HS256",
            key: r#"{"kty":"oct","kid":"018c0ae5-4d9b-471b-bfd6-eef314bc7037","use":"sig","alg":"HS256","k":"hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg"}"#,
            token: format!("eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9.{frodo}.s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0"),
            payload: FRODO,
        },
    ]
}

fn run(args: &[&str], input: &[u8]) -> (Option<i32>, Vec<u8>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey"));
    let mut child = command
        .args(args)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    (output.status.code(), output.stdout)
}

#[test]
fn examples_of_the_standards_are_verified_and_their_payloads_come_out_as_they_went_in() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.json");
    let path = path.to_str().unwrap();
    for Example { from, algorithm, key, token, payload } in examples() {
        std::fs::write(path, key).unwrap();
        let args = ["jwt", "verify", "--jwks", path, "--alg", algorithm, "--raw"];
        assert_eq!(run(&args, token.as_bytes()), (Some(0), payload.as_bytes().to_vec()), "{from}");
        let (code, out) = run(&[&args[..], &["--output", "json"]].concat(), format!("{token}\n").as_bytes());
        let answer: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            (code, answer["payload_text"].as_str(), &answer["reason"]),
            (Some(0), Some(payload), &Value::Null),
            "{from}"
        );
        assert_eq!(answer["header"]["alg"], algorithm, "{from}");
        // With the last but one character changed, by each example's own key.
        let at = token.len() - 2;
        let other = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
        let forged = format!("{}{other}{}", &token[..at], &token[at + 1..]);
        assert_eq!(run(&args, forged.as_bytes()), (Some(1), Vec::new()), "{from}");
    }
}

/// RFC 7515 A.4 and RFC 7520 4.3 are of ES512, A.5 is unsecured, A.6 is JSON, RFC 7520 4.5 is detached, RFC 7519 6.1 is unsecured.
#[test]
fn examples_of_what_is_not_taken_are_refused_for_what_they_are() {
    let keys = KeySet::from_file(A3_KEY.as_bytes(), Allowed { secrets: false, private: true }).unwrap();
    let frodo = URL_SAFE_NO_PAD.encode(FRODO);
    for (token, fault) in [
        (format!("eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.{}", "A".repeat(176)), Fault::AlgorithmUnknown),
        (format!("eyJhbGciOiJub25lIn0.{JOE_ENCODED}."), Fault::SignatureEmpty),
        (format!(r#"{{"payload":"{JOE_ENCODED}","signatures":[]}}"#), Fault::JsonSerialisation),
        (format!("eyJhbGciOiJub25lIn0.{frodo}.AAAA"), Fault::AlgorithmNone),
        ("eyJhbGciOiJIUzI1NiJ9..s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0".to_owned(), Fault::AlgorithmNotAllowed),
        // RFC 7797 section 4.2: an unencoded payload.
        (format!("eyJhbGciOiJFUzI1NiIsImI2NCI6ZmFsc2UsImNyaXQiOlsiYjY0Il19.{frodo}.AAAA"), Fault::HeaderCritical),
    ] {
        assert_eq!(raw::verify(token.as_bytes(), &keys, &[Algorithm::ES256]).err(), Some(fault), "{token}");
    }
}

/// The example of RFC 7519 section 3.1 held until March 2011; its key stands in a standard.
#[test]
fn the_example_of_a_jwt_is_expired_and_its_secret_is_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let example = examples().remove(0);
    std::fs::write(&path, example.key).unwrap();
    let args =
        ["jwt", "verify", "--jwks", path.to_str().unwrap(), "--alg", "HS256", "--iss", "joe", "--output", "json"];
    let (code, out) = run(&args, example.token.as_bytes());
    let answer: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(
        (code, answer["reason"].as_str(), answer["claims"]["iss"].as_str()),
        (Some(1), Some("expired"), Some("joe"))
    );
    let secret: Value = serde_json::from_str(example.key).unwrap();
    std::fs::write(&path, URL_SAFE_NO_PAD.decode(secret["k"].as_str().unwrap()).unwrap()).unwrap();
    let args = ["jwt", "verify", "--secret-file", path.to_str().unwrap(), "--alg", "HS256", "--output", "json"];
    let (code, out) = run(&args, example.token.as_bytes());
    let answer: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!((code, answer["reason"].as_str()), (Some(1), Some("hmac_guessable")));
    assert_eq!(run(&[&args[..6], &["--raw"]].concat(), example.token.as_bytes()).0, Some(0), "as test suites need it");
}

#[test]
fn a_payload_of_any_bytes_comes_out_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    let secret: Vec<u8> = (1..=64).collect();
    std::fs::write(&path, &secret).unwrap();
    for payload in [&b""[..], b"\0\xff\n\x1b[31m", &[0x80; 100_000]] {
        let message =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","cty":"x"}"#), URL_SAFE_NO_PAD.encode(payload));
        let mac = aws_lc_rs::hmac::sign(
            &aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &secret),
            message.as_bytes(),
        );
        let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(mac));
        let args = ["jwt", "verify", "--secret-file", path.to_str().unwrap(), "--alg", "HS256", "--raw"];
        assert_eq!(run(&args, token.as_bytes()), (Some(0), payload.to_vec()));
        let (_, out) = run(&[&args[..], &["--output", "json"]].concat(), token.as_bytes());
        let answer: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(answer["payload"].as_str().unwrap()).unwrap(), payload);
        assert_eq!(answer["payload_text"].is_null(), std::str::from_utf8(payload).is_err());
    }
}
