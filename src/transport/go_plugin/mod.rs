//! The plugin's end of HashiCorp go-plugin, gRPC protocol: how a Go host starts us, finds us, secures the
//! connection, and lets us go. Knows nothing of authentication.
//!
//! In the order of a life: [`environment`] (what the host says), [`tls`] (`AutoMTLS`), [`listener`] (bind before the line),
//! [`handshake`] (the one stdout line), [`serve`] (the services every plugin has), [`broker`] and [`mux`]
//! (connections beside the main one), [`end`] (shutdown, signals, a dead host). Section numbers in comments are
//! those of the go-plugin wire contract in `proto/CONTRACT.md`.

pub mod broker;
pub mod conn;
pub mod end;
pub mod environment;
pub mod handshake;
pub mod listener;
pub mod mux;
pub mod serve;
pub mod services;
pub mod tls;

pub use broker::{Broker, Brokers};
pub use conn::{PeerInfo, Surface};
pub use environment::Environment;

/// How the wire behaves; all settings of this machine.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own in the configuration")]
#[derive(Clone, Debug)]
pub struct Settings {
    /// Ignores `PLUGIN_CLIENT_CERT`, for hosts that leak another host's into our environment (section 1).
    pub ignore_client_cert: bool,
    /// Whether multiplexing is offered where the host asks for it.
    pub multiplex: bool,
    /// Whether we end when the host is gone. Off only for hosts that come back and attach again.
    pub exit_with_host: bool,
    /// Publishes the service's description to any peer.
    pub reflection: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { ignore_client_cert: false, multiplex: true, exit_with_host: true, reflection: false }
    }
}
