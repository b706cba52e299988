//! Where an issuer's keys come from, and what they are.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::admin::issuers::NewKeys;
use crate::admin::limits::invalid;
use crate::admin::{Admin, AdminError, AdminResult};
use crate::domain::issuer::KeySource;
use crate::domain::{Issuer, TenantId};
use crate::jwt::Fault;
use crate::jwt::keys::KeySet;
use crate::verify::issuer_secret;
use crate::verify::subject::SubjectKey;

/// What a discovery document says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Discovered {
    /// Where the keys are.
    pub jwks_uri: String,
}

/// What is said of a provider that nobody answers for, whatever the reason; and of an `iss` that another tenant has, to who
/// must not know that (rule R16).
pub const UNREACHABLE: &str = "it could not be reached";

/// Fetches what issuers publish. Blocks for a bounded time; guards against addresses that are nobody's business, and bounds
/// what one tenant can have fetched. What it cannot do it says in one of a closed set of texts, which tell nothing of what
/// was there (rule R17).
pub trait IssuerKeysSource: Send + Sync {
    /// What is at the URL of a JWK set.
    ///
    /// # Errors
    /// Why there is nothing.
    fn fetch(&self, url: &str, tenant: TenantId) -> Result<Vec<u8>, &'static str>;
    /// What the discovery document of an issuer says, in which its `iss` must be exactly this one.
    ///
    /// # Errors
    /// Why there is none that counts.
    fn discover(&self, iss: &str, tenant: TenantId) -> Result<Discovered, &'static str>;
}

/// What is known of an issuer's keys.
pub(super) enum Found {
    /// Nothing: they would have to be fetched.
    Unasked,
    /// They could not be had.
    Unavailable(&'static str),
    /// These.
    Known {
        /// The keys.
        set: KeySet,
        /// What was fetched, where it was.
        fetched: Option<String>,
    },
    /// They can never be used.
    Wrong(Fault),
}

impl Found {
    fn of(set: Result<KeySet, Fault>) -> Self {
        set.map_or_else(Self::Wrong, |set| Self::Known { set, fetched: None })
    }

    /// The keys, if there are any.
    pub(super) fn set(&self) -> Option<&KeySet> {
        match self {
            Self::Known { set, .. } => Some(set),
            _ => None,
        }
    }

    /// That they could be had.
    pub(super) fn required(&self) -> AdminResult<()> {
        match self {
            Self::Unavailable(why) => Err(AdminError::IssuerKeys(why)),
            Self::Unasked => Err(AdminError::IssuerKeys("nothing here fetches keys")),
            Self::Known { .. } | Self::Wrong(_) => Ok(()),
        }
    }
}

/// A thumbprint as RFC 7638 section 3.1 writes it.
pub(super) fn thumbprint_text(thumbprint: &[u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode(thumbprint)
}

/// The set without what is of no use: what was pasted may have comments, certificates and keys of other kinds in it.
fn normalised(set: &KeySet) -> String {
    let keys: Vec<String> = set.keys().iter().filter_map(crate::jwt::keys::VerifyingKey::to_public_jwk_json).collect();
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

impl Admin {
    /// Fetches what is at a URL.
    fn fetched(&self, url: &str, tenant: TenantId) -> Found {
        let Some(source) = &self.backend.issuers.source else { return Found::Unasked };
        let bytes = match source.fetch(url, tenant) {
            Ok(bytes) => bytes,
            Err(why) => return Found::Unavailable(why),
        };
        match KeySet::from_jwks(&bytes) {
            Ok(set) => Found::Known { set, fetched: String::from_utf8(bytes).ok() },
            Err(fault) => Found::Wrong(fault),
        }
    }

    /// The keys that a row says, fetched where it says a URL and `fetch`.
    pub(super) fn keys_of(&self, issuer: &Issuer, key: Option<&SubjectKey>, fetch: bool) -> Found {
        match &issuer.keys {
            KeySource::Url(url) if fetch => self.fetched(url, issuer.tenant),
            KeySource::Url(_) => Found::Unasked,
            KeySource::Keys(jwks) => Found::of(KeySet::from_jwks(jwks.as_bytes())),
            KeySource::Secret(fingerprint) => {
                let Some(dir) = &self.backend.issuers.secrets else { return Found::Unasked };
                match issuer_secret::load(dir, issuer.id) {
                    Ok(secret) if key.is_some_and(|key| key.secret_fingerprint(issuer.id, &secret) != *fingerprint) => {
                        Found::Unavailable(
                            "the issuer's secret is not the one that was given: remove it and add it anew",
                        )
                    }
                    Ok(secret) => Found::of(KeySet::from_secret(&secret)),
                    Err(error) => {
                        tracing::warn!(%error, issuer_id = %issuer.id, "an issuer's secret cannot be read");
                        Found::Unavailable("the issuer's secret cannot be read on the store's machine")
                    }
                }
            }
        }
    }

    /// Where the keys of an issuer are to come from from now on, and what they are; fetched if it is active.
    pub(super) fn resolve(&self, issuer: &Issuer, new: &NewKeys, key: &SubjectKey) -> AdminResult<(KeySource, Found)> {
        let fetched = |url: &str| if issuer.active { self.fetched(url, issuer.tenant) } else { Found::Unasked };
        match new {
            NewKeys::Discover if !issuer.active => {
                Err(invalid("discover", "not while it is inactive: switch it on, then or with this"))
            }
            NewKeys::Discover => {
                let source = self.backend.issuers.source.as_ref();
                let source = source.ok_or(AdminError::IssuerKeys("nothing here fetches discovery documents"))?;
                let discovered = source.discover(&issuer.rules.iss, issuer.tenant).map_err(AdminError::IssuerKeys)?;
                let found = fetched(&discovered.jwks_uri);
                Ok((KeySource::Url(discovered.jwks_uri), found))
            }
            NewKeys::Url(url) => Ok((KeySource::Url(url.clone()), fetched(url))),
            NewKeys::Jwks(jwks) => {
                let found = Found::of(KeySet::from_jwks(jwks.as_bytes()));
                let kept = found.set().map_or_else(String::new, normalised);
                Ok((KeySource::Keys(kept), found))
            }
            NewKeys::Secret(secret) => {
                self.secrets_dir()?;
                let fingerprint = key.secret_fingerprint(issuer.id, secret);
                Ok((KeySource::Secret(fingerprint), Found::of(KeySet::from_secret(secret))))
            }
        }
    }
}
