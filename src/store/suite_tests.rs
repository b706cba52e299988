//! The contract of the store, run on each implementation: what holds for one holds for all.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::*;
use crate::audit::chain;
use crate::clock::{SystemClock, SystemEntropy};
use crate::domain::credential::RevocationReason;
use crate::domain::event::{Actor, DetailKey};
use crate::domain::{
    Action, Environment, LlmGrant, LlmGrants, LlmId, PepperFingerprint, Role, Status, Subject, Tag, TenantStatus,
    Verifier,
};
use crate::store::fake::FakeStore;
use crate::store::sqlite::{OpenOptions, ProcessKind, SqliteStore};

pub(crate) const ACME: TenantId = TenantId::from_bytes([1; 16]);
pub(crate) const GLOBEX: TenantId = TenantId::from_bytes([2; 16]);

/// As a data directory must be.
pub(crate) fn private_dir() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o700)).tempdir().unwrap()
}

pub(crate) fn event() -> AuditEvent {
    AuditEvent {
        at_ms: 1_800_000_000_000,
        actor: Actor::System,
        action: Action::TenantChanged,
        subject: Subject::Tenant(ACME),
        tenant: Some(ACME),
        details: vec![(DetailKey::Name, "a \"name\", with\nall\tkinds: é".to_owned())],
        request_id: "request".to_owned(),
    }
}

pub(crate) fn tenant(id: TenantId, slug: &str) -> Tenant {
    Tenant {
        id,
        slug: slug.to_owned(),
        name: "Näme".to_owned(),
        status: TenantStatus::Active,
        key_prefix: "lk".to_owned(),
        llm_grants: LlmGrants::Required,
        namespaces: vec!["eu".to_owned(), "us".to_owned()],
        generation: Generation(i64::MIN),
        created_at_ms: 5,
    }
}

pub(crate) fn app(tenant: TenantId, id: u32) -> App {
    App {
        tenant,
        id: AppId::new(id).unwrap(),
        name: "Shop".to_owned(),
        description: "d".to_owned(),
        owner_email: "ops@acme.example".to_owned(),
        owner: UserId::new(9),
        active: true,
        monthly_budget: 12.5,
        rate_limit: 60,
        metadata: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
        host: crate::domain::HostState::default(),
        tools: vec![1, 2],
        datasources: Vec::new(),
        llms: vec![
            LlmGrant { id: LlmId::new(3).unwrap(), slug: Some("gpt".to_owned()) },
            LlmGrant { id: LlmId::new(u32::MAX).unwrap(), slug: None },
        ],
        generation: Generation(7),
    }
}

pub(crate) fn user(tenant: TenantId, id: u32) -> User {
    User {
        tenant,
        id: UserId::new(id).unwrap(),
        email: "ann@acme.example".to_owned(),
        name: "Ann".to_owned(),
        active: true,
        host: crate::domain::HostState::default(),
        metadata: BTreeMap::new(),
        generation: Generation(7),
    }
}

pub(crate) fn credential(tenant: TenantId, id: u8, created_at_ms: i64) -> Credential {
    Credential {
        id: CredentialId::from_bytes([id; 16]),
        tenant,
        app: AppId::new(7).unwrap(),
        user: UserId::new(9).unwrap(),
        label: "ci".to_owned(),
        environment: Environment::Test,
        scopes: vec!["chat".to_owned()],
        cidrs: vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
        not_before_ms: Some(1),
        expires_at_ms: Some(i64::MAX),
        status: Status::Active,
        replaces: None,
        replaced: None,
        decoy: false,
        verifier: Verifier {
            phc: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA".to_owned(),
            tag: Some(Tag([3; 32])),
            pepper: PepperFingerprint([4; 16]),
            prehash: None,
        },
        generation: Generation(11),
        row_mac: [5; 32],
        created_by: "local:0".to_owned(),
        created_at_ms,
        last_used_at_ms: None,
    }
}

/// What a row says, as text; secrets' sides have no comparison.
fn told(row: &Credential) -> String {
    format!("{row:?} {} {:?}", row.verifier.phc, row.verifier.tag.as_ref().map(|tag| tag.0))
}

