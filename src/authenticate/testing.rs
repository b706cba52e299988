//! A small world to authenticate in: one tenant, App 7 with LLMs 3 (`gpt`) and 4, User 9.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::audit::decisions::NoDecisions;
use crate::authenticate::record::Recorder;
use crate::authenticate::{Attempt, Authenticator, Decision, Parts, RequestedLlm, Settings, Stage};
use crate::clock::{Clock as _, ExpiryClock, ManualClock, SystemEntropy};
use crate::directory::local::LocalDirectory;
use crate::directory::{Directory, Linkage, ObjectsFuture};
use crate::domain::event::Actor;
use crate::domain::key_format::{self, Minted};
use crate::domain::{
    Action, App, AppId, AuditEvent, Credential, CredentialId, CredentialKind, Environment, Generation, LlmGrant,
    LlmGrants, LlmId, Position, Reason, Status, Subject, Tenant, TenantId, TenantStatus, User, UserId, Verifier,
};
use crate::secret::{ApiKeyText, CredentialText, OperatorText, Pepper, Secret};
use crate::store::fake::FakeStore;
use crate::store::feed::ChangeFeed;
use crate::store::{Apps, Credentials, Links, Store, Tenants, Users};
use crate::telemetry::metrics::Metrics;
use crate::verify::argon::{self, Cost};
use crate::verify::jwt::Jwts;
use crate::verify::keyring::Keyring;
use crate::verify::pool::ArgonPool;
use crate::verify::subject::SubjectKey;
use crate::verify::tag::Tagger;

/// The id of the LLM that [`attempt`] asks for.
pub const LLM: u32 = 3;
const CHEAP: Cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };

/// What a gateway would ask.
pub fn attempt() -> Attempt<'static> {
    let llm = RequestedLlm { id: LlmId::new(LLM), slug: Some("gpt") };
    Attempt { stage: Stage::Auth, llm, namespace: None, remote: None, request_id: "" }
}

type Meanwhile = Box<dyn FnOnce() + Send>;

/// Answers from the store; can be made to hang, and to let something happen between two reads.
struct ScriptedDirectory {
    local: LocalDirectory,
    hangs: Arc<AtomicBool>,
    meanwhile: Arc<Mutex<Option<Meanwhile>>>,
}

impl Directory for ScriptedDirectory {
    fn objects(&self, linkage: Linkage) -> ObjectsFuture<'_> {
        if self.hangs.load(Ordering::SeqCst) {
            return Box::pin(std::future::pending());
        }
        let happen = self.meanwhile.lock().unwrap().take();
        if let Some(happen) = happen {
            happen();
        }
        self.local.objects(linkage)
    }
}

/// Everything that tests hold in their hands.
#[derive(Clone)]
pub struct World {
    pub store: Arc<FakeStore>,
    pub clock: Arc<ManualClock>,
    pub metrics: Arc<Metrics>,
    pub authenticator: Arc<Authenticator>,
    tagger: Arc<Tagger>,
    pub keyring: Arc<Keyring>,
    hangs: Arc<AtomicBool>,
    meanwhile: Arc<Mutex<Option<Meanwhile>>>,
    /// Seals issuers, links and tokens.
    pub seals: Arc<SubjectKey>,
    /// Where the key for that is.
    pub files: Arc<tempfile::TempDir>,
}

/// The `iss` of our own tokens.
pub const OWN_ISSUER: &str = "urn:latchkey:test";
/// Their audience.
pub const OWN_AUDIENCE: &str = "gateway";

impl World {
    pub fn new() -> Self {
        Self::with(Settings::default())
    }

