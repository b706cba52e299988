//! Issuers, over the store in memory and a provider that says what a test wants.

use std::path::Path;
use std::sync::{Arc, Mutex};

use super::tests::{World, new_app, new_user, world};
use super::*;
use crate::clock::{Clock as _, SystemEntropy};
use crate::domain::event::Actor;
use crate::domain::issuer::{ClaimPath, FirstUse, Half, Identity, KeySource, TokenRules, Waiver};
use crate::domain::{Algorithm, AppId, Issuer, IssuerId, Role, TenantStatus, UserId};
use crate::secret::Secret;
use crate::store::{IssuerPlace, Page, Store as _};
use crate::verify::issuer_secret;
use crate::verify::subject::SubjectKey;

const ISS: &str = "https://id.example/realms/acme";
const URL: &str = "https://id.example/keys";
/// RFC 7515 section A.3, and RFC 7517 section A.1.
const JWKS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"a","use":"sig","x5c":["ignored"],
  "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
const OTHER_JWKS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"b",
  "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;
const DAY_MS: i64 = 86_400_000;

/// What the provider answers, and what it was asked.
struct Provider {
    keys: Mutex<Result<&'static str, &'static str>>,
    jwks_uri: Mutex<Result<&'static str, &'static str>>,
    asked: Mutex<Vec<String>>,
}

impl IssuerKeysSource for Provider {
    fn fetch(&self, url: &str, _: crate::domain::TenantId) -> Result<Vec<u8>, &'static str> {
        self.asked.lock().unwrap().push(url.to_owned());
        self.keys.lock().unwrap().map(|keys| keys.as_bytes().to_vec())
    }
    fn discover(&self, iss: &str, _: crate::domain::TenantId) -> Result<Discovered, &'static str> {
        self.asked.lock().unwrap().push(format!("discover {iss}"));
        self.jwks_uri.lock().unwrap().map(|uri| Discovered { jwks_uri: uri.to_owned() })
    }
}

struct Trusting {
    world: World,
    provider: Arc<Provider>,
    admin: Admin,
    dir: tempfile::TempDir,
}

impl Trusting {
    fn backend(&self) -> Backend {
        let backend = self.world.backend.clone().with_subject_key(self.dir.path().join("subject.key"));
        let backend = backend.with_issuer_rules(vec!["https://latchkey.example".to_owned()], false);
        backend.with_issuer_keys(Arc::clone(&self.provider) as _).with_issuer_secrets(self.dir.path().to_owned())
    }

    fn by(&self, role: Role, slug: Option<&str>) -> Admin {
        let scope = slug.map_or(Scope::All, |slug| Scope::Tenants(vec![self.world.admin.tenant(slug).unwrap().id]));
        self.backend().admin(Caller::new(Actor::Studio, role, scope))
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.provider.asked.lock().unwrap())
    }

    fn last_event(&self) -> AuditEvent {
        self.world.store.audit().list(0, 1_000).unwrap().pop().unwrap().event
    }
}

fn trusting() -> Trusting {
    let (world, dir) = (world(), tempfile::tempdir().unwrap());
    let key = SubjectKey::create(&dir.path().join("subject.key"), &SystemEntropy).unwrap();
    world.admin.set_subject_key(key.fingerprint()).unwrap();
    let provider =
        Arc::new(Provider { keys: Mutex::new(Ok(JWKS)), jwks_uri: Mutex::new(Ok(URL)), asked: Mutex::default() });
    let admin = world.backend.admin(Caller::unbound_owner(Actor::Local { uid: 1000 }));
    let mut trusting = Trusting { world, provider, admin, dir };
    trusting.admin = trusting.backend().admin(Caller::unbound_owner(Actor::Local { uid: 1000 }));
    trusting
}

fn app(id: u32) -> AppId {
    AppId::new(id).unwrap()
}

fn user(id: u32) -> UserId {
    UserId::new(id).unwrap()
}

fn path(text: &str) -> ClaimPath {
    ClaimPath::parse(text).unwrap()
}

fn new(audience: &str, keys: NewKeys) -> NewIssuer {
    NewIssuer {
        rules: TokenRules {
            iss: ISS.to_owned(),
            audiences: vec![audience.to_owned()],
            algorithms: vec![Algorithm::ES256],
            types: vec!["at+jwt".to_owned()],
            leeway_s: 30,
            max_age_s: Some(3_600),
            required: Vec::new(),
        },
        keys,
        identity: Identity::Mapped { app: Half::Fixed(app(7)), user: Half::Claim(path("sub")) },
        scope_claim: path("scope"),
        strict: false,
        waivers: Vec::new(),
        require_keys: false,
    }
}

