//! The walk over a native FLAC stream (RFC 9639): only its first metadata block, which says what
//! the stream is. Frames tell neither their size nor, to anybody who does not decode them, where
//! they end: how long they play is a claim here, to be proven on the finished clip.

use crate::domain::{ClipRefusal, Codec};

use super::playtime::{Found, corrupted, microseconds};

/// The magic, the header of a metadata block, and the block `STREAMINFO`.
pub(super) const HEAD_BYTES: usize = 4 + 4 + 34;

/// What `STREAMINFO` says (RFC 9639 §8.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StreamInfo {
    pub(super) sample_rate_hz: u32,
    pub(super) channels: u16,
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
    if head[4] & 0x7F != 0 || head[5..8] != [0, 0, 34] {
        return Err(corrupted("the FLAC stream does not begin with its description"));
    }
    let (_, tail) = head.split_at(8 + 10);
    let packed = tail.first_chunk::<8>().map_or(0, |eight| u64::from_be_bytes(*eight));
    let info = StreamInfo {
        sample_rate_hz: (packed >> 44) as u32,
        channels: (packed >> 41 & 7) as u16 + 1,
        samples: packed & 0xF_FFFF_FFFF,
    };
    if !(4_000..=192_000).contains(&info.sample_rate_hz) {
        let rate_hz = info.sample_rate_hz;
        return Err(corrupted(format!("a FLAC rate of {rate_hz} Hz, not 4,000 to 192,000")));
    }
    Ok(info)
}
