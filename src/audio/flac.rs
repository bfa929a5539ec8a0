//! The walk over a native FLAC stream (RFC 9639).
//!
//! While it comes only its first metadata block is read, which says what the stream is: where a
//! frame ends is known to nobody who has not stepped through its codes. How long it plays is a
//! claim until the finished clip is walked, frame after frame.

use crate::domain::{ClipRefusal, Codec, Note};

use super::flac_frame::{self, FrameAt};
use super::playtime::{Found, check_junk, corrupted, microseconds, unsupported};

const MAGIC: &[u8] = b"fLaC";
/// The magic, the header of a metadata block, and the block `STREAMINFO`.
pub(super) const HEAD_BYTES: usize = 4 + 4 + 34;
/// Of metadata blocks; the last of them has another bit set.
const BLOCK_HEADER_BYTES: usize = 4;
/// What is above is recorded by nobody.
const RATE_HZ_MAX: u32 = 384_000;
/// Samples a second in all channels. Silence has no bytes, but takes its time to be decoded: a
/// minute of so much of it, in a few kilobytes, about a second.
const SAMPLES_PER_SECOND_MAX: u32 = 8 * 192_000;

/// What `STREAMINFO` says (RFC 9639 §8.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StreamInfo {
    pub(super) sample_rate_hz: u32,
    pub(super) channels: u16,
    /// Of a sample.
    pub(super) bits: u32,
    /// 0 when the encoder did not know.
    pub(super) samples: u64,
}

/// The state between two pieces of a FLAC stream.
#[derive(Debug)]
pub(super) struct FlacWalk {
    head: [u8; HEAD_BYTES],
    head_bytes: usize,
    info: Option<StreamInfo>,
}

