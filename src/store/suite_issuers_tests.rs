//! The contract of issuers, for [`super`]'s stores.

use super::*;
use crate::domain::issuer::{ClaimPath, FirstUse, Half, Identity, KeySource, TokenRules, Waiver};
use crate::domain::{Algorithm, Issuer, IssuerId, Link, LinkId, SubjectHash, SubjectKeyFingerprint};
use crate::store::{IssuerPlace, KeptKeys, MOST_ISSUERS, MOST_OF_ISS, OTHERS_ISS, Sharing};

const ISS: &str = "https://id.example";

fn path(text: &str) -> ClaimPath {
    ClaimPath::parse(text).unwrap()
}

pub(crate) fn issuer(tenant: TenantId, id: u8, audience: &str) -> Issuer {
    Issuer {
        id: IssuerId::from_bytes([id; 16]),
        tenant,
        rules: TokenRules {
            iss: ISS.to_owned(),
            audiences: vec![audience.to_owned()],
            algorithms: vec![Algorithm::ES256, Algorithm::EdDSA],
            types: vec![String::new(), "at+jwt".to_owned()],
            leeway_s: 30,
            max_age_s: None,
            required: Vec::new(),
        },
        keys: KeySource::Url("https://id.example/keys".to_owned()),
        identity: Identity::Linked { first_use: None },
        scope_claim: path("scope"),
        strict: false,
        waivers: Vec::new(),
        active: true,
        created_by: "local:0".to_owned(),
        created_at_ms: 100,
        generation: Generation(i64::MIN),
        mac: [6; 32],
    }
}

/// One of each thing that an issuer may be made of.
fn kinds() -> Vec<Issuer> {
    let (app, user) = (AppId::new(7).unwrap(), UserId::new(9).unwrap());
    let fixed = Identity::Mapped { app: Half::Fixed(app), user: Half::Claim(path("https://acme.example/user.id")) };
    let claims = Identity::Mapped { app: Half::Claim(path("realm.app")), user: Half::Fixed(user) };
    let allow = vec![(path("groups"), "a \"quoted\", é".to_owned())];
    let first_use = Some(FirstUse { app, user, allow, cap: u32::MAX, until_ms: i64::MAX });
    let mut rows = vec![issuer(ACME, 1, "a"), issuer(ACME, 2, "b"), issuer(ACME, 3, "c"), issuer(ACME, 4, "d")];
    rows[0].identity = fixed;
    rows[0].rules.required = vec![path("realm_access.roles"), path("azp")];
    rows[1].identity = claims;
    rows[1].keys = KeySource::Keys("{\"keys\":[]}".to_owned());
    rows[1].strict = true;
    rows[1].rules.max_age_s = Some(u32::MAX);
    rows[2].identity = Identity::Linked { first_use };
    rows[2].keys = KeySource::Secret([0xa9; 32]);
    rows[2].rules.algorithms = vec![Algorithm::HS512];
    rows[2].rules.audiences.push("a second, \"quoted\"".to_owned());
    rows[3].active = false;
    rows[3].waivers = vec![Waiver { rule: "key_shared".to_owned(), owner: "ops@acme.example".to_owned(), until_ms: 7 }];
    rows
}

pub(super) fn an_issuer_comes_back_as_it_went_in_whatever_it_is_made_of(store: &dyn Store) {
    furnished(store);
    let issuers = store.issuers();
    for row in kinds() {
        issuers.add(&row, Sharing::Allowed, event().into()).unwrap();
        assert_eq!(issuers.by_id(ACME, row.id).unwrap().as_ref(), Some(&row));
    }
    let of_iss = issuers.by_iss(ISS).unwrap();
    assert_eq!(of_iss.position, store.feed().position().unwrap());
    for mut found in [of_iss.row, issuers.all().unwrap()] {
        found.sort_unstable_by_key(|row| row.id);
        assert_eq!(found, kinds());
    }
    for other in ["https://id.example/", "https://ID.example", "https://id.exampl", ""] {
        assert!(issuers.by_iss(other).unwrap().row.is_empty(), "the exact issuer: {other}");
    }
}

