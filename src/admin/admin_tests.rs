use std::sync::Arc;

use super::*;
use crate::clock::{ManualClock, SystemEntropy};
use crate::domain::credential::RevocationReason;
use crate::domain::event::Actor;
use crate::domain::{AppId, CredentialId, Environment, LlmGrant, LlmGrants, LlmId, Status, TenantStatus, UserId};
use crate::secret::Secret;
use crate::store::Page;
use crate::store::Store as _;
use crate::store::fake::{FakeStore, Fault};
use crate::verify::argon;
use crate::verify::keyring::Keyring;
use crate::verify::tag::Tagger;

pub(super) struct World {
    pub(super) store: Arc<FakeStore>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) tagger: Arc<Tagger>,
    pub(super) admin: Admin,
    pub(super) backend: Backend,
}

fn app_id(id: u32) -> AppId {
    AppId::new(id).unwrap()
}

fn user_id(id: u32) -> UserId {
    UserId::new(id).unwrap()
}

fn new_tenant(slug: &str) -> NewTenant {
    let (slug, name, key_prefix) = (slug.to_owned(), String::new(), "lk".to_owned());
    NewTenant { slug, name, key_prefix, llm_grants: LlmGrants::Required, namespaces: Vec::new() }
}

pub(super) fn new_app(id: u32) -> NewApp {
    NewApp {
        id: app_id(id),
        name: "Shop".to_owned(),
        description: String::new(),
        owner_email: "ops@acme.example".to_owned(),
        owner: None,
        active: true,
        monthly_budget: 0.0,
        rate_limit: 0,
        metadata: std::collections::BTreeMap::default(),
        llms: vec![LlmGrant { id: LlmId::new(3).unwrap(), slug: None }],
    }
}

pub(super) fn new_user(id: u32) -> NewUser {
    let (email, name) = ("ann@acme.example".to_owned(), "Ann".to_owned());
    NewUser { id: user_id(id), email, name, active: true, metadata: std::collections::BTreeMap::default() }
}

pub(super) fn request() -> IssueRequest {
    IssueRequest {
        app: app_id(7),
        user: user_id(9),
        label: "ci".to_owned(),
        environment: Environment::Live,
        scopes: Vec::new(),
        cidrs: Vec::new(),
        not_before_ms: None,
        expires_at_ms: None,
        decoy: false,
        cost: argon::DEFAULT_COST,
    }
}

pub(super) fn world() -> World {
    let store = Arc::new(FakeStore::default());
    let clock = Arc::new(ManualClock::at(1_800_000_000_000));
    let tagger = Arc::new(Tagger::new(&Secret::new(vec![7; 32])).unwrap());
    let parts = (Arc::clone(&store) as _, Arc::new(Keyring::single(Arc::clone(&tagger))), Arc::clone(&clock) as _);
    let backend = Backend::new(parts.0, parts.1, parts.2, Arc::new(SystemEntropy), LlmGrants::Required);
    let admin = backend.admin(Caller::unbound_owner(Actor::Local { uid: 1000 }));
    admin.create_tenant(&new_tenant("acme")).unwrap();
    admin.create_tenant(&new_tenant("globex")).unwrap();
    admin.add_app("acme", &new_app(7)).unwrap();
    admin.add_user("acme", &new_user(9)).unwrap();
    World { store, clock, tagger, admin, backend }
}

fn actions(world: &World) -> Vec<Action> {
    world.store.audit().list(0, 1_000).unwrap().into_iter().map(|entry| entry.event.action).collect()
}

#[test]
fn r3_a_host_id_belongs_to_one_tenant_and_reads_as_absent_to_others() {
    let world = world();
    let again = world.admin.add_app("globex", &new_app(7)).unwrap_err();
    assert!(matches!(again, AdminError::Claimed { what: "App", id: 7 }), "{again}");
    assert!(matches!(world.admin.add_user("globex", &new_user(9)), Err(AdminError::Claimed { .. })));
    let foreign = world.admin.app("globex", app_id(7)).unwrap_err().to_string();
    let unknown = world.admin.app("globex", app_id(8)).unwrap_err().to_string();
    assert_eq!(foreign.replace('7', "N"), unknown.replace('8', "N"));
    assert!(world.admin.issue_key("globex", &request()).is_err());
    world.admin.remove_app("acme", app_id(7)).unwrap();
    world.admin.add_app("globex", &new_app(7)).unwrap();
}

#[test]
fn e4_every_change_leaves_its_event_and_none_leaves_nothing() {
    let world = world();
    let changes = AppChanges { active: Some(false), ..AppChanges::default() };
    world.admin.set_app("acme", app_id(7), &changes).unwrap();
    world.admin.set_app("acme", app_id(7), &changes).unwrap();
    world.admin.set_tenant_status("acme", TenantStatus::Suspended).unwrap();
    world.admin.set_tenant_status("acme", TenantStatus::Suspended).unwrap();
    let expected = [
        Action::TenantCreated,
        Action::TenantCreated,
        Action::AppAdded,
        Action::UserAdded,
        Action::AppChanged,
        Action::TenantSuspended,
    ];
    assert_eq!(actions(&world), expected);
    world.store.fail(Fault::Writes);
    assert!(world.admin.set_tenant_status("acme", TenantStatus::Active).is_err());
    world.store.heal();
    assert_eq!(world.admin.tenant("acme").unwrap().status, TenantStatus::Suspended, "nothing was changed");
}

