//! TLS towards Genesys: the system's root certificates, TLS 1.2 or newer, ring.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

/// Why no TLS can be spoken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// The protocol versions are not what the provider supports.
    #[error("cannot set up TLS: {0}")]
    Setup(String),
}

/// A client configuration with the system's roots. A system without usable roots is no error here:
/// calls to `http` hosts need none, and a call to an `https` host then says that it cannot trust
/// the certificate. What is missing is logged.
pub fn client_config() -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
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
