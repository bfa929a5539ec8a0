//! The spool on a local disk: one file a clip, named by the message's id.
//!
//! A clip is written under a temporary name, synced, renamed and its directory synced: under its
//! own name there is never half a clip. File work runs on the runtime's blocking threads, so a
//! slow disk delays no connection; once begun it ends, even where nobody waits for it any more.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{Spool, SpoolError};
use crate::domain::MessageId;

const CLIP_SUFFIX: &str = ".clip";
const UNFINISHED_SUFFIX: &str = ".unfinished";

/// A [`Spool`] in one directory, used by one process at a time: it is locked as long as it is open.
pub struct DiskSpool {
    place: Arc<Place>,
}

struct Place {
    path: PathBuf,
    // Held open to be synced after every change of a name, and locked.
    directory: File,
    // Tells apart two writes of the same id at the same time.
    writes: AtomicU64,
}

impl DiskSpool {
    /// Opens the directory, makes it (0700) where it is missing, and deletes what writes that
    /// never finished left behind.
    pub fn open(path: &Path) -> Result<DiskSpool, SpoolError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| failed("make its directory", &error))?;
        let directory = File::open(path).map_err(|error| failed("open its directory", &error))?;
        // Another gateway would delete the clips that its own ledger does not know.
        directory.try_lock().map_err(|_| {
            let path = path.display();
            SpoolError::Failed(format!("lock {path}: another process uses it"))
        })?;
        let place = Place { path: path.to_path_buf(), directory, writes: AtomicU64::new(0) };
        for name in place.names()? {
            if unfinished_id(&name).is_some() {
                std::fs::remove_file(path.join(&name))
                    .map_err(|error| failed("delete an unfinished clip", &error))?;
            }
        }
        Ok(DiskSpool { place: Arc::new(place) })
    }

    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Place) -> Result<T, SpoolError> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, SpoolError>> {
        let place = Arc::clone(&self.place);
        async move {
            match tokio::task::spawn_blocking(move || work(&place)).await {
                Ok(done) => done,
                Err(error) => Err(SpoolError::Failed(format!("run to its end: {error}"))),
            }
        }
        .boxed()
    }
}

impl Spool for DiskSpool {
    fn keep(&self, id: MessageId, clip: Bytes) -> BoxFuture<'static, Result<(), SpoolError>> {
        self.run(move |place| place.keep(id, &clip))
    }

    fn read(&self, id: MessageId) -> BoxFuture<'static, Result<Bytes, SpoolError>> {
        self.run(move |place| match std::fs::read(place.clip_path(id)) {
            Ok(bytes) => Ok(Bytes::from(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(SpoolError::Missing(id)),
            Err(error) => Err(failed("read a clip", &error)),
        })
    }

    fn remove(&self, id: MessageId) -> BoxFuture<'static, Result<(), SpoolError>> {
        self.run(move |place| match std::fs::remove_file(place.clip_path(id)) {
            // Synced as well, or a power cut could bring the clip back.
            Ok(()) => place.sync(),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed("delete a clip", &error)),
        })
    }

    fn list(&self) -> BoxFuture<'static, Result<Vec<MessageId>, SpoolError>> {
        self.run(|place| Ok(place.names()?.iter().filter_map(|name| clip_id(name)).collect()))
    }
}

impl Place {
    fn keep(&self, id: MessageId, clip: &[u8]) -> Result<(), SpoolError> {
        let number = self.writes.fetch_add(1, Ordering::Relaxed);
        let unfinished = self.path.join(format!("{id}.{number}{UNFINISHED_SUFFIX}"));
        let kept = write_synced(&unfinished, clip)
            .and_then(|()| std::fs::rename(&unfinished, self.clip_path(id)));
        if let Err(error) = kept {
            // What stays behind here is deleted at the next start.
            let _ = std::fs::remove_file(&unfinished);
            return Err(failed("write a clip", &error));
        }
        self.sync()
    }

    fn sync(&self) -> Result<(), SpoolError> {
        self.directory.sync_all().map_err(|error| failed("sync its directory", &error))
    }

    fn clip_path(&self, id: MessageId) -> PathBuf {
        self.path.join(format!("{id}{CLIP_SUFFIX}"))
    }

    /// Names of all entries that are text; ours always are.
    fn names(&self) -> Result<Vec<String>, SpoolError> {
        let unlisted = |error: io::Error| failed("list its directory", &error);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path).map_err(unlisted)? {
            names.extend(entry.map_err(unlisted)?.file_name().into_string().ok());
        }
        Ok(names)
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn clip_id(name: &str) -> Option<MessageId> {
    MessageId::parse(name.strip_suffix(CLIP_SUFFIX)?)
}

fn unfinished_id(name: &str) -> Option<MessageId> {
    let (id, _number) = name.strip_suffix(UNFINISHED_SUFFIX)?.split_once('.')?;
    MessageId::parse(id)
}

fn failed(what: &str, error: &io::Error) -> SpoolError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => SpoolError::Full,
        _ => SpoolError::Failed(format!("{what}: {error}")),
    }
}
