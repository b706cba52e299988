//! Apps of the host: claim one for a tenant, change the directory's copy and its LLM grants, let it go.

use std::collections::BTreeMap;

use crate::admin::authority::{Act, Permit};
use crate::admin::limits::{self, invalid};
use crate::admin::{Admin, AdminError, AdminResult, check_etag, not_found, record, retrying, take};
use crate::domain::event::DetailKey;
use crate::domain::{Action, App, AppId, Generation, HostState, LlmGrant, Subject, Tenant, UnclaimedApp, UserId};
use crate::store::StoreError;

/// An App to be claimed.
#[derive(Clone, Debug)]
pub struct NewApp {
    /// The host's id.
    pub id: AppId,
    /// The host's name for it.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Who answers for it.
    pub owner_email: String,
    /// The host's User who may manage its keys in the portal.
    pub owner: Option<UserId>,
    /// Whether it may be used.
    pub active: bool,
    /// Monthly budget in the host's currency; 0 is none.
    pub monthly_budget: f64,
    /// Requests a minute; 0 is no limit.
    pub rate_limit: i32,
    /// Further fields that the host has.
    pub metadata: BTreeMap<String, String>,
    /// The LLMs it may use.
    pub llms: Vec<LlmGrant>,
}

/// What is to change of an App; None leaves it.
#[derive(Clone, Debug, Default)]
pub struct AppChanges {
    /// The host's name for it.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner_email: Option<String>,
    /// The host's User who may manage its keys in the portal; none inside for nobody.
    pub owner: Option<Option<UserId>>,
    /// Whether it may be used.
    pub active: Option<bool>,
    /// Monthly budget; 0 is none.
    pub monthly_budget: Option<f64>,
    /// Requests a minute; 0 is no limit.
    pub rate_limit: Option<i32>,
    /// All further fields.
    pub metadata: Option<BTreeMap<String, String>>,
    /// What was read of it before; none changes it whatever it is.
    pub etag: Option<Generation>,
    /// All LLMs that it may use from now on.
    pub llms: Option<Vec<LlmGrant>>,
}

/// The User who manages an App's keys in the portal is one of its tenant.
fn check_owner(permit: &Permit<'_>, tenant: &Tenant, owner: Option<UserId>) -> AdminResult<()> {
    owner.map_or(Ok(()), |owner| permit.user(tenant, owner).map(drop))
}

/// Whether the host lets an App be used that is listed as nobody's.
fn listed_state(permit: &Permit<'_>, id: AppId) -> AdminResult<HostState> {
    let listed = permit.store().host_copy().unclaimed(&[id])?;
    let off = |row: &UnclaimedApp| HostState { active: row.active, gone_at_ms: None };
    Ok(listed.first().map_or_else(HostState::default, off))
}

/// Of a new App all fields, of a change those that are changed: what the host said of the rest is not for an admin to mend,
/// and must not keep anybody from switching it off.
fn check(app: &App, changed: Option<&[&str]>) -> AdminResult<()> {
    let asked = |field| changed.is_none_or(|changed| changed.contains(&field));
    if asked("name") {
        limits::name("name", &app.name)?;
    }
    if asked("description") {
        limits::text("description", &app.description, limits::MAX_DESCRIPTION)?;
    }
    if asked("owner_email") {
        limits::email("owner-email", &app.owner_email)?;
    }
    if asked("metadata") {
        limits::metadata(&app.metadata)?;
    }
    if asked("llms") {
        check_llms(&app.llms)?;
    }
    if asked("monthly_budget") && (!app.monthly_budget.is_finite() || app.monthly_budget < 0.0) {
        return Err(invalid("monthly-budget", "a number from 0"));
    }
    if asked("rate_limit") && app.rate_limit < 0 {
        return Err(invalid("rate-limit", "a whole number from 0"));
    }
    Ok(())
}

fn check_llms(llms: &[LlmGrant]) -> AdminResult<()> {
    limits::count("llm", llms.len(), limits::MAX_LLMS)?;
    llms.iter().filter_map(|llm| llm.slug.as_ref()).try_for_each(|slug| limits::name("llm", slug))?;
    let mut ids: Vec<_> = llms.iter().map(|llm| llm.id).collect();
    ids.sort_unstable();
    if ids.windows(2).any(|pair| pair.first() == pair.last()) {
        return Err(invalid("llm", "an LLM is named twice"));
    }
    Ok(())
}

fn details(app: &App, fields: &[&str]) -> Vec<(DetailKey, String)> {
    let llms: Vec<String> = app.llms.iter().map(|llm| llm.id.to_string()).collect();
    let mut details = vec![(DetailKey::Active, app.active.to_string()), (DetailKey::Llms, llms.join(","))];
    if fields.is_empty() {
        details.push((DetailKey::Name, app.name.clone()));
    } else {
        details.push((DetailKey::Fields, fields.join(",")));
    }
    details
}

