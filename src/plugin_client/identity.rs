//! The host's half of `AutoMTLS`: its throw-away certificate, made as Go hosts make theirs, and the rules by
//! which it knows the plugin again (go-plugin-wire 4).
//!
//! A Go host puts the plugin's leaf into its root pool and then verifies as usual, so name, dates and key
//! usage count; we do the same and demand the very certificate of the handshake line besides. Stricter than Go
//! in one thing: a leaf that is itself a CA, as plugins in Go make theirs, is refused. Ours is none.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P521_SHA512,
};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The host's certificate could not be made.
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
    /// The plugin's certificate cannot be a trust anchor, or the keys do not fit.
    #[error("unusable certificate")]
    Tls(#[from] rustls::Error),
    /// No verifier can be made of the plugin's certificate.
    #[error("unusable trust anchor")]
    Anchor(#[from] rustls::server::VerifierBuilderError),
}

/// The host's certificate and key.
pub struct HostIdentity {
    certificate: CertificateDer<'static>,
    pem: String,
    key: KeyPair,
}

impl HostIdentity {
    /// A fresh one: ECDSA P-521, CA, for both ends of a connection, name `localhost`.
    ///
    /// # Errors
    /// When no key or certificate can be made.
    pub fn generate() -> Result<Self, IdentityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512)?;
        let mut params = CertificateParams::new(["localhost".to_owned()])?;
        let mut name = DistinguishedName::new();
        name.push(DnType::OrganizationName, "HashiCorp");
        name.push(DnType::CommonName, "localhost");
        params.distinguished_name = name;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
            KeyUsagePurpose::KeyAgreement,
            KeyUsagePurpose::KeyCertSign,
        ];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.self_signed(&key)?;
        Ok(Self { certificate: certificate.der().clone(), pem: certificate.pem(), key })
    }

    /// The certificate as the plugin's environment carries it.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Both directions of TLS with the plugin whose leaf this is.
    pub(super) fn trusting(&self, leaf: Vec<u8>) -> Result<Tls, IdentityError> {
        let leaf = CertificateDer::from(leaf);
        let mut roots = RootCertStore::empty();
        roots.add(leaf.clone())?;
        let roots = Arc::new(roots);
        let provider = Arc::new(aws_lc_rs::default_provider());
        let web = WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider)).build()?;
        let pinned = Arc::new(Pinned { leaf, web, provider: Arc::clone(&provider) });
        let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(pinned)
            .with_client_auth_cert(vec![self.certificate.clone()], self.private_key())?;
        client.alpn_protocols = vec![b"h2".to_vec()];
        let clients = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider)).build()?;
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![self.certificate.clone()], self.private_key())?;
        server.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Tls { client: Arc::new(client), server: Arc::new(server) })
    }

    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.key.serialize_der().into())
    }
}

/// TLS towards the plugin, as client and as server of brokered connections.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) client: Arc<ClientConfig>,
    pub(super) server: Arc<ServerConfig>,
}

/// Exactly this leaf, and valid as a Go host judges it.
#[derive(Debug)]
struct Pinned {
    leaf: CertificateDer<'static>,
    web: Arc<WebPkiServerVerifier>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *end_entity != self.leaf {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        self.web.verify_server_cert(end_entity, intermediates, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.web.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.web.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls_pki_types::pem::PemObject as _;
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    #[test]
    fn the_certificate_is_what_go_hosts_send() {
        let identity = HostIdentity::generate().unwrap();
        let der = CertificateDer::from_pem_slice(identity.pem().as_bytes()).unwrap();
        assert_eq!(der, identity.certificate);
        // secp521r1, ecdsa-with-SHA512, basicConstraints CA:TRUE, as DER spells them.
        for part in [
            &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23][..],
            &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04],
            &[0x30, 0x03, 0x01, 0x01, 0xff],
        ] {
            assert!(der.windows(part.len()).any(|window| window == part), "{part:02x?}");
        }
    }

    /// A plugin's certificate, and its TLS server that takes anybody.
    fn plugin(name: &str, usage: ExtendedKeyUsagePurpose) -> (Vec<u8>, Arc<ServerConfig>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        let leaf = params.self_signed(&key).unwrap().der().clone();
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        (leaf.to_vec(), Arc::new(config))
    }

    async fn handshake(pinned: Vec<u8>, server: Arc<ServerConfig>) -> bool {
        let tls = HostIdentity::generate().unwrap().trusting(pinned).unwrap();
        let (near, far) = tokio::io::duplex(64 * 1024);
        let accept = tokio::spawn(TlsAcceptor::from(server).accept(far));
        let connected = TlsConnector::from(tls.client).connect(ServerName::try_from("localhost").unwrap(), near).await;
        let _ = accept.await;
        connected.is_ok()
    }

    #[tokio::test]
    async fn only_the_certificate_of_the_line_passes_and_only_if_a_go_host_would_take_it() {
        let (leaf, server) = plugin("localhost", ExtendedKeyUsagePurpose::ServerAuth);
        assert!(handshake(leaf.clone(), Arc::clone(&server)).await);
        let (_, other) = plugin("localhost", ExtendedKeyUsagePurpose::ServerAuth);
        assert!(!handshake(leaf, other).await, "another certificate of the same form");
        let (leaf, server) = plugin("plugin.example", ExtendedKeyUsagePurpose::ServerAuth);
        assert!(!handshake(leaf, server).await, "without the name localhost");
        let (leaf, server) = plugin("localhost", ExtendedKeyUsagePurpose::ClientAuth);
        assert!(!handshake(leaf, server).await, "not for servers");
    }
}
