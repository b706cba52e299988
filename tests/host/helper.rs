//! This very program as a child process: a host to be killed, and a stranger on the managed socket.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use latchkey::pb::full::plugin as pb;
use latchkey::transport::admin::pages::{Page, names};
use pb::plugin_service_client::PluginServiceClient;
use serde_json::{Value, json};

use crate::support::{LLM, Setup, TestHost, USER, sleep_ms};

const ROLE: &str = "HOST_HELPER_ROLE";
const ARGUMENT: &str = "HOST_HELPER_ARGUMENT";
const MARK: &str = "HELPER ";

/// Started with a role, this process is that; as a test of its own it does nothing.
#[test]
#[ignore = "the child process of other tests"]
fn helper_process() {
    let (Ok(role), Ok(argument)) = (std::env::var(ROLE), std::env::var(ARGUMENT)) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        match role.as_str() {
            "host" => be_a_host(&argument).await,
            "stranger" => be_a_stranger(&argument).await,
            other => panic!("no role {other}"),
        }
    });
}

fn tell(value: &Value) {
    let mut out = std::io::stdout();
    writeln!(out, "\n{MARK}{value}").unwrap();
    out.flush().unwrap();
}

/// Loads the plugin, authenticates the key from stdin, says so, and waits to be killed.
async fn be_a_host(data: &str) {
    let mut key = String::new();
    std::io::stdin().read_line(&mut key).unwrap();
    let host = TestHost::start(Setup::without_store().data(data)).await;
    let authenticated = host.passes(key.trim_end(), LLM).await;
    tell(&json!({ "plugin": host.pid(), "socket": host.socket(), "authenticated": authenticated }));
    sleep_ms(60_000).await;
}

/// Connects to a plugin's socket, tries every method, and tells what came of each.
async fn be_a_stranger(socket: &str) {
    let path = socket.to_owned();
    let connector = tower::service_fn(move |_| {
        let path = path.clone();
        async move { tokio::net::UnixStream::connect(path).await.map(hyper_util::rt::TokioIo::new) }
    });
    let endpoint = tonic::transport::Endpoint::from_static("http://unused");
    let mut service = PluginServiceClient::new(endpoint.connect_with_connector(connector).await.unwrap());
    let mut answers = HashMap::new();
    for method in crate::surface::OPEN.iter().copied().chain(crate::surface::restricted()) {
        let request = pb::CallRequest { method: method.to_owned(), payload: "{}".to_owned(), service_broker_id: 1 };
        answers.insert(method.to_owned(), service.call(request).await.is_ok_and(|answer| answer.into_inner().success));
    }
    for method in names(Page::Portal) {
        let user_context = Some(pb::PortalUserContext { user_id: USER, is_admin: true, ..Default::default() });
        let (name, payload) = (method.to_owned(), "{}".to_owned());
        let request = pb::PortalCallRequest { method: name, payload, service_broker_id: 1, user_context };
        let answered = service.portal_call(request).await.is_ok_and(|answer| answer.into_inner().success);
        answers.insert(format!("portal {method}"), answered);
    }
    for (kind, id) in [("user", USER), ("llm", LLM)] {
        let (hook_type, object_type) = ("after_delete".to_owned(), kind.to_owned());
        let object_json = json!({ "id": id }).to_string();
        let request = pb::ObjectHookRequest { hook_type, object_type, object_json, ..Default::default() };
        let _ = service.handle_object_hook(request).await;
    }
    let config = [("has_service_api", "true"), ("auth_pre_auth", "false")];
    let config = config.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let _ = service.initialize(pb::InitRequest { config: HashMap::from(config) }).await;
    // Long enough for it to take effect, if it did.
    sleep_ms(500).await;
    tell(&json!(answers));
}

/// Starts this program in a role.
pub fn spawn(role: &str, argument: &Path, input: &str) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "helper::helper_process", "--ignored", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(ARGUMENT, argument)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{input}").unwrap();
    child
}

/// What the child tells; its stderr when it tells nothing.
pub fn heard(child: &mut Child) -> Value {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let told =
        lines.into_iter().find_map(|line| line.strip_prefix(MARK).map(|json| serde_json::from_str(json).unwrap()));
    told.unwrap_or_else(|| {
        let stderr = std::io::read_to_string(child.stderr.take().unwrap()).unwrap_or_default();
        panic!("the child told nothing: {stderr}")
    })
}
