#![expect(clippy::disallowed_methods, reason = "tests present what they minted")]
//! The endpoints over the store in memory. What is taken of a token afterwards is tested with a real server.

use super::testing::{Desk, endpoints};
use super::*;
use crate::authenticate::testing::{OWN_AUDIENCE, OWN_ISSUER, World};
use crate::domain::event::Actor;
use crate::domain::{Action, Credential, CredentialId, Subject};
use crate::secret::{CredentialText, Secret};
use crate::store::Store as _;

struct Here {
    world: World,
    oauth: Oauth,
    desk: Arc<Desk>,
}

const FORM: &[u8] = b"application/x-www-form-urlencoded";
const GRANT: &str = "grant_type=client_credentials";

fn here() -> Here {
    named(OWN_ISSUER, 4)
}

fn named(issuer: &str, issues_per_minute: u32) -> Here {
    let world = World::new();
    let (desk, oauth) = endpoints(&world, issuer, issues_per_minute);
    Here { world, oauth, desk }
}

/// What a test sends.
#[derive(Clone)]
struct Sent {
    method: &'static str,
    path: &'static str,
    query: &'static str,
    authorization: Vec<String>,
    body: String,
    remote: Option<&'static str>,
    channel: Channel,
    namespace: Option<&'static str>,
}

fn post(path: &'static str, body: &str) -> Sent {
    Sent {
        method: "POST",
        path,
        query: "",
        authorization: Vec::new(),
        body: body.to_owned(),
        remote: None,
        channel: Channel::Loopback,
        namespace: None,
    }
}

fn text(key: &Secret<CredentialText>) -> String {
    String::from_utf8(key.expose().to_vec()).unwrap()
}

fn basic(id: &str, key: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{id}:{key}")))
}

/// As a client would, with its key in the header.
fn with_key(path: &'static str, key: &str, body: &str) -> Sent {
    Sent { authorization: vec![basic("", key)], ..post(path, body) }
}

fn token(key: &str, more: &str) -> Sent {
    with_key("/oauth/token", key, &format!("{GRANT}{more}"))
}

impl Here {
    async fn send(&self, sent: &Sent) -> Response {
        let authorization: Vec<&[u8]> = sent.authorization.iter().map(String::as_bytes).collect();
        let request = Request {
            method: sent.method,
            path: sent.path,
            query: sent.query.as_bytes(),
            authorization: &authorization,
            content_type: Some(FORM),
            body: Zeroizing::new(sent.body.clone().into_bytes()),
            remote: sent.remote.map(|remote| remote.parse().unwrap()),
            channel: sent.channel,
            namespace: sent.namespace,
            request_id: "",
            source: "http:192.0.2.1",
        };
        self.oauth.answer(request).await.expect("an endpoint")
    }

    fn key(&self, shape: impl FnOnce(&mut Credential)) -> (CredentialId, String) {
        let (id, key) = self.world.issue(shape);
        (id, text(&key))
    }

    /// A token for a key, which is expected to be given.
    async fn given(&self, key: &str, more: &str) -> serde_json::Value {
        let answer = self.send(&token(key, more)).await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        json(&answer)
    }

    fn events(&self, action: Action) -> usize {
        let events = self.world.store.audit().list(0, 1_000).unwrap();
        events.iter().filter(|record| record.event.action == action).count()
    }
}

fn json(answer: &Response) -> serde_json::Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{:?}", String::from_utf8_lossy(&answer.body)))
}

/// Status and code.
fn refused(answer: &Response) -> (u16, String) {
    (answer.status, json(answer)["error"].as_str().unwrap_or_default().to_owned())
}

