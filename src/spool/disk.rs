//! The spool on a local disk: one file a clip, named by the message's id.
//!
//! A clip is written under a temporary name, synced, renamed and its directory synced: under its
//! own name there is never half a clip. File work runs on a few threads of the spool's own, so a
//! slow disk delays no connection but those that wait for it; once begun a job ends, even where
//! nobody waits for it any more.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::runtime::{Builder, Runtime};

use super::in_hand::InHand;
use super::unfinished::{DiskWriter, Unfinished, length};
use super::{Part, Spool, SpoolError, SpoolWriter, sealed};
use crate::domain::MessageId;
use crate::sealing::Sealer;

const CLIP_SUFFIX: &str = ".clip";
const UNFINISHED_SUFFIX: &str = ".unfinished";
/// The file that is made to see whether one can be. No clip's name: it has no id.
const PROBE_NAME: &str = "probe";
/// Threads for file work; more work waits for its turn. Enough that one sync of the disk serves
/// several clips, and few, because each keeps some memory for itself.
const THREADS_MAX: usize = 8;

/// Bytes of a kept clip that are written, and sealed, at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// A [`Spool`] in one directory, used by one process at a time: it is locked as long as it is open.
pub struct DiskSpool {
    place: Arc<Place>,
}

pub(super) struct Place {
    path: PathBuf,
    // Locked as long as it is open.
    _directory: File,
    // Tells apart two writes of the same id at the same time.
    writes: AtomicU64,
    // Bytes of all clips under their own names; changed together with the names.
    bytes: AtomicU64,
    names: Mutex<()>,
    pub(super) in_hand: InHand,
    // What lies in the files.
    pub(super) sealer: Arc<Sealer>,
    // Never run, it is there for its blocking threads. Taken when the place is dropped.
    threads: Option<Runtime>,
}

impl DiskSpool {
    /// Opens the directory, makes it (0700) where it is missing, and deletes what writes that
    /// never finished left behind.
    pub fn open(path: &Path) -> Result<DiskSpool, SpoolError> {
        DiskSpool::open_sealed(path, Arc::new(Sealer::plain()))
    }

    /// The same with clips that this seals.
    pub fn open_sealed(path: &Path, sealer: Arc<Sealer>) -> Result<DiskSpool, SpoolError> {
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
        DiskSpool::open_at(path, directory, sealer)
    }

    /// The same in a directory that this process has locked already.
    pub fn open_in_locked(path: &Path, sealer: Arc<Sealer>) -> Result<DiskSpool, SpoolError> {
        let directory = File::open(path).map_err(|error| failed("open its directory", &error))?;
        DiskSpool::open_at(path, directory, sealer)
    }

    fn open_at(path: &Path, directory: File, sealer: Arc<Sealer>) -> Result<DiskSpool, SpoolError> {
        let threads = Builder::new_current_thread()
            .max_blocking_threads(THREADS_MAX)
            .thread_name("spool")
            .build();
        let place = Place {
            path: path.to_path_buf(),
            _directory: directory,
            writes: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            names: Mutex::new(()),
            in_hand: InHand::default(),
            sealer,
            threads: Some(threads.map_err(|error| failed("start its threads", &error))?),
        };
        for name in place.names()? {
            if unfinished_id(&name).is_some() {
                std::fs::remove_file(path.join(&name))
                    .map_err(|error| failed("delete an unfinished clip", &error))?;
            } else if clip_id(&name).is_some() {
                place.bytes.fetch_add(length(&path.join(&name)), Ordering::Relaxed);
            }
        }
        Ok(DiskSpool { place: Arc::new(place) })
    }
}

impl Spool for DiskSpool {
    fn keep(&self, id: MessageId, clip: Bytes) -> BoxFuture<'static, Result<(), SpoolError>> {
        self.place.run(move |place| {
            let mut unfinished = Unfinished::create(place, id)?;
            // Where they are sealed each piece can be read by itself.
            clip.chunks(PIECE_BYTES).try_for_each(|piece| unfinished.write(piece))?;
            unfinished.name(place)
        })
    }

    fn begin(&self, id: MessageId) -> BoxFuture<'static, Result<Box<dyn SpoolWriter>, SpoolError>> {
        let writer = Arc::clone(&self.place);
        self.place.run(move |place| {
            let unfinished = Unfinished::create(place, id)?;
            Ok(Box::new(DiskWriter::new(writer, id, unfinished)) as Box<dyn SpoolWriter>)
        })
    }

    fn read(&self, id: MessageId) -> BoxFuture<'static, Result<Bytes, SpoolError>> {
        let place = Arc::clone(&self.place);
        async move {
            let (mut file, bytes) = place.run(move |place| place.open_clip(id)).await?;
            // Taken by the thread that will give it back: the spool's would each keep one.
            let mut clip = Vec::with_capacity(bytes);
            let read = move |place: &Place| match file.read_to_end(&mut clip) {
                Ok(_) => Ok(Bytes::from(sealed::open(&place.sealer, id, clip)?)),
                Err(error) => Err(failed("read a clip", &error)),
            };
            place.run(read).await
        }
        .boxed()
    }

    fn read_part(
        &self,
        id: MessageId,
        first: u64,
        bytes_max: usize,
    ) -> BoxFuture<'static, Result<Part, SpoolError>> {
        self.place.run(move |place| {
            let (file, _) = place.open_clip(id)?;
            sealed::part(&place.sealer, id, &file, first, bytes_max)
        })
    }

    fn remove(&self, id: MessageId) -> BoxFuture<'static, Result<(), SpoolError>> {
        self.place.run(move |place| place.remove(id))
    }

    fn list(&self) -> BoxFuture<'static, Result<Vec<MessageId>, SpoolError>> {
        self.place.run(|place| {
            let names = place.names()?;
            let clips = names.iter().filter_map(|name| clip_id(name));
            Ok(clips.filter(|id| !place.in_hand.has(*id)).collect())
        })
    }

    fn probe(&self) -> BoxFuture<'static, Result<(), SpoolError>> {
        self.place.run(|place| {
            let path = place.path.join(PROBE_NAME);
            let mut options = OpenOptions::new();
            let file = options.write(true).create(true).truncate(true).mode(0o600).open(&path);
            file.and_then(|mut file| file.write_all(PROBE_NAME.as_bytes()))
                .and_then(|()| std::fs::remove_file(&path))
                .map_err(|error| failed("take a file", &error))
        })
    }

    fn bytes(&self) -> u64 {
        self.place.bytes.load(Ordering::Relaxed)
    }

    fn free_bytes(&self) -> Option<u64> {
        let found = rustix::fs::statvfs(&self.place.path).ok()?;
        Some(found.f_bavail.saturating_mul(found.f_frsize))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(threads) = self.threads.take() {
            // Waits for nothing, so it may happen on any thread.
            threads.shutdown_background();
        }
    }
}

