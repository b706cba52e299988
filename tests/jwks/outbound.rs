//! One GET: what it takes for an answer, where it goes and what it tells.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use latchkey::jwks::outbound::MAX_BODY;
use latchkey::jwks::{FetchError, Outbound, Outside, Resolve, Settings, SystemResolver, UrlFault, resolve::Addresses};

use crate::hostile_http::{Hostile, Step, answer, json};
use crate::{Names, TENANT, outbound, settings};

const SECOND: Duration = Duration::from_secs(1);

fn send(text: &str) -> Step {
    Step::Send(text.as_bytes().to_vec())
}

fn nobody() -> Arc<Names> {
    Arc::new(Names::default())
}

async fn get(server: &Hostile) -> Result<Vec<u8>, FetchError> {
    let fetched = outbound(settings(), &nobody()).get(TENANT, &format!("http://{}/jwks", server.address)).await;
    fetched.map(|fetched| fetched.body)
}

#[tokio::test]
async fn the_question_is_plain_and_tells_nothing_of_us() {
    let server = Hostile::always(None, json("{}")).await;
    assert_eq!(get(&server).await, Ok(b"{}".to_vec()));
    let expected = format!(
        "GET /jwks HTTP/1.1\r\nhost: {}\r\nuser-agent: latchkey\r\naccept: application/json, application/jwk-set+json\r\n\
         accept-encoding: identity\r\nconnection: close\r\n\r\n",
        server.address
    );
    assert_eq!(server.asked(), [expected]);
}

