//! Settings of outside issuers of JWTs: how their keys are fetched and kept. All are local: they say where this machine connects to
//! and whom it believes (rules R2 and R17).

use crate::config::kind::Kind;
use crate::config::setting::{Scope, Setting};
use crate::config::table::number;

const fn local(key: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Setting {
    Setting { key, kind, default, scope: Scope::LocalOnly, doc }
}

/// In the order of the generated file.
pub(super) const SETTINGS: &[Setting] = &[
    local(
        "links.key_file",
        Kind::Path,
        "",
        "The key of subject hashes, by which links are found and under which they and issuers are sealed; the file `subject.key` in the data directory by default. Elsewhere, beside the pepper for instance, who has the store alone can try no subjects and seal no issuers.",
    ),
    local(
        "jwks.refresh_seconds",
        number(60, 3_600),
        "300",
        "Seconds after which the keys of an issuer are fetched anew, beside the answers, where its answer does not say by `max-age`; about a tenth more or less. What is not among them then is not used any more.",
    ),
    local(
        "jwks.max_stale_seconds",
        number(300, 604_800),
        "86400",
        "Seconds that keys are used after they were last fetched, while they cannot be; then tokens of that issuer are refused. Restarts do not extend it.",
    ),
    local(
        "jwks.cooldown_seconds",
        number(1, 3_600),
        "30",
        "Seconds in which the keys of an issuer are not asked for again because of a token with an unknown key, or after a failure. Bounds what made-up tokens cost the issuer, and how long a new key may take that was used before it was published.",
    ),
    local(
        "jwks.wait_ms",
        number(0, 10_000),
        "1000",
        "Milliseconds that a request waits at most for keys that are not held, within `auth.deadline_ms`; 0 refuses at once.",
    ),
    local(
        "jwks.timeout_ms",
        number(100, 60_000),
        "5000",
        "Milliseconds after which a fetch is given up, from the wait for a turn to the last byte.",
    ),
    local(
        "jwks.allow_networks",
        Kind::Networks,
        "",
        "Ranges of addresses beyond the public ones that keys may be fetched from, for issuers in a network of one's own. Whoever may add an issuer can have this machine connect to anything in them.",
    ),
    local(
        "jwks.allow_loopback_http",
        Kind::Bool,
        "false",
        "Permits `http://` for keys, from loopback addresses alone. For tests and for a proxy on this machine.",
    ),
    local(
        "jwks.ca_file",
        Kind::Path,
        "",
        "Certificates of authorities, PEM, that are believed besides those of Mozilla's list, when keys are fetched. The system's own and `SSL_CERT_FILE` are not used.",
    ),
];
