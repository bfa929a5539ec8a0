//! Guest tokens: whether one is genuine, meant for this gateway, and valid now.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use tokio::sync::watch;

use super::guest::{Claims, Validity};
use super::key_set::VerifyingKey;
use super::key_source::{KeySource, Place};
use super::{Caller, Denied, ring_verifier};
use crate::domain::UnixMs;
use crate::settings::{LiveSecret, Secret};

/// Least bytes of a shared secret: those of its hash (RFC 7518 §3.2).
const SECRET_BYTES_MIN: usize = 32;
/// Secrets that may be shared at a time: the new one, the old one, and no more than a mistake.
const SECRETS_MAX: usize = 4;

/// What tokens have to be.
#[derive(Clone, Debug)]
pub struct TokenRules {
    /// What `aud` has to name.
    pub audience: String,
    /// What `iss` has to be, where it matters.
    pub issuer: Option<String>,
    /// Names of the algorithms that may be used with public keys.
    pub algorithms: Vec<String>,
    /// File or URL of the issuer's keys (JWKS).
    pub key_set: Option<String>,
    /// How far clocks may be apart.
    pub leeway_seconds: u32,
    /// Longest time from now to `exp`.
    pub life_seconds_max: u32,
}

/// Why tokens cannot be verified.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// There is no key to verify by.
    #[error(
        "auth.jwt_audience is set, but there is no key to verify tokens by: set auth.jwt_key_set, \
         or VOICEPOST_JWT_SECRET, or VOICEPOST_JWT_SECRET_FILE"
    )]
    NoKey,
    /// The shared secret can be guessed.
    #[error("VOICEPOST_JWT_SECRET has {bytes} bytes, less than the minimum of {SECRET_BYTES_MIN}")]
    ShortSecret {
        /// How long it is.
        bytes: usize,
    },
    /// More secrets than a change needs.
    #[error("VOICEPOST_JWT_SECRET has {lines} lines, more than the maximum of {SECRETS_MAX}")]
    ManySecrets {
        /// How many there are.
        lines: usize,
    },
    /// An algorithm that is not known or not allowed.
    #[error("auth.jwt_algorithms has {0:?}; there are RS256, ES256, EdDSA")]
    Algorithm(String),
    /// The key set cannot be had.
    #[error("auth.jwt_key_set: {0}")]
    KeySet(String),
}

/// Verifies tokens.
pub struct Tokens {
    audience: String,
    issuer: Option<String>,
    validity: Validity,
    /// The shared secrets; kept apart from public keys, so that none is taken for the other.
    shared: watch::Receiver<Arc<[VerifyingKey]>>,
    public: Option<KeySource>,
}

impl Tokens {
    /// The issuer that tokens have to name, where one is set.
    pub(super) fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// By the rules, with the secret that backends share with this gateway (HS256), which it
    /// follows, the issuer's public keys, or both. Must run inside an actix system.
    ///
    /// # Errors
    /// When there is no sound key to verify by.
    pub async fn start(
        rules: TokenRules,
        secret: Option<&LiveSecret>,
        tls: Arc<rustls::ClientConfig>,
    ) -> Result<Tokens, TokensError> {
        ring_verifier::install();
        let allowed = public_algorithms(&rules.algorithms)?;
        let shared = match secret {
            Some(secret) => follow(secret)?,
            None => watch::channel(Arc::default()).1,
        };
        let public = match &rules.key_set {
            Some(place) => {
                let source = KeySource::follow(Place::parse(place), allowed, tls).await;
                Some(source.map_err(TokensError::KeySet)?)
            }
            None if shared.borrow().is_empty() => return Err(TokensError::NoKey),
            None => None,
        };
        let validity = Validity {
            leeway_seconds: rules.leeway_seconds,
            life_seconds_max: rules.life_seconds_max,
        };
        Ok(Tokens { audience: rules.audience, issuer: rules.issuer, validity, shared, public })
    }

