//! A connected plugin: its services, and how a host ends it (go-plugin-wire 8.1).

use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_util::sync::DropGuard;
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::broker::{Broker, lock};
use super::handshake::Address;
use super::identity::Tls;
use super::logs::Logs;
use super::mux::Session;
use super::process::Process;
use super::wire::{self, Wire};
use crate::pb::full::config_provider::config_provider_service_client::ConfigProviderServiceClient;
use crate::pb::full::plugin::Empty;
use crate::pb::full::plugin::grpc_controller_client::GrpcControllerClient;
use crate::pb::full::plugin::grpc_stdio_client::GrpcStdioClient;
use crate::pb::full::plugin::plugin_service_client::PluginServiceClient;

/// What a Go host sends and takes at most.
const MAX_MESSAGE: usize = i32::MAX as usize;
/// After `Shutdown` was answered the process has this long, then SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// A Go host waits for ever; so long is hanging enough.
const HANGS: Duration = Duration::from_secs(20);

/// A plugin that answers. Dropped without [`Plugin::kill`], its process is killed.
pub struct Plugin {
    process: Option<Process>,
    address: Address,
    channel: Channel,
    broker: Broker,
    stdio: Stdio,
    _stdio_reader: AbortOnDropHandle<()>,
    /// Ends the broker with the plugin, so that nothing outlives an attached one.
    _broker_guard: DropGuard,
}

/// What came over the stdio stream.
#[derive(Clone, Default)]
pub struct Stdio {
    state: Arc<Mutex<(Vec<u8>, Option<tonic::Code>)>>,
}

impl Stdio {
    /// All bytes so far.
    pub fn bytes(&self) -> Vec<u8> {
        lock(&self.state).0.clone()
    }

    /// How the stream ended; `Ok` for a plain end, none while it stands.
    pub fn ended(&self) -> Option<tonic::Code> {
        lock(&self.state).1
    }

    async fn read(self, channel: Channel) {
        let code = match GrpcStdioClient::new(channel).stream_stdio(()).await {
            Err(status) => status.code(),
            Ok(answer) => {
                let mut stream = answer.into_inner();
                loop {
                    match stream.message().await {
                        Ok(Some(piece)) => lock(&self.state).0.extend_from_slice(&piece.data),
                        Ok(None) => break tonic::Code::Ok,
                        Err(status) => break status.code(),
                    }
                }
            }
        };
        lock(&self.state).1 = Some(code);
    }
}

/// What became of the controller's `Shutdown`.
#[derive(Debug)]
pub enum ShutdownAnswer {
    /// Answered.
    Answered,
    /// Answered by an error, or the connection ended first; both are fine when the process ends.
    Lost(tonic::Code),
    /// The process ended first.
    ProcessEnded,
    /// Not answered: a Go host would hang for ever.
    Hung,
}

/// How a plugin ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit status, where there was a process.
    pub status: Option<ExitStatus>,
    /// The controller's `Shutdown`.
    pub shutdown: ShutdownAnswer,
    /// Whether it took SIGKILL.
    pub forced: bool,
    /// Whether somebody else still held its stdout or stderr; a Go host would block.
    pub pipes_held: bool,
    /// Bytes on stdout after the handshake line.
    pub stdout_after_line: u64,
}

impl Ended {
    /// Whether it went by itself with status 0, and left nothing behind that holds up a host.
    pub fn cleanly(&self) -> bool {
        let status = self.status.is_none_or(|status| status.success());
        status && !self.forced && !self.pipes_held && !matches!(self.shutdown, ShutdownAnswer::Hung)
    }
}

impl Plugin {
    pub(super) async fn open(
        process: Option<Process>,
        address: Address,
        session: Option<Session>,
        tls: Option<Tls>,
        dir: PathBuf,
    ) -> Result<Self, tonic::transport::Error> {
        let (target, mux, security) = (address.clone(), session.clone(), tls.clone());
        let dial = move || {
            let (target, mux, security) = (target.clone(), mux.clone(), security.clone());
            async move {
                let wire = match mux {
                    Some(session) => session.open().await?,
                    None => Wire::dial(&target).await?,
                };
                wire.secured(security.as_ref()).await
            }
        };
        let channel = wire::channel(tls.is_some(), dial).await?;
        let broker = Broker::start(channel.clone(), session, tls, dir);
        let stdio = Stdio::default();
        let reader = AbortOnDropHandle::new(tokio::spawn(stdio.clone().read(channel.clone())));
        let guard = broker.shared.closed.clone().drop_guard();
        Ok(Self { process, address, channel, broker, stdio, _stdio_reader: reader, _broker_guard: guard })
    }

    /// `plugin.PluginService`, with a Go host's message limits.
    pub fn service(&self) -> PluginServiceClient<Channel> {
        PluginServiceClient::new(self.channel.clone())
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE)
    }

    /// `config_provider.ConfigProviderService`.
    pub fn config_provider(&self) -> ConfigProviderServiceClient<Channel> {
        ConfigProviderServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    /// The bare channel, for services not named here.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// go-plugin's own Ping: health of the service `plugin`; the status itself is not looked at.
    ///
    /// # Errors
    /// What the plugin answered.
    pub async fn ping(&self) -> Result<(), tonic::Status> {
        let request = HealthCheckRequest { service: "plugin".to_owned() };
        HealthClient::new(self.channel.clone()).check(request).await.map(drop)
    }

    /// The controller's `Shutdown` alone.
    ///
    /// # Errors
    /// What the plugin answered.
    pub async fn shutdown(&self) -> Result<(), tonic::Status> {
        GrpcControllerClient::new(self.channel.clone()).shutdown(Empty {}).await.map(drop)
    }

    /// The broker.
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// The stdio stream.
    pub fn stdio(&self) -> &Stdio {
        &self.stdio
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Its process; none when attached.
    pub fn process(&mut self) -> Option<&mut Process> {
        self.process.as_mut()
    }

    /// What its process wrote to stderr; empty when attached.
    pub fn logs(&self) -> Logs {
        self.process.as_ref().map(|process| process.logs().clone()).unwrap_or_default()
    }

    /// Its process id; none when attached.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// The host's Kill: close the broker, `Shutdown`, close the connection, two seconds, SIGKILL, both pipes
    /// at their end. Of an attached plugin it only leaves, as a Go host does after the first second.
    pub async fn kill(self) -> Ended {
        let Self { process, channel, broker, _stdio_reader: reader, .. } = self;
        broker.close();
        let Some(mut process) = process else {
            let shutdown = ShutdownAnswer::ProcessEnded;
            return Ended { status: None, shutdown, forced: false, pipes_held: false, stdout_after_line: 0 };
        };
        let mut controller = GrpcControllerClient::new(channel);
        let shutdown = tokio::select! {
            answer = controller.shutdown(Empty {}) => match answer {
                Ok(_) => ShutdownAnswer::Answered,
                Err(status) => ShutdownAnswer::Lost(status.code()),
            },
            status = process.wait(HANGS) => match status {
                Some(_) => ShutdownAnswer::ProcessEnded,
                None => ShutdownAnswer::Hung,
            },
        };
        drop((controller, reader, broker));
        let mut status = process.wait(GRACE).await;
        let forced = status.is_none();
        if forced {
            status = process.kill_now().await;
        }
        let pipes_held = !process.pipes_end(Duration::from_secs(10)).await;
        Ended { status, shutdown, forced, pipes_held, stdout_after_line: process.stdout_after_line() }
    }
}
