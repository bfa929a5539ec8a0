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
}

impl Spool {
    pub(super) fn check(&self, check: &mut Check) {
        if self.dir.as_os_str().is_empty() {
            check.problem("spool.dir", "is empty; it must name a directory");
        }
    }
}