pub(super) fn r16_an_audience_of_an_issuer_is_one_tenants_and_others_rows_read_as_not_there(store: &dyn Store) {
    furnished(store);
    let issuers = store.issuers();
    let mine = issuer(ACME, 1, "gateway");
    issuers.add(&mine, Sharing::Allowed, event().into()).unwrap();
    let taken = |row: &Issuer| {
        matches!(issuers.add(row, Sharing::Allowed, event().into()), Err(StoreError::Exists { what: "issuer" }))
    };
    assert!(taken(&issuer(GLOBEX, 2, "gateway")) && taken(&issuer(ACME, 2, "gateway")));
    let mut one_of_two = issuer(GLOBEX, 2, "other");
    one_of_two.rules.audiences.push("gateway".to_owned());
    assert!(taken(&one_of_two));
    let theirs = issuer(GLOBEX, 2, "Gateway");
    issuers.add(&theirs, Sharing::Allowed, event().into()).unwrap();
    // Nor by a change; the audiences that are given up are free.
    let moved =
        Issuer { rules: TokenRules { audiences: vec!["gateway".to_owned()], ..theirs.rules.clone() }, ..theirs };
    let refused = issuers.update(&moved, moved.generation, Sharing::Allowed, event());
    assert!(matches!(refused, Err(StoreError::Exists { what: "issuer" })));
    let gives_up = TokenRules { audiences: vec!["third".to_owned()], ..mine.rules.clone() };
    issuers.update(&Issuer { rules: gives_up, ..mine.clone() }, mine.generation, Sharing::Allowed, event()).unwrap();
    issuers.update(&moved, moved.generation, Sharing::Allowed, event()).unwrap();
    assert_eq!(issuers.by_id(GLOBEX, moved.id).unwrap().as_ref(), Some(&moved));
    // What is another tenant's is not there.
    assert_eq!(issuers.by_id(ACME, moved.id).unwrap(), None);
    assert!(issuers.list(ACME, &page(10)).unwrap().iter().all(|row| row.id == mine.id));
    let stolen = Issuer { tenant: ACME, ..moved.clone() };
    assert!(matches!(
        issuers.update(&stolen, moved.generation, Sharing::Allowed, event()),
        Err(StoreError::Conflict { .. })
    ));
    assert!(matches!(issuers.remove(ACME, moved.id, event()), Err(StoreError::Missing { what: "issuer" })));
    assert_eq!(issuers.by_iss(ISS).unwrap().row.len(), 2);
    // A row that is gone leaves its audiences.
    issuers.remove(GLOBEX, moved.id, event()).unwrap();
    issuers.add(&issuer(ACME, 3, "gateway"), Sharing::Allowed, event().into()).unwrap();
}

pub(super) fn r16_an_iss_that_may_not_be_shared_is_one_tenants_whatever_was_read_before(store: &dyn Store) {
    furnished(store);
    let issuers = store.issuers();
    let others = |result| matches!(result, Err(StoreError::Exists { what }) if what == OTHERS_ISS);
    let mine = issuer(ACME, 1, "a");
    issuers.add(&mine, Sharing::Refused, event().into()).unwrap();
    issuers.add(&issuer(ACME, 2, "b"), Sharing::Refused, event().into()).unwrap();
    let theirs = issuer(GLOBEX, 3, "c");
    assert!(others(issuers.add(&theirs, Sharing::Refused, event().into())), "whatever its audience");
    assert_eq!(issuers.by_iss(ISS).unwrap().row.len(), 2);
    issuers.add(&theirs, Sharing::Allowed, event().into()).unwrap();
    for row in [&mine, &theirs] {
        assert!(others(issuers.update(row, row.generation, Sharing::Refused, event())));
        issuers.update(row, row.generation, Sharing::Allowed, event()).unwrap();
    }
    let mut elsewhere = issuer(GLOBEX, 4, "a");
    elsewhere.rules.iss = "https://id.example/".to_owned();
    issuers.add(&elsewhere, Sharing::Refused, event().into()).unwrap();
}

