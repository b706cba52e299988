//! The endpoints of [`crate::transport::oauth`] on the HTTP side of `serve`. What a request may be is judged there; here is
//! how long it may take, how much of it is read, and from where it came.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::Response;
use axum::routing::any;
use axum::{Extension, Router};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use zeroize::Zeroizing;

use crate::transport::Settings;
use crate::transport::http::Peer;
use crate::transport::oauth::answer::{self, nothing};
use crate::transport::oauth::{self, Channel, ENDPOINTS, MAX_BODY, Oauth};

/// How long the body of a request may take.
const BODY_LIMIT: Duration = Duration::from_secs(5);

/// What answers, and how a client's address is known.
#[derive(Clone)]
pub struct Endpoints {
    /// Answers.
    pub oauth: Arc<Oauth>,
    /// May change while we serve.
    pub settings: Arc<ArcSwap<Settings>>,
}

/// The answers.
pub fn router(endpoints: Endpoints) -> Router {
    let routes = ENDPOINTS.iter().fold(Router::new(), |routes, endpoint| routes.route(endpoint.path, any(respond)));
    routes.with_state(endpoints)
}

/// The same, and that there is nothing else.
pub fn alone(endpoints: Endpoints) -> Router {
    router(endpoints).fallback(async || sent(nothing("the endpoints of OAuth are answered here")))
}

async fn respond(State(here): State<Endpoints>, Extension(peer): Extension<Peer>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let channel = peer.channel();
    // Nobody reads what is refused unread.
    let reads = head.method == Method::POST && channel != Channel::Plain;
    let body = match if reads { read(&head.headers, body).await } else { Ok(Zeroizing::default()) } {
        Ok(body) => body,
        Err(refusal) => return sent(refusal),
    };
    let remote = remote(&here.settings.load(), peer, &head.headers);
    let source = remote.map_or_else(|| "http".to_owned(), |remote| format!("http:{remote}"));
    let authorization: Vec<&[u8]> = head.headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes).collect();
    let mut kinds = head.headers.get_all(CONTENT_TYPE).iter();
    let asked = oauth::Request {
        method: head.method.as_str(),
        path: head.uri.path(),
        query: head.uri.query().unwrap_or_default().as_bytes(),
        authorization: &authorization,
        content_type: kinds.next().map(HeaderValue::as_bytes).filter(|_| kinds.next().is_none()),
        body,
        remote,
        channel,
        // There is no gateway.
        namespace: None,
        request_id: "",
        source: &source,
    };
    sent(here.oauth.answer(asked).await.unwrap_or_else(|| nothing("nothing is answered here")))
}

/// All of a body that is short and comes soon.
async fn read(headers: &HeaderMap, mut body: Body) -> Result<Zeroizing<Vec<u8>>, oauth::Response> {
    let said = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if said.is_some_and(|length| length > MAX_BODY as u64) {
        return Err(answer::too_large());
    }
    // At once as long as it can become, so that no part of it stays behind when it grows.
    let mut kept = Zeroizing::new(Vec::with_capacity(MAX_BODY));
    let all = async {
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return Err(answer::invalid_request("the body is cut off")) };
            let Ok(data) = frame.into_data() else { continue };
            if kept.len() + data.len() > MAX_BODY {
                return Err(answer::too_large());
            }
            kept.extend_from_slice(&data);
        }
        Ok(())
    };
    match tokio::time::timeout(BODY_LIMIT, all).await {
        Ok(read) => read.map(|()| kept),
        Err(_) => Err(answer::too_slow()),
    }
}

/// The client's address, where that is certain: the peer's, or what a trusted proxy says of it. Loopback alone says nothing:
/// a proxy on this machine comes from there for whoever asked it.
fn remote(settings: &Settings, peer: Peer, headers: &HeaderMap) -> Option<IpAddr> {
    let known = &settings.client_address;
    let lines = headers.get_all(known.header.as_str()).iter().map(|value| value.to_str().ok());
    // Several lines are one list (RFC 9110 section 5.3).
    let named = lines.collect::<Option<Vec<_>>>().filter(|lines| !lines.is_empty()).map(|lines| lines.join(","));
    known.of_peer(peer.address?, named.as_deref())
}

fn sent(answer: oauth::Response) -> Response {
    let oauth::Response { status, headers, body } = answer;
    let mut response = axum::http::Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    // Wiped once it was sent.
    let response = response.body(Body::from(Bytes::from_owner(body)));
    response.unwrap_or_else(|_| {
        let mut failed = Response::new(Body::empty());
        *failed.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        failed
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::ClientAddress;

    fn named(settings: &Settings, peer: &str, lines: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        let peer = Peer { address: Some(peer.parse().unwrap()), tls: true };
        remote(settings, peer, &headers).map(|address| address.to_string())
    }

    #[test]
    fn r15_an_address_is_the_peers_or_what_a_trusted_proxy_says() {
        let header = "X-Forwarded-For".to_owned();
        let mut settings = Settings::default();
        settings.client_address.header = header.clone();
        assert_eq!(named(&settings, "192.0.2.7", &["198.51.100.1"]).as_deref(), Some("192.0.2.7"));
        assert_eq!(named(&settings, "::ffff:192.0.2.7", &[]).as_deref(), Some("192.0.2.7"));
        for loopback in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(named(&settings, loopback, &["198.51.100.1"]), None, "{loopback}");
        }
        let trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        settings.client_address = ClientAddress { trust_peer: false, trusted_proxies, header };
        assert_eq!(named(&settings, "127.0.0.1", &["10.0.0.1, 198.51.100.1"]).as_deref(), Some("198.51.100.1"));
        assert_eq!(named(&settings, "127.0.0.1", &["10.0.0.1", "198.51.100.1"]).as_deref(), Some("198.51.100.1"));
        assert_eq!(named(&settings, "127.0.0.1", &[]), None);
    }

    #[test]
    fn r15_what_others_can_read_is_told_from_what_they_cannot() {
        let channel =
            |address: Option<&str>, tls| Peer { address: address.map(|it| it.parse().unwrap()), tls }.channel();
        assert_eq!(channel(Some("127.0.0.1"), false), Channel::Loopback);
        assert_eq!(channel(Some("::ffff:127.0.0.1"), false), Channel::Loopback);
        assert_eq!(channel(Some("192.0.2.7"), true), Channel::Tls);
        assert_eq!(channel(Some("192.0.2.7"), false), Channel::Plain);
        assert_eq!(channel(None, false), Channel::Plain);
    }
}
