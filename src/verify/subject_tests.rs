use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::clock::SystemEntropy;
use crate::domain::{AppId, Generation, LinkId, UserId};

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
