//! The OAuth endpoints of `latchkey serve --http`, byte for byte: every error, what may not be told apart, who is slow or
//! sends too much, and what a token is good for afterwards. Slowest and nearest to a client; the rest is in
//! `src/transport/oauth`.
#![allow(
    missing_docs,
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a failed test is a panic"
)]

mod support;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use latchkey::pb::full::plugin::plugin_service_client::PluginServiceClient;
use serde_json::{Value, json};
use support::server::Server;
use support::{APP, Key, LLM, TENANT, TestStore, USER, auth_request, body, run};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn of(all: &[u8]) -> Self {
        let all = String::from_utf8(all.to_vec()).unwrap();
        let (head, body) = all.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{all:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{} {:?}", self.head, self.body))
    }

    fn refused(&self) -> (u16, String) {
        (self.status, self.json()["error"].as_str().unwrap_or_default().to_owned())
    }

    /// All of it but the time.
    fn bytes(&self) -> String {
        let lines = self.head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("date:"));
        format!("{}\n\n{}", lines.collect::<Vec<_>>().join("\n"), self.body)
    }
}

async fn exchange(mut wire: impl AsyncRead + AsyncWrite + Unpin, request: &[u8]) -> Answer {
    // Whoever sends too much may be cut off while it sends.
    let _ = wire.write_all(request).await;
    let mut all = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(15), wire.read_to_end(&mut all)).await;
    let _ = read.expect("closed in time");
    Answer::of(&all)
}

/// One request.
struct Ask<'a> {
    path: &'a str,
    headers: Vec<String>,
    body: String,
}

const GRANT: &str = "grant_type=client_credentials";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

fn ask<'a>(path: &'a str, body: &str) -> Ask<'a> {
    Ask { path, headers: vec![FORM.to_owned()], body: body.to_owned() }
}

fn basic(id: &str, key: &str) -> String {
    format!("Authorization: Basic {}", STANDARD.encode(format!("{id}:{key}")))
}

impl Ask<'_> {
    fn with(mut self, header: impl Into<String>) -> Self {
        self.headers.push(header.into());
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let headers = self.headers.join("\r\n");
        let Self { path, body, .. } = self;
        format!("POST {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            .into_bytes()
    }
}

struct World {
    store: TestStore,
    server: Server,
}

impl World {
    fn new() -> Self {
        Self::of(TestStore::new(), &[])
    }

    fn of(store: TestStore, environment: &[(&str, &str)]) -> Self {
        let mut command = store.command(&[]);
        command.envs(environment.iter().copied());
        let server = Server::of(command, &["--http", "127.0.0.1:0"]);
        Self { store, server }
    }

    fn http(&self) -> SocketAddr {
        self.server.told["http"][0].as_str().unwrap().parse().unwrap()
    }

    async fn raw(&self, request: &[u8]) -> Answer {
        exchange(TcpStream::connect(self.http()).await.unwrap(), request).await
    }

    async fn send(&self, ask: &Ask<'_>) -> Answer {
        let answer = self.raw(&ask.bytes()).await;
        self.store.canaries.assert_absent(ask.path, answer.head.as_bytes());
        answer
    }

    async fn get(&self, path: &str) -> Answer {
        self.raw(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await
    }

    fn key(&self, more: &[&str]) -> Key {
        self.store.issue_for(TENANT, APP, USER, more)
    }

    /// A token for a key, registered as a secret.
    async fn token(&self, key: &Key, more: &str) -> String {
        let answer = self.send(&ask("/oauth/token", &format!("{GRANT}{more}")).with(basic("", &key.text))).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let token = answer.json()["access_token"].as_str().unwrap().to_owned();
        let parts: Vec<&str> = token.split('.').collect();
        self.store.canaries.add("a token's claims", parts[1]);
        self.store.canaries.add("a token's signature", parts[2]);
        token
    }

    async fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.server.address)).unwrap().connect().await.unwrap()
    }

    async fn authenticates(&self, credential: &str, llm: u32) -> bool {
        let mut service = PluginServiceClient::new(self.channel().await);
        service.authenticate(auth_request(credential, llm, body())).await.unwrap().into_inner().authenticated
    }
}

