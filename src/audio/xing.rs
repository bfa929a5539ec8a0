//! The first frame of many MP3 files: no audio but a table of contents, written by the encoder
//! ("Xing" or "Info" with the LAME extension, or Fraunhofer's "VBRI").
//!
//! Its frame count is only ever compared with the frames that are there.

use super::mpeg::FrameHeader;

/// As much of the first frame as is needed: header, checksum, side info and a full Xing header
/// with the LAME extension up to its delay field.
pub(super) const HEAD_BYTES: usize = 4 + 2 + 32 + 120 + 24;

/// Encoders whose delay and padding players believe (as ffmpeg's do): others' fields say anything.
const ENCODERS: [&[u8]; 3] = [b"LAME", b"Lavf", b"Lavc"];

/// What an encoder wrote about the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct EncoderHeader {
    /// Frames of audio the file is said to have.
    pub(super) frames: Option<u32>,
    /// Samples to drop at the start. At most 4,095: the field has twelve bits.
    pub(super) delay_samples: u32,
    /// Samples to drop at the end. At most 4,095.
    pub(super) padding_samples: u32,
}

/// The encoder header in the first `HEAD_BYTES` of a frame, if the frame is one.
pub(super) fn parse(header: &FrameHeader, frame: &[u8]) -> Option<EncoderHeader> {
    if frame.get(36..40) == Some(b"VBRI") {
        return Some(EncoderHeader { frames: big_endian_32(frame, 36 + 14), ..Default::default() });
    }
    let crc_bytes = if header.has_crc { 2 } else { 0 };
    // Some encoders forget the checksum when they place the tag.
    [4 + crc_bytes, 4].iter().find_map(|before| {
        let tag = frame.get(before + header.side_info_bytes()..)?;
        if tag.starts_with(b"Xing") || tag.starts_with(b"Info") { parse_xing(tag) } else { None }
    })
}

fn parse_xing(tag: &[u8]) -> Option<EncoderHeader> {
    let flags = big_endian_32(tag, 4)?;
    let frames = if flags & 1 != 0 { big_endian_32(tag, 8) } else { None };
    let field_bytes = [(1, 4), (2, 4), (4, 100), (8, 4)];
    let lame_at =
        8 + field_bytes.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, n)| n).sum::<usize>();
    let mut header = EncoderHeader { frames, ..Default::default() };
    let lame = tag.get(lame_at..lame_at + 24);
    if let Some(lame) = lame.filter(|lame| ENCODERS.iter().any(|name| lame.starts_with(name))) {
        header.delay_samples = u32::from(lame[21]) << 4 | u32::from(lame[22]) >> 4;
        header.padding_samples = u32::from(lame[22] & 0xF) << 8 | u32::from(lame[23]);
    }
    Some(header)
}

fn big_endian_32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::{EncoderHeader, parse_xing};

    #[test]
    fn delay_and_padding_are_twelve_bits_each() {
        let mut tag = b"Info\0\0\0\x01\0\0\x01\x02LAME3.100".to_vec();
        tag.resize(12 + 21, 0);
        tag.extend([0x24, 0x1A, 0xBC]);
        let read =
            EncoderHeader { frames: Some(258), delay_samples: 0x241, padding_samples: 0xABC };
        assert_eq!(parse_xing(&tag), Some(read));
        tag[12] = 0;
        assert_eq!(parse_xing(&tag).map(|header| header.delay_samples), Some(0));
    }
}
