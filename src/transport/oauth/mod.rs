//! Short-lived tokens for programs, over whatever carries HTTP: a token for an API key (RFC 6749 section 4.4), what one is
//! worth (RFC 7662), taking one back (RFC 7009), and what everybody may know (RFC 7517, RFC 8414).
//!
//! Wire-neutral: `transport/http/oauth.rs` and `transport/plugin/endpoints.rs` carry requests here and answers back.
//! [`client`](self) says who asks, by the same decision as every request; what they ask is done by the use cases of
//! `admin`. A token is given only for an API key, never for what was itself derived (rule R15).

pub mod answer;
mod client;
mod discovery;
mod form;
mod introspect;
mod rate;
mod revoke;
#[cfg(test)]
pub(crate) mod testing;
mod token;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::admin::{AdminError, AdminResult, Backend};
use crate::authenticate::gate::OPENING_WAIT;
use crate::clock::Clock;
use crate::transport::admin::{AdminRpc, Office, Peers};
pub use answer::Response;
use answer::other_method;
use form::Form;
use rate::Rate;

/// Bytes of a body at most.
pub const MAX_BODY: usize = 16 * 1024;
/// What asks for a secret leaves at the next multiple of this after it came, unless it gets what it asks for: so that what
/// was found does not show in its time (rule R13).
const QUANTUM: Duration = Duration::from_millis(5);
/// How often a store that is being opened is looked for.
const LOOKS: u32 = 50;
/// Tokens that are made at once; more wait.
const AT_ONCE: usize = 8;
/// How long a request waits for its turn.
const TURN_LIMIT: Duration = Duration::from_secs(2);

/// How a request came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Channel {
    /// From this machine.
    Loopback,
    /// Over TLS that ends here.
    Tls,
    /// From the host that started the process, which ends TLS before its gateway.
    Host,
    /// From elsewhere, readable by whoever is between.
    Plain,
}

/// What is asked.
pub struct Request<'a> {
    /// In capitals.
    pub method: &'a str,
    /// From the endpoints' own root.
    pub path: &'a str,
    /// Without the question mark.
    pub query: &'a [u8],
    /// Every header of that name.
    pub authorization: &'a [&'a [u8]],
    /// The one header of that name.
    pub content_type: Option<&'a [u8]>,
    /// At most [`MAX_BODY`], wiped when it is done with.
    pub body: Zeroizing<Vec<u8>>,
    /// The client's address, where it is known for certain.
    pub remote: Option<IpAddr>,
    /// How it came.
    pub channel: Channel,
    /// The gateway's namespace, where it has one.
    pub namespace: Option<&'a str>,
    /// The host's id of the request; may be empty.
    pub request_id: &'a str,
    /// From where it came, as the trail has it.
    pub source: &'a str,
}

/// One of the things that can be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Endpoint {
    /// Where.
    pub path: &'static str,
    /// By which methods.
    pub methods: &'static [&'static str],
    /// What for, in words.
    pub about: &'static str,
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum What {
    Token,
    Introspect,
    Revoke,
    Keys,
    Metadata,
}

impl Endpoint {
    /// Whether secrets are sent to it.
    const fn takes_secrets(&self) -> bool {
        matches!(self.what, What::Token | What::Introspect | What::Revoke)
    }
}

const POST: &[&str] = &["POST", "OPTIONS"];
const GET: &[&str] = &["GET", "HEAD", "OPTIONS"];

/// All of them.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint { path: "/oauth/token", methods: POST, about: "A short-lived token for an API key", what: What::Token },
    Endpoint { path: "/oauth/introspect", methods: POST, about: "What a token is worth", what: What::Introspect },
    Endpoint { path: "/oauth/revoke", methods: POST, about: "Takes a token back", what: What::Revoke },
    Endpoint { path: "/.well-known/jwks.json", methods: GET, about: "The keys that sign tokens", what: What::Keys },
    Endpoint {
        path: "/.well-known/oauth-authorization-server",
        methods: GET,
        about: "What there is",
        what: What::Metadata,
    },
];

/// What this machine says about them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Tokens that a credential may get in a minute, in this process.
    pub issues_per_minute: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { issues_per_minute: 60 }
    }
}

