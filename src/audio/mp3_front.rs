//! The names of other formats at their places behind a first MP3 header. Players believe them
//! sooner than frames, and play what those formats make of the rest.

/// Where names stand behind the first header's beginning, the names, and whose they are.
const NAMES: [(usize, &[&[u8]], &str); 6] = [
    (4, BOXES, "QuickTime"),
    (20, &[b"!Scream!"], MODULE),
    (44, &[b"SCRM", b"PTMF"], MODULE),
    (CHANNELS_AT, &[b"M.K.", b"M!K!", b"M&K!", b"N.T.", b"FLT", b"EXO", b"CD81", b"OKTA"], MODULE),
    (CHANNELS_AT + 1, &[b"CHN"], MODULE),
    (CHANNELS_AT + 2, &[b"CH", b"CN"], MODULE),
];
const BOXES: &[&[u8]] = &[
    b"moov", b"moof", b"mdat", b"pnot", b"udta", b"ftyp", b"styp", b"sidx", b"ediw", b"wide",
    b"free", b"junk", b"pict", b"skip", b"uuid", b"prfl",
];
const MODULE: &str = "a tracker's module";
/// Where a module tells its channels: by a name, or as a number and letters.
const CHANNELS_AT: usize = 1_080;
const FRONT_BYTES: usize = CHANNELS_AT + 4;

/// The first bytes of one clip, until there are enough of them.
#[derive(Debug, Default)]
pub(super) struct FrontSearch {
    front: Vec<u8>,
}

impl FrontSearch {
    /// Takes the next bytes; what else they say they are.
    pub(super) fn finds(&mut self, bytes: &[u8]) -> Option<&'static str> {
        let seen_bytes = self.front.len();
        if seen_bytes == FRONT_BYTES {
            return None;
        }
        self.front.extend(&bytes[..bytes.len().min(FRONT_BYTES - seen_bytes)]);
        let is_there = |at: usize, name: &[u8]| {
            let is_new = at + name.len() > seen_bytes;
            is_new && self.front.get(at..).is_some_and(|front| front.starts_with(name))
        };
        let named = NAMES.iter().find(|(at, names, _)| names.iter().any(|n| is_there(*at, n)))?;
        let (at, _, whose) = named;
        // Two letters are too few without the two digits before them.
        let digits = &self.front[CHANNELS_AT.min(*at)..*at];
        let is_count = *at != CHANNELS_AT + 2 || digits.iter().all(u8::is_ascii_digit);
        is_count.then_some(*whose)
    }
}
