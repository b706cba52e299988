//! [`Linked`] to [`Grant`]: this App may use this LLM. Judged on every request, cached or not.
//!
//! A grant borrows the facts it was judged from. It has no owned form, so none can be kept for the next
//! request (rule R14).

use crate::authenticate::attempt::Attempt;
use crate::authenticate::entry::Entry;
use crate::authenticate::link::Linked;
use crate::domain::{App, AppId, Credential, CredentialId, LlmGrants, LlmId, Reason, Tenant, User, UserId};

/// A yes, for one request. Nobody but [`grant`] makes one, and nobody keeps one:
/// ```
/// use latchkey::authenticate::{Decision, Grant};
/// fn app(decision: Decision<'_>) -> Option<u32> {
///     if let Decision::Grant(grant) = decision { Some(grant.app_id().get()) } else { None }
/// }
/// ```
/// ```compile_fail
/// use latchkey::authenticate::{entry::Entry, Grant};
/// fn make(entry: &Entry) -> Grant<'_> {
///     Grant { entry, stale: false }
/// }
/// ```
/// ```compile_fail
/// use latchkey::authenticate::{Decision, Grant};
/// fn keep(decision: Decision<'_>) -> Option<Grant<'static>> {
///     if let Decision::Grant(grant) = decision { Some(grant) } else { None }
/// }
/// ```
/// ```compile_fail
/// use latchkey::authenticate::Grant;
/// fn copy<'a>(grant: &Grant<'a>) -> Grant<'a> {
///     grant.clone()
/// }
/// ```
pub struct Grant<'a> {
    entry: &'a Entry,
    stale: bool,
}

impl<'a> Grant<'a> {
    /// The App to act as: never 0, by type (hazard H1).
    pub fn app_id(&self) -> AppId {
        self.entry.app().id
    }

    /// The User it acts for.
    pub fn user_id(&self) -> UserId {
        self.entry.user().id
    }

    /// The whole App.
    pub fn app(&self) -> &'a App {
        self.entry.app()
    }

    /// The whole User.
    pub fn user(&self) -> &'a User {
        self.entry.user()
    }

    /// The tenant that both belong to.
    pub fn tenant(&self) -> &'a Tenant {
        self.entry.tenant()
    }

    /// The proven row, where it is a key.
    pub fn key_row(&self) -> Option<&'a Credential> {
        self.entry.verified().key_row()
    }

    /// Of a token that we signed: for which credential, and its first invalid moment.
    pub fn issued(&self) -> Option<(CredentialId, i64)> {
        self.entry.verified().issued_for()
    }

    /// What the gateway is told about the credential: `tenant`, `credential_id`, `credential_kind`, `scopes`,
    /// `environment`, `expires_at`, and `sunset` while an old credential lives out its grace. Made once for each cached entry.
    pub fn claims(&self) -> &'a [(&'static str, String)] {
        self.entry.claims()
    }

    /// Whether it rests on facts of the host that are older than promised, because it did not answer: the claim `stale`.
    pub fn is_stale(&self) -> bool {
        self.stale
    }
}

/// Judges the LLM.
///
/// A slug that is known must agree with the id; where both are asked for and the grant knows no slug, the
/// id decides. A look-up that names no LLM asks for none.
///
/// # Errors
/// Why the App may not use it.
#[expect(clippy::needless_pass_by_value, reason = "a step consumes the one before it")]
pub fn grant<'a>(
    linked: Linked<'a>,
    attempt: &Attempt<'_>,
    local: LlmGrants,
    stale: bool,
) -> Result<Grant<'a>, Reason> {
    let entry = linked.entry();
    check_llm(entry.app(), entry.tenant(), attempt, local)?;
    if let Some(only) = entry.verified().llms() {
        check_narrower(only, entry.app(), attempt)?;
    }
    Ok(Grant { entry, stale })
}

/// A token that is for fewer LLMs than its App is for no other, whatever the policy: one that cannot be told is none of them.
fn check_narrower(only: &[LlmId], app: &App, attempt: &Attempt<'_>) -> Result<(), Reason> {
    let asked = attempt.llm;
    if asked.is_none() {
        return if attempt.stage.names_no_llm() { Ok(()) } else { Err(Reason::LlmMissing) };
    }
    let by_slug = || app.llms.iter().find(|llm| llm.slug.is_some() && llm.slug.as_deref() == asked.slug);
    let id = asked.id.or_else(|| by_slug().map(|llm| llm.id));
    if id.is_some_and(|id| only.contains(&id)) { Ok(()) } else { Err(Reason::LlmNotGranted) }
}

pub(super) fn check_llm(app: &App, tenant: &Tenant, attempt: &Attempt<'_>, local: LlmGrants) -> Result<(), Reason> {
    let asked = attempt.llm;
    // Asked for no LLM, these say who it is.
    if asked.is_none() && attempt.stage.names_no_llm() {
        return Ok(());
    }
    let llms = &app.llms;
    if let (Some(id), Some(slug)) = (asked.id, asked.slug) {
        let contradicts = |known: &str, of| (of == id) != (known == slug);
        if llms.iter().any(|llm| llm.slug.as_deref().is_some_and(|known| contradicts(known, llm.id))) {
            return Err(Reason::LlmContradiction);
        }
    }
    // A tenant may loosen this rule only where the machine's own configuration lets it.
    if local == LlmGrants::Unchecked && tenant.llm_grants == LlmGrants::Unchecked {
        return Ok(());
    }
    if asked.is_none() {
        return Err(Reason::LlmMissing);
    }
    let found = match asked.id {
        Some(id) => llms.iter().any(|llm| llm.id == id),
        None => llms.iter().any(|llm| llm.slug.is_some() && llm.slug.as_deref() == asked.slug),
    };
    if found { Ok(()) } else { Err(Reason::LlmNotGranted) }
}
