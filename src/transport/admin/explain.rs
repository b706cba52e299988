//! What would become of a request with a credential, and why.

use std::net::IpAddr;

use crate::admin::{Admin, AdminResult};
use crate::authenticate::explain::{Asked, Outcome};
use crate::authenticate::{Attempt, Decision, RequestedLlm, Stage};
use crate::domain::{LlmId, Reason};
use crate::pb::admin::v1 as pb;
use crate::secret::{CredentialText, Secret};
use crate::transport::admin::Desk;
use crate::transport::admin::convert::{self, invalid, required};

/// The facts of a request, checked.
struct Facts {
    llm_id: Option<LlmId>,
    llm_slug: String,
    remote: Option<IpAddr>,
    namespace: String,
}

impl Facts {
    fn read(request: Option<pb::RequestFacts>) -> AdminResult<Self> {
        let pb::RequestFacts { llm_id, llm_slug, remote_addr, namespace } = request.unwrap_or_default();
        let remote = match remote_addr.as_str() {
            "" => None,
            text => Some(text.parse().map_err(|_| invalid("remote_addr", "an IP address, or empty"))?),
        };
        Ok(Self { llm_id: LlmId::new(llm_id), llm_slug, remote, namespace })
    }

    fn attempt(&self) -> Attempt<'_> {
        let given = |text| Some(text).filter(|text: &&str| !text.is_empty());
        let llm = RequestedLlm { id: self.llm_id, slug: given(&self.llm_slug) };
        Attempt {
            stage: Stage::CommandLine,
            llm,
            namespace: given(&self.namespace),
            remote: self.remote,
            request_id: "",
        }
    }
}

pub(super) fn explain(
    _: &Desk,
    admin: &Admin,
    q: pb::ExplainCredentialRequest,
) -> AdminResult<pb::ExplainCredentialResponse> {
    use pb::explain_credential_request::Which;
    let facts = Facts::read(q.request)?;
    let told = match required("credential_id", q.which)? {
        Which::CredentialId(id) => admin.explain_key(Asked::Id(convert::credential_id(&id)?), &facts.attempt())?,
        Which::Credential(text) => {
            let credential: Secret<CredentialText> = Secret::new(text.into_bytes());
            admin.explain_key(Asked::Credential(&credential), &facts.attempt())?
        }
    };
    let checks = told.steps.iter().map(|&(check, outcome)| {
        let (outcome, reason) = match outcome {
            Outcome::Holds => (pb::Outcome::Holds, ""),
            Outcome::Fails(reason) => (pb::Outcome::Fails, reason.code()),
            Outcome::NotJudged => (pb::Outcome::NotJudged, ""),
        };
        pb::Check { check: check.to_owned(), outcome: outcome.into(), reason: reason.to_owned() }
    });
    let refused_for = told.refused_for();
    Ok(pb::ExplainCredentialResponse {
        credential_id: told.credential.as_ref().map(|credential| credential.id.to_string()).unwrap_or_default(),
        accepted: refused_for.is_none(),
        reason: refused_for.map_or("", Reason::code).to_owned(),
        checks: checks.collect(),
    })
}

/// Decides as for a gateway, over the very gate.
pub(super) fn test(
    desk: &Desk,
    admin: &Admin,
    q: pb::TestCredentialRequest,
) -> AdminResult<pb::TestCredentialResponse> {
    admin.may_test()?;
    let facts = Facts::read(q.request)?;
    let credential: Secret<CredentialText> = Secret::new(q.credential.into_bytes());
    let attempt = facts.attempt();
    let decided = desk.office.gate().authenticate(&credential, &attempt, |decision| match decision {
        Decision::Grant(grant) => pb::TestCredentialResponse {
            authenticated: true,
            user_id: grant.user_id().to_string(),
            app_id: grant.app_id().to_string(),
            claims: grant.claims().iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
            error_message: String::new(),
        },
        Decision::Deny(denial) => pb::TestCredentialResponse {
            error_message: denial.public_text().to_owned(),
            ..pb::TestCredentialResponse::default()
        },
    });
    // On a blocking thread; what it waits for are timers and hashing threads.
    Ok(tokio::runtime::Handle::current().block_on(decided))
}
