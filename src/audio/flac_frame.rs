//! One frame of a FLAC stream (RFC 9639 §9): where it ends, and whether its checksums are right.
//!
//! A frame does not say how long it is. Its codes are stepped over one by one, which is exact,
//! where looking for the next frame is a guess; nothing is decoded here.

use super::bits::MsbReader;
use super::flac::StreamInfo;
use super::flac_crc;

/// The longest header: two bytes of sync, two of codes, seven of number, two each of samples and
/// rate, a checksum.
const HEADER_BYTES_MAX: usize = 16;

/// What stands at a place where a frame might begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameAt {
    /// So many bytes that play so many samples of each channel.
    Whole { bytes: usize, samples: u32 },
    /// A frame whose end is not there.
    Cut,
    /// A frame by its header, with codes or a checksum that are wrong.
    Damaged,
    /// No frame of this stream.
    Nothing,
}

/// Looks at what begins with the first of `bytes`.
pub(super) fn frame_at(bytes: &[u8], info: &StreamInfo) -> FrameAt {
    let header = match header(bytes, info) {
        HeaderAt::Whole(header) => header,
        HeaderAt::Cut => return FrameAt::Cut,
        HeaderAt::Nothing => return FrameAt::Nothing,
    };
    let mut bits = MsbReader::new(&bytes[header.bytes..]);
    for channel in 0..info.channels {
        // The channel that holds a difference has one bit more.
        let bits_each = info.bits + u32::from(header.side == Some(channel));
        match subframe(&mut bits, header.samples, bits_each) {
            Ok(Some(())) => {}
            Ok(None) => return FrameAt::Cut,
            Err(Damaged) => return FrameAt::Damaged,
        }
    }
    let frame_bytes = header.bytes + bits.bytes_begun() + 2;
    match bytes.get(..frame_bytes) {
        None => FrameAt::Cut,
        Some(frame) if flac_crc::frame(frame) == 0 => {
            FrameAt::Whole { bytes: frame_bytes, samples: header.samples }
        }
        Some(_) => FrameAt::Damaged,
    }
}

/// Whether the header of a frame stands here, all of it and with the right checksum.
pub(super) fn is_header(bytes: &[u8], info: &StreamInfo) -> bool {
    matches!(header(bytes, info), HeaderAt::Whole(_))
}

struct Header {
    samples: u32,
    side: Option<u16>,
    bytes: usize,
}

enum HeaderAt {
    Whole(Header),
    Cut,
    Nothing,
}

/// Reads a header. One that does not fit the description of the stream is none of it.
fn header(bytes: &[u8], info: &StreamInfo) -> HeaderAt {
    if !b"\xFF\xF8".starts_with(&bytes[..bytes.len().min(2)]) && !bytes.starts_with(b"\xFF\xF9") {
        return HeaderAt::Nothing;
    }
    let head = &bytes[..bytes.len().min(HEADER_BYTES_MAX)];
    match parse_header(head, info) {
        Some(header) => header.map_or(HeaderAt::Nothing, HeaderAt::Whole),
        None if head.len() < HEADER_BYTES_MAX => HeaderAt::Cut,
        None => HeaderAt::Nothing,
    }
}

/// The outer `None`: there are too few bytes.
fn parse_header(head: &[u8], info: &StreamInfo) -> Option<Option<Header>> {
    let mut bits = MsbReader::new(head);
    bits.skip(16)?;
    let (samples_code, rate_code) = (bits.read(4)?, bits.read(4)?);
    let (channels_code, bits_code, reserved) = (bits.read(4)?, bits.read(3)?, bits.read(1)?);
    skip_number(&mut bits)?;
    let samples = match samples_code {
        1 => 192,
        2..=5 => 576 << (samples_code - 2),
        6 => bits.read(8)? + 1,
        7 => bits.read(16)? + 1,
        8.. => 256 << (samples_code - 8),
        0 => 0,
    };
    let rate_hz = match rate_code {
        0 => info.sample_rate_hz,
        12 => bits.read(8)? * 1_000,
        13 => bits.read(16)?,
        14 => bits.read(16)? * 10,
        _ => RATES_HZ.get(rate_code as usize).copied().unwrap_or(0),
    };
    bits.skip(8)?;
    let bytes = bits.bytes_begun();
    let (channels, side) = match channels_code {
        0..8 => (channels_code as u16 + 1, None),
        8 | 10 => (2, Some(1)),
        9 => (2, Some(0)),
        _ => (0, None),
    };
    let sample_bits = if bits_code == 0 { info.bits } else { BITS[bits_code as usize] };
    let fits = rate_hz == info.sample_rate_hz && channels == info.channels;
    let is_header = samples > 0
        && fits
        && sample_bits == info.bits
        && reserved == 0
        && flac_crc::header(&head[..bytes]) == 0;
    Some(is_header.then_some(Header { samples, side, bytes }))
}

