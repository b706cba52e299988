//! An App of the host, as far as we know it.

use std::collections::BTreeMap;

use crate::domain::host::HostState;
use crate::domain::ids::{AppId, Generation, LlmId, TenantId, UserId};

/// An App: the principal that budgets and access hang on.
#[derive(Clone, PartialEq, Debug)]
pub struct App {
    /// The tenant that claimed it.
    pub tenant: TenantId,
    /// The host's id.
    pub id: AppId,
    /// The host's name for it.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Who answers for it.
    pub owner_email: String,
    /// The host's User who owns it and may manage its keys in the portal.
    pub owner: Option<UserId>,
    /// Whether its tenant lets it be used; see [`App::is_active`].
    pub active: bool,
    /// Whether its host does.
    pub host: HostState,
    /// Monthly budget in the host's currency; 0 is none.
    pub monthly_budget: f64,
    /// Requests a minute; 0 is no limit.
    pub rate_limit: i32,
    /// Further fields that the host has.
    pub metadata: BTreeMap<String, String>,
    /// The LLMs it may use.
    pub llms: Vec<LlmGrant>,
    /// The host's ids of the tools it may use. No request names one: kept for whoever audits.
    pub tools: Vec<u32>,
    /// The same of datasources.
    pub datasources: Vec<u32>,
    /// Changes with each change of the row or its grants.
    pub generation: Generation,
}

impl App {
    /// An App of which nothing is known but whose it is: active, and it may use nothing.
    pub fn blank(tenant: TenantId, id: AppId, generation: Generation) -> Self {
        Self {
            tenant,
            id,
            name: String::new(),
            description: String::new(),
            owner_email: String::new(),
            owner: None,
            active: true,
            host: HostState::default(),
            monthly_budget: 0.0,
            rate_limit: 0,
            metadata: BTreeMap::new(),
            llms: Vec::new(),
            tools: Vec::new(),
            datasources: Vec::new(),
            generation,
        }
    }

    /// Whether it may be used: tenant and host both say so.
    pub fn is_active(&self) -> bool {
        self.active && self.host.permits()
    }
}

/// A grant of one LLM to one App.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LlmGrant {
    /// The host's id of the LLM.
    pub id: LlmId,
    /// Its slug, where known; then a request must agree with it.
    pub slug: Option<String>,
}
