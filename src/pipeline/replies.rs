//! Replies of agents: taken in durably, given to whoever follows a message of their guest, and
//! Genesys told what became of each.
//!
//! A reply counts as delivered when a stream of the guest's was handed it. One that nobody fetches
//! within `keep_seconds` has failed, and the agent sees that. Receipts are owed in the ledger until
//! Genesys has taken them, over a restart as well; a repeat does no harm.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::Pipeline;
use crate::actors::TellReceipt;
use crate::domain::{
    Backoff, Credence, Failure, Lane, Principal, Reply, ReplyOutcome, ReplyReceipt, ReplyState,
    Retry, UnixMs,
};
use crate::ledger::{CommitError, ReadError, ReplyBook, ReplyRow, Watch, Watchers};

/// Receipts that are looked at together.
const RECEIPTS: u32 = 64;
/// Replies that a stream is given together; where there are so many, there may be more.
pub const REPLIES: u32 = 64;
/// How often it is looked for replies that nobody fetched.
const LOOK: Duration = Duration::from_secs(60);
/// Pauses after a receipt that Genesys did not take.
const BACKOFF: Backoff = Backoff { pause_ms_min: 1_000, pause_ms_max: 300_000 };

/// The replies of one gateway.
pub struct Replies {
    pipeline: Arc<Pipeline>,
    book: Arc<dyn ReplyBook>,
    watchers: Arc<Watchers<Lane>>,
    keep_seconds: u64,
    owed: Notify,
}

impl Replies {
    /// Replies in this book. Those that nobody fetches within `keep_seconds` have failed.
    pub fn new(
        pipeline: Arc<Pipeline>,
        book: Arc<dyn ReplyBook>,
        watches_max: usize,
        keep_seconds: u64,
    ) -> Arc<Replies> {
        let watchers = Watchers::new(watches_max);
        Arc::new(Replies { pipeline, book, watchers, keep_seconds, owed: Notify::new() })
    }

    /// Takes a reply in; durable when it returns. `false`: it was here already, or guests are given
    /// no replies on this route. One without anything to show has failed at once.
    ///
    /// # Errors
    /// As a commit of the ledger: nothing was taken in, and Genesys is to send it again.
    pub async fn take_in(&self, sender_id: &str, reply: Reply) -> Result<bool, CommitError> {
        let Some(lane) = self.pipeline.parts.planner.lane_of_guest(sender_id) else {
            return Ok(false);
        };
        let state = if reply.is_empty() { ReplyState::Failed } else { ReplyState::Awaited };
        let id = reply.id.clone();
        let entered = self.book.keep(lane.clone(), sender_id.to_owned(), reply, state).await?;
        tracing::info!(reply.id = %id, entered, state = state.as_str(), "reply came");
        if entered {
            self.watchers.tell(&[lane]);
            self.owed.notify_one();
        }
        Ok(entered)
    }

    /// Begins to watch a lane's replies; `None` where there are too many watches.
    pub fn watch(&self, lane: &Lane) -> Option<Watch<Lane>> {
        self.watchers.watch(lane.clone())
    }

