//! The read view: what is known of every message that is awake, without asking the ledger.
//!
//! Written after each durable change and never before, by the drive that owns the message or by
//! whoever else changed it; read by any thread. A message leaves the board when its drive ends; the
//! ledger answers from then on.

use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::{Notify, watch};

use crate::domain::{MessageId, Record};

/// The messages awake. Bounded by the number of drives.
#[derive(Default)]
pub struct Board {
    awake: DashMap<MessageId, Awake>,
}

struct Awake {
    record: watch::Sender<Arc<Record>>,
    nudge: Arc<Notify>,
}

impl Board {
    /// Puts a message on the board; the drive that owns it is woken through the returned notice.
    pub(super) fn put(&self, record: &Record) -> Arc<Notify> {
        let nudge = Arc::new(Notify::new());
        let (sender, _) = watch::channel(Arc::new(record.clone()));
        self.awake.insert(record.id, Awake { record: sender, nudge: Arc::clone(&nudge) });
        nudge
    }

    /// Shows a record, unless a newer one is shown already.
    pub(super) fn show(&self, record: &Record) {
        if let Some(awake) = self.awake.get(&record.id) {
            awake.record.send_if_modified(|shown| {
                let newer = record.version > shown.version;
                if newer {
                    *shown = Arc::new(record.clone());
                }
                newer
            });
        }
    }

    /// Takes a message off the board, as the drive that `nudge` wakes: it may be awake again
    /// already, by an operator's decision.
    pub(super) fn remove(&self, id: MessageId, nudge: &Arc<Notify>) {
        self.awake.remove_if(&id, |_, awake| Arc::ptr_eq(&awake.nudge, nudge));
    }

    /// Tells the drive of this message that somebody else changed its record; `false` where it has
    /// none.
    pub(super) fn nudge(&self, id: MessageId) -> bool {
        let awake = self.awake.get(&id);
        awake.inspect(|awake| awake.nudge.notify_one()).is_some()
    }

    /// The record as it was last committed by its drive.
    pub fn find(&self, id: MessageId) -> Option<Arc<Record>> {
        let awake = self.awake.get(&id)?;
        let record = Arc::clone(&awake.record.borrow());
        Some(record)
    }

    /// Follows the record until its drive ends.
    pub fn follow(&self, id: MessageId) -> Option<watch::Receiver<Arc<Record>>> {
        self.awake.get(&id).map(|awake| awake.record.subscribe())
    }

    /// The messages awake, at most `limit`, in no order.
    pub fn list(&self, limit: usize) -> Vec<Arc<Record>> {
        let records = self.awake.iter().take(limit);
        records.map(|awake| Arc::clone(&awake.record.borrow())).collect()
    }

    /// How many messages are awake that would be lost with this process.
    pub fn not_durable(&self) -> usize {
        let lost = |record: &Record| record.stage.is_open() && !record.is_durable();
        self.awake.iter().filter(|awake| lost(&awake.record.borrow())).count()
    }

    /// How many messages are awake.
    pub fn len(&self) -> usize {
        self.awake.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.awake.is_empty()
    }
}