fn url() -> NewKeys {
    NewKeys::Url(URL.to_owned())
}

fn first() -> Page<IssuerPlace> {
    Page { after: None, limit: 100 }
}

fn rules_of(error: AdminResult<JudgedIssuer>) -> Vec<&'static str> {
    match error {
        Err(AdminError::Policy(findings)) => findings.iter().map(|finding| finding.rule).collect(),
        other => panic!("{:?}", other.map(|judged| judged.state)),
    }
}

fn value(event: &AuditEvent, key: DetailKey) -> Option<&str> {
    event.details.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str())
}

#[test]
fn an_issuer_is_added_with_its_keys_listed_checked_and_removed() {
    let trusting = trusting();
    let Trusting { world, admin, .. } = &trusting;
    let made = admin.add_issuer("acme", &new("gateway", url())).unwrap();
    assert_eq!((made.state, made.findings.len()), (IssuerState::Active, 0), "{:?}", made.findings);
    let id = made.issuer.id;
    let listed = admin.list_issuers("acme", first()).unwrap().rows;
    assert_eq!((&listed[0].issuer, listed[0].state), (&made.issuer, IssuerState::Active));
    assert_eq!(admin.issuer("acme", id).unwrap().issuer, made.issuer);
    // What was fetched is kept, so that the first token need not wait.
    let kept = world.store.issuers().keys_of(id).unwrap().unwrap();
    let key = SubjectKey::load(&trusting.dir.path().join("subject.key")).unwrap();
    assert!(kept.jwks == JWKS && key.are_genuine_keys(id, URL, &kept));
    let event = trusting.last_event();
    assert_eq!((event.action, event.subject), (Action::IssuerAdded, Subject::Issuer(id)));
    let told = [DetailKey::Issuer, DetailKey::Algorithms, DetailKey::Keys].map(|key| value(&event, key));
    assert_eq!(told, [Some(ISS), Some("ES256"), Some("jwks_url https://id.example/keys")]);
    assert_eq!((value(&event, DetailKey::App), value(&event, DetailKey::Waivers)), (Some("7"), None));
    let checked = admin.check_issuer("acme", id).unwrap();
    assert!(checked.passed() && checked.keys_error.is_none());
    assert_eq!((checked.keys[0].kid.as_deref(), checked.keys[0].kind.as_str()), (Some("a"), "P-256"));
    admin.remove_issuer("acme", id).unwrap();
    assert_eq!(trusting.last_event().action, Action::IssuerRemoved);
    assert!(matches!(admin.remove_issuer("acme", id), Err(AdminError::NotFound { what: "issuer", .. })));
    assert!(matches!(admin.issuer("acme", id), Err(AdminError::NotFound { what: "issuer", .. })));
}

