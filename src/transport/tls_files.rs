//! TLS for listeners of our own, from a certificate and a key in files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};

/// SHA-256 of a certificate's public key (SubjectPublicKeyInfo, DER): the same for a renewed certificate of the same key.
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

/// Reads certificate chain and private key (PEM). HTTP/2 only, as gRPC is.
///
/// # Errors
/// What is wrong with which file.
pub fn load(cert: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsFileError> {
    let unreadable =
        |what, path: &Path, reason: String| TlsFileError::Unreadable { what, path: path.to_owned(), reason };
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable("certificate", cert, error.to_string()))?;
    if chain.is_empty() {
        return Err(unreadable("certificate", cert, "there is none in it".to_owned()));
    }
    let private =
        PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable("private key", key, error.to_string()))?;
    let unusable = |source| TlsFileError::Unusable { cert: cert.to_owned(), key: key.to_owned(), source };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_read_and_what_is_wrong_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        assert_eq!(load(&cert, &key).unwrap().alpn_protocols, [b"h2"]);
        let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&key, other.signing_key.serialize_pem()).unwrap();
        assert!(matches!(load(&cert, &key), Err(TlsFileError::Unusable { .. })));
        std::fs::write(&key, "nothing").unwrap();
        assert!(load(&cert, &key).unwrap_err().to_string().contains("key.pem"));
        assert!(load(&dir.path().join("none"), &key).unwrap_err().to_string().contains("certificate"));
    }
}
