//! The rate gate in front of the API: callers of one host and client pass it one by one, in the
//! order that [`Pace`] decides. Nobody calls a closed gate (invariant 5).

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::transport::{Answer, Call, CallName, Called};
use crate::clock::Clock;
use crate::domain::{CallClass, Code, Failure, Pace, Retry, Turn, UnixMs, Waiting};

/// How long a call waits at the gate before it is sent back to be tried later: shorter than any
/// caller's patience, long enough for an open gate with a queue.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// How long a retention call waits: it goes where nobody else wants to, and never holds a place
/// that a delete could have. Genesys may be told late, or not at all, how long a clip is wanted;
/// that it is deleted does not depend on it.
const RETENTION_WAIT_MAX: Duration = Duration::ZERO;
/// A delete's 429 without a readable `Retry-After` closes the endpoint for this long (media-api
/// contract, "Retention and deletion"). Elsewhere it closes nothing: only its caller pauses.
const DELETE_CLOSED_MS: u64 = 5_000;
/// Deletes get the larger share of slots while one is this much later than it was due.
const DELETE_LATE_MS: u64 = 60_000;

/// The gate. Lives with the HTTP client on the outbound arbiter.
pub struct Gate {
    state: RefCell<State>,
    origin: Instant,
    clock: Clock,
    observed: watch::Sender<Pace>,
}

#[derive(Default)]
struct State {
    pace: Pace,
    queues: [VecDeque<Waiter>; 5],
    timer_at: Option<u64>,
}

struct Waiter {
    go: oneshot::Sender<()>,
    due_at: Option<UnixMs>,
}

/// One call on its way through the gate. Dropped without an answer it counts as come back.
pub struct Passed {
    gate: Rc<Gate>,
    class: CallClass,
    left_at_ms: u64,
    told: bool,
}

impl Gate {
    /// An open gate that shows itself through `observed`.
    pub fn new(clock: Clock, observed: watch::Sender<Pace>) -> Rc<Gate> {
        Rc::new(Gate { state: RefCell::default(), origin: Instant::now(), clock, observed })
    }

    /// From when its times count.
    pub fn origin(&self) -> Instant {
        self.origin
    }

    /// Waits for a turn. A gate that stays closed sends the call back: it had no effect, and may
    /// be tried when the gate is expected to open.
    pub async fn pass(self: &Rc<Self>, call: &Call) -> Result<Option<Passed>, Failure> {
        let Some(class) = class(call.name) else { return Ok(None) };
        let deadline = Instant::now() + wait_max(class);
        loop {
            let turn = self.queue_up(class, call.due_at)?;
            let Ok(Ok(())) = tokio::time::timeout_at(deadline, turn).await else {
                let free_at_ms = self.state.borrow().pace.free_at_ms(class);
                return Err(sent_back(free_at_ms.saturating_sub(self.now_ms()).max(1_000)));
            };
            let left_at_ms = self.now_ms();
            let passed = Passed { gate: Rc::clone(self), class, left_at_ms, told: false };
            let opens_at_ms = self.state.borrow().pace.opens_at_ms(class);
            if opens_at_ms <= self.now_ms() {
                return Ok(Some(passed));
            }
            // An answer closed the gate after the turn was given: the turn goes back.
            drop(passed);
        }
    }

    /// Takes a place in the queue; what it returns resolves when it is this call's turn.
    fn queue_up(
        self: &Rc<Self>,
        class: CallClass,
        due_at: Option<UnixMs>,
    ) -> Result<oneshot::Receiver<()>, Failure> {
        let (go, turn) = oneshot::channel();
        {
            let mut state = self.state.borrow_mut();
            let opens_in_ms = state.pace.free_at_ms(class).saturating_sub(self.now_ms());
            if Duration::from_millis(opens_in_ms) > wait_max(class) {
                return Err(sent_back(opens_in_ms));
            }
            state.queues[index(class)].push_back(Waiter { go, due_at });
        }
        self.serve();
        Ok(turn)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Lets through whoever may go, and sets the one timer for whoever may go next.
    fn serve(self: &Rc<Self>) {
        loop {
            let mut state = self.state.borrow_mut();
            state.forget_gone();
            let now_ms = self.now_ms();
            match state.pace.turn(state.waiting(self.clock.now()), now_ms) {
                Turn::Go(class) => {
                    let Some(waiter) = state.queues[index(class)].pop_front() else { continue };
                    if waiter.go.send(()).is_ok() {
                        state.pace.leave(class, now_ms);
                    }
                }
                Turn::WaitUntil(at_ms) => {
                    self.wake_at(&mut state, at_ms);
                    break;
                }
                Turn::Idle => break,
            }
        }
        self.observed.send_replace(self.state.borrow().pace.clone());
    }

    fn wake_at(self: &Rc<Self>, state: &mut State, at_ms: u64) {
        if state.timer_at.is_some_and(|timer_at| timer_at <= at_ms) {
            return;
        }
        state.timer_at = Some(at_ms);
        let gate = Rc::clone(self);
        let wake = self.origin + Duration::from_millis(at_ms);
        actix::spawn(async move {
            tokio::time::sleep_until(wake).await;
            let current = gate.state.borrow().timer_at == Some(at_ms);
            if current {
                gate.state.borrow_mut().timer_at = None;
                gate.serve();
            }
        });
    }
}

impl State {
    fn forget_gone(&mut self) {
        for queue in &mut self.queues {
            queue.retain(|waiter| !waiter.go.is_closed());
        }
    }

