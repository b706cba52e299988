//! The host's `Initialize` map: flat keys with dots or underscores, values as Go prints them (host contract 2.1).
//!
//! Nothing in it can fail the start: what is not for the host to set, unknown or malformed is ignored with a warning.

use std::collections::BTreeMap;

use crate::config::{SETTINGS, Scope, Values};

/// The host's own keys, and `slug`, which hosts reserve.
const HOSTS_OWN: &[&str] =
    &["_plugin_id", "_service_broker_id", "plugin_id", "has_service_api", "service_broker_id", "slug"];

/// Puts what the host may set into `values`, which hold what this machine says. Returns warnings; they name keys, never
/// values.
pub fn apply(map: &BTreeMap<String, String>, values: &mut Values) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut unknown = Vec::new();
    for (key, value) in map {
        let flat = key.replace('.', "_");
        let Some(setting) = SETTINGS.iter().find(|setting| setting.key.replace('.', "_") == flat) else {
            if !HOSTS_OWN.contains(&key.as_str()) {
                unknown.push(key.chars().take(64).collect::<String>());
            }
            continue;
        };
        let allowed = match setting.scope {
            Scope::HostMaySet => true,
            Scope::LocalFirst => !values.is_set(setting.key),
            Scope::LocalOnly => false,
        };
        if !allowed {
            warnings.push(format!("{} is a setting of this machine; the host's value is ignored", setting.key));
        } else if let Err(error) = values.set("the host's configuration", setting, &unquoted(value)) {
            warnings.push(format!("{error}; the host's value is ignored"));
        }
    }
    if !unknown.is_empty() {
        warnings.push(format!("unknown settings of the host are ignored: {}", unknown.join(", ")));
    }
    warnings
}

/// An admin who used the raw editor may have written a number or bool as a JSON string.
fn unquoted(value: &str) -> String {
    serde_json::from_str::<String>(value).unwrap_or_else(|_| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn h13_whatever_a_host_sends_never_fails_and_never_sets_what_is_local(
            pairs in proptest::collection::btree_map(setting_or_anything(), any::<String>(), 0..12),
        ) {
            let mut values = Values::default();
            let warnings = apply(&pairs, &mut values);
            prop_assert!(warnings.len() <= pairs.len() + 1);
            for setting in SETTINGS.iter().filter(|setting| setting.scope == Scope::LocalOnly) {
                prop_assert!(!values.is_set(setting.key));
            }
            // And what came of it can be used.
            let _ = crate::config::Config::new(&values);
        }
    }

    fn setting_or_anything() -> impl Strategy<Value = String> {
        let keys: Vec<String> = SETTINGS.iter().map(|setting| setting.key.to_owned()).collect();
        prop_oneof![proptest::sample::select(keys), any::<String>()]
    }

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn h13_the_host_may_set_what_is_its_to_set_in_any_of_its_spellings() {
        for (key, value) in
            [("auth.deadline_ms", "1e+03"), ("auth_deadline_ms", "1000"), ("auth.deadline_ms", "\"1000\"")]
        {
            let mut values = Values::default();
            assert_eq!(apply(&map(&[(key, value), ("_plugin_id", "4"), ("slug", "x")]), &mut values), [""; 0]);
            assert_eq!(values.get("auth.deadline_ms"), "1000");
        }
    }

    #[test]
    fn r2_local_settings_are_ignored_with_a_warning_and_unknown_ones_with_one() {
        for setting in SETTINGS.iter().filter(|setting| setting.scope == Scope::LocalOnly) {
            let mut values = Values::default();
            let warnings = apply(&map(&[(setting.key, setting.default), ("a", "1"), ("b", "2")]), &mut values);
            assert!(!values.is_set(setting.key), "{}", setting.key);
            assert_eq!(warnings.len(), 2, "{warnings:?}");
        }
    }

    #[test]
    fn r2_the_host_names_a_data_dir_only_where_this_machine_does_not() {
        let mut values = Values::default();
        assert!(apply(&map(&[("data_dir", "/host")]), &mut values).is_empty());
        assert_eq!(values.get("data_dir"), "/host");
        let mut local = Values::default();
        local.set("test", crate::config::table::find("data_dir").unwrap(), "/local").unwrap();
        assert_eq!(apply(&map(&[("data_dir", "/host")]), &mut local).len(), 1);
        assert_eq!(local.get("data_dir"), "/local");
    }

    #[test]
    fn a_value_never_reaches_a_warning() {
        let warnings =
            apply(&map(&[("auth.deadline_ms", "hunter2"), ("pepper.file", "hunter2")]), &mut Values::default());
        assert!(!warnings.is_empty() && warnings.iter().all(|warning| !warning.contains("hunter2")));
    }
}