#[tokio::test]
async fn r17_answers_that_are_none_are_told_apart_in_bounded_time() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let large = "x".repeat(MAX_BODY + 1);
    let gzip = [0x1f_u8, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    let cases: Vec<(&str, Vec<Step>, FetchError)> = vec![
        ("a page", answer("200 OK", &["Content-Type: text/html"], b"<html>"), FetchError::NotJson),
        (
            "compressed",
            answer("200 OK", &["Content-Type: application/json", "Content-Encoding: gzip"], &gzip),
            FetchError::Encoded,
        ),
        (
            "compressed twice",
            answer("200 OK", &["Content-Encoding: identity", "Content-Encoding: br"], &gzip),
            FetchError::Encoded,
        ),
        ("no content", answer("204 No Content", &[], b""), FetchError::Status(204)),
        ("a part", answer("206 Partial Content", &[], b"{}"), FetchError::Status(206)),
        ("not there", answer("404 Not Found", &[], b"{}"), FetchError::Status(404)),
        ("an error", answer("500 Oops", &[], b"{}"), FetchError::Status(500)),
        ("unasked for", answer("304 Not Modified", &[], b""), FetchError::Redirected),
        (
            "another protocol",
            vec![send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")],
            FetchError::Status(101),
        ),
        ("longer than is read", answer("200 OK", &[], large.as_bytes()), FetchError::TooLarge),
        (
            "100 MB announced, nothing sent",
            vec![send("HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n"), Step::Hang],
            FetchError::TooLarge,
        ),
        (
            "100 MB without a length",
            vec![send("HTTP/1.1 200 OK\r\n\r\n"), Step::Flood(100 << 20)],
            FetchError::TooLarge,
        ),
        ("one chunk of 100 MB", vec![send(chunked), send("6400000\r\n"), Step::Flood(100 << 20)], FetchError::TooLarge),
        ("a byte a second", vec![send("HTTP/1.1 200 OK\r\n\r\n"), Step::Drip(b'{', SECOND)], FetchError::TimedOut),
        (
            "a head without end",
            vec![send("HTTP/1.1 200 OK\r\nx: "), Step::Drip(b'y', SECOND / 4)],
            FetchError::TimedOut,
        ),
        ("no answer", vec![Step::Hang], FetchError::TimedOut),
        (
            "nothing after the head",
            vec![send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), Step::Hang],
            FetchError::TimedOut,
        ),
        ("closed at once", vec![], FetchError::Broken),
        ("closed in the head", vec![send("HTTP/1.1 200 OK\r\nContent-")], FetchError::Broken),
        ("closed in the body", vec![send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}")], FetchError::Broken),
        ("closed in a chunk", vec![send(chunked), send("9\r\n{}")], FetchError::Broken),
        ("closed before the last chunk", vec![send(chunked), send("2\r\n{}\r\n")], FetchError::Broken),
        (
            "two lengths",
            vec![send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}")],
            FetchError::Broken,
        ),
        ("a negative length", vec![send("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}")], FetchError::Broken),
        ("HTTP 0.9", vec![send("{}")], FetchError::Broken),
        ("HTTP 2", vec![send("\0\0\x12\x04\0\0\0\0\0")], FetchError::Broken),
        ("another language", vec![send("220 mail.example ESMTP\r\n")], FetchError::Broken),
        ("a head of a megabyte", vec![send("HTTP/1.1 200 OK\r\nx: "), Step::Flood(1 << 20)], FetchError::Broken),
        (
            "many lines of a head",
            vec![send(&format!("HTTP/1.1 200 OK\r\n{}\r\n{{}}", "x: y\r\n".repeat(100)))],
            FetchError::Broken,
        ),
        (
            "interim answers for ever",
            vec![send(&"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1000)), Step::Hang],
            FetchError::TimedOut,
        ),
    ];
    let all = cases.into_iter().map(async |(what, steps, expected)| {
        let server = Hostile::always(None, steps).await;
        let started = Instant::now();
        assert_eq!(get(&server).await, Err(expected), "{what}");
        assert!(started.elapsed() < 3 * SECOND, "{what}: {:?}", started.elapsed());
        assert_eq!(server.connections(), 1, "{what}: asked once");
    });
    futures::future::join_all(all).await;
}

#[tokio::test]
async fn answers_of_every_honest_form_are_taken() {
    let body = format!("{{\"keys\":[{}]}}", " ".repeat(MAX_BODY - 11));
    assert_eq!(body.len(), MAX_BODY);
    for (what, steps, expected) in [
        ("as large as is read", json(&body), body.as_str()),
        ("without a type", answer("200 OK", &[], b"{}"), "{}"),
        ("as text", answer("200 OK", &["Content-Type: text/plain", "Content-Encoding: identity"], b"{}"), "{}"),
        ("until it closes", vec![send("HTTP/1.0 200 OK\r\n\r\n{}")], "{}"),
        (
            "in chunks",
            vec![send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n")],
            "{}",
        ),
        ("more than its length", vec![send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}{}")], "{}"),
        (
            "after a hint",
            vec![send("HTTP/1.1 103 Hint\r\n\r\n"), send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")],
            "{}",
        ),
    ] {
        let server = Hostile::always(None, steps).await;
        assert_eq!(get(&server).await.as_deref(), Ok(expected.as_bytes()), "{what}");
    }
}

#[tokio::test]
async fn r17_no_redirect_is_followed() {
    let elsewhere = Hostile::always(None, json("{}")).await;
    for status in ["300 Choose", "301 Moved", "302 Found", "303 See", "307 Temporary", "308 Permanent"] {
        for place in [
            "http://169.254.169.254/latest/meta-data/".to_owned(),
            format!("http://{}/jwks", elsewhere.address),
            "/jwks".to_owned(),
            "file:///etc/passwd".to_owned(),
        ] {
            let server = Hostile::always(None, answer(status, &[&format!("Location: {place}")], b"{}")).await;
            assert_eq!(get(&server).await, Err(FetchError::Redirected), "{status} to {place}");
            assert_eq!(server.connections(), 1);
        }
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn r17_what_a_name_resolves_to_is_judged_whole_before_anything_is_connected_to() {
    let server = Hostile::always(None, json("{}")).await;
    let port = server.address.port();
    for addresses in [
        &["10.0.0.1"][..],
        &["127.0.0.2"],
        &["::1"],
        &["::ffff:127.0.0.2"],
        &["64:ff9b::7f00:2"],
        &["169.254.169.254"],
        &["fd00:ec2::254"],
        // One that would be allowed does not help.
        &["127.0.0.1", "169.254.169.254"],
        &["127.0.0.1", "::1"],
    ] {
        let names = Names::of("idp.test", &[addresses]);
        let got = outbound(settings(), &names).get(TENANT, &format!("https://idp.test:{port}/jwks")).await;
        assert_eq!(got, Err(FetchError::AddressRefused), "{addresses:?}");
        assert_eq!(names.asked(), 1);
    }
    for host in ["127.0.0.2", "[::1]", "[::ffff:127.0.0.2]", "[::ffff:7f00:2]", "169.254.169.254", "0.0.0.0", "[::]"] {
        let got = outbound(settings(), &nobody()).get(TENANT, &format!("https://{host}:{port}/jwks")).await;
        assert_eq!(got, Err(FetchError::AddressRefused), "{host}");
    }
    let got = outbound(settings(), &nobody()).get(TENANT, "https://idp.test/jwks").await;
    assert_eq!(got, Err(FetchError::NameUnknown));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn r17_a_name_is_resolved_once_and_the_address_that_was_judged_is_the_one_that_is_connected_to() {
    let good = Hostile::always(None, json("{}")).await;
    let trap = Hostile::start([127, 0, 0, 2].into(), good.address.port(), None, Arc::new(|_| json("{}"))).await;
    let names = Names::of("idp.test", &[&["127.0.0.1"], &["127.0.0.2"]]);
    let outbound = outbound(settings(), &names);
    let url = format!("http://idp.test:{}/jwks", good.address.port());
    assert!(outbound.get(TENANT, &url).await.is_ok());
    assert_eq!((names.asked(), good.connections(), trap.connections()), (1, 1, 0));
    // The next fetch asks anew, and judges anew.
    let url = format!("https://idp.test:{}/jwks", good.address.port());
    assert_eq!(outbound.get(TENANT, &url).await, Err(FetchError::AddressRefused));
    assert_eq!((names.asked(), trap.connections()), (2, 0));
}

#[tokio::test]
async fn r17_plain_http_never_leaves_this_machine() {
    for addresses in [&["10.0.0.1"][..], &["8.8.8.8"], &["127.0.0.1", "8.8.8.8"]] {
        let names = Names::of("idp.test", &[addresses]);
        let wide = Settings { allow_networks: vec!["0.0.0.0/0".parse().unwrap()], ..settings() };
        let got = outbound(wide, &names).get(TENANT, "http://idp.test/jwks").await;
        assert_eq!(got, Err(FetchError::AddressRefused), "{addresses:?}");
    }
    let server = Hostile::always(None, json("{}")).await;
    let strict = Settings { allow_loopback_http: false, ..settings() };
    let got = outbound(strict, &nobody()).get(TENANT, &format!("http://{}/jwks", server.address)).await;
    assert_eq!(got, Err(FetchError::Url(UrlFault::Scheme)));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn another_address_of_a_name_is_tried_where_the_first_does_not_answer() {
    let server = Hostile::start([127, 0, 0, 2].into(), 0, None, Arc::new(|_| json("{}"))).await;
    let names = Names::of("idp.test", &[&["127.0.0.3", "127.0.0.2"]]);
    let url = format!("http://idp.test:{}/jwks", server.address.port());
    assert!(outbound(settings(), &names).get(TENANT, &url).await.is_ok());
}

/// A resolver that never answers.
struct Hanging(Names);

impl Resolve for Hanging {
    fn resolve(&self, _: &str) -> Addresses {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn r12_names_that_hang_take_a_bounded_share_and_end_in_time() {
    let hanging = Arc::new(Hanging(Names::default()));
    let outbound = Outbound::new(settings(), Arc::clone(&hanging) as Arc<dyn Resolve>).unwrap();
    let many = (0..20).map(|_| tokio::time::timeout(10 * SECOND, outbound.get(TENANT, "https://idp.test/")));
    let ended = futures::future::join_all(many).await;
    let timed_out = ended.iter().filter(|ended| **ended == Ok(Err(FetchError::TimedOut))).count();
    // Their look-ups cannot be stopped, and so keep the tenant's turns; who waits for one of those ends in time all the same.
    assert_eq!((timed_out, hanging.0.asked()), (20, 4));
    let other = outbound.get(latchkey::domain::TenantId::from_bytes([8; 16]), "https://idp.test/");
    assert_eq!(
        tokio::time::timeout(10 * SECOND, other).await,
        Ok(Err(FetchError::TimedOut)),
        "another tenant has its own"
    );
}

#[test]
fn r17_what_a_tenant_is_told_names_no_address_and_tells_no_port_from_another() {
    let unreachable = [
        FetchError::NameUnknown,
        FetchError::AddressRefused,
        FetchError::Unreachable,
        FetchError::CertificateUntrusted,
        FetchError::CertificateName,
        FetchError::CertificateExpired,
        FetchError::Tls,
        FetchError::TimedOut,
        FetchError::Broken,
    ];
    assert!(unreachable.iter().all(|error| error.outside() == Outside::Unreachable));
    for error in [FetchError::Status(500), FetchError::Redirected, FetchError::NotJson, FetchError::NoKeys] {
        assert_eq!(error.outside(), Outside::Answer);
    }
    for text in [Outside::Url, Outside::Unreachable, Outside::Answer].map(|outside| outside.to_string()) {
        assert!(!text.contains(|c: char| c.is_ascii_digit()), "{text}");
    }
}

/// Run by the test below, with traps around it.
#[tokio::test]
#[ignore = "needs the environment that another test makes"]
async fn fetches_among_traps() {
    let url = std::env::var("LATCHKEY_TEST_URL").unwrap();
    let here = ["127.0.0.1/32", "::1/128"].map(|net| net.parse().unwrap());
    let settings = Settings { allow_networks: here.into(), ..settings() };
    let outbound = Outbound::new(settings, Arc::new(SystemResolver)).unwrap();
    assert_eq!(outbound.get(TENANT, &url).await.unwrap().body, b"{}");
    // Over TLS too it goes there itself, where nobody speaks TLS.
    let got = outbound.get(TENANT, &url.replace("http://", "https://")).await;
    assert_eq!(got, Err(FetchError::TimedOut));
}

#[tokio::test]
async fn r17_no_proxy_and_no_certificates_of_the_environment_are_used() {
    let server = Hostile::always(None, json("{}")).await;
    let trap = Hostile::always(None, json("[]")).await;
    let traps = tempfile::tempdir().unwrap();
    let bundle = traps.path().join("trap.pem");
    std::fs::write(&bundle, "not a certificate").unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.env_clear().args(["--exact", "outbound::fetches_among_traps", "--ignored"]);
    child.env("LATCHKEY_TEST_URL", format!("http://localhost:{}/jwks", server.address.port()));
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        child.env(name, format!("http://{}", trap.address));
    }
    child
        .env("SSL_CERT_FILE", &bundle)
        .env("SSL_CERT_DIR", traps.path())
        .env("SSLKEYLOGFILE", traps.path().join("keys"));
    let ended = tokio::task::spawn_blocking(move || child.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(ended.status.success() && said.contains("1 passed"), "{said}");
    assert_eq!((server.connections(), trap.connections()), (2, 0));
    assert!(!traps.path().join("keys").exists());
}
