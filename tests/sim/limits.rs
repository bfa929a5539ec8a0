//! What the gateway may have on the wire at once, and how many calls Genesys refuses for being too
//! many: watched while a run goes on.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Mutex;

use voicepost::genesys::transport::CallName;

/// Clips on their way up.
pub const UPLOADS_MAX: usize = 3;
/// Posts and receipts.
pub const POSTS_MAX: usize = 2;
/// Look-ups of posts in doubt: few, so that each ends within one window of a limit.
const LOOK_UPS_MAX: usize = 2;
/// Deletes, retention, and what serves them.
pub const PURGES_MAX: usize = 2;
/// Calls that a process may make beyond the minute that Genesys allows: a new process does not know
/// of the last one's calls, and a lost answer does not tell of its window.
pub const BEYOND_THE_MINUTE_MAX: u64 = 2;
/// One exchange for however many wait for a token.
const TOKENS_MAX: usize = 1;

/// The most calls that a run had on the wire at once, under each limit.
#[derive(Default)]
pub struct Most {
    counts: Mutex<BTreeMap<Limit, usize>>,
}

/// Calls that one process has on the wire now. What dies with it is on no wire any more.
#[derive(Default)]
pub struct OnTheWire {
    counts: RefCell<BTreeMap<Limit, usize>>,
}

/// One call's place; given back when it ends, however it ends.
pub struct Place<'a> {
    on_the_wire: &'a OnTheWire,
    limit: Limit,
}

impl OnTheWire {
    pub fn take(&self, name: CallName, most: &Most) -> Option<Place<'_>> {
        let limit = limit_of(name)?;
        let mut counts = self.counts.borrow_mut();
        let now = counts.entry(limit).or_default();
        *now += 1;
        let mut most = most.counts.lock().unwrap();
        let most = most.entry(limit).or_default();
        *most = (*most).max(*now);
        Some(Place { on_the_wire: self, limit })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.on_the_wire.counts.borrow_mut().entry(self.limit).or_default() -= 1;
    }
}

impl Most {
    /// Each limit that was crossed, in words.
    pub fn beyond(&self) -> Vec<String> {
        let counts = self.counts.lock().unwrap();
        let crossed = counts.iter().filter(|(limit, most)| **most > limit.allowed());
        crossed
            .map(|(limit, most)| {
                format!("{most} calls at once of {limit:?}, allowed are {}", limit.allowed())
            })
            .collect()
    }
}

/// What calls count against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Limit {
    Uploads,
    Posts,
    LookUps,
    Purges,
    Tokens,
}

impl Limit {
    fn allowed(self) -> usize {
        match self {
            Limit::Uploads => UPLOADS_MAX,
            Limit::Posts => POSTS_MAX,
            Limit::LookUps => LOOK_UPS_MAX,
            Limit::Purges => PURGES_MAX,
            Limit::Tokens => TOKENS_MAX,
        }
    }
}

fn limit_of(name: CallName) -> Option<Limit> {
    match name {
        CallName::Token => Some(Limit::Tokens),
        CallName::Upload => Some(Limit::Uploads),
        CallName::Post | CallName::Receipt => Some(Limit::Posts),
        CallName::LookUp => Some(Limit::LookUps),
        CallName::Delete | CallName::CachedMedia | CallName::Retention => Some(Limit::Purges),
    }
}
