//! The rate gate's arithmetic: who may call now, and until when nobody may. Pure: times are
//! milliseconds of a clock that only goes forward, given by the caller.
//!
//! What it knows comes from Genesys' own answers (`inin-ratelimit-*`, 429 and `Retry-After`); no
//! limit is built in, because limits differ by organisation and change.

use serde::Serialize;

/// A kind of call that shares the client's budget. The token exchange is not among them: it goes
/// to another host and must never wait for these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallClass {
    /// A message into a conversation.
    Post,
    /// A question whether a post has happened.
    LookUp,
    /// A clip.
    Upload,
    /// The deletion of a clip.
    Delete,
    /// The request to keep a clip only so long.
    Retention,
}

impl CallClass {
    /// In the order in which they are served when all wait.
    pub const ALL: [CallClass; 5] = [
        CallClass::Post,
        CallClass::LookUp,
        CallClass::Upload,
        CallClass::Delete,
        CallClass::Retention,
    ];

    fn index(self) -> usize {
        match self {
            CallClass::Post => 0,
            CallClass::LookUp => 1,
            CallClass::Upload => 2,
            CallClass::Delete => 3,
            CallClass::Retention => 4,
        }
    }
}

/// Who waits at the gate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Whether a call of each class waits, by the order of [`CallClass::ALL`].
    pub classes: [bool; 5],
    /// Whether the oldest waiting delete is so late that deletes get the larger share.
    pub delete_is_late: bool,
}

/// What the gate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// A call of this class may leave now.
    Go(CallClass),
    /// Nobody before this time.
    WaitUntil(u64),
    /// Nobody waits.
    Idle,
}

/// What an answer says about the client's budget (`inin-ratelimit-count`, `-allowed`, `-reset`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateHeaders {
    /// Calls counted in this window.
    pub count: u64,
    /// Calls allowed in a window.
    pub allowed: u64,
    /// Milliseconds until the window ends.
    pub reset_ms: u64,
}

/// Ends of one window, as told by answers that took their time, lie within this of each other.
const SAME_WINDOW_MS: u64 = 3_000;

/// How long a new window is taken to last until an answer tells its end.
const UNTOLD_WINDOW_MS: u64 = 5_000;

/// A delete gets every so many slots while one is due.
const DELETE_SHARE: u32 = 4;
/// The same while one is late.
const DELETE_SHARE_LATE: u32 = 2;
/// A look-up gets every so many slots while one waits: behind it waits a whole lane.
const LOOK_UP_SHARE: u32 = 4;

/// The budget of one window as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Window {
    allowed: u64,
    /// Calls that count against it: those the server has counted, and those sent since.
    used: u64,
    /// Whatever left before is counted in `used`, and what its answer says may be of the window
    /// before.
    began_at_ms: u64,
    ends_at_ms: u64,
    /// Whether an answer has told its end; else it is taken to be near.
    is_told: bool,
}

/// The gate's state.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Pace {
    closed_until_ms: [u64; 5],
    host_closed_until_ms: u64,
    window: Option<Window>,
    in_flight: u32,
    slots: u32,
}

impl Pace {
    /// Who may call now. The caller takes the turn with [`Pace::leave`].
    pub fn turn(&self, waiting: Waiting, now_ms: u64) -> Turn {
        if !waiting.classes.contains(&true) {
            return Turn::Idle;
        }
        if now_ms < self.host_closed_until_ms {
            return Turn::WaitUntil(self.host_closed_until_ms);
        }
        let used_up = |window: &Window| now_ms < window.ends_at_ms && window.used >= window.allowed;
        if let Some(window) = self.window.filter(used_up) {
            return Turn::WaitUntil(window.ends_at_ms);
        }
        self.choose(waiting, now_ms)
    }

