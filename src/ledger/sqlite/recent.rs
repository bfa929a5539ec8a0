//! The records committed last, in memory: whoever settles a message asks for it moments after its
//! last commit, and a question to the file costs two changes of thread and two statements.
//!
//! Filled by the writer alone, after its COMMIT and before anybody is told, so that it never knows
//! more or less than the file. A record that is not here may still be there.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::{MessageId, Record};
use crate::ledger::{Committed, Transition};

/// The newest records, at most so many; the one that came first leaves first.
pub(super) struct Recent {
    records_max: usize,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    records: HashMap<MessageId, Arc<Record>>,
    came: VecDeque<MessageId>,
}

impl Recent {
    /// One that keeps `records_max` records; none with 0.
    pub(super) fn new(records_max: usize) -> Arc<Recent> {
        Arc::new(Recent { records_max, known: Mutex::default() })
    }

    /// The record as it was last committed.
    pub(super) fn find(&self, id: MessageId) -> Option<Record> {
        let found = self.locked().records.get(&id).map(Arc::clone);
        found.map(|record| Record::clone(&record))
    }

    /// Takes in what a commit has made of its records.
    pub(super) fn committed(&self, transitions: Vec<Transition>, committed: &[Committed]) {
        if self.records_max == 0 {
            return;
        }
        let mut known = self.locked();
        for (Transition { mut record, .. }, committed) in transitions.into_iter().zip(committed) {
            record.version = committed.version;
            record.accepted_seq = committed.accepted_seq;
            let id = record.id;
            if known.records.insert(id, Arc::new(record)).is_none() {
                known.came.push_back(id);
            }
        }
        while known.came.len() > self.records_max {
            let Known { records, came } = &mut *known;
            if let Some(first) = came.pop_front() {
                records.remove(&first);
            }
        }
    }

    /// Forgets them all: rows were deleted.
    pub(super) fn forget(&self) {
        *self.locked() = Known::default();
    }

    fn locked(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
