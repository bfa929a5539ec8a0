//! Replies of agents: kept for a bounded time, for guests who follow a message, and until Genesys
//! was told what became of them.
//!
//! They are durable because the answer to the webhook is a promise: Genesys does not send again
//! what it was answered 200 for.

use futures_util::future::BoxFuture;

use super::{CommitError, ReadError};
use crate::domain::{Lane, Principal, Reply, ReplyState, UnixMs};

/// Replies that are kept at most; the oldest go with the next sweep.
pub const REPLIES_MAX: u64 = 100_000;

/// One kept reply.
#[derive(Clone)]
pub struct ReplyRow {
    /// Rises from row to row.
    pub seq: u64,
    /// The guest it is for.
    pub sender_id: String,
    /// What became of it.
    pub state: ReplyState,
    /// What the agent said.
    pub reply: Reply,
}

/// Where replies are kept.
pub trait ReplyBook: Send + Sync {
    /// Enters a reply for the guest of a lane; durable when it returns. `false`: its id is there,
    /// and nothing was entered. One that is `Failed` from the start is never shown.
    fn keep(
        &self,
        lane: Lane,
        sender_id: String,
        reply: Reply,
        state: ReplyState,
    ) -> BoxFuture<'static, Result<bool, CommitError>>;

    /// Replies to a lane that came at `since` or later, after `after_seq`, in their order, at most
    /// `limit`; none that failed.
    fn replies_after(
        &self,
        lane: Lane,
        since: UnixMs,
        after_seq: u64,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<ReplyRow>, ReadError>>;

    /// The lane of the newest message that this principal has in a conversation, and when the
    /// oldest of that lane in it was accepted; of routes that bring replies.
    fn conversation_of(
        &self,
        principal: Principal,
        conversation_id: String,
    ) -> BoxFuture<'static, Result<Option<(Lane, UnixMs)>, ReadError>>;

    /// Notes that a stream was given these: awaited ones are `Delivered` from now on. Returns how
    /// many were.
    fn given(&self, seqs: Vec<u64>) -> BoxFuture<'static, Result<u64, CommitError>>;

    /// Replies of whose end Genesys has not been told, in their order, at most `limit`.
    fn receipts_owed(&self, limit: u32) -> BoxFuture<'static, Result<Vec<ReplyRow>, ReadError>>;

    /// Notes that Genesys was told of this one, or cannot be.
    fn receipt_sent(&self, seq: u64) -> BoxFuture<'static, Result<u64, CommitError>>;

    /// Awaited replies from before `awaited_before` have failed; settled ones from before it go,
    /// and all from before `kept_before`. Returns how many rows changed.
    fn expire_replies(
        &self,
        awaited_before: UnixMs,
        kept_before: UnixMs,
    ) -> BoxFuture<'static, Result<u64, CommitError>>;
}
