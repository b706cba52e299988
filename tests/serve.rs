//! A server of its own: TLS from files, unix sockets, health, reflection, the throw-away store. Admins, HTTP and TLS files
//! that are replaced are in the files of `serve/`.
#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a failed test is a panic"
)]

#[path = "serve/admin.rs"]
mod admin;
#[path = "serve/http.rs"]
mod http;
#[path = "serve/tls.rs"]
mod tls;

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use latchkey::pb::full::plugin as pb;
use latchkey::pb::full::plugin::plugin_service_client::PluginServiceClient;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

struct Server {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
    addresses: Vec<String>,
    admin: Vec<String>,
    http: Vec<String>,
}

fn command(line: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey"));
    command.env_clear().env("LATCHKEY_STORE__DEV", "true").args(line).stdin(Stdio::null()).stderr(Stdio::null());
    command
}

impl Server {
    fn start(command: &mut Command) -> Self {
        let mut child = command.args(["--output", "json"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        let told: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line:?}"));
        let all = |key: &str| told[key].as_array().unwrap().iter().map(|a| a.as_str().unwrap().to_owned()).collect();
        Self { child, lines, addresses: all("addresses"), admin: all("admin"), http: all("http") }
    }

    /// SIGTERM, and the status that it ends with.
    fn end(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_raw(self.child.id() as i32).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Store {
    dir: tempfile::TempDir,
    key: String,
}

impl Store {
    fn new() -> Self {
        let store = Self { dir: tempfile::tempdir().unwrap(), key: String::new() };
        for line in [
            "init",
            "tenant create acme",
            "app add --tenant acme --id 7 --name Shop --llm 3",
            "user add --tenant acme --id 9 --email ann@acme.example",
        ] {
            store.run(line);
        }
        let key = store.run("key issue --tenant acme --app 7 --user 9").trim_end().to_owned();
        Self { key, ..store }
    }

    fn command(&self, line: &str) -> Command {
        let mut command = command(&[]);
        command.env("LATCHKEY_DATA_DIR", self.dir.path().join("data")).args(line.split(' '));
        command
    }

    fn run(&self, line: &str) -> String {
        let output = self.command(line).output().unwrap();
        assert!(output.status.success(), "{line}");
        String::from_utf8(output.stdout).unwrap()
    }
}

async fn unix(path: &Path) -> Channel {
    let path = path.to_owned();
    let connect = tower::service_fn(move |_| {
        let path = path.clone();
        async move { tokio::net::UnixStream::connect(path).await.map(TokioIo::new) }
    });
    Endpoint::from_static("http://localhost").connect_with_connector(connect).await.unwrap()
}

async fn authenticates(channel: Channel, key: &str) -> bool {
    let context = pb::PluginContext { llm_id: 3, ..Default::default() };
    let request = pb::AuthRequest { credential: key.to_owned(), context: Some(context), ..Default::default() };
    PluginServiceClient::new(channel).authenticate(request).await.unwrap().into_inner().authenticated
}

#[tokio::test]
async fn tls_from_files_and_nothing_but_tls() {
    let store = Store::new();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (store.dir.path().join("cert.pem"), store.dir.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let line = format!("serve --listen 127.0.0.1:0 --tls-cert {} --tls-key {}", cert.display(), key.display());
    let server = Server::start(&mut store.command(&line));
    let address = server.addresses[0].clone();
    let channel = tls::channel(&address, made.cert.der(), None).await.unwrap();
    assert!(authenticates(channel, &store.key).await);
    let plain = Endpoint::from_shared(format!("http://{address}")).unwrap().timeout(Duration::from_secs(2));
    let refused = match plain.connect().await {
        Ok(channel) => HealthClient::new(channel).check(tonic_health::pb::HealthCheckRequest::default()).await.is_err(),
        Err(_) => true,
    };
    assert!(refused, "plaintext on a TLS listener");
    assert_eq!(server.end(), Some(0));
}

#[tokio::test]
async fn several_listeners_at_once_and_a_socket_that_goes_with_the_server() {
    let store = Store::new();
    let socket = store.dir.path().join("attach.sock");
    let server =
        Server::start(&mut store.command(&format!("serve --listen unix:{} --listen 127.0.0.1:0", socket.display())));
    assert_eq!(server.addresses.len(), 2);
    assert!(authenticates(unix(&socket).await, &store.key).await);
    let tcp = Endpoint::from_shared(format!("http://{}", server.addresses[1])).unwrap().connect().await.unwrap();
    assert!(authenticates(tcp, &store.key).await);
    // Taken while it lives.
    let second = store.command(&format!("serve --listen unix:{}", socket.display())).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert_eq!(server.end(), Some(0));
    assert!(!socket.exists());
}

#[tokio::test]
async fn health_is_served_and_reflection_only_where_it_is_switched_on() {
    let store = Store::new();
    for on in [false, true] {
        let socket = store.dir.path().join(format!("{on}.sock"));
        let mut command = store.command(&format!("serve --listen unix:{}", socket.display()));
        let server = Server::start(command.env("LATCHKEY_GRPC__REFLECTION", on.to_string()));
        let channel = unix(&socket).await;
        for service in ["", "plugin"] {
            let request = tonic_health::pb::HealthCheckRequest { service: service.to_owned() };
            let answer = HealthClient::new(channel.clone()).check(request).await.unwrap().into_inner();
            assert_eq!(answer.status, 1, "{service:?} is serving");
        }
        let list = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let answer = ServerReflectionClient::new(channel).server_reflection_info(tokio_stream::iter([list])).await;
        match answer {
            Ok(answer) => {
                let message = answer.into_inner().message().await.unwrap().unwrap();
                assert!(on && format!("{message:?}").contains("plugin.PluginService"));
            }
            Err(status) => assert!(!on && status.code() == tonic::Code::Unimplemented, "{status}"),
        }
        drop(server);
    }
}

#[tokio::test]
async fn a_throw_away_store_can_be_tried_and_is_gone_with_its_server() {
    let temp = tempfile::tempdir().unwrap();
    let mut server = Server::start(command(&["serve", "--dev", "--listen", "127.0.0.1:0"]).env("TMPDIR", temp.path()));
    let mut key = String::new();
    server.lines.read_line(&mut key).unwrap();
    let channel = Endpoint::from_shared(format!("http://{}", server.addresses[0])).unwrap().connect().await.unwrap();
    assert!(authenticates(channel, key.trim_end()).await);
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1);
    let pid = rustix::process::Pid::from_raw(server.child.id() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    server.lines.read_to_string(&mut key).unwrap();
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 0, "nothing is left behind");
}
