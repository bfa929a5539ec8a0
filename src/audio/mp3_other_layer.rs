//! A search for MPEG audio of layer I or II where no layer III frame is: players take two headers
//! that are as far apart as the first says for the beginning of a stream, and play it. Rate and
//! version may change from one to the next: such streams are played as well (seen with ffmpeg).

use super::heads::Heads;
use super::mpeg::{HeaderBytes, OTHER_FRAME_BYTES_MAX};

/// Places ahead at which a header may be expected.
const PLACES: u64 = (OTHER_FRAME_BYTES_MAX as u64 + 1).next_power_of_two();

/// The byte with which every header of MPEG audio begins.
const SYNC: &[u8] = &[0xFF];

/// The headers that are expected, each at its place. Every header counts, so that none hides
/// another.
#[derive(Debug)]
pub(super) struct OtherLayerSearch {
    headers: Heads<4>,
    /// Where a header would end that continues one seen before, each at its remainder by `PLACES`.
    expected: Box<[u64]>,
    /// Bytes of frames that were taken since.
    pub(super) bytes_since_junk: usize,
}

impl OtherLayerSearch {
    pub(super) fn new() -> OtherLayerSearch {
        let expected = vec![0; PLACES as usize].into();
        OtherLayerSearch { headers: Heads::new(SYNC), expected, bytes_since_junk: 0 }
    }

    /// Takes the next bytes; whether the second header of a stream ends in them.
    pub(super) fn finds_stream(&mut self, bytes: &[u8]) -> bool {
        let expected = &mut self.expected;
        self.headers.any(bytes, |ended, head| continues_stream(expected, ended, head))
    }
}

fn continues_stream(expected: &mut [u64], ended: u64, head: [u8; 4]) -> bool {
    let HeaderBytes::OtherLayer(frame) = HeaderBytes::parse(head) else { return false };
    if frame.frame_bytes > 0 {
        let next = ended + u64::from(frame.frame_bytes);
        expected[(next % PLACES) as usize] = next;
    }
    expected[(ended % PLACES) as usize] == ended
}

#[cfg(test)]
mod tests {
    use super::OtherLayerSearch;

    #[test]
    fn two_headers_at_the_right_distance_are_a_stream() {
        // Layer II, 44.1 kHz, 32 kbit/s: 104 bytes.
        let header = [0xFF, 0xFD, 0x10, 0xC0];
        let finds = |between: usize| {
            let clip = [&[0; 9][..], &header, &vec![0; between - 4], &header].concat();
            OtherLayerSearch::new().finds_stream(&clip)
        };
        assert!(finds(104));
        assert!(!finds(103));
        // Another header in between, which expects one at the same place or elsewhere.
        let mut covered = [&header[..], &[0; 100], &header].concat();
        for other in [[0xFF, 0xFF, 0x18, 0xC0], [0xFF, 0xFD, 0xA0, 0xC0]] {
            covered[40..44].copy_from_slice(&other);
            assert!(OtherLayerSearch::new().finds_stream(&covered));
        }
        let two_rates = [&header[..], &[0; 100], &[0xFF, 0xFD, 0x14, 0xC0]].concat();
        assert!(OtherLayerSearch::new().finds_stream(&two_rates));
    }
}
