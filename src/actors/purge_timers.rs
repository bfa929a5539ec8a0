//! JanitorActor's in-memory timers: the next part of what the ledger owes, in the order of time.
//!
//! Memory holds everything up to a horizon; what lies beyond is read when this is worked off. A
//! timer may also stand nowhere but here, because nothing was written down when its copy was put
//! off: its row names an earlier time, which reading on would never meet again. Such a timer is
//! kept wherever it lies, and where it cannot be, everything is read anew.

use std::collections::{BTreeSet, HashSet};

use crate::domain::UnixMs;
use crate::ledger::{AfterDue, DueCopy};

/// Due copies kept in memory; later ones wait in the ledger until these are worked off.
const TIMERS_MAX: usize = 100_000;
/// Due copies read from the ledger at once.
pub(super) const REFILL: u32 = 10_000;

/// The timers. One ordered set instead of a heap: it also gives up its last entry, and holds none
/// twice.
pub(super) struct PurgeTimers {
    due: BTreeSet<DueCopy>,
    /// Those that the ledger does not know.
    unwritten: HashSet<DueCopy>,
    horizon: Horizon,
}

/// How much of the ledger's due copies is in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Horizon {
    /// Nothing has been read yet.
    Unread,
    /// Everything up to and including this one.
    UpTo(DueCopy),
    /// Everything.
    Everything,
}

impl PurgeTimers {
    /// None, and nothing read.
    pub(super) fn new() -> PurgeTimers {
        PurgeTimers { due: BTreeSet::new(), unwritten: HashSet::new(), horizon: Horizon::Unread }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.due.len()
    }

    /// Whether they are all that the ledger owes.
    pub(super) fn are_all(&self) -> bool {
        self.horizon == Horizon::Everything
    }

    /// When the first one is due.
    pub(super) fn first_at(&self) -> Option<UnixMs> {
        self.due.first().map(|due| due.at)
    }

    /// Takes the first one that is due.
    pub(super) fn take_due(&mut self, now: UnixMs) -> Option<DueCopy> {
        let due = self.due.first().copied().filter(|due| due.at <= now)?;
        self.due.remove(&due);
        self.unwritten.remove(&due);
        Some(due)
    }

    /// Keeps a due copy where it belongs to the part that memory holds. During a refill everything
    /// is kept: the page that is being read may be older than this copy.
    pub(super) fn insert(&mut self, due: DueCopy, refilling: bool) {
        let within = match self.horizon {
            Horizon::Everything => true,
            Horizon::UpTo(last) => due <= last,
            Horizon::Unread => false,
        };
        if within || refilling {
            self.due.insert(due);
        }
        self.shed();
    }

    /// Keeps a timer that the ledger does not know.
    pub(super) fn insert_unwritten(&mut self, due: DueCopy) {
        self.due.insert(due);
        self.unwritten.insert(due);
        self.shed();
    }

    /// Whether the ledger is to be read, because these are worked off or nothing has been read.
    pub(super) fn want_more(&self) -> bool {
        let unread = self.horizon == Horizon::Unread && self.due.len() < TIMERS_MAX / 2;
        unread || (self.due.is_empty() && self.horizon != Horizon::Everything)
    }

    /// From where the ledger is to be read.
    pub(super) fn after(&self) -> AfterDue {
        match self.horizon {
            Horizon::UpTo(last) => Some(last),
            Horizon::Unread | Horizon::Everything => None,
        }
    }

    /// Takes in what was read from there.
    pub(super) fn refilled(&mut self, page: Vec<DueCopy>) {
        self.horizon = match page.last() {
            Some(last) if page.len() >= REFILL as usize => Horizon::UpTo(*last),
            _ => Horizon::Everything,
        };
        self.due.extend(page);
    }

    /// Gives up the last timers where there are too many.
    fn shed(&mut self) {
        while self.due.len() > TIMERS_MAX {
            let last = self.due.pop_last();
            let lost = last.is_some_and(|last| self.unwritten.remove(&last));
            let up_to = self.due.last().copied().map_or(Horizon::Unread, Horizon::UpTo);
            self.horizon = if lost { Horizon::Unread } else { up_to };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::MessageId;

    fn due(at: i64) -> DueCopy {
        let mut random = [0; 10];
        random[..8].copy_from_slice(&at.to_le_bytes());
        DueCopy { at: UnixMs(at), id: MessageId::new(UnixMs(0), random), ordinal: 0 }
    }

    /// A full page: more lies beyond it.
    fn page() -> Vec<DueCopy> {
        (0..i64::from(REFILL)).map(due).collect()
    }

    #[test]
    fn a_timer_that_the_ledger_does_not_know_is_kept_beyond_the_horizon() {
        let mut timers = PurgeTimers::new();
        timers.refilled(page());
        let beyond = due(1_000_000);
        timers.insert(beyond, false);
        assert_eq!(timers.len(), REFILL as usize, "the ledger knows it, and it is read later");
        timers.insert_unwritten(beyond);
        while timers.take_due(UnixMs(999_999)).is_some() {}
        assert_eq!((timers.len(), timers.first_at()), (1, Some(UnixMs(1_000_000))));
        assert_eq!(timers.take_due(UnixMs(1_000_000)), Some(beyond));
        assert!(timers.want_more() && timers.after() == page().last().copied());
    }

    #[test]
    fn where_such_a_timer_is_given_up_everything_is_read_anew() {
        let mut timers = PurgeTimers::new();
        timers.refilled(page());
        timers.insert_unwritten(due(1_000_000_000));
        for at in 1..=TIMERS_MAX as i64 {
            timers.insert_unwritten(due(1_000_000 + at));
        }
        assert!(timers.len() <= TIMERS_MAX);
        while timers.take_due(UnixMs(i64::MAX)).is_some() {}
        assert!(timers.want_more() && timers.after().is_none(), "from the beginning");
    }
}
