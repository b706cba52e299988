//! Who is calling (rules R1 and R18). One way of proving it is looked at, the strongest that the call brings: what fails
//! is not tried another way, and every failure reads the same.

use http::header::AUTHORIZATION;
use http::{Extensions, HeaderMap};
use tonic::{Request, Status};

use crate::admin::{Caller, Scope};
use crate::domain::event::Actor;
use crate::domain::{Reason, Role};
use crate::secret::{CredentialText, Secret};
use crate::transport::admin::{Desk, status};
use crate::transport::go_plugin::{PeerInfo, Surface};

/// Who calls. Only `identify` puts it on what comes over a wire; the command line, which calls without any, itself.
#[derive(Clone)]
pub struct Known(pub Caller);

/// The caller of a request that was let in.
pub(super) fn known<T>(request: &Request<T>) -> Result<Caller, Status> {
    let known = request.extensions().get::<Known>().ok_or_else(status::unidentified)?;
    Ok(known.0.clone())
}

/// Users of this machine who may call over the unix socket.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    /// Who we are: an unbound owner, who has the files anyway.
    pub own_uid: Option<u32>,
    /// Others, and what they may do.
    pub listed: Vec<(u32, Role)>,
}

impl Peers {
    fn caller(&self, uid: u32) -> Option<Caller> {
        let actor = Actor::Local { uid };
        if self.own_uid == Some(uid) {
            return Some(Caller::unbound_owner(actor));
        }
        let role = self.listed.iter().find(|(listed, _)| *listed == uid).map(|(_, role)| *role)?;
        Some(Caller::new(actor, role, Scope::All))
    }
}

/// What follows `Bearer `, whatever its case (RFC 9110 section 11.1). More than one header is none.
fn token(headers: &HeaderMap) -> Option<Result<Secret<CredentialText>, Reason>> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next()?;
    let bytes = value.as_bytes();
    let scheme = bytes.split_first_chunk::<7>().filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"Bearer "));
    match (scheme, values.next()) {
        (Some((_, token)), None) => Some(Ok(Secret::new(token.to_vec()))),
        _ => Some(Err(Reason::CredentialForm)),
    }
}

/// From where, as the trail has it.
fn place(peer: &PeerInfo) -> String {
    peer.remote.map_or_else(|| "unix".to_owned(), |remote| format!("tcp:{}", remote.ip()))
}

/// The caller, or why there is none: for the log alone.
pub(super) async fn identify(desk: &Desk, headers: &HeaderMap, peer: &Extensions) -> Result<Caller, Reason> {
    let peer = peer.get::<PeerInfo>().filter(|peer| peer.surface == Surface::Admin).ok_or(Reason::UnknownCredential)?;
    if let Some(token) = token(headers) {
        let operator = desk.office.gate().authenticator().ok_or(Reason::NotReady)?.operator(&token?).await?;
        return Ok(Caller::operator(&operator).from_there(place(peer)));
    }
    let PeerInfo { certificate, uid, .. } = *peer;
    if let Some(certificate) = certificate {
        let authenticator = desk.office.gate().authenticator().ok_or(Reason::NotReady)?;
        return Ok(Caller::operator(&authenticator.operator_by_certificate(&certificate)?).from_there(place(peer)));
    }
    let caller = uid.and_then(|uid| desk.peers.caller(uid)).ok_or(Reason::UnknownCredential)?;
    Ok(caller.from_there(place(peer)))
}