fn furnished(store: &dyn Store) {
    store.tenants().create(&tenant(ACME, "acme"), event().into()).unwrap();
    store.tenants().create(&tenant(GLOBEX, "globex"), event().into()).unwrap();
    store.apps().add(&app(ACME, 7), event().into()).unwrap();
    store.users().add(&user(ACME, 9), event().into()).unwrap();
}

fn page<K>(limit: u32) -> Page<K> {
    Page { after: None, limit }
}

fn rows_come_back_as_they_went_in(store: &dyn Store) {
    furnished(store);
    assert_eq!(store.tenants().by_slug("acme").unwrap(), Some(tenant(ACME, "acme")));
    assert_eq!(store.tenants().by_id(GLOBEX).unwrap(), Some(tenant(GLOBEX, "globex")));
    assert_eq!(store.apps().by_id(ACME, AppId::new(7).unwrap()).unwrap(), Some(app(ACME, 7)));
    assert_eq!(store.users().by_id(ACME, UserId::new(9).unwrap()).unwrap(), Some(user(ACME, 9)));
    let mut row = credential(ACME, 1, 100);
    store.credentials().issue(&row, event().into()).unwrap();
    assert_eq!(told(&store.credentials().by_id(ACME, row.id).unwrap().unwrap()), told(&row));
    row.id = CredentialId::from_bytes([9; 16]);
    row.verifier.tag = None;
    row.status = Status::Revoked { at_ms: 5, reason: RevocationReason::Superseded };
    (row.not_before_ms, row.expires_at_ms) = (None, None);
    store.credentials().issue(&row, event().into()).unwrap();
    assert_eq!(told(&store.credentials().look_up(row.id).unwrap().row.unwrap()), told(&row));
}

fn what_is_not_there_is_none(store: &dyn Store) {
    furnished(store);
    let id = CredentialId::from_bytes([8; 16]);
    assert!(store.tenants().by_slug("none").unwrap().is_none());
    assert!(store.tenants().by_id(TenantId::from_bytes([9; 16])).unwrap().is_none());
    assert!(store.apps().by_id(ACME, AppId::MAX).unwrap().is_none());
    assert!(store.users().by_id(ACME, UserId::MAX).unwrap().is_none());
    assert!(store.credentials().by_id(ACME, id).unwrap().is_none());
    assert!(store.credentials().look_up(id).unwrap().row.is_none());
    assert!(store.operators().look_up(id).unwrap().is_none());
}

fn r3_what_is_another_tenants_reads_as_not_there_and_its_ids_are_taken(store: &dyn Store) {
    furnished(store);
    let (app_id, user_id) = (AppId::new(7).unwrap(), UserId::new(9).unwrap());
    store.credentials().issue(&credential(ACME, 1, 100), event().into()).unwrap();
    assert!(store.apps().by_id(GLOBEX, app_id).unwrap().is_none());
    assert!(store.users().by_id(GLOBEX, user_id).unwrap().is_none());
    assert!(store.credentials().by_id(GLOBEX, CredentialId::from_bytes([1; 16])).unwrap().is_none());
    assert_eq!(store.users().owner_of(user_id).unwrap(), Some(ACME), "by its host id alone");
    assert_eq!(store.users().owner_of(UserId::new(10).unwrap()).unwrap(), None);
    assert!(store.apps().list(GLOBEX, &page(10)).unwrap().is_empty());
    assert!(store.credentials().list_of(GLOBEX, user_id, &page(10)).unwrap().is_empty());
    assert!(store.credentials().list(GLOBEX, &page(10)).unwrap().is_empty());
    assert!(matches!(store.apps().add(&app(GLOBEX, 7), event().into()), Err(StoreError::Exists { .. })));
    assert!(matches!(store.users().add(&user(GLOBEX, 9), event().into()), Err(StoreError::Exists { .. })));
    assert!(matches!(store.apps().remove(GLOBEX, app_id, event()), Err(StoreError::Missing { .. })));
    assert!(matches!(store.users().remove(GLOBEX, user_id, event()), Err(StoreError::Missing { .. })));
    assert!(store.apps().update(&app(GLOBEX, 7), Generation(7), event()).is_err());
    let linked = store.credentials().linked(GLOBEX, app_id, user_id).unwrap().row;
    assert!(linked.tenant.is_some() && linked.app.is_none() && linked.user.is_none());
    let mut foreign = credential(GLOBEX, 2, 100);
    assert!(matches!(store.credentials().issue(&foreign, event().into()), Err(StoreError::Missing { what: "App" })));
    foreign.app = AppId::new(20).unwrap();
    store.apps().add(&app(GLOBEX, 20), event().into()).unwrap();
    assert!(matches!(store.credentials().issue(&foreign, event().into()), Err(StoreError::Missing { what: "User" })));
}

