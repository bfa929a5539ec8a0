//! Since when purges are late: whether audio goes out as fast as it comes in. Pure.

use std::collections::HashMap;

use super::{MessageId, UnixMs};

/// Copies whose deletes did not succeed that are remembered; beyond it the later ones are not,
/// which cannot hide the oldest.
const TRIED_MAX: usize = 1_024;

/// What is known of the purges that are due.
#[derive(Clone, Debug, Default)]
pub struct Backlog {
    /// When each copy was due whose delete was tried, or sent back by the gate, without success.
    tried: HashMap<(MessageId, u32), UnixMs>,
    /// The latest time at which a copy was due that is proven gone.
    purged_up_to: Option<UnixMs>,
}

impl Backlog {
    /// A copy is proven gone.
    pub fn purged(&mut self, id: MessageId, ordinal: u32, due_at: UnixMs) {
        self.settled(id, ordinal);
        self.purged_up_to = self.purged_up_to.max(Some(due_at));
    }

    /// A copy needs no delete any more.
    pub fn settled(&mut self, id: MessageId, ordinal: u32) {
        self.tried.remove(&(id, ordinal));
    }

    /// A delete did not succeed.
    pub fn not_yet(&mut self, id: MessageId, ordinal: u32, due_at: UnixMs) {
        if self.tried.len() < TRIED_MAX || self.tried.contains_key(&(id, ordinal)) {
            self.tried.insert((id, ordinal), due_at);
        }
    }

    /// Since when the oldest purge is late, `next_at` being the next one that waits for its turn.
    /// One that others, due after it, have overtaken is a trouble of its own: deletes do succeed.
    pub fn late_since(&self, next_at: Option<UnixMs>, now: UnixMs) -> Option<UnixMs> {
        let not_overtaken = |due_at: &UnixMs| Some(*due_at) >= self.purged_up_to;
        let tried = self.tried.values().copied().filter(not_overtaken).min();
        tried.into_iter().chain(next_at).filter(|at| *at <= now).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> MessageId {
        MessageId::new(UnixMs(0), [number; 10])
    }

    #[test]
    fn the_oldest_purge_that_has_not_succeeded_says_since_when() {
        let mut backlog = Backlog::default();
        assert_eq!(backlog.late_since(None, UnixMs(100)), None);
        assert_eq!(backlog.late_since(Some(UnixMs(50)), UnixMs(100)), Some(UnixMs(50)));
        assert_eq!(backlog.late_since(Some(UnixMs(150)), UnixMs(100)), None);
        backlog.not_yet(id(1), 0, UnixMs(20));
        backlog.not_yet(id(2), 0, UnixMs(30));
        assert_eq!(backlog.late_since(Some(UnixMs(50)), UnixMs(100)), Some(UnixMs(20)));
        backlog.settled(id(1), 0);
        assert_eq!(backlog.late_since(None, UnixMs(100)), Some(UnixMs(30)));
        backlog.purged(id(2), 0, UnixMs(30));
        assert_eq!(backlog.late_since(None, UnixMs(100)), None);
    }

    #[test]
    fn a_copy_that_others_have_overtaken_is_stuck_and_not_late() {
        let mut backlog = Backlog::default();
        backlog.not_yet(id(1), 0, UnixMs(20));
        backlog.purged(id(2), 0, UnixMs(30));
        assert_eq!(backlog.late_since(None, UnixMs(100)), None);
        backlog.not_yet(id(3), 0, UnixMs(40));
        assert_eq!(backlog.late_since(None, UnixMs(100)), Some(UnixMs(40)));
    }
}
