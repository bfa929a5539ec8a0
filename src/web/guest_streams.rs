//! How many event streams a guest has: one who opens them all would leave none for others.

use super::places::{Place, Places};
use crate::access::Caller;
use crate::domain::{Code, Principal, Problem};

/// Event streams by guest. How many there are in all, the watches bound.
pub struct GuestStreams(Places<Principal>);

impl GuestStreams {
    /// So many for each guest; 0: no limit.
    pub fn new(per_guest_max: usize) -> GuestStreams {
        GuestStreams(Places::new(per_guest_max, usize::MAX))
    }

    /// One more stream of this caller, until what is given is dropped. A backend follows for many
    /// guests, and counts as none.
    ///
    /// # Errors
    /// `busy`: the guest has all that a guest may have.
    pub(super) fn begin(&self, caller: &Caller) -> Result<Place<Principal>, Problem> {
        let guest = caller.guest.as_ref().map(|_| caller.principal.clone());
        self.0.take(guest).ok_or_else(|| {
            let limit = self.0.each_max();
            let detail = format!("you have {limit} event streams open, and no guest has more");
            let problem = Problem::new(Code::Busy, detail).with("limit", limit);
            problem.retry_after(super::events::RETRY_AFTER_SECONDS)
        })
    }
}