fn an_update_needs_the_generation_that_was_read(store: &dyn Store) {
    furnished(store);
    let conflict = |result: StoreResult<()>| matches!(result, Err(StoreError::Conflict { .. }));
    let stale = Generation(1);
    let mut changed = tenant(ACME, "acme");
    (changed.status, changed.generation) = (TenantStatus::Suspended, Generation(2));
    assert!(conflict(store.tenants().update(&changed, stale, event())));
    store.tenants().update(&changed, Generation(i64::MIN), event()).unwrap();
    assert_eq!(store.tenants().by_id(ACME).unwrap(), Some(changed));
    let mut changed = app(ACME, 7);
    (changed.llms, changed.generation) = (Vec::new(), Generation(8));
    assert!(conflict(store.apps().update(&changed, stale, event())));
    store.apps().update(&changed, Generation(7), event()).unwrap();
    assert_eq!(store.apps().by_id(ACME, changed.id).unwrap(), Some(changed));
    let mut changed = user(ACME, 9);
    (changed.active, changed.generation) = (false, Generation(8));
    assert!(conflict(store.users().update(&changed, stale, event())));
    store.users().update(&changed, Generation(7), event()).unwrap();
    assert_eq!(store.users().by_id(ACME, changed.id).unwrap(), Some(changed));
    let mut changed = credential(ACME, 1, 100);
    store.credentials().issue(&changed, event().into()).unwrap();
    changed.status = Status::Revoked { at_ms: 7, reason: RevocationReason::KeyCompromise };
    changed.generation = Generation(12);
    assert!(conflict(store.credentials().update(&changed, stale, event())));
    store.credentials().update(&changed, Generation(11), event()).unwrap();
    assert!(conflict(store.credentials().update(&changed, Generation(11), event())));
    assert_eq!(told(&store.credentials().by_id(ACME, changed.id).unwrap().unwrap()), told(&changed));
}

fn what_exists_is_not_made_again(store: &dyn Store) {
    furnished(store);
    assert!(matches!(
        store.tenants().create(&tenant(TenantId::from_bytes([3; 16]), "acme"), event().into()),
        Err(StoreError::Exists { .. })
    ));
    assert!(matches!(store.apps().add(&app(ACME, 7), event().into()), Err(StoreError::Exists { .. })));
    store.credentials().issue(&credential(ACME, 1, 100), event().into()).unwrap();
    assert!(matches!(
        store.credentials().issue(&credential(ACME, 1, 100), event().into()),
        Err(StoreError::Exists { .. })
    ));
    let nobody = TenantId::from_bytes([9; 16]);
    assert!(matches!(store.apps().add(&app(nobody, 30), event().into()), Err(StoreError::Missing { .. })));
    assert!(matches!(store.users().add(&user(nobody, 30), event().into()), Err(StoreError::Missing { .. })));
}

fn listings_are_ordered_and_go_on_after_a_key(store: &dyn Store) {
    furnished(store);
    for (id, at) in [(3, 200), (1, 300), (2, 200)] {
        store.credentials().issue(&credential(ACME, id, at), event().into()).unwrap();
    }
    let ids = |rows: Vec<Credential>| rows.iter().map(|row| row.id.as_bytes()[0]).collect::<Vec<_>>();
    assert_eq!(ids(store.credentials().list(ACME, &page(10)).unwrap()), [2, 3, 1]);
    let first = store.credentials().list(ACME, &page(1)).unwrap();
    let after = first.last().map(|row| (row.created_at_ms, row.id));
    assert_eq!(ids(store.credentials().list(ACME, &Page { after, limit: 1 }).unwrap()), [3]);
    for id in [5, 100] {
        store.apps().add(&app(ACME, id), event().into()).unwrap();
    }
    let apps = |after: Option<u32>| {
        let page = Page { after: after.and_then(AppId::new), limit: 2 };
        store.apps().list(ACME, &page).unwrap().iter().map(|app| app.id.get()).collect::<Vec<_>>()
    };
    assert_eq!((apps(None), apps(Some(7))), (vec![5, 7], vec![100]));
    let slugs = |after: Option<&str>| {
        let page = Page { after: after.map(str::to_owned), limit: 1 };
        store.tenants().list(&page).unwrap().into_iter().map(|tenant| tenant.slug).collect::<Vec<_>>()
    };
    assert_eq!(
        (slugs(None), slugs(Some("acme")), slugs(Some("globex"))),
        (vec!["acme".into()], vec!["globex".into()], vec![])
    );
}