#[test]
fn r15_a_token_is_issued_authenticates_and_ends_with_its_key() {
    run(60, async {
        let world = World::new();
        let key = world.key(&["--scope", "chat", "--scope", "files:read"]);
        let asked = ask("/oauth/token", &format!("{GRANT}&scope=chat&lifetime=60")).with(basic(&key.id, &key.text));
        let answer = world.send(&asked).await;
        let told = answer.json();
        assert_eq!(
            (answer.status, answer.header("cache-control"), answer.header("pragma")),
            (200, Some("no-store"), Some("no-cache"))
        );
        assert_eq!((&told["token_type"], &told["scope"]), (&json!("Bearer"), &json!("chat")));
        // Whole seconds of what is left.
        assert!(matches!(told["expires_in"].as_i64(), Some(59 | 60)), "{told}");
        let token = world.token(&key, "").await;
        let narrow = world.token(&key, "&llm=4").await;
        assert!(world.authenticates(&token, LLM).await && world.authenticates(&narrow, 4).await);
        assert!(!world.authenticates(&narrow, LLM).await, "r15: it is for fewer LLMs than its App");
        // What was derived buys nothing, whatever way it comes.
        for sent in [
            ask("/oauth/token", GRANT).with(basic("", &token)),
            ask("/oauth/token", &format!("{GRANT}&client_secret={token}")),
            ask("/oauth/token", GRANT).with(format!("Authorization: Bearer {token}")),
        ] {
            assert_eq!(world.send(&sent).await.refused(), (401, "invalid_client".to_owned()));
        }
        world.store.revoke(&key);
        let begun = Instant::now();
        while world.authenticates(&token, LLM).await {
            assert!(begun.elapsed() < Duration::from_secs(5), "it outlived its key");
        }
        let refused = world.send(&ask("/oauth/token", GRANT).with(basic("", &key.text))).await;
        assert_eq!(refused.refused(), (401, "invalid_client".to_owned()));
        world.server.judge(&world.store.canaries);
        assert!(!world.server.log().is_empty());
    });
}

