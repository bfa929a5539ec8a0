//! Encryption of what lies on the disk: ChaCha20-Poly1305 (RFC 8439) by ring, under keys that are
//! drawn from the operator's by HKDF (RFC 5869).
//!
//! A sealed value is one byte that names the key, a random nonce of 96 bits, and the ciphertext
//! with its tag. Key 0 is "not encrypted": so encryption can begin, and the key be changed, without
//! rewriting what is there. Nonces are random: a key should seal no more than 2^32 values.

use std::borrow::Cow;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest;
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::rand::{SecureRandom as _, SystemRandom};

const PLAIN: u8 = 0;

/// Bytes by which the sealed form of a value is longer, where values are encrypted.
pub const SEAL_BYTES: usize = 1 + NONCE_LEN + 16;

/// Why values cannot be sealed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The system gives no random numbers, or the value is too long to be sealed.
    #[error("a value cannot be sealed")]
    Failed,
}

/// Why a value cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// There is nothing, not even the byte of the key.
    #[error("a sealed value is empty")]
    Empty,
    /// Its key is not there.
    #[error("a value is sealed with unknown key {0}")]
    UnknownKey(u8),
    /// It was changed, or stands where it was not written.
    #[error("a sealed value is not what was written there")]
    Forged,
}

/// Seals and opens.
pub struct Sealer {
    /// The first seals, all open.
    keys: Vec<(u8, LessSafeKey)>,
    random: SystemRandom,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealer({} keys)", self.keys.len())
    }
}

impl Sealer {
    /// Leaves values as they are, and reads those that were left so.
    pub fn plain() -> Sealer {
        Sealer { keys: Vec::new(), random: SystemRandom::new() }
    }

    /// Under the key on the first line of the text; the lines after it are keys that values may
    /// still lie under. How long a key has to be, the settings know.
    ///
    /// # Errors
    /// [`SealError::Failed`].
    pub fn new(text: &str) -> Result<Sealer, SealError> {
        let keys = text.lines().map(key).collect::<Result<_, _>>()?;
        Ok(Sealer { keys, random: SystemRandom::new() })
    }

    /// Whether values are encrypted.
    pub fn encrypts(&self) -> bool {
        !self.keys.is_empty()
    }

    /// The sealed form. The context says what the value is; it can be opened as nothing else.
    ///
    /// # Errors
    /// [`SealError::Failed`].
    pub fn seal(&self, context: &[u8], value: &[u8]) -> Result<Vec<u8>, SealError> {
        let Some((id, key)) = self.keys.first() else {
            return Ok([&[PLAIN], value].concat());
        };
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| SealError::Failed)?;
        let mut sealed =
            Vec::with_capacity(1 + NONCE_LEN + value.len() + key.algorithm().tag_len());
        sealed.push(*id);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(value);
        let start = 1 + NONCE_LEN;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = key
            .seal_in_place_separate_tag(nonce, Aad::from(context), &mut sealed[start..])
            .map_err(|_| SealError::Failed)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// The value of a sealed form; a key that is not there is an error, never a guess.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn open<'a>(&self, context: &[u8], sealed: &'a [u8]) -> Result<Cow<'a, [u8]>, OpenError> {
        let (id, rest) = sealed.split_first().ok_or(OpenError::Empty)?;
        if *id == PLAIN {
            return Ok(Cow::Borrowed(rest));
        }
        // Two keys may have the same byte.
        let mut fitting = self.keys.iter().filter(|(known, _)| known == id).peekable();
        if fitting.peek().is_none() {
            return Err(OpenError::UnknownKey(*id));
        }
        let (nonce, value) = rest.split_at_checked(NONCE_LEN).ok_or(OpenError::Forged)?;
        for (_, key) in fitting {
            let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| OpenError::Forged)?;
            let mut value = value.to_vec();
            if let Ok(opened) = key.open_in_place(nonce, Aad::from(context), &mut value) {
                let bytes = opened.len();
                value.truncate(bytes);
                return Ok(Cow::Owned(value));
            }
        }
        Err(OpenError::Forged)
    }
}

fn key(text: &str) -> Result<(u8, LessSafeKey), SealError> {
    let drawn = Salt::new(HKDF_SHA256, b"voicepost").extract(text.as_bytes());
    let key =
        drawn.expand(&[b"data at rest"], &CHACHA20_POLY1305).map_err(|_| SealError::Failed)?;
    let name = digest::digest(&digest::SHA256, text.as_bytes()).as_ref()[0];
    Ok((name.max(PLAIN + 1), LessSafeKey::new(UnboundKey::from(key))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "an-old-key-of-the-operator-0123456789";
    const NEW: &str = "a-new-key-of-the-operator-01234567890";

    #[test]
    fn what_is_sealed_is_opened_by_its_key_and_as_what_it_was() {
        let sealer = Sealer::new(OLD).expect("a key");
        let sealed = sealer.seal(b"transcript", b"words").expect("sealed");
        assert!(!sealed.windows(5).any(|window| window == b"words"));
        assert_ne!(sealed, sealer.seal(b"transcript", b"words").expect("sealed again"));
        assert_eq!(*sealer.open(b"transcript", &sealed).expect("opened"), *b"words");
        assert_eq!(sealer.open(b"intent", &sealed), Err(OpenError::Forged));
        for at in 1..sealed.len() {
            let mut forged = sealed.clone();
            forged[at] ^= 1;
            assert_eq!(sealer.open(b"transcript", &forged), Err(OpenError::Forged), "byte {at}");
        }
        for length in 1..sealed.len() {
            let cut = sealer.open(b"transcript", &sealed[..length]);
            assert_eq!(cut, Err(OpenError::Forged), "{length} bytes");
        }
        let unknown = Sealer::plain().open(b"transcript", &sealed);
        assert_eq!(unknown, Err(OpenError::UnknownKey(sealed[0])));
        assert_eq!(sealer.open(b"transcript", &[]), Err(OpenError::Empty));
    }

    #[test]
    fn a_key_is_changed_without_rewriting_what_is_there() {
        let plain = Sealer::plain().seal(b"x", b"first").expect("kept");
        let old = Sealer::new(OLD).expect("a key").seal(b"x", b"second").expect("sealed");
        let both = Sealer::new(&format!("{NEW}\n{OLD}")).expect("two keys");
        let new = both.seal(b"x", b"third").expect("sealed");
        let opened = |sealed| both.open(b"x", sealed).expect("opened").into_owned();
        assert_eq!([opened(&plain), opened(&old), opened(&new)].concat(), b"firstsecondthird");
        assert!(Sealer::new(NEW).expect("a key").open(b"x", &new).is_ok());
        assert!(Sealer::new(NEW).expect("a key").open(b"x", &old).is_err());
    }
}