pub(super) fn an_issuer_names_what_its_tenant_has(store: &dyn Store) {
    furnished(store);
    let issuers = store.issuers();
    let [fixed_app, fixed_user, first_use] = [0, 1, 2].map(|n| Issuer { tenant: GLOBEX, ..kinds()[n].clone() });
    for (row, missing) in [(&fixed_app, "App"), (&fixed_user, "User"), (&first_use, "App")] {
        let refused = issuers.add(row, Sharing::Allowed, event().into());
        assert!(matches!(refused, Err(StoreError::Missing { what }) if what == missing), "{missing}");
    }
    let nowhere = issuer(TenantId::from_bytes([9; 16]), 1, "a");
    assert!(matches!(
        issuers.add(&nowhere, Sharing::Allowed, event().into()),
        Err(StoreError::Missing { what: "tenant" })
    ));
    assert!(issuers.all().unwrap().is_empty());
    // It outlives them, and can still be switched off.
    let row = kinds()[0].clone();
    issuers.add(&row, Sharing::Allowed, event().into()).unwrap();
    store.apps().remove(ACME, AppId::new(7).unwrap(), event()).unwrap();
    issuers.update(&Issuer { active: false, ..row.clone() }, row.generation, Sharing::Allowed, event()).unwrap();
    assert!(!issuers.by_id(ACME, row.id).unwrap().unwrap().active);
}

pub(super) fn an_issuers_change_needs_the_generation_that_was_read_and_keeps_what_was_noted(store: &dyn Store) {
    furnished(store);
    let issuers = store.issuers();
    let row = issuer(ACME, 1, "a");
    issuers.add(&row, Sharing::Allowed, event().into()).unwrap();
    let [_, _, other, _] = kinds().try_into().unwrap();
    let change = Issuer {
        generation: Generation(5),
        created_by: "somebody".to_owned(),
        created_at_ms: 1,
        id: row.id,
        ..Issuer { active: false, strict: true, ..other }
    };
    assert!(matches!(
        issuers.update(&change, Generation(4), Sharing::Allowed, event()),
        Err(StoreError::Conflict { what: "issuer" })
    ));
    let elsewhere = TokenRules { iss: "https://other.example".to_owned(), ..change.rules.clone() };
    let elsewhere = Issuer { rules: elsewhere, ..change.clone() };
    assert!(matches!(
        issuers.update(&elsewhere, row.generation, Sharing::Allowed, event()),
        Err(StoreError::Conflict { .. })
    ));
    assert_eq!(issuers.by_id(ACME, row.id).unwrap(), Some(row.clone()));
    issuers.update(&change, row.generation, Sharing::Allowed, event()).unwrap();
    let expected = Issuer { created_by: row.created_by, created_at_ms: row.created_at_ms, ..change };
    assert_eq!(issuers.by_id(ACME, row.id).unwrap(), Some(expected));
}

pub(super) fn every_change_of_an_issuer_is_told_of_itself_and_of_all(store: &dyn Store) {
    furnished(store);
    let issuers = store.issuers();
    let row = issuer(ACME, 1, "a");
    let before = (store.feed().position().unwrap(), store.audit().list(0, 100).unwrap().len());
    issuers.add(&row, Sharing::Allowed, event().into()).unwrap();
    issuers.update(&Issuer { active: false, ..row.clone() }, row.generation, Sharing::Allowed, event()).unwrap();
    issuers.remove(ACME, row.id, event()).unwrap();
    assert!(matches!(issuers.remove(ACME, row.id, event()), Err(StoreError::Missing { what: "issuer" })));
    assert_eq!(issuers.by_id(ACME, row.id).unwrap(), None);
    assert_eq!(store.audit().list(0, 100).unwrap().len(), before.1 + 3);
    let News::Changes(changes) = store.feed().news(before.0).unwrap() else { panic!("there are news") };
    let subjects: Vec<Subject> = changes.iter().map(|change| change.subject).collect();
    let told = [[Subject::Issuer(row.id), Subject::Issuers].repeat(3), vec![Subject::Links]].concat();
    assert_eq!(subjects, told, "a removal also of the links that go with it");
}

