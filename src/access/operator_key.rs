//! The operators' key.

use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::watch;

use crate::settings::LiveSecret;

/// Least bytes of a key that takes another's place; the first is checked with the settings.
const KEY_BYTES_MIN: usize = 16;

/// The key that operators show. Only a MAC of it is kept, under a key that lives as long as the
/// process: comparing MACs takes the same time however much of a guess is right.
pub struct OperatorKey {
    mac_key: hmac::Key,
    expected: watch::Receiver<hmac::Tag>,
}

impl OperatorKey {
    /// From the key itself, which it follows; `None` where the system has no randomness. Must run
    /// inside an actix system.
    pub fn new(key: &LiveSecret) -> Option<OperatorKey> {
        let mut random = [0; 32];
        SystemRandom::new().fill(&mut random).ok()?;
        let mac_key = hmac::Key::new(hmac::HMAC_SHA256, &random);
        let mut changes = key.follow();
        let first = hmac::sign(&mac_key, changes.borrow_and_update().expose().as_bytes());
        let (publish, expected) = watch::channel(first);
        let signer = mac_key.clone();
        actix::spawn(async move {
            while changes.changed().await.is_ok() {
                let key = changes.borrow_and_update().clone();
                if key.expose().len() < KEY_BYTES_MIN {
                    tracing::error!(
                        bytes_min = KEY_BYTES_MIN,
                        "the operators' new key is too short"
                    );
                    continue;
                }
                publish.send_replace(hmac::sign(&signer, key.expose().as_bytes()));
            }
        });
        Some(OperatorKey { mac_key, expected })
    }

    /// Whether these `Authorization` headers are one bearer token that is the key.
    pub fn is_shown<'a>(&self, mut headers: impl Iterator<Item = Option<&'a str>>) -> bool {
        let (Some(Some(header)), None) = (headers.next(), headers.next()) else { return false };
        let expected = *self.expected.borrow();
        super::bearer(header).is_some_and(|given| {
            hmac::verify(&self.mac_key, given.as_bytes(), expected.as_ref()).is_ok()
        })
    }
}