fn a_removed_app_leaves_its_credentials_and_its_id_is_free(store: &dyn Store) {
    furnished(store);
    store.credentials().issue(&credential(ACME, 1, 100), event().into()).unwrap();
    let (app_id, user_id) = (AppId::new(7).unwrap(), UserId::new(9).unwrap());
    store.apps().remove(ACME, app_id, event()).unwrap();
    store.users().remove(ACME, user_id, event()).unwrap();
    assert!(matches!(store.apps().remove(ACME, app_id, event()), Err(StoreError::Missing { .. })));
    let linked = store.credentials().linked(ACME, app_id, user_id).unwrap().row;
    assert!(linked.tenant.is_some() && linked.app.is_none() && linked.user.is_none());
    assert!(store.credentials().look_up(CredentialId::from_bytes([1; 16])).unwrap().row.is_some());
    store.apps().add(&app(GLOBEX, 7), event().into()).unwrap();
}

fn e4_a_mutation_that_fails_leaves_neither_event_nor_change(store: &dyn Store) {
    furnished(store);
    let before = (store.audit().head().unwrap(), store.feed().position().unwrap());
    assert!(store.apps().add(&app(ACME, 7), event().into()).is_err());
    assert!(store.tenants().update(&tenant(ACME, "acme"), Generation(99), event()).is_err());
    assert!(store.credentials().issue(&credential(GLOBEX, 1, 1), event().into()).is_err());
    assert!(store.users().remove(GLOBEX, UserId::MAX, event()).is_err());
    assert_eq!((store.audit().head().unwrap(), store.feed().position().unwrap()), before);
}

fn the_trail_chains_and_pages(store: &dyn Store) {
    let first = store.audit().head().unwrap().map_or(0, |(sequence, _)| sequence);
    furnished(store);
    let all = store.audit().list(0, 100).unwrap();
    assert_eq!(all.len() as u64, first + 4);
    assert!(all.iter().enumerate().all(|(n, entry)| entry.sequence == n as u64 + 1));
    for pair in all.windows(2) {
        assert_eq!(pair[1].hash, chain::hash(&pair[0].hash, pair[1].sequence, &pair[1].event));
    }
    assert_eq!(all.last().unwrap().event, event());
    let page = store.audit().list(first + 1, 2).unwrap();
    assert_eq!(page.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [first + 2, first + 3]);
    assert_eq!(store.audit().head().unwrap(), all.last().map(|entry| (entry.sequence, entry.hash)));
}

fn r8_the_feed_tells_each_change_once_in_order(store: &dyn Store) {
    let start = store.feed().position().unwrap();
    assert_eq!(store.feed().news(start).unwrap(), News::Nothing);
    furnished(store);
    let News::Changes(changes) = store.feed().news(start).unwrap() else { panic!("there are news") };
    let subjects: Vec<Subject> = changes.iter().map(|change| change.subject).collect();
    let expected = [
        Subject::Tenant(ACME),
        Subject::Tenant(GLOBEX),
        Subject::App(AppId::new(7).unwrap()),
        Subject::User(UserId::new(9).unwrap()),
    ];
    assert_eq!(subjects, expected);
    assert!(changes.windows(2).all(|pair| pair[0].position < pair[1].position));
    let now = store.feed().position().unwrap();
    assert_eq!(changes.last().map(|change| change.position), Some(now));
    assert_eq!(store.feed().news(now).unwrap(), News::Nothing);
    // A row is read at the position of its own snapshot.
    assert_eq!(store.credentials().linked(ACME, AppId::MAX, UserId::MAX).unwrap().position, now);
    store.credentials().issue(&credential(ACME, 1, 1), event().into()).unwrap();
    let read = store.credentials().look_up(CredentialId::from_bytes([1; 16])).unwrap();
    assert_eq!(read.position, store.feed().position().unwrap());
}

