//! TLS of a running server: clients for it, and files that are replaced.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper_util::rt::TokioIo;
use rcgen::KeyPair;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};

use super::{Server, Store, authenticates};

pub(super) type Client = (CertificateDer<'static>, KeyPair);

async fn connect(
    address: &str,
    trusted: &CertificateDer<'static>,
    client: Option<&Client>,
) -> io::Result<TlsStream<tokio::net::TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
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
    let stream = tokio::net::TcpStream::connect(address).await?;
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), stream).await
}

/// A channel that trusts one certificate, and may come with one of its own.
pub(super) async fn channel(
    address: &str,
    trusted: &CertificateDer<'static>,
    client: Option<&Client>,
) -> Result<Channel, Box<dyn std::error::Error>> {
    let mut stream = Some(connect(address, trusted, client).await?);
    let connect = tower::service_fn(move |_| {
        let stream = stream.take().ok_or_else(|| io::Error::other("one connection"));
        async move { stream.map(TokioIo::new) }
    });
    Ok(Endpoint::from_static("http://localhost").connect_with_connector(connect).await?)
}

/// Certificate and key in files.
pub(super) struct Files {
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
}

impl Files {
    pub(super) fn new(dir: &Path) -> (Self, CertificateDer<'static>) {
        let files = Self { cert: dir.join("cert.pem"), key: dir.join("key.pem") };
        let made = files.replace();
        (files, made)
    }

    /// Another certificate with another key, which the files hold from now on.
    fn replace(&self) -> CertificateDer<'static> {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&self.cert, made.cert.pem()).unwrap();
        std::fs::write(&self.key, made.signing_key.serialize_pem()).unwrap();
        made.cert.der().clone()
    }

    pub(super) fn options(&self) -> String {
        format!("--tls-cert {} --tls-key {}", self.cert.display(), self.key.display())
    }
}

/// Until a new connection to each address is served by this certificate.
async fn served_by(addresses: &[&String], certificate: &CertificateDer<'static>) -> bool {
    let begun = Instant::now();
    for address in addresses {
        while connect(address, certificate, None).await.is_err() {
            if begun.elapsed() > Duration::from_secs(15) {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    true
}

#[tokio::test]
async fn a_replaced_certificate_is_what_the_next_connection_sees_and_a_broken_one_changes_nothing() {
    let store = Store::new();
    let (files, first) = Files::new(store.dir.path());
    let line = format!("serve --listen 127.0.0.1:0 --admin 127.0.0.1:0 {}", files.options());
    let server = Server::start(&mut store.command(&line));
    let addresses = [&server.addresses[0], &server.admin[0]];
    let open = channel(addresses[0], &first, None).await.unwrap();
    assert!(authenticates(open.clone(), &store.key).await);

    let second = files.replace();
    assert!(served_by(&addresses, &second).await, "the new one, on every listener");
    assert!(connect(addresses[0], &first, None).await.is_err(), "the old one no more");
    assert!(authenticates(open, &store.key).await, "what is open goes on");

    std::fs::write(&files.key, "broken").unwrap();
    // Several looks.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert!(authenticates(channel(addresses[0], &second, None).await.unwrap(), &store.key).await);
    assert!(connect(addresses[1], &second, None).await.is_ok());

    let third = files.replace();
    assert!(served_by(&addresses, &third).await, "mended");
}
