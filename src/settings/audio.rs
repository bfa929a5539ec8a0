//! Section `audio`: what becomes of clips that Genesys would not take.

use serde::Deserialize;

use super::check::Check;
use crate::domain::Conversion;

/// Section `audio`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audio {
    /// What they are converted to.
    pub convert: Convert,
    /// Bit rate of what is coded anew as Opus.
    pub opus_bits_per_second: u32,
    /// Clips coded anew at a time; 0 is half the cores.
    pub transcodes_max: usize,
    /// Whether accepted clips are drawn.
    pub waveforms: bool,
}

/// Values of `audio.convert`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Convert {
    /// Opus into Ogg as it is, anything else to Opus speech.
    OggOpus,
    /// Opus into Ogg as it is, anything else to WAV.
    Wav,
    /// They are refused.
    Off,
}

impl Audio {
    /// The conversion as the audio code takes it.
    pub fn conversion(&self) -> Conversion {
        match self.convert {
            Convert::OggOpus => Conversion::OggOpus { bits_per_second: self.opus_bits_per_second },
            Convert::Wav => Conversion::Wav,
            Convert::Off => Conversion::Off,
        }
    }

    pub(super) fn check(&self, check: &mut Check) {
        check.range("audio.opus_bits_per_second", self.opus_bits_per_second, 24_000..=32_000);
        check.range("audio.transcodes_max", self.transcodes_max, 0..=64);
    }
}
