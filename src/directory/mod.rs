//! The App and the User behind a credential.
//!
//! [`Directory`] is the one question that authentication asks; who answers is a matter of the host. [`local`] answers from
//! the store's own tables: for standalone servers and for gateways that attach over `grpc://`. [`hosted`] asks the host
//! that started this process too, over its Service API ([`gateway`], [`studio`]), behind a cache ([`cache`]) whose
//! freshness is a promise ([`lease`]).
//!
//! Studio's process also keeps the store in step with its host: all Apps by [`reconcile`], what it tells of by [`told`], as
//! [`plan`] says.
//!
//! Facts of the store end by its change feed, facts of the host by their [`Lease`].

pub mod cache;
pub mod condition;
pub mod facts;
pub mod gateway;
pub mod hosted;
pub mod lease;
pub mod local;
pub mod plan;
pub mod reconcile;
mod record;
pub mod service;
mod settings;
mod shares;
mod slot;
pub mod studio;
pub mod told;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

pub use facts::HostApp;
pub use lease::{Lease, Standing};
pub use service::{Connect, HostError, HostLink, HostRuntime, HostService, HostSession};
pub use settings::Settings;

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

/// What is behind a credential.
#[derive(Clone, Debug)]
pub struct Objects {
    /// Tenant, App and User. Parts that do not exist, or belong to another tenant, are absent. The position is that of the
    /// oldest snapshot of the store that was used, so that a later change ends what is cached of the answer.
    pub at: At<LinkedRows>,
    /// How long the host's part of it may be used; none where no host was asked.
    pub lease: Option<Arc<Lease>>,
}

/// What [`Directory::objects`] returns.
pub type ObjectsFuture<'a> = Pin<Box<dyn Future<Output = Result<Objects, DirectoryError>> + Send + 'a>>;

/// Where Apps and Users come from.
pub trait Directory: Send + Sync {
    /// The tenant, App and User of a verified credential.
    fn objects(&self, linkage: Linkage) -> ObjectsFuture<'_>;

    /// Whether facts under a lease that asks to be looked at may still be used at `now_ns` of the boot clock. Never waits;
    /// what is due is fetched beside.
    fn standing(&self, lease: &Lease, now_ns: u64) -> Standing {
        lease.standing(now_ns)
    }

    /// Whether a host is asked: then what was read without one, before there was one, is not enough.
    fn asks_host(&self) -> bool {
        false
    }

    /// Who is asked: `store`, `gateway` or `studio`.
    fn source(&self) -> &'static str {
        "store"
    }

    /// What is wrong with it, for people.
    fn problem(&self) -> Option<String> {
        None
    }
}
