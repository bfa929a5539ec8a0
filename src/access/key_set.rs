//! A JWK set (RFC 7517) as far as tokens are verified by it.

use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey};

/// Keys of one set that are looked at; the rest is ignored.
const KEYS_MAX: usize = 64;

/// A key and the one algorithm it is for.
#[derive(Clone)]
pub(super) struct VerifyingKey {
    pub(super) id: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

/// The keys of an issuer.
#[derive(Clone, Default)]
pub(super) struct KeySet {
    keys: Vec<VerifyingKey>,
}

impl KeySet {
    /// Reads a set; `allowed` are the algorithms that may be used. Keys of other kinds are left
    /// out, and so is a secret: what stands in a public set is none.
    pub(super) fn parse(json: &[u8], allowed: &[Algorithm]) -> Result<KeySet, serde_json::Error> {
        let set: JwkSet = serde_json::from_slice(json)?;
        let keys = set.keys.iter().take(KEYS_MAX).filter_map(|jwk| usable(jwk, allowed));
        Ok(KeySet { keys: keys.collect() })
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The key of this id, for this algorithm. A token that names no key is verified by the only
    /// one there is for its algorithm.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&VerifyingKey> {
        let mut fitting = self.keys.iter().filter(|key| key.algorithm == algorithm);
        match id {
            Some(id) => fitting.find(|key| key.id.as_deref() == Some(id)),
            None => fitting.next().filter(|_| fitting.next().is_none()),
        }
    }
}

fn usable(jwk: &Jwk, allowed: &[Algorithm]) -> Option<VerifyingKey> {
    let (algorithm, named) = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        _ => return None,
    };
    let for_signatures =
        jwk.common.public_key_use.as_ref().is_none_or(|key| *key == PublicKeyUse::Signature);
    let for_this = jwk.common.key_algorithm.is_none_or(|key| key == named);
    if !for_signatures || !for_this || !allowed.contains(&algorithm) {
        return None;
    }
    let key = DecodingKey::from_jwk(jwk).ok()?;
    Some(VerifyingKey { id: jwk.common.key_id.clone(), algorithm, key })
}
