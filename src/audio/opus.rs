//! Opus in Ogg: the identification header (RFC 7845 §5.1) and the length of packets (RFC 6716 §3).

/// Granules and packet lengths of Opus always count at this rate.
pub(super) const RATE_HZ: u32 = 48_000;
/// The longest packet there may be: 120 ms.
const PACKET_SAMPLES_MAX: u32 = 5_760;
/// No recorder is fed by more.
const INPUT_RATE_HZ_MAX: u32 = 768_000;
/// Channels that a stream for loudspeakers has at most (RFC 7845 §5.1.1.2).
const CHANNELS_MAX: u8 = 8;
/// Bytes of the identification header that matter here.
pub(super) const HEAD_BYTES: usize = 19;

/// The identification header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OpusHead {
    pub(super) channels: u16,
    /// Samples that a player drops at the start.
    pub(super) pre_skip: u16,
}

/// Reads the packet that begins with `OpusHead`.
pub(super) fn parse_head(packet: &[u8]) -> Result<OpusHead, String> {
    let Some(head) = packet.first_chunk::<HEAD_BYTES>() else {
        return Err(format!("the Opus header has {} bytes, less than {HEAD_BYTES}", packet.len()));
    };
    let (version, channels) = (head[8], head[9]);
    if version & 0xF0 != 0 {
        return Err(format!("Opus mapping version {version} is unknown"));
    }
    if channels == 0 || channels > CHANNELS_MAX {
        return Err(format!("the Opus header has {channels} channels, not 1 to 8"));
    }
    Ok(OpusHead {
        channels: u16::from(channels),
        pre_skip: u16::from_le_bytes([head[10], head[11]]),
    })
}

/// The identification header at the start of `bytes`, without whatever follows it.
pub(super) fn head_of(bytes: &[u8]) -> Result<&[u8], String> {
    if !bytes.starts_with(b"OpusHead") {
        return Err("the Opus track has no identification header".into());
    }
    let head = parse_head(bytes)?;
    // Mapping family 0 has no channel table (RFC 7845 §5.1.1).
    let length =
        if bytes[18] == 0 { HEAD_BYTES } else { HEAD_BYTES + 2 + usize::from(head.channels) };
    bytes.get(..length).ok_or_else(|| format!("the Opus header has less than {length} bytes"))
}

/// The identification header for what an MP4 file says of its Opus track: the body of a `dOps` box
/// holds the same fields, in big-endian order and without the magic (Opus in ISOBMFF §4.3.2).
pub(super) fn head_from_dops(dops: &[u8]) -> Option<Vec<u8>> {
    let (fixed, table) = dops.split_first_chunk::<11>()?;
    let [version, channels, mut fields @ .., family] = *fixed;
    let rate =
        |bytes: [u8; 8], read: fn([u8; 4]) -> u32| read([bytes[2], bytes[3], bytes[4], bytes[5]]);
    // WebKit's writer (GStreamer) leaves the fields in the order of Ogg. It shows in the rate of
    // the input, which is absurd the other way round.
    let is_swapped = rate(fields, u32::from_be_bytes) > INPUT_RATE_HZ_MAX
        && rate(fields, u32::from_le_bytes) <= INPUT_RATE_HZ_MAX;
    if !is_swapped {
        fields[0..2].reverse();
        fields[2..6].reverse();
        fields[6..8].reverse();
    }
    let mut head = b"OpusHead".to_vec();
    // Version 0 there is version 1 here.
    head.extend([version.saturating_add(1), channels]);
    head.extend(fields);
    head.push(family);
    head.extend_from_slice(table);
    head_of(&head).ok().map(<[u8]>::to_vec)
}

/// Samples that a packet decodes to, from its first two bytes; `None` for a packet that breaks
/// the rules. All six bits of the frame count of code 3 are read.
pub(super) fn packet_samples(packet: &[u8]) -> Option<u32> {
    let toc = *packet.first()?;
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0x3F),
    };
    let samples = frames * frame_samples(toc >> 3);
    (1..=PACKET_SAMPLES_MAX).contains(&samples).then_some(samples)
}

