//! What everybody may know: the keys that verify our tokens (RFC 7517 section 5), and where what is (RFC 8414).

use serde_json::json;

use crate::transport::oauth::answer::{nothing, unavailable};
use crate::transport::oauth::{ENDPOINTS, Endpoint, Oauth, Response, What};

impl Oauth {
    /// The keys that are believed now.
    pub(super) async fn keys(&self) -> Response {
        match self.blocking(crate::admin::Backend::published_keys).await {
            Ok(keys) => Response::public("application/jwk-set+json", &keys),
            Err(error) => {
                tracing::warn!(%error, "the keys that sign tokens cannot be published");
                unavailable()
            }
        }
    }

    /// What there is. Addresses are known only where our `iss` is one (RFC 8414 section 2): nothing that a client says of
    /// where it found us is believed.
    pub(super) async fn metadata(&self) -> Response {
        let Some(backend) = self.backend().await else { return unavailable() };
        let issuer = backend.token_rules().map(|rules| rules.issuer.as_str()).filter(|issuer| is_address(issuer));
        let Some(issuer) = issuer else {
            return nothing("set tokens.issuer to the https address of these endpoints, and what there is stands here");
        };
        let root = issuer.trim_end_matches('/');
        let at = |what| {
            let path =
                ENDPOINTS.iter().find(|endpoint: &&Endpoint| endpoint.what == what).map(|endpoint| endpoint.path);
            format!("{root}{}", path.unwrap_or_default())
        };
        let ways = ["client_secret_basic", "client_secret_post"];
        let told = json!({
            "issuer": issuer,
            "token_endpoint": at(What::Token),
            "jwks_uri": at(What::Keys),
            // There is no authorization endpoint, so none of its answers.
            "response_types_supported": [],
            "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": ways,
            "revocation_endpoint": at(What::Revoke),
            "revocation_endpoint_auth_methods_supported": ways,
            "introspection_endpoint": at(What::Introspect),
            "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "Bearer"],
        });
        Response::public("application/json", &told)
    }
}

/// RFC 8414 section 2: https, without query and fragment.
fn is_address(issuer: &str) -> bool {
    issuer.strip_prefix("https://").is_some_and(|rest| !rest.is_empty() && !rest.contains(['?', '#']))
}
