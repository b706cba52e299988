//! Pre-auth: the only place for a correct 401 (hazard H2, control D1), by the host's own precedence (rule R14).

use latchkey::pb::full::plugin as pb;

use crate::support::{APP, FOREIGN_LLM, LLM, Setup, TestHost, TestStore, USER, body, context, request, run, sleep_ms};

pub async fn ask(host: &TestHost, vendor: &str, headers: &[(&str, &str)], llm: u32) -> pb::PluginResponse {
    let mut context = context(llm);
    context.vendor = vendor.to_owned();
    let answer = host.service().process_pre_auth(request(headers, body(), context)).await;
    answer.unwrap_or_else(|e| panic!("{vendor}: a gRPC error: {e}")).into_inner()
}

fn header<'a>(answer: &'a pb::PluginResponse, name: &str) -> Option<&'a str> {
    answer.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

fn assert_passes(answer: &pb::PluginResponse, case: &str) {
    assert!(!answer.block && !answer.modified, "{case}: blocked or modified");
    let silent = answer.status_code == 0 && answer.headers.is_empty() && answer.body.is_empty();
    assert!(silent && answer.context_updates.is_empty(), "{case}: passes, but says something");
}

#[test]
fn d1_refused_credentials_get_a_401_with_a_challenge_and_others_pass() {
    run(60, async {
        let store = TestStore::new();
        let [good, revoked] = [(); 2].map(|()| store.issue(APP, USER));
        store.revoke(&revoked);
        let host = TestHost::start(Setup::on(&store)).await;
        sleep_ms(150).await;
        let junk = format!("lk_live_{}", store.canaries.make("junk", 40));
        let bearer = |text: &str| format!("Bearer {text}");
        let (good_b, junk_b, revoked_b) = (bearer(&good.text), bearer(&junk), bearer(&revoked.text));
        let (basic, lower) = (format!("Basic {junk}"), format!("bearer {junk}"));
        type Case<'a> = (&'a str, &'a str, Vec<(&'a str, &'a str)>, bool);
        let cases: Vec<Case<'_>> = vec![
            ("no credential", "openai", vec![], false),
            ("good Bearer", "openai", vec![("Authorization", &good_b)], false),
            ("junk Bearer", "openai", vec![("Authorization", &junk_b)], true),
            ("revoked Bearer", "openai", vec![("Authorization", &revoked_b)], true),
            ("Basic never reaches the plugin", "openai", vec![("Authorization", &basic)], false),
            ("lower case neither", "openai", vec![("Authorization", &lower)], false),
            ("good x-api-key", "anthropic", vec![("X-Api-Key", &good.text)], false),
            ("junk x-api-key", "anthropic", vec![("X-Api-Key", &junk)], true),
            ("x-api-key of another vendor", "openai", vec![("X-Api-Key", &junk)], false),
            ("junk x-goog-api-key", "google_ai", vec![("X-Goog-Api-Key", &junk)], true),
            ("r14: Bearer wins, good", "anthropic", vec![("Authorization", &good_b), ("X-Api-Key", &junk)], false),
            ("r14: Bearer wins, junk", "anthropic", vec![("Authorization", &junk_b), ("X-Api-Key", &good.text)], true),
        ];
        for (case, vendor, headers, blocked) in cases {
            let answer = ask(&host, vendor, &headers, LLM).await;
            if !blocked {
                assert_passes(&answer, case);
                continue;
            }
            assert!(answer.block && !answer.modified, "{case}: not blocked");
            assert_eq!(answer.status_code, 401, "{case}");
            let challenge = header(&answer, "WWW-Authenticate").unwrap_or_else(|| panic!("{case}: no challenge"));
            assert!(challenge.starts_with("Bearer ") && challenge.contains("error=\"invalid_token\""), "{challenge}");
            assert!(answer.body.is_empty() || header(&answer, "Content-Type").is_some(), "{case}: untyped body");
            let said = format!("{:?}{}{}", answer.headers, String::from_utf8_lossy(&answer.body), answer.error_message);
            store.canaries.assert_absent(case, said.as_bytes());
            let names_a_reason = ["revoked", "unknown_credential", "wrong_secret", "checksum"];
            assert!(!names_a_reason.iter().any(|reason| said.contains(reason)), "{case} tells why: {said}");
        }
        host.unload().await;
    });
}