/// Samples of one frame in one of the 32 configurations (RFC 6716, table 2).
fn frame_samples(config: u8) -> u32 {
    match config {
        0..12 => [480, 960, 1_920, 2_880][usize::from(config & 3)],
        12..16 => [480, 960][usize::from(config & 1)],
        _ => [120, 240, 480, 960][usize::from(config & 3)],
    }
}

/// Streams that each packet of a clip with this identification header holds (RFC 7845 §5.1.1).
pub(super) fn streams(head: &[u8]) -> u8 {
    match head.get(18) {
        None | Some(0) => 1,
        Some(_) => head.get(HEAD_BYTES).copied().unwrap_or(0),
    }
}

/// What players multiply every sample by, as an identification header tells it in 1/256 dB
/// (RFC 7845 §5.1, "output gain"); `None` for a header that is too short.
pub(super) fn output_factor(head: &[u8]) -> Option<f32> {
    let gain = i16::from_le_bytes([*head.get(16)?, *head.get(17)?]);
    Some(10f32.powf(f32::from(gain) / (20.0 * 256.0)))
}

/// The streams in each packet, and how many of them, the first ones, are pairs of channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StreamLayout {
    pub(super) streams: u8,
    pub(super) coupled: u8,
}

/// The layout that an identification header tells of (RFC 7845 §5.1.1); `None` for one that makes
/// no sense, or has more channels than a header may have.
pub(super) fn stream_layout(head: &[u8]) -> Option<StreamLayout> {
    let channels = parse_head(head).ok()?.channels;
    let layout = match head.get(18)? {
        0 => StreamLayout { streams: 1, coupled: u8::from(channels == 2) },
        _ => StreamLayout { streams: *head.get(19)?, coupled: *head.get(20)? },
    };
    let decoded = layout.streams.checked_add(layout.coupled)?;
    let fits = layout.coupled <= layout.streams && (1..=CHANNELS_MAX).contains(&decoded);
    fits.then_some(layout)
}

/// Whether a whole packet holds so many streams of one length (RFC 7845 §3), and the frames in it
/// add up to its size (RFC 6716 §3.2, rules R1 to R7).
pub(super) fn is_well_formed(packet: &[u8], streams: u8) -> bool {
    let samples = packet_samples(packet);
    let mut last = packet;
    for _ in 1..streams {
        let Some(after) = behind_self_delimited(last) else { return false };
        if packet_samples(after) != samples {
            return false;
        }
        last = after;
    }
    streams > 0 && samples.is_some() && fills_its_packet(last)
}

/// What stands behind a packet that tells its own size (RFC 6716, appendix B).
fn behind_self_delimited(packet: &[u8]) -> Option<&[u8]> {
    let (toc, rest) = packet.split_first()?;
    let (first, rest) = match toc & 3 {
        3 => return behind_code_3(rest),
        _ => frame_length(rest)?,
    };
    let (bytes, rest) = match toc & 3 {
        0 => (first, rest),
        1 => (2 * first, rest),
        _ => frame_length(rest).map(|(second, rest)| (first + second, rest))?,
    };
    rest.get(bytes..)
}

fn behind_code_3(bytes: &[u8]) -> Option<&[u8]> {
    let Code3 { count, is_variable, padding, mut rest } = code_3(bytes)?;
    let lengths = if is_variable { count } else { 1 };
    let mut coded = 0;
    for _ in 0..lengths {
        let (length, after) = frame_length(rest)?;
        coded += if is_variable { length } else { length * count };
        rest = after;
    }
    rest.get(coded + padding..)
}

fn fills_its_packet(packet: &[u8]) -> bool {
    let (toc, frames) = (packet[0], &packet[1..]);
    match toc & 3 {
        0 => frames.len() <= FRAME_BYTES_MAX,
        1 => frames.len() % 2 == 0 && frames.len() / 2 <= FRAME_BYTES_MAX,
        2 => frame_length(frames).is_some_and(|(first, rest)| first <= rest.len()),
        _ => is_well_formed_code_3(frames),
    }
}

const FRAME_BYTES_MAX: usize = 1_275;

/// A packet with any number of frames, from its second byte on.
struct Code3<'a> {
    count: usize,
    is_variable: bool,
    padding: usize,
    rest: &'a [u8],
}

