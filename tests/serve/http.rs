//! The HTTP side: metrics, health, and whoever is slow.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::transport::Endpoint;

use super::{Server, Store, authenticates};

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn has(&self, header: &str) -> bool {
        self.head.lines().any(|line| line.eq_ignore_ascii_case(header))
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{:?}", self.body))
    }
}

/// Sends a request as it is, and reads until the other end closes.
async fn send(address: &str, request: &str) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    tokio::time::timeout(Duration::from_secs(15), stream.read_to_end(&mut all)).await.expect("closed").unwrap();
    let all = String::from_utf8(all).unwrap();
    let (head, body) = all.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{all:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

async fn get(address: &str, path: &str) -> Answer {
    send(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await
}

fn start(store: &Store) -> Server {
    Server::start(&mut store.command("serve --listen 127.0.0.1:0 --http 127.0.0.1:0"))
}

#[tokio::test]
async fn metrics_and_health_are_told_and_nothing_else() {
    let store = Store::new();
    let server = start(&store);
    let http = &server.http[0];
    let channel = Endpoint::from_shared(format!("http://{}", server.addresses[0])).unwrap().connect().await.unwrap();
    assert!(authenticates(channel, &store.key).await);

    let metrics = get(http, "/metrics").await;
    assert_eq!(metrics.status, 200);
    assert!(
        metrics.has("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
        "{}",
        metrics.head
    );
    let counted = r#"latchkey_auth_requests_total{outcome="accepted",reason="none",kind="api_key"} 1"#;
    assert!(metrics.body.contains(counted) && metrics.body.ends_with("# EOF\n"), "{}", metrics.body);

    for path in ["/healthz", "/readyz"] {
        let answer = get(http, path).await;
        assert_eq!((answer.status, answer.json()["status"].as_str()), (200, Some("healthy")), "{path}");
        assert!(answer.has("content-type: application/json") && answer.has("cache-control: no-store"));
    }
    let head = send(http, "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));

    for path in ["/", "/metrics/", "/metrics/x", "/admin", "//metrics", "/%2e%2e/metrics"] {
        let answer = get(http, path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.has("content-type: application/problem+json"), "{}", answer.head);
        assert_eq!((answer.json()["status"].as_u64(), answer.json()["title"].as_str()), (Some(404), Some("Not Found")));
    }
    // Answered at once, without the body that it speaks of.
    let post = send(http, "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999\r\n\r\n").await;
    assert_eq!((post.status, post.json()["status"].as_u64()), (405, Some(405)));
    assert!(post.has("allow: GET,HEAD") && post.has("content-type: application/problem+json"), "{}", post.head);
    assert_eq!(server.end(), Some(0));
}

#[tokio::test]
async fn who_denies_is_alive_and_not_ready_and_says_why_in_a_word() {
    let store = Store::new();
    let server = start(&store);
    let http = &server.http[0];
    assert_eq!(get(http, "/readyz").await.status, 200);
    // Another file where the store was, and no store at all.
    let database = store.dir.path().join("data/latchkey.db");
    std::fs::remove_file(&database).unwrap();
    std::fs::write(&database, "no database").unwrap();
    let begun = Instant::now();
    let answer = loop {
        let answer = get(http, "/readyz").await;
        if answer.status != 200 || begun.elapsed() > Duration::from_secs(20) {
            break answer;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!((answer.status, answer.json()["status"].as_str()), (503, Some("unhealthy")));
    assert_eq!(answer.json()["problems"], serde_json::json!(["store"]), "codes alone");
    let alive = get(http, "/healthz").await;
    assert_eq!((alive.status, alive.json()["status"].as_str()), (200, Some("unhealthy")));
}

#[tokio::test]
async fn who_is_slow_holds_nobody_up_for_long_and_who_sends_too_much_is_refused() {
    let store = Store::new();
    let server = start(&store);
    let http = &server.http[0];
    // Each place but one, by clients that never finish asking.
    let mut slow = Vec::new();
    for _ in 0..63 {
        let mut stream = TcpStream::connect(http).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost:").await.unwrap();
        slow.push(stream);
    }
    let begun = Instant::now();
    assert_eq!(get(http, "/healthz").await.status, 200);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    // And all of them: whoever comes waits until the slow are sent away, no longer.
    slow.push(TcpStream::connect(http).await.unwrap());
    assert_eq!(get(http, "/healthz").await.status, 200);
    assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
    for mut stream in slow {
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "sent away");
    }
    let large = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Large: {}\r\n\r\n", "x".repeat(64 * 1024));
    let mut stream = TcpStream::connect(http).await.unwrap();
    let _ = stream.write_all(large.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{:?}", String::from_utf8_lossy(&answer));
    assert_eq!(get(http, "/healthz").await.status, 200, "the others go on");
}