fn operators_are_found_by_id_and_names_are_used_once(store: &dyn Store) {
    let operator = |id: u8, name: &str| Operator {
        certificate: None,
        id: CredentialId::from_bytes([id; 16]),
        name: name.to_owned(),
        role: Role::Issuer,
        tenants: vec![ACME, GLOBEX],
        verifier: credential(ACME, 1, 1).verifier,
        generation: Generation(3),
        row_mac: [6; 32],
        created_at_ms: 4,
        revoked_at_ms: Some(5),
    };
    store.operators().add(&operator(1, "ann"), event().into()).unwrap();
    store.operators().add(&operator(2, "bob"), event().into()).unwrap();
    assert!(matches!(store.operators().add(&operator(3, "ann"), event().into()), Err(StoreError::Exists { .. })));
    let found = store.operators().look_up(CredentialId::from_bytes([1; 16])).unwrap().unwrap();
    assert_eq!(format!("{found:?}"), format!("{:?}", operator(1, "ann")));
    assert_eq!(store.operators().list().unwrap().len(), 2);
    let with = |id: u8, name: &str, certificate: [u8; 32], revoked_at_ms| {
        let row = operator(id, name);
        Operator { certificate: Some(certificate), revoked_at_ms, role: Role::Owner, tenants: Vec::new(), ..row }
    };
    // A certificate is one operator's, until that one is revoked.
    let by = |certificate: [u8; 32]| store.operators().by_certificate(&certificate).unwrap().map(|row| row.name);
    store.operators().add(&with(4, "dan", [7; 32], None), event().into()).unwrap();
    assert_eq!((by([7; 32]).as_deref(), by([8; 32])), (Some("dan"), None));
    let taken = store.operators().add(&with(5, "eve", [7; 32], None), event().into());
    assert!(matches!(taken, Err(StoreError::Exists { what: "certificate" })), "{taken:?}");
    store.operators().add(&with(6, "fay", [9; 32], None), event().into()).unwrap();
    store.operators().revoke(&with(4, "dan", [7; 32], Some(9)), Generation(3), event()).unwrap();
    assert_eq!(by([7; 32]), None);
    store.operators().add(&with(5, "eve", [7; 32], None), event().into()).unwrap();
    assert_eq!(by([7; 32]).as_deref(), Some("eve"));
}

fn a_request_is_noted_with_what_it_made_or_not_at_all(store: &dyn Store) {
    let once = |hash: u8, resource: &str| {
        Some(Once { tenant: Some(ACME), method: "CreateTenant", hash: [hash; 32], resource: resource.to_owned() })
    };
    let find = |actor: &str, tenant, method: &str, request_id: &str| {
        let key = RequestKey { actor, tenant, method, request_id };
        store.requests().find(&key).unwrap()
    };
    let record = |once| Record { event: event(), once, room: None };
    store.tenants().create(&tenant(ACME, "acme"), record(once(1, "acme"))).unwrap();
    assert_eq!(find("system", Some(ACME), "CreateTenant", "request"), Some(([1; 32], "acme".to_owned())));
    for (actor, of, method, id) in [
        ("studio", Some(ACME), "CreateTenant", "request"),
        ("system", None, "CreateTenant", "request"),
        ("system", Some(GLOBEX), "CreateTenant", "request"),
        ("system", Some(ACME), "CreateApp", "request"),
        ("system", Some(ACME), "CreateTenant", "other"),
    ] {
        assert_eq!(find(actor, of, method, id), None);
    }
    let again = store.tenants().create(&tenant(GLOBEX, "globex"), record(once(2, "globex")));
    assert!(matches!(again, Err(StoreError::Exists { what: "request" })), "{again:?}");
    assert!(store.tenants().by_slug("globex").unwrap().is_none(), "nothing was made");
    let events = store.audit().list(0, 100).unwrap().len();
    let free = Some(Once { tenant: None, ..once(3, "acme").unwrap() });
    assert!(store.tenants().create(&tenant(ACME, "acme"), record(free)).is_err(), "the name is taken");
    assert_eq!(find("system", None, "CreateTenant", "request"), None, "and so nothing is noted");
    assert_eq!(store.audit().list(0, 100).unwrap().len(), events);
}

