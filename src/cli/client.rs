//! The one way of the command line to what it administers: it calls the admin service, in this process on the files, or
//! over a wire with `--server`. Which of the two it is, no command knows.

use std::sync::Arc;

use anyhow::Context as _;
use tonic::body::Body;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceExt as _};

use crate::app::init::local_caller;
use crate::app::office::Desk;
use crate::cli::context::{Context, Failure};
use crate::cli::remote;
use crate::pb::admin::v1::admin_service_client::AdminServiceClient;
use crate::transport::admin::{AdminRpc, Known, Office, Peers, with_causes};

/// Where requests go.
type Way = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, BoxError>;
/// The service as a client sees it.
pub(super) type Rpc = AdminServiceClient<Way>;

/// A client, and what it runs on.
pub(super) struct Client {
    // First: its threads have the store open, and the last one to close it must be the store itself.
    runtime: tokio::runtime::Runtime,
    rpc: Rpc,
    request_id: String,
}

/// Messages of an answer at most, in bytes.
const MAX_MESSAGE: usize = 16 * 1024 * 1024;

impl Client {
    /// As the global options say. One that `decides` can be asked what a gateway would be told.
    pub(super) fn new(context: &Context, decides: bool) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let way = if let Some(server) = context.server() {
            // The log, and the configuration that it is set by.
            context.settings()?;
            let target = remote::Target::new(&server, &context.connection())?;
            let channel = runtime.block_on(target.connect()).with_context(|| format!("cannot reach {server}"))?;
            let token = target.authorization;
            let with_token = channel.map_request(move |mut request: http::Request<Body>| {
                if let Some(token) = &token {
                    request.headers_mut().insert(http::header::AUTHORIZATION, token.clone());
                }
                request
            });
            BoxCloneSyncService::new(with_token.map_err(BoxError::from))
        } else {
            let office: Arc<dyn Office> = Arc::new(Desk::open(&context.settings()?.app, decides)?);
            let service = AdminRpc::new(office, Peers::default()).into_server();
            let as_owner = service.map_request(|mut request: http::Request<Body>| {
                request.extensions_mut().insert(Known(local_caller()));
                request
            });
            BoxCloneSyncService::new(as_owner.map_err(|never| match never {}))
        };
        let rpc = AdminServiceClient::new(way).max_decoding_message_size(MAX_MESSAGE);
        Ok(Self { runtime, rpc, request_id: context.request_id() })
    }

    /// What ties what is done to this request; empty for nothing.
    pub(super) fn request_id(&self) -> String {
        self.request_id.clone()
    }

    /// Asks one thing.
    pub(super) fn ask<A>(
        &mut self,
        call: impl AsyncFnOnce(&mut Rpc) -> Result<Response<A>, Status>,
    ) -> Result<A, Failure> {
        let answer = self.runtime.block_on(call(&mut self.rpc));
        answer.map(Response::into_inner).map_err(Failure::from)
    }

    /// Asks for something that takes its time.
    pub(super) fn run<A>(&mut self, work: impl AsyncFnOnce(&mut Rpc) -> Result<A, Failure>) -> Result<A, Failure> {
        self.runtime.block_on(work(&mut self.rpc))
    }

    /// Every row of a listing, page by page.
    pub(super) fn pages<A, T>(
        &mut self,
        mut call: impl AsyncFnMut(&mut Rpc, String) -> Result<Response<A>, Status>,
        rows: impl Fn(A) -> (Vec<T>, String),
        mut each: impl FnMut(T),
    ) -> Result<(), Failure> {
        let mut token = String::new();
        loop {
            let page = self.runtime.block_on(call(&mut self.rpc, token))?.into_inner();
            let (page, next) = rows(page);
            page.into_iter().for_each(&mut each);
            if next.is_empty() {
                return Ok(());
            }
            token = next;
        }
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        use std::error::Error as _;
        let advice = status.get_error_details().localized_message().map(|advice| advice.message.clone());
        // Causes are of a call that never reached a server.
        let text = with_causes(status.message().to_owned(), status.source());
        let error = match advice {
            Some(advice) => anyhow::anyhow!("{text}: {advice}"),
            None => anyhow::anyhow!("{text}"),
        };
        if status.code() == Code::InvalidArgument { Self::usage(error) } else { error.into() }
    }
}