#[test]
fn every_error_of_rfc_6749_as_it_stands_on_the_wire() {
    run(60, async {
        let world = World::new();
        let (key, other) = (world.key(&["--scope", "chat"]), world.key(&[]));
        let bound = world.key(&["--cidr", "192.0.2.0/24", "--cidr", "127.0.0.0/8"]);
        let good = basic(&key.id, &key.text);
        let forged = key.forged(&world.store.canaries.make("a wrong secret", 43));
        let token = |body: &str| ask("/oauth/token", body);
        let unknown = world.send(&token(GRANT).with(basic(&key.id, &forged))).await;
        assert_eq!(unknown.header("www-authenticate"), Some(r#"Basic realm="latchkey""#));
        for (what, sent, status, code) in [
            ("no grant", token("").with(&good), 400, "invalid_request"),
            ("another grant", token("grant_type=password").with(&good), 400, "unsupported_grant_type"),
            ("a grant twice", token(&format!("{GRANT}&{GRANT}")).with(&good), 400, "invalid_request"),
            ("a scope of nobody's", token(&format!("{GRANT}&scope=admin")).with(&good), 400, "invalid_scope"),
            (
                "for somebody else",
                token(&format!("{GRANT}&resource=https://x.example")).with(&good),
                400,
                "invalid_target",
            ),
            ("no LLM of the App's", token(&format!("{GRANT}&llm=5")).with(&good), 400, "invalid_request"),
            ("too short", token(&format!("{GRANT}&lifetime=1")).with(&good), 400, "invalid_request"),
            ("nobody", token(GRANT), 401, "invalid_client"),
            ("a wrong secret", token(GRANT).with(basic("", &forged)), 401, "invalid_client"),
            ("another's id", token(GRANT).with(basic(&other.id, &key.text)), 401, "invalid_client"),
            ("an operator", token(GRANT).with(basic("", &world.store.operator_token)), 401, "invalid_client"),
            ("bound to addresses", token(GRANT).with(basic("", &bound.text)), 401, "invalid_client"),
            ("two ways", token(&format!("{GRANT}&client_secret={}", key.text)).with(&good), 400, "invalid_request"),
            ("two headers", token(GRANT).with(&good).with(&good), 400, "invalid_request"),
            ("a tab", token(GRANT).with(good.replace("Basic ", "Basic\t")), 400, "invalid_request"),
            ("no base64", token(GRANT).with("Authorization: Basic !"), 401, "invalid_client"),
            ("another scheme", token(GRANT).with("Authorization: Digest x"), 401, "invalid_client"),
            (
                "in the address",
                Ask { path: "/oauth/token?client_secret=x", ..token(GRANT).with(&good) },
                400,
                "invalid_request",
            ),
        ] {
            let answer = world.send(&sent).await;
            assert_eq!(answer.refused(), (status, code.to_owned()), "{what}");
            assert_eq!(
                (answer.header("cache-control"), answer.header("pragma")),
                (Some("no-store"), Some("no-cache")),
                "{what}"
            );
            if status == 401 {
                assert_eq!(answer.bytes(), unknown.bytes(), "{what}");
            }
            world.store.canaries.assert_absent(what, answer.body.as_bytes());
        }
        for scheme in ["basic ", "BASIC ", "Basic   "] {
            assert_eq!(world.send(&token(GRANT).with(good.replace("Basic ", scheme))).await.status, 200, "{scheme:?}");
        }
        let json =
            Ask { headers: vec!["Content-Type: application/json".to_owned()], ..token("{}").with(&good) }.with(&good);
        assert_eq!(world.send(&json).await.refused(), (400, "invalid_request".to_owned()));
        world.server.judge(&world.store.canaries);
    });
}

#[test]
fn who_is_slow_or_sends_too_much_is_told_and_sent_away() {
    run(60, async {
        let world = World::new();
        let key = world.key(&[]);
        let header = basic("", &key.text);
        let large = world.send(&ask("/oauth/token", &"x".repeat(16 * 1024 + 1)).with(&header)).await;
        assert_eq!(large.refused(), (413, "invalid_request".to_owned()));
        let chunked = |chunks: &[&str]| {
            let mut all = format!(
                "POST /oauth/token HTTP/1.1\r\nHost: x\r\n{FORM}\r\n{header}\r\nTransfer-Encoding: chunked\r\n\r\n"
            );
            for chunk in chunks {
                all += &format!("{:x}\r\n{chunk}\r\n", chunk.len());
            }
            (all + "0\r\n\r\n").into_bytes()
        };
        assert_eq!(world.raw(&chunked(&["grant_type=client_", "credentials"])).await.status, 200);
        let piece = "x".repeat(4 * 1024);
        let answer = world.raw(&chunked(&[piece.as_str(); 5])).await;
        assert_eq!(answer.refused(), (413, "invalid_request".to_owned()));
        // A length that is never sent.
        let begun = Instant::now();
        let slow =
            format!("POST /oauth/token HTTP/1.1\r\nHost: x\r\n{FORM}\r\n{header}\r\nContent-Length: 40\r\n\r\ngrant");
        assert_eq!(world.raw(slow.as_bytes()).await.refused(), (408, "invalid_request".to_owned()));
        assert!(begun.elapsed() > Duration::from_secs(4) && begun.elapsed() < Duration::from_secs(10));
        world.token(&key, "").await;
        world.server.judge(&world.store.canaries);
    });
}

#[test]
fn d3_what_is_told_of_a_token_and_to_whom() {
    run(60, async {
        let world = World::new();
        let store = &world.store;
        store.ok(&["tenant", "create", "other", "--name", "Other"]);
        store.ok(&["app", "add", "--tenant", "other", "--id", "21", "--name", "Theirs", "--llm", "3"]);
        store.ok(&["user", "add", "--tenant", "other", "--id", "22", "--email", "eve@other.example"]);
        let theirs = store.issue_for("other", 21, 22, &[]);
        let (key, may) = (world.key(&["--scope", "chat"]), world.key(&["--scope", "introspect"]));
        let (mine, of_others) = (world.token(&key, "").await, world.token(&theirs, "").await);
        let about = |token: &str| ask("/oauth/introspect", &format!("token={token}")).with(basic("", &may.text));
        let active = world.send(&about(&mine)).await.json();
        assert_eq!(
            (&active["active"], &active["scope"], &active["tenant"]),
            (&json!(true), &json!("chat"), &json!(TENANT))
        );
        assert_eq!((&active["client_id"], &active["token_type"]), (&json!(key.id), &json!("Bearer")));
        assert!(active["exp"].as_i64() > active["iat"].as_i64() && active["jti"].is_string());

        let expected = world.send(&about("x")).await;
        assert_eq!((expected.status, expected.body.as_str()), (200, r#"{"active":false}"#));
        let (unsigned, _) = mine.rsplit_once('.').unwrap();
        let (none, signature) = (format!("{unsigned}."), format!("{unsigned}.{}", "A".repeat(86)));
        let foreign = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlIiwiZXhwIjo5OTk5OTk5OTk5fQ.AAAA";
        for other in [of_others.as_str(), &key.text, &may.text, foreign, "a.b.c", ".", &none, &signature] {
            let answer = world.send(&about(other)).await;
            assert_eq!(answer.bytes(), expected.bytes(), "{}", &other[..other.len().min(12)]);
        }
        for (sent, status, code) in [
            (ask("/oauth/introspect", "token=x"), 401, "invalid_client"),
            (ask("/oauth/introspect", "token=x").with(basic("", "junk")), 401, "invalid_client"),
            (ask("/oauth/introspect", "token=x").with("Authorization: Bearer junk"), 401, "invalid_token"),
            (ask("/oauth/introspect", "token=x").with(format!("Authorization: Bearer {mine}")), 401, "invalid_token"),
            (ask("/oauth/introspect", "token=x").with(basic("", &key.text)), 403, "insufficient_scope"),
            (ask("/oauth/introspect", "").with(basic("", &may.text)), 400, "invalid_request"),
        ] {
            let answer = world.send(&sent).await;
            assert_eq!(answer.refused(), (status, code.to_owned()), "{}", sent.body);
            assert_eq!(answer.header("www-authenticate").is_some(), status != 400);
        }
        // And once it ended, it is one of the others.
        store.set_user_active(USER, false);
        let (app, user) = (support::OTHER_APP, support::OTHER_USER);
        let may = store.issue_for(TENANT, app, user, &["--scope", "introspect"]);
        let about = ask("/oauth/introspect", &format!("token={mine}")).with(basic("", &may.text));
        let begun = Instant::now();
        while world.send(&about).await.bytes() != expected.bytes() {
            assert!(begun.elapsed() < Duration::from_secs(5), "a token of a User who is switched off");
        }
        world.server.judge(&store.canaries);
    });
}

#[test]
fn d4_a_token_is_taken_back_by_its_own_client_alone() {
    run(60, async {
        let world = World::new();
        let (key, other, may) = (world.key(&[]), world.key(&[]), world.key(&["--scope", "introspect"]));
        let (mine, kept) = (world.token(&key, "").await, world.token(&key, "").await);
        let revoke =
            |key: &Key, token: &str| ask("/oauth/revoke", &format!("token={token}")).with(basic("", &key.text));
        let expected = world.send(&revoke(&key, "unknown")).await;
        assert_eq!((expected.status, expected.body.as_str()), (200, ""));
        for sent in [revoke(&other, &mine), revoke(&may, &mine), revoke(&key, "a.b.c"), revoke(&key, &key.text)] {
            assert_eq!(world.send(&sent).await.bytes(), expected.bytes());
        }
        assert!(world.authenticates(&mine, LLM).await, "nobody else takes it back");
        for _ in 0..2 {
            assert_eq!(world.send(&revoke(&key, &mine)).await.bytes(), expected.bytes());
            assert!(!world.authenticates(&mine, LLM).await, "before the answer");
        }
        assert!(world.authenticates(&kept, LLM).await && world.authenticates(&key.text, LLM).await);
        let about = |token: &str| ask("/oauth/introspect", &format!("token={token}")).with(basic("", &may.text));
        assert_eq!(world.send(&about(&mine)).await.body, r#"{"active":false}"#);
        assert_eq!(world.send(&about(&kept)).await.json()["active"], json!(true));
        // After a rotation the old key is its own client still, and the new one is another.
        let next = world.store.rotate(&key, "1h");
        assert!(world.authenticates(&kept, LLM).await, "through the grace");
        world.send(&revoke(&next, &kept)).await;
        assert!(world.authenticates(&kept, LLM).await);
        world.send(&revoke(&key, &kept)).await;
        assert!(!world.authenticates(&kept, LLM).await);
        let trail = world.store.ok(&["audit", "list", "--output", "json"]);
        assert!(trail.contains("token.revoked") && trail.contains(&format!("client:{}", key.id)), "{trail}");
        world.store.canaries.assert_absent("the trail", trail.as_bytes());
        world.server.judge(&world.store.canaries);
    });
}

#[test]
fn what_is_public_and_what_else_may_be_asked() {
    run(60, async {
        let world = World::of(TestStore::new(), &[("LATCHKEY_TOKENS__ISSUER", "https://auth.example")]);
        let keys = world.get("/.well-known/jwks.json").await;
        assert_eq!((keys.status, keys.header("content-type")), (200, Some("application/jwk-set+json")));
        assert_eq!(keys.header("cache-control"), Some("public, max-age=300"));
        assert!(keys.json()["keys"][0]["x"].is_string() && keys.json()["keys"][0].get("d").is_none());
        let told = world.get("/.well-known/oauth-authorization-server").await.json();
        assert_eq!(told["issuer"], "https://auth.example");
        for (name, path) in [("token_endpoint", "/oauth/token"), ("jwks_uri", "/.well-known/jwks.json")] {
            assert_eq!(told[name], format!("https://auth.example{path}"));
        }
        let head = world.raw(b"HEAD /.well-known/jwks.json HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert_eq!((head.status, head.body.as_str()), (200, ""));
        let options = world.raw(b"OPTIONS /oauth/token HTTP/1.1\r\nHost: x\r\nOrigin: https://x.example\r\n\r\n").await;
        assert_eq!((options.status, options.header("allow")), (204, Some("POST, OPTIONS")));
        assert!(!options.head.to_ascii_lowercase().contains("access-control"));
        let get = world.get("/oauth/token").await;
        assert_eq!((get.status, get.header("allow")), (405, Some("POST, OPTIONS")));
        assert_eq!(get.header("content-type"), Some("application/problem+json"));
        assert_eq!(world.get("/oauth").await.status, 404);
        assert_eq!(world.get("/metrics").await.status, 200, "what was there is there");
    });
}

#[test]
fn a_key_gets_so_many_tokens_in_a_minute() {
    run(60, async {
        let world = World::of(TestStore::new(), &[("LATCHKEY_TOKENS__ISSUES_PER_MINUTE", "2")]);
        let (key, other) = (world.key(&[]), world.key(&[]));
        world.token(&key, "").await;
        world.token(&key, "").await;
        let answer = world.send(&ask("/oauth/token", GRANT).with(basic("", &key.text))).await;
        assert_eq!(answer.refused(), (429, "slow_down".to_owned()));
        assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() <= 30);
        world.token(&other, "").await;
    });
}

/// An address of this machine that is not loopback, if it has one. Nothing is sent.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

#[test]
fn r15_no_secret_is_taken_in_the_clear_from_elsewhere() {
    let Some(own) = own_address() else { return println!("skipped: this machine has no address but loopback") };
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let listen = format!("{own}:0");
        let more = ["--http", &listen, "--allow-plaintext", &listen];
        let server = Server::of(store.command(&[]), &more);
        let http = server.told["http"][0].as_str().unwrap().to_owned();
        let send = async |request: &[u8]| exchange(TcpStream::connect(&http).await.unwrap(), request).await;
        for path in ["/oauth/token", "/oauth/introspect", "/oauth/revoke"] {
            let answer = send(&ask(path, GRANT).with(basic("", &key.text)).bytes()).await;
            assert_eq!(answer.refused(), (403, "invalid_request".to_owned()), "{path}");
            assert!(answer.body.contains("TLS"), "{}", answer.body);
        }
        let keys = send(b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert_eq!(keys.status, 200);
        assert_eq!(send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.status, 200, "as the configuration permits");
        server.judge(&store.canaries);
    });
}

#[test]
fn r15_over_tls_tokens_are_given_and_metrics_are_not() {
    let Some(own) = own_address() else { return println!("skipped: this machine has no address but loopback") };
    run(60, async {
        let store = TestStore::new();
        let (key, bound) =
            (store.issue(APP, USER), store.issue_for(TENANT, APP, USER, &["--cidr", &format!("{own}/32")]));
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let path = |name: &str| store.data.parent().unwrap().join(name);
        std::fs::write(path("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(path("key.pem"), made.signing_key.serialize_pem()).unwrap();
        let (cert, private) = (path("cert.pem").display().to_string(), path("key.pem").display().to_string());
        let listen = format!("{own}:0");
        let mut command = store.command(&[]);
        command.env("LATCHKEY_SERVE__HTTP_TLS", "true");
        let server = Server::of(command, &["--http", &listen, "--tls-cert", &cert, "--tls-key", &private]);
        let http = server.told["http"][0].as_str().unwrap().to_owned();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config =
            rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
        let send = async |request: &[u8]| {
            let connector = tokio_rustls::TlsConnector::from(Arc::clone(&config));
            let stream = TcpStream::connect(&http).await.unwrap();
            exchange(connector.connect("localhost".try_into().unwrap(), stream).await.unwrap(), request).await
        };
        for key in [&key, &bound] {
            let answer = send(&ask("/oauth/token", GRANT).with(basic("", &key.text)).bytes()).await;
            assert_eq!(answer.status, 200, "r15: the address is known over TLS: {}", answer.body);
        }
        for path in ["/metrics", "/healthz", "/readyz"] {
            assert_eq!(send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.status, 404, "{path}");
        }
        // In the clear there is nothing at all.
        let mut plain = TcpStream::connect(&http).await.unwrap();
        plain.write_all(&ask("/oauth/token", GRANT).bytes()).await.unwrap();
        let mut rest = Vec::new();
        let _ = plain.read_to_end(&mut rest).await;
        assert!(!rest.starts_with(b"HTTP"), "{rest:?}");
    });
}
