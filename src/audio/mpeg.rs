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
    OtherLayer(OtherFrame),
    /// AAC in ADTS frames, which share the sync word.
    Adts,
    /// Not a frame header.
    Other,
}

/// A frame of layer I or II, as far as it takes to find the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OtherFrame {
    /// Length of the frame with its header, at most `OTHER_FRAME_BYTES_MAX`; 0: it is not told.
    pub(super) frame_bytes: u32,
}

/// A layer II frame of 160 kbit/s at 8 kHz, and its padding.
pub(super) const OTHER_FRAME_BYTES_MAX: usize = 2_881;

const KILOBITS_MPEG1: [u32; 15] =
    [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const KILOBITS_MPEG2: [u32; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
const KILOBITS_LAYER2: [u32; 15] =
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384];
const KILOBITS_LAYER1_MPEG2: [u32; 15] =
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256];

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
        let sample_rate_hz = rate >> rate_halvings;
        let padding = u32::from(bytes[2] >> 1 & 1);
        if layer != 1 {
            let frame_bytes = other_frame_bytes(layer, mpeg1, bit_rate, sample_rate_hz, padding);
            return HeaderBytes::OtherLayer(OtherFrame { frame_bytes });
        }
        if *kilobits == 0 {
            return HeaderBytes::FreeFormat;
        }
        let samples = if mpeg1 { 1_152 } else { 576 };
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

/// Layer I has slots of four bytes and 384 samples, layer II 1,152 samples and slots of one.
fn other_frame_bytes(layer: u8, mpeg1: bool, bit_rate: usize, rate_hz: u32, padding: u32) -> u32 {
    let kilobits = match (layer, mpeg1) {
        (3, true) => 32 * bit_rate as u32,
        (3, false) => KILOBITS_LAYER1_MPEG2[bit_rate],
        (_, true) => KILOBITS_LAYER2[bit_rate],
        (_, false) => KILOBITS_MPEG2[bit_rate],
    };
    match (kilobits, layer) {
        (0, _) => 0,
        (_, 3) => (12 * kilobits * 1_000 / rate_hz + padding) * 4,
        _ => 144 * kilobits * 1_000 / rate_hz + padding,
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
