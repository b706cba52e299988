//! One GET, to somewhere that somebody else named (rule R17).
//!
//! The name is resolved once, every address of it is judged, and the connection goes to one of those and nowhere else. No
//! proxy, no redirect, no cookie, no cache, no second request: one question, one bounded answer, in bounded time.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HOST, USER_AGENT,
};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use crate::domain::TenantId;
use crate::jwks::address::{is_loopback, is_permitted};
use crate::jwks::fault::{FetchError, of_tls};
use crate::jwks::resolve::Resolve;
use crate::jwks::settings::Settings;
use crate::jwks::target::{Host, Target};
use crate::jwks::tls::{self, TlsError};
use crate::turns::{Turn, Turns};

/// Bytes of an answer's body at most: a set of a hundred RSA keys with their certificates is smaller.
pub const MAX_BODY: usize = 256 * 1024;
/// Bytes of its headers at most, and how many.
const MAX_HEADERS: usize = 16 * 1024;
const MAX_HEADER_COUNT: usize = 64;
/// Addresses of a name that are tried, in their order.
const MAX_ADDRESSES: usize = 4;
/// Fetches at once, and of one tenant.
const FETCHES: usize = 32;
const FETCHES_OF_ONE: usize = 4;
/// Who asks. The version is nobody's business.
const AGENT: &str = "latchkey";
/// What is understood: RFC 7517 section 8.5 names a type of its own, and most send the other.
const UNDERSTOOD: &str = "application/json, application/jwk-set+json";

/// What was fetched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fetched {
    /// The whole body.
    pub body: Vec<u8>,
    /// How long it may be kept, if it says so (RFC 9111 section 5.2.2.1).
    pub max_age: Option<Duration>,
}

/// Fetches. Shared by all who do.
pub struct Outbound {
    settings: Settings,
    resolver: Arc<dyn Resolve>,
    tls: Arc<ClientConfig>,
    turns: Turns,
}

impl Outbound {
    /// Fetches under these settings.
    ///
    /// # Errors
    /// When the authorities that this machine adds are of no use.
    pub fn new(settings: Settings, resolver: Arc<dyn Resolve>) -> Result<Self, TlsError> {
        let tls = tls::client(settings.ca_file.as_deref())?;
        Ok(Self { settings, resolver, tls, turns: Turns::new(FETCHES, FETCHES_OF_ONE) })
    }

    /// Whether a URL is of the form that may be fetched from.
    ///
    /// # Errors
    /// When it is not.
    pub fn target(&self, url: &str) -> Result<Target, FetchError> {
        Target::parse(url, self.settings.allow_loopback_http).map_err(FetchError::Url)
    }

    /// What is at a URL, in a tenant's turn. Waiting for that is a part of the time: whoever else of the tenant hangs, this ends.
    ///
    /// # Errors
    /// When nothing is, or not what could be used.
    pub async fn get(&self, tenant: TenantId, url: &str) -> Result<Fetched, FetchError> {
        let target = self.target(url)?;
        let asked = async { self.ask(&target, &Arc::new(self.turns.turn(tenant).await)).await };
        timeout(self.settings.timeout, asked).await.unwrap_or(Err(FetchError::TimedOut))
    }

    async fn ask(&self, target: &Target, turn: &Arc<Turn>) -> Result<Fetched, FetchError> {
        let addresses = self.addresses(target, turn).await?;
        let stream = self.connect(target, &addresses).await?;
        if !target.tls {
            return self.exchange(stream, target).await;
        }
        let name = match &target.host {
            Host::Name(name) => ServerName::try_from(name.clone()).map_err(|_| FetchError::CertificateName)?,
            Host::Address(address) => ServerName::from(*address),
        };
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let stream = self.part(connector.connect(name, stream)).await?.map_err(|error| of_tls(&error))?;
        self.exchange(stream, target).await
    }

