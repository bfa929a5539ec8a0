//! Coded audio in a WAVE file whose header says PCM. Players look into the first data of such a
//! file, because DTS and AC-3 were once sold so, and play what they find, which may last longer.
//!
//! Measured with ffmpeg 5.1: in data of 16 bits MPEG audio is found at the first byte that is not
//! zero; AAC, AC-3 and its successor at the first byte; DTS anywhere; all within about 128 KiB. In
//! data of every width the bursts of a digital cable (IEC 61937) are found, behind 20,000 zeros too
//! and no longer behind 60,000; three are enough, and two are not.

use super::heads::Heads;
use super::mpeg::HeaderBytes;

/// How far players look.
const REGION_BYTES: usize = 128 * 1024;
/// Frames in a row that are no coincidence; players want more.
const FRAMES: u8 = 3;
/// As much of a frame as tells its length.
const HEAD_BYTES: usize = 8;
/// A sync word of DTS and what always follows it.
const DTS_SYNC_BYTES: usize = 6;

/// Kilobits per second of AC-3, by half its frame size code (ETSI TS 102 366, table 4.13).
const KILOBITS_AC3: [usize; 19] =
    [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640];

/// With which a burst begins, as words of 16 bits with the lower byte first.
const BURST: &[u8] = &[0x72, 0xF8, 0x1F, 0x4E];
/// The types of data that there are; the next byte tells one.
const BURST_TYPES: u8 = 0x37;
/// Fewer than players ask for.
const BURSTS: u8 = 2;

/// What is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Mpeg,
    Adts,
    Latm,
    Ac3,
    Dts,
    TrueHd,
}

/// The look into the data of one clip.
#[derive(Debug)]
pub(super) struct DisguiseSearch {
    bytes: usize,
    /// Of 16-bit data only.
    frames: Option<(Chain, DtsSyncs)>,
    bursts: Heads<5>,
    bursts_seen: u8,
}

impl DisguiseSearch {
    /// A look into PCM, of 16 bits or of other widths.
    pub(super) fn new(is_pcm16: bool) -> DisguiseSearch {
        let frames = is_pcm16.then(Default::default);
        DisguiseSearch { bytes: 0, frames, bursts: Heads::new(BURST), bursts_seen: 0 }
    }

    /// Takes the next bytes; what they are, if they are not samples.
    pub(super) fn finds(&mut self, bytes: &[u8]) -> Option<&'static str> {
        let bytes = &bytes[..bytes.len().min(REGION_BYTES - self.bytes)];
        self.bytes += bytes.len();
        let seen = &mut self.bursts_seen;
        let is_enough = self.bursts.any(bytes, |_, head| {
            *seen += u8::from(head[4] < BURST_TYPES);
            *seen == BURSTS
        });
        if is_enough {
            return Some("the bursts of a digital cable (IEC 61937)");
        }
        let (chain, dts) = self.frames.as_mut()?;
        let coding = chain.follow(bytes).or_else(|| dts.count(bytes))?;
        Some(match coding {
            Coding::Mpeg => "MPEG audio",
            Coding::Adts | Coding::Latm => "AAC",
            Coding::Ac3 => "AC-3",
            Coding::Dts => "DTS",
            Coding::TrueHd => "TrueHD",
        })
    }
}

/// Frames that follow each other from the first byte that is not zero.
#[derive(Debug, Default)]
struct Chain {
    zeros: usize,
    head: [u8; HEAD_BYTES],
    head_bytes: usize,
    /// Bytes to the next head.
    skip: usize,
    coding: Option<Coding>,
    frames: u8,
    is_broken: bool,
}

impl Chain {
    fn follow(&mut self, mut bytes: &[u8]) -> Option<Coding> {
        if self.frames == 0 && self.head_bytes == 0 {
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            self.zeros += zeros;
            bytes = &bytes[zeros..];
        }
        while !bytes.is_empty() && !self.is_broken {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let (part, rest) = bytes.split_at(bytes.len().min(HEAD_BYTES - self.head_bytes));
            self.head[self.head_bytes..][..part.len()].copy_from_slice(part);
            self.head_bytes += part.len();
            bytes = rest;
            if self.head_bytes == HEAD_BYTES
                && let Some(coding) = self.head_ends()
            {
                return Some(coding);
            }
        }
        None
    }

    fn head_ends(&mut self) -> Option<Coding> {
        self.head_bytes = 0;
        let frame = frame(self.head)
            .filter(|(coding, _)| *coding == Coding::Mpeg || self.zeros == 0)
            .filter(|(coding, _)| self.coding.is_none_or(|seen| seen == *coding));
        let Some((coding, frame_bytes)) = frame.filter(|(_, bytes)| *bytes >= HEAD_BYTES) else {
            self.is_broken = true;
            return None;
        };
        self.coding = Some(coding);
        self.frames += 1;
        self.skip = frame_bytes - HEAD_BYTES;
        (self.frames == FRAMES || coding == Coding::TrueHd).then_some(coding)
    }
}

