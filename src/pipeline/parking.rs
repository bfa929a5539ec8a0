//! Messages that sleep: durable, nobody waits for them, and nothing is to be done for a while. They
//! cost a row in the ledger and an entry here, and none of the places for messages awake.
//!
//! A message on its way sleeps until a time, or until its lane moves, and keeps its seat in the
//! lane. An ended one has none: it sleeps until its clip is no longer kept. Pauses run on the clock
//! that only goes forward, so a wall clock that is set back does not stretch them; one that is set
//! forward, as after a start under a clock that was behind, ends them soon. Of those whose time has
//! come the one that was accepted first is woken first: when the rate gate opens, there
//! may be more of them than it lets through.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::Instant;

use super::Pipeline;
use super::drive::{self, Drive};
use super::lanes::Seat;
use crate::domain::{Lane, MessageId, UnixMs, WAIT_MS_MAX};

/// A message whose next step is further away than this goes to sleep.
pub(super) const PARK_AFTER: Duration = Duration::from_secs(5);
/// One that waits for its turn is looked at this often all the same.
const TURN_LOOK: Duration = Duration::from_secs(60);
/// While one waits for a time, the clock is looked at this often: it may have been set right.
const CLOCK_LOOK: Duration = Duration::from_secs(300);
/// How many sleepers of a lane are woken when it moves: the one whose turn it is, and those that
/// may be uploaded ahead of it.
const LANE_WAKES: usize = 3;
/// How long the timer is set while nobody sleeps.
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
    by_time: BTreeSet<(Instant, MessageId)>,
    /// Those whose time has come, by their places in the order of acceptance.
    due: BTreeSet<(u64, MessageId)>,
    by_turn: HashMap<Lane, BTreeMap<u64, MessageId>>,
    /// Taken to be woken, and not driven yet; whether somebody wanted to wake them meanwhile.
    rousing: HashMap<MessageId, bool>,
}

struct Sleeper {
    /// When to look at it next.
    at: Instant,
    /// When its pause is over by the clock that only goes forward.
    over_at: Instant,
    /// The wall-clock time at which it is over, where the message waits for a time.
    due_at: Option<UnixMs>,
    seat: Option<Seat>,
}

/// A message whose time has come.
struct Woken {
    id: MessageId,
    due_at: Option<UnixMs>,
    seat: Option<Seat>,
}

impl Parked {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many messages sleep.
    pub(super) fn len(&self) -> usize {
        self.lock().asleep.len()
    }

    /// Ended messages that sleep until their clip is no longer kept, after this time; in order, so
    /// that the same seed gives the same history.
    pub(super) fn kept_beyond(&self, latest: UnixMs) -> Vec<MessageId> {
        let state = self.lock();
        let is_kept = |sleeper: &Sleeper| sleeper.seat.is_none() && sleeper.due_at > Some(latest);
        let kept = state.asleep.iter().filter(|(_, sleeper)| is_kept(sleeper));
        let mut kept: Vec<MessageId> = kept.map(|(id, _)| *id).collect();
        kept.sort_unstable();
        kept
    }

    /// Puts a message to sleep. One that sleeps with a seat keeps it: it is on its way again.
    pub(super) fn put(&self, id: MessageId, seat: Option<Seat>, until: Until, now: UnixMs) {
        let mut state = self.lock();
        if seat.is_none() && state.asleep.get(&id).is_some_and(|sleeper| sleeper.seat.is_some()) {
            return;
        }
        if let Some(again) = state.rousing.get_mut(&id) {
            // It is being woken already, and its drive will be told to look again.
            *again = true;
            return;
        }
        drop(state.take(id));
        let (pause, due_at) = match until {
            // What waits for longer was put off by a clock that was ahead, before this process.
            Until::Time(at) if seat.is_some() => {
                (Duration::from_millis(at.ms_since(now).min(WAIT_MS_MAX)), Some(at))
            }
            Until::Time(at) => (Duration::from_millis(at.ms_since(now)), Some(at)),
            Until::Turn => (TURN_LOOK, None),
        };
        let over_at = Instant::now() + pause;
        let at = over_at.min(Instant::now() + CLOCK_LOOK);
        if let (Until::Turn, Some(seat)) = (until, &seat) {
            let lane = state.by_turn.entry(seat.lane().clone()).or_default();
            lane.insert(seat.accepted_seq(), id);
        }
        state.by_time.insert((at, id));
        state.asleep.insert(id, Sleeper { at, over_at, due_at, seat });
        drop(state);
        self.changed.notify_one();
    }

    /// Wakes one message, if it sleeps.
    pub(super) fn wake(&self, id: MessageId) {
        let mut state = self.lock();
        if let Some(again) = state.rousing.get_mut(&id) {
            *again = true;
        }
        state.hasten(id);
        drop(state);
        self.changed.notify_one();
    }

