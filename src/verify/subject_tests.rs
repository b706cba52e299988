use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::clock::SystemEntropy;
use crate::domain::issuer::Waiver;
use crate::domain::{Algorithm, CredentialId, Generation, JtiHash, LinkId};

const ACME: TenantId = TenantId::from_bytes([2; 16]);
const GLOBEX: TenantId = TenantId::from_bytes([9; 16]);

fn key(byte: u8) -> SubjectKey {
    SubjectKey::new(&Secret::new(vec![byte; KEY_LEN])).unwrap()
}

fn row() -> Link {
    Link {
        tenant: ACME,
        id: LinkId::from_bytes([1; 16]),
        issuer: "https://id.example".to_owned(),
        subject: SubjectHash([3; 32]),
        app: AppId::new(7).unwrap(),
        user: UserId::new(9).unwrap(),
        created_at_ms: 1,
        generation: Generation(42),
        mac: [0; 32],
    }
}

#[test]
fn r5_a_subject_hash_is_of_one_tenant_one_issuer_and_one_key() {
    let hash = key(1).hash(ACME, "https://id.example", "ann");
    assert_eq!(hash, key(1).hash(ACME, "https://id.example", "ann"));
    let others = [
        key(1).hash(GLOBEX, "https://id.example", "ann"),
        key(1).hash(ACME, "https://id.example/", "ann"),
        key(1).hash(ACME, "https://id.example", "Ann"),
        key(1).hash(ACME, "https://id.exampl", "eann"),
        key(2).hash(ACME, "https://id.example", "ann"),
    ];
    assert!(others.iter().all(|other| *other != hash));
}

#[test]
fn r4_a_links_mac_covers_each_thing_that_the_row_asserts() {
    let sealed = Link { mac: key(1).link_mac(&row()), ..row() };
    assert!(key(1).is_genuine(&sealed));
    let changes: [fn(&mut Link); 8] = [
        |r| r.tenant = GLOBEX,
        |r| r.id = LinkId::from_bytes([9; 16]),
        |r| r.issuer.push('/'),
        |r| r.subject = SubjectHash([4; 32]),
        |r| r.app = AppId::new(8).unwrap(),
        |r| r.user = UserId::new(10).unwrap(),
        |r| r.generation = Generation(43),
        |r| r.mac[31] ^= 1,
    ];
    for (n, change) in changes.iter().enumerate() {
        let mut edited = sealed.clone();
        change(&mut edited);
        assert!(!key(1).is_genuine(&edited), "{n}");
    }
    assert!(!key(2).is_genuine(&sealed));
}

#[test]
fn r5_a_subject_key_is_made_once_and_never_taken_for_another() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    let load = |known| SubjectKey::load_known(&path, known).map(|key| key.fingerprint());
    let other = key(1).fingerprint();
    assert!(matches!(load(Some(other)), Err(SubjectKeyError::Missing { .. })) && !path.exists(), "and not made up");
    let made = SubjectKey::create(&path, &SystemEntropy).unwrap().fingerprint();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(load(Some(made)).unwrap(), made);
    assert!(matches!(load(None), Err(SubjectKeyError::Unmade)));
    assert!(matches!(load(Some(other)), Err(SubjectKeyError::Wrong { .. })));
    let again = SubjectKey::create(&path, &SystemEntropy);
    assert!(matches!(again, Err(SubjectKeyError::File(PepperError::Exists { .. }))));
    assert_eq!(load(Some(made)).unwrap(), made, "the first one is untouched");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(load(Some(made)), Err(SubjectKeyError::File(PepperError::Exposed { .. }))));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    for bad in ["", "abc", &"g".repeat(64), &"a".repeat(63), &"a".repeat(128)] {
        std::fs::write(&path, bad).unwrap();
        assert!(matches!(load(Some(made)), Err(SubjectKeyError::Malformed { .. })), "{bad:?}");
    }
}

fn path(text: &str) -> ClaimPath {
    ClaimPath::parse(text).unwrap()
}

