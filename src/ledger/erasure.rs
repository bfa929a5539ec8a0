//! What is being erased of a guest, and what became of it.
//!
//! An erasure is a list of messages, made durable before anything is done about them: what a
//! process leaves undone goes on at the next start. A message leaves the ledger with everything
//! that belongs to it as soon as nothing of it is owed. What stays of an erasure is counts.

use std::collections::BTreeSet;

use futures_util::future::BoxFuture;
use uuid::Uuid;

use super::{CommitError, ReadError};
use crate::domain::{CopyKind, CopyState, Lane, MessageId, Principal, UnixMs};

/// Whom it is about: what their messages are known by.
#[derive(Clone, Default)]
pub struct Subject {
    /// The sender, as the messages name it.
    pub sender_id: String,
    /// Principals that are nobody else.
    pub principals: BTreeSet<Principal>,
    /// Lanes that are nobody else's.
    pub lanes: BTreeSet<Lane>,
}

// Invariant 8: guest identities never reach a log through `Debug`.
impl std::fmt::Debug for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Subject(redacted)")
    }
}

/// What one look at a stretch of the ledger found.
#[derive(Clone, Debug, Default)]
pub struct Sighting {
    /// Their messages, by place of acceptance.
    pub messages: Vec<u64>,
    /// Principals of guests that these messages were sent as.
    pub principals: BTreeSet<Principal>,
    /// Lanes of these messages that are one guest's.
    pub lanes: BTreeSet<Lane>,
    /// Where the next stretch begins; `None`: that was the last.
    pub next_after: Option<u64>,
}

/// How far an erasure has come. Names nobody.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Erasure {
    /// Its id.
    pub id: Uuid,
    /// When it was asked for.
    pub asked_at: UnixMs,
    /// Messages that were found.
    pub messages_found: u64,
    /// Those that are out of the ledger, with all that belonged to them.
    pub messages_removed: u64,
    /// The copies of their audio, those of removed messages as they were when these left.
    pub copies: Vec<CopyCount>,
}

/// So many copies of a kind stand so.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct CopyCount {
    /// What kind of place.
    pub kind: CopyKind,
    /// Where their purge stands.
    pub state: CopyState,
    /// How many.
    pub count: u64,
}

/// Where erasures are kept.
pub trait Erasures: Send + Sync {
    /// Looks for the subject's messages among the `limit` that come after `after_seq`.
    fn look_for(
        &self,
        subject: Subject,
        after_seq: u64,
        limit: u32,
    ) -> BoxFuture<'static, Result<Sighting, ReadError>>;

    /// Promises to erase these messages; durable when it resolves. What agents replied to these
    /// lanes goes at once.
    fn begin(
        &self,
        id: Uuid,
        messages: Vec<u64>,
        lanes: Vec<Lane>,
        at: UnixMs,
    ) -> BoxFuture<'static, Result<(), CommitError>>;

    /// Messages that are still to be erased, after `after_seq` in order of acceptance.
    fn open(
        &self,
        after_seq: u64,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<(u64, MessageId)>, ReadError>>;

    /// Removes those of these messages of which nothing is owed any more: record, words, identity,
    /// history, idempotency key. Says how many.
    fn remove(&self, messages: Vec<MessageId>) -> BoxFuture<'static, Result<u64, CommitError>>;

    /// How far an erasure has come.
    fn erasure(&self, id: Uuid) -> BoxFuture<'static, Result<Option<Erasure>, ReadError>>;
}
