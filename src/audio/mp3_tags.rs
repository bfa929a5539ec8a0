//! How much of what stands between or behind MP3 frames belongs to a tag, by the tag's own size:
//! ID3v1 with its extension, ID3v2, APEv2, Lyrics3.

/// Bytes of tags that a clip may have: in front of its audio, and as many between and behind.
pub(super) const TAG_BYTES_MAX: u64 = 1024 * 1024;
/// Tags between and behind the frames; those of files that were put together included.
const TAGS_MAX: u8 = 16;
/// ID3v1, 128 bytes, with the 227 of "TAG+" before it.
const ID3V1_BYTES: u64 = 128 + 227;
/// Lyrics3 tells its size at its end only; its first version has at most 5,100 bytes.
const LYRICS_BYTES: u64 = 8 * 1024;
/// Up to where an APEv2 header tells its size; that of ID3v2 stands before.
const HEAD_BYTES: usize = 16;

/// What is left of the tag that is under way, and how many there were.
#[derive(Debug, Default)]
pub(super) struct Mp3Tags {
    tags: u8,
    bytes: u64,
    left: u64,
    /// The beginning of one whose size has not come yet.
    head: [u8; HEAD_BYTES],
    head_bytes: usize,
}

impl Mp3Tags {
    /// Four bytes that begin no frame; each call's are one byte further than those of the last.
    pub(super) fn see(&mut self, window: [u8; 4]) {
        if self.left == 0 {
            self.begin(window);
        } else if self.head_bytes > 0 {
            self.head[self.head_bytes] = window[3];
            self.head_bytes += 1;
            self.read_size();
        }
    }

    fn begin(&mut self, window: [u8; 4]) {
        let bytes = match &window {
            [b'T', b'A', b'G', _] => ID3V1_BYTES,
            b"LYRI" => LYRICS_BYTES,
            [b'I', b'D', b'3', _] | b"APET" => HEAD_BYTES as u64,
            _ => return,
        };
        if self.tags == TAGS_MAX {
            return;
        }
        self.tags += 1;
        self.grant(bytes);
        if bytes == HEAD_BYTES as u64 {
            self.head[..4].copy_from_slice(&window);
            self.head_bytes = 4;
        }
    }

    fn read_size(&mut self) {
        let bytes = match (self.head[0], self.head_bytes) {
            (b'I', 10) => id3v2_bytes(&self.head),
            (b'A', 16) => apev2_bytes(&self.head),
            _ => return,
        };
        match bytes {
            Some(bytes) => self.grant(bytes.saturating_sub(HEAD_BYTES as u64)),
            // It only begins like a tag.
            None => self.left = 0,
        }
        self.head_bytes = 0;
    }

    fn grant(&mut self, bytes: u64) {
        let bytes = bytes.min(TAG_BYTES_MAX - self.bytes);
        self.bytes += bytes;
        self.left += bytes;
    }

    /// Takes bytes that belong to no frame; says how many of them belong to no tag either.
    pub(super) fn take(&mut self, count: u64) -> u64 {
        let of_tag = count.min(self.left);
        self.left -= of_tag;
        if self.left == 0 {
            self.head_bytes = 0;
        }
        count - of_tag
    }

    /// Frames have begun again: whatever tag there was is over.
    pub(super) fn end(&mut self) {
        (self.left, self.head_bytes) = (0, 0);
    }
}

/// Header, body and footer, of a version there is; the size has seven bits a byte.
fn id3v2_bytes(head: &[u8; HEAD_BYTES]) -> Option<u64> {
    let size = &head[6..10];
    let is_one = matches!(head[3], 2..=4) && size.iter().all(|byte| *byte < 0x80);
    is_one.then(|| 20 + size.iter().fold(0, |size, byte| size << 7 | u64::from(*byte)))
}

/// Header, items and footer, of a version there is; the size counts all but the header.
fn apev2_bytes(head: &[u8; HEAD_BYTES]) -> Option<u64> {
    let number =
        |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let is_one = head.starts_with(b"APETAGEX") && matches!(number(8), 1_000 | 2_000);
    is_one.then(|| 32 + u64::from(number(12)))
}
