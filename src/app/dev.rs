//! A throw-away store for `serve --dev`: a tenant, an App that may use LLM 3, a User, a key.

use std::path::{Path, PathBuf};

use crate::admin::{AdminError, IssueRequest, NewApp, NewTenant, NewUser};
use crate::app::init::{InitFailure, init, local_admin};
use crate::app::{OpenFailure, Settings};
use crate::clock::{Entropy as _, SystemEntropy};
use crate::domain::key_format::DEFAULT_PREFIX;
use crate::domain::{AppId, Environment, LlmGrant, LlmGrants, LlmId, UserId};
use crate::secret::{ApiKeyText, Secret};
use crate::store::sqlite::ProcessKind;
use crate::verify::argon::DEFAULT_COST;

/// The store's directory, removed on drop.
pub struct DevStore {
    dir: PathBuf,
    key: Secret<ApiKeyText>,
}

impl DevStore {
    /// Where it is.
    pub fn data_dir(&self) -> &Path {
        &self.dir
    }

    /// Removes it: for a process that exits without dropping anything.
    pub fn remover(&self) -> impl Fn() + Send + Sync + 'static {
        let dir = self.dir.clone();
        move || drop(std::fs::remove_dir_all(&dir))
    }

    /// The one key in it.
    pub fn key(&self) -> &Secret<ApiKeyText> {
        &self.key
    }
}

impl Drop for DevStore {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Makes it in the temporary directory and points `settings` at it.
///
/// # Errors
/// When it cannot be made.
pub fn store(settings: &mut Settings) -> Result<DevStore, InitFailure> {
    let mut random = [0; 8];
    SystemEntropy.fill(&mut random).map_err(AdminError::from)?;
    let dir = std::env::temp_dir().join(format!("latchkey-dev-{:016x}", u64::from_ne_bytes(random)));
    settings.data_dir = Some(dir.clone());
    settings.pepper_file = None;
    settings.subject_key = None;
    settings.tokens.key_dir = None;
    settings.dev = true;
    let mut store = DevStore { dir, key: Secret::new(Vec::new()) };
    init(settings)?;
    let admin = local_admin(&crate::app::open(settings, ProcessKind::Command)?);
    let missing = || OpenFailure::System(std::io::Error::other("the sample ids are none"));
    let (app, user) = (AppId::new(7).ok_or_else(missing)?, UserId::new(9).ok_or_else(missing)?);
    let llm = LlmId::new(3).ok_or_else(missing)?;
    let text = |text: &str| text.to_owned();
    admin.create_tenant(&NewTenant {
        slug: text("acme"),
        name: text("Acme Ltd"),
        key_prefix: text(DEFAULT_PREFIX),
        llm_grants: LlmGrants::Required,
        namespaces: Vec::new(),
    })?;
    let metadata = std::collections::BTreeMap::new();
    admin.add_user(
        "acme",
        &NewUser { id: user, email: text("ann@acme.example"), name: text("Ann"), active: true, metadata },
    )?;
    admin.add_app(
        "acme",
        &NewApp {
            id: app,
            name: text("Shop"),
            description: String::new(),
            owner_email: text("ops@acme.example"),
            owner: Some(user),
            active: true,
            monthly_budget: 0.0,
            rate_limit: 0,
            metadata: std::collections::BTreeMap::new(),
            llms: vec![LlmGrant { id: llm, slug: None }],
        },
    )?;
    let request = IssueRequest {
        app,
        user,
        label: text("dev"),
        environment: Environment::Test,
        scopes: Vec::new(),
        cidrs: Vec::new(),
        not_before_ms: None,
        expires_at_ms: None,
        decoy: false,
        cost: DEFAULT_COST,
    };
    store.key = admin.issue_key("acme", &request)?.key;
    Ok(store)
}
