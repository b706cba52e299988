use super::*;
use rcgen::{BasicConstraints, IsCa, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P521_SHA512};
use rustls::RootCertStore;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A host as Go makes it: P-521, CA.
struct Host {
    certificate: CertificateDer<'static>,
    pem: String,
    key: KeyPair,
}

fn host(algorithm: &'static rcgen::SignatureAlgorithm) -> Host {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    Host { certificate: certificate.der().clone(), pem: certificate.pem(), key }
}

fn client(host: &Host, plugin: &AutoMtls, certificate: bool, alpn: bool) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(plugin.certificate.clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let key = PrivateKeyDer::Pkcs8(host.key.serialize_der().into());
    let mut config = if certificate {
        builder.with_client_auth_cert(vec![host.certificate.clone()], key).unwrap()
    } else {
        builder.with_no_client_auth()
    };
    if alpn {
        config.alpn_protocols = vec![b"h2".to_vec()];
    }
    Arc::new(config)
}

/// Whether the plugin accepts the connection.
async fn accepted(plugin: &AutoMtls, client: Arc<ClientConfig>) -> bool {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let acceptor = TlsAcceptor::from(Arc::clone(&plugin.server));
    let accept = tokio::spawn(async move { acceptor.accept(far).await.is_ok() });
    let name = ServerName::try_from("localhost").unwrap();
    let _connected = TlsConnector::from(client).connect(name, near).await;
    accept.await.unwrap()
}

#[tokio::test]
async fn a_go_hosts_p521_ca_certificate_is_accepted() {
    let host = host(&PKCS_ECDSA_P521_SHA512);
    let plugin = AutoMtls::new(&host.pem).unwrap();
    assert!(accepted(&plugin, client(&host, &plugin, true, true)).await);
}

#[tokio::test]
async fn any_other_certificate_and_none_at_all_are_refused() {
    let (ours, stranger) = (host(&PKCS_ECDSA_P521_SHA512), host(&PKCS_ECDSA_P521_SHA512));
    let plugin = AutoMtls::new(&ours.pem).unwrap();
    assert!(!accepted(&plugin, client(&stranger, &plugin, true, true)).await, "another of the same form");
    let other = host(&PKCS_ECDSA_P256_SHA256);
    assert!(!accepted(&plugin, client(&other, &plugin, true, true)).await, "another key type");
    assert!(!accepted(&plugin, client(&ours, &plugin, false, true)).await, "none");
}

#[tokio::test]
async fn the_certificate_without_its_key_is_refused() {
    let (ours, thief) = (host(&PKCS_ECDSA_P521_SHA512), host(&PKCS_ECDSA_P521_SHA512));
    let plugin = AutoMtls::new(&ours.pem).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(plugin.certificate.clone()).unwrap();
    // rustls does not let the mismatch be configured the simple way: present the one, sign with the other.
    let provider = aws_lc_rs::default_provider();
    let key = PrivateKeyDer::Pkcs8(thief.key.serialize_der().into());
    let signer = provider.key_provider.load_private_key(key).unwrap();
    let stolen = Arc::new(rustls::sign::CertifiedKey::new(vec![ours.certificate.clone()], signer));
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_cert_resolver(Arc::new(Stolen(stolen)));
    config.alpn_protocols = vec![b"h2".to_vec()];
    assert!(!accepted(&plugin, Arc::new(config)).await);
}

#[derive(Debug)]
struct Stolen(Arc<rustls::sign::CertifiedKey>);

impl rustls::client::ResolvesClientCert for Stolen {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<rustls::sign::CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
    fn has_certs(&self) -> bool {
        true
    }
}

#[test]
fn what_is_no_certificate_is_an_error_and_never_means_no_tls() {
    for bad in ["", "hello", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n"] {
        assert!(AutoMtls::new(bad).is_err(), "{bad:?}");
    }
}