#[test]
fn r4_a_row_mac_follows_each_change_and_is_never_put_over_a_forged_row() {
    let world = world();
    let issued = world.admin.issue_key("acme", &request()).unwrap().credential;
    let revoked = world.admin.revoke_key(issued.id, RevocationReason::KeyCompromise).unwrap();
    let row = world.admin.key(issued.id).unwrap();
    assert!(matches!(row.status, Status::Revoked { reason: RevocationReason::KeyCompromise, .. }));
    assert_eq!(row.row_mac, world.tagger.credential_mac(&row));
    assert_ne!(row.generation, issued.generation);
    assert!(!revoked.already);
    let forged = world.admin.issue_key("acme", &request()).unwrap().credential;
    world.store.tamper(forged.id, |row| row.app = app_id(8));
    let refused = world.admin.revoke_key(forged.id, RevocationReason::Unspecified);
    assert!(matches!(refused, Err(AdminError::Forged(_))));
}

#[test]
fn a_second_revocation_changes_nothing() {
    let world = world();
    let id = world.admin.issue_key("acme", &request()).unwrap().credential.id;
    world.admin.revoke_key(id, RevocationReason::KeyCompromise).unwrap();
    world.clock.advance(std::time::Duration::from_secs(60));
    let again = world.admin.revoke_key(id, RevocationReason::Superseded).unwrap();
    assert!(again.already);
    assert_eq!(
        again.credential.status,
        Status::Revoked { at_ms: 1_800_000_000_000, reason: RevocationReason::KeyCompromise }
    );
    let unknown = CredentialId::from_bytes([1; 16]);
    assert!(matches!(world.admin.revoke_key(unknown, RevocationReason::Unspecified), Err(AdminError::NotFound { .. })));
}

#[test]
fn what_does_not_fit_is_refused_with_its_field() {
    let world = world();
    let now = world.admin.now_ms();
    let field = |result: AdminResult<Issued>| match result {
        Err(AdminError::Invalid { field, .. }) => field,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("issued"),
    };
    let with = |change: fn(&mut IssueRequest, i64)| {
        let mut wanted = request();
        change(&mut wanted, now);
        field(world.admin.issue_key("acme", &wanted))
    };
    assert_eq!(with(|r, _| r.label = "x".repeat(201)), "label");
    assert_eq!(with(|r, _| r.label = "a\u{1b}[31m".to_owned()), "label");
    assert_eq!(with(|r, _| r.scopes = vec!["a b".to_owned()]), "scope");
    assert_eq!(with(|r, _| r.scopes = vec![String::new()]), "scope");
    assert_eq!(with(|r, _| r.cidrs = vec!["10.1.2.3/8".parse().unwrap()]), "cidr");
    assert_eq!(with(|r, now| r.expires_at_ms = Some(now)), "expires");
    assert_eq!(with(|r, now| (r.expires_at_ms, r.not_before_ms) = (Some(now + 5), Some(now + 5))), "not-before");
    assert_eq!(with(|r, _| r.cost.passes = 1), "argon2");
    let mut over = request();
    over.cost.memory_kib = 1 << 30;
    assert!(matches!(world.admin.issue_key("acme", &over), Err(AdminError::Hash(_))));
    let mut tenant = new_tenant("Bad");
    assert!(matches!(world.admin.create_tenant(&tenant.clone()), Err(AdminError::Invalid { field: "tenant", .. })));
    tenant.slug = "good".to_owned();
    tenant.key_prefix = "lkop".to_owned();
    assert!(matches!(world.admin.create_tenant(&tenant), Err(AdminError::Invalid { field: "key-prefix", .. })));
    assert!(matches!(world.admin.create_tenant(&new_tenant("acme")), Err(AdminError::Exists { .. })));
}

#[test]
fn a_suspended_tenant_issues_nothing() {
    let world = world();
    world.admin.set_tenant_status("acme", TenantStatus::Suspended).unwrap();
    assert!(matches!(world.admin.issue_key("acme", &request()), Err(AdminError::Suspended(_))));
}

#[test]
fn listings_go_on_past_a_page_and_show_each_row_once() {
    let world = world();
    for id in 100..1_203 {
        world.admin.add_user("acme", &new_user(id)).unwrap();
    }
    for limit in [1_000, 7, 500] {
        let (mut ids, mut page, mut pages) = (Vec::new(), Page { after: None, limit }, 0);
        loop {
            let listed = world.admin.list_users("acme", page.clone()).unwrap();
            assert!(listed.rows.len() <= limit as usize);
            ids.extend(listed.rows.iter().map(|user| user.id.get()));
            pages += 1;
            if listed.next.is_none() {
                break;
            }
            page.after = listed.next;
        }
        assert_eq!((ids.len(), pages), (1_104, 1_104_usize.div_ceil(limit as usize)), "{limit}");
        assert!(ids.is_sorted_by(|a, b| a < b));
    }
}

#[test]
fn r18_the_first_operator_is_an_unbound_owner_whose_token_is_no_key() {
    let world = world();
    let issued = world.admin.add_owner("owner").unwrap();
    assert_eq!((issued.operator.role.as_str(), issued.operator.tenants.len()), ("owner", 0));
    assert_eq!(issued.operator.row_mac, world.tagger.operator_mac(&issued.operator));
    assert!(world.admin.add_owner("owner").is_err(), "a name is used once");
}