fn code_3(bytes: &[u8]) -> Option<Code3<'_>> {
    let (&count_byte, mut rest) = bytes.split_first()?;
    let mut padding = 0;
    if count_byte & 0x40 != 0 {
        loop {
            let (&length, after) = rest.split_first()?;
            rest = after;
            padding += usize::from(length.min(254));
            if length != 255 {
                break;
            }
        }
    }
    let (count, is_variable) = (usize::from(count_byte & 0x3F), count_byte & 0x80 != 0);
    Some(Code3 { count, is_variable, padding, rest })
}

fn is_well_formed_code_3(bytes: &[u8]) -> bool {
    let Some(Code3 { count, is_variable, padding, mut rest }) = code_3(bytes) else {
        return false;
    };
    let mut coded = 0;
    if is_variable {
        for _ in 1..count {
            let Some((length, after)) = frame_length(rest) else { return false };
            coded += length;
            rest = after;
        }
    }
    let Some(left) = rest.len().checked_sub(padding + coded) else { return false };
    if is_variable {
        left <= FRAME_BYTES_MAX
    } else {
        left % count == 0 && left / count <= FRAME_BYTES_MAX
    }
}

/// A frame length in one or two bytes (RFC 6716 §3.2.1), and what follows it.
fn frame_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first < 252 {
        return Some((usize::from(first), rest));
    }
    let (&second, rest) = rest.split_first()?;
    Some((usize::from(first) + 4 * usize::from(second), rest))
}

#[cfg(test)]
mod tests {
    use super::{head_from_dops, is_well_formed, packet_samples};

    #[test]
    fn packets_of_several_streams_are_looked_through() {
        // Two streams of 20 ms: the first of each kind, which tells its size, then one of 1 byte.
        let firsts: [&[u8]; 5] = [
            &[0xF8, 2, 9, 9],
            &[0xF1, 1, 9, 9],
            &[0xF2, 1, 2, 9, 9, 9],
            &[0xF3, 2, 1, 9, 9],
            &[0xF3, 0xC2, 1, 1, 2, 9, 9, 9, 0],
        ];
        for first in firsts {
            let packet = [first, &[0xF8, 9]].concat();
            assert!(is_well_formed(&packet, 2), "{packet:?}");
            assert!(!is_well_formed(&packet, 3), "{packet:?}");
            assert!(!is_well_formed(&first[..first.len() - 1], 2), "{packet:?}");
            // The other stream must not be of another length.
            let uneven = [first, &[0xF0, 9]].concat();
            assert!(!is_well_formed(&uneven, 2), "{uneven:?}");
        }
        assert!(is_well_formed(&[0xF8, 9], 1));
        assert!(!is_well_formed(&[0xF8, 9], 0));
    }

    #[test]
    fn headers_of_mp4_may_be_swapped_and_are_put_right() {
        let wanted = b"OpusHead\x01\x01\x38\x01\x80\xBB\0\0\0\0\0";
        let as_specified = [0, 1, 1, 0x38, 0, 0, 0xBB, 0x80, 0, 0, 0];
        let as_webkit = [0, 1, 0x38, 1, 0x80, 0xBB, 0, 0, 0, 0, 0];
        assert_eq!(head_from_dops(&as_specified).as_deref(), Some(&wanted[..]));
        assert_eq!(head_from_dops(&as_webkit).as_deref(), Some(&wanted[..]));
        assert_eq!(head_from_dops(&as_webkit[..10]), None);
    }

    #[test]
    fn code_3_frame_counts_have_six_bits() {
        assert_eq!(packet_samples(&[16 << 3 | 3, 48]), Some(48 * 120));
        assert_eq!(packet_samples(&[16 << 3 | 3, 49]), None);
        assert_eq!(packet_samples(&[16 << 3 | 3, 0]), None);
        assert_eq!(packet_samples(&[3 << 3]), Some(2_880));
        assert_eq!(packet_samples(&[13 << 3 | 1]), Some(1_920));
        assert_eq!(packet_samples(&[3]), None);
        assert_eq!(packet_samples(&[]), None);
    }
}
