//! Section `spool`: where clips wait on disk.

use std::path::PathBuf;

use serde::Deserialize;

use super::check::Check;

/// Section `spool`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spool {
    /// The directory; created when missing.
    pub dir: PathBuf,
    /// Bytes of clips in it, those on their way included.
    pub bytes_max: u64,
}

impl Spool {
    pub(super) fn check(&self, check: &mut Check) {
        if self.dir.as_os_str().is_empty() {
            check.problem("spool.dir", "is empty; it must name a directory");
        }
        check.range("spool.bytes_max", self.bytes_max, 1_024..=1_125_899_906_842_624);
    }
}
