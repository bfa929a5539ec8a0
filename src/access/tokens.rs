//! Guest tokens: whether one is genuine, meant for this gateway, and valid now.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};

use super::guest::{Claims, Validity};
use super::key_set::VerifyingKey;
use super::key_source::{KeySource, Place};
use super::{Caller, Denied, Guest, ring_verifier};
use crate::domain::UnixMs;
use crate::settings::{Auth, LiveSecret};

/// Why tokens cannot be verified.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// There is no key to verify by.
    #[error(
        "auth.jwt_audience is set, but there is no key to verify tokens by: set auth.jwt_key_set, \
         or VOICEPOST_JWT_SECRET, or VOICEPOST_JWT_SECRET_FILE"
    )]
    NoKey,
    /// An algorithm that is not known or not allowed.
    #[error("auth.jwt_algorithms has {0:?}; there are RS256, ES256, EdDSA")]
    Algorithm(String),
    /// The key set cannot be had.
    #[error("auth.jwt_key_set: {0}")]
    KeySet(String),
}

/// Two issuers may name the same guest, and one would read what agents answer to the other.
const SEVERAL_ISSUERS: &str = "it names an issuer (iss), and auth.jwt_issuer is empty: on this \
                               route guests are told apart by sub alone, so it has to be set";

/// Verifies tokens.
pub struct Tokens {
    audience: String,
    issuer: Option<String>,
    /// Whether guests are one at Genesys who have the same `sub`, whoever names it.
    by_sub_alone: bool,
    validity: Validity,
    /// Kept apart from public keys, so that none is taken for the other; read anew at each token.
    shared: Option<LiveSecret>,
    public: Option<KeySource>,
}

impl Tokens {
    /// The issuer that tokens have to name, where one is set.
    pub(super) fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// From when the token of a guest is refused.
    pub(super) fn ends_at(&self, guest: &Guest) -> UnixMs {
        guest.expires_at.plus_ms(i64::from(self.validity.leeway_seconds) * 1000)
    }

    /// As the settings say, with the secret that backends share with this gateway (HS256; several,
    /// each on a line of its own), the issuer's public keys, or both. Must run inside an actix
    /// system.
    ///
    /// # Errors
    /// When there is no key to verify by.
    pub(super) async fn start(
        settings: &Auth,
        audience: &str,
        shared: Option<LiveSecret>,
        tls: &Arc<rustls::ClientConfig>,
        by_sub_alone: bool,
    ) -> Result<Tokens, TokensError> {
        ring_verifier::install();
        let allowed = public_algorithms(&settings.algorithms())?;
        let public = match &settings.jwt_key_set {
            Some(place) => {
                let source = KeySource::follow(Place::parse(place), allowed, Arc::clone(tls)).await;
                Some(source.map_err(TokensError::KeySet)?)
            }
            None if shared.is_none() => return Err(TokensError::NoKey),
            None => None,
        };
        let validity = Validity {
            leeway_seconds: settings.jwt_leeway_seconds,
            life_seconds_max: settings.jwt_life_seconds_max,
        };
        let (audience, issuer) = (audience.to_owned(), settings.jwt_issuer.clone());
        Ok(Tokens { audience, issuer, by_sub_alone, validity, shared, public })
    }

    pub(super) async fn caller(&self, token: &str, now: UnixMs) -> Result<Caller, Denied> {
        let refused = |_| Denied::Token("it is no token of a known algorithm");
        let header = decode_header(token).map_err(refused)?;
        // What must be understood (RFC 7515 §4.1.11) is not: the library lets it pass.
        if header.crit.is_some() {
            return Err(Denied::Token("it asks for an extension"));
        }
        if header.alg == Algorithm::HS256 {
            return self.caller_by_secret(token, now);
        }
        let key = self.public_key(header.kid.as_deref(), header.alg).await?;
        self.verified(token, &key, now)
    }

    fn caller_by_secret(&self, token: &str, now: UnixMs) -> Result<Caller, Denied> {
        let mut refused = Denied::Token("its algorithm is not allowed");
        let Some(secret) = &self.shared else { return Err(refused) };
        for line in secret.current().expose().lines() {
            let key = DecodingKey::from_secret(line.as_bytes());
            let key = VerifyingKey { id: None, algorithm: Algorithm::HS256, key };
            match self.verified(token, &key, now) {
                Err(denied) => refused = denied,
                caller => return caller,
            }
        }
        Err(refused)
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
        if self.by_sub_alone && self.issuer.is_none() && data.claims.names_an_issuer() {
            return Err(Denied::Token(SEVERAL_ISSUERS));
        }
        let (signed, _) = token.rsplit_once('.').unwrap_or((token, ""));
        data.claims.caller(signed, self.validity, now)
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
