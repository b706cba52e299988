//! What is answered, and every way to refuse: RFC 6749 section 5.2, RFC 6750 section 3, RFC 9457 where neither speaks.
//!
//! The texts are fixed: none says why a credential was refused, and none repeats what was sent.

use serde::Serialize;
use serde_json::json;
use zeroize::Zeroizing;

/// What is answered.
pub struct Response {
    /// The status of HTTP.
    pub status: u16,
    /// Each name once, for hosts pass on one value a name.
    pub headers: Vec<(&'static str, String)>,
    /// May hold a token.
    pub body: Zeroizing<Vec<u8>>,
}

/// Names of headers, as Go has them.
pub const CONTENT_TYPE: &str = "Content-Type";
pub(super) const CACHE_CONTROL: &str = "Cache-Control";
const CHALLENGE: &str = "WWW-Authenticate";
const RETRY_AFTER: &str = "Retry-After";

/// Seconds after which it is worth trying again.
const SOON_S: u64 = 1;

/// Challenges: which way to prove who one is would have done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Challenge {
    /// Basic: RFC 6749 section 5.2.
    Basic,
    /// Bearer, with what is wrong with the one that came: RFC 6750 section 3.
    Bearer,
    /// Nothing came, and both would do: no error is named (RFC 6750 section 3.1).
    Either,
}

impl Response {
    /// An answer that nobody keeps: RFC 6749 section 5.1.
    pub(super) fn new(status: u16, kind: &str, body: Zeroizing<Vec<u8>>) -> Self {
        let headers = vec![
            (CONTENT_TYPE, kind.to_owned()),
            (CACHE_CONTROL, "no-store".to_owned()),
            ("Pragma", "no-cache".to_owned()),
        ];
        Self { status, headers, body }
    }

    /// JSON.
    pub(super) fn json(status: u16, told: &impl Serialize) -> Self {
        // Long enough for a token, so that no part of one stays behind when it grows.
        let mut body = Zeroizing::new(Vec::with_capacity(4 * 1024));
        // Writing to memory does not fail; if it did, an empty answer is none.
        let _ = serde_json::to_writer(&mut *body, told);
        Self::new(status, "application/json", body)
    }

    /// An answer that everybody may keep for a while, for it is the same for all.
    pub(super) fn public(kind: &str, told: &serde_json::Value) -> Self {
        let headers = vec![(CONTENT_TYPE, kind.to_owned()), (CACHE_CONTROL, "public, max-age=300".to_owned())];
        Self { status: 200, headers, body: Zeroizing::new(told.to_string().into_bytes()) }
    }

    /// That it is done, and there is nothing to say.
    pub(super) fn done() -> Self {
        Self::new(200, "application/json", Zeroizing::default())
    }

    #[must_use]
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The value of a header, for tests and adapters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// A refusal with one of the codes of RFC 6749 and its kin.
fn error(status: u16, code: &str, description: &str) -> Response {
    match description {
        "" => Response::json(status, &json!({ "error": code })),
        _ => Response::json(status, &json!({ "error": code, "error_description": description })),
    }
}

/// The request is not as it must be; the text says what to change.
pub fn invalid_request(description: &str) -> Response {
    error(400, "invalid_request", description)
}

/// Longer than is read.
pub fn too_large() -> Response {
    error(413, "invalid_request", "the body is too large")
}

/// Slower than is waited for.
pub fn too_slow() -> Response {
    error(408, "invalid_request", "the body takes too long")
}

/// Over a wire that others read (rule R15).
pub(super) fn plaintext() -> Response {
    error(403, "invalid_request", "secrets are taken over TLS or on this machine alone, and this connection is neither")
}

/// A code of section 5.2 that has a status of 400.
pub(super) fn bad(code: &'static str, description: &str) -> Response {
    error(400, code, description)
}

/// Whoever asks is not who they say, whatever the reason: always the same bytes for the same challenge.
pub(super) fn unknown(challenge: Challenge) -> Response {
    let (code, told) = match challenge {
        Challenge::Basic => ("invalid_client", r#"Basic realm="latchkey""#),
        Challenge::Bearer => ("invalid_token", r#"Bearer realm="latchkey", error="invalid_token""#),
        Challenge::Either => ("invalid_client", r#"Basic realm="latchkey", Bearer realm="latchkey""#),
    };
    error(401, code, "").with(CHALLENGE, told)
}

/// Known, and may not: RFC 6750 section 3.1.
pub(super) fn insufficient(scope: &str) -> Response {
    let told = format!(r#"Bearer realm="latchkey", error="insufficient_scope", scope="{scope}""#);
    error(403, "insufficient_scope", "").with(CHALLENGE, told)
}

/// We could not decide, which is no yes.
pub fn unavailable() -> Response {
    error(503, "temporarily_unavailable", "").with(RETRY_AFTER, SOON_S.to_string())
}

/// Taken back in this process alone (rule R11).
pub(super) fn denied_here() -> Response {
    let told = "the token is refused here from now on, and that could not be written down yet: ask again";
    error(503, "temporarily_unavailable", told).with(RETRY_AFTER, SOON_S.to_string())
}

/// Too often.
pub(super) fn slow_down(seconds: u64, description: &str) -> Response {
    error(429, "slow_down", description).with(RETRY_AFTER, seconds.to_string())
}

/// As in RFC 9457.
pub(super) fn problem(status: u16, title: &str, detail: &str) -> Response {
    let told = json!({ "type": "about:blank", "title": title, "status": status, "detail": detail });
    Response::new(status, "application/problem+json", Zeroizing::new(told.to_string().into_bytes()))
}

/// There is nothing.
pub fn nothing(detail: &str) -> Response {
    problem(404, "Not Found", detail)
}

/// What may be asked, and of nobody's pages: no header of CORS (RFC 9110 section 9.3.7).
pub(super) fn methods(allow: &str) -> Response {
    Response { status: 204, headers: vec![("Allow", allow.to_owned())], body: Zeroizing::default() }
}

/// There is something, for other methods.
pub(super) fn other_method(allow: &str) -> Response {
    problem(405, "Method Not Allowed", "see the header Allow").with("Allow", allow)
}
