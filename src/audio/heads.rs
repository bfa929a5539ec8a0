//! Finds, in bytes that come in pieces, every four that begin with a given byte: what may be the
//! head of a frame or of a packet. Nearly all bytes begin none, and are skipped many at a time.

use memchr::memchr_iter;

const HEAD_BYTES: usize = 4;

/// The search between two pieces.
#[derive(Debug)]
pub(super) struct Heads {
    /// Not 0: before the first byte there are zeros.
    first: u8,
    window: u32,
    bytes: u64,
}

impl Heads {
    /// Heads that begin with `first`, which must not be 0.
    pub(super) fn new(first: u8) -> Heads {
        Heads { first, window: 0, bytes: 0 }
    }

    /// Takes the next piece; whether `is_it` says so of one of the heads that end in it, after
    /// which the search is over. It gets how many bytes there were up to the end of the head.
    pub(super) fn any(&mut self, piece: &[u8], is_it: impl FnMut(u64, [u8; 4]) -> bool) -> bool {
        let mut is_it = is_it;
        let before = self.bytes;
        self.bytes += piece.len() as u64;
        for (ended, byte) in (before + 1..).zip(piece.iter().take(HEAD_BYTES - 1)) {
            self.window = self.window << 8 | u32::from(*byte);
            let head = self.window.to_be_bytes();
            if head[0] == self.first && is_it(ended, head) {
                return true;
            }
        }
        let Some(last) = piece.last_chunk::<HEAD_BYTES>() else { return false };
        self.window = u32::from_be_bytes(*last);
        memchr_iter(self.first, &piece[..=piece.len() - HEAD_BYTES]).any(|at| {
            let head = piece[at..].first_chunk::<HEAD_BYTES>();
            head.is_some_and(|head| is_it(before + (at + HEAD_BYTES) as u64, *head))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Heads;

    #[test]
    fn every_head_is_found_once_however_the_bytes_come() {
        let bytes = b"G1G2345G67GGGGabc\0\0G\0";
        let found = |piece_bytes: usize| {
            let mut found = Vec::new();
            let mut heads = Heads::new(b'G');
            for piece in bytes.chunks(piece_bytes) {
                heads.any(piece, |ended, head| {
                    found.push((ended, head));
                    false
                });
            }
            found
        };
        let expected: Vec<(u64, [u8; 4])> = (4u64..)
            .zip(bytes.array_windows::<4>())
            .filter(|(_, head)| head[0] == b'G')
            .map(|(ended, head)| (ended, *head))
            .collect();
        assert_eq!(expected.len(), 7);
        for piece_bytes in 1..=bytes.len() {
            assert_eq!(found(piece_bytes), expected, "pieces of {piece_bytes}");
        }
    }
}