    pub fn with(settings: Settings) -> Self {
        let store = Arc::new(FakeStore::default());
        let clock = Arc::new(ManualClock::at(1_800_000_000_000));
        let tagger = Arc::new(Tagger::new(&Secret::<Pepper>::new(vec![1; 32])).unwrap());
        let keyring = Arc::new(Keyring::single(tagger.clone()));
        let expiry = Arc::new(ExpiryClock::new(clock.clone()));
        let feed = Arc::new(ChangeFeed::new(Position(0), clock.clone(), expiry.clone()));
        store.set_listener(feed.clone());
        let metrics = Arc::new(Metrics::new(&Recorder::reason_labels()));
        let recorder = Recorder::new(metrics.clone(), Arc::new(NoDecisions), clock.clone(), 1_000);
        let shared: Arc<dyn Store> = store.clone();
        let (hangs, meanwhile) = (Arc::default(), Arc::default());
        let directory = ScriptedDirectory {
            local: LocalDirectory::new(shared.clone()),
            hangs: Arc::clone(&hangs),
            meanwhile: Arc::clone(&meanwhile),
        };
        let pool = ArgonPool::start(1, 8).unwrap();
        let files = Arc::new(tempfile::tempdir().unwrap());
        let subject_key = files.path().join("subject.key");
        let seals = Arc::new(SubjectKey::create(&subject_key, &SystemEntropy).unwrap());
        Links::set_key(&*store, seals.fingerprint(), event()).unwrap();
        let set = crate::verify::jwt::Settings { issuer: OWN_ISSUER.into(), audience: OWN_AUDIENCE.into() };
        let entropy = Arc::new(SystemEntropy);
        let jwts = Jwts::new(shared.clone(), set, subject_key, files.path().to_owned(), None, entropy);
        let parts = Parts {
            store: shared.clone(),
            verifier: crate::verify::Verifier::new(shared.clone(), keyring.clone(), pool).with_jwts(jwts),
            directory: Arc::new(directory),
            feed,
            cache_key: [5; 64],
            clock: clock.clone(),
            expiry,
            recorder,
            usage: crate::authenticate::usage::Usage::start(store.clone(), std::time::Duration::from_secs(3600))
                .unwrap(),
            denied: Arc::default(),
            upgrades: None,
        };
        let authenticator = Arc::new(Authenticator::new(parts, settings));
        let world = Self { store, clock, metrics, authenticator, tagger, keyring, hangs, meanwhile, seals, files };
        world.populate();
        world
    }

    fn populate(&self) {
        let tenant = Tenant {
            id: TENANT,
            slug: "acme".into(),
            name: "Acme".into(),
            status: TenantStatus::Active,
            key_prefix: "lk".into(),
            llm_grants: LlmGrants::Required,
            namespaces: Vec::new(),
            generation: Generation(1),
            created_at_ms: 1,
        };
        Tenants::create(&*self.store, &tenant, event().into()).unwrap();
        let app = App {
            tenant: TENANT,
            id: app_id(),
            name: "Shop".into(),
            description: String::new(),
            owner_email: "ops@acme.example".into(),
            owner: None,
            active: true,
            monthly_budget: 0.0,
            rate_limit: 0,
            metadata: std::collections::BTreeMap::new(),
            host: crate::domain::HostState::default(),
            tools: vec![1, 2],
            datasources: Vec::new(),
            llms: vec![
                LlmGrant { id: LlmId::new(LLM).unwrap(), slug: Some("gpt".into()) },
                LlmGrant { id: LlmId::new(4).unwrap(), slug: None },
            ],
            generation: Generation(1),
        };
        Apps::add(&*self.store, &app, event().into()).unwrap();
        let user = User {
            tenant: TENANT,
            id: user_id(),
            email: "ann@acme.example".into(),
            name: "Ann".into(),
            active: true,
            host: crate::domain::HostState::default(),
            metadata: std::collections::BTreeMap::new(),
            generation: Generation(1),
        };
        Users::add(&*self.store, &user, event().into()).unwrap();
    }

