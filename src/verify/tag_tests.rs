use super::*;
use crate::domain::credential::{Environment, Replaced, RevocationReason};
use crate::domain::ids::{AppId, Generation, UserId};

fn tagger(byte: u8) -> Tagger {
    Tagger::new(&Secret::new(vec![byte; PEPPER_LEN])).unwrap()
}

fn row() -> Credential {
    Credential {
        id: CredentialId::from_bytes([1; 16]),
        tenant: TenantId::from_bytes([2; 16]),
        app: AppId::new(7).unwrap(),
        user: UserId::new(9).unwrap(),
        label: "ci".into(),
        environment: Environment::Live,
        scopes: vec!["read".into()],
        cidrs: vec!["10.0.0.0/8".parse().unwrap()],
        not_before_ms: None,
        expires_at_ms: Some(5_000),
        status: Status::Active,
        replaces: None,
        replaced: None,
        decoy: false,
        verifier: Verifier {
            phc: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA".into(),
            tag: Some(Tag([3; 32])),
            pepper: PepperFingerprint([4; 16]),
            prehash: None,
        },
        generation: Generation(42),
        row_mac: [0; 32],
        created_by: "local:0".into(),
        created_at_ms: 1,
        last_used_at_ms: None,
    }
}

#[test]
fn r4_a_tag_differs_by_each_part_of_its_domain() {
    let (t, tenant, id) = (tagger(1), TenantId::from_bytes([2; 16]), CredentialId::from_bytes([1; 16]));
    let tag = t.tag(CredentialKind::ApiKey, tenant, id, b"secret");
    assert!(same_tag(&tag, &t.tag(CredentialKind::ApiKey, tenant, id, b"secret")));
    let others = [
        t.tag(CredentialKind::Operator, tenant, id, b"secret"),
        t.tag(CredentialKind::ApiKey, TenantId::from_bytes([9; 16]), id, b"secret"),
        t.tag(CredentialKind::ApiKey, tenant, CredentialId::from_bytes([9; 16]), b"secret"),
        t.tag(CredentialKind::ApiKey, tenant, id, b"secreT"),
        tagger(2).tag(CredentialKind::ApiKey, tenant, id, b"secret"),
    ];
    assert!(others.iter().all(|other| !same_tag(&tag, other)));
}

#[test]
fn r4_the_row_mac_covers_each_thing_that_the_row_asserts() {
    let t = tagger(1);
    let mac = t.credential_mac(&row());
    let changes: [fn(&mut Credential); 16] = [
        |r| r.id = CredentialId::from_bytes([9; 16]),
        |r| r.tenant = TenantId::from_bytes([9; 16]),
        |r| r.app = AppId::new(8).unwrap(),
        |r| r.user = UserId::new(8).unwrap(),
        |r| r.environment = Environment::Test,
        |r| r.scopes.push("write".into()),
        |r| r.cidrs.clear(),
        |r| r.not_before_ms = Some(0),
        |r| r.expires_at_ms = None,
        |r| r.status = Status::Revoked { at_ms: 1, reason: RevocationReason::Unspecified },
        |r| r.verifier.tag = Some(Tag([5; 32])),
        |r| r.verifier.phc.push('x'),
        |r| r.generation = Generation(43),
        |r| r.replaces = Some(CredentialId::from_bytes([9; 16])),
        |r| r.replaced = Some(Replaced { by: CredentialId::from_bytes([9; 16]), grace_until_ms: 7 }),
        |r| r.decoy = true,
    ];
    for (index, apply) in changes.iter().enumerate() {
        let mut other = row();
        apply(&mut other);
        assert_ne!(t.credential_mac(&other), mac, "change {index}");
    }
    assert_ne!(tagger(2).credential_mac(&row()), mac, "another pepper");
}

#[test]
fn r4_what_a_row_does_not_have_changes_no_mac_and_none_of_it_reads_as_another() {
    let t = tagger(1);
    let with = |change: fn(&mut Credential)| {
        let mut row = row();
        change(&mut row);
        t.credential_mac(&row)
    };
    let macs = [
        with(|_| {}),
        with(|r| r.replaces = Some(CredentialId::from_bytes([9; 16]))),
        with(|r| r.replaced = Some(Replaced { by: CredentialId::from_bytes([9; 16]), grace_until_ms: 7 })),
        with(|r| r.replaced = Some(Replaced { by: CredentialId::from_bytes([9; 16]), grace_until_ms: 8 })),
        with(|r| r.replaced = Some(Replaced { by: CredentialId::from_bytes([8; 16]), grace_until_ms: 7 })),
        with(|r| r.decoy = true),
    ];
    let distinct: std::collections::HashSet<_> = macs.iter().collect();
    assert_eq!(distinct.len(), macs.len());
    // Made by the release before these fields existed: rows of then are still genuine.
    assert_eq!(format!("{:?}", PepperFingerprint(*macs[0].first_chunk().unwrap())), "d6bb078273b1bf1b5dca2967ec81770f");
}

#[test]
fn r4_a_revocation_cannot_be_taken_for_another_by_moving_bytes() {
    let t = tagger(1);
    let (mut a, mut b) = (row(), row());
    a.scopes = vec!["ab".into(), "c".into()];
    b.scopes = vec!["a".into(), "bc".into()];
    assert_ne!(t.credential_mac(&a), t.credential_mac(&b));
}

#[test]
fn r5_a_fingerprint_names_the_pepper_and_a_short_pepper_is_refused() {
    assert_eq!(tagger(1).fingerprint(), tagger(1).fingerprint());
    assert_ne!(tagger(1).fingerprint(), tagger(2).fingerprint());
    assert!(Tagger::new(&Secret::new(vec![1; 31])).is_err());
}
