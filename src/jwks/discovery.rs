//! Where an issuer says that it publishes its keys (`OpenID` Connect Discovery 1.0 section 4, RFC 8414 section 3). Asked when an
//! issuer is added, never for a token.

use crate::domain::TenantId;
use crate::jwks::fault::{FetchError, Outside};
use crate::jwks::fetch::Fetch;
use crate::jwks::target::{Target, UrlFault};
use crate::jwt::{Fault, json};

const OPENID: &str = "/.well-known/openid-configuration";
const OAUTH: &str = "/.well-known/oauth-authorization-server";

/// What an issuer says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Discovered {
    /// The URL of its set of keys.
    pub jwks_uri: String,
}

/// Why that could not be learned.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// The issuer is no URL to which the path could be added (RFC 8414 section 2: no query and no fragment).
    #[error(
        "the issuer must be an https URL without query or fragment to be discovered: name the URL of its keys instead"
    )]
    Issuer,
    /// Nothing was fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It is not strict JSON.
    #[error("its metadata cannot be read: {}", .0.text())]
    Form(Fault),
    /// It is another issuer's (RFC 8414 section 3.3).
    #[error(
        "its metadata is of another issuer: `issuer` in it must be exactly the one that was asked for (RFC 8414 section 3.3)"
    )]
    OtherIssuer,
    /// It has no `jwks_uri`.
    #[error("its metadata names no jwks_uri")]
    NoKeys,
    /// The `jwks_uri` cannot be fetched from.
    #[error("the jwks_uri in its metadata cannot be fetched from: {0}")]
    Url(UrlFault),
}

impl DiscoveryError {
    /// What one who is bound to a tenant is told.
    pub const fn outside(self) -> Outside {
        match self {
            Self::Issuer => Outside::Url,
            Self::Fetch(error) => error.outside(),
            Self::Form(_) | Self::OtherIssuer | Self::NoKeys | Self::Url(_) => Outside::Answer,
        }
    }
}

/// What an issuer says of itself. `plain` says whether this machine allows http on itself.
///
/// # Errors
/// When it cannot be learned, or is not of this very issuer.
pub async fn discover(
    from: &dyn Fetch,
    tenant: TenantId,
    issuer: &str,
    plain: bool,
) -> Result<Discovered, DiscoveryError> {
    let target = Target::parse(issuer, plain).map_err(|_| DiscoveryError::Issuer)?;
    if issuer.contains('?') {
        return Err(DiscoveryError::Issuer);
    }
    let base = issuer.strip_suffix('/').unwrap_or(issuer);
    let fetched = match from.fetch(tenant, &format!("{base}{OPENID}")).await {
        // RFC 8414 puts its own before the path of the issuer.
        Err(FetchError::Status(404)) => {
            let path = target.path.path().trim_end_matches('/');
            let origin = base.strip_suffix(path).unwrap_or(base);
            from.fetch(tenant, &format!("{origin}{OAUTH}{path}")).await
        }
        other => other,
    };
    let said = json::object(&fetched?.body).map_err(DiscoveryError::Form)?;
    let text = |name: &str| said.get(name).and_then(json::Value::as_text);
    if text("issuer") != Some(issuer) {
        return Err(DiscoveryError::OtherIssuer);
    }
    let jwks_uri = text("jwks_uri").ok_or(DiscoveryError::NoKeys)?;
    Target::parse(jwks_uri, plain).map_err(DiscoveryError::Url)?;
    Ok(Discovered { jwks_uri: jwks_uri.to_owned() })
}

#[cfg(test)]
#[path = "discovery_tests.rs"]
mod tests;
