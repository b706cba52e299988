use super::*;
use crate::audit::key::{FILE_NAME, Signer, create};

fn report() -> Report {
    let claim = Claim {
        id: "V1".to_owned(),
        claim: "it holds".to_owned(),
        status: Status::Fail,
        checked: 2,
        failed: 1,
        offenders: vec![Offender {
            tenant: "acme".to_owned(),
            credential_id: "0000000000000000000001".to_owned(),
            app_id: 7,
            user_id: 9,
            reason: "a \",\"signature\":null} that is none".to_owned(),
        }],
    };
    Report {
        report_version: REPORT_VERSION,
        product: "latchkey".to_owned(),
        version: "1".to_owned(),
        schema_version: 1,
        trail_beginning: String::new(),
        trail_last_event: 1,
        trail_head: String::new(),
        started_at: String::new(),
        finished_at: String::new(),
        run_by: "system".to_owned(),
        tenants: None,
        directory: "store".to_owned(),
        host_runtime: None,
        llm_grants: "required".to_owned(),
        population: 2,
        population_complete: true,
        not_usable: 0,
        sample: None,
        checked: 2,
        ended_meanwhile: 0,
        status: Status::Fail,
        claims: vec![claim],
        unsigned_because: None,
        signature: None,
    }
}

fn signer() -> Signer {
    let dir = tempfile::tempdir().unwrap();
    create(&dir.path().join(FILE_NAME)).unwrap();
    Signer::load(&dir.path().join(FILE_NAME)).unwrap()
}

fn signed(signer: &Signer) -> String {
    let body = report().body();
    let signature = Signature::new(&signer.public_key(), &signer.sign(&message(&body)));
    file(&body, Some(&signature))
}

#[test]
fn whichever_byte_is_changed_it_is_no_longer_as_it_was_signed() {
    let signer = signer();
    let (text, key) = (signed(&signer), signer.public_key());
    let (read, verdict) = check(&text, Some(&key)).unwrap();
    assert_eq!(verdict, Verdict::Genuine(key));
    assert_eq!(Report { signature: None, ..read }, report());
    for at in 0..text.len() {
        for other in [b'0', b' ', b'"', b'x'] {
            let mut bytes = text.clone().into_bytes();
            if std::mem::replace(&mut bytes[at], other) == other {
                continue;
            }
            let changed = String::from_utf8(bytes).unwrap();
            let told = check(&changed, Some(&key)).map(|(_, verdict)| verdict);
            assert!(!matches!(told, Some(Verdict::Genuine(_))), "{at}: {changed}");
        }
    }
    assert_eq!(check(&format!("{text}\r\n"), Some(&key)).unwrap().1, Verdict::Genuine(key));
    assert!(check(&format!("{text} x"), Some(&key)).is_none());
}

#[test]
fn a_member_that_stands_twice_is_no_report() {
    let text = signed(&signer());
    let twice = text.replacen('{', "{\"status\":\"pass\",", 1);
    assert!(check(&twice, None).is_none());
    let more = text.replacen('{', "{\"note\":\"all is well\",", 1);
    assert!(check(&more, None).is_none());
}

#[test]
fn what_signs_checkpoints_signs_no_report_with_the_same_words() {
    let signer = signer();
    let body = report().body();
    let bare = Signature::new(&signer.public_key(), &signer.sign(body.as_bytes()));
    assert_eq!(check(&file(&body, Some(&bare)), None).unwrap().1, Verdict::Edited, "the domain is signed too");
    assert_eq!(check(&file(&body, None), None).unwrap().1, Verdict::Unsigned);
    let other = self::signer().public_key();
    assert_eq!(check(&signed(&signer), Some(&other)).unwrap().1, Verdict::OtherKey(signer.public_key()));
}

#[test]
fn all_pass_or_it_is_no_pass() {
    use Status::{Fail, NotChecked, Pass};
    assert_eq!(Status::of_all([Pass, Pass]), Pass);
    assert_eq!(Status::of_all([Pass, NotChecked]), NotChecked);
    assert_eq!(Status::of_all([NotChecked, Pass]), NotChecked);
    assert_eq!(Status::of_all([Pass, NotChecked, Fail]), Fail);
    assert_eq!(Status::of_all([Fail, NotChecked, Pass]), Fail);
    assert_eq!(Status::of_all([]), NotChecked);
}
