//! Stores with many keys, made in process: the command line would hash each for milliseconds.

use std::sync::Arc;

use latchkey::clock::{Clock, Entropy, SystemClock, SystemEntropy};
use latchkey::domain::event::Actor;
use latchkey::domain::key_format;
use latchkey::domain::{
    Action, App, AppId, AuditEvent, Credential, CredentialId, CredentialKind, Environment, Generation, LlmGrant,
    LlmGrants, LlmId, Status, Subject, Tenant, TenantId, TenantStatus, User, UserId, Verifier,
};
use latchkey::secret::{ApiKeyText, CredentialText, Secret};
use latchkey::store::Store as _;
use latchkey::store::sqlite::{OpenOptions, ProcessKind, SqliteStore};
use latchkey::verify::pepper;
use latchkey::verify::tag::Tagger;

/// A store with one tenant, App and User and that many keys, in random order. Their Argon2id hashes are of real length
/// and random bytes: no key here is ever proven by them.
pub fn populate(data: &std::path::Path, count: usize) -> Vec<Secret<CredentialText>> {
    std::fs::DirBuilder::new().create(data).expect("a directory");
    std::fs::set_permissions(data, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("mode");
    let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let pepper = pepper::create(&data.join(pepper::FILE_NAME), &*entropy).expect("a pepper");
    let tagger = Tagger::new(&pepper).expect("a tagger");
    let options = OpenOptions { dev: true, kind: ProcessKind::Command, clock: clock.clone(), entropy: entropy.clone() };
    let store = SqliteStore::create(data, "host", tagger.fingerprint(), &event(), options).expect("a store");
    let tenant = TenantId::random(&*entropy).expect("an id");
    let (app, user) = (AppId::new(7).expect("an id"), UserId::new(9).expect("an id"));
    store.tenants().create(&tenant_row(tenant), event()).expect("a tenant");
    store.apps().add(&app_row(tenant, app), event()).expect("an App");
    store.users().add(&user_row(tenant, user), event()).expect("a User");
    (0..count)
        .map(|_| {
            let id = CredentialId::random(&*entropy).expect("an id");
            let minted = key_format::mint::<ApiKeyText>("lk", Some(Environment::Live), id, &*entropy).expect("a key");
            let verifier = Verifier {
                phc: format!("$argon2id$v=19$m=19456,t=2,p=1${}${}", "s".repeat(22), "h".repeat(43)),
                tag: Some(tagger.tag(CredentialKind::ApiKey, tenant, id, minted.body())),
                pepper: tagger.fingerprint(),
                prehash: None,
            };
            let mut row = Credential {
                id,
                tenant,
                app,
                user,
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
                verifier,
                generation: Generation::random(&*entropy).expect("random"),
                row_mac: [0; 32],
                created_by: "local:0".into(),
                created_at_ms: clock.wall_ms(),
                last_used_at_ms: None,
            };
            row.row_mac = tagger.credential_mac(&row);
            store.credentials().issue(&row, event()).expect("issued");
            Secret::new(minted.text.expose().to_vec())
        })
        .collect()
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
        active: true,
        monthly_budget: 0.0,
        rate_limit: 0,
        metadata: std::collections::BTreeMap::new(),
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
