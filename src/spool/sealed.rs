//! A clip's file when it is encrypted: a mark, then frames, one for each piece that came. A frame
//! is its length and a sealed piece; the clip's id, the frame's number and whether it is the last
//! are part of what the seal holds, so that frames can be neither moved, left out nor cut off.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use super::disk::failed;
use super::{Part, SpoolError};
use crate::domain::MessageId;
use crate::sealing::{OpenError, SEAL_BYTES, Sealer};

/// How such a file begins. No clip does: it would be no audio.
const MARK: &[u8; 8] = b"VPSEALED";
const LENGTH_BYTES: usize = 4;

/// Makes the frames of one clip.
pub(super) struct Frames {
    sealer: Arc<Sealer>,
    id: MessageId,
    number: u32,
}

impl Frames {
    /// `None`: clips are kept as they are.
    pub(super) fn begin(sealer: &Arc<Sealer>, id: MessageId) -> Option<Frames> {
        sealer.encrypts().then(|| Frames { sealer: Arc::clone(sealer), id, number: 0 })
    }

    /// The bytes that stand for a piece; the last one may be empty, and there has to be one.
    pub(super) fn next(&mut self, piece: &[u8], last: bool) -> Result<Vec<u8>, SpoolError> {
        let context = context(self.id, self.number, last);
        let broken = |why: String| SpoolError::Failed(format!("encrypt a clip: {why}"));
        let sealed =
            self.sealer.seal(&context, piece).map_err(|error| broken(error.to_string()))?;
        let length = u32::try_from(sealed.len()).map_err(|error| broken(error.to_string()))?;
        let mark: &[u8] = if self.number == 0 { MARK } else { &[] };
        self.number = self.number.checked_add(1).ok_or_else(|| broken("too long".to_owned()))?;
        Ok([mark, &length.to_be_bytes(), &sealed].concat())
    }
}

fn context(id: MessageId, number: u32, last: bool) -> Vec<u8> {
    [id.as_bytes().as_slice(), &number.to_be_bytes(), &[u8::from(last)]].concat()
}

/// The clip in a file's bytes, which may be the clip itself.
pub(super) fn open(sealer: &Sealer, id: MessageId, file: Vec<u8>) -> Result<Vec<u8>, SpoolError> {
    let Some(mut rest) = file.strip_prefix(MARK) else { return Ok(file) };
    let unopened = |error| match error {
        // The key may come back.
        OpenError::UnknownKey(_) => SpoolError::Failed(format!("decrypt a clip: {error}")),
        OpenError::Empty | OpenError::Forged => SpoolError::Damaged(id),
    };
    let cut_off = || SpoolError::Damaged(id);
    let mut clip = Vec::with_capacity(file.len());
    let mut number = 0;
    loop {
        let (length, after) = rest.split_first_chunk::<LENGTH_BYTES>().ok_or_else(cut_off)?;
        let length = u32::from_be_bytes(*length) as usize;
        let (sealed, after) = after.split_at_checked(length).ok_or_else(cut_off)?;
        let last = after.is_empty();
        let piece = sealer.open(&context(id, number, last), sealed);
        clip.extend_from_slice(&piece.map_err(unopened)?);
        if last {
            return Ok(clip);
        }
        (rest, number) = (after, number + 1);
    }
}

/// Some of the clip in a file, of which no more is read than that: a frame is opened as a whole,
/// of the others only the lengths.
pub(super) fn part(
    sealer: &Sealer,
    id: MessageId,
    file: &File,
    first: u64,
    bytes_max: usize,
) -> Result<Part, SpoolError> {
    let unread = |error: io::Error| failed("read a clip", &error);
    let file_bytes = file.metadata().map_err(unread)?.len();
    let wanted = first..first.saturating_add(bytes_max as u64);
    let mut mark = [0; MARK.len()];
    let marked = file_bytes >= MARK.len() as u64;
    if marked {
        file.read_exact_at(&mut mark, 0).map_err(unread)?;
    }
    if !marked || mark != *MARK {
        let first = first.min(file_bytes);
        let mut bytes = vec![0; (wanted.end.min(file_bytes) - first) as usize];
        file.read_exact_at(&mut bytes, first).map_err(unread)?;
        return Ok(Part { bytes: bytes.into(), clip_bytes: file_bytes });
    }
    let broken = |why: String| SpoolError::Failed(format!("decrypt a clip: {why}"));
    let cut_off = || broken("its file is cut off".to_owned());
    let (mut at, mut number, mut clip_bytes) = (MARK.len() as u64, 0, 0);
    let mut bytes = Vec::new();
    loop {
        let mut length = [0; LENGTH_BYTES];
        file.read_exact_at(&mut length, at).map_err(|_| cut_off())?;
        let (length, begins_at) = (u32::from_be_bytes(length), at + LENGTH_BYTES as u64);
        at = begins_at + u64::from(length);
        let last = at == file_bytes;
        let piece_bytes = u64::from(length).checked_sub(SEAL_BYTES as u64);
        let piece_bytes = piece_bytes.filter(|_| at <= file_bytes).ok_or_else(cut_off)?;
        let here = clip_bytes..clip_bytes + piece_bytes;
        clip_bytes = here.end;
        if here.start < wanted.end && wanted.start < here.end {
            let mut sealed = vec![0; length as usize];
            file.read_exact_at(&mut sealed, begins_at).map_err(unread)?;
            let piece = sealer.open(&context(id, number, last), &sealed);
            let piece = piece.map_err(|error| broken(error.to_string()))?;
            let within = |place: u64| (place.clamp(here.start, here.end) - here.start) as usize;
            bytes.extend_from_slice(&piece[within(wanted.start)..within(wanted.end)]);
        }
        if last {
            return Ok(Part { bytes: bytes.into(), clip_bytes });
        }
        number += 1;
    }
}
