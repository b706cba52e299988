//! TLS for listeners of our own, from a certificate and a key in files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};

/// SHA-256 of a certificate's public key (`SubjectPublicKeyInfo`, DER): the same for a renewed certificate of the same key.
/// None where it is no certificate.
pub fn public_key_of(certificate: &CertificateDer<'_>) -> Option<[u8; 32]> {
    let parsed = webpki::EndEntityCert::try_from(certificate).ok()?;
    Some(Sha256::digest(parsed.subject_public_key_info().as_ref()).into())
}

/// Why there is no TLS: which file, and what is wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum TlsFileError {
    /// Not readable, or no PEM of that kind.
    #[error("cannot read a {what} from {}: {reason}", path.display())]
    Unreadable {
        /// What was expected in it.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The two do not belong together, or the key is of a kind that cannot be used.
    #[error("the key in {} does not serve the certificate in {}: {source}", key.display(), cert.display())]
    Unusable {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What the library says.
        #[source]
        source: rustls::Error,
    },
}

/// The files of a listener.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// Certificate chain.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Authorities of client certificates, where peers are asked for one.
    pub client_ca: Option<PathBuf>,
    /// The one protocol that is spoken inside (RFC 7301).
    pub protocol: &'static str,
}

/// What gRPC is spoken over.
pub const HTTP_2: &str = "h2";
/// What everything else is.
pub const HTTP_1: &str = "http/1.1";

impl TlsFiles {
    /// Reads them (PEM). Peers are asked for a certificate where there are authorities, and
    /// may come without one; one that does not verify ends the handshake.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn load(&self) -> Result<Arc<ServerConfig>, TlsFileError> {
        let chain = certificates("certificate", &self.cert)?;
        let private = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| unreadable("private key", &self.key, error.to_string()))?;
        let unusable = |source| TlsFileError::Unusable { cert: self.cert.clone(), key: self.key.clone(), source };
        // The provider is named, never the process's default: nobody else can change it.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let builder = match &self.client_ca {
            Some(file) => builder.with_client_cert_verifier(client_verifier(file, provider)?),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, private).map_err(unusable)?;
        config.alpn_protocols = vec![self.protocol.as_bytes().to_vec()];
        if self.client_ca.is_some() {
            // A resumed session would bring a certificate along that nobody looks at again.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Arc::new(config))
    }
}

fn unreadable(what: &'static str, path: &Path, reason: String) -> TlsFileError {
    TlsFileError::Unreadable { what, path: path.to_owned(), reason }
}

/// All of a file; never none.
fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let all = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(what, path, error.to_string()))?;
    if all.is_empty() { Err(unreadable(what, path, "there is none in it".to_owned())) } else { Ok(all) }
}

fn client_verifier(file: &Path, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, TlsFileError> {
    const WHAT: &str = "certificate of an authority";
    let mut roots = RootCertStore::empty();
    for authority in certificates(WHAT, file)? {
        roots.add(authority).map_err(|error| unreadable(WHAT, file, error.to_string()))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).allow_unauthenticated();
    builder.build().map_err(|error| unreadable(WHAT, file, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_read_and_what_is_wrong_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        let load = |cert: &Path, key: &Path| {
            TlsFiles { cert: cert.to_owned(), key: key.to_owned(), client_ca: None, protocol: HTTP_2 }.load()
        };
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        assert_eq!(load(&cert, &key).unwrap().alpn_protocols, [b"h2"]);
        let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&key, other.signing_key.serialize_pem()).unwrap();
        assert!(matches!(load(&cert, &key), Err(TlsFileError::Unusable { .. })));
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let files = TlsFiles { cert: cert.clone(), key: key.clone(), client_ca: Some(cert.clone()), protocol: HTTP_2 };
        let asking = files.load().unwrap();
        assert!(asking.send_tls13_tickets == 0 && !asking.session_storage.can_cache(), "each proves itself anew");
        std::fs::write(&key, "nothing").unwrap();
        assert!(load(&cert, &key).unwrap_err().to_string().contains("key.pem"));
        assert!(load(&dir.path().join("none"), &key).unwrap_err().to_string().contains("certificate"));
    }
}
