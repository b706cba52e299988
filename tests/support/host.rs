//! A host with its plugin process: started as the microgateway or Studio would, judged at its end.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use latchkey::pb::full::plugin as pb;
use latchkey::pb::full::plugin::plugin_service_client::PluginServiceClient;
use latchkey::plugin_client::{Address, Launch, Plugin, attach};
use serde_json::Value;
use tempfile::TempDir;
use tonic::Status;
use tonic::transport::Channel;

use super::calls::{auth_request, body};
use super::fakes::Fakes;
use super::life::SessionLoop;
use super::secrets::Canaries;
use super::store::{APP, Key, LLM, TestStore, USER};
use super::{BINARY, HEADER_CANARY};

/// Which host it plays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Microgateway,
    Studio,
}

/// How a host starts its plugin.
#[derive(Clone)]
pub struct Setup {
    pub kind: Kind,
    pub auto_mtls: bool,
    pub multiplex: bool,
    pub session: bool,
    pub data: Option<PathBuf>,
    /// The admin's settings, as parsed from JSON.
    pub config: Value,
    pub env: Vec<(String, String)>,
    pub canaries: Canaries,
}

impl Setup {
    /// A plain microgateway on this store, logging everything.
    pub fn on(store: &TestStore) -> Self {
        Self { data: Some(store.data.clone()), canaries: store.canaries.clone(), ..Self::without_store() }
    }

    pub fn without_store() -> Self {
        Self {
            kind: Kind::Microgateway,
            auto_mtls: false,
            multiplex: false,
            session: true,
            data: None,
            config: Value::Null,
            env: vec![("LATCHKEY_LOG__LEVEL".to_owned(), "trace".to_owned())],
            canaries: Canaries::default(),
        }
    }

    pub fn studio(self) -> Self {
        Self { kind: Kind::Studio, ..self }
    }

    pub fn secured(self, auto_mtls: bool, multiplex: bool) -> Self {
        Self { auto_mtls, multiplex, ..self }
    }

    pub fn without_session(self) -> Self {
        Self { session: false, ..self }
    }

    /// Logs as in production, for tests that measure time.
    pub fn quiet(self) -> Self {
        Self { env: Vec::new(), ..self }
    }

    pub fn config(self, config: Value) -> Self {
        Self { config, ..self }
    }

    pub fn data(self, data: impl AsRef<Path>) -> Self {
        Self { data: Some(data.as_ref().to_owned()), ..self }
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// How go-plugin starts it. Sockets of both sides go to `dir`.
    pub fn launch(&self, dir: &Path) -> Launch {
        let mut launch = Launch::new(BINARY)
            .without_own_environment()
            .env("PATH", "/usr/bin:/bin")
            .env("TMPDIR", dir)
            .env("LATCHKEY_STORE__DEV", "true")
            .socket_dir(dir)
            .auto_mtls(self.auto_mtls)
            .multiplex(self.multiplex)
            .start_timeout(Duration::from_secs(10));
        if let Some(data) = &self.data {
            launch = launch.env("LATCHKEY_DATA_DIR", data);
        }
        self.env.iter().fold(launch, |launch, (name, value)| launch.env(name, value))
    }
}

/// A host with its plugin.
pub struct TestHost {
    pub plugin: Plugin,
    pub setup: Setup,
    pub plugin_id: u32,
    pub broker_id: u32,
    pub fakes: Fakes,
    pub initialize_took: Duration,
    pub(super) session: Option<SessionLoop>,
    /// What went wrong in the background.
    pub(super) late: Arc<Mutex<Vec<String>>>,
    pub(super) _dir: TempDir,
}

static PLUGIN_IDS: AtomicU32 = AtomicU32::new(1);

impl TestHost {
    /// Starts a plugin and does what the host does up to the point where requests flow.
    pub async fn start(setup: Setup) -> Self {
        let mut host = Self::launch(setup).await;
        host.begin().await;
        host
    }

    /// Starts and connects, no RPC yet.
    pub async fn launch(setup: Setup) -> Self {
        let dir = tempfile::Builder::new().prefix("lkh").tempdir().unwrap();
        let plugin = setup.launch(dir.path()).connect().await.unwrap_or_else(|e| panic!("starting the plugin: {e:?}"));
        Self::around(plugin, setup, dir)
    }

    /// Attaches to a running server, without any RPC yet.
    pub async fn attach(address: std::net::SocketAddr, setup: Setup) -> Self {
        let dir = tempfile::Builder::new().prefix("lkh").tempdir().unwrap();
        let plugin = attach(address).await.unwrap_or_else(|e| panic!("attaching: {e:?}"));
        Self::around(plugin, setup, dir)
    }

    fn around(plugin: Plugin, setup: Setup, dir: TempDir) -> Self {
        setup.canaries.add("a client's header", HEADER_CANARY);
        setup.canaries.add("a client's body", super::BODY_CANARY);
        let plugin_id = PLUGIN_IDS.fetch_add(1, Ordering::Relaxed);
        Self {
            plugin,
            fakes: Fakes::new(setup.kind, plugin_id),
            setup,
            plugin_id,
            broker_id: 0,
            initialize_took: Duration::ZERO,
            session: None,
            late: Arc::default(),
            _dir: dir,
        }
    }

    pub fn service(&self) -> PluginServiceClient<Channel> {
        self.plugin.service()
    }

    pub fn pid(&self) -> u32 {
        self.plugin.pid().expect("a started plugin")
    }