    /// Issues a key whose row `shape` may change before it is sealed.
    pub fn issue(&self, shape: impl FnOnce(&mut Credential)) -> (CredentialId, Secret<CredentialText>) {
        let id = CredentialId::random(&SystemEntropy).unwrap();
        let minted = mint(id);
        let tag = self.tagger.tag(CredentialKind::ApiKey, TENANT, id, minted.body());
        let verifier =
            Verifier { phc: "x".repeat(97), tag: Some(tag), pepper: self.tagger.fingerprint(), prehash: None };
        self.write(id, verifier, shape);
        (id, presented(&minted))
    }

    /// Issues a key that only Argon2 can prove.
    pub fn issue_untagged(&self) -> (CredentialId, Secret<CredentialText>) {
        let id = CredentialId::random(&SystemEntropy).unwrap();
        let minted = mint(id);
        let phc = argon::hash(CHEAP, minted.body(), &SystemEntropy).unwrap();
        self.write(id, Verifier { phc, tag: None, pepper: self.tagger.fingerprint(), prehash: None }, |_| {});
        (id, presented(&minted))
    }

    fn write(&self, id: CredentialId, verifier: Verifier, shape: impl FnOnce(&mut Credential)) {
        let mut row = Credential {
            id,
            tenant: TENANT,
            app: app_id(),
            user: user_id(),
            label: String::new(),
            environment: Environment::Live,
            scopes: vec!["chat".into()],
            cidrs: Vec::new(),
            not_before_ms: None,
            expires_at_ms: None,
            status: Status::Active,
            replaces: None,
            replaced: None,
            decoy: false,
            verifier,
            generation: Generation(1),
            row_mac: [0; 32],
            created_by: "test".into(),
            created_at_ms: self.clock.wall_ms(),
            last_used_at_ms: None,
        };
        shape(&mut row);
        row.row_mac = self.tagger.credential_mac(&row);
        Credentials::issue(&*self.store, &row, event().into()).unwrap();
    }

    /// A well-formed key for an id, with a secret that is not its own.
    pub fn forged_key(id: CredentialId) -> Secret<CredentialText> {
        presented(&mint(id))
    }

    /// A well-formed key that differs from another only near its end.
    #[expect(clippy::disallowed_methods, reason = "a test presents what it minted")]
    pub fn near(key: &Secret<CredentialText>) -> Secret<CredentialText> {
        let text = key.expose();
        let mut body = text[..text.len() - 6].to_vec();
        let last = body.last_mut().unwrap();
        *last = if *last == b'0' { b'1' } else { b'0' };
        assert!(body.len() > 65 && body[..64] == text[..64]);
        let check = key_format::checksum(&body);
        body.extend_from_slice(&check);
        Secret::new(body)
    }

    #[expect(clippy::disallowed_methods, reason = "a test presents what it minted")]
    pub fn operator_token() -> Secret<CredentialText> {
        let id = CredentialId::random(&SystemEntropy).unwrap();
        let minted: Minted<OperatorText> =
            key_format::mint(key_format::OPERATOR_PREFIX, None, id, &SystemEntropy).unwrap();
        Secret::new(minted.text.expose().to_vec())
    }

    pub fn change_tenant(&self, change: impl FnOnce(&mut Tenant)) {
        let mut row = Tenants::by_id(&*self.store, TENANT).unwrap().unwrap();
        let expected = row.generation;
        change(&mut row);
        row.generation = Generation(expected.0 + 1);
        Tenants::update(&*self.store, &row, expected, event()).unwrap();
    }

    pub fn change_app(&self, change: impl FnOnce(&mut App)) {
        let mut row = Apps::by_id(&*self.store, TENANT, app_id()).unwrap().unwrap();
        let expected = row.generation;
        change(&mut row);
        row.generation = Generation(expected.0 + 1);
        Apps::update(&*self.store, &row, expected, event()).unwrap();
    }

    pub fn change_user(&self, change: impl FnOnce(&mut User)) {
        let mut row = Users::by_id(&*self.store, TENANT, user_id()).unwrap().unwrap();
        let expected = row.generation;
        change(&mut row);
        row.generation = Generation(expected.0 + 1);
        Users::update(&*self.store, &row, expected, event()).unwrap();
    }

