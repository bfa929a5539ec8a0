//! MPEG audio frame headers (ISO/IEC 11172-3 and 13818-3, with the 2.5 extension), layer III.

/// One layer III frame, as its four header bytes tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    /// Length of the frame with its header.
    pub(super) frame_bytes: u32,
    /// Samples of one channel that the frame decodes to.
    pub(super) samples: u32,
    pub(super) sample_rate_hz: u32,
    pub(super) channels: u16,
    /// A 16-bit checksum follows the header.
    pub(super) has_crc: bool,
    mpeg1: bool,
}

/// What four bytes at the place of a frame header are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderBytes {
    /// A layer III frame.
    Layer3(FrameHeader),
    /// A layer III frame whose bit rate is not told ("free format").
    FreeFormat,
    /// A frame of layer I or II.
    OtherLayer,
    /// AAC in ADTS frames, which share the sync word.
    Adts,
    /// Not a frame header.
    Other,
}

const KILOBITS_MPEG1: [u32; 15] =
    [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const KILOBITS_MPEG2: [u32; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];

impl HeaderBytes {
    pub(super) fn parse(bytes: [u8; 4]) -> HeaderBytes {
        if bytes[0] != 0xFF || bytes[1] & 0xE0 != 0xE0 {
            return HeaderBytes::Other;
        }
        let version = bytes[1] >> 3 & 3;
        let layer = bytes[1] >> 1 & 3;
        let bit_rate = usize::from(bytes[2] >> 4);
        let rate_halvings = match version {
            0 => 2,
            2 => 1,
            3 => 0,
            _ => return HeaderBytes::Other,
        };
        if layer == 0 {
            let adts = bytes[1] & 0xF6 == 0xF0 && bytes[2] >> 2 & 0xF < 13;
            return if adts { HeaderBytes::Adts } else { HeaderBytes::Other };
        }
        let Some(rate) = [44_100u32, 48_000, 32_000].get(usize::from(bytes[2] >> 2 & 3)) else {
            return HeaderBytes::Other;
        };
        let mpeg1 = version == 3;
        let table = if mpeg1 { &KILOBITS_MPEG1 } else { &KILOBITS_MPEG2 };
        let Some(kilobits) = table.get(bit_rate) else { return HeaderBytes::Other };
        if bytes[3] & 3 == 2 {
            return HeaderBytes::Other;
        }
        if layer != 1 {
            return HeaderBytes::OtherLayer;
        }
        if *kilobits == 0 {
            return HeaderBytes::FreeFormat;
        }
        let sample_rate_hz = rate >> rate_halvings;
        let samples = if mpeg1 { 1_152 } else { 576 };
        let padding = u32::from(bytes[2] >> 1 & 1);
        HeaderBytes::Layer3(FrameHeader {
            frame_bytes: samples / 8 * kilobits * 1_000 / sample_rate_hz + padding,
            samples,
            sample_rate_hz,
            channels: if bytes[3] >> 6 == 3 { 1 } else { 2 },
            has_crc: bytes[1] & 1 == 0,
            mpeg1,
        })
    }
}

impl FrameHeader {
    /// Bytes between the header (and its checksum) and the main data.
    pub(super) fn side_info_bytes(&self) -> usize {
        match (self.mpeg1, self.channels) {
            (true, 1) | (false, 2) => 17,
            (true, _) => 32,
            (false, _) => 9,
        }
    }

    /// Whether two neighbouring frames may belong to one stream: bit rate and padding change from
    /// frame to frame, version and sample rate do not.
    pub(super) fn is_kin(&self, other: &FrameHeader) -> bool {
        self.mpeg1 == other.mpeg1 && self.sample_rate_hz == other.sample_rate_hz
    }
}
