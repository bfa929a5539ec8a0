//! A spool in memory, for simulations: it lives as long as its handle, every call is done when it
//! returns, and its size can be bounded to play a full disk.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use super::in_hand::InHand;
use super::{Spool, SpoolError, SpoolWriter, Unclaimed};
use crate::domain::MessageId;

/// A [`Spool`] without a disk. Nothing in it outlives the process.
pub struct MemorySpool {
    shelf: Arc<Shelf>,
}

struct Shelf {
    clips: Mutex<BTreeMap<MessageId, Bytes>>,
    in_hand: InHand,
    bytes_max: usize,
}

impl MemorySpool {
    /// An empty spool that is full at `bytes_max` bytes of clips.
    pub fn new(bytes_max: usize) -> MemorySpool {
        MemorySpool {
            shelf: Arc::new(Shelf {
                clips: Mutex::default(),
                in_hand: InHand::default(),
                bytes_max,
            }),
        }
    }
}

impl Shelf {
    fn clips(&self) -> MutexGuard<'_, BTreeMap<MessageId, Bytes>> {
        self.clips.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this many bytes of this clip fit beside all the others.
    fn check_room(&self, id: MessageId, bytes: usize) -> Result<(), SpoolError> {
        let clips = self.clips();
        let others = clips.iter().filter(|(other, _)| **other != id).map(|(_, clip)| clip.len());
        let fits = others.sum::<usize>().saturating_add(bytes) <= self.bytes_max;
        if fits { Ok(()) } else { Err(SpoolError::Full) }
    }

    fn keep(&self, id: MessageId, clip: Bytes) -> Result<(), SpoolError> {
        self.check_room(id, clip.len())?;
        self.clips().insert(id, clip);
        Ok(())
    }
}

impl Spool for MemorySpool {
    fn keep(&self, id: MessageId, clip: Bytes) -> BoxFuture<'static, Result<(), SpoolError>> {
        ready(self.shelf.keep(id, clip)).boxed()
    }

    fn begin(&self, id: MessageId) -> BoxFuture<'static, Result<Box<dyn SpoolWriter>, SpoolError>> {
        let shelf = Arc::clone(&self.shelf);
        let writer = MemoryWriter { shelf, id, bytes: BytesMut::new() };
        ready(Ok(Box::new(writer) as Box<dyn SpoolWriter>)).boxed()
    }

    fn read(&self, id: MessageId) -> BoxFuture<'static, Result<Bytes, SpoolError>> {
        ready(self.shelf.clips().get(&id).cloned().ok_or(SpoolError::Missing(id))).boxed()
    }

    fn remove(&self, id: MessageId) -> BoxFuture<'static, Result<(), SpoolError>> {
        self.shelf.clips().remove(&id);
        ready(Ok(())).boxed()
    }

    fn list(&self) -> BoxFuture<'static, Result<Vec<MessageId>, SpoolError>> {
        let clips = self.shelf.clips();
        let unheld = clips.keys().filter(|id| !self.shelf.in_hand.has(**id));
        ready(Ok(unheld.copied().collect())).boxed()
    }

    fn bytes(&self) -> u64 {
        self.shelf.clips().values().map(|clip| clip.len() as u64).sum()
    }

    fn free_bytes(&self) -> Option<u64> {
        None
    }
}

struct MemoryWriter {
    shelf: Arc<Shelf>,
    id: MessageId,
    bytes: BytesMut,
}

impl SpoolWriter for MemoryWriter {
    fn append(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<(), SpoolError>> {
        let room = self.shelf.check_room(self.id, self.bytes.len() + bytes.len());
        if room.is_ok() {
            self.bytes.extend_from_slice(&bytes);
        }
        ready(room).boxed()
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<Unclaimed, SpoolError>> {
        let MemoryWriter { shelf, id, bytes } = *self;
        let hand = shelf.in_hand.hold(id);
        let kept = shelf.keep(id, bytes.freeze());
        let remove = move || drop(shelf.clips().remove(&id));
        ready(kept.map(|()| Unclaimed::new(hand, remove))).boxed()
    }
}
