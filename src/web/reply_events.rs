//! Replies of agents on an event stream: those of one guest, from a point on, each as an
//! `event: reply`. Both kinds of streams tell them so: a message's, and a conversation's.

use std::sync::Arc;

use super::Webhook;
use crate::domain::{Lane, UnixMs};
use crate::ledger::{ReadError, ReplyRow, Watch};
use crate::pipeline::{REPLIES, Replies};

/// The replies to a guest, for one client.
pub(super) struct ReplyEvents {
    replies: Arc<Replies>,
    watch: Watch<Lane>,
    lane: Lane,
    since: UnixMs,
    /// The last one that the client was told.
    seen_seq: u64,
    /// Told with the piece of the stream before this one.
    given: Vec<ReplyRow>,
    /// There may be more than that piece could take.
    more: bool,
}

impl ReplyEvents {
    /// Replies to a lane that came at `since` or later, after the one of this number; `None` where
    /// there are too many watches.
    pub(super) fn begin(
        webhook: &Webhook,
        lane: Lane,
        since: UnixMs,
        seen_seq: u64,
    ) -> Option<ReplyEvents> {
        let replies = Arc::clone(&webhook.replies);
        let watch = replies.watch(&lane)?;
        Some(ReplyEvents { replies, watch, lane, since, seen_seq, given: Vec::new(), more: false })
    }

    /// Resolves when there may be news.
    pub(super) async fn came(&mut self) {
        if !self.more {
            self.watch.changed().await;
        }
    }

    /// Whether there may be more than the last piece took.
    pub(super) fn has_more(&self) -> bool {
        self.more
    }

    /// The events of what came since the last ones; `id` makes an event's id of a reply's number.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub(super) async fn news(&mut self, id: impl Fn(u64) -> String) -> Result<String, ReadError> {
        let rows = self.replies.news(&self.lane, self.since, self.seen_seq).await?;
        self.more = rows.len() >= REPLIES as usize;
        let mut text = String::new();
        for row in rows {
            self.seen_seq = row.seq;
            let data = serde_json::to_string(&row.reply);
            let data = data.map_err(|error| ReadError(error.to_string()))?;
            text += &format!("id: {}\nevent: reply\ndata: {data}\n\n", id(row.seq));
            self.given.push(row);
        }
        Ok(text)
    }

    /// Whoever asks for the next piece has taken the last one.
    pub(super) async fn note_given(&mut self) {
        let given = std::mem::take(&mut self.given);
        self.replies.given(&given).await;
    }

    /// The last one that the client was told.
    pub(super) fn seen_seq(&self) -> u64 {
        self.seen_seq
    }
}
