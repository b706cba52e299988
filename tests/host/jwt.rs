//! JWTs through a gateway's plugin process: an issuer trusted with one command, its keys over real HTTP, and tokens of ours.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant, SystemTime};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::hostile_http::{Hostile, Step, json as answer_json};
use crate::support::{APP, LLM, Setup, TENANT, TestHost, TestStore, USER, run, run_alone, sleep_ms};

const ISS: &str = "https://idp.example";

struct Signer {
    pair: Ed25519KeyPair,
    kid: String,
}

impl Signer {
    fn new(seed: u8) -> Self {
        Self { pair: Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap(), kid: format!("k{seed}") }
    }

    fn jwk(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.pair.public_key());
        json!({"kty": "OKP", "crv": "Ed25519", "kid": self.kid, "use": "sig", "alg": "EdDSA", "x": x})
    }

    fn sign(&self, claims: &Value) -> String {
        self.sign_under(&json!({"alg": "EdDSA", "kid": self.kid, "typ": "JWT"}), claims)
    }

    fn sign_under(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    /// A good token of the User.
    fn token(&self, jti: u32) -> String {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        self.sign(&json!({"iss": ISS, "aud": "gateway", "sub": USER.to_string(), "iat": now, "exp": now + 600, "jti": jti.to_string()}))
    }
}

fn set(signers: &[&Signer]) -> String {
    json!({"keys": signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>()}).to_string()
}

/// As a tenant would trust a provider.
fn trust(store: &TestStore, more: &[&str]) -> String {
    let (app, mut command) = (APP.to_string(), Vec::new());
    command.extend(["issuer", "add", "--tenant", TENANT, "--iss", ISS, "--alg", "EdDSA", "--aud", "gateway"]);
    command.extend(["--app", &app, "--user-claim", "sub", "--output", "json"]);
    command.extend(more);
    let output = store.command(&command).env("LATCHKEY_JWKS__ALLOW_LOOPBACK_HTTP", "true").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    told["issuer_id"].as_str().unwrap_or_else(|| panic!("{told}")).to_owned()
}

fn asking(store: &TestStore) -> Setup {
    Setup::on(store).env("LATCHKEY_JWKS__ALLOW_LOOPBACK_HTTP", "true").env("LATCHKEY_JWKS__COOLDOWN_SECONDS", "1")
}

async fn accepted(host: &TestHost, token: &str) -> bool {
    let answer = host.auth(token, LLM).await.unwrap();
    if answer.authenticated {
        assert_eq!((answer.app_id, answer.user_id), (APP.to_string(), USER.to_string()));
        assert_eq!(answer.claims["credential_kind"], "jwt");
    }
    answer.authenticated
}

/// How long it takes until a token is refused.
async fn until_refused(host: &TestHost, token: &str) -> Duration {
    let began = Instant::now();
    while accepted(host, token).await {
        assert!(began.elapsed() < Duration::from_secs(5), "still accepted");
        sleep_ms(1).await;
    }
    assert!(!accepted(host, token).await);
    began.elapsed()
}

#[test]
fn an_issuer_is_trusted_with_one_command_and_its_keys_may_be_rotated_and_lost() {
    run(120, async {
        let (one, two, removed) = (Signer::new(1), Signer::new(2), Signer::new(3));
        // What the provider publishes: both old keys; then one and the new one; then nothing that answers.
        let published = Arc::new(AtomicU8::new(0));
        let (before, after) = (answer_json(&set(&[&one, &removed])), answer_json(&set(&[&one, &two])));
        let which = Arc::clone(&published);
        let script = move |_| match which.load(Ordering::SeqCst) {
            0 => before.clone(),
            1 => after.clone(),
            _ => vec![Step::Hang],
        };
        let provider = Hostile::start([127, 0, 0, 1].into(), 0, None, Arc::new(script)).await;
        let store = TestStore::new();
        let url = format!("http://{}/keys", provider.address);
        trust(&store, &["--jwks-url", &url]);
        let host = TestHost::start(asking(&store)).await;
        assert!(accepted(&host, &one.token(1)).await);
        assert!(accepted(&host, &removed.token(2)).await);
        let stale = removed.token(3);
        assert!(accepted(&host, &stale).await);
        assert!(!accepted(&host, &Signer::new(9).token(4)).await);
        // A key that is new is fetched when its first token comes; the one that is gone takes its cached tokens with it.
        published.store(1, Ordering::SeqCst);
        sleep_ms(1_200).await;
        assert!(accepted(&host, &two.token(5)).await);
        assert!(!accepted(&host, &stale).await, "cached, and its key removed");
        assert!(!accepted(&host, &removed.token(6)).await);
        // The provider is lost: nobody notices, not even after a restart.
        published.store(2, Ordering::SeqCst);
        assert!(accepted(&host, &two.token(7)).await);
        host.unload().await;
        let host = TestHost::start(asking(&store)).await;
        assert!(accepted(&host, &two.token(8)).await, "kept beyond the process");
        // A key that nobody has holds up nobody for long, and those of good keys not at all.
        let began = Instant::now();
        assert!(!accepted(&host, &Signer::new(8).token(9)).await);
        assert!(began.elapsed() < Duration::from_secs(3));
        assert!(accepted(&host, &one.token(10)).await);
        host.unload().await;
    });
}

