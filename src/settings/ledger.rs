//! Section `ledger`: where the durable records lie, and how long they are kept.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;

use super::check::Check;
use super::parse;

/// Section `ledger`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// The store.
    #[serde(deserialize_with = "parse::text")]
    pub url: LedgerUrl,
    /// How long a finished record is kept after its last purge.
    pub keep_days: u32,
    /// Free space below which new messages are refused with `storage-low`.
    pub free_bytes_min: u64,
    /// How long an idempotency key is remembered.
    pub keys_keep_hours: u32,
}

/// Which store holds the records, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerUrl {
    /// An SQLite database in this file.
    Sqlite(PathBuf),
}

impl FromStr for LedgerUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<LedgerUrl, String> {
        match text.strip_prefix("sqlite:") {
            // What is accepted has to outlive the process.
            Some(":memory:") => Err("a ledger in memory keeps no promise; name a file".to_owned()),
            Some(path) if !path.is_empty() => Ok(LedgerUrl::Sqlite(PathBuf::from(path))),
            _ => Err("must have the form sqlite:PATH".to_owned()),
        }
    }
}

impl fmt::Display for LedgerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LedgerUrl::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
        }
    }
}

/// Below this the write-ahead log, which grows to 16 MB before it is copied into the file, may not
/// find room for what is accepted already.
const FREE_BYTES_SAFE: u64 = 32 * 1024 * 1024;

impl Ledger {
    pub(super) fn check(&self, check: &mut Check) {
        check.range("ledger.keep_days", self.keep_days, 1..=3_650);
        check.range("ledger.free_bytes_min", self.free_bytes_min, 0..=1_099_511_627_776);
        let bytes = self.free_bytes_min;
        if bytes > 0 && bytes < FREE_BYTES_SAFE {
            check.warning(
                "ledger.free_bytes_min",
                format!(
                    "is {bytes}, below {FREE_BYTES_SAFE}: the write-ahead log alone may grow to \
                     half of that, and messages already accepted need room to go on"
                ),
            );
        }
        check.range("ledger.keys_keep_hours", self.keys_keep_hours, 1..=720);
    }
}
