//! `AutoMTLS`: each side makes one throw-away certificate and knows the other's byte for byte (section 4).
//!
//! Exact pinning instead of a chain: hosts send a P-521 CA certificate as their leaf, which a chain verifier
//! rightly refuses. Client authentication is never optional; the signature that proves possession of the key is
//! always checked, by aws-lc-rs.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
};

use crate::transport::go_plugin::listener::ServerTls;

/// Why there is no TLS. The process must not go on without it.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// `PLUGIN_CLIENT_CERT` holds no certificate.
    #[error("the host's certificate in PLUGIN_CLIENT_CERT is not one PEM block")]
    HostCertificate,
    /// No certificate could be made.
    #[error("cannot make a certificate")]
    Generate(#[from] rcgen::Error),
    /// The library refused the configuration.
    #[error("cannot configure TLS")]
    Configure(#[from] Error),
}

/// Our identity and the host's, for the life of the process. The key never leaves memory.
#[derive(Clone)]
pub struct AutoMtls {
    /// For connections to us.
    pub server: Arc<ServerConfig>,
    /// For brokered connections to the host.
    pub client: Arc<ClientConfig>,
    certificate: CertificateDer<'static>,
}

impl AutoMtls {
    /// Makes a fresh identity and pins the host's certificate.
    ///
    /// # Errors
    /// When the host's certificate cannot be read, or none can be made.
    pub fn new(host_pem: &str) -> Result<Self, TlsError> {
        let host = CertificateDer::from_pem_slice(host_pem.as_bytes()).map_err(|_| TlsError::HostCertificate)?;
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(["localhost".to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, "localhost");
        // Both usages: without the second the host refuses the connections that we dial.
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.self_signed(&key)?.der().clone();
        let private_key = || PrivateKeyDer::Pkcs8(key.serialize_der().into());
        // The provider is named, never the process's default: nobody else can change it.
        let provider = Arc::new(aws_lc_rs::default_provider());
        let pinned = Arc::new(Pinned { host: host.into_owned(), provider: Arc::clone(&provider) });
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(Arc::clone(&pinned) as Arc<dyn ClientCertVerifier>)
            .with_single_cert(vec![certificate.clone()], private_key())?;
        server.alpn_protocols = vec![b"h2".to_vec()];
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(pinned)
            .with_client_auth_cert(vec![certificate.clone()], private_key())?;
        client.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self { server: Arc::new(server), client: Arc::new(client), certificate })
    }

    /// For listeners; it never changes.
    pub fn server_tls(&self) -> ServerTls {
        Arc::new(ArcSwap::new(Arc::clone(&self.server)))
    }

    /// Our certificate, for the handshake line.
    pub fn certificate_der(&self) -> &[u8] {
        &self.certificate
    }
}

/// Exactly the certificate that the host sent in the environment, and proof that the peer has its key.
#[derive(Debug)]
struct Pinned {
    host: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl Pinned {
    fn check(&self, presented: &CertificateDer<'_>) -> Result<(), Error> {
        if *presented == self.host { Ok(()) } else { Err(CertificateError::ApplicationVerificationFailure.into()) }
    }

    fn tls12(&self, message: &[u8], cert: &CertificateDer<'_>, signed: &DigitallySignedStruct) -> Signed {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signed, algorithms)
    }

    fn tls13(&self, message: &[u8], cert: &CertificateDer<'_>, signed: &DigitallySignedStruct) -> Signed {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signed, algorithms)
    }

    fn schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

type Signed = Result<HandshakeSignatureValid, Error>;

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }
    fn client_auth_mandatory(&self) -> bool {
        true
    }
    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity).map(|()| ClientCertVerified::assertion())
    }
    fn verify_tls12_signature(&self, m: &[u8], c: &CertificateDer<'_>, s: &DigitallySignedStruct) -> Signed {
        self.tls12(m, c, s)
    }
    fn verify_tls13_signature(&self, m: &[u8], c: &CertificateDer<'_>, s: &DigitallySignedStruct) -> Signed {
        self.tls13(m, c, s)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity).map(|()| ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(&self, m: &[u8], c: &CertificateDer<'_>, s: &DigitallySignedStruct) -> Signed {
        self.tls12(m, c, s)
    }
    fn verify_tls13_signature(&self, m: &[u8], c: &CertificateDer<'_>, s: &DigitallySignedStruct) -> Signed {
        self.tls13(m, c, s)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