impl Admin {
    /// Claims a host App for a tenant.
    ///
    /// # Errors
    /// When any tenant has it already, or a value does not fit.
    pub fn add_app(&self, tenant: &str, new: &NewApp) -> AdminResult<App> {
        let permit = self.permit(Act::Govern)?;
        let tenant = permit.tenant(tenant)?;
        check_owner(&permit, &tenant, new.owner)?;
        retrying(|| {
            let claim = permit.once("CreateApp", Some(tenant.id))?;
            let NewApp { name, description, owner_email, metadata, llms, .. } = new.clone();
            let app = App {
                tenant: tenant.id,
                id: new.id,
                name,
                description,
                owner_email,
                owner: new.owner,
                active: new.active,
                host: listed_state(&permit, new.id)?,
                tools: Vec::new(),
                datasources: Vec::new(),
                monthly_budget: new.monthly_budget,
                rate_limit: new.rate_limit,
                metadata,
                llms,
                generation: self.generation()?,
            };
            check(&app, None)?;
            let event = self.event(Action::AppAdded, Subject::App(app.id), Some(tenant.id), details(&app, &[]));
            match permit.store().apps().add(&app, record(event, claim, &app.id)) {
                Ok(()) => Ok(app),
                Err(StoreError::Exists { what: "App" }) => Err(AdminError::Claimed { what: "App", id: app.id.get() }),
                Err(error) => Err(error.into()),
            }
        })
    }

    /// An App of a tenant.
    ///
    /// # Errors
    /// When the tenant has no such App.
    pub fn app(&self, tenant: &str, id: AppId) -> AdminResult<App> {
        let permit = self.permit(Act::ReadKeys)?;
        permit.app(&permit.tenant(tenant)?, id)
    }

    /// Changes an App.
    ///
    /// # Errors
    /// When the tenant has no such App, or a value does not fit.
    pub fn set_app(&self, tenant: &str, id: AppId, changes: &AppChanges) -> AdminResult<App> {
        let permit = self.permit(Act::Manage)?;
        // What an App may use and spend is the installation's to say: a tenant must not grant itself what others pay for.
        let AppChanges { llms, monthly_budget, rate_limit, .. } = changes;
        if llms.is_some() || monthly_budget.is_some() || rate_limit.is_some() {
            self.permit(Act::Govern)?;
        }
        let tenant = permit.tenant(tenant)?;
        check_owner(&permit, &tenant, changes.owner.flatten())?;
        retrying(|| {
            let mut app = permit.app(&tenant, id)?;
            check_etag(changes.etag, app.generation, "App", &id)?;
            let (expected, mut fields) = (app.generation, Vec::new());
            take("name", changes.name.as_ref(), &mut app.name, &mut fields);
            take("description", changes.description.as_ref(), &mut app.description, &mut fields);
            take("owner_email", changes.owner_email.as_ref(), &mut app.owner_email, &mut fields);
            take("owner_user_id", changes.owner.as_ref(), &mut app.owner, &mut fields);
            take("active", changes.active.as_ref(), &mut app.active, &mut fields);
            take("monthly_budget", changes.monthly_budget.as_ref(), &mut app.monthly_budget, &mut fields);
            take("rate_limit", changes.rate_limit.as_ref(), &mut app.rate_limit, &mut fields);
            take("metadata", changes.metadata.as_ref(), &mut app.metadata, &mut fields);
            take("llms", changes.llms.as_ref(), &mut app.llms, &mut fields);
            if fields.is_empty() {
                return Ok(app);
            }
            check(&app, Some(&fields))?;
            app.generation = self.generation()?;
            let details = details(&app, &fields);
            let event = self.event(Action::AppChanged, Subject::App(app.id), Some(tenant.id), details);
            permit.store().apps().update(&app, expected, event)?;
            Ok(app)
        })
    }

    /// Lets an App go. Its credentials stay in the store and are refused.
    ///
    /// # Errors
    /// When the tenant has no such App.
    pub fn remove_app(&self, tenant: &str, id: AppId) -> AdminResult<()> {
        let permit = self.permit(Act::Govern)?;
        let tenant = permit.tenant(tenant)?;
        let event = self.event(Action::AppRemoved, Subject::App(id), Some(tenant.id), Vec::new());
        match permit.store().apps().remove(tenant.id, id, event) {
            Err(StoreError::Missing { .. }) => Err(not_found("App", &id, &tenant)),
            other => Ok(other?),
        }
    }
}
