//! The listeners of admins: who may connect, and what is served there.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use latchkey::pb::admin::v1::GetCallerRequest;
use latchkey::pb::admin::v1::admin_service_client::AdminServiceClient;
use latchkey::pb::full::config_provider::ConfigPingRequest;
use latchkey::pb::full::config_provider::config_provider_service_client::ConfigProviderServiceClient;
use latchkey::pb::full::plugin as pb;
use latchkey::pb::full::plugin::grpc_controller_client::GrpcControllerClient;
use latchkey::pb::full::plugin::plugin_service_client::PluginServiceClient;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

use super::tls::{Client, Files, channel};
use super::{Server, Store, authenticates, unix};

const SERVICE: &str = "latchkey.admin.v1.AdminService";

async fn health(channel: Channel, service: &str) -> Result<i32, Code> {
    let request = tonic_health::pb::HealthCheckRequest { service: service.to_owned() };
    let answer = HealthClient::new(channel).check(request).await;
    answer.map(|answer| answer.into_inner().status).map_err(|status| status.code())
}

#[tokio::test]
async fn r1_each_listener_serves_its_own_and_nothing_of_the_others() {
    let store = Store::new();
    let (hosts, admins) = (store.dir.path().join("hosts.sock"), store.dir.path().join("admins.sock"));
    let line = format!("serve --listen unix:{} --admin unix:{}", hosts.display(), admins.display());
    let server = Server::start(&mut store.command(&line));
    assert_eq!(server.admin, [format!("unix:{}", admins.display())]);
    let (hosts, admin) = (unix(&hosts).await, unix(&admins).await);

    // What hosts are served, admins are not.
    let auth = PluginServiceClient::new(admin.clone()).authenticate(pb::AuthRequest::default()).await;
    assert_eq!(auth.map(drop).unwrap_err().code(), Code::Unimplemented);
    let call = PluginServiceClient::new(admin.clone()).call(pb::CallRequest::default()).await;
    assert_eq!(call.map(drop).unwrap_err().code(), Code::Unimplemented);
    let end = GrpcControllerClient::new(admin.clone()).shutdown(pb::Empty {}).await;
    assert_eq!(end.map(drop).unwrap_err().code(), Code::Unimplemented);
    let ping = ConfigProviderServiceClient::new(admin.clone()).ping(ConfigPingRequest::default()).await;
    assert_eq!(ping.map(drop).unwrap_err().code(), Code::Unimplemented);
    assert_eq!(health(admin.clone(), "plugin").await, Err(Code::NotFound));
    assert_eq!(health(admin.clone(), SERVICE).await, Ok(1));
    assert_eq!(health(admin.clone(), "").await, Ok(1));

    let caller = AdminServiceClient::new(admin.clone()).get_caller(GetCallerRequest {}).await.unwrap().into_inner();
    assert!(caller.actor.starts_with("local:"), "{}", caller.actor);

    // And the other way round.
    assert!(authenticates(hosts.clone(), &store.key).await);
    let caller = AdminServiceClient::new(hosts.clone()).get_caller(GetCallerRequest {}).await;
    assert_eq!(caller.map(drop).unwrap_err().code(), Code::Unimplemented);
    assert_eq!(health(hosts, SERVICE).await, Err(Code::NotFound));

    assert_eq!(server.end(), Some(0));
    assert!(!admins.exists(), "the socket goes with the server");
}

#[tokio::test]
async fn admins_are_told_what_there_is_to_call() {
    let store = Store::new();
    let socket = store.dir.path().join("admins.sock");
    let _server =
        Server::start(&mut store.command(&format!("serve --listen 127.0.0.1:0 --admin unix:{}", socket.display())));
    let list = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(unix(&socket).await);
    let answer = client.server_reflection_info(tokio_stream::iter([list]));
    let told = format!("{:?}", answer.await.unwrap().into_inner().message().await.unwrap().unwrap());
    assert!(told.contains(SERVICE) && told.contains("grpc.health.v1.Health"), "{told}");
    assert!(!told.contains("PluginService"), "{told}");
}

/// Not a test: what another user of the machine does, in a process of their own.
#[test]
#[ignore = "run by another test, as another user"]
fn helper_connects() {
    let Ok(socket) = std::env::var("LATCHKEY_TEST_SOCKET") else { return };
    println!("connected: {:?}", std::os::unix::net::UnixStream::connect(socket).map(drop).map_err(|e| e.kind()));
}

