#![expect(clippy::disallowed_methods, reason = "tests look at what was extracted")]
use super::*;

fn taken(vendor: &str, headers: &[(&str, &str)]) -> Option<String> {
    let mut headers: Vec<_> = headers
        .iter()
        .map(|(key, value)| pb::HeaderEntry { key: key.as_bytes().to_vec(), value: value.as_bytes().to_vec() })
        .collect();
    let credential = credential(&mut headers, vendor.as_bytes());
    credential.map(|secret| String::from_utf8(secret.expose().to_vec()).unwrap())
}

#[test]
fn r14_the_credential_is_taken_by_the_hosts_precedence() {
    type Case = (&'static str, &'static [(&'static str, &'static str)], Option<&'static str>);
    let cases: [Case; 17] = [
        ("openai", &[("Authorization", "Bearer k")], Some("k")),
        ("anthropic", &[("Authorization", "Bearer k"), ("X-Api-Key", "other")], Some("k")),
        ("anthropic", &[("X-Api-Key", "k")], Some("k")),
        ("anthropic", &[("X-Api-Key", "")], None),
        ("anthropic", &[("X-Goog-Api-Key", "k")], None),
        ("google_ai", &[("X-Goog-Api-Key", "k")], Some("k")),
        ("google_ai", &[("X-Api-Key", "k")], None),
        ("openai", &[("X-Api-Key", "k")], None),
        ("openai", &[("Authorization", "bearer k")], None),
        ("openai", &[("Authorization", "Basic k")], None),
        ("openai", &[("Authorization", "Foo Bearer k")], Some("k")),
        ("openai", &[("Authorization", "Foo Bearer k Bearer l")], None),
        ("anthropic", &[("Authorization", "Foo Bearer k")], None),
        ("openai", &[("Authorization", "Bearer ")], Some("")),
        ("unknown", &[("X-Api-Key", "k")], None),
        ("", &[("Authorization", "Bearer k")], Some("k")),
        ("openai", &[], None),
    ];
    for (vendor, headers, expected) in cases {
        assert_eq!(taken(vendor, headers).as_deref(), expected, "{vendor} {headers:?}");
    }
}

#[test]
fn d1_each_class_of_refusal_has_its_status_and_challenge() {
    for &reason in Reason::ALL {
        let answer = answer_to(reason);
        let expected = match reason.class() {
            Class::Unavailable => {
                assert!(answer == pb::PluginResponse::default(), "{reason}: what we cannot decide passes");
                continue;
            }
            Class::Credential => (401, "Bearer realm=\"latchkey\", error=\"invalid_token\""),
            Class::Authority => (403, "Bearer realm=\"latchkey\", error=\"insufficient_scope\""),
            Class::Request => (400, "Bearer realm=\"latchkey\", error=\"invalid_request\""),
        };
        assert!(answer.block && !answer.modified, "{reason}");
        assert_eq!((answer.status_code, answer.headers["WWW-Authenticate"].as_str()), expected, "{reason}");
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(body["status"], answer.status_code);
        assert!(!String::from_utf8_lossy(&answer.body).contains(reason.code()), "{reason}");
    }
    assert_eq!(challenge(None), "Bearer realm=\"latchkey\"");
}

#[test]
fn unknown_wrong_revoked_and_expired_look_the_same() {
    let same = [Reason::UnknownCredential, Reason::WrongSecret, Reason::Revoked, Reason::Expired, Reason::AppInactive];
    let first = answer_to(Reason::CredentialChecksum);
    assert!(same.into_iter().all(|reason| answer_to(reason) == first));
}
