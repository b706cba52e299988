//! `Verified` to [`Linked`]: tenant, App and User exist, are active and belong together, and the
//! request comes from where the credential may be used. Judged on every request, cached or not.

use std::net::IpAddr;

use crate::authenticate::attempt::Attempt;
use crate::authenticate::cache::Entry;
use crate::domain::{Reason, TenantStatus};

/// Facts that hold together for this request. Borrowed, so it ends with it.
pub struct Linked<'a> {
    entry: &'a Entry,
}

impl<'a> Linked<'a> {
    /// The facts.
    pub fn entry(&self) -> &'a Entry {
        self.entry
    }
}

/// Judges the links.
///
/// # Errors
/// The first link that does not hold.
pub fn link<'a>(entry: &'a Entry, attempt: &Attempt<'_>) -> Result<Linked<'a>, Reason> {
    let credential = entry.verified().credential();
    let (tenant, app, user) = (entry.tenant(), entry.app(), entry.user());
    if tenant.id != credential.tenant {
        return Err(Reason::TenantUnknown);
    }
    if tenant.status != TenantStatus::Active {
        return Err(Reason::TenantSuspended);
    }
    if !tenant.allows_namespace(attempt.namespace) {
        return Err(Reason::NamespaceNotAllowed);
    }
    if app.tenant != tenant.id || app.id != credential.app {
        return Err(Reason::AppUnknown);
    }
    if !app.active {
        return Err(Reason::AppInactive);
    }
    if user.tenant != tenant.id || user.id != credential.user {
        return Err(Reason::UserUnknown);
    }
    if !user.active {
        return Err(Reason::UserInactive);
    }
    let allowed = |address: IpAddr| credential.cidrs.iter().any(|net| net.contains(&address.to_canonical()));
    if !credential.cidrs.is_empty() && !attempt.remote.is_some_and(allowed) {
        return Err(Reason::AddressNotAllowed);
    }
    Ok(Linked { entry })
}
