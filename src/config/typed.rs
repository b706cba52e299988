//! Settings as the modules want them.

use std::path::PathBuf;
use std::time::Duration;

use tracing::Level;

use crate::config::{SETTINGS, Scope, Values};
use crate::domain::{LlmGrants, Role};
use crate::telemetry::log::Format;
use crate::transport::plugin::schema::HostSetting;
use crate::verify::pepper::Source;

/// How to log.
#[derive(Clone, Copy, Debug)]
pub struct LogSettings {
    /// From which level.
    pub level: Level,
    /// In which form; none means what fits the terminal.
    pub format: Option<Format>,
}

/// Where and how `serve` listens.
#[derive(Clone, Debug)]
pub struct ServeSettings {
    /// `host:port` or `unix:PATH`.
    pub listen: Vec<String>,
    /// Certificate chain.
    pub tls_cert: Option<PathBuf>,
    /// Its key.
    pub tls_key: Option<PathBuf>,
    /// Addresses beyond loopback that may be plaintext.
    pub allow_plaintext: Vec<String>,
    /// For admins: `unix:PATH` or `host:port`.
    pub admin: Vec<String>,
    /// Users of this machine who may administer, besides our own.
    pub peers: Vec<(u32, Role)>,
    /// Authorities of operators' client certificates.
    pub client_ca: Option<PathBuf>,
    /// For metrics, health and OAuth over HTTP: `host:port`.
    pub http: Vec<String>,
    /// Whether that is spoken over TLS beyond loopback.
    pub http_tls: bool,
}

/// All settings of a process.
#[derive(Clone, Debug)]
pub struct Config {
    /// What the process is made of.
    pub app: crate::app::Settings,
    /// How to log.
    pub log: LogSettings,
    /// For `serve`.
    pub serve: ServeSettings,
}

