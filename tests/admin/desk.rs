//! A store with two tenants, the server on it, and its callers.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use latchkey::pb::admin::v1::admin_service_client::AdminServiceClient;
use serde_json::Value;
use tokio::net::UnixStream;
use tonic::metadata::MetadataValue;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Request, Status};

use crate::support::server::Server;
use crate::support::store::secret_part;
use crate::support::{TENANT, TestStore};

/// The other tenant: App 21, User 22.
pub const OTHER_TENANT: &str = "globex";
pub const OTHER_TENANTS_APP: u32 = 21;
pub const OTHER_TENANTS_USER: u32 = 22;

/// `latchkey serve` with a socket for admins.
pub struct AdminServer {
    server: Server,
    pub socket: PathBuf,
}

pub type Rpc = AdminServiceClient<InterceptedService<Channel, Bearer>>;

/// Sends a token with every call; none where there is none.
#[derive(Clone)]
pub struct Bearer(pub Option<String>);

impl tonic::service::Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            let value: MetadataValue<_> = format!("Bearer {token}").parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        Ok(request)
    }
}

impl AdminServer {
    pub fn start(store: &TestStore, more: &[&str]) -> Self {
        Self::of(store.command(&[]), store, more)
    }

    pub fn of(command: Command, store: &TestStore, more: &[&str]) -> Self {
        static SOCKETS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = SOCKETS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let socket = store.data.parent().unwrap().join(format!("admin{number}.sock"));
        let at = format!("unix:{}", socket.display());
        Self { server: Server::of(command, &[&["--admin", &at], more].concat()), socket }
    }

    /// Where hosts attach.
    pub fn listening(&self) -> SocketAddr {
        self.server.address
    }

    /// What it told when it was ready.
    pub fn told(&self) -> &Value {
        &self.server.told
    }

    /// A caller over the unix socket, with a token or as our own uid.
    pub async fn rpc(&self, token: Option<&str>) -> Rpc {
        AdminServiceClient::with_interceptor(self.channel().await, Bearer(token.map(str::to_owned)))
    }

    pub async fn channel(&self) -> Channel {
        let path = self.socket.clone();
        let dial = tower::service_fn(move |_: Uri| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(hyper_util::rt::TokioIo::new) }
        });
        Endpoint::from_static("http://localhost").connect_with_connector(dial).await.unwrap()
    }

    /// Where `--server` finds it.
    pub fn url(&self) -> String {
        format!("unix:{}", self.socket.display())
    }

    pub fn log(&self) -> String {
        String::from_utf8_lossy(&self.server.log()).into_owned()
    }
}

/// A store with a second tenant.
pub fn store() -> TestStore {
    let store = TestStore::new();
    store.ok(&["tenant", "create", OTHER_TENANT]);
    let (app, user) = (OTHER_TENANTS_APP.to_string(), OTHER_TENANTS_USER.to_string());
    store.ok(&["app", "add", "--tenant", OTHER_TENANT, "--id", &app, "--name", "Theirs", "--llm", "3"]);
    store.ok(&["user", "add", "--tenant", OTHER_TENANT, "--id", &user, "--email", "eve@globex.example"]);
    store
}

/// Adds an operator and gives its token.
pub fn operator(store: &TestStore, name: &str, role: &str, tenants: &[&str]) -> String {
    let mut args = vec!["operator", "add", name, "--role", role];
    tenants.iter().for_each(|tenant| args.extend(["--tenant", tenant]));
    let token = store.ok(&args).trim().to_owned();
    store.canaries.add("an operator's token", secret_part(&token).unwrap());
    token
}

/// The usual tenant, so that tests need not name the store's support.
pub const ACME: &str = TENANT;
