//! What an auditor claims of a credential, judged by the very rules of requests, with no request there: that its App and
//! its User are those that a request could be let in as, and that it is known which LLMs the App may use.

use std::collections::BTreeMap;

use crate::authenticate::attempt::{Attempt, RequestedLlm, Stage};
use crate::authenticate::grant;
use crate::authenticate::link::{Facts, LINKS};
use crate::domain::{App, Credential, Generation, HostState, LlmGrants, LlmId, Reason, Tenant, User};
use crate::store::LinkedRows;

const NO_REQUEST: Attempt<'static> = Attempt {
    stage: Stage::Auth,
    llm: RequestedLlm { id: None, slug: None },
    namespace: None,
    remote: None,
    request_id: "",
};

/// What is wrong with what a credential is linked to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Links {
    /// With its App.
    pub app: Option<Reason>,
    /// With its User.
    pub user: Option<Reason>,
    /// Its tenant is suspended: it is refused, whatever it is linked to.
    pub suspended: bool,
}

/// Judges every condition on the links that does not depend on a request.
pub fn links(row: &Credential, found: &LinkedRows) -> Links {
    let LinkedRows { tenant, app, user } = found;
    let Some(tenant) = tenant else {
        return Links { app: Some(Reason::TenantUnknown), user: Some(Reason::TenantUnknown), suspended: false };
    };
    // Where one is not there, the other is judged all the same, beside one in which nothing is wrong.
    let (some_app, some_user) = (App::blank(row.tenant, row.app, Generation(0)), some_user(row));
    let (app_there, user_there) = (app.as_ref().unwrap_or(&some_app), user.as_ref().unwrap_or(&some_user));
    let facts = Facts { holder: row.into(), tenant, app: app_there, user: user_there };
    let mut links = Links {
        app: app.is_none().then_some(Reason::AppUnknown),
        user: user.is_none().then_some(Reason::UserUnknown),
        suspended: false,
    };
    for (_, check) in LINKS {
        match check(&facts, &NO_REQUEST) {
            // Of the request, which there is none of.
            None | Some(Reason::NamespaceNotAllowed | Reason::AddressNotAllowed) => {}
            Some(Reason::TenantSuspended) => links.suspended = true,
            Some(reason @ (Reason::UserUnknown | Reason::UserInactive)) => {
                links.user.get_or_insert(reason);
            }
            // A condition of which nobody said whose it is counts against the first claim.
            Some(reason) => {
                links.app.get_or_insert(reason);
            }
        }
    }
    links
}

/// Whether it is known which LLMs an App may use: each of its list passes the rule that requests pass, or it needs none
/// by its tenant's policy and this machine's setting. Else the reason that requests are refused for.
pub fn llms(app: &App, tenant: &Tenant, local: LlmGrants) -> Option<Reason> {
    let refused = |id: Option<LlmId>, slug: Option<&str>| {
        let attempt = Attempt { llm: RequestedLlm { id, slug }, ..NO_REQUEST };
        grant::check_llm(app, tenant, &attempt, local).err()
    };
    match app.llms.as_slice() {
        [] => refused(LlmId::new(1), None),
        list => list.iter().find_map(|llm| refused(Some(llm.id), llm.slug.as_deref())),
    }
}

fn some_user(row: &Credential) -> User {
    User {
        tenant: row.tenant,
        id: row.user,
        email: String::new(),
        name: String::new(),
        active: true,
        host: HostState::default(),
        metadata: BTreeMap::new(),
        generation: Generation(0),
    }
}

#[cfg(test)]
#[path = "claims_tests.rs"]
mod tests;
