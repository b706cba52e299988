//! `Verified` to [`Linked`]: tenant, App and User exist, are active and belong together, and the
//! request comes from where the credential may be used. Judged on every request, cached or not.

use std::net::IpAddr;

use crate::authenticate::attempt::Attempt;
use crate::authenticate::entry::Entry;
use crate::domain::{App, Reason, Tenant, TenantStatus, User};
use crate::verify::Holder;

/// What the conditions are judged on.
pub(super) struct Facts<'a> {
    pub(super) holder: Holder<'a>,
    pub(super) tenant: &'a Tenant,
    pub(super) app: &'a App,
    pub(super) user: &'a User,
}

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

/// One condition on the links and the request: the reason to refuse, if it fails.
pub(super) type LinkCheck = fn(&Facts<'_>, &Attempt<'_>) -> Option<Reason>;

/// Every condition in the order in which it is judged, with what it asserts.
pub(super) const LINKS: &[(&str, LinkCheck)] = &[
    ("its tenant is the one it names", |f, _| (f.tenant.id != f.holder.tenant).then_some(Reason::TenantUnknown)),
    ("its tenant is active", |f, _| (f.tenant.status != TenantStatus::Active).then_some(Reason::TenantSuspended)),
    ("its tenant may be used in the gateway's namespace", |f, attempt| {
        (!f.tenant.allows_namespace(attempt.namespace)).then_some(Reason::NamespaceNotAllowed)
    }),
    ("its App belongs to the tenant", |f, _| {
        (f.app.tenant != f.tenant.id || f.app.id != f.holder.app).then_some(Reason::AppUnknown)
    }),
    ("its App is active", |f, _| (!f.app.is_active()).then_some(Reason::AppInactive)),
    ("its User belongs to the tenant", |f, _| {
        (f.user.tenant != f.tenant.id || f.user.id != f.holder.user).then_some(Reason::UserUnknown)
    }),
    ("its User is active", |f, _| (!f.user.is_active()).then_some(Reason::UserInactive)),
    ("it may be used from the client's address", |f, attempt| {
        let cidrs = f.holder.cidrs;
        let allowed = |address: IpAddr| cidrs.iter().any(|net| net.contains(&address.to_canonical()));
        (!cidrs.is_empty() && !attempt.remote.is_some_and(allowed)).then_some(Reason::AddressNotAllowed)
    }),
];

/// Judges the links.
///
/// # Errors
/// The first link that does not hold.
pub fn link<'a>(entry: &'a Entry, attempt: &Attempt<'_>) -> Result<Linked<'a>, Reason> {
    let facts = entry.facts();
    let failed = LINKS.iter().find_map(|(_, check)| check(&facts, attempt));
    failed.map_or(Ok(Linked { entry }), Err)
}
