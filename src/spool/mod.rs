//! The spool: the files where clips wait.
//!
//! It knows ids and bytes, nothing of messages. Contract every spool implements:
//! - When [`Spool::keep`] resolves to `Ok`, the bytes and their directory entry are synced: the
//!   clip outlives a crash and a power cut.
//! - When [`Spool::remove`] resolves to `Ok`, the file is gone; a file that was not there is gone.

pub mod disk;
pub mod memory;

use bytes::Bytes;
use futures_util::future::BoxFuture;

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
    /// Anything else, with what was being done.
    #[error("the spool failed to {0}")]
    Failed(String),
}

/// Where clips wait until their message is posted.
pub trait Spool: Send + Sync {
    /// Keeps a clip. Durable when it resolves; keeping the same id again replaces the bytes.
    fn keep(&self, id: MessageId, clip: Bytes) -> BoxFuture<'static, Result<(), SpoolError>>;

    /// Reads a clip back whole.
    fn read(&self, id: MessageId) -> BoxFuture<'static, Result<Bytes, SpoolError>>;

    /// Deletes a clip.
    fn remove(&self, id: MessageId) -> BoxFuture<'static, Result<(), SpoolError>>;

    /// Ids of every clip there is. Asked once, at start.
    fn list(&self) -> BoxFuture<'static, Result<Vec<MessageId>, SpoolError>>;
}
