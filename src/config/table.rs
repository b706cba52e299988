//! Every setting, once: its key, what it takes, its default, who may set it, and why it is there.
//!
//! `docs/CONFIG.md`, `latchkey config default` and the host's form are made from this table.

use crate::config::http;
use crate::config::issuers;
pub use crate::config::kind::Kind;
pub(super) use crate::config::kind::{namespaces, networks, peers};

pub use crate::config::setting::{Scope, Setting};
use crate::config::tokens;

/// The setting of that key.
pub fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

pub(super) const fn number(min: u64, max: u64) -> Kind {
    Kind::Number { min, max }
}

/// All of them, in the order of the generated file.
pub static SETTINGS: &[Setting] = &joined::<{ GENERAL.len() + issuers::SETTINGS.len() }>(GENERAL, issuers::SETTINGS);

#[expect(clippy::indexing_slicing, reason = "a constant: a wrong index does not compile")]
const fn joined<const N: usize>(first: &[Setting], second: &[Setting]) -> [Setting; N] {
    let mut all = [first[0]; N];
    let mut at = 0;
    while at < N {
        all[at] = if at < first.len() { first[at] } else { second[at - first.len()] };
        at += 1;
    }
    all
}

const GENERAL: &[Setting] = &[
    Setting {
        key: "data_dir",
        kind: Kind::Path,
        default: "",
        scope: Scope::LocalFirst,
        doc: "Directory of the store, made by `latchkey init`. The command line defaults to ./latchkey-data; a plugin has no default.",
    },
    Setting {
        key: "store.dev",
        kind: Kind::Bool,
        default: "false",
        scope: Scope::LocalOnly,
        doc: "Permits file systems on which data may be lost (tmpfs, overlay). For tests and demonstrations.",
    },
    Setting {
        key: "pepper.file",
        kind: Kind::Path,
        default: "",
        scope: Scope::LocalOnly,
        doc: "Where the pepper is; the file `pepper` in the data directory by default. Put it elsewhere, for instance where a secrets manager mounts it, so that a copied data directory is worth nothing.",
    },
    Setting {
        key: "pepper.source",
        kind: Kind::Word(&["file", "environment", "command"]),
        default: "file",
        scope: Scope::LocalOnly,
        doc: "Where the pepper is: the file, the variable LATCHKEY_PEPPER, or what `pepper.command` prints. In each a pepper a line, 64 hexadecimal digits, several while one takes another's place.",
    },
    Setting {
        key: "pepper.command",
        kind: Kind::List,
        default: "",
        scope: Scope::LocalOnly,
        doc: "A program by its absolute path, and its arguments, separated by commas: run with an empty environment, for at most 5 seconds, at the start and after a rotation.",
    },
    Setting {
        key: "auth.cache_entries",
        kind: number(100, 1_000_000),
        default: "20000",
        scope: Scope::LocalOnly,
        doc: "Most credentials kept verified in memory, about 1.5 KiB each, shared fairly between tenants. One that is not kept costs some 20 microseconds.",
    },
    Setting {
        key: "auth.cache_mib",
        kind: number(1, 4_096),
        default: "32",
        scope: Scope::LocalOnly,
        doc: "Most memory for them, in MiB: what bounds Apps with long lists of LLMs or metadata.",
    },
    Setting {
        key: "auth.cache_ttl_seconds",
        kind: number(1, 86_400),
        default: "300",
        scope: Scope::LocalOnly,
        doc: "Seconds after which what is kept is read again, changed or not. Changes take effect at once whatever it is; this bounds what no change tells of.",
    },
    Setting {
        key: "auth.deadline_ms",
        kind: number(50, 10_000),
        default: "2000",
        scope: Scope::HostMaySet,
        doc: "Milliseconds that a decision may take; then it is a refusal. Hosts wait 30 seconds.",
    },
    Setting {
        key: "auth.pre_auth",
        kind: Kind::Bool,
        default: "true",
        scope: Scope::HostMaySet,
        doc: "Answers refused requests with a proper 401 before the gateway's own check, which would make a 500 of them.",
    },
    Setting {
        key: "auth.llm_grants",
        kind: Kind::Word(&["required", "tenant"]),
        default: "required",
        scope: Scope::LocalOnly,
        doc: "`required`: an App needs a grant for each LLM. `tenant`: a tenant with `--llm-grants unchecked` needs none.",
    },
    Setting {
        key: "auth.trust_remote_addr",
        kind: Kind::Bool,
        default: "false",
        scope: Scope::LocalOnly,
        doc: "Takes the gateway's peer for the client, which keys bound to addresses need. Only where no proxy stands before the gateway.",
    },
    Setting {
        key: "auth.trusted_proxies",
        kind: Kind::Networks,
        default: "",
        scope: Scope::LocalOnly,
        doc: "The proxies before the gateway, as ranges of addresses: from them the client's address is taken out of `auth.client_ip_header`, from any other peer but loopback the peer is the client. Each must append its peer to the header or overwrite it: the gateway passes only the first line of a header.",
    },
    Setting {
        key: "auth.client_ip_header",
        kind: Kind::Header,
        default: "X-Forwarded-For",
        scope: Scope::LocalOnly,
        doc: "Where trusted proxies name the client: the rightmost address that is no trusted proxy counts.",
    },
    Setting {
        key: "auth.logged_refusals_per_second",
        kind: number(0, 10_000),
        default: "50",
        scope: Scope::LocalOnly,
        doc: "Refusals logged one by one each second; the rest are counted. Bounds what a flood of junk can write.",
    },
    Setting {
        key: "directory.source",
        kind: Kind::Word(&["host", "store"]),
        default: "host",
        scope: Scope::LocalOnly,
        doc: "Where a plugin learns whether an App is there and active: `host` asks the Service API of the host that started it, and refuses where it gets no answer; `store` takes the store's own copy alone, for a gateway without a Studio, which permits no such calls.",
    },
    Setting {
        key: "directory.ttl_seconds",
        kind: number(1, 3_600),
        default: "30",
        scope: Scope::LocalOnly,
        doc: "The oldest that facts of the host may be while it answers, in seconds. They are fetched anew beside the answers after about two thirds of it; what the host tells of takes effect at once.",
    },
    Setting {
        key: "directory.max_stale_seconds",
        kind: number(0, 86_400),
        default: "0",
        scope: Scope::LocalOnly,
        doc: "Seconds that older facts are used while the host does not answer, counted and marked `stale`. 0 refuses instead.",
    },
    Setting {
        key: "directory.reconcile_seconds",
        kind: number(0, 86_400),
        default: "60",
        scope: Scope::LocalOnly,
        doc: "How often Studio's plugin compares the store with all Apps of Studio, besides what Studio tells of; 0 never does.",
    },
    Setting {
        key: "directory.namespaces",
        kind: Kind::Namespaces,
        default: "",
        scope: Scope::LocalOnly,
        doc: "Which tenant has the Apps of a gateway namespace, as namespace=tenant, separated by commas: Studio's plugin then claims them by itself. Apps of other namespaces are listed for whoever may claim them.",
    },
    Setting {
        key: "directory.entries",
        kind: number(100, 1_000_000),
        default: "20000",
        scope: Scope::LocalOnly,
        doc: "Most Apps kept, about 1 KiB each; half of them at most for one tenant.",
    },
    Setting {
        key: "directory.timeout_ms",
        kind: number(100, 60_000),
        default: "10000",
        scope: Scope::LocalOnly,
        doc: "Milliseconds after which a call to the host is given up. Requests wait no longer than `auth.deadline_ms`.",
    },
    Setting {
        key: "argon2.threads",
        kind: number(0, 64),
        default: "0",
        scope: Scope::LocalOnly,
        doc: "Hashing threads, 19 MiB each while they work; 0 is as many as cores. More than cores loses throughput.",
    },
    Setting {
        key: "argon2.queue",
        kind: number(1, 10_000),
        default: "64",
        scope: Scope::LocalOnly,
        doc: "Hashes that may wait; a full queue refuses at once.",
    },
    Setting {
        key: "audit.key_file",
        kind: Kind::Path,
        default: "",
        scope: Scope::LocalOnly,
        doc: "The key that signs the audit trail; the file `audit.key` in the data directory by default. Elsewhere, who can write the store cannot sign it anew.",
    },
    Setting {
        key: "audit.anchor_file",
        kind: Kind::Path,
        default: "",
        scope: Scope::LocalOnly,
        doc: "A file that each checkpoint of the audit trail is appended to, on another machine if possible: what `latchkey audit verify --anchor` compares with.",
    },
    Setting {
        key: "audit.min_retention_days",
        kind: number(0, 36_500),
        default: "90",
        scope: Scope::LocalOnly,
        doc: "Days of the audit trail that nobody can give up over the admin RPC, so that whoever has an owner's token cannot wipe out what was done with it.",
    },
    Setting {
        key: "audit.decisions_max_rows",
        kind: number(1_000, 100_000_000),
        default: "1000000",
        scope: Scope::LocalOnly,
        doc: "Most rows of the decision log, about 200 bytes each; the oldest go first.",
    },
    Setting {
        key: "audit.decisions_per_second",
        kind: number(0, 100_000),
        default: "100",
        scope: Scope::LocalOnly,
        doc: "Refusals of known credentials kept one by one each second; everything else is counted by reason, source and second.",
    },
    Setting {
        key: "audit.accepted_one_in",
        kind: number(0, 1_000_000),
        default: "0",
        scope: Scope::LocalOnly,
        doc: "Each so many-th acceptance is kept one by one in the decision log, with credential, App and User; the rest are counted. 0 keeps none, 1 all, which a busy gateway fills the log with.",
    },
    tokens::KEY_DIR,
    tokens::ISSUER,
    tokens::AUDIENCE,
    tokens::TTL_SECONDS,
    tokens::MAX_TTL_SECONDS,
    tokens::MAX_LIVE,
    tokens::ISSUES_PER_MINUTE,
    Setting {
        key: "log.level",
        kind: Kind::Word(&["error", "warn", "info", "debug", "trace"]),
        default: "info",
        scope: Scope::LocalOnly,
        doc: "What is logged on stderr: refusals at info, acceptances at debug. Dependencies never below warn.",
    },
    Setting {
        key: "log.format",
        kind: Kind::Word(&["auto", "json", "text"]),
        default: "auto",
        scope: Scope::LocalOnly,
        doc: "`json` is what go-plugin hosts parse and what a plugin always writes; `auto` is text at a terminal.",
    },
    Setting {
        key: "serve.listen",
        kind: Kind::List,
        default: "127.0.0.1:7443",
        scope: Scope::LocalOnly,
        doc: "Where `latchkey serve` listens: host:port or unix:PATH, separated by commas.",
    },
    Setting {
        key: "serve.tls_cert",
        kind: Kind::Path,
        default: "",
        scope: Scope::LocalOnly,
        doc: "Certificate chain (PEM) for TCP listeners, for admins too. Hosts that attach by grpc:// speak plaintext. Read again when it, the key or `admin.client_ca` changes.",
    },
    Setting {
        key: "serve.tls_key",
        kind: Kind::Path,
        default: "",
        scope: Scope::LocalOnly,
        doc: "Private key (PEM) of that certificate.",
    },
    Setting {
        key: "serve.allow_plaintext",
        kind: Kind::List,
        default: "",
        scope: Scope::LocalOnly,
        doc: "Addresses other than loopback on which plaintext is served, separated by commas. Whoever can read that network reads every credential.",
    },
    http::LISTEN,
    http::TLS,
    Setting {
        key: "admin.listen",
        kind: Kind::List,
        default: "",
        scope: Scope::LocalOnly,
        doc: "Where `latchkey serve` listens for admins: unix:PATH, or host:port, which needs `serve.tls_cert` and `serve.tls_key`, separated by commas.",
    },
    Setting {
        key: "admin.peers",
        kind: Kind::Peers,
        default: "",
        scope: Scope::LocalOnly,
        doc: "Users of this machine who may administer over the unix socket besides its own, which is an owner. Who is listed may connect as far as the modes of the socket's directory let them.",
    },
    Setting {
        key: "admin.client_ca",
        kind: Kind::Path,
        default: "",
        scope: Scope::LocalOnly,
        doc: "Certificate authorities (PEM) of the client certificates that operators may come with over TCP, instead of a token.",
    },
    Setting {
        key: "studio.tenants",
        kind: Kind::List,
        default: "",
        scope: Scope::LocalOnly,
        doc: "The tenants that Studio's page acts for, by their slugs, separated by commas. With none it shows the names of tenants and nothing else, and no operator can act through it. Whoever is an admin of Studio has what `studio.role` permits for them.",
    },
    Setting {
        key: "studio.role",
        kind: Kind::Word(&["auditor", "issuer"]),
        default: "auditor",
        scope: Scope::LocalOnly,
        doc: "What Studio's page may do for these tenants: `auditor` reads, `issuer` also issues, changes, rotates and revokes credentials. An operator who types a token there acts for five minutes by their own rights, as an issuer at most.",
    },
    Setting {
        key: "portal.scopes",
        kind: Kind::List,
        default: "",
        scope: Scope::LocalOnly,
        doc: "Scopes that people may give to keys of their own in the AI Portal, separated by commas. A key with others is not rotated there either.",
    },
    Setting {
        key: "portal.max_days",
        kind: number(1, 3_650),
        default: "365",
        scope: Scope::LocalOnly,
        doc: "Days that such a key lives at most, and where its maker says nothing.",
    },
    Setting {
        key: "portal.max_keys",
        kind: number(1, 1_000),
        default: "20",
        scope: Scope::LocalOnly,
        doc: "Most keys in force that one User may have of one App; issuing and rotating in the portal ends there.",
    },
    Setting {
        key: "grpc.reflection",
        kind: Kind::Bool,
        default: "false",
        scope: Scope::LocalOnly,
        doc: "Describes the services to any peer, for grpcurl.",
    },
    Setting {
        key: "go_plugin.ignore_client_cert",
        kind: Kind::Bool,
        default: "false",
        scope: Scope::LocalOnly,
        doc: "Ignores PLUGIN_CLIENT_CERT, for a host that was itself started as a plugin and leaks its own host's certificate.",
    },
    Setting {
        key: "go_plugin.multiplex",
        kind: Kind::Bool,
        default: "true",
        scope: Scope::LocalOnly,
        doc: "Offers connection multiplexing to hosts that ask for it.",
    },
    Setting {
        key: "go_plugin.exit_with_host",
        kind: Kind::Bool,
        default: "true",
        scope: Scope::LocalOnly,
        doc: "Ends the plugin when its host is gone. Off only for hosts that come back and attach again.",
    },
    Setting {
        key: "runtime.worker_threads",
        kind: number(0, 256),
        default: "0",
        scope: Scope::LocalOnly,
        doc: "Threads that serve requests; 0 is one for each two cores, which was measured best on two.",
    },
];

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
