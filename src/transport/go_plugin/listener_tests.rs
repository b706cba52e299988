use super::*;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, PublicKeyData as _,
};
use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tonic::transport::server::Connected as _;

use crate::transport::tls_files::{HTTP_2, TlsFiles};

#[tokio::test]
async fn a_socket_is_ours_alone_and_goes_with_its_listener() {
    let dir = tempfile::tempdir().unwrap();
    let environment = Environment { temp_dir: dir.path().to_owned(), ..Environment::default() };
    let bound = bind_for_host(&environment).unwrap();
    let Address::Unix(path) = bound.address() else { panic!("unix") };
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    drop(bound);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_dead_socket_is_replaced_and_anything_else_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let bound = bind_unix(&path).unwrap();
    assert!(matches!(bind_unix(&path), Err(ListenError::Taken { .. })), "it lives");
    drop(bound);
    std::fs::write(&path, "mine").unwrap();
    assert!(matches!(bind_unix(&path), Err(ListenError::Taken { .. })), "a file");
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    let long = dir.path().join("x".repeat(120));
    assert!(matches!(bind_unix(&long), Err(ListenError::PathTooLong { .. })));
}

#[tokio::test]
async fn a_temporary_directory_that_is_too_deep_falls_back_to_tmp() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("d".repeat(100));
    std::fs::create_dir(&deep).unwrap();
    let bound = bind_for_host(&Environment { temp_dir: deep, ..Environment::default() }).unwrap();
    assert!(matches!(bound.address(), Address::Unix(path) if path.starts_with("/tmp")));
}

#[tokio::test]
async fn a_group_that_is_not_there_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let environment = Environment {
        temp_dir: dir.path().to_owned(),
        socket_group: Some("no-such-group-here".into()),
        ..Environment::default()
    };
    assert!(matches!(bind_for_host(&environment), Err(ListenError::Group { .. })));
    let own = rustix::process::getegid().as_raw().to_string();
    let bound = bind_for_host(&Environment { socket_group: Some(own), ..environment }).unwrap();
    let Address::Unix(path) = bound.address() else { panic!("unix") };
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o660);
}

#[tokio::test]
async fn ports_are_taken_from_the_hosts_range() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = taken.local_addr().unwrap().port();
    assert!(matches!(bind_port_range((port, port)).await, Err(ListenError::NoPort { .. })));
    let Ok(Bound::Tcp(_, address)) = bind_port_range((0, 0)).await else { panic!("tcp") };
    assert!(address.ip().is_loopback() && address.port() > 0);
}

#[tokio::test]
async fn a_socket_is_for_others_only_where_that_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    for (bind, expected) in [(bind_unix as fn(&Path) -> _, 0o600), (bind_unix_for_all, 0o666)] {
        let _bound = bind(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, expected);
    }
}

#[tokio::test]
async fn connections_beyond_the_room_are_refused_and_a_place_is_given_back() {
    let room = Some(Arc::new(Semaphore::new(1)));
    let acceptance = Acceptance { surface: Surface::Admin, tls: None, parent: None, room };
    let bound = bind_tcp((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
    let Address::Tcp(address) = bound.address() else { panic!("tcp") };
    let (to, mut conns) = mpsc::channel(4);
    let connect = async || {
        let client = TcpStream::connect(address).await.unwrap();
        let raw = bound.next().await;
        let peer = acceptance.peer(&raw);
        acceptance.hand_over(raw, peer, to.clone());
        client
    };
    let (_first, conn) = (connect().await, conns.recv().await.unwrap());
    let mut second = connect().await;
    let closed = tokio::time::timeout(Duration::from_secs(5), second.read(&mut [0])).await;
    assert_eq!(closed.expect("closed").unwrap_or(0), 0);
    drop(conn);
    let _third = connect().await;
    assert!(conns.recv().await.is_some());
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate of an authority's, for clients, and its key.
fn client_of(authority: &Authority) -> (CertificateDer<'static>, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["ann".to_owned()]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, authority).unwrap();
    (certificate.der().clone(), key)
}

/// What a listener knows of a client after the handshake; none where it refused.
async fn known(files: &TlsFiles, client: Option<&(CertificateDer<'static>, KeyPair)>) -> Option<PeerInfo> {
    let tls = Some(Arc::new(ArcSwap::new(files.load().unwrap())));
    let acceptance = Acceptance { surface: Surface::Admin, tls, parent: None, room: None };
    let bound = bind_tcp((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
    let Address::Tcp(address) = bound.address() else { panic!("tcp") };
    let mut roots = RootCertStore::empty();
    roots.add(rustls_pki_types::pem::PemObject::from_pem_file(&files.cert).unwrap()).unwrap();
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match client {
        Some((certificate, key)) => {
            let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
            builder.with_client_auth_cert(vec![certificate.clone()], key).unwrap()
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let connecting = tokio::spawn(async move {
        let stream = TcpStream::connect(address).await.unwrap();
        connector.connect(ServerName::try_from("localhost").unwrap(), stream).await
    });
    let raw = bound.next().await;
    let peer = acceptance.peer(&raw);
    let (to, mut conns) = mpsc::channel(1);
    acceptance.hand_over(raw, peer, to);
    let conn = conns.recv().await;
    drop(connecting.await);
    conn.map(|conn| conn.connect_info())
}

#[tokio::test]
async fn a_peer_is_proven_only_by_a_certificate_that_was_asked_for_and_verified() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let (ours, foreign) = (authority(), authority());
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(path("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(path("key.pem"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(path("ca.pem"), ours.pem()).unwrap();
    let without = TlsFiles { cert: path("cert.pem"), key: path("key.pem"), client_ca: None, protocol: HTTP_2 };
    let with = TlsFiles { client_ca: Some(path("ca.pem")), ..without.clone() };
    let (ann, stranger) = (client_of(&ours), client_of(&foreign));

    let proven = known(&with, Some(&ann)).await.unwrap();
    let expected: [u8; 32] = Sha256::digest(ann.1.subject_public_key_info()).into();
    assert_eq!((proven.mutual_tls, proven.certificate), (true, Some(expected)));
    for (files, client, what) in [
        (&with, None, "without a certificate"),
        (&without, None, "nobody asked"),
        (&without, Some(&ann), "nobody asked, so none was sent"),
    ] {
        let unproven = known(files, client).await.unwrap();
        assert_eq!((unproven.mutual_tls, unproven.certificate), (false, None), "{what}");
    }
    assert!(known(&with, Some(&stranger)).await.is_none(), "another authority's");
}