/// Makes one store of a kind and hands it to a test of the contract, with a way to listen to it.
trait Maker {
    fn with(run: impl FnOnce(&dyn Store, &dyn Fn(Arc<dyn CommitListener>)));
}

struct Fake;

impl Maker for Fake {
    fn with(run: impl FnOnce(&dyn Store, &dyn Fn(Arc<dyn CommitListener>))) {
        let store = FakeStore::default();
        run(&store, &|listener| store.set_listener(listener));
    }
}

struct Sqlite;

impl Maker for Sqlite {
    fn with(run: impl FnOnce(&dyn Store, &dyn Fn(Arc<dyn CommitListener>))) {
        let dir = private_dir();
        let options = OpenOptions {
            dev: true,
            kind: ProcessKind::Command,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        };
        let store = SqliteStore::create(dir.path(), "host", PepperFingerprint([4; 16]), &event(), options).unwrap();
        run(&store, &|listener| store.set_listener(listener));
    }
}

#[derive(Default)]
struct Heard(Mutex<Vec<Change>>);

impl CommitListener for Heard {
    fn committed(&self, changes: &[Change]) {
        self.0.lock().unwrap().extend_from_slice(changes);
    }
}

fn listeners_hear_of_a_commit_before_the_caller<M: Maker>() {
    M::with(|store, listen| {
        let heard = Arc::new(Heard::default());
        listen(Arc::clone(&heard) as _);
        store.tenants().create(&tenant(ACME, "acme"), event().into()).unwrap();
        let last = heard.0.lock().unwrap().last().copied().unwrap();
        assert_eq!(last.subject, Subject::Tenant(ACME));
        assert_eq!(last.position, store.feed().position().unwrap());
        assert!(store.tenants().create(&tenant(ACME, "acme"), event().into()).is_err());
        assert_eq!(heard.0.lock().unwrap().len(), 1, "nothing is told of what did not happen");
    });
}