    /// The addresses of a host, if it may be connected to each of them.
    async fn addresses(&self, target: &Target, turn: &Arc<Turn>) -> Result<Vec<IpAddr>, FetchError> {
        let found = match &target.host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => {
                let (found, turn) = (self.resolver.resolve(name), Arc::clone(turn));
                // The system's resolver cannot be stopped: until it is done, the turn is not over.
                let looking = tokio::spawn(async move { (found.await, turn).0 });
                looking.await.ok().and_then(Result::ok).unwrap_or_default()
            }
        };
        if found.is_empty() {
            return Err(FetchError::NameUnknown);
        }
        let permitted = |address: &IpAddr| {
            // Plain, and so never beyond this machine.
            if target.tls { is_permitted(*address, &self.settings.allow_networks) } else { is_loopback(*address) }
        };
        if found.iter().all(permitted) { Ok(found) } else { Err(FetchError::AddressRefused) }
    }

    async fn connect(&self, target: &Target, addresses: &[IpAddr]) -> Result<TcpStream, FetchError> {
        for address in addresses.iter().take(MAX_ADDRESSES) {
            let connecting = TcpStream::connect(SocketAddr::new(*address, target.port));
            if let Ok(Ok(stream)) = self.part(connecting).await {
                // One small question: it is to leave at once.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
        }
        Err(FetchError::Unreachable)
    }

    /// A part of the way takes a part of the time, so that another address has some left.
    async fn part<F: Future>(&self, part: F) -> Result<F::Output, FetchError> {
        timeout(self.settings.timeout / 2, part).await.map_err(|_| FetchError::TimedOut)
    }

    /// Asks on a connection and reads what is answered.
    async fn exchange<S>(&self, stream: S, target: &Target) -> Result<Fetched, FetchError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let broken = |_| FetchError::Broken;
        let mut builder = http1::Builder::new();
        builder.max_buf_size(MAX_HEADERS).max_headers(MAX_HEADER_COUNT);
        let shaken = builder.handshake::<_, Empty<Bytes>>(TokioIo::new(stream));
        let (mut sender, connection) = shaken.await.map_err(broken)?;
        // Given up with the question.
        let _driven = AbortOnDropHandle::new(tokio::spawn(connection));
        let question = Request::get(target.path.as_str())
            .header(HOST, target.authority())
            .header(USER_AGENT, AGENT)
            .header(ACCEPT, UNDERSTOOD)
            .header(ACCEPT_ENCODING, "identity")
            .header(CONNECTION, "close")
            .body(Empty::new())
            .map_err(|_| FetchError::Broken)?;
        let answer = self.part(sender.send_request(question)).await?.map_err(broken)?;
        judge(&answer)?;
        let max_age = max_age(answer.headers());
        Ok(Fetched { body: read(answer.into_body()).await?, max_age })
    }
}

/// What its head says, before any of the body is read.
fn judge(answer: &Response<Incoming>) -> Result<(), FetchError> {
    match answer.status() {
        StatusCode::OK => {}
        status if status.is_redirection() => return Err(FetchError::Redirected),
        status => return Err(FetchError::Status(status.as_u16())),
    }
    let plain = |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !answer.headers().get_all(CONTENT_ENCODING).iter().all(plain) {
        return Err(FetchError::Encoded);
    }
    if answer.headers().get_all(CONTENT_TYPE).iter().any(is_page) {
        return Err(FetchError::NotJson);
    }
    if answer.body().size_hint().lower() > MAX_BODY as u64 {
        return Err(FetchError::TooLarge);
    }
    Ok(())
}

/// Whether it is a page for people: of a log-in, a firewall, an error. Other types are left to the parser, since many send a
/// set of keys as plain text or bytes.
fn is_page(value: &http::HeaderValue) -> bool {
    let kind = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    [&b"text/html"[..], b"application/xhtml+xml"].iter().any(|page| kind.eq_ignore_ascii_case(page))
}

/// The body, whatever length was announced.
async fn read(mut body: Incoming) -> Result<Vec<u8>, FetchError> {
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| FetchError::Broken)?.into_data() else { continue };
        if whole.len() + data.len() > MAX_BODY {
            return Err(FetchError::TooLarge);
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole)
}

/// The first `max-age` of its `Cache-Control`.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let seconds = values.flat_map(|value| value.split(',')).find_map(|directive| {
        let (name, seconds) = directive.split_once('=')?;
        let is_it = name.trim().eq_ignore_ascii_case("max-age");
        is_it.then(|| seconds.trim().trim_matches('"').parse().ok()).flatten()
    });
    seconds.map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn what_an_answer_says_of_its_age_is_read_leniently() {
        for (value, seconds) in [
            ("max-age=600", Some(600)),
            ("public, Max-Age = 21600, must-revalidate", Some(21_600)),
            ("max-age=\"5\"", Some(5)),
            ("s-maxage=9", None),
            ("no-store", None),
            ("max-age=-1", None),
            ("max-age=99999999999999999999", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(CACHE_CONTROL, HeaderValue::from_str(value).unwrap())]);
            assert_eq!(max_age(&headers), seconds.map(Duration::from_secs), "{value}");
        }
    }

    #[test]
    fn pages_are_known_by_their_type_alone() {
        for (value, page) in [
            ("text/html", true),
            ("TEXT/HTML; charset=utf-8", true),
            ("application/xhtml+xml", true),
            ("application/json", false),
            ("application/jwk-set+json; charset=utf-8", false),
            ("text/plain", false),
            ("text/htmlx", false),
        ] {
            assert_eq!(is_page(&HeaderValue::from_static(value)), page, "{value}");
        }
    }
}
