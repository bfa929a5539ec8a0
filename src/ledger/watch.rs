//! Who waits for the next change of a message: a ledger that tells them after each commit.
//!
//! Every change of a record is a commit, whoever made it, so this is the one place where none can
//! be missed. It tells only *that* something changed; what it was is read from the history.
//! Replies to a lane are watched in the same way; who enters them tells.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::{DashMap, Entry};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::{
    AfterDue, CommitError, Committed, DueCopy, HistoryRow, KeyHolder, Ledger, ReadError, Totals,
    Transition,
};
use crate::domain::{Lane, MessageId, Principal, Record, UnixMs};

/// The messages, or lanes, that somebody watches. At most `watches_max` watches at a time; one more
/// is refused.
pub struct Watchers<K: Eq + Hash + Clone = MessageId> {
    watched: DashMap<K, Watched>,
    watches: AtomicUsize,
    watches_max: usize,
}

struct Watched {
    changed: watch::Sender<()>,
    watches: usize,
}

/// Learns of each commit that changes its message, from its beginning to its drop. Commits that
/// come faster than they are asked for are told as one.
pub struct Watch<K: Eq + Hash + Clone = MessageId> {
    watchers: Arc<Watchers<K>>,
    id: K,
    changed: watch::Receiver<()>,
}

impl<K: Eq + Hash + Clone> Watchers<K> {
    /// Nobody yet.
    pub fn new(watches_max: usize) -> Arc<Watchers<K>> {
        let (watched, watches) = (DashMap::new(), AtomicUsize::new(0));
        Arc::new(Watchers { watched, watches, watches_max })
    }

    /// Begins to watch a message; `None` where there are too many watches already. What is read
    /// from the ledger after this call misses no change that [`Watch::changed`] does not tell.
    pub fn watch(self: &Arc<Self>, id: K) -> Option<Watch<K>> {
        let order = Ordering::Relaxed;
        let place = |watches| (watches < self.watches_max).then_some(watches + 1);
        self.watches.fetch_update(order, order, place).ok()?;
        let mut watched = self
            .watched
            .entry(id.clone())
            .or_insert_with(|| Watched { changed: watch::Sender::new(()), watches: 0 });
        watched.watches += 1;
        let changed = watched.changed.subscribe();
        Some(Watch { watchers: Arc::clone(self), id, changed })
    }

    /// Most watches at a time.
    pub fn watches_max(&self) -> usize {
        self.watches_max
    }

    /// Tells those who watch one of these.
    pub fn tell(&self, ids: &[K]) {
        if self.watches.load(Ordering::Relaxed) == 0 {
            return;
        }
        for id in ids {
            if let Some(watched) = self.watched.get(id) {
                watched.changed.send_replace(());
            }
        }
    }
}

impl<K: Eq + Hash + Clone> Watch<K> {
    /// Resolves when the message was changed since the last time, or since the watch began.
    pub async fn changed(&mut self) {
        // The sender lives as long as a watch of its message does.
        let _ = self.changed.changed().await;
    }
}

impl<K: Eq + Hash + Clone> Drop for Watch<K> {
    fn drop(&mut self) {
        if let Entry::Occupied(mut watched) = self.watchers.watched.entry(self.id.clone()) {
            watched.get_mut().watches -= 1;
            if watched.get().watches == 0 {
                watched.remove();
            }
        }
        self.watchers.watches.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A ledger whose commits are told to watchers, once they are durable.
pub struct WatchedLedger {
    ledger: Arc<dyn Ledger>,
    watchers: Arc<Watchers>,
}

impl WatchedLedger {
    /// Tells `watchers` of what is committed to `ledger` through this one.
    pub fn new(ledger: Arc<dyn Ledger>, watchers: Arc<Watchers>) -> WatchedLedger {
        WatchedLedger { ledger, watchers }
    }
}

impl Ledger for WatchedLedger {
    fn commit(
        &self,
        transitions: Vec<Transition>,
    ) -> BoxFuture<'static, Result<Vec<Committed>, CommitError>> {
        let ids: Vec<MessageId> = transitions.iter().map(|change| change.record.id).collect();
        let watchers = Arc::clone(&self.watchers);
        let committed = self.ledger.commit(transitions);
        async move {
            let committed = committed.await?;
            watchers.tell(&ids);
            Ok(committed)
        }
        .boxed()
    }

    fn find(&self, id: MessageId) -> BoxFuture<'static, Result<Option<Record>, ReadError>> {
        self.ledger.find(id)
    }

    fn by_key(
        &self,
        principal: Principal,
        key: String,
    ) -> BoxFuture<'static, Result<Option<KeyHolder>, ReadError>> {
        self.ledger.by_key(principal, key)
    }

    fn last_conversation(
        &self,
        lane: Lane,
    ) -> BoxFuture<'static, Result<Option<String>, ReadError>> {
        self.ledger.last_conversation(lane)
    }

    fn unfinished(
        &self,
        after_seq: u64,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<Record>, ReadError>> {
        self.ledger.unfinished(after_seq, limit)
    }

    fn held(&self, limit: u32) -> BoxFuture<'static, Result<Vec<Record>, ReadError>> {
        self.ledger.held(limit)
    }

    fn due_copies(
        &self,
        after: AfterDue,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<DueCopy>, ReadError>> {
        self.ledger.due_copies(after, limit)
    }

    fn purges_ahead(
        &self,
        now: UnixMs,
        due_after: UnixMs,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<MessageId>, ReadError>> {
        self.ledger.purges_ahead(now, due_after, limit)
    }

    fn history_after(
        &self,
        id: Option<MessageId>,
        after_seq: u64,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<HistoryRow>, ReadError>> {
        self.ledger.history_after(id, after_seq, limit)
    }

    fn totals(&self) -> BoxFuture<'static, Result<Totals, ReadError>> {
        self.ledger.totals()
    }

    fn sweep(
        &self,
        keys_before: UnixMs,
        records_before: UnixMs,
        limit: u32,
    ) -> BoxFuture<'static, Result<u64, CommitError>> {
        self.ledger.sweep(keys_before, records_before, limit)
    }

    fn free_bytes(&self) -> Option<u64> {
        self.ledger.free_bytes()
    }
}
