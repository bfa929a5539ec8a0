//! The names of other formats at their places behind a first MP3 header. Players believe them
//! sooner than frames, and play what those formats make of the rest.
//!
//! Seen with ffmpeg 5.1 of all names but `moof`, `styp` and `sidx`, which browsers look for, and
//! `SCRM` and `PTMF`, which ask for more of the header than was tried.

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
    /// Takes the next bytes; what else they say the clip is, and the number of them that say so.
    pub(super) fn finds(&mut self, bytes: &[u8]) -> Option<(usize, &'static str)> {
        let seen_bytes = self.front.len();
        if seen_bytes == FRONT_BYTES {
            return None;
        }
        self.front.extend(&bytes[..bytes.len().min(FRONT_BYTES - seen_bytes)]);
        let new = NAMES
            .iter()
            .flat_map(|(at, names, whose)| names.iter().map(|name| (*at, *name, *whose)))
            .filter(|(at, name, _)| at + name.len() > seen_bytes && self.has(*at, name));
        let (end, whose) = new.map(|(at, name, whose)| (at + name.len(), whose)).min()?;
        Some((end - seen_bytes, whose))
    }

    fn has(&self, at: usize, name: &[u8]) -> bool {
        // Two letters are too few without the two digits before them.
        let counts = |digits: &[u8]| digits.iter().all(u8::is_ascii_digit);
        self.front.get(at..).is_some_and(|front| front.starts_with(name))
            && (name.len() > 2 || counts(&self.front[CHANNELS_AT..at]))
    }
}
