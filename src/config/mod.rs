//! Settings: one table of what there is ([`table`]), three sources in which later wins ([`mod@file`], [`mod@env`], [`host`]), one
//! typed result ([`Config`]).
//!
//! A setting marked as local never comes from the host: whoever can edit the plugin's configuration in Studio must not
//! gain the machine, nor loosen it (rule R2). The mark is a required part of each setting's definition.

pub mod env;
pub mod file;
pub mod host;
mod http;
mod issuers;
mod kind;
mod setting;
pub mod table;
mod tokens;
pub mod typed;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use table::{Kind, SETTINGS, Scope, Setting};
pub use typed::{Config, LogSettings, ServeSettings};

/// Where the configuration file is looked for when nobody names one.
pub const DEFAULT_FILE: &str = "/etc/latchkey/latchkey.toml";

/// What is wrong with a configuration: where, what, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Somebody else could have written it.
    #[error("{} may be changed by others than root and this user: chown it, and chmod go-w it", path.display())]
    Untrusted {
        /// The file or the directory around it.
        path: PathBuf,
    },
    /// Not TOML.
    #[error("{}: {message}", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// What the parser says, with line and column.
        message: String,
    },
    /// No such setting.
    #[error("{source_name}: unknown setting {key}: `latchkey config default` lists all")]
    Unknown {
        /// Where it stands.
        source_name: String,
        /// What it says.
        key: String,
    },
    /// A value that the setting does not take.
    #[error("{source_name}: {key} must be {expected}")]
    Value {
        /// Where it stands.
        source_name: String,
        /// Which setting.
        key: String,
        /// What it takes.
        expected: String,
    },
}

/// Raw values by key, each checked against the table, with where it came from.
#[derive(Clone, Debug, Default)]
pub struct Values(BTreeMap<&'static str, String>);

impl Values {
    /// Takes a value for a setting.
    ///
    /// # Errors
    /// When the setting does not take it.
    pub fn set(&mut self, source_name: &str, setting: &'static Setting, value: &str) -> Result<(), ConfigError> {
        let value = setting.kind.normalise(value).ok_or_else(|| ConfigError::Value {
            source_name: source_name.to_owned(),
            key: setting.key.to_owned(),
            expected: setting.kind.expected(),
        })?;
        self.0.insert(setting.key, value);
        Ok(())
    }

    /// The value, or the default.
    pub fn get(&self, key: &str) -> &str {
        let default = || table::find(key).map_or("", |setting| setting.default);
        self.0.get(key).map_or_else(default, String::as_str)
    }

    /// Whether anybody said anything.
    pub fn is_set(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }
}

/// The local sources: the file (the one named, or the default one where it is), then the environment. On the command
/// line a relative `LATCHKEY_DATA_DIR` means below `base`; a plugin has none, and takes absolute paths only.
///
/// # Errors
/// The first thing that is wrong.
pub fn load_local(named: Option<&Path>, base: Option<&Path>) -> Result<Values, ConfigError> {
    let mut environment = env::read();
    if let Some(base) = base {
        environment.resolve_data_dir(base);
    }
    let named = named.map(Path::to_owned).or_else(|| environment.config_file.clone());
    let mut values = Values::default();
    match named {
        Some(path) => file::load(&path, &mut values)?,
        None if Path::new(DEFAULT_FILE).exists() => file::load(Path::new(DEFAULT_FILE), &mut values)?,
        None => {}
    }
    env::apply(&environment, &mut values)?;
    Ok(values)
}