#[test]
fn d1_a_genuine_credential_without_the_right_is_told_insufficient_scope() {
    run(30, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let host = TestHost::start(Setup::on(&store)).await;
        let bearer = format!("Bearer {}", key.text);
        let answer = ask(&host, "openai", &[("Authorization", &bearer)], FOREIGN_LLM).await;
        assert!(answer.block);
        assert_eq!(answer.status_code, 403);
        let challenge = header(&answer, "WWW-Authenticate").expect("a challenge");
        assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
        host.unload().await;
    });
}

#[test]
fn refusals_of_one_kind_cannot_be_told_apart() {
    run(30, async {
        let store = TestStore::new();
        let [good, revoked] = [(); 2].map(|()| store.issue(APP, USER));
        store.revoke(&revoked);
        let host = TestHost::start(Setup::on(&store)).await;
        sleep_ms(150).await;
        let wrong = good.forged(&store.canaries.make("a wrong secret", 43));
        let mut said = Vec::new();
        for text in [&wrong, &revoked.text, "junk", "a.b.c", &store.operator_token] {
            let bearer = format!("Bearer {text}");
            let answer = ask(&host, "openai", &[("Authorization", &bearer)], LLM).await;
            let mut headers: Vec<_> = answer.headers.into_iter().collect();
            headers.sort();
            said.push((answer.status_code, headers, answer.body, answer.error_message));
        }
        said.dedup();
        assert_eq!(said.len(), 1, "{said:?}");
        host.unload().await;
    });
}

#[test]
fn a_yes_of_pre_auth_is_no_evidence_for_auth() {
    run(30, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let host = TestHost::start(Setup::on(&store)).await;
        let bearer = format!("Bearer {}", key.text);
        let context = context(LLM);
        let mut pre = context.clone();
        pre.vendor = "openai".to_owned();
        let message = request(&[("Authorization", &bearer)], body(), pre);
        assert_passes(&host.service().process_pre_auth(message).await.unwrap().into_inner(), "the good one");
        // The same request id with another credential is refused all the same (rule R14).
        let message = pb::AuthRequest {
            credential: "junk".to_owned(),
            auth_type: "bearer".to_owned(),
            request: Some(request(&[("Authorization", &bearer)], body(), context.clone())),
            context: Some(context),
        };
        assert!(!host.service().authenticate(message).await.unwrap().into_inner().authenticated);
        host.unload().await;
    });
}

#[test]
fn a_header_of_1_mib_is_no_error() {
    run(30, async {
        let host = TestHost::start(Setup::without_store()).await;
        let bearer = format!("Bearer {}", "B".repeat(1 << 20));
        ask(&host, "openai", &[("Authorization", &bearer)], LLM).await;
        host.unload().await;
    });
}

#[test]
fn h2_a_refused_bearer_credential_is_a_401_before_the_host_makes_a_500_of_it() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let host = TestHost::start(Setup::on(&store)).await;
        let wrong = format!("Bearer {}", key.forged(&store.canaries.make("a wrong secret", 43)));
        let answer = ask(&host, "openai", &[("Authorization", &wrong)], LLM).await;
        assert_eq!((answer.block, answer.status_code), (true, 401));
        assert!(header(&answer, "WWW-Authenticate").is_some_and(|challenge| challenge.starts_with("Bearer ")));
        host.unload().await;
        // The setting that turns it off, from the host, takes effect too.
        let off = TestHost::start(Setup::on(&store).config(serde_json::json!({ "auth_pre_auth": false }))).await;
        off.must_accept(&key, "authentication goes on").await;
        assert_passes(&ask(&off, "openai", &[("Authorization", &wrong)], LLM).await, "pre-auth is off");
        off.unload().await;
    });
}

#[test]
fn h11_only_the_credential_that_the_host_hands_over_counts() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let host = TestHost::start(Setup::on(&store)).await;
        for credential in ["", "something else"] {
            let mut asked = crate::support::auth_request(&key.text, LLM, body());
            asked.credential = credential.to_owned();
            let headers = &mut asked.request.as_mut().unwrap().headers;
            for name in ["X-Api-Key", "X-Goog-Api-Key", "Api-Key", "Cookie"] {
                headers.insert(name.to_owned(), key.text.clone());
            }
            let answer = host.service().authenticate(asked).await.unwrap().into_inner();
            assert!(!answer.authenticated, "a key from a header was taken for the credential {credential:?}");
        }
        host.must_accept(&key, "the control").await;
        host.unload().await;
    });
}
