//! The configuration file: TOML, trusted only if nobody but root and our user can have written it (rule R2).

use std::fmt::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use crate::config::{ConfigError, SETTINGS, Values, table};

/// Reads a file into `values`.
///
/// # Errors
/// When it cannot be read or trusted, or something in it is wrong.
pub fn load(path: &Path, values: &mut Values) -> Result<(), ConfigError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    check_trust(path)?;
    parse(&text, path, values)
}

/// Reads a text into `values`; `path` is for messages.
///
/// # Errors
/// When it is not TOML, or a setting or value is unknown.
pub fn parse(text: &str, path: &Path, values: &mut Values) -> Result<(), ConfigError> {
    let document: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| ConfigError::Syntax { path: path.to_owned(), message: error.to_string() })?;
    let source_name = path.display().to_string();
    for (name, value) in &document {
        match value {
            toml::Value::Table(section) => {
                for (key, value) in section {
                    set(&format!("{name}.{key}"), value, &source_name, values)?;
                }
            }
            value => set(name, value, &source_name, values)?,
        }
    }
    Ok(())
}

fn set(key: &str, value: &toml::Value, source_name: &str, values: &mut Values) -> Result<(), ConfigError> {
    let unknown = || ConfigError::Unknown { source_name: source_name.to_owned(), key: key.to_owned() };
    let setting = table::find(key).ok_or_else(unknown)?;
    let text = match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(items) => {
            items.iter().map(|item| item.as_str().unwrap_or_default()).collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    };
    values.set(source_name, setting, &text)
}

/// The file and the directory around it: ours or root's, and nobody else's to write.
fn check_trust(path: &Path) -> Result<(), ConfigError> {
    let real = path.canonicalize().map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    for place in [Some(real.as_path()), real.parent()].into_iter().flatten() {
        let metadata =
            std::fs::metadata(place).map_err(|source| ConfigError::Unreadable { path: place.to_owned(), source })?;
        let ours = metadata.uid() == 0 || metadata.uid() == rustix::process::geteuid().as_raw();
        // A sticky directory lets nobody replace another's file: /tmp, for instance.
        let mode = metadata.permissions().mode();
        let open = mode & 0o022 != 0 && !(metadata.is_dir() && mode & 0o1000 != 0);
        if !ours || open {
            return Err(ConfigError::Untrusted { path: place.to_owned() });
        }
    }
    Ok(())
}

/// The commented file with every default.
pub fn default_text() -> String {
    let mut text = String::from(
        "# Latchkey. Every setting with its default; uncomment what you change. Each can also be set in the\n\
         # environment, as LATCHKEY_SECTION__NAME. Only root or the user of the process may be able to write this file.\n",
    );
    let mut section = "";
    for setting in SETTINGS {
        let (in_section, name) = setting.key.split_once('.').unwrap_or(("", setting.key));
        if in_section != section {
            section = in_section;
            let _ = write!(text, "\n[{section}]\n");
        }
        let scope = match setting.scope {
            table::Scope::HostMaySet => " The host may set it.",
            table::Scope::LocalFirst => " The host may set it where this machine does not.",
            table::Scope::LocalOnly => "",
        };
        let value = match setting.kind {
            table::Kind::Bool | table::Kind::Number { .. } => setting.default.to_owned(),
            _ => format!("\"{}\"", setting.default),
        };
        let _ = write!(text, "# {}{scope} ({})\n# {name} = {value}\n", setting.doc, setting.kind.expected());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_text(text: &str) -> Result<Values, ConfigError> {
        let mut values = Values::default();
        parse(text, Path::new("latchkey.toml"), &mut values).map(|()| values)
    }

    #[test]
    fn settings_are_read_by_section_and_type() {
        let values =
            load_text("data_dir = \"/d\"\n[auth]\ndeadline_ms = 500\n[serve]\nlisten = [\"a:1\", \"unix:/s\"]\n")
                .unwrap();
        assert_eq!(values.get("data_dir"), "/d");
        assert_eq!(values.get("auth.deadline_ms"), "500");
        assert_eq!(values.get("serve.listen"), "a:1,unix:/s");
        assert_eq!(values.get("log.level"), "info");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let message = |text| load_text(text).unwrap_err().to_string();
        assert!(message("[auth]\ncache = 1").contains("unknown setting auth.cache"));
        assert!(message("[log]\nlevel = \"loud\"").contains("log.level must be one of error"));
        assert!(message("data_dir = \"relative\"").contains("absolute path"));
        assert!(message("a = ").contains("line 1"), "{}", message("a = "));
    }

    #[test]
    fn the_default_file_is_valid_when_uncommented() {
        let text = default_text();
        let uncommented: String = text
            .lines()
            .filter_map(|line| match line.strip_prefix("# ") {
                Some(rest) if rest.split_once(" = ").is_some_and(|(k, _)| !k.contains(' ')) => Some(rest),
                Some(_) => None,
                None => Some(line),
            })
            .flat_map(|line| [line, "\n"])
            .collect();
        let values = load_text(&uncommented).unwrap();
        assert!(SETTINGS.iter().all(|setting| values.get(setting.key) == setting.default));
        assert_eq!(SETTINGS.iter().filter(|setting| values.is_set(setting.key)).count(), SETTINGS.len());
    }

    #[test]
    fn r2_a_file_that_others_may_write_is_not_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("latchkey.toml");
        std::fs::write(&path, "[log]\nlevel = \"warn\"\n").unwrap();
        let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        mode(&path, 0o644);
        load(&path, &mut Values::default()).unwrap();
        for bad in [0o664, 0o646] {
            mode(&path, bad);
            assert!(matches!(load(&path, &mut Values::default()), Err(ConfigError::Untrusted { .. })), "{bad:o}");
        }
        mode(&path, 0o600);
        mode(dir.path(), 0o777);
        assert!(matches!(load(&path, &mut Values::default()), Err(ConfigError::Untrusted { .. })), "its directory");
    }
}
