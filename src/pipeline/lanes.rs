//! Order within a lane (invariant 7): only the oldest message of a lane may post.
//!
//! A message takes its seat in two steps, because its place is known only after its accepting
//! commit: it is announced before that commit and seated after it. A seated message waits for
//! those that were announced before it was seated: they may turn out to be older. Those announced
//! later are younger for certain, so a busy lane does not keep its head waiting.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::batch::Offer;
use crate::domain::{Lane, Record};

/// How many messages of a lane may be uploaded ahead of the one that posts.
pub(super) const UPLOADS_AHEAD_MAX: usize = 2;

/// All lanes that have a message awake.
#[derive(Clone, Default)]
pub(super) struct Lanes {
    lanes: Arc<Mutex<HashMap<Lane, LaneState>>>,
}

#[derive(Default)]
struct LaneState {
    /// Tickets of the messages whose commits are under way.
    announced: BTreeSet<u64>,
    /// The next ticket.
    ticket: u64,
    /// Places taken, by order of acceptance, and by how many seats: for a moment a message may have
    /// two, when it is woken anew.
    seated: BTreeMap<u64, u32>,
    /// Messages that may go along with the head, by their places, each with its `younger_from`.
    offers: BTreeMap<u64, (u64, Offer)>,
    moved: Arc<Notify>,
}

/// A message whose accepting commit is under way.
pub(super) struct Announced {
    lanes: Lanes,
    lane: Lane,
    ticket: u64,
}

/// A message's place in its lane; left when the last clone is dropped.
#[derive(Clone)]
pub(super) struct Seat(Arc<Place>);

struct Place {
    lanes: Lanes,
    lane: Lane,
    accepted_seq: u64,
    /// Messages with a ticket from here on were announced later and are younger.
    younger_from: u64,
}

impl Lanes {
    fn lock(&self) -> MutexGuard<'_, HashMap<Lane, LaneState>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that a message of this lane is about to be committed.
    pub(super) fn announce(&self, lane: &Lane) -> Announced {
        let mut lanes = self.lock();
        let state = lanes.entry(lane.clone()).or_default();
        let ticket = state.ticket;
        state.ticket += 1;
        state.announced.insert(ticket);
        Announced { lanes: self.clone(), lane: lane.clone(), ticket }
    }

    fn leave(&self, lane: &Lane, leave: impl FnOnce(&mut LaneState)) {
        let mut lanes = self.lock();
        if let Some(state) = lanes.get_mut(lane) {
            leave(state);
            state.moved.notify_waiters();
            if state.announced.is_empty() && state.seated.is_empty() {
                lanes.remove(lane);
            }
        }
    }
}

impl LaneState {
    /// The places right behind `accepted_seq` that offer to go along, none left out in between and
    /// none that could still turn out to belong in between.
    fn company(&self, accepted_seq: u64) -> Vec<u64> {
        let behind = self.seated.range(accepted_seq + 1..).map(|(seq, _)| seq);
        let ready = |seq: &&u64| {
            self.offers
                .get(*seq)
                .is_some_and(|(younger_from, _)| self.announced.range(..younger_from).count() == 0)
        };
        behind.take_while(ready).copied().collect()
    }
}

impl Lanes {
    /// How many messages of this lane come before the place.
    pub(super) fn before(&self, lane: &Lane, accepted_seq: u64) -> usize {
        let lanes = self.lock();
        lanes.get(lane).map_or(0, |state| state.seated.range(..accepted_seq).count())
    }
}

impl Announced {
    /// Whether the message will be close enough to its turn to be uploaded at once.
    pub(super) fn is_near_head(&self) -> bool {
        self.lanes.lock().get(&self.lane).is_some_and(|state| {
            let before = state.seated.len() + state.announced.range(..self.ticket).count();
            before <= UPLOADS_AHEAD_MAX
        })
    }

