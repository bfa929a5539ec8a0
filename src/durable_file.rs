//! Small files that are written whole: who reads one finds the old one or the new one, never half.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Puts these bytes in the place of what is at `path`, readable by the process's user only. Durable
/// when it returns. Two at once for one path have to be kept apart by who calls.
///
/// # Errors
/// Those of the file system; then the old one is there as before.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = beside(path, "unfinished");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    let directory = path.parent().filter(|path| !path.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

/// The path with one more ending.
pub fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{ending}"));
    name.into()
}
