//! The spool: the files where clips wait.
//!
//! It knows ids and bytes, nothing of messages. Contract every spool implements:
//! - When [`Spool::keep`] or [`SpoolWriter::finish`] resolves to `Ok`, the bytes and their
//!   directory entry are synced: the clip outlives a crash and a power cut.
//! - When [`Spool::remove`] resolves to `Ok`, the file is gone; a file that was not there is gone.
//! - A writer that is dropped unfinished, and a finished clip that nobody claims, leave nothing.

pub mod disk;
mod in_hand;
pub mod memory;
mod sealed;
mod unfinished;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use self::in_hand::Hand;
use crate::domain::MessageId;

/// Why the spool could not do its work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpoolError {
    /// The disk has no room.
    #[error("the spool's disk is full")]
    Full,
    /// No clip of this id.
    #[error("the spool has no clip of message {0}")]
    Missing(MessageId),
    /// The clip that lies there is not the one that was kept.
    #[error("the spool's clip of message {0} is damaged")]
    Damaged(MessageId),
    /// Anything else, with what was being done.
    #[error("the spool failed to {0}")]
    Failed(String),
}

/// Where clips wait until their message is posted.
pub trait Spool: Send + Sync {
    /// Keeps a clip. Durable when it resolves; keeping the same id again replaces the bytes.
    fn keep(&self, id: MessageId, clip: Bytes) -> BoxFuture<'static, Result<(), SpoolError>>;

    /// Begins a clip that comes in pieces. It is not there before it is finished.
    fn begin(&self, id: MessageId) -> BoxFuture<'static, Result<Box<dyn SpoolWriter>, SpoolError>>;

    /// Reads a clip back whole.
    fn read(&self, id: MessageId) -> BoxFuture<'static, Result<Bytes, SpoolError>>;

    /// Reads what stands from `first` on, `bytes_max` at most. What is read is a copy: the clip
    /// does not stay in memory for it.
    fn read_part(
        &self,
        id: MessageId,
        first: u64,
        bytes_max: usize,
    ) -> BoxFuture<'static, Result<Part, SpoolError>> {
        let clip = self.read(id);
        async move { Ok(Part::of(&clip.await?, first, bytes_max)) }.boxed()
    }

    /// Deletes a clip.
    fn remove(&self, id: MessageId) -> BoxFuture<'static, Result<(), SpoolError>>;

    /// Ids of every clip there is, but for those that are [`Unclaimed`]: who has one may still be
    /// long in bringing it to a record. Asked at start and by sweeps.
    fn list(&self) -> BoxFuture<'static, Result<Vec<MessageId>, SpoolError>>;

    /// Whether a clip could be taken now, tried out with a small file that is removed at once.
    fn probe(&self) -> BoxFuture<'static, Result<(), SpoolError>> {
        std::future::ready(Ok(())).boxed()
    }

    /// Bytes of all clips that are there; those still being written do not count.
    fn bytes(&self) -> u64;

    /// Bytes that are free where the clips lie; `None` where that means nothing or is not known.
    fn free_bytes(&self) -> Option<u64>;
}

/// Some of a clip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What was asked for, as far as it is there.
    pub bytes: Bytes,
    /// Bytes of the whole clip.
    pub clip_bytes: u64,
}

impl Part {
    fn of(clip: &[u8], first: u64, bytes_max: usize) -> Part {
        let first = usize::try_from(first).unwrap_or(usize::MAX).min(clip.len());
        let last = first.saturating_add(bytes_max).min(clip.len());
        Part { bytes: Bytes::copy_from_slice(&clip[first..last]), clip_bytes: clip.len() as u64 }
    }
}

/// A clip that is being written in pieces. Dropped unfinished, it leaves nothing.
pub trait SpoolWriter: Send {
    /// Appends bytes. The next piece is given when this one is written, so that a slow disk slows
    /// whoever sends; after an error the clip cannot be finished any more.
    fn append(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<(), SpoolError>>;

    /// Ends the clip. Durable under its id when it resolves.
    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<Unclaimed, SpoolError>>;
}

/// A finished clip that no record names yet: removed when it is dropped, wherever that happens,
/// unless somebody has claimed it.
pub struct Unclaimed {
    remove: Option<Box<dyn FnOnce() + Send>>,
    _hand: Hand,
}

impl Unclaimed {
    fn new(hand: Hand, remove: impl FnOnce() + Send + 'static) -> Unclaimed {
        Unclaimed { remove: Some(Box::new(remove)), _hand: hand }
    }

    /// The clip stays: a record names it from now on.
    pub fn claim(mut self) {
        self.remove = None;
    }
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        if let Some(remove) = self.remove.take() {
            remove();
        }
    }
}