fn issuer() -> Issuer {
    let (app, user) = (AppId::new(7).unwrap(), UserId::new(9).unwrap());
    let first_use = FirstUse { app, user, allow: vec![(path("groups"), "ops".to_owned())], cap: 5, until_ms: 6 };
    Issuer {
        id: IssuerId::from_bytes([1; 16]),
        tenant: ACME,
        rules: TokenRules {
            iss: "https://id.example".to_owned(),
            audiences: vec!["gateway".to_owned()],
            algorithms: vec![Algorithm::ES256],
            types: vec!["at+jwt".to_owned()],
            leeway_s: 30,
            max_age_s: Some(3_600),
            required: vec![path("a.b")],
        },
        keys: KeySource::Url("https://id.example/keys".to_owned()),
        identity: Identity::Linked { first_use: Some(first_use) },
        scope_claim: path("scope"),
        strict: true,
        waivers: vec![Waiver { rule: "key_shared".to_owned(), owner: "ops".to_owned(), until_ms: 7 }],
        active: true,
        created_by: "local:0".to_owned(),
        created_at_ms: 8,
        generation: Generation(42),
        mac: [0; 32],
    }
}

fn first_use(row: &mut Issuer) -> &mut FirstUse {
    match &mut row.identity {
        Identity::Linked { first_use: Some(first_use) } => first_use,
        _ => panic!("not linked at first use"),
    }
}

#[test]
fn r4_an_issuers_mac_covers_each_thing_that_the_row_asserts() {
    let sealed = Issuer { mac: key(1).issuer_mac(&issuer()), ..issuer() };
    assert!(key(1).is_genuine_issuer(&sealed) && !key(2).is_genuine_issuer(&sealed));
    let changes: &[fn(&mut Issuer)] = &[
        |r| r.tenant = GLOBEX,
        |r| r.id = IssuerId::from_bytes([9; 16]),
        |r| r.rules.iss.push('/'),
        |r| r.rules.audiences.push("another".to_owned()),
        |r| r.rules.audiences = vec!["gate".to_owned(), "way".to_owned()],
        |r| r.rules.algorithms = vec![Algorithm::RS256],
        |r| r.rules.algorithms.push(Algorithm::RS256),
        |r| r.rules.types.push(String::new()),
        |r| r.rules.leeway_s += 1,
        |r| r.rules.max_age_s = None,
        |r| r.rules.max_age_s = Some(0),
        |r| r.rules.required.clear(),
        |r| r.rules.required = vec![path("a"), path("b")],
        |r| r.keys = KeySource::Url("https://evil.example/keys".to_owned()),
        |r| r.keys = KeySource::Keys("https://id.example/keys".to_owned()),
        |r| r.keys = KeySource::Secret([0; 32]),
        |r| first_use(r).app = AppId::new(8).unwrap(),
        |r| first_use(r).user = UserId::new(8).unwrap(),
        |r| first_use(r).allow.clear(),
        |r| first_use(r).allow[0].0 = path("group"),
        |r| first_use(r).allow[0].1.push('x'),
        |r| first_use(r).cap += 1,
        |r| first_use(r).until_ms += 1,
        |r| r.identity = Identity::Linked { first_use: None },
        |r| r.scope_claim = path("scp"),
        |r| r.strict = false,
        |r| r.waivers.clear(),
        |r| r.waivers[0].rule.push('x'),
        |r| r.waivers[0].owner.push('x'),
        |r| r.waivers[0].until_ms += 1,
        |r| r.active = false,
        |r| r.created_by.push('0'),
        |r| r.created_at_ms += 1,
        |r| r.generation = Generation(43),
        |r| r.mac[31] ^= 1,
    ];
    for (n, change) in changes.iter().enumerate() {
        let mut edited = sealed.clone();
        change(&mut edited);
        assert!(!key(1).is_genuine_issuer(&edited), "{n}");
    }
}

#[test]
fn r4_an_issuers_mac_tells_identities_apart() {
    let (app, user) = (AppId::new(7).unwrap(), UserId::new(9).unwrap());
    let [seven, nine] = ["7", "9"].map(path);
    let identities = [
        Identity::Linked { first_use: None },
        Identity::Mapped { app: Half::Fixed(app), user: Half::Fixed(user) },
        Identity::Mapped { app: Half::Fixed(AppId::new(9).unwrap()), user: Half::Fixed(UserId::new(7).unwrap()) },
        Identity::Mapped { app: Half::Claim(seven.clone()), user: Half::Fixed(user) },
        Identity::Mapped { app: Half::Fixed(app), user: Half::Claim(nine.clone()) },
        Identity::Mapped { app: Half::Claim(seven), user: Half::Claim(nine) },
        Identity::Mapped { app: Half::Claim(path("app.id")), user: Half::Claim(path("sub")) },
        Identity::Mapped { app: Half::Claim(path("app")), user: Half::Claim(path("id.sub")) },
    ];
    let macs = identities.map(|identity| key(1).issuer_mac(&Issuer { identity, ..issuer() }));
    assert_eq!(macs.iter().collect::<std::collections::HashSet<_>>().len(), macs.len());
}

