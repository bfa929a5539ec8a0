//! Finds, in bytes that come in pieces, every few that begin with given ones: what may be the head
//! of a frame or of a packet. Nearly all bytes begin none, and are skipped many at a time.

use memchr::memmem::Finder;

/// The search between two pieces, for heads of `BYTES` bytes.
#[derive(Debug)]
pub(super) struct Heads<const BYTES: usize> {
    begins: Finder<'static>,
    window: [u8; BYTES],
    bytes: u64,
}

impl<const BYTES: usize> Heads<BYTES> {
    /// A search for heads that begin with `begins`.
    pub(super) fn new(begins: &'static [u8]) -> Heads<BYTES> {
        Heads { begins: Finder::new(begins), window: [0; BYTES], bytes: 0 }
    }

    /// Takes the next piece; whether `is_it` says so of one of the heads that end in it, after
    /// which the search is over. It gets how many bytes there were up to the end of the head.
    pub(super) fn any(
        &mut self,
        piece: &[u8],
        is_it: impl FnMut(u64, [u8; BYTES]) -> bool,
    ) -> bool {
        let mut is_it = is_it;
        let before = self.bytes;
        self.bytes += piece.len() as u64;
        for (ended, byte) in (before + 1..).zip(piece.iter().take(BYTES - 1)) {
            self.window.copy_within(1.., 0);
            self.window[BYTES - 1] = *byte;
            let is_head = self.window.starts_with(self.begins.needle());
            if is_head && ended >= BYTES as u64 && is_it(ended, self.window) {
                return true;
            }
        }
        let Some(last) = piece.last_chunk::<BYTES>() else { return false };
        self.window = *last;
        self.begins.find_iter(piece).any(|at| {
            let head = piece[at..].first_chunk::<BYTES>();
            head.is_some_and(|head| is_it(before + (at + BYTES) as u64, *head))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Heads;

    fn found<const BYTES: usize>(
        begins: &'static [u8],
        bytes: &[u8],
        piece_bytes: usize,
    ) -> Vec<(u64, [u8; BYTES])> {
        let mut found = Vec::new();
        let mut heads = Heads::new(begins);
        for piece in bytes.chunks(piece_bytes) {
            heads.any(piece, |ended, head| {
                found.push((ended, head));
                false
            });
        }
        found
    }

    #[test]
    fn every_head_is_found_once_however_the_bytes_come() {
        let bytes = b"G1G2345G67GGGGabc\0\0G\0";
        let expected: Vec<(u64, [u8; 4])> = (4u64..)
            .zip(bytes.array_windows::<4>())
            .filter(|(_, head)| head[0] == b'G')
            .map(|(ended, head)| (ended, *head))
            .collect();
        assert_eq!(expected.len(), 7);
        for piece_bytes in 1..=bytes.len() {
            assert_eq!(found(b"G", bytes, piece_bytes), expected, "pieces of {piece_bytes}");
        }
    }

    #[test]
    fn nothing_begins_before_the_first_byte_and_heads_of_several_bytes_are_found() {
        let bytes = b"\x01a\0\0\x01bc\0\0\0\x01d\0\0\x01";
        let expected = vec![(7, *b"\0\0\x01bc"), (13, *b"\0\0\x01d\0")];
        for piece_bytes in 1..=bytes.len() {
            assert_eq!(found(b"\0\0\x01", bytes, piece_bytes), expected, "pieces of {piece_bytes}");
        }
    }
}