impl Config {
    /// From checked values.
    pub fn new(values: &Values) -> Self {
        let number = |key: &str| values.get(key).parse::<u64>().unwrap_or(0);
        let size = |key: &str| usize::try_from(number(key)).unwrap_or(usize::MAX);
        let small = |key: &str| u32::try_from(number(key)).unwrap_or(u32::MAX);
        let on = |key: &str| values.get(key) == "true";
        let path = |key: &str| Some(values.get(key)).filter(|text| !text.is_empty()).map(PathBuf::from);
        let list = |key: &str| {
            let items = values.get(key).split(',').map(str::trim).filter(|item| !item.is_empty());
            items.map(str::to_owned).collect::<Vec<_>>()
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let or_auto = |configured: usize, auto: usize| if configured == 0 { auto.max(1) } else { configured };
        let app = crate::app::Settings {
            data_dir: path("data_dir"),
            dev: on("store.dev"),
            pepper_file: path("pepper.file"),
            pepper_source: match values.get("pepper.source") {
                "environment" => Some(Source::Environment(crate::config::env::pepper())),
                "command" => Some(Source::Command(list("pepper.command"))),
                _ => None,
            },
            directory: crate::directory::Settings {
                ask_host: values.get("directory.source") == "host",
                ttl: Duration::from_secs(number("directory.ttl_seconds")),
                max_stale: Duration::from_secs(number("directory.max_stale_seconds")),
                reconcile: Duration::from_secs(number("directory.reconcile_seconds")),
                namespaces: crate::config::table::namespaces(values.get("directory.namespaces")).unwrap_or_default(),
                entries: number("directory.entries"),
                timeout: Duration::from_millis(number("directory.timeout_ms")),
                ..crate::directory::Settings::default()
            },
            jwks: jwks(values),
            authenticate: crate::authenticate::Settings {
                cache: crate::authenticate::cache::Limits {
                    entries: size("auth.cache_entries"),
                    bytes: size("auth.cache_mib").saturating_mul(1 << 20),
                    ttl: Duration::from_secs(number("auth.cache_ttl_seconds")),
                },
                llm_grants: match values.get("auth.llm_grants") {
                    "tenant" => LlmGrants::Unchecked,
                    _ => LlmGrants::Required,
                },
                deadline: Duration::from_millis(number("auth.deadline_ms")),
                logged_refusals_per_second: small("auth.logged_refusals_per_second"),
            },
            argon_threads: or_auto(size("argon2.threads"), cores),
            argon_queue: size("argon2.queue"),
            decisions_per_second: small("audit.decisions_per_second"),
            decisions_max_rows: number("audit.decisions_max_rows"),
            accepted_one_in: small("audit.accepted_one_in"),
            audit_min_retention: Duration::from_secs(number("audit.min_retention_days").saturating_mul(86_400)),
            audit_key: path("audit.key_file"),
            audit_anchors: path("audit.anchor_file"),
            subject_key: path("links.key_file"),
            tokens: crate::config::tokens::settings(values),
            worker_threads: or_auto(size("runtime.worker_threads"), cores / 2),
            service: crate::transport::Settings {
                pre_auth: on("auth.pre_auth"),
                client_address: client_address(values),
                studio: crate::transport::StudioSettings {
                    tenants: list("studio.tenants"),
                    role: Role::parse(values.get("studio.role")).unwrap_or(Role::Auditor),
                },
                oauth: crate::config::tokens::endpoints(values),
            },
            portal_rules: crate::app::PortalRules {
                scopes: list("portal.scopes"),
                max_days: small("portal.max_days"),
                max_keys: small("portal.max_keys"),
            },
            wire: crate::transport::go_plugin::Settings {
                ignore_client_cert: on("go_plugin.ignore_client_cert"),
                multiplex: on("go_plugin.multiplex"),
                exit_with_host: on("go_plugin.exit_with_host"),
                reflection: on("grpc.reflection"),
            },
        };
        let log = LogSettings {
            level: values.get("log.level").parse().unwrap_or(Level::INFO),
            format: match values.get("log.format") {
                "json" => Some(Format::Json),
                "text" => Some(Format::Text),
                _ => None,
            },
        };
        let serve = ServeSettings {
            listen: list("serve.listen"),
            tls_cert: path("serve.tls_cert"),
            tls_key: path("serve.tls_key"),
            allow_plaintext: list("serve.allow_plaintext"),
            admin: list("admin.listen"),
            peers: crate::config::table::peers(values.get("admin.peers")).unwrap_or_default(),
            client_ca: path("admin.client_ca"),
            http: list("serve.http"),
            http_tls: on("serve.http_tls"),
        };
        Self { app, log, serve }
    }
}

/// How keys of outside issuers are fetched and kept.
fn jwks(values: &Values) -> crate::jwks::Settings {
    let number = |key: &str| values.get(key).parse::<u64>().unwrap_or(0);
    crate::jwks::Settings {
        timeout: Duration::from_millis(number("jwks.timeout_ms")),
        allow_networks: crate::config::table::networks(values.get("jwks.allow_networks")).unwrap_or_default(),
        allow_loopback_http: values.get("jwks.allow_loopback_http") == "true",
        ca_file: Some(values.get("jwks.ca_file")).filter(|text| !text.is_empty()).map(PathBuf::from),
        refresh: Duration::from_secs(number("jwks.refresh_seconds")),
        max_stale: Duration::from_secs(number("jwks.max_stale_seconds")),
        cooldown: Duration::from_secs(number("jwks.cooldown_seconds")),
        // No request waits longer, and a source is slow for all once one has waited in vain.
        wait: Duration::from_millis(number("jwks.wait_ms").min(number("auth.deadline_ms") / 2)),
    }
}

/// How a client's address is known.
fn client_address(values: &Values) -> crate::transport::ClientAddress {
    crate::transport::ClientAddress {
        trust_peer: values.get("auth.trust_remote_addr") == "true",
        trusted_proxies: crate::config::table::networks(values.get("auth.trusted_proxies")).unwrap_or_default(),
        header: values.get("auth.client_ip_header").to_owned(),
    }
}

/// What a host may set, for its form.
pub fn host_settings() -> Vec<HostSetting> {
    let of_host = SETTINGS.iter().filter(|setting| setting.scope != Scope::LocalOnly);
    let described = of_host.map(|setting| HostSetting {
        key: setting.key.replace('.', "_"),
        kind: setting.kind.json_type(),
        description: setting.doc.to_owned(),
        default: setting.default.to_owned(),
    });
    described.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b6_nobody_waits_longer_for_keys_than_a_request_may_so_that_a_source_that_hangs_is_known_to_be_slow() {
        for (deadline, expected) in [("500", 250), ("2000", 1_000), ("10000", 1_000)] {
            let mut values = Values::default();
            values.set("test", crate::config::table::find("auth.deadline_ms").unwrap(), deadline).unwrap();
            let app = Config::new(&values).app;
            assert_eq!(app.jwks.wait, Duration::from_millis(expected));
            assert!(app.jwks.wait <= app.authenticate.deadline / 2, "as long as the verifier waits");
        }
    }
}
