//! What an auth call answers when its message cannot be decoded: a refusal like any other. A gRPC error would reach
//! the client with its text (hazard H3).

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, header};
use http_body_util::{BodyExt as _, Full};
use prost::Message as _;
use tonic::body::Body;

use crate::domain::Reason;
use crate::telemetry::metrics::{KindLabel, Metrics};
use crate::transport::plugin::{auth, pre_auth};

const GRPC_STATUS: &str = "grpc-status";

/// Encodes a method's refusal.
pub type Refusal = fn() -> Vec<u8>;

/// How a method refuses; none for methods that are no auth calls.
pub fn refusal_of(method: &str) -> Option<Refusal> {
    const WHY: Reason = Reason::MessageMalformed;
    match method {
        "Authenticate" => Some(|| auth::denied(WHY.into()).encode_to_vec()),
        "ProcessPreAuth" => Some(|| pre_auth::answer_to(WHY).encode_to_vec()),
        "GetAppByCredential" => Some(|| auth::no_app(WHY.into()).encode_to_vec()),
        "GetUserByCredential" => Some(|| auth::no_user(WHY.into()).encode_to_vec()),
        _ => None,
    }
}

/// The answer of the service behind, with a refusal in the place of an error.
pub struct Answer<F> {
    inner: F,
    refusal: Option<Refusal>,
    metrics: Arc<Metrics>,
}

impl<F> Answer<F> {
    pub(super) fn new(inner: F, refusal: Option<Refusal>, metrics: Arc<Metrics>) -> Self {
        Self { inner, refusal, metrics }
    }
}

impl<F> Future for Answer<F>
where
    F: Future<Output = Result<http::Response<Body>, Infallible>> + Unpin,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Ok(response) = std::task::ready!(Pin::new(&mut self.inner).poll(cx));
        // A call that failed before its handler has its status in the headers; one that did not, in the trailers.
        let failed = response.headers().get(GRPC_STATUS).is_some_and(|status| status.as_bytes() != b"0");
        Poll::Ready(Ok(match self.refusal {
            Some(refusal) if failed => {
                self.metrics.refused(Reason::MessageMalformed as usize, KindLabel::None, 0);
                refused(&refusal())
            }
            _ => response,
        }))
    }
}

fn refused(message: &[u8]) -> http::Response<Body> {
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(0));
    framed.put_slice(message);
    let trailers =
        HeaderMap::from_iter([(header::HeaderName::from_static(GRPC_STATUS), HeaderValue::from_static("0"))]);
    let body = Full::<Bytes>::new(framed.freeze()).with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut response = http::Response::new(Body::new(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}
