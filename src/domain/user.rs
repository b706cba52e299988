//! A User of the host, as far as we know it.

use std::collections::BTreeMap;

use crate::domain::host::HostState;
use crate::domain::ids::{Generation, TenantId, UserId};

/// A User, for whom a credential acts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    /// The tenant that claimed it.
    pub tenant: TenantId,
    /// The host's id.
    pub id: UserId,
    /// Address for people.
    pub email: String,
    /// Name for people.
    pub name: String,
    /// Whether their tenant lets credentials of this User work; see [`User::is_active`].
    pub active: bool,
    /// Whether their host does.
    pub host: HostState,
    /// Further fields that the host has.
    pub metadata: BTreeMap<String, String>,
    /// Changes with each change of the row.
    pub generation: Generation,
}

impl User {
    /// Whether credentials of this User work: tenant and host both say so.
    pub fn is_active(&self) -> bool {
        self.active && self.host.permits()
    }
}