    fn waiting(&self, now: UnixMs) -> Waiting {
        let mut waiting = Waiting::default();
        for class in CallClass::ALL {
            waiting.classes[index(class)] = !self.queues[index(class)].is_empty();
        }
        let deletes = &self.queues[index(CallClass::Delete)];
        let late = |waiter: &Waiter| {
            waiter.due_at.is_some_and(|due_at| now.ms_since(due_at) > DELETE_LATE_MS)
        };
        waiting.delete_is_late = deletes.front().is_some_and(late);
        waiting
    }
}

impl Passed {
    /// Tells the gate what came back.
    pub fn came_back(mut self, called: &Called) {
        self.told = true;
        let now_ms = self.gate.now_ms();
        {
            let mut state = self.gate.state.borrow_mut();
            match called {
                Called::Answered(answer) => {
                    state.pace.came_back(answer.rate, self.left_at_ms, now_ms);
                    if let Some(pause_ms) = pause_ms(self.class, answer) {
                        let until_ms = now_ms.saturating_add(pause_ms);
                        state.pace.close(self.class, means_client(answer), until_ms);
                    }
                }
                Called::NotSent(_) | Called::Unknown(_) => {
                    state.pace.came_back(None, self.left_at_ms, now_ms);
                }
            }
        }
        self.gate.serve();
    }
}

impl Drop for Passed {
    fn drop(&mut self) {
        if !self.told {
            let now_ms = self.gate.now_ms();
            self.gate.state.borrow_mut().pace.came_back(None, self.left_at_ms, now_ms);
            self.gate.serve();
        }
    }
}

fn wait_max(class: CallClass) -> Duration {
    if class == CallClass::Retention { RETENTION_WAIT_MAX } else { WAIT_MAX }
}

/// For how long an answer closes the gate.
fn pause_ms(class: CallClass, answer: &Answer) -> Option<u64> {
    let default = (class == CallClass::Delete).then_some(DELETE_CLOSED_MS);
    (answer.status == 429).then_some(answer.retry_after_ms.or(default)).flatten()
}

/// Whether a 429 is about all calls of the client: its error names the client's limit, or the
/// client's window is used up.
fn means_client(answer: &Answer) -> bool {
    let used_up = answer.rate.is_some_and(|rate| rate.count >= rate.allowed);
    let named = || {
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        body["limit"]["key"].as_str().is_some_and(|key| key.contains("client"))
    };
    used_up || named()
}

fn class(name: CallName) -> Option<CallClass> {
    match name {
        CallName::Post => Some(CallClass::Post),
        CallName::LookUp => Some(CallClass::LookUp),
        CallName::Upload => Some(CallClass::Upload),
        CallName::Delete | CallName::CachedMedia => Some(CallClass::Delete),
        // Neither makes anybody wait.
        CallName::Retention | CallName::Receipt => Some(CallClass::Retention),
        CallName::Token => None,
    }
}

fn index(class: CallClass) -> usize {
    CallClass::ALL.iter().position(|other| *other == class).unwrap_or(0)
}

fn sent_back(opens_in_ms: u64) -> Failure {
    Failure {
        code: Code::GenesysRateLimited,
        detail: format!("the rate gate is closed for another {opens_in_ms} ms"),
        retry: Retry::Closed { opens_in_ms },
    }
}
