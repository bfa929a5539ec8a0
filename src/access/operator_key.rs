//! The operators' key.

use ring::hmac;

use crate::settings::LiveSecret;

/// What is signed by way of comparison; any text would do.
const COMPARED: &[u8] = b"voicepost operators";

/// The key that operators show; read anew at each request.
pub struct OperatorKey {
    key: LiveSecret,
}

impl OperatorKey {
    /// This key.
    pub fn new(key: LiveSecret) -> OperatorKey {
        OperatorKey { key }
    }

    /// Whether these `Authorization` headers are one bearer token that is the key. What is compared
    /// is what both sign: that takes the same time however much of a guess is right.
    pub fn is_shown<'a>(&self, mut headers: impl Iterator<Item = Option<&'a str>>) -> bool {
        let (Some(Some(header)), None) = (headers.next(), headers.next()) else { return false };
        let with = |key: &str| hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
        super::bearer(header).is_some_and(|given| {
            let tag = hmac::sign(&with(given), COMPARED);
            hmac::verify(&with(self.key.current().expose()), COMPARED, tag.as_ref()).is_ok()
        })
    }
}
