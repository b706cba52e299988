//! Imports over the in-memory store.

use super::*;
use crate::admin::tests::{World, world};
use crate::domain::imported::Algorithm;
use crate::store::Store as _;

fn request(format: Format) -> ImportRequest {
    ImportRequest {
        format,
        entropy: None,
        app: AppId::new(7),
        user: UserId::new(9),
        batch: 3,
        name: "moving day".to_owned(),
        dry_run: false,
        cost: argon::DEFAULT_COST,
    }
}

fn import(world: &World, request: &ImportRequest, lines: &[String]) -> Report {
    let text = lines.join("\n");
    world.admin.import_keys("acme", request, &mut text.as_bytes(), |_| {}).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn sha256(key: &str) -> Vec<u8> {
    crate::verify::imported::digest(Algorithm::Sha256, &[key.as_bytes()]).to_vec()
}

fn rows(world: &World) -> Vec<Credential> {
    let page = crate::store::Page { after: None, limit: 1_000 };
    world.admin.list_keys("acme", &crate::admin::KeyFilter::default(), page).unwrap().rows
}

#[test]
fn r6_each_format_is_understood_and_neither_key_nor_digest_is_stored() {
    use base64::Engine as _;
    let key = "sk-0123456789abcdefghij";
    let base64 = base64::engine::general_purpose::STANDARD.encode(sha256(key));
    let sha512 = hex(&crate::verify::imported::digest(Algorithm::Sha512, &[key.as_bytes()]));
    let cases = [
        (Format::Kong, format!(r#"{{"key":"{key}","consumer":{{"username":"ann"}}}}"#), false, "ann"),
        (Format::Tyk, format!(r#"{{"key_hash":"{}","alias":"ann","expires":0}}"#, hex(&sha256(key))), true, "ann"),
        (Format::Unkey, format!(r#"{{"hash":"{base64}","name":"ann","expires":null}}"#), true, "ann"),
        (Format::LiteLlm, format!(r#"{{"token":"{}","key_alias":"ann"}}"#, hex(&sha256(key))), true, "ann"),
        (Format::AiStudio, format!(r#"{{"key_id":"ann","secret":"{key}","active":true}}"#), true, "ann"),
        (Format::Latchkey, format!(r#"{{"sha512":"{sha512}","label":"ann","entropy":"high"}}"#), true, "ann"),
        (Format::Latchkey, format!(r#"{{"sha256":"{base64}","label":"ann"}}"#), false, "ann"),
    ];
    for (format, line, tagged, label) in cases {
        let world = world();
        let report = import(&world, &request(format), std::slice::from_ref(&line));
        assert_eq!((report.imported, report.refused), (1, 0), "{format:?}: {:?}", report.reasons);
        let row = rows(&world).pop().unwrap();
        assert_eq!((row.verifier.tag.is_some(), row.label.as_str()), (tagged, label), "{format:?}");
        assert_eq!(report.weak, u64::from(!tagged));
        assert_eq!(row.row_mac, world.tagger.credential_mac(&row));
        let stored = format!("{row:?}{}{:?}", row.verifier.phc, row.verifier.tag.as_ref().map(|tag| tag.0));
        assert!(!stored.contains(key) && !stored.contains(&hex(&sha256(key))), "{format:?}");
        assert_ne!(row.verifier.tag.map(|tag| tag.0.to_vec()), Some(sha256(key)), "a raw digest");
    }
}

#[test]
fn what_does_not_fit_is_named_by_line_and_reason_and_never_by_what_it_holds() {
    let world = world();
    let secret = "hunter2-hunter2-hunter2";
    let good = |n: u32| format!(r#"{{"sha256":"{}","entropy":"high"}}"#, hex(&sha256(&format!("{secret}{n}"))));
    let lines = [
        good(1),
        secret.to_owned(),
        format!(r#"{{"key":"{secret}.x"}}"#),
        r#"{"key":"short"}"#.to_owned(),
        format!(r#"{{"sha256":"{secret}"}}"#),
        format!(r#"{{"phc":"$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW","label":"{secret}"}}"#),
        format!(r#"{{"sha256":"{}","salt":"x"}}"#, "zz"),
        good(1),
        good(2).replace('}', r#","app":8}"#),
        good(3).replace('}', r#","expires_at":"2001-01-01T00:00:00Z"}"#),
        good(4).replace('}', r#","active":false}"#),
        good(5).replace('}', r#","cidrs":["10.1.2.3/8"]}"#),
        r#"{"credential_id":"0000000000000000000001","phc":"$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g"}"#
            .to_owned(),
        String::new(),
        good(6),
    ];
    let report = import(&world, &request(Format::Latchkey), &lines);
    assert_eq!((report.lines, report.imported, report.refused), (15, 2, 12), "{:?}", report.reasons);
    let told: Vec<u64> = report.reasons.iter().map(|(line, _)| *line).collect();
    let mut sorted = told.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
    let text = format!("{:?}", report.reasons);
    assert!(!text.contains("hunter2") && text.contains("JWT"), "{text}");
    assert!(text.contains("argon2 cost out of bounds"), "a4: {text}");
}

#[test]
fn a_batch_is_one_event_and_a_second_run_changes_nothing() {
    let world = world();
    let lines: Vec<String> =
        (0..7).map(|n| format!(r#"{{"sha256":"{}"}}"#, hex(&sha256(&format!("key-number-{n}"))))).collect();
    let wanted = ImportRequest { entropy: Some(Entropy::High), ..request(Format::Latchkey) };
    let dry = import(&world, &ImportRequest { dry_run: true, ..wanted.clone() }, &lines);
    assert_eq!((dry.imported, rows(&world).len()), (7, 0));
    assert_eq!(import(&world, &wanted, &lines[..4]).imported, 4);
    let again = import(&world, &wanted, &lines);
    assert_eq!((again.imported, again.already), (3, 4), "goes on where it was cut off");
    assert_eq!(rows(&world).len(), 7);
    let events = world.store.audit().list(0, 1_000).unwrap();
    let batches: Vec<_> = events.iter().filter(|e| e.event.action == Action::CredentialsImported).collect();
    assert_eq!(batches.len(), 2 + 2, "3 + 1, then 1 + 2");
    assert!(batches[0].event.details.contains(&(DetailKey::Name, "moving day".to_owned())));
}
