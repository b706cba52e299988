//! TLS as a client of issuers: who vouches for them.
//!
//! The authorities are Mozilla's, compiled in, and those of a file that this machine names. The system's own are not used:
//! the library for them reads `SSL_CERT_FILE` and `SSL_CERT_DIR` (rule R17).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// Why there can be no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of authorities is of no use.
    #[error("jwks.ca_file: no usable certificate of an authority in {}: {why}", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The library does not take what it brought itself.
    #[error("TLS cannot be set up")]
    Library(#[from] rustls::Error),
}

/// A client that sends no certificate of its own and speaks HTTP/1.1.
///
/// # Errors
/// When the file cannot be read, or holds a certificate that cannot vouch for anybody.
pub(super) fn client(additional: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = additional {
        let wrong = |why: String| TlsError::Authorities { path: path.to_owned(), why };
        let found: Vec<_> = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<_, _>>)
            .map_err(|error| wrong(error.to_string()))?;
        if found.is_empty() {
            return Err(wrong("there is no certificate in it".to_owned()));
        }
        for certificate in found {
            roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Fetches are minutes apart: nothing is to be gained by remembering sessions.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}
