//! Section `memory`: how much memory clips may take.

use serde::Deserialize;

use super::check::Check;

/// Section `memory`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Bytes of clips in memory, of all requests and waiting messages together.
    pub clips_bytes_max: u64,
}

impl Memory {
    pub(super) fn check(&self, check: &mut Check) {
        check.range("memory.clips_bytes_max", self.clips_bytes_max, 1_048_576..=68_719_476_736);
    }
}
