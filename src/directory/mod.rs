//! The App and the User behind a credential.
//!
//! [`Directory`] is the one question that authentication asks; who answers is a matter of the host.
//! [`local`] answers from the store's own tables, for standalone servers and for gateways that attach
//! over `grpc://`. The host's Service API is another implementation of the same trait.

pub mod local;

use std::future::Future;
use std::pin::Pin;

use crate::domain::{AppId, TenantId, UserId};
use crate::store::{At, LinkedRows};

/// What a credential is linked to, by id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Linkage {
    /// The tenant of the credential.
    pub tenant: TenantId,
    /// Its App.
    pub app: AppId,
    /// Its User.
    pub user: UserId,
}

/// The directory could not say. Not the same as "there is no such App": that is an answer.
#[derive(Debug, thiserror::Error)]
#[error("the directory did not answer")]
pub struct DirectoryError {
    /// Why.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// What [`Directory::objects`] returns.
pub type ObjectsFuture<'a> = Pin<Box<dyn Future<Output = Result<At<LinkedRows>, DirectoryError>> + Send + 'a>>;

/// Where Apps and Users come from.
pub trait Directory: Send + Sync {
    /// The tenant, App and User of a verified credential. Parts that do not exist, or belong to another tenant,
    /// are absent. The position is that of the oldest snapshot used, so that a later change ends what is
    /// cached of the answer.
    fn objects(&self, linkage: Linkage) -> ObjectsFuture<'_>;
    /// Whose word it is, for people and reports: [`local::SOURCE`] for the store's own tables.
    fn source(&self) -> &'static str;
}