    /// Whose conversation this is, as far as the caller's own messages tell: the lane of the newest
    /// that stands in it, and when the oldest of that lane was accepted.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn conversation(
        &self,
        caller: &Principal,
        conversation_id: &str,
    ) -> Result<Option<(Lane, UnixMs)>, ReadError> {
        self.book.conversation_of(caller.clone(), conversation_id.to_owned()).await
    }

    /// The next [`REPLIES`] for who follows a message that was accepted at `since`, after
    /// `after_seq`. Whoever asks gives them to the guest and says so with [`Replies::given`].
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn news(
        &self,
        lane: &Lane,
        since: UnixMs,
        after_seq: u64,
    ) -> Result<Vec<ReplyRow>, ReadError> {
        self.book.replies_after(lane.clone(), since, after_seq, REPLIES).await
    }

    /// Notes that a stream was handed these. Not noted, they count as given later, or as failed.
    pub async fn given(&self, replies: &[ReplyRow]) {
        let awaited = replies.iter().filter(|row| row.state == ReplyState::Awaited);
        let seqs: Vec<u64> = awaited.map(|row| row.seq).collect();
        if seqs.is_empty() {
            return;
        }
        match self.book.given(seqs).await {
            Ok(_) => self.owed.notify_one(),
            Err(error) => tracing::warn!(%error, "replies not noted as delivered"),
        }
    }

    /// Tells Genesys what became of replies, for as long as the ledger is open.
    pub async fn tell_receipts(&self) {
        let mut failures: u32 = 0;
        let begun = Instant::now();
        // Of replies whose time ended while the gateway was away the agents are told at once.
        let mut credence = Credence::new(self.pipeline.parts.clock.now(), Duration::ZERO);
        loop {
            let now = self.pipeline.parts.clock.now();
            let believed = credence.is_believed(now, begun.elapsed());
            let pause = match self.turn(believed).await {
                Ok(()) => {
                    failures = 0;
                    LOOK
                }
                Err(Pause::Closed) => return,
                Err(Pause::After(retry)) => {
                    failures = failures.saturating_add(1);
                    let unit = self.pipeline.parts.clock.unit();
                    let ms = BACKOFF.pause_ms(failures, retry, unit);
                    Duration::from_millis(ms.unwrap_or(BACKOFF.pause_ms_max))
                }
            };
            if failures > 0 {
                tokio::time::sleep(pause).await;
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.owed.notified() => {}
            }
        }
    }

    /// Fails what nobody fetched, where the clock that says so is believed, then sends every
    /// receipt that is owed.
    async fn turn(&self, believed: bool) -> Result<(), Pause> {
        if believed {
            self.expire().await?;
        }
        loop {
            let owed = self.book.receipts_owed(RECEIPTS).await?;
            if owed.is_empty() {
                return Ok(());
            }
            // One that is not taken does not keep the others.
            let mut put_off = None;
            for row in owed {
                match self.send_receipt(row).await {
                    Err(Pause::After(retry)) => put_off = put_off.or(Some(retry)),
                    ended => ended?,
                }
            }
            if let Some(retry) = put_off {
                return Err(Pause::After(retry));
            }
        }
    }

    async fn expire(&self) -> Result<(), Pause> {
        let now = self.pipeline.parts.clock.now();
        let back = |seconds: u64| now.plus_ms(-i64::try_from(seconds * 1_000).unwrap_or(i64::MAX));
        let (awaited, kept) = (back(self.keep_seconds), back(2 * self.keep_seconds));
        self.book.expire_replies(awaited, kept).await?;
        Ok(())
    }

    async fn send_receipt(&self, row: ReplyRow) -> Result<(), Pause> {
        let ReplyRow { seq, sender_id, state, reply } = row;
        let outcome = match state {
            ReplyState::Delivered => ReplyOutcome::Delivered,
            _ if reply.is_empty() => ReplyOutcome::Unsupported,
            _ => ReplyOutcome::Expired,
        };
        let id = reply.id;
        let at = self.pipeline.parts.clock.now();
        let receipt = ReplyReceipt { reply_id: id.clone(), sender_id, outcome, at };
        let messenger = &self.pipeline.parts.actors.messenger;
        let permit = messenger.permit().await.map_err(|_| Pause::Closed)?;
        let told = messenger.ask(TellReceipt { receipt }, permit).await;
        match told.map_err(|_| Pause::Closed)? {
            Ok(()) => tracing::info!(reply.id = %id, ?outcome, "receipt sent"),
            Err(Failure { retry: Retry::Never, code, detail }) => {
                tracing::warn!(reply.id = %id, code = code.as_str(), detail, "receipt refused");
            }
            Err(failure) => {
                let code = failure.code.as_str();
                tracing::warn!(reply.id = %id, code, detail = failure.detail, "receipt put off");
                return Err(Pause::After(failure.retry));
            }
        }
        self.book.receipt_sent(seq).await?;
        Ok(())
    }
}

/// Why no more receipts are sent for now.
enum Pause {
    /// The gateway is ending.
    Closed,
    /// A receipt was not taken.
    After(Retry),
}

impl From<CommitError> for Pause {
    fn from(error: CommitError) -> Pause {
        match error {
            CommitError::Closed => Pause::Closed,
            _ => Pause::After(Retry::After { not_before_ms: 0 }),
        }
    }
}

impl From<ReadError> for Pause {
    fn from(error: ReadError) -> Pause {
        tracing::warn!(%error, "replies cannot be read");
        Pause::After(Retry::After { not_before_ms: 0 })
    }
}