    /// Takes the place that the accepting commit gave.
    pub(super) fn seat(self, accepted_seq: u64) -> Seat {
        let mut younger_from = 0;
        if let Some(state) = self.lanes.lock().get_mut(&self.lane) {
            *state.seated.entry(accepted_seq).or_default() += 1;
            younger_from = state.ticket;
        }
        let (lanes, lane) = (self.lanes.clone(), self.lane.clone());
        Seat(Arc::new(Place { lanes, lane, accepted_seq, younger_from }))
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        self.lanes.leave(&self.lane, |state| {
            state.announced.remove(&self.ticket);
        });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.lanes.leave(&self.lane, |state| {
            if let Some(seats) = state.seated.get_mut(&self.accepted_seq).filter(|s| **s > 1) {
                *seats -= 1;
                return;
            }
            state.seated.remove(&self.accepted_seq);
            state.offers.remove(&self.accepted_seq);
        });
    }
}

impl Seat {
    /// The lane it is in.
    pub(super) fn lane(&self) -> &Lane {
        &self.0.lane
    }

    /// Its place in the order of acceptance.
    pub(super) fn accepted_seq(&self) -> u64 {
        self.0.accepted_seq
    }

    /// Whether it is this message's turn to post.
    pub(super) fn is_head(&self) -> bool {
        self.ahead() == 0
    }

    /// Whether the clip may be uploaded, close enough to its turn to post.
    pub(super) fn is_near_head(&self) -> bool {
        self.ahead() <= UPLOADS_AHEAD_MAX
    }

    /// Waits for this message's turn to post.
    pub(super) async fn head(&self) {
        self.wait_until(|ahead| ahead == 0).await;
    }

    /// Waits until the clip may be uploaded, close enough to its turn.
    pub(super) async fn near_head(&self) {
        self.wait_until(|ahead| ahead <= UPLOADS_AHEAD_MAX).await;
    }

    /// Offers this message to go along with the one whose turn it is.
    pub(super) fn offer(&self, offer: Offer) {
        let Place { lanes, lane, accepted_seq, younger_from } = &*self.0;
        if let Some(state) = lanes.lock().get_mut(lane) {
            state.offers.insert(*accepted_seq, (*younger_from, offer));
        }
    }

    /// Takes the offer back; `false` where it has been taken up.
    pub(super) fn take_back(&self) -> bool {
        let Place { lanes, lane, accepted_seq, .. } = &*self.0;
        let mut lanes = lanes.lock();
        lanes.get_mut(lane).is_some_and(|state| state.offers.remove(accepted_seq).is_some())
    }

    /// Whether the next message of the lane offers to go along with this one.
    pub(super) fn has_company(&self) -> bool {
        let Place { lanes, lane, accepted_seq, .. } = &*self.0;
        lanes.lock().get(lane).is_some_and(|state| !state.company(*accepted_seq).is_empty())
    }

    /// Takes up the offers of at most `along_max` messages that follow this one without a gap, as
    /// far as they fit.
    pub(super) fn take_offers(
        &self,
        along_max: usize,
        fits: impl Fn(&Record) -> bool,
    ) -> Vec<Offer> {
        let Place { lanes, lane, accepted_seq, .. } = &*self.0;
        let mut lanes = lanes.lock();
        let Some(state) = lanes.get_mut(lane) else { return Vec::new() };
        let fitting = state.company(*accepted_seq).into_iter().take(along_max);
        let fitting: Vec<u64> = fitting
            .take_while(|seq| state.offers.get(seq).is_some_and(|(_, offer)| fits(&offer.record)))
            .collect();
        let offers = &mut state.offers;
        fitting.iter().filter_map(|seq| offers.remove(seq)).map(|(_, offer)| offer).collect()
    }

    /// Messages that come before this one, or may turn out to.
    fn ahead(&self) -> usize {
        let Place { lanes, lane, accepted_seq, younger_from } = &*self.0;
        lanes.lock().get(lane).map_or(0, |state| {
            let older = state.seated.range(..accepted_seq).count();
            older + state.announced.range(..younger_from).count()
        })
    }

    async fn wait_until(&self, ready: impl Fn(usize) -> bool) {
        loop {
            let moved = {
                let lanes = self.0.lanes.lock();
                let Some(state) = lanes.get(&self.0.lane) else { return };
                Arc::clone(&state.moved)
            };
            // Listening starts before looking, so that no move is missed in between.
            let moved = moved.notified();
            let mut moved = std::pin::pin!(moved);
            moved.as_mut().enable();
            if ready(self.ahead()) {
                return;
            }
            moved.await;
        }
    }
}