/// What answers.
pub struct Oauth {
    office: Arc<dyn Office>,
    rpc: AdminRpc,
    clock: Arc<dyn Clock>,
    rate: Rate,
    turns: Arc<tokio::sync::Semaphore>,
    settings: Settings,
}

impl Oauth {
    /// Of this process.
    pub fn new(office: Arc<dyn Office>, clock: Arc<dyn Clock>, settings: Settings) -> Self {
        let rpc = AdminRpc::new(Arc::clone(&office), Peers::default());
        let (rate, turns) = (Rate::default(), Arc::new(tokio::sync::Semaphore::new(AT_ONCE)));
        Self { office, rpc, clock, rate, turns, settings }
    }

    /// The whole answer; none where nothing of ours is at that path.
    pub async fn answer(&self, mut request: Request<'_>) -> Option<Response> {
        let endpoint = ENDPOINTS.iter().find(|endpoint| endpoint.path == request.path)?;
        let mut answer = match request.method {
            method if !endpoint.methods.contains(&method) => other_method(&endpoint.methods.join(", ")),
            "OPTIONS" => answer::methods(&endpoint.methods.join(", ")),
            _ if endpoint.takes_secrets() => self.secretly(endpoint.what, &mut request).await,
            _ if endpoint.what == What::Keys => self.keys().await,
            _ => self.metadata().await,
        };
        if request.method == "HEAD" {
            answer.body = Zeroizing::default();
        }
        Some(answer)
    }

    /// What secrets are sent to.
    async fn secretly(&self, what: What, request: &mut Request<'_>) -> Response {
        if request.channel == Channel::Plain {
            return answer::plaintext();
        }
        // RFC 6750 section 2.3 and RFC 6749 section 2.3.1: what stands in an address ends up in logs.
        if !request.query.is_empty() {
            return answer::invalid_request("parameters stand in the body, never in the address");
        }
        if request.body.len() > MAX_BODY {
            return answer::too_large();
        }
        let began_ns = self.clock.boot_ns();
        let body = std::mem::take(&mut request.body);
        let answer = match Form::parse(request.content_type, &body) {
            Err(fault) => answer::invalid_request(fault),
            Ok(form) => match what {
                // Large, for the whole decision is in them.
                What::Introspect => Box::pin(self.introspect(request, form)).await,
                What::Revoke => Box::pin(self.revoke(request, form)).await,
                _ => Box::pin(self.token(request, form)).await,
            },
        };
        if what != What::Token || answer.status != 200 {
            self.hold(began_ns).await;
        }
        answer
    }

    /// Until the next multiple of the quantum after that moment.
    async fn hold(&self, began_ns: u64) {
        let quantum_ns = u64::try_from(QUANTUM.as_nanos()).unwrap_or(u64::MAX);
        let over_ns = self.clock.boot_ns().saturating_sub(began_ns) % quantum_ns;
        tokio::time::sleep(Duration::from_nanos(quantum_ns - over_ns)).await;
    }

    /// The use cases; waits a little for a store that is being opened, as requests do.
    async fn backend(&self) -> Option<Backend> {
        for _ in 0..LOOKS {
            if let Some(backend) = self.office.backend() {
                return Some(backend);
            }
            if self.office.gate().is_closed() {
                return None;
            }
            tokio::time::sleep(OPENING_WAIT / LOOKS).await;
        }
        None
    }

    /// Does something that blocks, on a thread of which there are few. A panic is an error of this request.
    async fn blocking<A: Send + 'static>(
        &self,
        work: impl FnOnce(&Backend) -> AdminResult<A> + Send + 'static,
    ) -> AdminResult<A> {
        const BUSY: AdminError = AdminError::Busy("too many requests wait: try again");
        let backend = self.backend().await;
        let backend = backend.ok_or_else(|| AdminError::Unavailable("the store is not open".to_owned()))?;
        let turn = tokio::time::timeout(TURN_LIMIT, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(BUSY) };
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&backend)
        });
        done.await.unwrap_or_else(|_| {
            self.office.gate().metrics().panics.inc();
            Err(AdminError::Unavailable("internal error".to_owned()))
        })
    }
}

#[cfg(test)]
#[path = "oauth_tests.rs"]
mod tests;
