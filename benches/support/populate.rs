//! Stores with many keys, made in process: the command line would hash each for milliseconds.

use std::sync::Arc;

use base64::Engine as _;
use latchkey::clock::{Clock, Entropy, SystemClock, SystemEntropy};
use latchkey::domain::event::Actor;
use latchkey::domain::key_format;
use latchkey::domain::{
    Action, App, AppId, AuditEvent, Credential, CredentialId, CredentialKind, Environment, Generation, LlmGrant,
    LlmGrants, LlmId, Status, Subject, Tenant, TenantId, TenantStatus, User, UserId, Verifier,
};
use latchkey::secret::{ApiKeyText, CredentialText, Secret};
use latchkey::store::sqlite::{OpenOptions, ProcessKind, SqliteStore};
use latchkey::store::{Imported, Store as _};
use latchkey::verify::tag::Tagger;
use latchkey::verify::{argon, pepper};

/// Rows in one transaction.
const BATCH: usize = 50_000;

/// What to put into a store.
pub struct Plan {
    /// Keys that a tag proves. Their Argon2id hashes are of real length and random bytes: none here is proven by them.
    pub keys: usize,
    /// How many of those are given back, evenly spread.
    pub sampled: usize,
    /// Keys without a tag, proven by Argon2id: all are given back.
    pub hashed: usize,
    /// What that costs.
    pub cost: argon::Cost,
}

/// Next to nothing.
pub const CHEAP: argon::Cost = argon::Cost { memory_kib: 8, passes: 1, lanes: 1 };

/// What was put there.
pub struct Loaded {
    pub keys: Vec<Secret<CredentialText>>,
    pub hashed: Vec<Secret<CredentialText>>,
}

/// A store with one tenant, App and User and that many keys.
pub fn populate(data: &std::path::Path, count: usize) -> Vec<Secret<CredentialText>> {
    load(data, &Plan { keys: count, sampled: count, hashed: 0, cost: CHEAP }).keys
}

/// Loads a store. Ids are random, so that the file is as full and as scattered as one that grew key by key.
pub fn load(data: &std::path::Path, plan: &Plan) -> Loaded {
    std::fs::DirBuilder::new().create(data).expect("a directory");
    std::fs::set_permissions(data, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("mode");
    let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let pepper = pepper::create(&data.join(pepper::FILE_NAME), &*entropy).expect("a pepper");
    let tagger = Tagger::new(&pepper).expect("a tagger");
    let options = OpenOptions { dev: true, kind: ProcessKind::Command, clock: clock.clone(), entropy: entropy.clone() };
    let store = SqliteStore::create(data, "host", tagger.fingerprint(), &event(), options).expect("a store");
    let tenant = TenantId::random(&*entropy).expect("an id");
    store.tenants().create(&tenant_row(tenant), event().into()).expect("a tenant");
    store.apps().add(&app_row(tenant, AppId::new(7).expect("an id")), event().into()).expect("an App");
    store.users().add(&user_row(tenant, UserId::new(9).expect("an id")), event().into()).expect("a User");

    let mut loaded = Loaded { keys: Vec::with_capacity(plan.sampled), hashed: Vec::with_capacity(plan.hashed) };
    let every = (plan.keys / plan.sampled.max(1)).max(1);
    let mut batch = Vec::with_capacity(BATCH);
    for n in 0..plan.keys + plan.hashed {
        let hashed = n >= plan.keys;
        let (credential, text) = key(tenant, &tagger, hashed.then_some(plan.cost));
        batch.push(Imported { credential, handle: None });
        if hashed {
            loaded.hashed.push(text);
        } else if n % every == 0 && loaded.keys.len() < plan.sampled {
            loaded.keys.push(text);
        }
        if batch.len() == BATCH || n + 1 == plan.keys + plan.hashed {
            store.imports().import(std::mem::replace(&mut batch, Vec::with_capacity(BATCH)), event()).expect("stored");
        }
    }
    loaded
}

fn key(tenant: TenantId, tagger: &Tagger, hashed: Option<argon::Cost>) -> (Credential, Secret<CredentialText>) {
    let entropy = SystemEntropy;
    let id = CredentialId::random(&entropy).expect("an id");
    let minted = key_format::mint::<ApiKeyText>("lk", Some(Environment::Live), id, &entropy).expect("a key");
    let (phc, tag) = if let Some(cost) = hashed {
        (argon::hash(cost, minted.body(), &entropy).expect("a hash"), None)
    } else {
        let mut random = [0; 48];
        entropy.fill(&mut random).expect("random");
        let (salt, output) = random.split_at(16);
        let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes);
        let phc = format!("$argon2id$v=19$m=19456,t=2,p=1${}${}", encode(salt), encode(output));
        (phc, Some(tagger.tag(CredentialKind::ApiKey, tenant, id, minted.body())))
    };
    let mut row = Credential {
        id,
        tenant,
        app: AppId::new(7).expect("an id"),
        user: UserId::new(9).expect("an id"),
        label: "bench".into(),
        environment: Environment::Live,
        scopes: vec!["chat".into()],
        cidrs: Vec::new(),
        not_before_ms: None,
        expires_at_ms: Some(i64::MAX),
        status: Status::Active,
        replaces: None,
        replaced: None,
        decoy: false,
        verifier: Verifier { phc, tag, pepper: tagger.fingerprint(), prehash: None },
        generation: Generation::random(&entropy).expect("random"),
        row_mac: [0; 32],
        created_by: "local:0".into(),
        created_at_ms: SystemClock.wall_ms(),
        last_used_at_ms: None,
    };
    row.row_mac = tagger.credential_mac(&row);
    (row, Secret::new(minted.text.expose().to_vec()))
}

fn tenant_row(id: TenantId) -> Tenant {
    Tenant {
        id,
        slug: "acme".into(),
        name: "Acme".into(),
        status: TenantStatus::Active,
        key_prefix: "lk".into(),
        llm_grants: LlmGrants::Required,
        namespaces: Vec::new(),
        generation: Generation(1),
        created_at_ms: 1,
    }
}

fn app_row(tenant: TenantId, id: AppId) -> App {
    App {
        tenant,
        id,
        name: "Shop".into(),
        description: String::new(),
        owner_email: "ops@acme.example".into(),
        owner: None,
        active: true,
        monthly_budget: 0.0,
        rate_limit: 0,
        metadata: std::collections::BTreeMap::new(),
        host: latchkey::domain::HostState::default(),
        tools: Vec::new(),
        datasources: Vec::new(),
        llms: vec![LlmGrant { id: LlmId::new(3).expect("an id"), slug: Some("gpt".into()) }],
        generation: Generation(1),
    }
}

fn user_row(tenant: TenantId, id: UserId) -> User {
    User {
        tenant,
        id,
        email: "ann@acme.example".into(),
        name: "Ann".into(),
        active: true,
        host: latchkey::domain::HostState::default(),
        metadata: std::collections::BTreeMap::new(),
        generation: Generation(1),
    }
}

fn event() -> AuditEvent {
    AuditEvent {
        at_ms: 1,
        actor: Actor::System,
        action: Action::CredentialIssued,
        subject: Subject::Everything,
        tenant: None,
        details: Vec::new(),
        request_id: String::new(),
    }
}