macro_rules! suite {
    ($($test:ident)+) => {
        mod on_sqlite { use super::*;
            $(#[test] fn $test() { Sqlite::with(|store, _| super::$test(store)); })+
            #[test] fn listeners_hear_of_a_commit_before_the_caller() { super::listeners_hear_of_a_commit_before_the_caller::<Sqlite>(); }
        }
        mod on_fake { use super::*;
            $(#[test] fn $test() { Fake::with(|store, _| super::$test(store)); })+
            #[test] fn listeners_hear_of_a_commit_before_the_caller() { super::listeners_hear_of_a_commit_before_the_caller::<Fake>(); }
        }
    };
}

#[path = "suite_host_tests.rs"]
mod host;
use host::the_copy_of_a_hosts_directory_is_written_whole_or_not_at_all;

#[path = "suite_issuers_tests.rs"]
pub(crate) mod issuers;
use issuers::{
    an_issuer_comes_back_as_it_went_in_whatever_it_is_made_of, an_issuer_names_what_its_tenant_has,
    an_issuers_change_needs_the_generation_that_was_read_and_keeps_what_was_noted,
    every_change_of_an_issuer_is_told_of_itself_and_of_all, issuers_are_listed_oldest_first_and_there_are_not_too_many,
    kept_keys_go_with_their_issuer_and_with_where_they_came_from,
    r5_another_subject_key_is_taken_only_while_there_is_no_issuer,
    r16_a_subject_is_linked_at_its_first_use_once_and_for_good,
    r16_an_audience_of_an_issuer_is_one_tenants_and_others_rows_read_as_not_there,
    r16_an_iss_that_may_not_be_shared_is_one_tenants_whatever_was_read_before,
    the_last_issuer_of_a_name_takes_its_links_along,
};

#[path = "suite_lifecycle_tests.rs"]
mod lifecycle;
use lifecycle::{
    b3_a_rotation_writes_both_rows_or_neither, last_use_only_grows_and_is_neither_event_nor_change,
    room_is_counted_by_app_and_user_of_what_is_in_force,
};

#[path = "suite_links_tests.rs"]
mod links;
use links::{
    a_link_outlives_its_app_until_it_is_removed_and_every_change_is_told,
    links_are_found_by_whom_they_are_about_and_each_is_there_once, links_are_listed_oldest_first_and_by_issuer,
    r3_a_link_is_one_tenants_and_names_what_that_tenant_has,
    r5_another_subject_key_is_taken_only_while_there_is_no_link,
};

#[path = "suite_tokens_tests.rs"]
mod tokens;
use tokens::{
    a_key_that_nobody_named_is_a_conflict_and_only_its_retirement_ever_changes,
    a_token_and_its_parent_are_read_together_and_each_may_be_missing,
    a_token_comes_back_as_it_went_in_and_is_there_once, a_token_is_issued_only_for_the_parent_that_was_read,
    a_token_that_was_taken_back_stays_so_and_has_no_seal, r9_all_tokens_of_a_credential_go_with_its_generation_or_none,
    r15_a_rotation_ends_for_good_what_a_change_had_ended_and_a_change_in_the_grace_ends_all,
    r16_a_token_of_another_tenant_reads_as_not_there, tokens_are_listed_oldest_first,
    tokens_in_force_are_counted_and_those_of_long_ago_removed_a_few_at_a_time,
};

suite! {
    a_token_comes_back_as_it_went_in_and_is_there_once
    a_token_is_issued_only_for_the_parent_that_was_read
    a_token_and_its_parent_are_read_together_and_each_may_be_missing
    a_token_that_was_taken_back_stays_so_and_has_no_seal
    r9_all_tokens_of_a_credential_go_with_its_generation_or_none
    r15_a_rotation_ends_for_good_what_a_change_had_ended_and_a_change_in_the_grace_ends_all
    r16_a_token_of_another_tenant_reads_as_not_there
    tokens_are_listed_oldest_first
    tokens_in_force_are_counted_and_those_of_long_ago_removed_a_few_at_a_time
    a_key_that_nobody_named_is_a_conflict_and_only_its_retirement_ever_changes
    an_issuer_comes_back_as_it_went_in_whatever_it_is_made_of
    r16_an_audience_of_an_issuer_is_one_tenants_and_others_rows_read_as_not_there
    r16_a_subject_is_linked_at_its_first_use_once_and_for_good
    the_last_issuer_of_a_name_takes_its_links_along
    r16_an_iss_that_may_not_be_shared_is_one_tenants_whatever_was_read_before
    an_issuer_names_what_its_tenant_has
    an_issuers_change_needs_the_generation_that_was_read_and_keeps_what_was_noted
    every_change_of_an_issuer_is_told_of_itself_and_of_all
    issuers_are_listed_oldest_first_and_there_are_not_too_many
    kept_keys_go_with_their_issuer_and_with_where_they_came_from
    r5_another_subject_key_is_taken_only_while_there_is_no_issuer
    links_are_found_by_whom_they_are_about_and_each_is_there_once
    r3_a_link_is_one_tenants_and_names_what_that_tenant_has
    a_link_outlives_its_app_until_it_is_removed_and_every_change_is_told
    links_are_listed_oldest_first_and_by_issuer
    r5_another_subject_key_is_taken_only_while_there_is_no_link
    b3_a_rotation_writes_both_rows_or_neither
    room_is_counted_by_app_and_user_of_what_is_in_force
    last_use_only_grows_and_is_neither_event_nor_change
    the_copy_of_a_hosts_directory_is_written_whole_or_not_at_all
    rows_come_back_as_they_went_in
    what_is_not_there_is_none
    r3_what_is_another_tenants_reads_as_not_there_and_its_ids_are_taken
    an_update_needs_the_generation_that_was_read
    what_exists_is_not_made_again
    listings_are_ordered_and_go_on_after_a_key
    a_removed_app_leaves_its_credentials_and_its_id_is_free
    e4_a_mutation_that_fails_leaves_neither_event_nor_change
    the_trail_chains_and_pages
    r8_the_feed_tells_each_change_once_in_order
    operators_are_found_by_id_and_names_are_used_once
    a_request_is_noted_with_what_it_made_or_not_at_all
}
