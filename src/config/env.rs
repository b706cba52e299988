//! The environment: `LATCHKEY_SECTION__NAME`. Besides go-plugin's own names nothing else of it is ever read (rule R17).

use std::path::{Path, PathBuf};

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::config::{ConfigError, Values, table};
use crate::secret::{Pepper, Secret};
use crate::verify::pepper;

const PREFIX: &str = "LATCHKEY_";
/// Names that are no settings: options of the command line, and switches of the project's own tests.
const OTHERS: &[&str] =
    &["LATCHKEY_CONFIG", "LATCHKEY_SERVER", "LATCHKEY_SERVER_CA", "LATCHKEY_TOKEN", pepper::ENVIRONMENT];
const TESTS: &str = "LATCHKEY_TEST_";

/// What the environment says.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// Settings by the name of their variable.
    pub settings: Vec<(String, String)>,
    /// `LATCHKEY_CONFIG`.
    pub config_file: Option<PathBuf>,
}

impl Environment {
    /// Makes a relative data directory absolute.
    pub fn resolve_data_dir(&mut self, base: &Path) {
        for (name, value) in &mut self.settings {
            if name == "LATCHKEY_DATA_DIR" && !value.is_empty() {
                *value = base.join(&*value).to_string_lossy().into_owned();
            }
        }
    }
}

/// Reads our variables.
#[expect(clippy::disallowed_methods, reason = "our own names are read here and nowhere else")]
pub fn read() -> Environment {
    from_pairs(
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
    )
}

/// An option of the command line that the environment gives.
#[expect(clippy::disallowed_methods, reason = "our own names are read here and nowhere else")]
pub fn text(name: &'static str) -> Option<String> {
    debug_assert!(OTHERS.contains(&name), "a name of ours");
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

/// The same, wiped after use.
pub fn secret_text(name: &'static str) -> Option<Zeroizing<String>> {
    text(name).map(Zeroizing::new)
}

/// The peppers that the environment holds, for a configuration that says so. The system keeps the variable readable to our
/// own user; only our copy is wiped.
#[expect(clippy::disallowed_methods, reason = "our own names are read here and nowhere else")]
pub fn pepper() -> Option<Arc<Secret<Pepper>>> {
    let text = std::env::var(pepper::ENVIRONMENT).ok().filter(|text| !text.is_empty());
    text.map(|text| Arc::new(Secret::new(text.into_bytes())))
}

/// From any source, for tests.
pub fn from_pairs(pairs: impl Iterator<Item = (String, String)>) -> Environment {
    let mut environment = Environment::default();
    for (name, value) in pairs {
        if name == "LATCHKEY_CONFIG" && !value.is_empty() {
            environment.config_file = Some(PathBuf::from(value));
        } else if name.starts_with(PREFIX) && !name.starts_with(TESTS) && !OTHERS.contains(&name.as_str()) {
            environment.settings.push((name, value));
        }
    }
    environment.settings.sort();
    environment
}

/// Puts what it says into `values`.
///
/// # Errors
/// When a name or value is unknown.
pub fn apply(environment: &Environment, values: &mut Values) -> Result<(), ConfigError> {
    for (name, value) in &environment.settings {
        let key = name.strip_prefix(PREFIX).unwrap_or(name).to_ascii_lowercase().replace("__", ".");
        let unknown = || ConfigError::Unknown { source_name: "environment".to_owned(), key: name.clone() };
        let setting = table::find(&key).ok_or_else(unknown)?;
        values.set(&format!("environment ({name})"), setting, value)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Result<Values, ConfigError> {
        let environment = from_pairs(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let mut values = Values::default();
        apply(&environment, &mut values).map(|()| values)
    }

    #[test]
    fn variables_name_their_setting() {
        let values =
            values(&[("LATCHKEY_DATA_DIR", "/d"), ("LATCHKEY_STORE__DEV", "true"), ("HOME", "/root")]).unwrap();
        assert_eq!((values.get("data_dir"), values.get("store.dev")), ("/d", "true"));
    }

    #[test]
    fn r17_only_our_own_names_are_looked_at_and_unknown_ones_are_errors() {
        let traps = [("HTTP_PROXY", "x"), ("RUST_LOG", "trace"), ("OTEL_X", "x"), ("LATCHKEY_TEST_X", "x")];
        assert!(values(&traps).is_ok());
        let error = values(&[("LATCHKEY_AUTH__DEADLIN_MS", "1")]).unwrap_err().to_string();
        assert!(error.contains("LATCHKEY_AUTH__DEADLIN_MS"), "{error}");
    }
}