impl Place {
    /// Does file work on one of the spool's threads when its turn comes.
    pub(super) fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Place) -> Result<T, SpoolError> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, SpoolError>> {
        let place = Arc::clone(self);
        async move {
            let cut_off = |why: String| SpoolError::Failed(format!("run to its end: {why}"));
            let threads = place.threads.as_ref().map(|threads| threads.handle().clone());
            let threads = threads.ok_or_else(|| cut_off("it is closed".to_owned()))?;
            let done = threads.spawn_blocking(move || work(&place)).await;
            done.unwrap_or_else(|error| Err(cut_off(error.to_string())))
        }
        .boxed()
    }

    /// The same where nobody waits for the outcome: a file that nobody wants. What stays behind is
    /// deleted at the next start.
    pub(super) fn run_unwatched(
        self: &Arc<Self>,
        work: impl FnOnce(&Place) -> Result<(), SpoolError> + Send + 'static,
    ) {
        let place = Arc::clone(self);
        if let Some(threads) = &self.threads {
            threads.spawn_blocking(move || {
                if let Err(error) = work(&place) {
                    tracing::error!(%error, "clip that nobody wants not removed");
                }
            });
        }
    }

    /// A clip's file, and its length.
    fn open_clip(&self, id: MessageId) -> Result<(File, usize), SpoolError> {
        let opened = File::open(self.clip_path(id)).and_then(|file| {
            let bytes = file.metadata()?.len();
            Ok((file, usize::try_from(bytes).map_err(io::Error::other)?))
        });
        opened.map_err(|error| match error.kind() {
            ErrorKind::NotFound => SpoolError::Missing(id),
            _ => failed("read a clip", &error),
        })
    }

    /// Deletes a clip; it is gone for good when this returns.
    pub(super) fn remove(&self, id: MessageId) -> Result<(), SpoolError> {
        let path = self.clip_path(id);
        let names = self.changing_names();
        let bytes = length(&path);
        match std::fs::remove_file(path) {
            Ok(()) => {
                self.bytes.fetch_sub(bytes, Ordering::Relaxed);
                drop(names);
                // Synced as well, or a power cut could bring the clip back.
                self.sync()
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed("delete a clip", &error)),
        }
    }

    /// Gives a written file of this length its own name, in the place of what had it before.
    pub(super) fn rename(&self, unfinished: &Path, id: MessageId, bytes: u64) -> io::Result<()> {
        let path = self.clip_path(id);
        let _names = self.changing_names();
        let before = length(&path);
        std::fs::rename(unfinished, path)?;
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.bytes.fetch_sub(before, Ordering::Relaxed);
        Ok(())
    }

    fn changing_names(&self) -> MutexGuard<'_, ()> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A name that no other write has.
    pub(super) fn unfinished_path(&self, id: MessageId) -> PathBuf {
        let number = self.writes.fetch_add(1, Ordering::Relaxed);
        self.path.join(format!("{id}.{number}{UNFINISHED_SUFFIX}"))
    }

    /// Makes every change of a name durable. The directory is opened anew: it may be another than
    /// at the start, made by somebody who took that one away.
    pub(super) fn sync(&self) -> Result<(), SpoolError> {
        let synced = File::open(&self.path).and_then(|directory| directory.sync_all());
        synced.map_err(|error| failed("sync its directory", &error))
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

fn clip_id(name: &str) -> Option<MessageId> {
    MessageId::parse(name.strip_suffix(CLIP_SUFFIX)?)
}

fn unfinished_id(name: &str) -> Option<MessageId> {
    let (id, _number) = name.strip_suffix(UNFINISHED_SUFFIX)?.split_once('.')?;
    MessageId::parse(id)
}

pub(super) fn failed(what: &str, error: &io::Error) -> SpoolError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => SpoolError::Full,
        _ => SpoolError::Failed(format!("{what}: {error}")),
    }
}
