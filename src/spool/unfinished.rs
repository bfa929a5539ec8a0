//! A clip on its way to the disk: a file under a temporary name, which goes with its value unless
//! it is given its own name.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::disk::{Place, failed};
use super::sealed::Frames;
use super::{SpoolError, SpoolWriter, Unclaimed};
use crate::domain::MessageId;

/// A file under its temporary name.
pub(super) struct Unfinished {
    file: File,
    path: PathBuf,
    id: MessageId,
    frames: Option<Frames>,
    named: bool,
}

impl Unfinished {
    /// Makes the file; only the gateway's user may read it.
    pub(super) fn create(place: &Place, id: MessageId) -> Result<Unfinished, SpoolError> {
        let path = place.unfinished_path(id);
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&path);
        let frames = Frames::begin(&place.sealer, id);
        Ok(Unfinished { file: file.map_err(unwritten)?, path, id, frames, named: false })
    }

    /// Appends bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), SpoolError> {
        match &mut self.frames {
            Some(frames) => self.file.write_all(&frames.next(bytes, false)?).map_err(unwritten),
            None => self.file.write_all(bytes).map_err(unwritten),
        }
    }

    /// Syncs the file, gives it its own name, and syncs that.
    pub(super) fn name(mut self, place: &Place) -> Result<(), SpoolError> {
        if let Some(frames) = &mut self.frames {
            self.file.write_all(&frames.next(&[], true)?).map_err(unwritten)?;
        }
        self.file.sync_all().map_err(unwritten)?;
        let bytes = self.file.metadata().map_err(unwritten)?.len();
        place.rename(&self.path, self.id, bytes).map_err(unwritten)?;
        self.named = true;
        // A clip that may go again with the next power cut is none.
        place.sync().inspect_err(|_| drop(place.remove(self.id)))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.named {
            // What stays behind here is deleted at the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn unwritten(error: io::Error) -> SpoolError {
    failed("write a clip", &error)
}

/// A [`SpoolWriter`] over one unfinished file.
pub(super) struct DiskWriter {
    place: Arc<Place>,
    id: MessageId,
    /// Away while a piece is being written, and for good after an error.
    unfinished: Option<Unfinished>,
}

impl DiskWriter {
    pub(super) fn new(place: Arc<Place>, id: MessageId, unfinished: Unfinished) -> DiskWriter {
        DiskWriter { place, id, unfinished: Some(unfinished) }
    }

    fn take(&mut self) -> Result<Unfinished, SpoolError> {
        let broken = || SpoolError::Failed("go on after an error".to_owned());
        self.unfinished.take().ok_or_else(broken)
    }
}

impl SpoolWriter for DiskWriter {
    fn append(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<(), SpoolError>> {
        async move {
            let mut unfinished = self.take()?;
            // Where nobody waits any more, the file goes with the piece's job.
            let written = self.place.run(move |_| unfinished.write(&bytes).map(|()| unfinished));
            self.unfinished = Some(written.await?);
            Ok(())
        }
        .boxed()
    }

    fn finish(mut self: Box<Self>) -> BoxFuture<'static, Result<Unclaimed, SpoolError>> {
        async move {
            let (unfinished, id) = (self.take()?, self.id);
            let place = Arc::clone(&self.place);
            let name = move |named: &Place| {
                // Held before it can be listed.
                let hand = named.in_hand.hold(id);
                unfinished.name(named)?;
                let remove = move || place.run_unwatched(move |place| place.remove(id));
                Ok(Unclaimed::new(hand, remove))
            };
            self.place.run(name).await
        }
        .boxed()
    }
}

impl Drop for DiskWriter {
    fn drop(&mut self) {
        if let Some(unfinished) = self.unfinished.take() {
            self.place.run_unwatched(move |_| {
                drop(unfinished);
                Ok(())
            });
        }
    }
}

/// The length of a file; none where it is not there.
pub(super) fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |found| found.len())
}