    fn choose(&self, waiting: Waiting, now_ms: u64) -> Turn {
        let open = |class: CallClass| now_ms >= self.closed_until_ms[class.index()];
        let ready = |class: CallClass| waiting.classes[class.index()] && open(class);
        let share = if waiting.delete_is_late { DELETE_SHARE_LATE } else { DELETE_SHARE };
        if ready(CallClass::Delete) && self.slots % share == share - 1 {
            return Turn::Go(CallClass::Delete);
        }
        if ready(CallClass::LookUp) && self.slots % LOOK_UP_SHARE == LOOK_UP_SHARE / 2 {
            return Turn::Go(CallClass::LookUp);
        }
        if let Some(class) = CallClass::ALL.into_iter().find(|class| ready(*class)) {
            return Turn::Go(class);
        }
        let waits = CallClass::ALL.into_iter().filter(|class| waiting.classes[class.index()]);
        let opens_at = waits.map(|class| self.closed_until_ms[class.index()]).min();
        opens_at.map_or(Turn::Idle, Turn::WaitUntil)
    }

    /// A call leaves. Invariant 5: only after [`Pace::turn`] said so.
    pub fn leave(&mut self, class: CallClass, now_ms: u64) {
        debug_assert!(now_ms >= self.opens_at_ms(class), "a call left through a closed gate");
        self.in_flight += 1;
        self.slots = self.slots.wrapping_add(1);
        if let Some(window) = self.window.as_mut() {
            if now_ms >= window.ends_at_ms {
                // A new window has begun. Until an answer tells more it is taken to allow what the
                // last one did, calls on the wire included.
                window.used = u64::from(self.in_flight) - 1;
                window.began_at_ms = now_ms;
                window.ends_at_ms = now_ms + UNTOLD_WINDOW_MS;
                window.is_told = false;
            }
            window.used += 1;
        }
    }

    /// A call that left at `left_at_ms` came back, with or without an answer.
    pub fn came_back(&mut self, headers: Option<RateHeaders>, left_at_ms: u64, now_ms: u64) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let Some(RateHeaders { count, allowed, reset_ms }) = headers else { return };
        // The answer may have been on its way for long: its window ends between these two.
        let ends_after_ms = left_at_ms.saturating_add(reset_ms);
        let ends_at_ms = now_ms.saturating_add(reset_ms);
        match self.window.as_mut().filter(|window| now_ms < window.ends_at_ms) {
            Some(window) if window.is_told && left_at_ms < window.began_at_ms => {}
            // What ended while the answer was on its way tells nothing of the window now.
            Some(window) if !window.is_told => {
                if ends_after_ms > now_ms {
                    window.used = window.used.max(count);
                    window.allowed = allowed;
                    window.ends_at_ms = ends_at_ms;
                    window.is_told = true;
                }
            }
            // Answers overtake each other: within a window the count never falls.
            Some(window) if ends_after_ms <= window.ends_at_ms + SAME_WINDOW_MS => {
                window.used = window.used.max(count);
                window.allowed = window.allowed.min(allowed);
                window.ends_at_ms = window.ends_at_ms.min(ends_at_ms);
            }
            // A window of its own. Calls on the wire may not be in the server's count yet. One that
            // may have ended while the answer was on its way is a guess.
            _ => {
                let used = count.saturating_add(u64::from(self.in_flight));
                let is_told = ends_after_ms > now_ms;
                let began_at_ms = if is_told { left_at_ms } else { now_ms };
                self.window = Some(Window { allowed, used, began_at_ms, ends_at_ms, is_told });
            }
        }
    }

    /// A 429: nobody calls this endpoint before `until_ms`; where the whole client is meant,
    /// nobody calls at all. A closing is never shortened.
    pub fn close(&mut self, class: CallClass, whole_client: bool, until_ms: u64) {
        let closing = if whole_client {
            &mut self.host_closed_until_ms
        } else {
            &mut self.closed_until_ms[class.index()]
        };
        *closing = (*closing).max(until_ms);
    }

    /// When a call of this class may leave at the earliest, as far as is known now.
    pub fn opens_at_ms(&self, class: CallClass) -> u64 {
        self.host_closed_until_ms.max(self.closed_until_ms[class.index()])
    }

    /// When a call of this class may leave, a used-up window included.
    pub fn free_at_ms(&self, class: CallClass) -> u64 {
        let used_up = self.window.filter(|window| window.used >= window.allowed);
        self.opens_at_ms(class).max(used_up.map_or(0, |window| window.ends_at_ms))
    }
}
