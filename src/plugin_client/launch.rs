//! Starting a plugin the go-plugin way (go-plugin-wire 1, 2), and attaching to one that runs (9).

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::handshake::{self, Address, Handshake};
use super::identity::HostIdentity;
use super::mux::Session;
use super::plugin::Plugin;
use super::process::Process;
use super::wire::Wire;
use super::{HostError, IdentityError};

/// go-plugin's default.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How to start a plugin. The defaults are those of both hosts of AI Studio: no `AutoMTLS`, no multiplexing.
pub struct Launch {
    binary: PathBuf,
    env: Vec<(OsString, OsString)>,
    inherit: bool,
    socket_dir: Option<PathBuf>,
    auto_mtls: bool,
    multiplex: bool,
    start_timeout: Duration,
}

impl Launch {
    /// Of this binary, without arguments.
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        Self {
            binary: binary.into(),
            env: Vec::new(),
            inherit: true,
            socket_dir: None,
            auto_mtls: false,
            multiplex: false,
            start_timeout: START_TIMEOUT,
        }
    }

    /// Adds a variable to the host's environment. The variables of go-plugin itself win over it.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Gives the plugin nothing of this process's own environment.
    #[must_use]
    pub fn without_own_environment(mut self) -> Self {
        self.inherit = false;
        self
    }

    /// Where both sides make their sockets.
    #[must_use]
    pub fn socket_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.socket_dir = Some(dir.into());
        self
    }

    /// Both sides authenticate each other by throw-away certificates.
    #[must_use]
    pub fn auto_mtls(mut self, on: bool) -> Self {
        self.auto_mtls = on;
        self
    }

    /// All connections run over one.
    #[must_use]
    pub fn multiplex(mut self, on: bool) -> Self {
        self.multiplex = on;
        self
    }

    /// How long the plugin has until its handshake line.
    #[must_use]
    pub fn start_timeout(mut self, limit: Duration) -> Self {
        self.start_timeout = limit;
        self
    }

    /// Starts the process and reads its handshake line.
    ///
    /// # Errors
    /// When it does not start, says nothing in time, or says what a Go host would refuse; it is killed then.
    pub async fn start(self) -> Result<Started, HostError> {
        let identity = self.auto_mtls.then(HostIdentity::generate).transpose()?;
        let mut command = Command::new(&self.binary);
        if !self.inherit {
            command.env_clear();
        }
        command.envs(self.env);
        command.env("AI_STUDIO_PLUGIN", "v1").env("PLUGIN_PROTOCOL_VERSIONS", "1");
        command.env("PLUGIN_MIN_PORT", "10000").env("PLUGIN_MAX_PORT", "25000");
        if let Some(identity) = &identity {
            command.env("PLUGIN_CLIENT_CERT", identity.pem());
        }
        if self.multiplex {
            command.env("PLUGIN_MULTIPLEX_GRPC", "true");
        }
        if let Some(dir) = &self.socket_dir {
            command.env("PLUGIN_UNIX_SOCKET_DIR", dir);
        }
        // A Go host passes its own stdin on; a plugin that reads it is broken either way.
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let spawn = |source| HostError::Spawn { path: self.binary.clone(), source };
        let mut process = command.spawn().and_then(Process::new).map_err(spawn)?;
        let line = match tokio::time::timeout(self.start_timeout, process.first_line()).await {
            Ok(line) => line.unwrap_or_default(),
            Err(_) => return Err(HostError::StartTimeout { seconds: self.start_timeout.as_secs() }),
        };
        if !line.ends_with(b"\n") && line.len() < handshake::MAX_LINE {
            let status = process.wait(Duration::from_secs(1)).await.and_then(|status| status.code());
            process.pipes_end(Duration::from_millis(200)).await;
            let last_words = process.logs().lines().pop().unwrap_or_default();
            return Err(HostError::EndedEarly { status, last_words });
        }
        let handshake = handshake::parse(&line, self.auto_mtls, self.multiplex)?;
        let dir = self.socket_dir.unwrap_or_else(std::env::temp_dir);
        Ok(Started { process, handshake, identity, multiplex: self.multiplex, dir })
    }

    /// Starts and connects.
    ///
    /// # Errors
    /// As [`Self::start`] and [`Started::connect`].
    pub async fn connect(self) -> Result<Plugin, HostError> {
        self.start().await?.connect().await
    }
}

/// A process that has shaken hands. Dropped, it is killed.
pub struct Started {
    process: Process,
    handshake: Handshake,
    identity: Option<HostIdentity>,
    multiplex: bool,
    dir: PathBuf,
}

impl Started {
    /// What its line said.
    pub fn handshake(&self) -> &Handshake {
        &self.handshake
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Connects, and opens the broker's and the stdio stream.
    ///
    /// # Errors
    /// When the address does not take a connection, or the plugin's certificate is not what it must be.
    pub async fn connect(self) -> Result<Plugin, HostError> {
        let Self { process, handshake, identity, multiplex, dir } = self;
        let address = handshake.address.clone();
        let tls = match (&identity, handshake.certificate) {
            (Some(identity), Some(leaf)) => Some(identity.trusting(leaf)?),
            (Some(_), None) => return Err(IdentityError::Tls(rustls::Error::NoCertificatesPresented).into()),
            (None, _) => None,
        };
        let session = if multiplex {
            let wire = Wire::dial(&address).await.map_err(|e| unreachable_at(&address, e))?;
            Some(Session::over(wire))
        } else {
            None
        };
        Plugin::open(Some(process), address.clone(), session, tls, dir).await.map_err(|e| unreachable_at(&address, e))
    }
}

/// Attaches to a plugin that listens on TCP: an empty connection first, as go-plugin probes, then a plain one.
///
/// # Errors
/// When nothing listens there.
pub async fn attach(address: SocketAddr) -> Result<Plugin, HostError> {
    let address = Address::Tcp(address);
    drop(Wire::dial(&address).await.map_err(|e| unreachable_at(&address, e))?);
    let opened = Plugin::open(None, address.clone(), None, None, std::env::temp_dir()).await;
    opened.map_err(|e| unreachable_at(&address, e))
}

fn unreachable_at(address: &Address, source: impl std::error::Error + Send + Sync + 'static) -> HostError {
    HostError::Connect { address: address.to_string(), source: Box::new(source) }
}