    pub(super) async fn caller(&self, token: &str, now: UnixMs) -> Result<Caller, Denied> {
        let refused = |_| Denied::Token("it is no token of a known algorithm");
        let header = decode_header(token).map_err(refused)?;
        // What must be understood (RFC 7515 §4.1.11) is not: the library lets it pass.
        if header.crit.is_some() {
            return Err(Denied::Token("it asks for an extension"));
        }
        if header.alg == Algorithm::HS256 {
            let shared = Arc::clone(&self.shared.borrow());
            let mut refused = Denied::Token("its algorithm is not allowed");
            for key in &*shared {
                match self.verified(token, key, now) {
                    Err(denied) => refused = denied,
                    caller => return caller,
                }
            }
            return Err(refused);
        }
        let key = self.public_key(header.kid.as_deref(), header.alg).await?;
        self.verified(token, &key, now)
    }

    fn verified(&self, token: &str, key: &VerifyingKey, now: UnixMs) -> Result<Caller, Denied> {
        let mut validation = Validation::new(key.algorithm);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["aud"]);
        if let Some(issuer) = &self.issuer {
            validation.set_issuer(&[issuer]);
            validation.set_required_spec_claims(&["aud", "iss"]);
        }
        // Times are judged by our clock, which is an argument here.
        validation.validate_exp = false;
        let data = decode::<Claims>(token, &key.key, &validation).map_err(why)?;
        data.claims.caller(token, self.validity, now)
    }

    /// The key decides the algorithm; the token only says which one it means.
    async fn public_key(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<VerifyingKey, Denied> {
        let unknown = Denied::Token("its key is not known");
        let source = self.public.as_ref().ok_or(Denied::Token("its algorithm is not allowed"))?;
        if let Some(key) = source.keys().find(id, algorithm) {
            return Ok(key.clone());
        }
        let anew = source.keys_anew().await.ok_or(unknown)?;
        anew.find(id, algorithm).cloned().ok_or(unknown)
    }
}

/// The keys of a secret that may change. One that cannot be used changes nothing, and is logged.
fn follow(secret: &LiveSecret) -> Result<watch::Receiver<Arc<[VerifyingKey]>>, TokensError> {
    let mut changes = secret.follow();
    let first = shared(&changes.borrow_and_update().clone())?;
    let (publish, followed) = watch::channel(first);
    actix::spawn(async move {
        while changes.changed().await.is_ok() {
            let secret = changes.borrow_and_update().clone();
            match shared(&secret) {
                Ok(keys) => drop(publish.send_replace(keys)),
                Err(error) => tracing::error!(%error, "the shared secret stays as it was"),
            }
        }
    });
    Ok(followed)
}

/// One key for each line.
fn shared(secret: &Secret) -> Result<Arc<[VerifyingKey]>, TokensError> {
    let lines: Vec<&str> = secret.expose().lines().collect();
    if lines.len() > SECRETS_MAX {
        return Err(TokensError::ManySecrets { lines: lines.len() });
    }
    if let Some(short) = lines.iter().find(|line| line.len() < SECRET_BYTES_MIN) {
        return Err(TokensError::ShortSecret { bytes: short.len() });
    }
    let key = |line: &&str| DecodingKey::from_secret(line.as_bytes());
    let keys = lines.iter().map(key);
    Ok(keys.map(|key| VerifyingKey { id: None, algorithm: Algorithm::HS256, key }).collect())
}

fn public_algorithms(names: &[String]) -> Result<Vec<Algorithm>, TokensError> {
    let known = |name: &String| {
        let algorithm = name.parse().ok().filter(|a| ring_verifier::ALGORITHMS.contains(a));
        let public = algorithm.filter(|algorithm| *algorithm != Algorithm::HS256);
        public.ok_or_else(|| TokensError::Algorithm(name.clone()))
    };
    names.iter().map(known).collect()
}

fn why(error: jsonwebtoken::errors::Error) -> Denied {
    use jsonwebtoken::errors::ErrorKind;
    Denied::Token(match error.kind() {
        ErrorKind::InvalidSignature => "its signature is wrong",
        ErrorKind::InvalidAudience => "it is meant for somebody else (aud)",
        ErrorKind::InvalidIssuer => "its issuer is not known (iss)",
        ErrorKind::MissingRequiredClaim(_) => "aud or iss is missing",
        _ => "it cannot be read",
    })
}
