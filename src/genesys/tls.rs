//! TLS towards Genesys: the system's root certificates, TLS 1.2 or newer, ring.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// Why no TLS can be spoken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// The protocol versions are not what the provider supports.
    #[error("cannot set up TLS: {0}")]
    Setup(String),
    /// The operator's own authorities cannot be used.
    #[error("tls.ca_file: {path}: {reason}")]
    Authorities {
        /// The file.
        path: String,
        /// What about it.
        reason: String,
    },
}

/// A client configuration with the system's roots. A system without usable roots is no error here:
/// calls to `http` hosts need none, and a call to an `https` host then says that it cannot trust
/// the certificate. What is missing is logged. Authorities of `ca_file` are trusted too, and a file
/// without usable ones is an error.
pub fn client_config(ca_file: Option<&str>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca_file {
        add_authorities(&mut roots, path)?;
    }
    let found = rustls_native_certs::load_native_certs();
    let (usable, ignored) = roots.add_parsable_certificates(found.certs);
    if usable == 0 {
        let errors = found.errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        tracing::warn!(errors, "the system has no root certificates; https calls will fail");
    } else if ignored > 0 {
        tracing::debug!(ignored, "some root certificates of the system cannot be read");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Setup(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn add_authorities(roots: &mut RootCertStore, path: &str) -> Result<(), TlsError> {
    let wrong = |reason: String| TlsError::Authorities { path: path.to_owned(), reason };
    let certificates =
        CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))?;
    let mut found = false;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
        found = true;
    }
    if found { Ok(()) } else { Err(wrong("it has no certificate".to_owned())) }
}