#[test]
fn what_the_linter_refuses_is_not_added_and_a_waiver_has_an_owner_an_end_and_its_place_in_the_trail() {
    let trusting = trusting();
    let Trusting { world, admin, provider, .. } = &trusting;
    let mut draft = new("gateway", url());
    draft.rules.leeway_s = 61;
    draft.rules.algorithms.push(Algorithm::HS256);
    let error = admin.add_issuer("acme", &draft).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("hmac_mixed: ") && text.contains("(RFC 8725 sections 2.1 and 3.1)"), "{text}");
    assert!(text.contains("leeway: "), "{text}");
    assert!(world.store.issuers().all().unwrap().is_empty());
    let reserved = NewIssuer {
        rules: TokenRules { iss: "https://latchkey.example".to_owned(), ..new("x", url()).rules },
        ..new("x", url())
    };
    assert_eq!(rules_of(admin.add_issuer("acme", &reserved)), ["reserved_issuer"]);
    // The keys are looked at too.
    *provider.keys.lock().unwrap() = Ok(r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#);
    assert_eq!(rules_of(admin.add_issuer("acme", &new("gateway", url()))), ["private_key"]);
    *provider.keys.lock().unwrap() = Ok(JWKS);
    let mut draft = new("gateway", url());
    draft.rules.types = vec![String::new()];
    assert_eq!(rules_of(admin.add_issuer("acme", &draft)), ["type_absent_accepted"]);
    let now = world.clock.wall_ms();
    let waiver = |rule: &str, owner: &str, days: i64| Waiver {
        rule: rule.to_owned(),
        owner: owner.to_owned(),
        until_ms: now + days * DAY_MS,
    };
    for wrong in [
        waiver("hmac_mixed", "ops", 1),
        waiver("anything", "ops", 1),
        waiver("type_absent_accepted", " ", 1),
        waiver("type_absent_accepted", "ops", 0),
        waiver("type_absent_accepted", "ops", 367),
    ] {
        draft.waivers = vec![wrong];
        let refused = admin.add_issuer("acme", &draft);
        assert!(matches!(refused, Err(AdminError::Invalid { field: "waivers", .. })), "{:?}", draft.waivers);
    }
    draft.waivers = vec![waiver("type_absent_accepted", "ops@acme.example", 30)];
    let made = admin.add_issuer("acme", &draft).unwrap();
    assert_eq!(made.findings[0].severity, crate::jwt::lint::Severity::Waived);
    let told = trusting.last_event();
    let expected = format!(r#"["type_absent_accepted:ops@acme.example:{}"]"#, now + 30 * DAY_MS);
    assert_eq!(value(&told, DetailKey::Waivers), Some(expected.as_str()));
    // It ends, and what it was for holds again; the issuer can still be switched off.
    world.clock.advance(std::time::Duration::from_secs(30 * 86_400));
    assert_eq!(admin.issuer("acme", made.issuer.id).unwrap().state, IssuerState::PolicyRefused);
    assert!(!admin.check_issuer("acme", made.issuer.id).unwrap().passed());
    let strict = IssuerChanges { strict: Some(true), ..IssuerChanges::default() };
    assert_eq!(rules_of(admin.set_issuer("acme", made.issuer.id, &strict))[0], "type_absent_accepted");
    let off = IssuerChanges { active: Some(false), ..IssuerChanges::default() };
    assert_eq!(admin.set_issuer("acme", made.issuer.id, &off).unwrap().state, IssuerState::Inactive);
}

#[test]
fn a_provider_that_is_down_is_said_and_refused_only_where_that_is_asked() {
    let trusting = trusting();
    let Trusting { admin, provider, .. } = &trusting;
    *provider.keys.lock().unwrap() = Err("it does not answer");
    let required = NewIssuer { require_keys: true, ..new("gateway", url()) };
    let refused = admin.add_issuer("acme", &required);
    assert!(matches!(refused, Err(AdminError::IssuerKeys("it does not answer"))));
    let made = admin.add_issuer("acme", &new("gateway", url())).unwrap();
    assert_eq!(made.findings[0].rule, "keys_unknown");
    assert!(made.findings[0].text.contains("it does not answer"));
    let checked = admin.check_issuer("acme", made.issuer.id).unwrap();
    assert!(!checked.passed() && checked.keys_error == Some("it does not answer"));
    let change = IssuerChanges { require_keys: true, strict: Some(true), ..IssuerChanges::default() };
    assert!(matches!(admin.set_issuer("acme", made.issuer.id, &change), Err(AdminError::IssuerKeys(_))));
    trusting.asked();
    let off = IssuerChanges { active: Some(false), ..IssuerChanges::default() };
    admin.set_issuer("acme", made.issuer.id, &off).unwrap();
    let more = IssuerChanges {
        active: Some(false),
        leeway_s: Some(5),
        keys: Some(NewKeys::Url("https://id.example/others".to_owned())),
        ..IssuerChanges::default()
    };
    admin.set_issuer("acme", made.issuer.id, &more).unwrap();
    let discover = IssuerChanges { keys: Some(NewKeys::Discover), ..IssuerChanges::default() };
    let refused = admin.set_issuer("acme", made.issuer.id, &discover);
    assert!(matches!(refused, Err(AdminError::Invalid { field: "discover", .. })));
    assert!(trusting.asked().is_empty(), "nobody is waited for to switch one off");
    let on = IssuerChanges { active: Some(true), ..IssuerChanges::default() };
    assert_eq!(admin.set_issuer("acme", made.issuer.id, &on).unwrap().findings[0].rule, "keys_unknown");
    assert_eq!(trusting.asked(), ["https://id.example/others"], "what is switched on is looked at");
    *provider.jwks_uri.lock().unwrap() = Err("no discovery document");
    let refused = admin.add_issuer("acme", &new("other", NewKeys::Discover));
    assert!(matches!(refused, Err(AdminError::IssuerKeys("no discovery document"))));
}

#[test]
fn r16_who_is_bound_to_a_tenant_trusts_the_keys_of_the_discovery_document_alone() {
    let trusting = trusting();
    let Trusting { admin, .. } = &trusting;
    let bound = trusting.by(Role::Owner, Some("acme"));
    let forbidden = |result: AdminResult<JudgedIssuer>| {
        matches!(result, Err(AdminError::Forbidden { needs: "the role owner, bound to no tenant" }))
    };
    let secret = || NewKeys::Secret(Secret::new(vec![7; 32]));
    for keys in [url(), NewKeys::Jwks(JWKS.to_owned()), secret()] {
        assert!(forbidden(bound.add_issuer("acme", &new("gateway", keys))));
    }
    let until_ms = trusting.world.clock.wall_ms() + 1;
    let waivers = vec![Waiver { rule: "key_shared".to_owned(), owner: "ops".to_owned(), until_ms }];
    let waived = NewIssuer { waivers, ..new("gateway", NewKeys::Discover) };
    assert!(forbidden(bound.add_issuer("acme", &waived)));
    assert!(trusting.asked().is_empty(), "nothing is asked for who may not");
    let made = bound.add_issuer("acme", &new("gateway", NewKeys::Discover)).unwrap().issuer;
    assert_eq!(made.keys, KeySource::Url(URL.to_owned()));
    assert_eq!(trusting.asked(), [format!("discover {ISS}"), URL.to_owned()]);
    // Nor by a change.
    for keys in [url(), NewKeys::Jwks(JWKS.to_owned()), secret()] {
        let change = IssuerChanges { keys: Some(keys), ..IssuerChanges::default() };
        assert!(forbidden(bound.set_issuer("acme", made.id, &change)));
    }
    let change = IssuerChanges { waivers: Some(waived.waivers), ..IssuerChanges::default() };
    assert!(forbidden(bound.set_issuer("acme", made.id, &change)));
    let change = IssuerChanges { keys: Some(NewKeys::Discover), strict: Some(true), ..IssuerChanges::default() };
    bound.set_issuer("acme", made.id, &change).unwrap();
    // An issuer that another tenant has, and more of its audiences, are an unbound owner's to give.
    let theirs = trusting.by(Role::Owner, Some("globex"));
    let draft = NewIssuer { identity: Identity::Linked { first_use: None }, ..new("theirs", NewKeys::Discover) };
    let unreachable = |result: AdminResult<JudgedIssuer>| matches!(result, Err(AdminError::IssuerKeys(UNREACHABLE)));
    trusting.asked();
    assert!(unreachable(theirs.add_issuer("globex", &draft)));
    assert_eq!(trusting.asked(), [format!("discover {ISS}"), URL.to_owned()], "after the same work");
    let shared = admin.add_issuer("globex", &draft).unwrap().issuer;
    let more = |aud: &str| IssuerChanges {
        audiences: Some(vec!["theirs".to_owned(), aud.to_owned()]),
        ..IssuerChanges::default()
    };
    trusting.asked();
    assert!(unreachable(theirs.set_issuer("globex", shared.id, &more("third"))));
    assert_eq!(trusting.asked(), [URL.to_owned()]);
    admin.set_issuer("globex", shared.id, &more("third")).unwrap();
    let fewer = IssuerChanges { audiences: Some(vec!["theirs".to_owned()]), ..IssuerChanges::default() };
    theirs.set_issuer("globex", shared.id, &fewer).unwrap();
    // And an audience is one tenant's, whoever asks; whose is not said.
    let taken = admin.add_issuer("globex", &NewIssuer { rules: new("gateway", url()).rules, ..draft });
    let text = taken.unwrap_err().to_string();
    assert!(text.contains("exists already") && !text.contains("acme "), "{text}");
    assert!(matches!(admin.set_issuer("globex", shared.id, &more("gateway")), Err(AdminError::Exists { .. })));
}

#[test]
fn f1_an_issuer_is_an_owners_and_of_their_tenants() {
    let trusting = trusting();
    let Trusting { world, admin, .. } = &trusting;
    let id = admin.add_issuer("acme", &new("gateway", url())).unwrap().issuer.id;
    let change = IssuerChanges { strict: Some(true), ..IssuerChanges::default() };
    for role in [Role::Issuer, Role::Auditor] {
        for scope in [None, Some("acme")] {
            let by = trusting.by(role, scope);
            let forbidden = |error: Option<AdminError>| matches!(error, Some(AdminError::Forbidden { .. }));
            assert!(forbidden(by.add_issuer("acme", &new("x", NewKeys::Discover)).err()), "{role:?}");
            assert!(forbidden(by.set_issuer("acme", id, &change).err()), "{role:?}");
            assert!(forbidden(by.remove_issuer("acme", id).err()), "{role:?}");
            assert!(forbidden(by.may_switch_issuer("acme", id).err()), "{role:?}");
            assert!(forbidden(by.check_issuer("acme", id).err()), "{role:?}");
            assert_eq!(by.issuer("acme", id).unwrap().issuer.id, id, "{role:?} reads");
        }
    }
    let portal = trusting.backend().admin(Caller::portal(user(9), world.admin.tenant("acme").unwrap().id));
    assert!(matches!(portal.list_issuers("acme", first()), Err(AdminError::Forbidden { .. })));
    let theirs = trusting.by(Role::Owner, Some("globex"));
    let missing = |error: Option<AdminError>| matches!(error, Some(AdminError::NotFound { what: "issuer", .. }));
    assert!(missing(theirs.issuer("globex", id).err()) && missing(theirs.remove_issuer("globex", id).err()));
    assert!(
        missing(theirs.set_issuer("globex", id, &change).err()) && missing(theirs.check_issuer("globex", id).err())
    );
    assert!(matches!(theirs.issuer("acme", id), Err(AdminError::NotFound { what: "tenant", .. })));
    // What it names must be the tenant's.
    world.admin.add_app("globex", &new_app(20)).unwrap();
    let identities = [
        (Identity::Mapped { app: Half::Fixed(app(20)), user: Half::Claim(path("sub")) }, "App"),
        (Identity::Mapped { app: Half::Claim(path("app")), user: Half::Fixed(user(99)) }, "User"),
    ];
    for (identity, what) in identities {
        let added = admin.add_issuer("acme", &NewIssuer { identity: identity.clone(), ..new("y", url()) });
        assert!(matches!(added, Err(AdminError::NotFound { what: found, .. }) if found == what), "{what}");
        let change = IssuerChanges { identity: Some(identity), ..IssuerChanges::default() };
        let changed = admin.set_issuer("acme", id, &change);
        assert!(matches!(changed, Err(AdminError::NotFound { what: found, .. }) if found == what), "{what}");
    }
    world.admin.set_tenant_status("acme", TenantStatus::Suspended).unwrap();
    assert!(matches!(admin.add_issuer("acme", &new("z", url())), Err(AdminError::Suspended(_))));
    admin.remove_issuer("acme", id).unwrap();
}

#[test]
fn r4_a_row_of_somebody_elses_making_counts_for_nothing_and_nothing_is_sealed_on_top_of_it() {
    let trusting = trusting();
    let Trusting { world, admin, dir, .. } = &trusting;
    let id = admin.add_issuer("acme", &new("gateway", url())).unwrap().issuer.id;
    trusting.asked();
    world.store.tamper_issuer(id, |row| row.keys = KeySource::Url("https://evil.example/keys".to_owned()));
    assert_eq!(admin.issuer("acme", id).unwrap().state, IssuerState::Forged);
    let checked = admin.check_issuer("acme", id).unwrap();
    assert!(!checked.passed() && checked.judged.state == IssuerState::Forged);
    assert!(trusting.asked().is_empty(), "what somebody else wrote says not where we ask");
    let change = IssuerChanges { active: Some(false), ..IssuerChanges::default() };
    assert!(matches!(admin.set_issuer("acme", id, &change), Err(AdminError::IssuerForged(_))));
    // Without the key nothing is believed, added or changed, and it can still be removed.
    std::fs::remove_file(dir.path().join("subject.key")).unwrap();
    assert_eq!(admin.issuer("acme", id).unwrap().state, IssuerState::KeyMissing);
    assert!(matches!(admin.set_issuer("acme", id, &change), Err(AdminError::SubjectKey(_))));
    assert!(matches!(admin.add_issuer("acme", &new("x", url())), Err(AdminError::SubjectKey(_))));
    assert!(trusting.asked().is_empty());
    admin.remove_issuer("acme", id).unwrap();
}

#[test]
fn a_change_names_its_fields_needs_its_etag_and_drops_keys_of_another_place() {
    let trusting = trusting();
    let Trusting { world, admin, .. } = &trusting;
    let made = admin.add_issuer("acme", &new("gateway", url())).unwrap().issuer;
    let nothing = admin.set_issuer("acme", made.id, &IssuerChanges::default()).unwrap();
    assert_eq!(nothing.issuer, made, "nothing changed is no change");
    let first_use = FirstUse {
        app: app(7),
        user: user(9),
        allow: vec![(path("groups"), "ops".to_owned())],
        cap: 3,
        until_ms: world.clock.wall_ms() + DAY_MS,
    };
    let change = IssuerChanges {
        audiences: Some(vec!["other".to_owned()]),
        algorithms: Some(vec![Algorithm::ES256, Algorithm::EdDSA]),
        types: Some(vec!["jwt".to_owned()]),
        leeway_s: Some(5),
        max_age_s: Some(None),
        required: Some(vec![path("azp")]),
        keys: Some(NewKeys::Jwks(OTHER_JWKS.to_owned())),
        identity: Some(Identity::Linked { first_use: Some(first_use) }),
        scope_claim: Some(path("scp")),
        strict: Some(true),
        waivers: None,
        active: Some(false),
        require_keys: false,
        etag: Some(made.generation),
    };
    let changed = admin.set_issuer("acme", made.id, &change).unwrap();
    assert_eq!((changed.state, changed.issuer.rules.leeway_s), (IssuerState::Inactive, 5));
    assert!(matches!(admin.set_issuer("acme", made.id, &change), Err(AdminError::Stale { .. })));
    assert_eq!(admin.issuer("acme", made.id).unwrap().issuer, changed.issuer);
    assert_eq!(world.store.issuers().keys_of(made.id).unwrap(), None, "of the place before");
    let told = trusting.last_event();
    let fields = "audiences,algorithms,types,leeway_seconds,max_age_seconds,required_claims,identity,scope_claim,strict,\
                  active,keys";
    assert_eq!((told.action, value(&told, DetailKey::Fields)), (Action::IssuerChanged, Some(fields)));
    let KeySource::Keys(kept) = &changed.issuer.keys else { panic!("a set was given") };
    assert!(kept.contains("MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4") && !kept.contains('\n'));
    // What does not fit is refused with its field.
    let long = "x".repeat(513);
    let refused = |change: IssuerChanges| match admin.set_issuer("acme", made.id, &change) {
        Err(AdminError::Invalid { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    let with = IssuerChanges::default;
    assert_eq!(refused(IssuerChanges { audiences: Some(vec![long.clone()]), ..with() }), "audiences");
    assert_eq!(refused(IssuerChanges { audiences: Some(vec!["a".to_owned(); 2]), ..with() }), "audiences");
    assert_eq!(refused(IssuerChanges { types: Some(vec!["a\nb".to_owned()]), ..with() }), "types");
    assert_eq!(refused(IssuerChanges { max_age_s: Some(Some(0)), ..with() }), "max_age_seconds");
    assert_eq!(refused(IssuerChanges { required: Some(vec![path("a"); 17]), ..with() }), "required_claims");
    assert_eq!(refused(IssuerChanges { scope_claim: Some(ClaimPath(vec![long])), ..with() }), "scope_claim");
    let secret = NewKeys::Secret(Secret::new(vec![7; 32]));
    assert_eq!(refused(IssuerChanges { keys: Some(secret), ..with() }), "keys");
}

#[test]
fn a_key_of_another_issuer_is_found_wherever_it_lies() {
    let trusting = trusting();
    let Trusting { admin, provider, .. } = &trusting;
    admin.add_issuer("acme", &new("gateway", url())).unwrap();
    // Another audience of the same issuer is no other issuer.
    admin.add_issuer("acme", &new("second", url())).unwrap();
    let of = |iss: &str, keys| NewIssuer {
        rules: TokenRules { iss: iss.to_owned(), ..new("x", url()).rules },
        identity: Identity::Linked { first_use: None },
        ..new("x", keys)
    };
    let other = "https://other.example";
    assert_eq!(rules_of(admin.add_issuer("globex", &of(other, url()))), ["key_shared"]);
    let elsewhere = || NewKeys::Url("https://other.example/keys".to_owned());
    let mapped = NewIssuer { identity: new("x", url()).identity, ..of(other, elsewhere()) };
    assert_eq!(rules_of(admin.add_issuer("acme", &mapped)), ["key_shared"], "by the kept keys");
    // What is kept of another tenant's was looked at by nobody; what was pasted, somebody answers for.
    admin.add_issuer("globex", &of(other, elsewhere())).unwrap();
    let third = NewKeys::Jwks(OTHER_JWKS.to_owned());
    assert_eq!(rules_of(admin.add_issuer("globex", &of("https://third.example", url()))), ["key_shared"], "by the URL");
    admin.add_issuer("globex", &NewIssuer { keys: third, ..of("https://third.example", url()) }).unwrap();
    *provider.keys.lock().unwrap() = Ok(OTHER_JWKS);
    let fourth = NewKeys::Url("https://fourth.example/keys".to_owned());
    let fourth = NewIssuer { identity: mapped.identity, ..of("https://fourth.example", fourth) };
    assert_eq!(rules_of(admin.add_issuer("acme", &fourth)), ["key_shared"], "by the pasted keys");
}

#[test]
fn r16_who_comes_later_keeps_nobody_out_whatever_they_publish() {
    let trusting = trusting();
    let Trusting { world, admin, provider, .. } = &trusting;
    let bound = trusting.by(Role::Owner, Some("acme"));
    let mine = bound.add_issuer("acme", &new("gateway", NewKeys::Discover)).unwrap().issuer;
    world.clock.advance(std::time::Duration::from_secs(1));
    // The other tenant's provider has a key of its own when it is added, and then publishes what is ours.
    *provider.keys.lock().unwrap() = Ok(OTHER_JWKS);
    *provider.jwks_uri.lock().unwrap() = Ok("https://evil.example/keys");
    let theirs = NewIssuer {
        rules: TokenRules { iss: "https://evil.example".to_owned(), ..new("x", url()).rules },
        identity: Identity::Linked { first_use: None },
        ..new("x", NewKeys::Discover)
    };
    let theirs = trusting.by(Role::Owner, Some("globex")).add_issuer("globex", &theirs).unwrap().issuer;
    let kept = world.store.issuers().keys_of(mine.id).unwrap().unwrap();
    world.store.issuers().keep_keys(theirs.id, &kept).unwrap();
    *provider.keys.lock().unwrap() = Ok(JWKS);
    let set = |changes: IssuerChanges| bound.set_issuer("acme", mine.id, &changes).map(|judged| judged.state);
    assert_eq!(set(IssuerChanges { strict: Some(true), ..IssuerChanges::default() }).unwrap(), IssuerState::Active);
    assert!(bound.check_issuer("acme", mine.id).unwrap().passed());
    for active in [false, true] {
        set(IssuerChanges { active: Some(active), ..IssuerChanges::default() }).unwrap();
    }
    // Nor by the URL, or by keys that somebody pasted: the younger yields.
    let change = IssuerChanges { keys: Some(NewKeys::Url(URL.to_owned())), ..IssuerChanges::default() };
    assert_eq!(rules_of(admin.set_issuer("globex", theirs.id, &change)), ["key_shared"]);
    for keys in [KeySource::Url(URL.to_owned()), KeySource::Keys(JWKS.to_owned())] {
        world.store.tamper_issuer(theirs.id, |row| row.keys = keys);
        assert!(bound.check_issuer("acme", mine.id).unwrap().passed());
    }
    world.store.tamper_issuer(theirs.id, |row| row.keys = theirs.keys.clone());
    let theirs = trusting.by(Role::Owner, Some("globex")).check_issuer("globex", theirs.id).unwrap().judged;
    assert!(theirs.findings.is_empty(), "what is kept of another tenant tells nothing: {:?}", theirs.findings);
}

fn secret_file(dir: &Path, id: IssuerId) -> std::path::PathBuf {
    issuer_secret::path(dir, id)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test compares what lies there")]
fn a_secret_comes_in_on_the_stores_machine_lies_beside_the_store_and_goes_with_its_issuer() {
    let trusting = trusting();
    let Trusting { world, admin, dir, .. } = &trusting;
    let bytes = b"0123456789-fedcba9876543210-unusual".to_vec();
    let with_secret = |bytes: &[u8], algorithms: &[Algorithm]| {
        let mut new = new("gateway", NewKeys::Secret(Secret::new(bytes.to_vec())));
        new.rules.algorithms = algorithms.to_vec();
        new
    };
    let hs256 = |bytes: &[u8]| with_secret(bytes, &[Algorithm::HS256]);
    // Over a wire nothing has a secret in it, and an operator who is no local caller has no way to give one.
    let remote = trusting.by(Role::Owner, None);
    let refused = remote.add_issuer("acme", &hs256(&bytes));
    assert!(matches!(refused, Err(AdminError::Invalid { field: "secret", .. })));
    assert_eq!(rules_of(admin.add_issuer("acme", &hs256(b"too short"))), ["hmac_short"]);
    assert_eq!(rules_of(admin.add_issuer("acme", &hs256(&[b'x'; 64]))), ["hmac_guessable"]);
    assert_eq!(rules_of(admin.add_issuer("acme", &with_secret(&bytes, &[Algorithm::HS512]))), ["hmac_short"]);
    let left = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(left, 1, "nothing lies there of what was refused");
    let made = admin.add_issuer("acme", &hs256(&bytes)).unwrap().issuer;
    let path = secret_file(dir.path(), made.id);
    assert_eq!(issuer_secret::load(dir.path(), made.id).unwrap().expose(), bytes);
    let everything = format!("{:?} {:?}", world.store.issuers().all(), world.store.audit().list(0, 1_000));
    let text = String::from_utf8(bytes.clone()).unwrap();
    assert!(!everything.contains(&text) && !everything.contains(&crate::domain::hex::encode(&bytes)));
    let checked = admin.check_issuer("acme", made.id).unwrap();
    assert!(checked.passed() && checked.keys[0].thumbprint.is_none(), "{checked:?}");
    assert_eq!(checked.keys[0].kind, "secret 280");
    // Another secret in its place is not taken for it.
    std::fs::write(&path, b"another-secret-of-a-good-length-0123").unwrap();
    let checked = admin.check_issuer("acme", made.id).unwrap();
    assert!(!checked.passed() && checked.keys_error.unwrap().contains("not the one"));
    // Where the store has no room for the row, nothing of it stays.
    world.store.fail(crate::store::fake::Fault::Writes);
    let mut second = hs256(&bytes);
    second.rules.audiences = vec!["second".to_owned()];
    assert!(admin.add_issuer("acme", &second).is_err());
    world.store.heal();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    admin.remove_issuer("acme", made.id).unwrap();
    assert!(!path.exists());
}

#[test]
fn r18_a_repeated_request_is_the_same_issuer_and_asks_its_provider_nothing() {
    let trusting = trusting();
    let asked = |request_hash| {
        let (request_id, owner) = ("r-1".to_owned(), Caller::unbound_owner(Actor::Local { uid: 1 }));
        let admin = trusting.backend().admin(Caller { request_id, request_hash, ..owner });
        admin.add_issuer("acme", &new("gateway", url()))
    };
    let made = asked([1; 32]).unwrap().issuer.id.to_string();
    trusting.asked();
    assert!(matches!(asked([1; 32]), Err(AdminError::Replayed { resource }) if resource == made));
    assert!(matches!(asked([2; 32]), Err(AdminError::RequestReused { .. })));
    assert!(trusting.asked().is_empty());
}

#[test]
fn r16_links_at_the_first_use_have_a_list_a_cap_and_an_end() {
    let trusting = trusting();
    let Trusting { world, admin, .. } = &trusting;
    let now = world.clock.wall_ms();
    let with = |change: fn(&mut FirstUse, i64)| {
        let mut first = FirstUse {
            app: app(7),
            user: user(9),
            allow: vec![(path("groups"), "ops".to_owned())],
            cap: 3,
            until_ms: now + DAY_MS,
        };
        change(&mut first, now);
        NewIssuer { identity: Identity::Linked { first_use: Some(first) }, ..new("gateway", url()) }
    };
    assert_eq!(rules_of(admin.add_issuer("acme", &with(|f, _| f.allow.clear()))), ["first_use_open"]);
    assert_eq!(rules_of(admin.add_issuer("acme", &with(|f, _| f.allow[0].0 = path("email")))), ["first_use_email"]);
    let wrong: [fn(&mut FirstUse, i64); 5] = [
        |f, _| f.cap = 0,
        |f, _| f.cap = u32::MAX,
        |f, now| f.until_ms = now,
        |f, now| f.until_ms = now + 367 * DAY_MS,
        |f, _| f.allow[0].1.clear(),
    ];
    for change in wrong {
        let refused = admin.add_issuer("acme", &with(change));
        assert!(matches!(refused, Err(AdminError::Invalid { field: "first_use", .. })));
    }
    let foreign = admin.add_issuer("acme", &with(|f, _| f.user = user(99)));
    assert!(matches!(foreign, Err(AdminError::NotFound { what: "User", .. })));
    world.admin.add_user("acme", &new_user(10)).unwrap();
    let made: Issuer = admin.add_issuer("acme", &with(|f, _| f.user = user(10))).unwrap().issuer;
    assert_eq!(made.identity.fixed(), (Some(app(7)), Some(user(10))));
}
