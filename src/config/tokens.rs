//! How short-lived tokens are issued.

use std::path::PathBuf;

use crate::app::tokens::TokenSettings;
use crate::config::Values;
use crate::config::kind::Kind;
use crate::config::setting::{Scope, Setting};

pub(super) const KEY_DIR: Setting = Setting {
    key: "tokens.key_dir",
    kind: Kind::Path,
    default: "",
    scope: Scope::LocalOnly,
    doc: "Where the private keys are that sign short-lived tokens, each a file token-KID.key; the data directory by default.",
};

pub(super) const ISSUER: Setting = Setting {
    key: "tokens.issuer",
    kind: Kind::Claim,
    default: "",
    scope: Scope::LocalOnly,
    doc: "What our tokens name as their issuer (`iss`); urn:latchkey: and an id of the store by default. All processes on a store must say the same: tokens of another are refused.",
};

pub(super) const AUDIENCE: Setting = Setting {
    key: "tokens.audience",
    kind: Kind::Claim,
    default: "",
    scope: Scope::LocalOnly,
    doc: "What our tokens name as their audience (`aud`); the issuer by default.",
};

pub(super) const TTL_SECONDS: Setting = Setting {
    key: "tokens.ttl_seconds",
    kind: Kind::Number { min: 60, max: 86_400 },
    default: "900",
    scope: Scope::LocalOnly,
    doc: "Seconds that a token lives where nobody says how long. Short, so that one that is lost is worth little; a new one is one request away.",
};

pub(super) const MAX_TTL_SECONDS: Setting = Setting {
    key: "tokens.max_ttl_seconds",
    kind: Kind::Number { min: 60, max: 86_400 },
    default: "3600",
    scope: Scope::LocalOnly,
    doc: "Seconds that a token lives at most, and never longer than its credential.",
};

pub(super) const MAX_LIVE: Setting = Setting {
    key: "tokens.max_live",
    kind: Kind::Number { min: 1, max: 10_000 },
    default: "1000",
    scope: Scope::LocalOnly,
    doc: "Most tokens in force of one credential, each a row of the store, so that nobody fills it with them.",
};

pub(super) const ISSUES_PER_MINUTE: Setting = Setting {
    key: "tokens.issues_per_minute",
    kind: Kind::Number { min: 1, max: 10_000 },
    default: "60",
    scope: Scope::LocalOnly,
    doc: "Tokens that a credential may get from the token endpoint in a minute, by each process: all at once, or at an even pace. Whoever asks more often is told to wait.",
};

/// How programs get them.
pub(super) fn endpoints(values: &Values) -> crate::transport::oauth::Settings {
    let issues_per_minute = values.get(ISSUES_PER_MINUTE.key).parse().unwrap_or(1);
    crate::transport::oauth::Settings { issues_per_minute }
}

/// As checked values say.
pub(super) fn settings(values: &Values) -> TokenSettings {
    let text = |setting: &Setting| Some(values.get(setting.key)).filter(|text| !text.is_empty()).map(str::to_owned);
    let number = |setting: &Setting| values.get(setting.key).parse().unwrap_or(1);
    TokenSettings {
        key_dir: text(&KEY_DIR).map(PathBuf::from),
        issuer: text(&ISSUER),
        audience: text(&AUDIENCE),
        ttl_s: number(&TTL_SECONDS),
        max_ttl_s: number(&MAX_TTL_SECONDS),
        most: number(&MAX_LIVE),
    }
}