pub(super) fn issuers_are_listed_oldest_first_and_there_are_not_too_many(store: &dyn Store) {
    furnished(store);
    let issuers = store.issuers();
    for (id, created_at_ms) in [(3, 200), (1, 300), (2, 200), (4, 100)] {
        issuers
            .add(&Issuer { created_at_ms, ..issuer(ACME, id, &id.to_string()) }, Sharing::Allowed, event().into())
            .unwrap();
    }
    let ids = |after: Option<IssuerPlace>, limit| {
        let rows = issuers.list(ACME, &Page { after, limit }).unwrap();
        rows.iter().map(|row| row.id.as_bytes()[0]).collect::<Vec<_>>()
    };
    assert_eq!(ids(None, 10), [4, 2, 3, 1]);
    assert_eq!(ids(Some((200, IssuerId::from_bytes([2; 16]))), 1), [3]);
    let mut id = 5;
    let mut fill = |tenant, iss: &str| {
        id += 1;
        let mut row = issuer(tenant, id, &id.to_string());
        row.rules.iss = iss.to_owned();
        issuers.add(&row, Sharing::Allowed, event().into())
    };
    for _ in 4..MOST_ISSUERS {
        fill(ACME, "https://other.example").unwrap();
    }
    assert!(matches!(fill(ACME, "https://third.example"), Err(StoreError::Full { what: "issuers" })));
    for _ in MOST_ISSUERS - 4..MOST_OF_ISS {
        fill(GLOBEX, "https://other.example").unwrap();
    }
    assert!(matches!(fill(GLOBEX, "https://other.example"), Err(StoreError::Full { what: "issuers" })));
    fill(GLOBEX, "https://third.example").unwrap();
}

pub(super) fn kept_keys_go_with_their_issuer_and_with_where_they_came_from(store: &dyn Store) {
    furnished(store);
    let issuers = store.issuers();
    let row = issuer(ACME, 1, "a");
    let kept = |n: i64| KeptKeys { jwks: format!("{{\"keys\":[{n}]}}"), fetched_at_ms: n, mac: [8; 32] };
    issuers.keep_keys(row.id, &kept(1)).unwrap();
    assert_eq!(issuers.keys_of(row.id).unwrap(), None, "of no issuer");
    issuers.add(&row, Sharing::Allowed, event().into()).unwrap();
    let before = (store.feed().position().unwrap(), store.audit().list(0, 100).unwrap().len());
    for n in [1, 2] {
        issuers.keep_keys(row.id, &kept(n)).unwrap();
        assert_eq!(issuers.keys_of(row.id).unwrap(), Some(kept(n)));
    }
    let after = (store.feed().position().unwrap(), store.audit().list(0, 100).unwrap().len());
    assert_eq!(before, after, "neither an act nor a change");
    issuers.update(&Issuer { strict: true, ..row.clone() }, row.generation, Sharing::Allowed, event()).unwrap();
    assert_eq!(issuers.keys_of(row.id).unwrap(), Some(kept(2)));
    let url = KeySource::Url("https://id.example/other".to_owned());
    issuers.update(&Issuer { keys: url, ..row.clone() }, row.generation, Sharing::Allowed, event()).unwrap();
    assert_eq!(issuers.keys_of(row.id).unwrap(), None);
    issuers.keep_keys(row.id, &kept(3)).unwrap();
    issuers.remove(ACME, row.id, event()).unwrap();
    assert_eq!(issuers.keys_of(row.id).unwrap(), None);
    issuers.keep_keys(row.id, &kept(4)).unwrap();
    assert_eq!(issuers.keys_of(row.id).unwrap(), None);
}

pub(super) fn r5_another_subject_key_is_taken_only_while_there_is_no_issuer(store: &dyn Store) {
    furnished(store);
    let key = |byte| SubjectKeyFingerprint([byte; 16]);
    store.links().set_key(key(1), event()).unwrap();
    let row = issuer(ACME, 1, "a");
    store.issuers().add(&row, Sharing::Allowed, event().into()).unwrap();
    assert!(store.links().any().unwrap(), "what is under the key is there");
    assert!(matches!(store.links().set_key(key(2), event()), Err(StoreError::Conflict { .. })));
    store.issuers().remove(ACME, row.id, event()).unwrap();
    store.links().set_key(key(2), event()).unwrap();
}

