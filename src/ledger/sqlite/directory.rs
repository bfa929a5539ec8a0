//! The data directory: made with narrow rights, used by one process at a time.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::ledger::OpenError;

/// A directory that is used by this process alone.
pub(super) struct Claim {
    /// Lasts as long as it is open: a killed process leaves none behind. On the directory itself,
    /// because a file could be deleted while it is held.
    pub(super) lock: File,
    /// Where the database file lies, also where its path is a link to it.
    pub(super) directory: PathBuf,
}

/// Makes the directory (0700) and the database file (0600) where they are missing, and takes the
/// lock.
pub(super) fn claim(path: &Path) -> Result<Claim, OpenError> {
    let failed = |what: &'static str| {
        move |error: io::Error| OpenError::Failed {
            path: path.to_path_buf(),
            reason: format!("{what}: {error}"),
        }
    };
    let directory = directory_of(path);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&directory)
        .map_err(failed("cannot make the directory"))?;
    let directory = match path.is_symlink() {
        true => {
            private_file(path).map_err(failed("cannot make the file"))?;
            directory_of(&path.canonicalize().map_err(failed("cannot follow the link"))?)
        }
        false => directory,
    };
    let lock = File::open(&directory).map_err(failed("cannot open the directory"))?;
    lock.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => OpenError::Locked(directory.clone()),
        TryLockError::Error(error) => failed("cannot lock the directory")(error),
    })?;
    // SQLite would make it with the umask's rights; its WAL takes over whatever the file has.
    private_file(path).map_err(failed("cannot make the file"))?;
    // SQLite syncs the names of the logs it makes, but found this one there.
    lock.sync_all().map_err(failed("cannot sync the directory"))?;
    Ok(Claim { lock, directory })
}

/// Whether both paths lead to one directory.
pub fn is_same(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| path.metadata().ok().map(|found| (found.dev(), found.ino()));
    place(one).is_some_and(|at| place(other) == Some(at))
}

/// The directory in which a file lies.
fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}
