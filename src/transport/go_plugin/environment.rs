//! What the host says in the environment (section 1). Besides `config::env` the only place that reads it; nothing
//! but go-plugin's own names is looked at (rule R17).

use std::ffi::OsString;
use std::path::PathBuf;

/// The variable that says "a host starts you".
pub const COOKIE_KEY: &str = "AI_STUDIO_PLUGIN";
/// Its value.
pub const COOKIE_VALUE: &str = "v1";
/// The application protocol versions that we speak, newest first.
pub const VERSIONS: [u32; 1] = [1];

/// Everything go-plugin hands over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// Whether the cookie is there and right.
    pub cookie: bool,
    /// Versions the host accepts, unordered; empty for a legacy host.
    pub host_versions: Vec<u32>,
    /// The range of TCP ports; 0 and 0 let the system pick.
    pub ports: (u16, u16),
    /// The host's certificate (PEM), where it wants `AutoMTLS`.
    pub client_cert: Option<String>,
    /// Whether the host knows multiplexing: only then may the handshake line speak of it.
    pub knows_multiplex: bool,
    /// Whether it wants it.
    pub wants_multiplex: bool,
    /// Where every unix socket goes.
    pub socket_dir: Option<PathBuf>,
    /// Who may use them, by name or number.
    pub socket_group: Option<String>,
    /// Where temporary files go.
    pub temp_dir: PathBuf,
}

impl Environment {
    /// From the process's own environment.
    #[expect(clippy::disallowed_methods, reason = "go-plugin's names are read here and nowhere else")]
    pub fn read() -> Self {
        Self::from_lookup(|name| std::env::var_os(name))
    }

    /// From any source, for tests.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<OsString>) -> Self {
        let text = |name: &str| lookup(name).and_then(|v| v.into_string().ok()).filter(|v| !v.is_empty());
        let path = |name: &str| lookup(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let port = |name: &str| text(name).and_then(|v| v.parse().ok()).unwrap_or(0);
        let multiplex = text("PLUGIN_MULTIPLEX_GRPC");
        let versions = text("PLUGIN_PROTOCOL_VERSIONS").unwrap_or_default();
        Self {
            cookie: text(COOKIE_KEY).as_deref() == Some(COOKIE_VALUE),
            host_versions: versions.split(',').filter_map(|item| item.trim().parse().ok()).collect(),
            ports: (port("PLUGIN_MIN_PORT"), port("PLUGIN_MAX_PORT")),
            client_cert: text("PLUGIN_CLIENT_CERT"),
            knows_multiplex: multiplex.is_some(),
            // What Go's ParseBool takes for true.
            wants_multiplex: multiplex.is_some_and(|v| ["1", "t", "T", "true", "TRUE", "True"].contains(&v.as_str())),
            socket_dir: path("PLUGIN_UNIX_SOCKET_DIR"),
            socket_group: text("PLUGIN_UNIX_SOCKET_GROUP"),
            temp_dir: path("TMPDIR").unwrap_or_else(|| PathBuf::from("/tmp")),
        }
    }

    /// The version to announce: our highest that the host accepts, else our lowest, which the host then rejects
    /// with a message of its own.
    pub fn version(&self) -> u32 {
        let common = VERSIONS.iter().copied().find(|version| self.host_versions.contains(version));
        common.or(VERSIONS.last().copied()).unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &[(&str, &str)]) -> Environment {
        Environment::from_lookup(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, v)| OsString::from(v)))
    }

    #[test]
    fn the_cookie_is_compared_exactly() {
        assert!(with(&[(COOKIE_KEY, "v1")]).cookie);
        for wrong in ["", "v2", "V1", "v1 "] {
            assert!(!with(&[(COOKIE_KEY, wrong)]).cookie, "{wrong:?}");
        }
        assert!(!with(&[]).cookie);
    }

    #[test]
    fn versions_are_negotiated_and_unreadable_ones_skipped() {
        assert_eq!(with(&[("PLUGIN_PROTOCOL_VERSIONS", "3,1,x")]).version(), 1);
        assert_eq!(with(&[("PLUGIN_PROTOCOL_VERSIONS", "7")]).version(), 1);
        assert_eq!(with(&[]).version(), 1);
    }

    #[test]
    fn multiplexing_is_known_by_any_text_and_wanted_by_a_true_one() {
        for (value, known, wanted) in
            [("true", true, true), ("1", true, true), ("false", true, false), ("", false, false)]
        {
            let environment = with(&[("PLUGIN_MULTIPLEX_GRPC", value)]);
            assert_eq!((environment.knows_multiplex, environment.wants_multiplex), (known, wanted), "{value:?}");
        }
    }
}
