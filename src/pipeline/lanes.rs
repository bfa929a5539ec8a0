//! Order within a lane (invariant 7): only the oldest message of a lane may post.
//!
//! A message takes its seat in two steps, because its place is known only after its accepting
//! commit: it is announced before that commit and seated after it. While any message of the lane
//! is announced, nobody in it may post: the announced one may turn out to be older.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::domain::Lane;

/// How many messages of a lane may be uploaded ahead of the one that posts.
const UPLOADS_AHEAD_MAX: usize = 2;

/// All lanes that have a message awake.
#[derive(Clone, Default)]
pub(super) struct Lanes {
    lanes: Arc<Mutex<HashMap<Lane, LaneState>>>,
}

#[derive(Default)]
struct LaneState {
    announced: usize,
    seated: BTreeSet<u64>,
    moved: Arc<Notify>,
}

/// A message whose accepting commit is under way.
pub(super) struct Announced {
    lanes: Lanes,
    lane: Lane,
}

/// A message's place in its lane; left when the last clone is dropped.
#[derive(Clone)]
pub(super) struct Seat(Arc<Place>);

struct Place {
    lanes: Lanes,
    lane: Lane,
    accepted_seq: u64,
}

impl Lanes {
    fn lock(&self) -> MutexGuard<'_, HashMap<Lane, LaneState>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that a message of this lane is about to be committed.
    pub(super) fn announce(&self, lane: &Lane) -> Announced {
        self.lock().entry(lane.clone()).or_default().announced += 1;
        Announced { lanes: self.clone(), lane: lane.clone() }
    }

    fn leave(&self, lane: &Lane, leave: impl FnOnce(&mut LaneState)) {
        let mut lanes = self.lock();
        if let Some(state) = lanes.get_mut(lane) {
            leave(state);
            state.moved.notify_waiters();
            if state.announced == 0 && state.seated.is_empty() {
                lanes.remove(lane);
            }
        }
    }
}

impl Announced {
    /// Takes the place that the accepting commit gave.
    pub(super) fn seat(self, accepted_seq: u64) -> Seat {
        if let Some(state) = self.lanes.lock().get_mut(&self.lane) {
            state.seated.insert(accepted_seq);
        }
        Seat(Arc::new(Place { lanes: self.lanes.clone(), lane: self.lane.clone(), accepted_seq }))
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        self.lanes.leave(&self.lane, |state| state.announced -= 1);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.lanes.leave(&self.lane, |state| {
            state.seated.remove(&self.accepted_seq);
        });
    }
}

impl Seat {
    /// Whether it is this message's turn to post.
    pub(super) fn is_head(&self) -> bool {
        self.ahead().is_some_and(|ahead| ahead == 0)
    }

    /// Whether the clip may be uploaded, close enough to its turn to post.
    pub(super) fn is_near_head(&self) -> bool {
        near_head(self.ahead())
    }

    /// Waits for this message's turn to post.
    pub(super) async fn head(&self) {
        self.wait_until(|ahead| ahead == Some(0)).await;
    }

    /// Waits until the clip may be uploaded, close enough to its turn.
    pub(super) async fn near_head(&self) {
        self.wait_until(near_head).await;
    }

    /// Messages before this one; `None` while an announced one may turn out to be older.
    fn ahead(&self) -> Option<usize> {
        let lanes = self.0.lanes.lock();
        let state = lanes.get(&self.0.lane)?;
        (state.announced == 0).then(|| state.seated.range(..self.0.accepted_seq).count())
    }

    async fn wait_until(&self, ready: impl Fn(Option<usize>) -> bool) {
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

fn near_head(ahead: Option<usize>) -> bool {
    ahead.is_none_or(|ahead| ahead <= UPLOADS_AHEAD_MAX)
}
