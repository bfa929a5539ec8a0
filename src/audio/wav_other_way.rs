//! Another way through the chunks of a WAVE file than ours, as players take it: without the padding
//! byte behind audio of an odd size, as ffmpeg does, or over a chunk whose name is no name. What is
//! the inside of a chunk on one way may be the head of a data chunk on the other.

const CHUNK_HEADER_BYTES: usize = 8;

/// The walk on; it only looks for another data chunk.
#[derive(Debug)]
pub(super) struct OtherWay {
    head: [u8; CHUNK_HEADER_BYTES],
    head_bytes: usize,
    skipped_bytes_left: u64,
}

impl OtherWay {
    /// A walk whose first chunk begins so many bytes ahead.
    pub(super) fn behind(skipped_bytes_left: u64) -> OtherWay {
        OtherWay { head: [0; CHUNK_HEADER_BYTES], head_bytes: 0, skipped_bytes_left }
    }

    /// Takes the next bytes; whether a data chunk begins in them.
    pub(super) fn meets_data(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let skipped = self.skipped_bytes_left.min(bytes.len() as u64);
            self.skipped_bytes_left -= skipped;
            bytes = &bytes[skipped as usize..];
            let wanted = CHUNK_HEADER_BYTES - self.head_bytes;
            let (part, rest) = bytes.split_at(bytes.len().min(wanted));
            self.head[self.head_bytes..][..part.len()].copy_from_slice(part);
            self.head_bytes += part.len();
            bytes = rest;
            if self.head_bytes == CHUNK_HEADER_BYTES {
                let [a, b, c, d, size @ ..] = self.head;
                if [a, b, c, d] == *b"data" {
                    return true;
                }
                let size = u64::from(u32::from_le_bytes(size));
                self.head_bytes = 0;
                self.skipped_bytes_left = size + (size & 1);
            }
        }
        false
    }
}