#[test]
fn r4_kept_keys_are_of_one_issuer_one_place_and_one_time() {
    let (id, url) = (IssuerId::from_bytes([1; 16]), "https://id.example/keys");
    let mac = key(1).keys_mac(id, url, "{}", 5);
    let kept = KeptKeys { jwks: "{}".to_owned(), fetched_at_ms: 5, mac };
    assert!(key(1).are_genuine_keys(id, url, &kept));
    assert!(!key(2).are_genuine_keys(id, url, &kept));
    assert!(!key(1).are_genuine_keys(IssuerId::from_bytes([2; 16]), url, &kept));
    assert!(!key(1).are_genuine_keys(id, "https://id.example/", &kept));
    assert!(!key(1).are_genuine_keys(id, url, &KeptKeys { jwks: "{ }".to_owned(), ..kept.clone() }));
    assert!(!key(1).are_genuine_keys(id, url, &KeptKeys { fetched_at_ms: 6, ..kept.clone() }));
}

#[test]
fn an_issuers_secret_is_named_for_that_issuer_alone() {
    let name = |issuer, secret: &[u8]| {
        key(1).secret_fingerprint(IssuerId::from_bytes([issuer; 16]), &Secret::<IssuerSecret>::new(secret.to_vec()))
    };
    assert_eq!(name(1, b"secret"), name(1, b"secret"));
    assert_ne!(name(1, b"secret"), name(2, b"secret"));
    assert_ne!(name(1, b"secret"), name(1, b"secreu"));
}

#[test]
fn r4_a_tokens_mac_covers_each_thing_that_the_row_asserts_and_one_taken_back_has_none() {
    let row = IssuedToken {
        jti: JtiHash([1; 32]),
        tenant: ACME,
        credential: CredentialId::from_bytes([3; 16]),
        parent: Generation(7),
        content: [4; 32],
        issued_at_ms: 5,
        expires_at_ms: 6,
        revoked_at_ms: None,
        mac: [0; 32],
    };
    let sealed = IssuedToken { mac: key(1).token_mac(&row), ..row };
    assert!(key(1).is_genuine_token(&sealed) && !key(2).is_genuine_token(&sealed));
    let changes: &[fn(&mut IssuedToken)] = &[
        |r| r.jti.0[31] ^= 1,
        |r| r.tenant = GLOBEX,
        |r| r.credential = CredentialId::from_bytes([9; 16]),
        |r| r.parent = Generation(8),
        |r| r.content[0] ^= 1,
        |r| r.issued_at_ms += 1,
        |r| r.expires_at_ms += 1,
        |r| r.revoked_at_ms = Some(5),
        |r| r.mac = [0; 32],
    ];
    for (n, change) in changes.iter().enumerate() {
        let mut edited = sealed.clone();
        change(&mut edited);
        assert!(!key(1).is_genuine_token(&edited), "{n}");
    }
}

#[test]
fn r4_a_signing_keys_mac_covers_each_thing_that_the_row_asserts() {
    let row = SigningKeyRow {
        kid: "kid".to_owned(),
        algorithm: Algorithm::EdDSA,
        public_jwk: "{}".to_owned(),
        created_at_ms: 5,
        retires_at_ms: Some(6),
        mac: [0; 32],
    };
    let sealed = SigningKeyRow { mac: key(1).signing_key_mac(&row), ..row };
    assert!(key(1).is_genuine_signing_key(&sealed) && !key(2).is_genuine_signing_key(&sealed));
    let changes: &[fn(&mut SigningKeyRow)] = &[
        |r| r.kid.push('x'),
        |r| r.algorithm = Algorithm::ES256,
        |r| r.public_jwk.push(' '),
        |r| r.created_at_ms += 1,
        |r| r.retires_at_ms = Some(7),
        |r| r.retires_at_ms = None,
        |r| r.mac[31] ^= 1,
    ];
    for (n, change) in changes.iter().enumerate() {
        let mut edited = sealed.clone();
        change(&mut edited);
        assert!(!key(1).is_genuine_signing_key(&edited), "{n}");
    }
}
