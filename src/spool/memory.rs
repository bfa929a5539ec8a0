//! A spool in memory, for simulations: it lives as long as its handle, every call is done when it
//! returns, and its size can be bounded to play a full disk.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use super::{Spool, SpoolError};
use crate::domain::MessageId;

/// A [`Spool`] without a disk. Nothing in it outlives the process.
pub struct MemorySpool {
    clips: Mutex<BTreeMap<MessageId, Bytes>>,
    bytes_max: usize,
}

impl MemorySpool {
    /// An empty spool that is full at `bytes_max` bytes of clips.
    pub fn new(bytes_max: usize) -> MemorySpool {
        MemorySpool { clips: Mutex::default(), bytes_max }
    }

    fn clips(&self) -> MutexGuard<'_, BTreeMap<MessageId, Bytes>> {
        self.clips.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spool for MemorySpool {
    fn keep(&self, id: MessageId, clip: Bytes) -> BoxFuture<'static, Result<(), SpoolError>> {
        let mut clips = self.clips();
        let others: usize =
            clips.iter().filter(|(other, _)| **other != id).map(|(_, clip)| clip.len()).sum();
        if others.saturating_add(clip.len()) > self.bytes_max {
            return ready(Err(SpoolError::Full)).boxed();
        }
        clips.insert(id, clip);
        ready(Ok(())).boxed()
    }

    fn read(&self, id: MessageId) -> BoxFuture<'static, Result<Bytes, SpoolError>> {
        ready(self.clips().get(&id).cloned().ok_or(SpoolError::Missing(id))).boxed()
    }

    fn remove(&self, id: MessageId) -> BoxFuture<'static, Result<(), SpoolError>> {
        self.clips().remove(&id);
        ready(Ok(())).boxed()
    }

    fn list(&self) -> BoxFuture<'static, Result<Vec<MessageId>, SpoolError>> {
        ready(Ok(self.clips().keys().copied().collect())).boxed()
    }
}
