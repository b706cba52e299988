//! A store with two tenants, the server on it, and its callers.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use latchkey::pb::admin::v1::admin_service_client::AdminServiceClient;
use serde_json::Value;
use tokio::net::UnixStream;
use tonic::metadata::MetadataValue;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Request, Status};

use crate::support::store::secret_part;
use crate::support::{TENANT, TestStore};

/// The other tenant: App 21, User 22.
pub const OTHER_TENANT: &str = "globex";
pub const OTHER_TENANTS_APP: u32 = 21;
pub const OTHER_TENANTS_USER: u32 = 22;

/// `latchkey serve` with a socket for admins, killed on drop.
pub struct AdminServer {
    child: Child,
    pub socket: PathBuf,
    pub listening: SocketAddr,
    pub told: Value,
    stderr: Arc<Mutex<Vec<u8>>>,
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

    pub fn of(mut command: Command, store: &TestStore, more: &[&str]) -> Self {
        static SOCKETS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = SOCKETS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let socket = store.data.parent().unwrap().join(format!("admin{number}.sock"));
        let at = format!("unix:{}", socket.display());
        command.args(["serve", "--listen", "127.0.0.1:0", "--admin", &at, "--output", "json"]).args(more);
        command.env("LATCHKEY_LOG__LEVEL", "trace").stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = Arc::new(Mutex::new(Vec::new()));
        let (mut pipe, kept) = (child.stderr.take().unwrap(), Arc::clone(&stderr));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                kept.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        let told: Value = serde_json::from_str(&line).unwrap_or_else(|_| {
            let _ = child.wait();
            panic!("{line:?}, {}", String::from_utf8_lossy(&stderr.lock().unwrap()))
        });
        let listening = told["listening"].as_str().unwrap().parse().unwrap();
        Self { child, socket, listening, told, stderr }
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
        String::from_utf8_lossy(&self.stderr.lock().unwrap()).into_owned()
    }
}

impl Drop for AdminServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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
