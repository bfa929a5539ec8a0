//! Somebody who makes tokens, genuine and forged ones. The signatures are made by ring, the rest by
//! hand, so that every byte can be wrong.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use ring::{hmac, signature};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// The secret that tests share with their gateway.
pub const SECRET: &str = "test-secret-that-nobody-guesses-7d21f0";
/// What tokens of tests are made out to.
pub const AUDIENCE: &str = "voicepost-test";
/// A key of RSA that was made for these tests and is used nowhere else.
const RSA_KEY: &[u8] = include_bytes!("../../fixtures/keys/rsa-2048.pk8");

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "whoever makes tokens has a clock of their own")]
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() as i64
}

/// The claims of a guest that are in order.
pub fn claims(sender: &str, conversation: &str) -> Value {
    json!({
        "sub": sender, "conversation_id": conversation, "aud": AUDIENCE,
        "exp": now() + 300, "nbf": now() - 5,
    })
}

/// The guest's token, signed with [`SECRET`].
pub fn guest(sender: &str, conversation: &str) -> String {
    Issuer::Shared(SECRET.as_bytes().to_vec()).token(&claims(sender, conversation))
}

/// What signs.
pub enum Issuer {
    Shared(Vec<u8>),
    Rsa,
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Issuer {
    pub fn ec() -> Issuer {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("randomness");
        Issuer::Ec(EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).expect("a key"))
    }

    pub fn ed() -> Issuer {
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("randomness");
        Issuer::Ed(Ed25519KeyPair::from_pkcs8(key.as_ref()).expect("a key"))
    }

    pub fn algorithm(&self) -> &'static str {
        match self {
            Issuer::Shared(_) => "HS256",
            Issuer::Rsa => "RS256",
            Issuer::Ec(_) => "ES256",
            Issuer::Ed(_) => "EdDSA",
        }
    }

    /// A token with these claims and the usual header, which names the key where it is public.
    pub fn token(&self, claims: &Value) -> String {
        let mut header = json!({ "typ": "JWT", "alg": self.algorithm() });
        if !matches!(self, Issuer::Shared(_)) {
            header["kid"] = json!(self.algorithm());
        }
        self.token_with(&header, claims)
    }

    /// A token with these claims and this header, whatever they say.
    pub fn token_with(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Issuer::Shared(secret) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                hmac::sign(&key, message).as_ref().to_vec()
            }
            Issuer::Rsa => {
                let key = rsa();
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).expect("a signature");
                signature
            }
            Issuer::Ec(key) => key.sign(&random, message).expect("a signature").as_ref().to_vec(),
            Issuer::Ed(key) => key.sign(message).as_ref().to_vec(),
        }
    }

    /// The public key as it stands in a JWK set, named like its algorithm.
    pub fn jwk(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match self {
            Issuer::Shared(secret) => json!({ "kty": "oct", "k": text(secret) }),
            Issuer::Rsa => {
                let public: signature::RsaPublicKeyComponents<Vec<u8>> = rsa().public().into();
                json!({ "kty": "RSA", "n": text(&public.n), "e": text(&public.e) })
            }
            Issuer::Ec(key) => {
                let (x, y) = key.public_key().as_ref()[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "x": text(x), "y": text(y) })
            }
            Issuer::Ed(key) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": text(key.public_key().as_ref()) })
            }
        };
        jwk["kid"] = json!(self.algorithm());
        jwk["use"] = json!("sig");
        jwk
    }

    /// The public key's bytes, as somebody may take them for a secret.
    pub fn public_bytes(&self) -> Vec<u8> {
        match self {
            Issuer::Shared(secret) => secret.clone(),
            Issuer::Rsa => rsa().public().as_ref().to_vec(),
            Issuer::Ec(key) => key.public_key().as_ref().to_vec(),
            Issuer::Ed(key) => key.public_key().as_ref().to_vec(),
        }
    }
}

fn rsa() -> RsaKeyPair {
    RsaKeyPair::from_pkcs8(RSA_KEY).expect("the fixture is a key")
}

pub fn encode(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}

/// A JWK set of these issuers.
pub fn key_set(issuers: &[&Issuer]) -> Value {
    json!({ "keys": issuers.iter().map(|issuer| issuer.jwk()).collect::<Vec<_>>() })
}