    /// The plugin's socket file.
    pub fn socket(&self) -> PathBuf {
        match self.plugin.address() {
            Address::Unix(path) => path.clone(),
            Address::Tcp(address) => panic!("listens on {address}"),
        }
    }

    /// `Authenticate`, as the gateway calls it.
    pub async fn auth(&self, credential: &str, llm: u32) -> Result<pb::AuthResponse, Status> {
        self.service().authenticate(auth_request(credential, llm, body())).await.map(tonic::Response::into_inner)
    }

    /// Whether the credential passes; anything but a proper answer is a failure.
    pub async fn passes(&self, credential: &str, llm: u32) -> bool {
        let answer = self.auth(credential, llm).await.unwrap_or_else(|e| panic!("a gRPC error: {e}"));
        well_formed(&answer);
        answer.authenticated
    }

    /// The store's key of the usual App and User is accepted for the usual LLM.
    pub async fn must_accept(&self, key: &Key, when: &str) {
        let answer = self.auth(&key.text, LLM).await.unwrap_or_else(|e| panic!("{when}: {e}"));
        assert!(answer.authenticated, "{when}: a good key was refused: {:?}", answer.error_message);
        assert_eq!((answer.app_id, answer.user_id), (APP.to_string(), USER.to_string()), "{when}");
    }

    /// Refused in the message, with nothing in it but the text, which is returned.
    pub async fn must_refuse(&self, credential: &str, llm: u32, when: &str) -> String {
        let answer = self.auth(credential, llm).await.unwrap_or_else(|e| panic!("{when}: a gRPC error: {e}"));
        assert!(!answer.authenticated, "{when}: accepted as App {:?}", answer.app_id);
        well_formed(&answer);
        self.setup.canaries.assert_absent(&format!("{when}: the answer"), answer.error_message.as_bytes());
        answer.error_message
    }

    /// Studio's way into the plugin.
    ///
    /// # Errors
    /// The plugin's words when it refuses.
    pub async fn call(&self, method: &str, payload: &str) -> Result<Value, String> {
        let request = pb::CallRequest {
            method: method.to_owned(),
            payload: payload.to_owned(),
            service_broker_id: self.broker_id,
        };
        let answer = self.service().call(request).await.map_err(|e| e.to_string())?.into_inner();
        self.setup.canaries.assert_absent(&format!("Call {method}"), answer.data.as_bytes());
        if !answer.success {
            return Err(answer.error_message);
        }
        let data: Value = serde_json::from_str(&answer.data).map_err(|e| format!("data is not JSON: {e}"))?;
        if data["ok"] == Value::Bool(false) {
            return Err(data["error"].to_string());
        }
        Ok(data)
    }

    /// What the Studio page is answered, a failure included; only a method that it does not reach at all is an error.
    ///
    /// # Errors
    /// The plugin's fixed text.
    pub async fn ask(&self, method: &str, payload: &Value) -> Result<Value, String> {
        let (method, payload) = (method.to_owned(), payload.to_string());
        let request = pb::CallRequest { method, payload, service_broker_id: self.broker_id };
        let answer = self.service().call(request).await.map_err(|e| e.to_string())?.into_inner();
        told(answer.success, &answer.data, answer.error_message)
    }

    /// What a User of the portal is answered; none for a session without one. `is_admin` as the host would say it.
    ///
    /// # Errors
    /// The plugin's fixed text.
    pub async fn portal_call(
        &self,
        user: Option<u32>,
        is_admin: bool,
        method: &str,
        payload: &Value,
    ) -> Result<Value, String> {
        let context = |user_id| pb::PortalUserContext {
            user_id,
            email: "ann@acme.example".to_owned(),
            name: "Ann".to_owned(),
            is_admin,
            groups: vec!["admins".to_owned()],
            metadata: std::iter::once(("tenant".to_owned(), "globex".to_owned())).collect(),
        };
        let request = pb::PortalCallRequest {
            method: method.to_owned(),
            payload: payload.to_string(),
            service_broker_id: self.broker_id,
            user_context: user.map(context),
        };
        let answer = self.service().portal_call(request).await.map_err(|e| e.to_string())?.into_inner();
        told(answer.success, &answer.data, answer.error_message)
    }

    /// A number of `get_metrics`.
    pub async fn metric(&self, name: &str) -> f64 {
        let metrics = self.call("get_metrics", "{}").await.unwrap();
        metrics[name].as_f64().unwrap_or_else(|| panic!("no number {name} in {metrics}"))
    }

    pub(super) fn problem(&self, text: String) {
        self.late.lock().unwrap().push(text);
    }
}

fn told(success: bool, data: &str, error: String) -> Result<Value, String> {
    if success { Ok(serde_json::from_str(data).expect("data is JSON")) } else { Err(error) }
}

/// An acceptance names an App and a User that the host can't misread (hazard H1); a refusal names nothing.
pub fn well_formed(answer: &pb::AuthResponse) {
    if answer.authenticated {
        for id in [&answer.app_id, &answer.user_id] {
            let number: u32 = id.parse().unwrap_or_else(|_| panic!("not a decimal: {id:?}"));
            assert!(number > 0 && *id == number.to_string(), "not a plain decimal from 1: {id:?}");
        }
        assert_eq!(answer.error_message, "");
    } else {
        assert_eq!((answer.app_id.as_str(), answer.user_id.as_str(), answer.claims.len()), ("", "", 0));
        assert_ne!(answer.error_message, "", "a refusal without a text");
    }
}
