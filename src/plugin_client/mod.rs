//! A go-plugin host of our own: starts the plugin, shakes hands, calls it, ends it.
//!
//! For `demo` and the tests, so that a machine with only Rust can drive the real binary. It does what a Go
//! host does (go-plugin-wire 1 to 10) and is as strict, and says where a Go host would crash. It shares no
//! code with [`crate::transport`], or both could be wrong in the same way; the host in `tests/host-go` is
//! the other judge. Nothing that authenticates may depend on it.
//!
//! [`Launch`] starts a process and reads its handshake line ([`Started`]); [`Started::connect`] or [`attach`]
//! gives a [`Plugin`].

mod broker;
mod broker_serve;
mod handshake;
mod identity;
mod launch;
mod logs;
mod mux;
mod plugin;
mod process;
mod wire;

pub use broker::{Broker, BrokerError};
pub use handshake::{Address, Handshake, HandshakeError};
pub use identity::{HostIdentity, IdentityError};
pub use launch::{Launch, Started, attach};
pub use logs::{LineProblem, LogEntry, Logs, parse_line};
pub use plugin::{Ended, Plugin, ShutdownAnswer, Stdio};
pub use process::Process;

/// Why the host could not get or keep a plugin.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The binary could not be executed.
    #[error("cannot start {}", path.display())]
    Spawn {
        /// Which binary.
        path: std::path::PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// No handshake line in time; the process was killed.
    #[error("no handshake line within {seconds} s")]
    StartTimeout {
        /// How long the host waited.
        seconds: u64,
    },
    /// The process ended, or closed its stdout, before a whole line.
    #[error("the plugin ended before the handshake line (status {status:?}); its last words: {last_words}")]
    EndedEarly {
        /// Its exit status, where it ended within a second.
        status: Option<i32>,
        /// The last line of its stderr.
        last_words: String,
    },
    /// The line is not one that a Go host takes.
    #[error("handshake: {0}")]
    Handshake(#[from] HandshakeError),
    /// The host's own certificate could not be made, or the plugin's is unusable.
    #[error("TLS identity: {0}")]
    Identity(#[from] IdentityError),
    /// No connection to the advertised address.
    #[error("cannot connect to {address}")]
    Connect {
        /// Where to.
        address: String,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