/// The coding and the length of a frame that begins so.
fn frame(head: [u8; HEAD_BYTES]) -> Option<(Coding, usize)> {
    let [a, b, c, d, e, f, ..] = head;
    let thirteen = |high: u8, low: u8| usize::from(high & 0x1F) << 8 | usize::from(low);
    match head {
        [0x0B, 0x77, ..] => Some((Coding::Ac3, ac3_bytes([c, d, e, f])?)),
        // The same in words whose bytes are swapped.
        [0x77, 0x0B, ..] => Some((Coding::Ac3, ac3_bytes([d, c, f, e])?)),
        [0x56, 0xE0..=0xFF, ..] => Some((Coding::Latm, thirteen(b, c) + 3)),
        [_, _, _, _, 0xF8, 0x72, 0x6F, 0xBA] => Some((Coding::TrueHd, HEAD_BYTES)),
        _ => match HeaderBytes::parse([a, b, c, d]) {
            HeaderBytes::Layer3(frame) => Some((Coding::Mpeg, frame.frame_bytes as usize)),
            HeaderBytes::OtherLayer(frame) => Some((Coding::Mpeg, frame.frame_bytes as usize)),
            HeaderBytes::Adts => {
                let frame_bytes =
                    usize::from(d & 3) << 11 | usize::from(e) << 3 | usize::from(f) >> 5;
                Some((Coding::Adts, frame_bytes))
            }
            HeaderBytes::FreeFormat | HeaderBytes::Other => None,
        },
    }
}

/// The length of a frame of AC-3, or of Enhanced AC-3, by what follows the sync word
/// (ETSI TS 102 366, 4.3 and E.1.2).
fn ac3_bytes([a, b, c, d]: [u8; 4]) -> Option<usize> {
    let words = match d >> 3 {
        0..=10 => {
            let code = usize::from(c & 0x3F);
            let kilobits = KILOBITS_AC3.get(code / 2)?;
            match c >> 6 {
                0 => kilobits * 2,
                1 => kilobits * 1_000 * 96 / 44_100 + code % 2,
                2 => kilobits * 3,
                _ => return None,
            }
        }
        11..=16 => (usize::from(a & 7) << 8 | usize::from(b)) + 1,
        _ => return None,
    };
    Some(words * 2)
}

/// Sync words of DTS, in its four ways to be written, wherever they are.
#[derive(Debug, Default)]
struct DtsSyncs {
    tail: [u8; DTS_SYNC_BYTES - 1],
    tail_bytes: usize,
    syncs: u8,
}

impl DtsSyncs {
    fn count(&mut self, bytes: &[u8]) -> Option<Coding> {
        // Those that begin in what came before.
        let mut joint = [0; 2 * (DTS_SYNC_BYTES - 1)];
        let part = &bytes[..bytes.len().min(DTS_SYNC_BYTES - 1)];
        joint[..self.tail_bytes].copy_from_slice(&self.tail[..self.tail_bytes]);
        let joint_bytes = self.tail_bytes + part.len();
        joint[self.tail_bytes..joint_bytes].copy_from_slice(part);
        let found = dts_syncs(&joint[..joint_bytes]) + dts_syncs(bytes);
        self.syncs = self.syncs.saturating_add(found);
        let whole = if bytes.len() < DTS_SYNC_BYTES { &joint[..joint_bytes] } else { bytes };
        let tail = &whole[whole.len().saturating_sub(DTS_SYNC_BYTES - 1)..];
        self.tail[..tail.len()].copy_from_slice(tail);
        self.tail_bytes = tail.len();
        (self.syncs >= FRAMES).then_some(Coding::Dts)
    }
}

fn dts_syncs(bytes: &[u8]) -> u8 {
    const BLOCK_BYTES: usize = 64;
    let mut syncs: u8 = 0;
    // By the two bytes in the middle of a sync word: nearly no block has them, and to find out has
    // no branches.
    for (number, block) in bytes.chunks(BLOCK_BYTES).enumerate() {
        let from = number * BLOCK_BYTES;
        let pairs = block.iter().zip(&bytes[from + 1..]);
        let has_middle = pairs.fold(false, |any, (a, b)| {
            let sixteen = (*a == 0x80) & (*b == 0x01) | (*a == 0x01) & (*b == 0x80);
            let fourteen = (*a == 0xE8) & (*b == 0x00) | (*a == 0x00) & (*b == 0xE8);
            any | sixteen | fourteen
        });
        if !has_middle {
            continue;
        }
        let to = bytes.len().min(from + BLOCK_BYTES - 2 + DTS_SYNC_BYTES - 1);
        let words = bytes[from.saturating_sub(2)..to].windows(DTS_SYNC_BYTES);
        let here = words.filter(|word| is_dts_sync(word)).count();
        syncs = syncs.saturating_add(u8::try_from(here).unwrap_or(u8::MAX));
    }
    syncs
}

/// In words of 16 or of 14 bits, the higher byte first or the lower (ETSI TS 102 114, 5.3 and
/// annex on 14-bit words); a frame that is not the last begins with six ones.
fn is_dts_sync(bytes: &[u8]) -> bool {
    match bytes {
        [0x7F, 0xFE, 0x80, 0x01, next, _] => *next >= 0xFC,
        [0xFE, 0x7F, 0x01, 0x80, _, next] => *next >= 0xFC,
        [0x1F, 0xFF, 0xE8, 0x00, 0x07, next] => *next >= 0xF0,
        [0xFF, 0x1F, 0x00, 0xE8, next, 0x07] => *next >= 0xF0,
        _ => false,
    }
}
