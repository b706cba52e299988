//! The table is whole, and marked as it must be.

use super::*;
use crate::domain::Role;

#[test]
fn keys_are_unique_and_defaults_are_valid() {
    let mut keys: Vec<_> = SETTINGS.iter().map(|setting| setting.key).collect();
    keys.sort_unstable();
    let count = keys.len();
    keys.dedup();
    assert_eq!(keys.len(), count);
    for setting in SETTINGS {
        assert_eq!(setting.kind.normalise(setting.default).as_deref(), Some(setting.default), "{}", setting.key);
        assert!(!setting.doc.is_empty() && setting.doc.ends_with('.'), "{}", setting.key);
    }
}

#[test]
fn r2_what_concerns_the_machine_or_loosens_it_is_local() {
    let host: Vec<_> =
        SETTINGS.iter().filter(|setting| setting.scope == Scope::HostMaySet).map(|setting| setting.key).collect();
    assert_eq!(host, ["auth.deadline_ms", "auth.pre_auth"], "a reviewed list: add here knowingly");
    assert_eq!(find("data_dir").unwrap().scope, Scope::LocalFirst);
}

#[test]
fn h13_numbers_may_be_written_as_go_prints_floats() {
    let kind = number(0, 1 << 40);
    assert!(Kind::Networks.normalise("10.0.0.0/8, 2001:db8::/32").is_some());
    assert!(Kind::Networks.normalise("10.1.0.0/8").is_none() && Kind::Networks.normalise("10.0.0.1").is_none());
    for good in ["", "1001", "0, 1001=owner,1002 = issuer", "7=auditor"] {
        assert_eq!(Kind::Peers.normalise(good).as_deref(), Some(good));
    }
    for bad in ["ann", "-1", "7=root", "7=", "=owner", "7=owner,7", "65534", "4294967295"] {
        assert!(Kind::Peers.normalise(bad).is_none(), "{bad}");
    }
    assert_eq!(peers("0, 7=owner").unwrap(), [(0, Role::Auditor), (7, Role::Owner)]);
    assert!(Kind::Header.normalise("X-Real-IP").is_some() && Kind::Header.normalise("a b").is_none());
    for (text, expected) in [
        ("1e+06", Some("1000000")),
        ("2.16e+07", Some("21600000")),
        ("1.23456789e+08", Some("123456789")),
        ("999999", Some("999999")),
        ("30", Some("30")),
        ("0.5", None),
        ("-1", None),
        ("NaN", None),
        ("1e+300", None),
        ("", None),
        ("ten", None),
    ] {
        assert_eq!(kind.normalise(text).as_deref(), expected, "{text}");
    }
}
