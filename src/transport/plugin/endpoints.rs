//! `GetEndpointRegistrations` and `HandleEndpointRequest`: the endpoints of [`crate::transport::oauth`] below the gateway's
//! `/plugins/SLUG` (host contract 8.3), for the process that started us alone (rule R1).
//!
//! What the gateway says of the client's address is not believed, for it takes `X-Forwarded-For` from anybody: it is unknown,
//! and keys that are bound to addresses are refused (rule R15).

use std::collections::HashMap;

use tonic::Request;
use zeroize::{Zeroize as _, Zeroizing};

use crate::authenticate::Stage;
use crate::domain::Reason;
use crate::pb::slim::plugin as pb;
use crate::transport::go_plugin::PeerInfo;
use crate::transport::go_plugin::services::peer;
use crate::transport::oauth::answer::{self, nothing};
use crate::transport::oauth::{self, Channel, ENDPOINTS, Oauth};
use crate::transport::plugin::auth::Asked;
use crate::transport::plugin::{PluginService, intake, is_host, unsupported};

/// What our endpoints are below, in the whole path.
const MOUNT: &[u8] = b"/plugins/";

impl PluginService {
    fn endpoints(&self, peer: Option<PeerInfo>) -> Option<&Oauth> {
        self.deps.endpoints.as_deref().filter(|_| is_host(peer))
    }

    pub(super) fn endpoint_registrations(&self, peer: Option<PeerInfo>) -> pb::GetEndpointRegistrationsResponse {
        let all = if self.endpoints(peer).is_some() { ENDPOINTS } else { &[] };
        let registration = |endpoint: &oauth::Endpoint| pb::EndpointRegistration {
            path: endpoint.path.to_owned(),
            methods: endpoint.methods.iter().map(|method| (*method).to_owned()).collect(),
            description: endpoint.about.to_owned(),
            // That would be the host's own tokens; who asks is settled here.
            require_auth: false,
            stream_response: false,
            metadata: HashMap::new(),
        };
        pb::GetEndpointRegistrationsResponse { registrations: all.iter().map(registration).collect() }
    }

    /// None where it is not for whoever asks.
    pub(super) async fn on_endpoint(&self, request: Request<pb::EndpointRequest>) -> Option<pb::EndpointResponse> {
        let oauth = self.endpoints(peer(&request))?;
        if let Some(reason) = intake::refusal(&request) {
            self.deps.gate.refused_unread(reason);
            return Some(unread(reason));
        }
        let mut message = request.into_inner();
        let answered = answer(oauth, &mut message).await;
        // Secrets may be among them.
        for header in &mut message.headers {
            header.value.zeroize();
        }
        Some(told(answered))
    }
}

async fn answer(oauth: &Oauth, message: &mut pb::EndpointRequest) -> oauth::Response {
    let body = Zeroizing::new(std::mem::take(&mut message.body));
    let named = |name: &str| {
        let of_name = message.headers.iter().filter(|header| header.key.eq_ignore_ascii_case(name.as_bytes()));
        of_name.map(|header| header.value.as_slice()).collect::<Vec<_>>()
    };
    let (authorization, kinds) = (named("Authorization"), named("Content-Type"));
    let (Ok(method), Ok(path)) = (std::str::from_utf8(&message.method), std::str::from_utf8(path(message))) else {
        return nothing("nothing is answered here");
    };
    let asked = Asked::of(message.context.as_ref());
    let attempt = asked.attempt(Stage::Client, None);
    let request = oauth::Request {
        method,
        path,
        query: &message.query_string,
        authorization: &authorization,
        content_type: match kinds.as_slice() {
            [one] => Some(*one),
            _ => None,
        },
        body,
        remote: None,
        channel: Channel::Host,
        namespace: attempt.namespace,
        request_id: attempt.request_id,
        source: "endpoint",
    };
    oauth.answer(request).await.unwrap_or_else(|| nothing("nothing is answered here"))
}

/// From our own root: what the host says that is, else the whole path without what it is mounted below.
fn path(message: &pb::EndpointRequest) -> &[u8] {
    if message.relative_path.starts_with(b"/") {
        return &message.relative_path;
    }
    let below = message.path.strip_prefix(MOUNT);
    let root = below.and_then(|rest| rest.get(rest.iter().position(|&byte| byte == b'/')?..));
    root.unwrap_or(&message.path)
}

fn unread(reason: Reason) -> pb::EndpointResponse {
    told(match reason {
        Reason::MessageTooLarge => answer::too_large(),
        Reason::IntakeFull => answer::unavailable(),
        _ => answer::invalid_request(""),
    })
}

fn told(answer: oauth::Response) -> pb::EndpointResponse {
    let oauth::Response { status, headers, mut body } = answer;
    pb::EndpointResponse {
        status_code: i32::from(status),
        headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        // Moved, not copied: what is left behind of it is the transport's.
        body: std::mem::take(&mut *body),
        // Would make the body the host's.
        error_message: String::new(),
    }
}

/// An answer where a panic was caught.
pub(super) fn failed() -> pb::EndpointResponse {
    told(answer::unavailable())
}

/// The same answer in pieces, for hosts that ask so.
pub(super) fn in_pieces(whole: pb::EndpointResponse) -> [pb::EndpointResponseChunk; 3] {
    use pb::endpoint_response_chunk::ChunkType;
    let piece = |kind: ChunkType| pb::EndpointResponseChunk { r#type: kind.into(), ..Default::default() };
    let pb::EndpointResponse { status_code, headers, body, .. } = whole;
    [
        pb::EndpointResponseChunk { status_code, headers, ..piece(ChunkType::Headers) },
        pb::EndpointResponseChunk { data: body, ..piece(ChunkType::Body) },
        piece(ChunkType::Done),
    ]
}

/// Where it is not for whoever asks.
pub(super) fn not_here() -> pb::EndpointResponse {
    unsupported::no_endpoint()
}

#[cfg(test)]
#[path = "endpoints_tests.rs"]
mod tests;
