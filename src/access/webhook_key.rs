//! Whether a call of the webhook comes from whoever knows its secret.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::hmac;

use crate::settings::{LiveSecret, Secret};

/// What Genesys signs its calls with; read anew at each of them.
pub struct WebhookKey {
    secret: LiveSecret,
}

impl WebhookKey {
    /// A key of this secret; several, each on a line of its own, while one takes the other's place.
    pub fn new(secret: LiveSecret) -> WebhookKey {
        WebhookKey { secret }
    }

    /// The signature that Genesys would show with this secret, the first where there are several.
    pub fn signature(secret: &Secret, body: &[u8]) -> String {
        let line = secret.expose().lines().next().unwrap_or_default();
        let key = hmac::Key::new(hmac::HMAC_SHA256, line.as_bytes());
        format!("sha256={}", BASE64_STANDARD.encode(hmac::sign(&key, body)))
    }

    /// Whether this is the body's signature, `sha256=` and the base64 HMAC-SHA256 of the body as it
    /// came (Open Messaging API, "validate"). Compares in constant time.
    pub fn is_signature_of(&self, body: &[u8], shown: &str) -> bool {
        let tag = shown.strip_prefix("sha256=").and_then(|tag| BASE64_STANDARD.decode(tag).ok());
        let Some(tag) = tag else { return false };
        let secret = self.secret.current();
        secret.expose().lines().any(|line| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, line.as_bytes());
            hmac::verify(&key, body, &tag).is_ok()
        })
    }
}
