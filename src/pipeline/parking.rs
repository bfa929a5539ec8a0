//! Messages that sleep: durable, nobody waits for them, and nothing is to be done for a while. They
//! cost a row in the ledger and an entry here, and none of the places for messages awake.
//!
//! A message sleeps until a time, or until its lane moves. It keeps its seat in the lane.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::Pipeline;
use super::drive::{self, Drive};
use super::lanes::Seat;
use crate::domain::{Lane, MessageId, UnixMs};

/// A message whose next step is further away than this goes to sleep.
pub(super) const PARK_AFTER: Duration = Duration::from_secs(5);
/// One that waits for its turn is looked at this often all the same.
const TURN_LOOK_MS: i64 = 60_000;
/// How many sleepers of a lane are woken when it moves: the one whose turn it is, and those that
/// may be uploaded ahead of it.
const LANE_WAKES: usize = 3;
/// The timer is set no further ahead than this, so that a stepped clock is noticed.
const TIMER_MAX: Duration = Duration::from_secs(30);
/// Pause before a message is read again that could not be read.
const READ_PAUSE_MS: i64 = 5_000;

/// Until when a message sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// Until this time.
    Time(UnixMs),
    /// Until its lane moves.
    Turn,
}

/// All sleepers.
#[derive(Default)]
pub(super) struct Parked {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    asleep: HashMap<MessageId, Sleeper>,
    by_time: BTreeSet<(UnixMs, MessageId)>,
    by_turn: HashMap<Lane, BTreeMap<u64, MessageId>>,
}

struct Sleeper {
    at: UnixMs,
    seat: Seat,
}

impl Parked {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many messages sleep.
    pub(super) fn len(&self) -> usize {
        self.lock().asleep.len()
    }

    /// Puts a message to sleep.
    pub(super) fn put(&self, id: MessageId, seat: Seat, until: Until, now: UnixMs) {
        let mut state = self.lock();
        let at = match until {
            Until::Time(at) => at,
            Until::Turn => {
                let lane = state.by_turn.entry(seat.lane().clone()).or_default();
                lane.insert(seat.accepted_seq(), id);
                now.plus_ms(TURN_LOOK_MS)
            }
        };
        state.by_time.insert((at, id));
        state.asleep.insert(id, Sleeper { at, seat });
        drop(state);
        self.changed.notify_one();
    }

    /// Wakes one message, if it sleeps.
    pub(super) fn wake(&self, id: MessageId) {
        self.lock().hasten(id);
        self.changed.notify_one();
    }

    /// Wakes those whose turn may have come because a message has left the lane.
    pub(super) fn lane_moved(&self, lane: &Lane) {
        let mut state = self.lock();
        let Some(waiting) = state.by_turn.get(lane) else { return };
        let woken: Vec<MessageId> = waiting.values().take(LANE_WAKES).copied().collect();
        woken.into_iter().for_each(|id| state.hasten(id));
        drop(state);
        self.changed.notify_one();
    }

    /// Takes the next one that is due, or says when it will be.
    fn next(&self, now: UnixMs) -> Result<(MessageId, Seat), Option<UnixMs>> {
        let mut state = self.lock();
        match state.by_time.first().copied() {
            Some((at, id)) if at <= now => {
                state.by_time.remove(&(at, id));
                let sleeper = state.asleep.remove(&id);
                let Some(Sleeper { seat, .. }) = sleeper else { return Err(Some(now)) };
                state.leave_turn(&seat);
                Ok((id, seat))
            }
            first => Err(first.map(|(at, _)| at)),
        }
    }
}

impl State {
    fn hasten(&mut self, id: MessageId) {
        if let Some(sleeper) = self.asleep.get_mut(&id) {
            self.by_time.remove(&(sleeper.at, id));
            sleeper.at = UnixMs(0);
            self.by_time.insert((sleeper.at, id));
        }
    }

    fn leave_turn(&mut self, seat: &Seat) {
        if let Some(lane) = self.by_turn.get_mut(seat.lane()) {
            lane.remove(&seat.accepted_seq());
            if lane.is_empty() {
                self.by_turn.remove(seat.lane());
            }
        }
    }
}

impl Pipeline {
    /// Wakes sleepers when their time has come, as many at once as there are places. Runs until
    /// the gateway shuts down; who sleeps then is found by the next start.
    pub(super) async fn wake_sleepers(self: Arc<Self>) {
        let drain = self.parts.admission.drain().clone();
        loop {
            let now = self.parts.clock.now();
            let pause = match self.parked.next(now) {
                Ok((id, seat)) => {
                    tokio::select! {
                        biased;
                        () = drain.begun() => return,
                        () = self.wake_up(id, seat) => continue,
                    }
                }
                Err(Some(at)) => Duration::from_millis(at.ms_since(now)).min(TIMER_MAX),
                Err(None) => TIMER_MAX,
            };
            tokio::select! {
                biased;
                () = drain.begun() => return,
                () = self.parked.changed.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn wake_up(self: &Arc<Self>, id: MessageId, seat: Seat) {
        let Some(permit) = self.parts.admission.drive().await else { return };
        match self.parts.ledger.find(id).await {
            Ok(Some(record)) => {
                let drive = Drive::new(Arc::clone(self), record, seat, None, None, permit);
                actix::spawn(drive::run(drive));
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(message.id = %id, %error, "message not read");
                let now = self.parts.clock.now();
                self.parked.put(id, seat, Until::Time(now.plus_ms(READ_PAUSE_MS)), now);
            }
        }
    }
}