impl FlacWalk {
    pub(super) fn new() -> FlacWalk {
        FlacWalk { head: [0; HEAD_BYTES], head_bytes: 0, info: None }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), ClipRefusal> {
        if self.info.is_some() {
            return Ok(());
        }
        let room = &mut self.head[self.head_bytes..];
        let count = bytes.len().min(room.len());
        room[..count].copy_from_slice(&bytes[..count]);
        self.head_bytes += count;
        if self.head_bytes == HEAD_BYTES {
            self.info = Some(parse(&self.head)?);
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Found, ClipRefusal> {
        let Some(info) = self.info else {
            return Err(corrupted("the FLAC stream ends within its first block"));
        };
        Ok(Found {
            codec: Codec::Flac,
            played_us: microseconds(info.samples, info.sample_rate_hz),
            sample_rate_hz: info.sample_rate_hz,
            channels: info.channels,
            notes: Vec::new(),
            is_certain: false,
        })
    }
}

/// Reads the head of a stream.
pub(super) fn parse(head: &[u8; HEAD_BYTES]) -> Result<StreamInfo, ClipRefusal> {
    if !head.starts_with(MAGIC) || head[4] & 0x7F != 0 || head[5..8] != [0, 0, 34] {
        return Err(corrupted("the FLAC stream does not begin with its description"));
    }
    let (_, tail) = head.split_at(8 + 10);
    let packed = tail.first_chunk::<8>().map_or(0, |eight| u64::from_be_bytes(*eight));
    let info = StreamInfo {
        sample_rate_hz: (packed >> 44) as u32,
        channels: (packed >> 41 & 7) as u16 + 1,
        bits: (packed >> 36 & 0x1F) as u32 + 1,
        samples: packed & 0xF_FFFF_FFFF,
    };
    let (rate_hz, channels, bits) = (info.sample_rate_hz, info.channels, info.bits);
    if rate_hz > RATE_HZ_MAX || rate_hz * u32::from(channels) > SAMPLES_PER_SECOND_MAX {
        return Err(unsupported(format!("audio/flac of {channels} channels at {rate_hz} Hz")));
    }
    if rate_hz < 4_000 {
        return Err(corrupted(format!("a FLAC rate of {rate_hz} Hz, not 4,000 or more")));
    }
    if bits < 4 {
        return Err(corrupted(format!("FLAC samples of {bits} bits, not 4 to 32")));
    }
    Ok(info)
}

/// Bytes of a tag that some programs append, which no player takes for audio.
const ID3V1_BYTES: usize = 128;

/// Hands on the whole frames of a finished clip, each with its number of samples; the notes on it.
///
/// One stream may follow another ("chained"), which players play on, as long as it is of the
/// same kind. A frame with a wrong checksum refuses the clip: some players play it, some do not.
pub(super) fn walk(
    clip: &[u8],
    take: &mut impl FnMut(&[u8], u32) -> Result<(), ClipRefusal>,
) -> Result<Vec<Note>, ClipRefusal> {
    let tag_at = clip.len().saturating_sub(ID3V1_BYTES);
    let audio = if clip[tag_at..].starts_with(b"TAG") { &clip[..tag_at] } else { clip };
    let Some((mut info, mut rest)) = stream(audio)? else {
        return Err(corrupted("the FLAC stream ends within its metadata"));
    };
    let claims = Some(info.samples).filter(|samples| *samples > 0);
    let mut tally = Tally { claims, ..Tally::default() };
    while !rest.is_empty() {
        rest = match flac_frame::frame_at(rest, &info) {
            FrameAt::Whole { bytes, samples } => {
                let (frame, behind) = rest.split_at(bytes);
                take(frame, samples)?;
                tally.samples += u64::from(samples);
                behind
            }
            // The codes of a frame that was changed may lead anywhere, but not over the next one.
            FrameAt::Cut if !has_header(&rest[1..], &info) => {
                tally.is_cut = true;
                break;
            }
            FrameAt::Cut | FrameAt::Damaged => {
                let at = audio.len() - rest.len();
                return Err(corrupted(format!("the FLAC frame at byte {at} is not as it was")));
            }
            FrameAt::Nothing if rest.first_chunk().is_some_and(|head| parse(head).is_ok()) => {
                let Some((next, behind)) = stream(rest)? else {
                    tally.is_cut = true;
                    break;
                };
                if (StreamInfo { samples: info.samples, ..next }) != info {
                    return Err(unsupported("FLAC streams of different kinds in a row"));
                }
                tally.links_before += 1;
                let known = tally.claims.filter(|_| next.samples > 0);
                tally.claims = known.map(|claims| claims + next.samples);
                info = next;
                behind
            }
            FrameAt::Nothing => {
                let begins = |at: &usize| {
                    flac_frame::is_header(&rest[*at..], &info) || rest[*at..].starts_with(MAGIC)
                };
                let next = (1..rest.len()).find(begins).unwrap_or(rest.len());
                tally.junk_bytes += next as u64;
                check_junk(tally.junk_bytes, clip.len() as u64)?;
                let (_, behind) = rest.split_at(next);
                behind
            }
        };
    }
    tally.notes(&info)
}

fn has_header(bytes: &[u8], info: &StreamInfo) -> bool {
    (0..bytes.len()).any(|at| flac_frame::is_header(&bytes[at..], info))
}

/// What a stream says of itself, and what follows its metadata, of which nothing is looked at;
/// `None` where the metadata are not all there.
fn stream(bytes: &[u8]) -> Result<Option<(StreamInfo, &[u8])>, ClipRefusal> {
    let Some(head) = bytes.first_chunk() else { return Ok(None) };
    let info = parse(head)?;
    let mut is_last = head[MAGIC.len()] & 0x80 != 0;
    let mut rest = &bytes[HEAD_BYTES..];
    while !is_last {
        let Some((header, body)) = rest.split_first_chunk::<BLOCK_HEADER_BYTES>() else {
            return Ok(None);
        };
        is_last = header[0] & 0x80 != 0;
        let body_bytes = u32::from_be_bytes([0, header[1], header[2], header[3]]);
        let Some(behind) = body.get(body_bytes as usize..) else { return Ok(None) };
        rest = behind;
    }
    Ok(Some((info, rest)))
}

/// What a walk has met.
#[derive(Debug, Default)]
struct Tally {
    samples: u64,
    /// Samples that all descriptions together promise; `None` where one does not know.
    claims: Option<u64>,
    links_before: u32,
    junk_bytes: u64,
    is_cut: bool,
}

impl Tally {
    fn notes(&self, info: &StreamInfo) -> Result<Vec<Note>, ClipRefusal> {
        if self.samples == 0 {
            return Err(corrupted("no whole FLAC frame"));
        }
        let second = u64::from(info.sample_rate_hz);
        let is_wrong = |claims: u64| claims.abs_diff(self.samples) > second;
        let notes = [
            (self.is_cut, Note::Truncated),
            (self.claims.is_some_and(is_wrong), Note::HeaderDurationWrong),
            (self.links_before > 0, Note::Chained),
            (self.junk_bytes > 0, Note::JunkBytes),
        ];
        Ok(notes.into_iter().filter(|(holds, _)| *holds).map(|(_, note)| note).collect())
    }
}
