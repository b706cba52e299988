//! A set of keys from a URL, whoever brings the bytes.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::domain::TenantId;
use crate::jwks::fault::FetchError;
use crate::jwks::outbound::{Fetched, Outbound};
use crate::jwt::keys::KeySet;

/// Bytes to come.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Fetched, FetchError>> + Send + 'a>>;

/// Brings what is at a URL, in a tenant's turn and in bounded time.
pub trait Fetch: Send + Sync {
    /// The body, and how long it may be kept.
    fn fetch<'a>(&'a self, tenant: TenantId, url: &'a str) -> Fetching<'a>;
}

impl Fetch for Outbound {
    fn fetch<'a>(&'a self, tenant: TenantId, url: &'a str) -> Fetching<'a> {
        Box::pin(self.get(tenant, url))
    }
}

/// A set that can be used, and as what it came.
pub struct Published {
    /// The keys.
    pub set: KeySet,
    /// Their JSON as it was sent.
    pub json: Vec<u8>,
    /// How long it may be kept, if it says so.
    pub max_age: Option<Duration>,
}

/// The keys that are published at a URL.
///
/// # Errors
/// When nothing usable is.
pub async fn published(from: &dyn Fetch, tenant: TenantId, url: &str) -> Result<Published, FetchError> {
    let Fetched { body, max_age } = from.fetch(tenant, url).await?;
    Ok(Published { set: usable(&body)?, json: body, max_age })
}

/// A set with at least one key that may verify. Without any it is a mistake of its maker's, and must not take the place of what
/// is good; not at once, where it is well-formed and empty.
pub(super) fn usable(json: &[u8]) -> Result<KeySet, FetchError> {
    let set = KeySet::from_jwks(json).map_err(FetchError::Keys)?;
    match (set.keys(), set.skipped()) {
        ([], []) => Err(FetchError::NoneAtAll),
        ([], _) => Err(FetchError::NoKeys),
        _ => Ok(set),
    }
}
