//! Nobody's message is read before it is known who sends it: what strangers send takes no memory.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::request::Parts;
use http_body::Body as HttpBody;
use tonic::body::Body;
use tonic::codegen::StdError;
use tonic::server::NamedService;
use tower::Service;

use crate::pb::admin::v1::admin_service_server::AdminServiceServer;
use crate::transport::admin::identify::{Known, identify};
use crate::transport::admin::{AdminRpc, METHODS, status};

/// The service of [`AdminRpc`], for callers whom it knows.
#[derive(Clone)]
pub struct Door {
    rpc: AdminRpc,
    service: AdminServiceServer<AdminRpc>,
}

impl Door {
    pub(super) fn new(rpc: AdminRpc) -> Self {
        Self { service: rpc.clone().into_server(), rpc }
    }

    /// Why somebody is not let in is for the log alone.
    fn refuse(&self, head: &Parts, reason: &'static str) -> http::Response<Body> {
        let method = named(head.uri.path());
        tracing::info!(method, reason, outcome = "refused", "an admin call by nobody known");
        self.rpc.desk.office.gate().metrics().admin_call(method, "unauthenticated");
        status::unidentified().into_http()
    }
}

/// The method of a path as logs and metrics have it: none that a caller made up.
fn named(path: &str) -> &'static str {
    let asked = path.rsplit('/').next().unwrap_or_default();
    let same =
        |method: &&&str| method.bytes().filter(|byte| *byte != b'_').eq(asked.bytes().map(|b| b.to_ascii_lowercase()));
    METHODS.iter().find(same).copied().unwrap_or("unknown")
}

impl NamedService for Door {
    const NAME: &'static str = <AdminServiceServer<AdminRpc> as NamedService>::NAME;
}

impl<B> Service<http::Request<B>> for Door
where
    B: HttpBody + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let mut this = self.clone();
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            match identify(&this.rpc.desk, &head.headers, &head.extensions).await {
                Ok(caller) => {
                    head.extensions.insert(Known(caller));
                    this.service.call(http::Request::from_parts(head, body)).await
                }
                Err(reason) => Ok(this.refuse(&head, reason.code())),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn a_method_is_named_and_what_is_none_is_not_repeated() {
        assert_eq!(named("/latchkey.admin.v1.AdminService/GetHealth"), "get_health");
        assert_eq!(named("/latchkey.admin.v1.AdminService/RevokeCredential"), "revoke_credential");
        assert_eq!(named("/latchkey.admin.v1.AdminService/ImportCredentials"), "import_credentials");
        for made_up in ["", "/", "/x/Get_Health2", "/x/secret"] {
            assert_eq!(named(made_up), "unknown", "{made_up}");
        }
    }
}
