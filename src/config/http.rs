//! The HTTP side of `serve`.

use crate::config::kind::Kind;
use crate::config::setting::{Scope, Setting};

pub(super) const LISTEN: Setting = Setting {
    key: "serve.http",
    kind: Kind::List,
    default: "",
    scope: Scope::LocalOnly,
    doc: "Where `latchkey serve` answers `/metrics`, `/healthz` and `/readyz` over HTTP, and gives programs tokens: host:port, separated by commas. Plaintext: beyond loopback only where `serve.allow_plaintext` names the address, and tokens are not given there; or over TLS, with `serve.http_tls`.",
};

pub(super) const TLS: Setting = Setting {
    key: "serve.http_tls",
    kind: Kind::Bool,
    default: "false",
    scope: Scope::LocalOnly,
    doc: "Speaks TLS on addresses of `serve.http` beyond loopback that `serve.allow_plaintext` does not name, with `serve.tls_cert` and `serve.tls_key`. There the OAuth endpoints alone are answered, neither metrics nor health.",
};
