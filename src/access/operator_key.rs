//! The operators' key.

use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};

/// The key that operators show. Only a MAC of it is kept, under a key that lives as long as the
/// process: comparing MACs takes the same time however much of a guess is right.
pub struct OperatorKey {
    mac_key: hmac::Key,
    expected: hmac::Tag,
}

impl OperatorKey {
    /// From the key itself; `None` where the system has no randomness.
    pub fn new(key: &str) -> Option<OperatorKey> {
        let mut random = [0; 32];
        SystemRandom::new().fill(&mut random).ok()?;
        let mac_key = hmac::Key::new(hmac::HMAC_SHA256, &random);
        let expected = hmac::sign(&mac_key, key.as_bytes());
        Some(OperatorKey { mac_key, expected })
    }

    /// Whether these `Authorization` headers are one bearer token that is the key.
    pub fn is_shown<'a>(&self, mut headers: impl Iterator<Item = Option<&'a str>>) -> bool {
        let (Some(Some(header)), None) = (headers.next(), headers.next()) else { return false };
        super::bearer(header).is_some_and(|given| {
            hmac::verify(&self.mac_key, given.as_bytes(), self.expected.as_ref()).is_ok()
        })
    }
}