/// What comes of another user's attempt to connect.
fn connects_as(uid: u32, socket: &Path) -> String {
    // By this name whoever we become may execute it, wherever it is.
    let mut command = Command::new("/proc/self/exe");
    command.args(["--ignored", "--exact", "--nocapture", "admin::helper_connects"]).current_dir("/");
    let output = command.env("LATCHKEY_TEST_SOCKET", socket).uid(uid).gid(uid).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn f2_another_user_cannot_connect_to_the_socket_of_admins() {
    const OTHER: u32 = 54_321;
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can become another user");
        return;
    }
    let store = Store::new();
    let open = tempfile::tempdir().unwrap();
    // The directory lets everybody through: the socket's own modes are what is tested.
    std::fs::set_permissions(open.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    for (peers, told) in [("", "connected: Err(PermissionDenied)"), ("54321=auditor", "connected: Ok(())")] {
        let (hosts, admins) = (open.path().join("hosts.sock"), open.path().join("admins.sock"));
        let line = format!("serve --listen unix:{} --admin unix:{}", hosts.display(), admins.display());
        let _server = Server::start(store.command(&line).env("LATCHKEY_ADMIN__PEERS", peers));
        let said = connects_as(OTHER, &admins);
        assert!(said.contains(told), "{peers:?}: {said}");
        let said = connects_as(OTHER, &hosts);
        assert!(said.contains("connected: Err(PermissionDenied)"), "hosts' socket is ours alone in any case: {said}");
        drop(_server);
        let _ = (std::fs::remove_file(&admins), std::fs::remove_file(&hosts));
    }
}

#[test]
fn admins_over_tcp_are_refused_without_tls_and_told_what_to_do() {
    let store = Store::new();
    for (line, said) in [
        ("serve --listen 127.0.0.1:0 --admin 127.0.0.1:0", "--tls-cert and --tls-key"),
        ("serve --listen 127.0.0.1:0 --admin 127.0.0.1:0 --allow-plaintext 127.0.0.1:0", "--admin unix:PATH"),
        ("serve --listen 127.0.0.1:0 --http 0.0.0.0:0", "--allow-plaintext 0.0.0.0:0"),
        ("serve --listen 127.0.0.1:0 --client-ca /x", "--admin HOST:PORT"),
    ] {
        let output = store.command(line).stderr(std::process::Stdio::piped()).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{line}: {told}");
        assert!(told.contains(said), "{line}: {told}");
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn client_of(authority: &CertifiedIssuer<'static, KeyPair>) -> Client {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["ann".to_owned()]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    (params.signed_by(&key, authority).unwrap().der().clone(), key)
}

#[tokio::test]
async fn client_certificates_are_asked_for_and_not_required_and_a_foreign_one_is_refused() {
    let store = Store::new();
    let (files, served) = Files::new(store.dir.path());
    let (ours, foreign) = (authority(), authority());
    let ca = store.dir.path().join("ca.pem");
    std::fs::write(&ca, ours.pem()).unwrap();
    let line =
        format!("serve --listen 127.0.0.1:0 --admin 127.0.0.1:0 --client-ca {} {}", ca.display(), files.options());
    let server = Server::start(&mut store.command(&line));
    let address = &server.admin[0];
    for client in [None, Some(client_of(&ours))] {
        let channel = channel(address, &served, client.as_ref()).await.unwrap();
        assert_eq!(health(channel, SERVICE).await, Ok(1), "with a certificate: {}", client.is_some());
    }
    // In TLS 1.3 a client learns of it at its first call.
    let refused = match channel(address, &served, Some(&client_of(&foreign))).await {
        Ok(channel) => health(channel, SERVICE).await.is_err(),
        Err(_) => true,
    };
    assert!(refused);
    // Where authorities are replaced, so are those who may come.
    std::fs::write(&ca, foreign.pem()).unwrap();
    let begun = std::time::Instant::now();
    let ann = client_of(&foreign);
    loop {
        if let Ok(channel) = channel(address, &served, Some(&ann)).await
            && health(channel, SERVICE).await == Ok(1)
        {
            break;
        }
        assert!(begun.elapsed().as_secs() < 15, "the new authority's");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn administration_takes_only_spare_time() {
    let store = Store::new();
    let socket = store.dir.path().join("admins.sock");
    let line = format!("serve --listen 127.0.0.1:0 --http 127.0.0.1:0 --admin unix:{}", socket.display());
    let server = Server::start(&mut store.command(&line));
    assert_eq!(health(unix(&socket).await, SERVICE).await, Ok(1));
    let mut seen = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{}/task", server.child.id())).unwrap() {
        let stat = std::fs::read_to_string(task.unwrap().path().join("stat")).unwrap();
        let (name, rest) = stat.split_once('(').unwrap().1.rsplit_once(") ").unwrap();
        // The 19th field; `rest` begins with the third.
        let nice: i32 = rest.split(' ').nth(16).unwrap().parse().unwrap();
        seen.push((name.to_owned(), nice));
    }
    let own = i32::from(rustix::process::getpriority_process(None).unwrap() as i16);
    assert!(seen.contains(&("aside".to_owned(), own.max(10))), "{seen:?}");
    assert!(seen.contains(&("serve".to_owned(), own)), "{seen:?}");
}