fn first_link(id: u8, subject: u8) -> Link {
    Link {
        tenant: ACME,
        id: LinkId::from_bytes([id; 16]),
        issuer: ISS.to_owned(),
        subject: SubjectHash([subject; 32]),
        app: AppId::new(7).unwrap(),
        user: UserId::new(9).unwrap(),
        created_at_ms: 100,
        generation: Generation(1),
        mac: [6; 32],
    }
}

pub(super) fn r16_a_subject_is_linked_at_its_first_use_once_and_for_good(store: &dyn Store) {
    furnished(store);
    let row = issuer(ACME, 1, "a");
    store.issuers().add(&row, Sharing::Refused, event().into()).unwrap();
    let (links, of) = (store.links(), (row.id, row.generation));
    let add = |link: &Link, of, cap| links.add_first(link, of, cap, event());
    let other = (row.id, Generation(5));
    assert!(matches!(add(&first_link(1, 1), other, 2), Err(StoreError::Conflict { what: "issuer" })), "as it was read");
    assert!(links.may_be_first(row.id, SubjectHash([1; 32]), 2).unwrap());
    add(&first_link(1, 1), of, 2).unwrap();
    assert!(!links.may_be_first(row.id, SubjectHash([1; 32]), 2).unwrap());
    assert!(matches!(add(&first_link(2, 1), of, 2), Err(StoreError::Exists { what: "link" })));
    links.remove(ACME, LinkId::from_bytes([1; 16]), event()).unwrap();
    assert!(matches!(add(&first_link(2, 1), of, 2), Err(StoreError::Exists { what: "link" })), "taken out for good");
    add(&first_link(3, 2), of, 2).unwrap();
    assert!(!links.may_be_first(row.id, SubjectHash([3; 32]), 2).unwrap(), "what was taken out counts too");
    assert!(matches!(add(&first_link(4, 3), of, 2), Err(StoreError::Full { .. })));
    // Not by an issuer that is new either; an admin may.
    store.issuers().remove(ACME, row.id, event()).unwrap();
    let again = issuer(ACME, 2, "a");
    store.issuers().add(&again, Sharing::Refused, event().into()).unwrap();
    let failed = add(&first_link(5, 1), (again.id, again.generation), 9);
    assert!(matches!(failed, Err(StoreError::Exists { what: "link" })), "{failed:?}");
    links.add(&first_link(5, 1), event().into()).unwrap();
    let off = Issuer { active: false, generation: Generation(2), ..again.clone() };
    store.issuers().update(&off, again.generation, Sharing::Refused, event()).unwrap();
    assert!(matches!(add(&first_link(6, 6), (off.id, off.generation), 9), Err(StoreError::Conflict { .. })));
}

pub(super) fn the_last_issuer_of_a_name_takes_its_links_along(store: &dyn Store) {
    furnished(store);
    for row in [issuer(ACME, 1, "a"), issuer(ACME, 2, "b")] {
        store.issuers().add(&row, Sharing::Refused, event().into()).unwrap();
    }
    let other = Link { issuer: "https://other.example".to_owned(), ..first_link(2, 2) };
    for link in [&first_link(1, 1), &other] {
        store.links().add(link, event().into()).unwrap();
    }
    let left = || store.links().list(ACME, None, &Page { after: None, limit: 9 }).unwrap().len();
    store.issuers().remove(ACME, IssuerId::from_bytes([1; 16]), event()).unwrap();
    assert_eq!(left(), 2, "another row vouches for them");
    let before = store.feed().position().unwrap();
    store.issuers().remove(ACME, IssuerId::from_bytes([2; 16]), event()).unwrap();
    assert_eq!(left(), 1);
    let News::Changes(changes) = store.feed().news(before).unwrap() else { panic!("there are news") };
    assert!(changes.iter().any(|change| change.subject == Subject::Links));
}
