//! Whatever a client sends: a uniform refusal in the message, never a gRPC error, and the plugin goes on.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use latchkey::pb::full::plugin as pb;

use crate::support::secrets::random_text;
use crate::support::store::sealed;
use crate::support::{
    APP, FOREIGN_LLM, Key, LLM, OTHER_APP, Setup, TestHost, TestStore, USER, auth_request, body, run, sleep_ms,
};

/// Texts of which none may pass, made from good keys and from nothing.
fn attempts(store: &TestStore, good: &Key, other: &Key) -> Vec<(&'static str, String)> {
    let wrong = store.canaries.make("a wrong secret", 43);
    let canary = store.canaries.make("junk", 32);
    let head = &good.text[..good.text.len() - 49];
    vec![
        ("wrong secret, right checksum", good.forged(&wrong)),
        ("wrong secret, old checksum", format!("{head}{wrong}{}", &good.text[good.text.len() - 6..])),
        ("another key's secret", other.forged(&good.secret)),
        ("unknown id, right checksum", good.under_id(&random_text(22).replacen(|_: char| true, "0", 1))),
        ("id above 128 bits", good.under_id(&"z".repeat(22))),
        ("another prefix", sealed(&format!("zz_live_{}_{}", good.id, good.secret))),
        ("another environment", sealed(&format!("lk_test_{}_{}", good.id, good.secret))),
        ("as an operator token", sealed(&format!("lkop_{}_{}", good.id, good.secret))),
        ("one character cut off", good.text[..good.text.len() - 1].to_owned()),
        ("one character more", format!("{}0", good.text)),
        ("other case", good.text.to_uppercase()),
        ("spaces around it", format!(" {} ", good.text)),
        ("twice", format!("{0}{0}", good.text)),
        ("only the prefix", "lk_live_".to_owned()),
        ("only the id", good.id.clone()),
        ("all but the secret", head.to_owned()),
        ("junk", format!("junk {canary}")),
        ("empty", String::new()),
        ("white space", " \t\r\n ".to_owned()),
        ("1 MiB", format!("{canary}{}", "A".repeat(1 << 20))),
        ("1 MiB behind a good prefix", format!("{head}{}", "0".repeat(1 << 20))),
        ("odd characters", format!("\0\u{1}\u{7f}\u{80}\u{202e}\u{1F511}\u{fffd}{canary}")),
        ("terminal control", format!("\u{1b}[31m{canary}\u{1b}]0;x\u{7}\n{{\"@level\":1}}\n")),
        ("a JWT without signature", "eyJhbGciOiJub25lIn0.eyJzdWIiOiI5In0.".to_owned()),
        ("a JWT of three parts", format!("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI5In0.{canary}")),
        ("an old key that begins like a JWT", "eyJvcmciOiI1ZTlkOTU0NCIsImlkIjoiOSJ9".to_owned()),
        ("two dots", "..".to_owned()),
        ("a key with a dot", format!("{}.", good.text)),
        ("SQL", "' OR 1=1; --".to_owned()),
        ("a path", "../../../etc/passwd".to_owned()),
        ("formats", "%s%n{}{{}}${jndi:ldap://x}".to_owned()),
    ]
}

#[test]
fn every_refusal_reads_the_same_and_none_is_an_error() {
    run(60, async {
        let store = TestStore::new();
        let [good, other, revoked] = [(); 3].map(|()| store.issue(APP, USER));
        let inactive = store.issue(OTHER_APP, USER);
        let host = TestHost::start(Setup::on(&store)).await;
        host.must_accept(&good, "the good key").await;
        host.must_accept(&revoked, "before its revocation").await;
        store.revoke(&revoked);
        store.set_app_active(OTHER_APP, false);
        sleep_ms(250).await;
        let mut texts: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (name, credential) in attempts(&store, &good, &other) {
            texts.entry(host.must_refuse(&credential, LLM, name).await).or_default().push(name);
        }
        for (name, credential, llm) in [
            ("revoked", &revoked.text, LLM),
            ("an inactive App", &inactive.text, LLM),
            ("a foreign LLM", &good.text, FOREIGN_LLM),
            ("no LLM", &good.text, 0),
        ] {
            texts.entry(host.must_refuse(credential, llm, name).await).or_default().push(name);
        }
        assert_eq!(texts.len(), 1, "refusals can be told apart: {texts:#?}");
        host.must_accept(&good, "the good key, after all that").await;
        host.unload().await;
    });
}

#[test]
fn r18_an_operator_token_is_no_key() {
    run(30, async {
        let store = TestStore::new();
        let host = TestHost::start(Setup::on(&store)).await;
        let text = host.must_refuse(&store.operator_token, LLM, "an operator token").await;
        assert_eq!(text, host.must_refuse("junk", LLM, "junk").await);
        let again = format!("Bearer {}", store.operator_token);
        host.must_refuse(&again, LLM, "an operator token with Bearer").await;
        let output =
            store.run_with_input(&["authenticate", "--llm-id", "3", "--output", "json"], &store.operator_token);
        assert_eq!(output.status.code(), Some(1));
        host.unload().await;
    });
}

