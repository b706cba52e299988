//! Who asks: a program with an API key, as RFC 6749 section 2.3.1 has it (Basic, or in the body), and as a Bearer credential
//! where RFC 7662 permits that. One way at a time, and an API key alone (rule R15): the stage of the attempt sees to that.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::{Zeroize as _, Zeroizing};

use crate::authenticate::{Attempt, Decision, Gate, RequestedLlm, Stage};
use crate::domain::denial::Class;
use crate::domain::{Credential, Reason};
use crate::secret::{CredentialText, Secret};
use crate::transport::oauth::Request;
use crate::transport::oauth::answer::{self, Challenge, Response};
use crate::transport::oauth::form::{Form, decoded};

/// Which ways are open.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ways {
    /// Those of a client.
    Client,
    /// A Bearer credential too.
    Resource,
}

/// What came.
struct Shown {
    /// Empty or none where the key itself says whose it is.
    id: Option<Zeroizing<String>>,
    key: Secret<CredentialText>,
    challenge: Challenge,
}

/// Why there is nothing to look at.
enum Unshown {
    /// The request contradicts itself.
    Wrong(&'static str),
    /// Nothing came at all.
    Absent,
    /// What came is no credential.
    Junk(Challenge),
}

/// The program that a request is of, by its proven row. A yes for this request: the row is read again before anything is
/// made of it.
///
/// # Errors
/// What to answer.
pub(super) async fn known(
    gate: &Gate,
    request: &Request<'_>,
    form: &mut Form,
    ways: Ways,
) -> Result<Credential, Response> {
    let shown = match shown(request.authorization, form, ways) {
        Ok(shown) => shown,
        Err(Unshown::Wrong(text)) => return Err(answer::invalid_request(text)),
        Err(Unshown::Absent) => {
            gate.refused_unread(Reason::CredentialEmpty);
            let either = ways == Ways::Resource;
            return Err(answer::unknown(if either { Challenge::Either } else { Challenge::Basic }));
        }
        Err(Unshown::Junk(challenge)) => {
            gate.refused_unread(Reason::CredentialForm);
            return Err(answer::unknown(challenge));
        }
    };
    let attempt = Attempt {
        stage: Stage::Client,
        llm: RequestedLlm::default(),
        namespace: request.namespace,
        remote: request.remote,
        request_id: request.request_id,
    };
    let row = |decision: Decision<'_>| match decision {
        Decision::Grant(grant) => Ok(grant.key_row().cloned()),
        Decision::Deny(denial) => Err(denial.reason()),
    };
    match gate.authenticate(&shown.key, &attempt, row).await {
        Ok(Some(row)) if shown.id.is_none_or(|id| *id == row.id.to_string()) => Ok(row),
        Err(reason) if reason.class() == Class::Unavailable => Err(answer::unavailable()),
        Ok(_) | Err(_) => Err(answer::unknown(shown.challenge)),
    }
}

fn shown(headers: &[&[u8]], form: &mut Form, ways: Ways) -> Result<Shown, Unshown> {
    const TWICE: Unshown = Unshown::Wrong("one way to prove who the client is, and no more");
    let (id, secret) = (form.take("client_id"), form.take("client_secret"));
    let header = match headers {
        [] => None,
        [one] => Some(*one),
        _ => return Err(TWICE),
    };
    let Some(header) = header else {
        let key = secret.ok_or(Unshown::Absent)?;
        return Shown::new(id, key, Challenge::Basic);
    };
    if id.is_some() || secret.is_some() {
        return Err(TWICE);
    }
    // RFC 9110 section 11.4: a scheme in any case, spaces and no tab, and what belongs to it.
    let at = header.iter().position(|&byte| byte == b' ').unwrap_or(header.len());
    let (scheme, rest) = header.split_at(at);
    let text = rest.trim_ascii_start();
    if scheme.is_empty() || !scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-') {
        return Err(Unshown::Wrong("the header Authorization is not one"));
    }
    if scheme.eq_ignore_ascii_case(b"Basic") {
        let (id, key) = basic(text).ok_or(Unshown::Junk(Challenge::Basic))?;
        Shown::new(Some(id), key, Challenge::Basic)
    } else if scheme.eq_ignore_ascii_case(b"Bearer") && ways == Ways::Resource {
        let key = std::str::from_utf8(text).map_err(|_| Unshown::Junk(Challenge::Bearer))?;
        Shown::new(None, Zeroizing::new(key.to_owned()), Challenge::Bearer)
    } else {
        Err(Unshown::Junk(Challenge::Basic))
    }
}

impl Shown {
    fn new(id: Option<Zeroizing<String>>, mut key: Zeroizing<String>, challenge: Challenge) -> Result<Self, Unshown> {
        // A scheme's name within the secret would be taken for one of the gateway's.
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Unshown::Junk(challenge));
        }
        let id = id.filter(|id| !id.is_empty());
        Ok(Self { id, key: Secret::new(std::mem::take(&mut *key).into_bytes()), challenge })
    }
}

/// RFC 7617 section 2, each half encoded as in a form before (RFC 6749 section 2.3.1).
fn basic(text: &[u8]) -> Option<(Zeroizing<String>, Zeroizing<String>)> {
    let mut pair = Zeroizing::new(Vec::with_capacity(text.len()));
    if STANDARD.decode_vec(text, &mut pair).is_err() {
        pair.zeroize();
        return None;
    }
    let at = pair.iter().position(|&byte| byte == b':')?;
    Some((decoded(pair.get(..at)?)?, decoded(pair.get(at + 1..)?)?))
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
