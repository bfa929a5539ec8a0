//! What an AAC track says about itself: the AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1), as it
//! stands in the `esds` box of an MP4 file.

use super::bits::MsbReader;

/// Rates by their index (ISO/IEC 14496-3, table 1.18).
const RATES_HZ: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];

/// A low-complexity stream, or the low-complexity core of a high-efficiency one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AacConfig {
    pub(super) sample_rate_hz: u32,
    pub(super) channels: u16,
    /// Samples of one channel in every packet.
    pub(super) frame_samples: u32,
    rate_index: u8,
}

impl AacConfig {
    /// The same as an AudioSpecificConfig of two bytes, for a decoder that knows the core alone.
    pub(super) fn core(&self) -> [u8; 2] {
        let bits = 2 << 11 | u16::from(self.rate_index) << 7 | self.channels << 3;
        bits.to_be_bytes()
    }
}

/// Reads an AudioSpecificConfig; a refusal says what it is instead.
pub(super) fn parse(config: &[u8]) -> Result<AacConfig, String> {
    let mut bits = MsbReader::new(config);
    let cut = || "the AAC track has no whole configuration".to_owned();
    let mut object = bits.read(5).ok_or_else(cut)?;
    let rate_index = bits.read(4).ok_or_else(cut)?;
    let channels = bits.read(4).ok_or_else(cut)?;
    if object == 5 || object == 29 {
        // The rate of the extension, then the type of the core, which plays at its own rate.
        bits.read(4).ok_or_else(cut)?;
        object = bits.read(5).ok_or_else(cut)?;
    }
    if object != 2 {
        return Err(format!("AAC of object type {object}"));
    }
    let Some(&sample_rate_hz) = RATES_HZ.get(rate_index as usize) else {
        return Err(format!("AAC with rate index {rate_index}"));
    };
    if !(1..=2).contains(&channels) {
        return Err(format!("AAC with channel configuration {channels}"));
    }
    if bits.read(1).ok_or_else(cut)? == 1 {
        return Err("AAC with frames of 960 samples".to_owned());
    }
    let (rate_index, channels) = (rate_index as u8, channels as u16);
    Ok(AacConfig { sample_rate_hz, channels, frame_samples: 1_024, rate_index })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn the_core_of_high_efficiency_is_low_complexity() {
        let plain = parse(&[0x12, 0x08]).unwrap();
        assert_eq!((plain.sample_rate_hz, plain.channels), (44_100, 1));
        assert_eq!(plain.core(), [0x12, 0x08]);
        // Object type 5, 24 kHz core of two channels, extended to 48 kHz.
        let extended = parse(&[0x2B, 0x11, 0x88, 0x00]).unwrap();
        assert_eq!((extended.sample_rate_hz, extended.channels), (24_000, 2));
        assert!(parse(&[0x12]).is_err());
        assert!(parse(&[0x0A, 0x10]).is_err(), "object type 1");
    }
}