const RATES_HZ: [u32; 12] =
    [0, 88_200, 176_400, 192_000, 8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000];
const BITS: [u32; 8] = [0, 8, 12, 0, 16, 20, 24, 32];

/// The number of the frame or of its first sample, one to seven bytes as in UTF-8. It is not asked
/// for: frames play in the order in which they stand.
fn skip_number(bits: &mut MsbReader<'_>) -> Option<()> {
    let ones = (bits.read(8)? as u8).leading_ones();
    bits.skip(8 * u64::from(ones.saturating_sub(1)))
}

/// Codes that no encoder writes.
struct Damaged;

/// Steps over a subframe; `None` where it is not all there.
fn subframe(bits: &mut MsbReader<'_>, samples: u32, bits_each: u32) -> Result<Option<()>, Damaged> {
    let Some(head) = bits.read(8) else { return Ok(None) };
    let kind = head >> 1 & 0x3F;
    let mut wasted = 0;
    if head & 1 == 1 {
        let Some(zeros) = bits.zeros() else { return Ok(None) };
        wasted = zeros + 1;
    }
    let Some(bits_each) = bits_each.checked_sub(wasted).filter(|each| *each > 0) else {
        return Err(Damaged);
    };
    let (each, order) = (u64::from(bits_each), kind & 0x1F);
    if head & 0x80 != 0 {
        return Err(Damaged);
    }
    match kind {
        0 => Ok(bits.skip(each)),
        1 => Ok(bits.skip(each * u64::from(samples))),
        8..=12 => {
            let order = kind - 8;
            let is_there = bits.skip(each * u64::from(order));
            is_there.map_or(Ok(None), |()| residual(bits, samples, order))
        }
        32.. => {
            let order = order + 1;
            let Some(precision) =
                bits.skip(each * u64::from(order)).and_then(|()| bits.read(4)).map(|code| code + 1)
            else {
                return Ok(None);
            };
            if precision == 16 {
                return Err(Damaged);
            }
            let is_there = bits.skip(5 + u64::from(order * precision));
            is_there.map_or(Ok(None), |()| residual(bits, samples, order))
        }
        _ => Err(Damaged),
    }
}

/// Steps over the residual of a predictor of this order (RFC 9639 §9.2.7).
fn residual(bits: &mut MsbReader<'_>, samples: u32, order: u32) -> Result<Option<()>, Damaged> {
    let Some(head) = bits.read(6) else { return Ok(None) };
    let parameter_bits = match head >> 4 {
        0 => 4,
        1 => 5,
        _ => return Err(Damaged),
    };
    let partitions = 1 << (head & 0xF);
    let each = samples / partitions;
    if !samples.is_multiple_of(partitions) || each < order {
        return Err(Damaged);
    }
    let mut count = each - order;
    for _ in 0..partitions {
        if partition(bits, count, parameter_bits).is_none() {
            return Ok(None);
        }
        count = each;
    }
    Ok(Some(()))
}

fn partition(bits: &mut MsbReader<'_>, count: u32, parameter_bits: u32) -> Option<()> {
    let parameter = bits.read(parameter_bits)?;
    if parameter + 1 == 1 << parameter_bits {
        let each = bits.read(5)?;
        return bits.skip(u64::from(each) * u64::from(count));
    }
    for _ in 0..count {
        bits.zeros()?;
        bits.skip(parameter.into())?;
    }
    Some(())
}