fn claims(token: &str) -> serde_json::Value {
    use base64::Engine as _;
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[tokio::test]
async fn r15_a_key_gets_a_token_that_says_what_the_key_is() {
    let here = here();
    let (id, key) = here.key(|row| row.scopes = vec!["chat".to_owned(), "files:read".to_owned()]);
    for sent in [
        token(&key, ""),
        Sent { authorization: vec![basic(&id.to_string(), &key)], ..token(&key, "") },
        post("/oauth/token", &format!("{GRANT}&client_secret={key}")),
        post("/oauth/token", &format!("client_id={id}&client_secret={key}&{GRANT}&unknown=1&scope=")),
    ] {
        let answer = here.send(&sent).await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        for (name, value) in
            [("content-type", "application/json"), ("cache-control", "no-store"), ("pragma", "no-cache")]
        {
            assert_eq!(answer.header(name), Some(value));
        }
        let told = json(&answer);
        assert_eq!((&told["token_type"], &told["expires_in"]), (&"Bearer".into(), &900.into()));
        assert_eq!(told["scope"], "chat files:read");
        let said = claims(told["access_token"].as_str().unwrap());
        assert_eq!((&said["client_id"], &said["sub"]), (&id.to_string().into(), &id.to_string().into()));
        assert_eq!((&said["aud"], &said["iss"]), (&OWN_AUDIENCE.into(), &OWN_ISSUER.into()));
    }
    assert_eq!(here.events(Action::TokenIssued), 4);
    let event = here.world.store.audit().list(0, 1_000).unwrap().pop().unwrap().event;
    assert_eq!(event.actor, Actor::Client(id), "{event:?}");
    assert!(format!("{event:?}").contains("http:192.0.2.1"), "{event:?}");
}

#[tokio::test]
async fn what_is_asked_for_only_narrows() {
    let here = named(OWN_ISSUER, 60);
    let (_, key) = here.key(|row| row.scopes = vec!["chat".to_owned(), "files:read".to_owned()]);
    let few = here.given(&key, "&scope=chat&lifetime=60&llm=4&resource=gateway&audience=gate%77ay").await;
    assert_eq!((&few["scope"], &few["expires_in"]), (&"chat".into(), &60.into()));
    assert_eq!(claims(few["access_token"].as_str().unwrap())["lk_llms"], serde_json::json!([4]));
    let long = here.given(&key, "&lifetime=86400").await;
    assert_eq!(long["expires_in"], 900, "it may be shorter than where nobody says, never longer");
    for (more, code) in [
        ("&scope=chat+admin", "invalid_scope"),
        ("&scope=chat++files:read", "invalid_scope"),
        ("&scope=%22", "invalid_scope"),
        ("&resource=urn:other", "invalid_target"),
        ("&audience=urn:other", "invalid_target"),
        ("&resource=gateway&audience=gateway2", "invalid_target"),
        ("&llm=5", "invalid_request"),
        ("&llm=x", "invalid_request"),
        ("&llm=0", "invalid_request"),
        ("&lifetime=59", "invalid_request"),
        ("&lifetime=-60", "invalid_request"),
        ("&lifetime=6e1", "invalid_request"),
        ("&scope=chat&scope=chat", "invalid_request"),
    ] {
        let answer = here.send(&token(&key, more)).await;
        assert_eq!(refused(&answer), (400, code.to_owned()), "{more}");
    }
    assert_eq!(here.events(Action::TokenIssued), 2);
}

#[tokio::test]
async fn r15_whoever_is_not_let_in_gets_the_same_bytes_whatever_the_reason() {
    let here = here();
    let (id, key) = here.key(|_| {});
    let (other, _) = here.key(|_| {});
    let (_, expired) = here.key(|row| row.expires_at_ms = Some(1));
    let (_, bound) = here.key(|row| row.cidrs = vec!["192.0.2.0/24".parse().unwrap()]);
    let (_, decoy) = here.key(|row| row.decoy = true);
    let wrong = text(&World::forged_key(id));
    let nobodys = text(&World::forged_key(CredentialId::from_bytes([7; 16])));
    let operator = text(&World::operator_token());
    let jwt = here.given(&key, "").await["access_token"].as_str().unwrap().to_owned();
    let plain = |key: &str| token(key, "");
    let mut all = vec![
        plain(&wrong),
        plain(&nobodys),
        plain(&operator),
        plain(&jwt),
        plain("a.b.c"),
        plain("junk"),
        plain(&expired),
        plain(&bound),
        plain(&decoy),
        plain(&format!("Bearer+{key}")),
        post("/oauth/token", GRANT),
        post("/oauth/token", &format!("{GRANT}&client_secret={wrong}")),
        post("/oauth/token", &format!("{GRANT}&client_secret={jwt}")),
        post("/oauth/token", &format!("{GRANT}&client_id={other}&client_secret={key}")),
    ];
    for header in
        [basic(&other.to_string(), &key), format!("Bearer {key}"), "Basic !".to_owned(), "Digest x".to_owned()]
    {
        all.push(Sent { authorization: vec![header], ..post("/oauth/token", GRANT) });
    }
    let expected = here.send(&plain(&wrong)).await;
    assert_eq!(refused(&expected), (401, "invalid_client".to_owned()));
    assert_eq!(expected.header("www-authenticate"), Some(r#"Basic realm="latchkey""#));
    let before = here.world.metrics.summary().refused_count;
    for sent in &all {
        let answer = here.send(sent).await;
        assert_eq!((answer.status, &answer.headers), (expected.status, &expected.headers), "{:?}", sent.authorization);
        assert_eq!(*answer.body, *expected.body, "{:?} {}", sent.authorization, sent.body);
    }
    let counted = here.world.metrics.summary().refused_count - before;
    // All but the two whose key is right and whose id is another's.
    assert_eq!(counted, all.len() as u64 - 2);
    here.world.change_app(|app| app.active = false);
    assert_eq!(*here.send(&plain(&key)).await.body, *expected.body);
    assert_eq!(here.events(Action::TokenIssued), 1);
}

#[tokio::test]
async fn r15_addresses_and_namespaces_bind_where_they_are_known() {
    let here = here();
    let (_, bound) = here.key(|row| row.cidrs = vec!["192.0.2.0/24".parse().unwrap()]);
    let from = |remote| Sent { remote, ..token(&bound, "") };
    assert_eq!(here.send(&from(Some("192.0.2.7"))).await.status, 200);
    assert_eq!(here.send(&from(Some("198.51.100.7"))).await.status, 401);
    let endpoint = Sent { channel: Channel::Host, ..from(None) };
    assert_eq!(here.send(&endpoint).await.status, 401, "behind a host's endpoint the address is unknown");
    let (_, key) = here.key(|_| {});
    here.world.change_tenant(|tenant| tenant.namespaces = vec!["eu".to_owned()]);
    assert_eq!(here.send(&token(&key, "")).await.status, 401);
    assert_eq!(here.send(&Sent { namespace: Some("eu"), ..token(&key, "") }).await.status, 200);
}

#[tokio::test]
async fn each_error_of_rfc_6749_and_what_is_ambiguous() {
    let here = here();
    let (_, key) = here.key(|row| row.scopes = vec!["introspect".to_owned()]);
    let body = |body: &str| with_key("/oauth/token", &key, body);
    for (sent, status, code) in [
        (body(""), 400, "invalid_request"),
        (body("grant_type="), 400, "invalid_request"),
        (body("grant_type=password&username=a&password=b"), 400, "unsupported_grant_type"),
        (body("grant_type=Client_Credentials"), 400, "unsupported_grant_type"),
        (body(&format!("{GRANT}&{GRANT}")), 400, "invalid_request"),
        (body(&format!("{GRANT}&client_secret={key}")), 400, "invalid_request"),
        (body("grant_type=%"), 400, "invalid_request"),
        (Sent { query: "client_secret=x", ..token(&key, "") }, 400, "invalid_request"),
        (Sent { query: "a", ..token(&key, "") }, 400, "invalid_request"),
        (Sent { authorization: vec![basic("", &key), basic("", &key)], ..token(&key, "") }, 400, "invalid_request"),
        (Sent { authorization: vec!["Basic\tx".to_owned()], ..token(&key, "") }, 400, "invalid_request"),
        (Sent { channel: Channel::Plain, ..token(&key, "") }, 403, "invalid_request"),
        (token(&key, &format!("&x={}", "x".repeat(MAX_BODY))), 413, "invalid_request"),
    ] {
        let answer = here.send(&sent).await;
        assert_eq!(refused(&answer), (status, code.to_owned()), "{}", sent.body.get(..60).unwrap_or(&sent.body));
        assert_eq!((answer.header("cache-control"), answer.header("pragma")), (Some("no-store"), Some("no-cache")));
        assert!(!String::from_utf8_lossy(&answer.body).contains(&key));
    }
    for path in ["/oauth/introspect", "/oauth/revoke"] {
        let plain = Sent { channel: Channel::Plain, ..with_key(path, &key, "token=x") };
        assert_eq!(refused(&here.send(&plain).await).0, 403, "{path}");
        assert_eq!(refused(&here.send(&with_key(path, &key, "")).await), (400, "invalid_request".to_owned()), "{path}");
        let query = Sent { query: "token=x", ..with_key(path, &key, "") };
        assert_eq!(refused(&here.send(&query).await), (400, "invalid_request".to_owned()), "{path}");
    }
    assert_eq!(here.events(Action::TokenIssued), 0);
    assert!(here.world.work().0 < 30, "what is ambiguous is not looked up");
}

#[tokio::test]
async fn too_many_in_a_minute_wait_each_credential_for_itself() {
    let here = here();
    let ((_, key), (_, other)) = (here.key(|_| {}), here.key(|_| {}));
    for _ in 0..4 {
        here.given(&key, "").await;
    }
    let answer = here.send(&token(&key, "")).await;
    assert_eq!((refused(&answer), answer.header("retry-after")), ((429, "slow_down".to_owned()), Some("15")));
    here.given(&other, "").await;
    let wrong = here.send(&token(&text(&World::near(&Secret::new(key.clone().into_bytes()))), "")).await;
    assert_eq!(wrong.status, 401, "r13: who has proven nothing learns nothing");
    here.world.clock.advance(Duration::from_secs(15));
    here.given(&key, "").await;
}

#[tokio::test]
async fn what_cannot_be_decided_is_503_and_no_token() {
    let here = here();
    let (_, key) = here.key(|_| {});
    here.world.store.fail(crate::store::fake::Fault::Reads);
    let answer = here.send(&token(&key, "")).await;
    assert_eq!(refused(&answer), (503, "temporarily_unavailable".to_owned()));
    assert_eq!(answer.header("retry-after"), Some("1"));
    here.world.store.heal();
    here.given(&key, "").await;
    *here.desk.backend.lock().unwrap() = None;
    assert_eq!(refused(&here.send(&token(&key, "")).await).0, 503);
    let keys = Sent { method: "GET", ..post("/.well-known/jwks.json", "") };
    assert_eq!(here.send(&keys).await.status, 503);
    here.desk.gate.close(crate::domain::Reason::NotReady, Vec::new());
    assert_eq!(refused(&here.send(&token(&key, "")).await).0, 503);
}

#[tokio::test(start_paused = true)]
async fn r13_a_refusal_leaves_at_a_multiple_of_the_quantum() {
    let here = here();
    let (id, _) = here.key(|_| {});
    for sent in [token(&text(&World::forged_key(id)), ""), token("junk", ""), with_key("/oauth/revoke", "junk", "")] {
        let began = tokio::time::Instant::now();
        assert!(here.send(&sent).await.status >= 400);
        assert_eq!(began.elapsed(), QUANTUM, "{}", sent.path);
    }
}

#[tokio::test]
async fn d4_only_ones_own_tokens_are_taken_back_and_nobody_learns_which_those_are() {
    let here = here();
    let ((_, key), (_, other)) = (here.key(|_| {}), here.key(|_| {}));
    let mine = here.given(&key, "").await["access_token"].as_str().unwrap().to_owned();
    let jti = crate::domain::JtiHash::of(OWN_ISSUER, claims(&mine)["jti"].as_str().unwrap());
    let row = || here.world.store.tokens().look_up(jti).unwrap().row.unwrap();
    let revoke = |key: &str, token: &str| with_key("/oauth/revoke", key, &format!("token={token}"));
    let expected = here.send(&revoke(&key, "unknown")).await;
    assert_eq!((expected.status, expected.body.len()), (200, 0));
    let same = |answer: &Response| {
        assert_eq!((answer.status, &answer.headers, answer.body.len()), (200, &expected.headers, 0));
    };
    let changed = format!("{}x", &mine[..mine.len() - 1]);
    for (key, token) in [(&other, mine.as_str()), (&other, "a.b.c"), (&key, "a.b.c"), (&key, key.as_str())] {
        same(&here.send(&revoke(key, token)).await);
    }
    assert_eq!((row().revoked_at_ms, here.events(Action::TokenRevoked)), (None, 0));
    let hinted = with_key("/oauth/revoke", &key, &format!("token={mine}&token_type_hint=refresh_token"));
    same(&here.send(&hinted).await);
    assert!(row().revoked_at_ms.is_some());
    // Once is enough; and by its text alone, whoever signed that.
    for token in [&mine, &changed] {
        same(&here.send(&revoke(&key, token)).await);
    }
    assert_eq!(here.events(Action::TokenRevoked), 1);
    let event = here.world.store.audit().list(0, 1_000).unwrap().pop().unwrap().event;
    assert!(matches!((event.actor, event.subject), (Actor::Client(_), Subject::Token(_))), "{event:?}");
    assert_eq!(here.send(&with_key("/oauth/revoke", &text(&World::operator_token()), "token=x")).await.status, 401);
    let bearer = Sent { authorization: vec![format!("Bearer {key}")], ..post("/oauth/revoke", "token=x") };
    same(&here.send(&bearer).await);
}

#[tokio::test(start_paused = true)]
async fn r11_what_cannot_be_written_is_refused_here_and_is_no_200() {
    let here = here();
    let (_, key) = here.key(|_| {});
    let mine = here.given(&key, "").await["access_token"].as_str().unwrap().to_owned();
    here.world.store.fail(crate::store::fake::Fault::Writes);
    let answer = here.send(&with_key("/oauth/revoke", &key, &format!("token={mine}"))).await;
    assert_eq!(refused(&answer), (503, "temporarily_unavailable".to_owned()));
    assert_eq!((answer.header("retry-after"), here.desk.gate.denied().count()), (Some("1"), 1));
    here.world.store.heal();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!((here.desk.gate.denied().count(), here.events(Action::TokenRevoked)), (0, 1));
}

#[tokio::test]
async fn d3_who_may_not_ask_about_tokens_is_told_so_by_the_rfcs() {
    let here = here();
    let (_, key) = here.key(|_| {});
    let (_, may) = here.key(|row| row.scopes = vec!["introspect".to_owned()]);
    let ask = |authorization: Vec<String>| Sent { authorization, ..post("/oauth/introspect", "token=x") };
    let none = here.send(&ask(Vec::new())).await;
    assert_eq!(refused(&none), (401, "invalid_client".to_owned()));
    assert_eq!(none.header("www-authenticate"), Some(r#"Basic realm="latchkey", Bearer realm="latchkey""#));
    let wrong = here.send(&ask(vec!["Bearer junk".to_owned()])).await;
    assert_eq!(refused(&wrong), (401, "invalid_token".to_owned()));
    assert_eq!(wrong.header("www-authenticate"), Some(r#"Bearer realm="latchkey", error="invalid_token""#));
    let wrong = here.send(&ask(vec![basic("", "junk")])).await;
    assert_eq!(wrong.header("www-authenticate"), Some(r#"Basic realm="latchkey""#));
    for way in [basic("", &key), format!("Bearer {key}")] {
        let answer = here.send(&ask(vec![way])).await;
        assert_eq!(refused(&answer), (403, "insufficient_scope".to_owned()));
        assert!(answer.header("www-authenticate").unwrap().contains(r#"scope="introspect""#));
    }
    for way in [basic("", &may), format!("Bearer {may}")] {
        let answer = here.send(&ask(vec![way])).await;
        assert_eq!((answer.status, answer.body.as_slice()), (200, br#"{"active":false}"#.as_slice()));
    }
}

#[tokio::test]
async fn what_everybody_may_know_is_public_and_nothing_else_is_there() {
    let here = named("https://auth.example/t", 1);
    let get = |path| Sent { method: "GET", channel: Channel::Plain, query: "v=1", ..post(path, "") };
    let keys = here.send(&get("/.well-known/jwks.json")).await;
    assert_eq!((keys.status, keys.header("content-type")), (200, Some("application/jwk-set+json")));
    assert_eq!(keys.header("cache-control"), Some("public, max-age=300"));
    let set = json(&keys);
    assert_eq!((set["keys"].as_array().unwrap().len(), &set["keys"][0]["kty"]), (1, &"OKP".into()));
    assert!(set["keys"][0].get("d").is_none());
    let told = json(&here.send(&get("/.well-known/oauth-authorization-server")).await);
    assert_eq!(told["issuer"], "https://auth.example/t");
    assert_eq!(told["token_endpoint"], "https://auth.example/t/oauth/token");
    assert_eq!(told["grant_types_supported"], serde_json::json!(["client_credentials"]));
    let unnamed = named("urn:latchkey:x", 1);
    assert_eq!(unnamed.send(&get("/.well-known/oauth-authorization-server")).await.status, 404);

    let head = here.send(&Sent { method: "HEAD", ..get("/.well-known/jwks.json") }).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    for endpoint in ENDPOINTS {
        let options = here.send(&Sent { method: "OPTIONS", ..get(endpoint.path) }).await;
        assert_eq!((options.status, options.body.len()), (204, 0), "{}", endpoint.path);
        let delete = here.send(&Sent { method: "DELETE", ..get(endpoint.path) }).await;
        assert_eq!(delete.status, 405, "{}", endpoint.path);
        assert_eq!(delete.header("allow"), options.header("allow"));
        let other = if endpoint.methods == GET { "POST" } else { "GET" };
        assert_eq!(here.send(&Sent { method: other, ..get(endpoint.path) }).await.status, 405);
    }
    for path in ["/oauth/token/", "/OAuth/token", "/oauth", "//oauth/token", "/.well-known/jwks"] {
        let request = Request {
            method: "GET",
            path,
            query: b"",
            authorization: &[],
            content_type: None,
            body: Zeroizing::default(),
            remote: None,
            channel: Channel::Loopback,
            namespace: None,
            request_id: "",
            source: "http",
        };
        assert!(here.oauth.answer(request).await.is_none(), "{path}");
    }
}

#[tokio::test]
async fn d3_a_token_is_told_about_to_its_own_tenant_and_everything_else_is_the_same_bytes() {
    let here = here();
    let (id, key) = here.key(|row| row.scopes = vec!["chat".to_owned(), "files:read".to_owned()]);
    let (_, may) = here.key(|row| row.scopes = vec!["introspect".to_owned()]);
    let ask = |token: &str| with_key("/oauth/introspect", &may, &format!("token={token}&token_type_hint=x"));
    let mine = here.given(&key, "&scope=chat").await["access_token"].as_str().unwrap().to_owned();
    let answer = here.send(&ask(&mine)).await;
    let (told, said) = (json(&answer), claims(&mine));
    assert_eq!((answer.status, &told["active"], &told["scope"]), (200, &true.into(), &"chat".into()));
    for name in ["iss", "aud", "sub", "client_id", "iat", "exp", "jti", "tenant"] {
        assert_eq!(told[name], said[name], "{name}");
    }
    assert_eq!((&told["token_type"], told.as_object().unwrap().len()), (&"Bearer".into(), 11));

    let inactive = here.send(&ask("x")).await;
    let nothing = |answer: &Response, what: &str| {
        assert_eq!((answer.status, &answer.headers), (200, &inactive.headers), "{what}");
        assert_eq!(answer.body.as_slice(), br#"{"active":false}"#.as_slice(), "{what}");
    };
    let (head, tail) = mine.split_at(mine.len() - 4);
    let broken = format!("{head}{}", if tail == "AAAA" { "BBBB" } else { "AAAA" });
    let padded = format!("Bearer+{mine}");
    for junk in [broken.as_str(), key.as_str(), may.as_str(), "a.b.c", "%c3%a9.x.y", padded.as_str(), "."] {
        nothing(&here.send(&ask(junk)).await, junk);
    }
    // As a foreign issuer's token would be: nothing is looked for.
    let decisions = || here.world.metrics.summary().request_count;
    let before = decisions();
    let foreign = {
        use base64::Engine as _;
        let claims = serde_json::json!({
            "iss": "https://idp.example", "aud": OWN_AUDIENCE, "sub": "s", "jti": "j", "iat": 1_800_000_000, "exp": 1_900_000_000
        });
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims.to_string());
        format!("eyJhbGciOiJFUzI1NiJ9.{claims}.AAAA")
    };
    nothing(&here.send(&ask(&foreign)).await, "foreign");
    assert_eq!(decisions() - before, 1, "of the caller alone");
    // What it may no more, it is not told to be able to.
    here.world.change_credential(id, |row| row.scopes = vec!["files:read".to_owned()]);
    nothing(&here.send(&ask(&mine)).await, "its credential was changed");

    let (_, bound) = here.key(|row| row.cidrs = vec!["192.0.2.0/24".parse().unwrap()]);
    let sent = Sent { remote: Some("192.0.2.7"), ..token(&bound, "") };
    let bound = json(&here.send(&sent).await)["access_token"].as_str().unwrap().to_owned();
    let there = Sent { remote: Some("192.0.2.7"), ..ask(&bound) };
    nothing(&here.send(&there).await, "bound to an address, which is not that of whoever asks");

    let (_, key) = here.key(|_| {});
    let next = here.given(&key, "").await["access_token"].as_str().unwrap().to_owned();
    assert_eq!(json(&here.send(&ask(&next)).await)["active"], true);
    here.world.change_user(|user| user.active = false);
    assert_eq!(here.send(&ask(&next)).await.status, 401, "the caller is not let in either");
    here.world.change_user(|user| user.active = true);
    assert_eq!(json(&here.send(&ask(&next)).await)["active"], true);
    here.send(&with_key("/oauth/revoke", &key, &format!("token={next}"))).await;
    nothing(&here.send(&ask(&next)).await, "taken back");
    here.world.clock.advance(Duration::from_secs(901));
    nothing(&here.send(&ask(&mine)).await, "expired");
}

#[tokio::test]
async fn r15_a_token_of_another_tenant_is_worth_nothing() {
    let here = here();
    let (_, key) = here.key(|_| {});
    let mine = here.given(&key, "").await["access_token"].as_str().unwrap().to_owned();
    let attempt = crate::authenticate::Attempt {
        stage: crate::authenticate::Stage::Introspect,
        ..crate::authenticate::testing::attempt()
    };
    let token = Secret::new(mine.into_bytes());
    let own = crate::authenticate::testing::TENANT;
    let other = crate::domain::TenantId::from_bytes([9; 16]);
    assert!(here.world.authenticator.worth(&token, own, &attempt).await.is_some());
    assert!(here.world.authenticator.worth(&token, other, &attempt).await.is_none());
}
