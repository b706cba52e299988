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
    /// For metrics and health over HTTP: `host:port`.
    pub http: Vec<String>,
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
                entries: number("directory.entries"),
                timeout: Duration::from_millis(number("directory.timeout_ms")),
                ..crate::directory::Settings::default()
            },
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
            worker_threads: or_auto(size("runtime.worker_threads"), cores / 2),
            service: crate::transport::Settings {
                pre_auth: on("auth.pre_auth"),
                client_address: crate::transport::ClientAddress {
                    trust_peer: on("auth.trust_remote_addr"),
                    trusted_proxies: crate::config::table::networks(values.get("auth.trusted_proxies"))
                        .unwrap_or_default(),
                    header: values.get("auth.client_ip_header").to_owned(),
                },
                studio: crate::transport::StudioSettings {
                    tenants: list("studio.tenants"),
                    role: Role::parse(values.get("studio.role")).unwrap_or(Role::Auditor),
                },
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
        };
        Self { app, log, serve }
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
