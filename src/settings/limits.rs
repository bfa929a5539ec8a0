//! Section `limits`: what a clip may be.

use serde::Deserialize;

use super::check::Check;
use crate::domain::AudioLimits;

/// Section `limits`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Longest clip promised to pass.
    pub duration_ms_max: u32,
    /// What a clip may overshoot that by.
    pub duration_ms_grace: u32,
    /// Shortest clip.
    pub duration_ms_min: u32,
    /// Largest clip.
    pub bytes_max: u64,
}

impl Limits {
    /// The limits as the audio code takes them.
    pub fn audio(&self) -> AudioLimits {
        AudioLimits {
            duration_ms_max: self.duration_ms_max,
            duration_ms_grace: self.duration_ms_grace,
            duration_ms_min: self.duration_ms_min,
            bytes_max: self.bytes_max,
        }
    }

    pub(super) fn check(&self, check: &mut Check) {
        check.range("limits.duration_ms_max", self.duration_ms_max, 100..=3_600_000);
        check.range("limits.duration_ms_grace", self.duration_ms_grace, 0..=10_000);
        check.ordered(
            ("limits.duration_ms_min", self.duration_ms_min),
            ("limits.duration_ms_max", self.duration_ms_max),
        );
        check.range("limits.bytes_max", self.bytes_max, 1_024..=1_073_741_824);
    }
}
