//! The gateway's own certificate, as its files are now. They are looked at again and again, so that
//! a renewed certificate is shown without a restart; connections that are there keep theirs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use ring::digest::{SHA256, digest};
use rustls::ServerConfig;
use rustls::crypto::ring::{default_provider, sign::any_supported_type};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

/// Why a certificate cannot be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// One of the files is not what it has to be.
    #[error("{setting}: {}: {reason}", path.display())]
    File {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What about it.
        reason: String,
    },
    /// No TLS can be spoken at all.
    #[error("cannot set up TLS: {0}")]
    Setup(String),
}

/// What came of a look at the files.
#[derive(Debug)]
pub enum Renewal {
    /// They are as before.
    Same,
    /// Another certificate is shown from now on.
    Renewed,
    /// They have changed, and cannot be used; told once. The certificate stays.
    Unusable(CertificateError),
}

/// A certificate that may be renewed while it is shown.
pub struct Certificates {
    cert_file: PathBuf,
    key_file: PathBuf,
    /// Digest of the files as they were last looked at.
    seen: Mutex<[u8; 32]>,
    shown: RwLock<Arc<CertifiedKey>>,
}

impl Certificates {
    /// Reads both files: the certificate with its chain (PEM), and its private key (PEM, without a
    /// passphrase).
    ///
    /// # Errors
    /// `File`, naming the setting and the file, where one cannot be read or they do not belong
    /// together.
    pub fn read(cert_file: &Path, key_file: &Path) -> Result<Arc<Certificates>, CertificateError> {
        let files = Files::read(cert_file, key_file)?;
        Ok(Arc::new(Certificates {
            seen: Mutex::new(files.digest()),
            shown: RwLock::new(Arc::new(files.certified(cert_file, key_file)?)),
            cert_file: cert_file.to_owned(),
            key_file: key_file.to_owned(),
        }))
    }

    /// Reads the files anew. New connections get what is in them now.
    pub fn look(&self) -> Renewal {
        let (cert_file, key_file) = (&self.cert_file, &self.key_file);
        let files = Files::read(cert_file, key_file);
        let now = match &files {
            Ok(files) => files.digest(),
            Err(error) => sha256(error.to_string().as_bytes()),
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return Renewal::Same;
        }
        *seen = now;
        match files.and_then(|files| files.certified(cert_file, key_file)) {
            Ok(certified) => {
                *self.shown.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(certified);
                Renewal::Renewed
            }
            Err(error) => Renewal::Unusable(error),
        }
    }

    /// What TLS is spoken by: 1.2 or newer, with ring, for HTTP/1.1. HTTP/2 is not offered: the
    /// limits on bodies, slow senders and connections hold because a connection is one request at a
    /// time, and are cut off by closing it.
    ///
    /// # Errors
    /// `Setup`, where the provider supports none of the versions.
    pub fn config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, CertificateError> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| CertificateError::Setup(error.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.shown.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("cert_file", &self.cert_file).finish_non_exhaustive()
    }
}

/// Both files as they were read.
struct Files {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

impl Files {
    fn read(cert_file: &Path, key_file: &Path) -> Result<Files, CertificateError> {
        let read = |setting, path: &Path| {
            std::fs::read(path).map_err(|error| wrong(setting, path, error.to_string()))
        };
        let certificate = read(CERT_FILE, cert_file)?;
        Ok(Files { certificate, key: Zeroizing::new(read(KEY_FILE, key_file)?) })
    }

    fn digest(&self) -> [u8; 32] {
        let both = [sha256(&self.certificate), sha256(&self.key)].concat();
        sha256(&both)
    }

    fn certified(
        &self,
        cert_file: &Path,
        key_file: &Path,
    ) -> Result<CertifiedKey, CertificateError> {
        let chain = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| wrong(CERT_FILE, cert_file, error.to_string()))?;
        if chain.is_empty() {
            return Err(wrong(CERT_FILE, cert_file, "it has no certificate (PEM)".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| {
            let hint = "no private key (PEM) can be read; one with a passphrase cannot be used";
            wrong(KEY_FILE, key_file, format!("{hint}: {error}"))
        })?;
        let key = any_supported_type(&key)
            .map_err(|error| wrong(KEY_FILE, key_file, error.to_string()))?;
        let certified = CertifiedKey::new(chain, key);
        certified.keys_match().map_err(|error| {
            wrong(CERT_FILE, cert_file, format!("not with {}: {error}", key_file.display()))
        })?;
        Ok(certified)
    }
}

const CERT_FILE: &str = "tls.cert_file";
const KEY_FILE: &str = "tls.key_file";

fn wrong(setting: &'static str, path: &Path, reason: String) -> CertificateError {
    CertificateError::File { setting, path: path.to_owned(), reason }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}
