//! A voice recorder's file ("ACT", G.729) that passes for WAV: its header is that of a WAVE file
//! with a mark further down, and players that see the mark play speech of a twentieth of the size.

/// The mark, behind which the length stands, the zeros around both, and the only size of a format
/// chunk that goes with them: any other byte there, and ffmpeg 5.1 plays the WAV.
const MARK_AT: usize = 256;
const MARK: u8 = 0x84;
const ZEROS_FROM: usize = 44;
const LENGTH_ENDS: usize = 264;
const FRONT_BYTES: usize = 512;
const FORMAT_SIZE_AT: usize = 16;
const FORMAT_SIZE: &[u8] = &[16, 0, 0, 0];

/// The first bytes of one file, until there are enough of them.
#[derive(Debug, Default)]
pub(super) struct ActSearch {
    front: Vec<u8>,
}

impl ActSearch {
    /// Takes the next bytes; how many of them make the file one.
    pub(super) fn finds(&mut self, bytes: &[u8]) -> Option<usize> {
        let room = FRONT_BYTES - self.front.len();
        self.front.extend(&bytes[..bytes.len().min(room)]);
        (room > 0 && self.is_one()).then_some(room)
    }

    fn is_one(&self) -> bool {
        self.front.len() == FRONT_BYTES
            && self.front[FORMAT_SIZE_AT..].starts_with(FORMAT_SIZE)
            && self.front[MARK_AT] == MARK
            && self.front[ZEROS_FROM..MARK_AT].iter().all(|byte| *byte == 0)
            && self.front[LENGTH_ENDS..].iter().all(|byte| *byte == 0)
    }
}
