//! Keys bound to addresses: the client's address comes only over hops that this machine trusts (hazard H12, control B7).

use latchkey::pb::full::plugin as pb;

use crate::support::{APP, LLM, Setup, TENANT, TestHost, TestStore, USER, auth_request, body, run};

/// Whether a call is accepted, coming from this peer with this header.
async fn passes(host: &TestHost, key: &str, peer: &str, forwarded: Option<&str>, body: Vec<u8>) -> bool {
    let mut call: pb::AuthRequest = auth_request(key, LLM, body);
    let request = call.request.as_mut().unwrap();
    request.remote_addr = peer.to_owned();
    if let Some(forwarded) = forwarded {
        request.headers.insert("X-Forwarded-For".to_owned(), forwarded.to_owned());
    }
    let bound = host.service().authenticate(call).await.unwrap().into_inner().authenticated;
    let mut context = crate::support::context(LLM);
    context.vendor = "openai".to_owned();
    let bearer = format!("Bearer {key}");
    let mut pre = crate::support::request(&[("Authorization", &bearer)], Vec::new(), context);
    pre.remote_addr = peer.to_owned();
    pre.headers.extend(forwarded.map(|value| ("X-Forwarded-For".to_owned(), value.to_owned())));
    let blocked = host.service().process_pre_auth(pre).await.unwrap().into_inner().block;
    assert_eq!(bound, !blocked, "pre-auth and auth agree");
    bound
}

#[test]
fn b7_a_spoofed_forwarded_header_is_denied_and_a_trusted_hop_is_believed() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue_for(TENANT, APP, USER, &["--cidr", "198.51.100.0/24"]).text;
        let setup = Setup::on(&store).env("LATCHKEY_AUTH__TRUSTED_PROXIES", "203.0.113.0/24,127.0.0.1/32");
        let host = TestHost::start(setup).await;
        let good = Some("10.0.0.1, 198.51.100.7");
        for (peer, forwarded, accepted) in [
            ("203.0.113.7:1", good, true),
            ("203.0.113.7:1", Some("198.51.100.7, 10.0.0.1"), false),
            ("203.0.113.7:1", None, false),
            ("192.0.2.1:1", good, false),
            ("198.51.100.9:1", None, true),
            ("198.51.100.9:1", Some("10.0.0.1"), true),
            ("127.0.0.1:1", good, true),
            ("127.0.0.1:1", None, false),
        ] {
            // Small enough to pass as it is, and so large that only what is wanted of it is kept.
            for size in [0, 100_000] {
                let body = [body(), vec![b' '; size]].concat();
                let told = passes(&host, &key, peer, forwarded, body).await;
                assert_eq!(told, accepted, "{peer} {forwarded:?}, {size} bytes more");
            }
        }
        let unbound = store.issue(APP, USER).text;
        assert!(passes(&host, &unbound, "127.0.0.1:1", None, body()).await, "the gateway's own bridge");
    });
}

#[test]
fn h12_nothing_is_believed_unless_the_machine_says_so() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue_for(TENANT, APP, USER, &["--cidr", "198.51.100.0/24"]).text;
        // What the host configures counts for nothing here (rule R2).
        let config = serde_json::json!({ "auth.trusted_proxies": "0.0.0.0/0", "auth_trust_remote_addr": "true" });
        let host = TestHost::start(Setup::on(&store).config(config)).await;
        assert!(!passes(&host, &key, "198.51.100.9:1", Some("198.51.100.7"), body()).await);
    });
}