#[test]
fn odd_requests_around_a_credential_are_answered() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let host = TestHost::start(Setup::on(&store)).await;
        type Change = fn(&mut pb::AuthRequest);
        // What is changed, whether a good key may still pass, and how.
        let changes: Vec<(&str, bool, Change)> = vec![
            ("no context", false, |r| r.context = None),
            ("no request", true, |r| r.request = None),
            ("neither", false, |r| (r.context, r.request) = (None, None)),
            ("no LLM", false, |r| context(r, |c| (c.llm_id, c.llm_slug) = (0, String::new()))),
            ("the greatest LLM id", false, |r| context(r, |c| c.llm_id = u32::MAX)),
            ("another auth type", true, |r| r.auth_type = "basic\n".to_owned()),
            ("a unix peer", true, |r| request(r, |q| q.remote_addr = "@".to_owned())),
            ("a broken peer", true, |r| request(r, |q| q.remote_addr = "[::1%eth0]:99999999".to_owned())),
            ("ids of the host's own", true, |r| context(r, |c| (c.app_id, c.user_id) = (1, 1))),
            ("a hostile request id", true, |r| context(r, |c| c.request_id = "\u{1b}[31m\n\u{202e}".repeat(5000))),
            ("a hostile slug", true, |r| context(r, |c| c.llm_slug = "\0'\"\n".repeat(5000))),
            ("2000 headers", true, |r| {
                request(r, |q| q.headers.extend((0..2000).map(|n| (format!("X-Many-{n}"), "v".repeat(20)))));
            }),
            ("an odd body", true, |r| request(r, |q| q.body = vec![0xff, 0xfe, 0, 1, 2])),
            ("hostile metadata", true, |r| {
                context(r, |c| c.metadata = HashMap::from([("edge_id".to_owned(), "\n{}".repeat(1000))]));
            }),
            ("another credential in the header", true, |r| {
                request(r, |q| drop(q.headers.insert("Authorization".to_owned(), "Bearer something-else".to_owned())));
            }),
        ];
        for (name, may_pass, change) in changes {
            for credential in [key.text.as_str(), "junk"] {
                let mut message = auth_request(credential, LLM, body());
                change(&mut message);
                let answer = host.service().authenticate(message).await.unwrap_or_else(|e| panic!("{name}: {e}"));
                let answer = answer.into_inner();
                crate::support::host::well_formed(&answer);
                assert!(!answer.authenticated || (may_pass && credential != "junk"), "{name}: accepted");
                assert!(!answer.authenticated || answer.app_id == APP.to_string(), "{name}: {:?}", answer.app_id);
            }
        }
        host.must_accept(&key, "afterwards").await;
        host.unload().await;
    });
}

fn context(request: &mut pb::AuthRequest, change: impl Fn(&mut pb::PluginContext)) {
    change(request.context.as_mut().unwrap());
    change(request.request.as_mut().unwrap().context.as_mut().unwrap());
}

fn request(request: &mut pb::AuthRequest, change: impl FnOnce(&mut pb::PluginRequest)) {
    change(request.request.as_mut().unwrap());
}

#[test]
fn bytes_that_are_no_message_at_all_are_survived() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let host = TestHost::start(Setup::on(&store)).await;
        let canary = store.canaries.make("bytes", 40);
        let texts: [&[u8]; 6] = [
            b"\xff\xff\xff\xff\xff",
            b"\x0a\xff\xff\xff\xff\x0f",
            b"\x0a\x04\xff\xfe\xfd\xfc",
            b"\x08\x01",
            b"\x1b",
            canary.as_bytes(),
        ];
        for bytes in texts {
            let (code, answer) = crate::bodies::raw(&host, "Authenticate", bytes.to_vec().into()).await;
            assert!(!answer.is_some_and(|answer| answer.authenticated), "{bytes:02x?} was accepted");
            assert_eq!(code, 0, "{bytes:02x?}: a gRPC error, whose text the client would see");
        }
        host.must_accept(&key, "afterwards").await;
        host.unload().await;
    });
}

#[test]
fn cancel_storm_200_calls_cancelled_in_a_burst_leave_the_connection_whole() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        for auto_mtls in [false, true] {
            let host = TestHost::start(Setup::on(&store).secured(auto_mtls, false)).await;
            host.must_accept(&key, "before").await;
            for round in 0..3_u64 {
                let calls: Vec<_> = (0..200_u64)
                    .map(|call| {
                        let (mut service, key) = (host.service(), key.text.clone());
                        let limit = Duration::from_micros((call % 7) * 150 * (round + 1));
                        tokio::spawn(async move {
                            let request = auth_request(&key, LLM, vec![b'x'; 2048]);
                            let _ = tokio::time::timeout(limit, service.authenticate(request)).await;
                        })
                    })
                    .collect();
                for call in calls {
                    call.await.unwrap();
                }
            }
            sleep_ms(300).await;
            assert!(host.plugin.broker().is_open(), "the broker stream ended: the connection was lost");
            assert_eq!(host.plugin.stdio().ended(), None, "the stdio stream ended");
            host.must_accept(&key, "after the bursts").await;
            let id = host.plugin.broker().next_id();
            host.plugin.broker().serve(id, host.fakes.routes()).await.unwrap();
            host.unload().await;
        }
    });
}

#[test]
fn refusals_of_all_kinds_are_quick() {
    run(60, async {
        let store = TestStore::new();
        let [good, other] = [(); 2].map(|()| store.issue(APP, USER));
        let host = TestHost::start(Setup::on(&store).quiet()).await;
        for (name, credential) in attempts(&store, &good, &other) {
            let start = Instant::now();
            host.must_refuse(&credential, LLM, name).await;
            assert!(start.elapsed() < Duration::from_millis(1500), "{name} took {:?}", start.elapsed());
        }
        host.unload().await;
    });
}
