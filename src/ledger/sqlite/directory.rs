//! The data directory: made with narrow rights, used by one process at a time.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::ledger::OpenError;

/// The file whose lock says that a process uses the directory.
const LOCK_NAME: &str = "voicepost.lock";

/// Makes the directory (0700) and the database file (0600) where they are missing, and takes the
/// lock, which lasts as long as the returned file is open: a killed process leaves none behind.
pub(super) fn claim(path: &Path) -> Result<File, OpenError> {
    let directory = directory_of(path);
    let failed = |what: &str, error: io::Error| OpenError::Failed {
        path: path.to_path_buf(),
        reason: format!("{what}: {error}"),
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&directory)
        .map_err(|error| failed("cannot make the directory", error))?;
    let lock = private_file(&directory.join(LOCK_NAME))
        .map_err(|error| failed("cannot open the lock file", error))?;
    lock.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => OpenError::Locked(directory.clone()),
        TryLockError::Error(error) => failed("cannot lock the directory", error),
    })?;
    // SQLite would make it with the umask's rights; its WAL takes over whatever the file has.
    private_file(path).map_err(|error| failed("cannot make the file", error))?;
    // SQLite syncs the names of the logs it makes, but found this one there.
    File::open(&directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| failed("cannot sync the directory", error))?;
    Ok(lock)
}

/// The directory in which a database file lies.
pub(super) fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}
