//! Section `memory`: how much memory clips may take.

use serde::Deserialize;

use super::check::Check;

/// Section `memory`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Bytes of clips in memory, of all requests and waiting messages together.
    pub clips_bytes_max: u64,
    /// Bytes of clips read back from the spool at a time for uploads, and as many for inspections.
    pub read_back_bytes_max: u64,
}

impl Memory {
    pub(super) fn check(&self, check: &mut Check) {
        check.range("memory.clips_bytes_max", self.clips_bytes_max, 65_536..=68_719_476_736);
        check.range("memory.read_back_bytes_max", self.read_back_bytes_max, 1_024..=68_719_476_736);
    }
}
