//! The host's Service API, whichever host it is, and the way to it.
//!
//! A host announces it over the go-plugin broker under an id that `Initialize` and each `OpenSession` name (host contract
//! 4.1). [`HostLink`] holds the newest; a reload of the plugin's session brings another generation, and calls under way on
//! the old one fail or succeed by themselves.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tonic::transport::Channel;

use crate::directory::facts::HostApp;
use crate::directory::{gateway, studio};
use crate::domain::AppId;

/// Which host started us, told by the keys of its configuration (host contract 2.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HostRuntime {
    /// AI Studio.
    Studio,
    /// The microgateway.
    Microgateway,
}

/// Why the host gave no answer. Its own words are kept out: they are of another program, and may quote anything.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HostError {
    /// Its Service API cannot be reached.
    #[error("the host's Service API cannot be reached")]
    Unreachable,
    /// It took too long.
    #[error("the host's Service API did not answer in time")]
    TimedOut,
    /// It does not let us ask.
    #[error("the host's Service API refuses this plugin ({code:?}): it needs the scope {scope}")]
    Forbidden {
        /// Its code.
        code: tonic::Code,
        /// What is missing.
        scope: &'static str,
    },
    /// It failed.
    #[error("the host's Service API failed ({code:?})")]
    Failed {
        /// Its code.
        code: tonic::Code,
    },
    /// What it answered makes no sense.
    #[error("the host's Service API answered with {what}")]
    Nonsense {
        /// What.
        what: &'static str,
    },
    /// It changed while it was asked, again and again.
    #[error("what was asked for changed meanwhile")]
    Changing,
}

impl HostError {
    /// From the status of a call that needs this scope.
    pub(super) fn of(status: &tonic::Status, scope: &'static str) -> Self {
        match status.code() {
            code @ (tonic::Code::PermissionDenied | tonic::Code::Unauthenticated | tonic::Code::Unimplemented) => {
                Self::Forbidden { code, scope }
            }
            tonic::Code::DeadlineExceeded | tonic::Code::Cancelled => Self::TimedOut,
            tonic::Code::Unavailable => Self::Unreachable,
            code => Self::Failed { code },
        }
    }
}

/// An answer to come.
pub type HostFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, HostError>> + Send + 'a>>;

/// A page of a host's Apps.
#[derive(Clone, Debug, Default)]
pub struct HostPage {
    /// Newest first, as the host lists them.
    pub apps: Vec<HostApp>,
    /// Apps of this page that make no sense, by their ids as the host gave them.
    pub odd: Vec<u32>,
}

/// A host's Service API. No call has a limit in time of its own.
pub trait HostService: Send + Sync {
    /// One App; none if the host says that there is none.
    fn app(&self, id: AppId) -> HostFuture<'_, Option<HostApp>>;
    /// A page of all Apps, active or not, counted from 1, of [`PAGE`] at most.
    /// Only Studio is asked: a gateway has a copy.
    fn apps(&self, _page: u32) -> HostFuture<'_, HostPage> {
        Box::pin(std::future::ready(Err(HostError::Failed { code: tonic::Code::Unimplemented })))
    }
    /// Ids of Apps that change from now on, as the host's bus tells of them: lossy, and any plugin may forge one.
    /// The stream is there at once: whether the host has a bus shows in it.
    fn app_events(&self) -> AppEvents {
        Box::pin(tokio_stream::once(Err(HostError::Forbidden {
            code: tonic::Code::Unimplemented,
            scope: "the event bus",
        })))
    }
}

/// Apps that changed; none inside for one that it could not be told of. Ends with an error, or because the host ended it.
pub type AppEvents = Pin<Box<dyn tokio_stream::Stream<Item = Result<Option<AppId>, HostError>> + Send>>;

/// Bytes of an answer at most: a page of Apps, each with much metadata.
pub(super) const MAX_MESSAGE: usize = 64 << 20;

/// Apps of a page: the most that Studio gives.
pub const PAGE: u32 = 100;

/// Makes the connection that a host's Service API is asked over.
pub trait Connect: Send + Sync {
    /// A channel that reconnects by itself; none where the host cannot be reached.
    fn connect(&self) -> Pin<Box<dyn Future<Output = Option<Channel>> + Send + '_>>;
}

/// What a host said about its Service API.
#[derive(Clone)]
pub struct HostSession {
    /// Which host.
    pub runtime: HostRuntime,
    /// Who we are to it. A gateway believes it, so it comes from nobody but the host itself (hazard H18).
    pub plugin_id: u32,
    /// The broker's id of the service.
    pub broker_id: u32,
    /// The way to it.
    pub connect: Arc<dyn Connect>,
}

/// A connection that is made when it is first needed, and again if it could not be.
#[derive(Clone)]
pub(super) struct Line(Arc<Ends>);

struct Ends {
    connect: Arc<dyn Connect>,
    channel: tokio::sync::OnceCell<Channel>,
}

impl Line {
    pub(super) fn new(connect: Arc<dyn Connect>) -> Self {
        Self(Arc::new(Ends { connect, channel: tokio::sync::OnceCell::new() }))
    }

    pub(super) async fn channel(&self) -> Result<Channel, HostError> {
        let Ends { connect, channel } = &*self.0;
        let made = channel.get_or_try_init(|| async { connect.connect().await.ok_or(HostError::Unreachable) });
        made.await.cloned()
    }
}

struct Linked {
    service: Arc<dyn HostService>,
    runtime: HostRuntime,
    ids: (u32, u32),
}

/// The Service API of the host that started this process, as long as there is one.
#[derive(Default)]
pub struct HostLink {
    current: ArcSwapOption<Linked>,
    /// Held from a question about Apps to the writing of what came of it: an older answer must not be written after a newer
    /// one, whoever asks.
    pub(super) turn: std::sync::Mutex<()>,
}

impl HostLink {
    /// Goes to this service from now on, over a connection that is made at once: where connections are multiplexed a host
    /// whose broker stream has ended gives no new ones. Whether that is another service than before. Within a runtime only.
    pub fn set(&self, session: &HostSession) -> bool {
        let ids = (session.plugin_id, session.broker_id);
        if self.current.load().as_ref().is_some_and(|now| now.ids == ids && now.runtime == session.runtime) {
            return false;
        }
        let line = Line::new(Arc::clone(&session.connect));
        let early = line.clone();
        tokio::spawn(async move { drop(early.channel().await) });
        let service: Arc<dyn HostService> = match session.runtime {
            HostRuntime::Microgateway => Arc::new(gateway::Gateway::new(line, session.plugin_id)),
            HostRuntime::Studio => Arc::new(studio::Studio::new(line, session.plugin_id)),
        };
        self.current.store(Some(Arc::new(Linked { service, runtime: session.runtime, ids })));
        true
    }

    /// Goes to a service made elsewhere.
    pub fn set_service(&self, service: Arc<dyn HostService>, runtime: HostRuntime) {
        self.current.store(Some(Arc::new(Linked { service, runtime, ids: (0, 0) })));
    }

    /// The host has no Service API.
    pub fn clear(&self) {
        self.current.store(None);
    }

    /// The service, where there is one.
    pub fn service(&self) -> Option<Arc<dyn HostService>> {
        self.current.load().as_ref().map(|linked| Arc::clone(&linked.service))
    }

    /// Which host it is.
    pub fn runtime(&self) -> Option<HostRuntime> {
        self.current.load().as_ref().map(|linked| linked.runtime)
    }
}