    pub fn change_credential(&self, id: CredentialId, change: impl FnOnce(&mut Credential)) {
        let mut row = Credentials::by_id(&*self.store, TENANT, id).unwrap().unwrap();
        let expected = row.generation;
        change(&mut row);
        row.generation = Generation(expected.0 + 1);
        row.row_mac = self.tagger.credential_mac(&row);
        Credentials::update(&*self.store, &row, expected, event()).unwrap();
    }

    /// Puts another in a credential's place, which lives out its grace.
    pub fn rotate(&self, id: CredentialId, grace_until_ms: i64) {
        let by = CredentialId::random(&SystemEntropy).unwrap();
        let mut old = Credentials::by_id(&*self.store, TENANT, id).unwrap().unwrap();
        let new = Credential { id: by, replaces: Some(id), ..old.clone() };
        let expected = old.generation;
        old.replaced = Some(crate::domain::credential::Replaced { by, grace_until_ms });
        old.generation = Generation(expected.0 + 1);
        old.row_mac = self.tagger.credential_mac(&old);
        Credentials::rotate(&*self.store, &new, &old, expected, event().into()).unwrap();
    }

    pub fn remove_app(&self) {
        Apps::remove(&*self.store, TENANT, app_id(), event()).unwrap();
    }

    pub fn remove_user(&self) {
        Users::remove(&*self.store, TENANT, user_id(), event()).unwrap();
    }

    /// Changes a row without sealing it.
    pub fn forge(&self, id: CredentialId, change: impl FnOnce(&mut Credential)) {
        self.store.tamper(id, change);
    }

    pub fn hang_directory(&self, hangs: bool) {
        self.hangs.store(hangs, Ordering::SeqCst);
    }

    /// Lets something happen once, between the read of a credential and that of its App.
    pub fn meanwhile(&self, happen: impl FnOnce(&Self) + Send + 'static) {
        let world = self.clone();
        *self.meanwhile.lock().unwrap() = Some(Box::new(move || happen(&world)));
    }

    pub fn argon_jobs(&self) -> u64 {
        self.authenticator.verifier.pool().taken()
    }

    /// Reads, MACs and Argon2 jobs so far.
    pub fn work(&self) -> (u64, u64, u64) {
        (self.store.reads(), self.tagger.computed(), self.argon_jobs())
    }

    pub async fn ask(&self, key: &Secret<CredentialText>) -> Result<u32, Reason> {
        self.ask_with(key, &attempt()).await
    }

    pub async fn ask_with(&self, key: &Secret<CredentialText>, attempt: &Attempt<'_>) -> Result<u32, Reason> {
        let answer = |decision: Decision<'_>| match decision {
            Decision::Grant(grant) => Ok(grant.app_id().get()),
            Decision::Deny(denial) => Err(denial.reason()),
        };
        self.authenticator.authenticate(key, attempt, answer).await
    }
}

/// The tenant.
pub const TENANT: TenantId = TenantId::from_bytes([2; 16]);

fn app_id() -> AppId {
    AppId::new(7).unwrap()
}

fn user_id() -> UserId {
    UserId::new(9).unwrap()
}

fn mint(id: CredentialId) -> Minted<ApiKeyText> {
    key_format::mint("lk", Some(Environment::Live), id, &SystemEntropy).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a test presents what it minted")]
fn presented(minted: &Minted<ApiKeyText>) -> Secret<CredentialText> {
    Secret::new(minted.text.expose().to_vec())
}

pub fn event() -> AuditEvent {
    AuditEvent {
        at_ms: 1,
        actor: Actor::System,
        action: Action::TenantChanged,
        subject: Subject::Everything,
        tenant: None,
        details: Vec::new(),
        request_id: String::new(),
    }
}
