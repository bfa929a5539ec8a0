//! Addresses of hosted files: which file, until when, and a signature over both.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

use crate::domain::{Deliverable, MessageId, UnixMs};

/// Bytes before the signature: file, type, end.
const NAMED_BYTES: usize = 16 + 1 + 8;

/// What an address stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaLink {
    /// The file.
    pub file: MessageId,
    /// What the file is.
    pub container: Deliverable,
    /// From when the address is no longer answered.
    pub expires_at: UnixMs,
}

/// The key that signs addresses (HMAC-SHA256). Whoever has it can read every hosted clip.
pub struct LinkKey(hmac::Key);

impl LinkKey {
    /// A key of these bytes.
    pub fn new(bytes: &[u8; 32]) -> LinkKey {
        LinkKey(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The last segment of the address, with the extension that belongs to the type.
    pub fn segment(&self, link: &MediaLink) -> String {
        let mut bytes = Vec::with_capacity(NAMED_BYTES + 32);
        bytes.extend_from_slice(link.file.as_bytes());
        bytes.push(type_byte(link.container));
        bytes.extend_from_slice(&link.expires_at.0.to_be_bytes());
        let tag = hmac::sign(&self.0, &bytes);
        bytes.extend_from_slice(tag.as_ref());
        format!("{}.{}", URL_SAFE_NO_PAD.encode(bytes), link.container.extension())
    }

    /// What a segment stands for; `None` where this key did not sign it. Its end is not looked at.
    pub fn read(&self, segment: &str) -> Option<MediaLink> {
        let (text, extension) = segment.split_once('.')?;
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (named, tag) = bytes.split_at_checked(NAMED_BYTES)?;
        hmac::verify(&self.0, named, tag).ok()?;
        let (file, rest) = named.split_first_chunk::<16>()?;
        let (type_byte, expires_at) = rest.split_first()?;
        let container = container_of(*type_byte).filter(|c| c.extension() == extension)?;
        let expires_at = UnixMs(i64::from_be_bytes(expires_at.try_into().ok()?));
        Some(MediaLink { file: MessageId::from_bytes(*file), container, expires_at })
    }
}

fn type_byte(container: Deliverable) -> u8 {
    match container {
        Deliverable::Mp3 => 1,
        Deliverable::Wav => 2,
        Deliverable::Ogg => 3,
    }
}

fn container_of(byte: u8) -> Option<Deliverable> {
    let all = [Deliverable::Mp3, Deliverable::Wav, Deliverable::Ogg];
    all.into_iter().find(|container| type_byte(*container) == byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_what_it_stands_for_and_nothing_else_does() {
        let key = LinkKey::new(&[7; 32]);
        let file = MessageId::from_bytes([3; 16]);
        let expires_at = UnixMs(1_800_000_900_000);
        let link = MediaLink { file, container: Deliverable::Ogg, expires_at };
        let segment = key.segment(&link);
        assert_eq!(key.read(&segment), Some(link));
        assert_eq!(LinkKey::new(&[8; 32]).read(&segment), None);
        for at in 0..segment.len() {
            let mut other = segment.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).unwrap();
            assert_eq!(key.read(&other), None, "{other}");
        }
        let stem = segment.trim_end_matches(".ogg");
        for other in ["", ".ogg", "x", stem, &format!("{stem}.mp3"), &format!("{segment}.ogg")] {
            assert_eq!(key.read(other), None, "{other}");
        }
    }
}