#[test]
fn c2_no_key_and_no_place_of_one_is_taken_from_a_token() {
    run(60, async {
        let (signer, attacker) = (Signer::new(1), Signer::new(2));
        let provider = Hostile::always(None, answer_json(&set(&[&signer]))).await;
        let trap = Hostile::always(None, answer_json(&set(&[&attacker]))).await;
        let store = TestStore::new();
        trust(&store, &["--jwks-url", &format!("http://{}/keys", provider.address)]);
        let host = TestHost::start(asking(&store)).await;
        assert!(accepted(&host, &signer.token(1)).await);
        let url = format!("http://{}/keys", trap.address);
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let claims = json!({"iss": ISS, "aud": "gateway", "sub": USER.to_string(), "exp": now + 600});
        for (name, value) in [
            ("jku", json!(url)),
            ("x5u", json!(url)),
            ("jwk", attacker.jwk()),
            ("x5c", json!(["MIIB"])),
            ("kid", json!(url)),
            ("kid", json!("../../keys")),
        ] {
            let mut header = json!({"alg": "EdDSA", "kid": "k1", "typ": "JWT"});
            header[name] = value;
            for by in [&attacker, &signer] {
                assert!(!accepted(&host, &by.sign_under(&header, &claims)).await, "{header}");
            }
        }
        let elsewhere =
            attacker.sign(&json!({"iss": url, "aud": "gateway", "sub": USER.to_string(), "exp": now + 600}));
        assert!(!accepted(&host, &elsewhere).await);
        sleep_ms(300).await;
        assert_eq!(trap.connections(), 0);
        host.unload().await;
    });
}

#[test]
fn an_issuer_that_is_switched_off_or_removed_is_refused_in_another_process_within_100_ms() {
    run_alone(60, async {
        let (store, signer) = (TestStore::new(), Signer::new(1));
        let file = store.data.join("..").join("keys.json");
        std::fs::write(&file, set(&[&signer])).unwrap();
        let path = file.to_str().unwrap();
        let id = trust(&store, &["--jwks-file", path]);
        let host = TestHost::start(Setup::on(&store)).await;
        let token = signer.token(1);
        assert!(accepted(&host, &token).await);
        store.ok(&["issuer", "set", &id, "--tenant", TENANT, "--active", "false"]);
        let took = until_refused(&host, &token).await;
        assert!(took <= Duration::from_millis(250), "{took:?}");
        store.ok(&["issuer", "set", &id, "--tenant", TENANT, "--active", "true"]);
        sleep_ms(150).await;
        assert!(accepted(&host, &token).await, "and it is told when it is back");
        store.ok(&["issuer", "remove", &id, "--tenant", TENANT]);
        let took = until_refused(&host, &token).await;
        assert!(took <= Duration::from_millis(250), "{took:?}");
        host.unload().await;
    });
}

#[test]
fn r15_a_token_of_ours_dies_with_its_key_in_another_process_within_100_ms() {
    run_alone(120, async {
        let store = TestStore::new();
        let host = TestHost::start(Setup::on(&store).quiet()).await;
        let issue = |key: &str| {
            let told = store.ok(&["token", "issue", "--credential", key, "--tenant", TENANT, "--output", "json"]);
            let told: Value = serde_json::from_str(&told).unwrap();
            (told["token"].as_str().unwrap().to_owned(), told["token_id"].as_str().unwrap().to_owned())
        };
        let mut took = Vec::new();
        for _ in 0..6 {
            let key = store.issue(APP, USER);
            let (token, _) = issue(&key.id);
            store.canaries.add("a token", &token);
            assert!(accepted(&host, &token).await);
            let revoked = async {
                let args = ["key", "revoke", key.id.as_str(), "--reason", "key_compromise"];
                assert!(tokio::process::Command::from(store.command(&args)).status().await.unwrap().success());
                Instant::now()
            };
            let refused = async {
                let _ = until_refused(&host, &token).await;
                Instant::now()
            };
            let (revoked, refused) = tokio::join!(revoked, refused);
            took.push(refused.saturating_duration_since(revoked));
        }
        took.sort();
        println!("a token refused after its key's revocation: median {:?}, worst {:?}", took[3], took[5]);
        assert!(took[3] <= Duration::from_millis(100), "{took:?}");
        // One alone, and not the others of its key.
        let key = store.issue(APP, USER);
        let ((one, id), (other, _)) = (issue(&key.id), issue(&key.id));
        assert!(accepted(&host, &one).await && accepted(&host, &other).await);
        store.ok(&["token", "revoke", "--id", &id, "--tenant", TENANT]);
        let _ = until_refused(&host, &one).await;
        assert!(accepted(&host, &other).await);
        host.must_accept(&key, "the key itself").await;
        host.unload().await;
    });
}