    /// A message that was taken to be woken has its drive, or needs none; whether somebody wanted
    /// to wake it meanwhile.
    fn roused(&self, id: MessageId) -> bool {
        self.lock().rousing.remove(&id).unwrap_or(false)
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

    /// Takes the next one that is due, and those that wait for it in its lane and may go along
    /// with it; or says when the next one will be.
    fn next(&self, now: UnixMs) -> Result<Vec<Woken>, Option<Instant>> {
        let mut state = self.lock();
        state.gather_due(Instant::now(), now);
        match state.due.first().copied() {
            Some((_, id)) => {
                let mut woken: Vec<Woken> = state.take(id).into_iter().collect();
                let seat = woken.first().and_then(|woken| woken.seat.clone());
                if let Some(seat) = seat.filter(Seat::is_head) {
                    let waiting = state.by_turn.get(seat.lane());
                    let ids = waiting.into_iter().flat_map(BTreeMap::values);
                    let ids: Vec<MessageId> = ids.take(LANE_WAKES - 1).copied().collect();
                    woken.extend(ids.into_iter().filter_map(|id| state.take(id)));
                }
                state.rousing.extend(woken.iter().map(|woken| (woken.id, false)));
                Ok(woken)
            }
            None => Err(state.by_time.first().map(|(at, _)| *at)),
        }
    }
}

impl Sleeper {
    /// One without a seat only lets go of its clip, which takes nobody's turn.
    fn place(&self) -> u64 {
        self.seat.as_ref().map_or(0, Seat::accepted_seq)
    }
}

impl State {
    fn hasten(&mut self, id: MessageId) {
        if let Some(sleeper) = self.asleep.get_mut(&id) {
            self.by_time.remove(&(sleeper.at, id));
            sleeper.due_at = None;
            self.due.insert((sleeper.place(), id));
        }
    }

    fn gather_due(&mut self, now: Instant, wall: UnixMs) {
        while let Some((at, id)) = self.by_time.first().copied().filter(|(at, _)| *at <= now) {
            self.by_time.remove(&(at, id));
            let Some(sleeper) = self.asleep.get_mut(&id) else { continue };
            if sleeper.over_at > now && sleeper.due_at.is_some_and(|due_at| due_at > wall) {
                sleeper.at = sleeper.over_at.min(now + CLOCK_LOOK);
                self.by_time.insert((sleeper.at, id));
            } else {
                self.due.insert((sleeper.place(), id));
            }
        }
    }

    fn take(&mut self, id: MessageId) -> Option<Woken> {
        let sleeper = self.asleep.remove(&id)?;
        self.due.remove(&(sleeper.place(), id));
        let Sleeper { at, due_at, seat, .. } = sleeper;
        self.by_time.remove(&(at, id));
        if let Some(seat) = &seat
            && let Some(lane) = self.by_turn.get_mut(seat.lane())
        {
            lane.remove(&seat.accepted_seq());
            if lane.is_empty() {
                self.by_turn.remove(seat.lane());
            }
        }
        Some(Woken { id, due_at, seat })
    }
}

impl Pipeline {
    /// Wakes sleepers when their time has come, as many at once as there are places. Runs until
    /// the gateway shuts down; who sleeps then is found by the next start.
    pub(super) async fn wake_sleepers(self: Arc<Self>) {
        let drain = self.parts.admission.drain().clone();
        loop {
            let next_at = match self.parked.next(self.parts.clock.now()) {
                Ok(woken) => {
                    tokio::select! {
                        biased;
                        () = drain.begun() => return,
                        () = self.wake_up(woken) => continue,
                    }
                }
                Err(next_at) => next_at.unwrap_or_else(|| Instant::now() + TIMER_MAX),
            };
            tokio::select! {
                biased;
                () = drain.begun() => return,
                () = self.parked.changed.notified() => {}
                () = tokio::time::sleep_until(next_at) => {}
            }
        }
    }

    /// Starts the drives of a message and of those that may go along with it. They begin before
    /// it, so that their offers are there when it posts.
    async fn wake_up(self: &Arc<Self>, woken: Vec<Woken>) {
        let mut drives = Vec::with_capacity(woken.len());
        for (number, woken) in woken.into_iter().enumerate() {
            let place = match number {
                0 => self.parts.admission.drive().await,
                _ => self.parts.admission.try_drive(),
            };
            match place {
                Some(place) => drives.extend(self.rouse(woken, place).await),
                None => self.put_back(woken, Until::Turn),
            }
        }
        for drive in drives.into_iter().rev() {
            actix::spawn(drive::run(drive));
        }
    }

    /// The drive of a message on its way; an ended one only lets go of its clip.
    async fn rouse(self: &Arc<Self>, woken: Woken, place: OwnedSemaphorePermit) -> Option<Drive> {
        let Woken { id, due_at, seat } = woken;
        let record = match self.parts.ledger.find(id).await {
            Ok(Some(record)) => record,
            Ok(None) => {
                self.parked.roused(id);
                return None;
            }
            Err(error) => {
                tracing::error!(message.id = %id, %error, "message not read");
                let until = Until::Time(self.parts.clock.now().plus_ms(READ_PAUSE_MS));
                self.put_back(Woken { id, due_at, seat }, until);
                return None;
            }
        };
        let Some(seat) = seat else {
            let wanted = self.parked.roused(id);
            let pipeline = Arc::clone(self);
            actix::spawn(async move {
                let record = if wanted { pipeline.look_again(record).await } else { record };
                pipeline.let_clip_go(record).await;
                drop(place);
            });
            return None;
        };
        let drive = Drive::new(Arc::clone(self), record, seat, None, None, place);
        if self.parked.roused(id) {
            self.board.nudge(id);
        }
        Some(drive.after(due_at.unwrap_or(UnixMs(0))))
    }

    /// Puts back a message that was taken and cannot be woken now.
    fn put_back(&self, woken: Woken, until: Until) {
        let Woken { id, seat, .. } = woken;
        let wanted = self.parked.roused(id);
        self.parked.put(id, seat, until, self.parts.clock.now());
        if wanted {
            self.parked.wake(id);
        }
    }
}
