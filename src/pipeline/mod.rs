//! The only code that sequences actors: from an accepted clip to a proven purge.
//!
//! ```text
//! web ──▶ accept ──▶ ValidatorActor            refused: nothing is kept
//!            │ commit 1: accepted + upload intended
//!            ▼
//!          drive ──▶ UploaderActor   commit 2: uploaded + purge owed + post intended
//!            │  ───▶ MessengerActor  commit 3: posted + purge due
//!            └─────▶ JanitorActor    retention, timer, delete … commit: purged
//! ```
//!
//! `admission` bounds what is under way, by `budget`s of bytes; `clip` receives a clip into memory
//! or spool, `accept` makes a request durable, `draw` looks at its clip beside that, `drive`
//! carries one message to its end, `on_the_wire` is how long it waits for an answer, `batch` lets
//! those that wait go along, `parking` is where messages sleep, `leftover` lets go of clips that
//! are kept after the end, `lanes` keeps the order within a conversation, `board` is the read view,
//! `recovery` goes on after a start, `commands` are what senders and operators may ask for,
//! `replies` brings what agents answer.
//! Everything here runs on the engine's one thread, except the board and the admission, which any
//! thread may ask.

mod accept;
mod admission;
mod batch;
mod board;
mod budget;
mod clip;
mod commands;
mod draw;
mod drive;
mod engine;
mod erase;
mod known;
mod lanes;
mod leftover;
mod on_the_wire;
mod parking;
mod promise;
mod recovery;
mod redate;
mod repeats;
mod replies;
mod sender;
mod settle;
mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::oneshot;

pub use admission::{Admission, Bounds, Drain, Ticket};
pub use board::Board;
pub use budget::Budget;
pub use clip::{Clip, IncomingClip};
pub use commands::PurgeOwed;
pub use engine::Engine;
pub use erase::erasure;
pub use recovery::{Recovered, RecoveryError};
pub use replies::{REPLIES, Replies};
pub use waiting::WaitsFor;

use crate::actors::Actors;
use crate::actors::Fatal;
use crate::clock::Clock;
use crate::domain::{Backoff, Code, Keeping, NewMessage, Problem, Receipt};
use crate::genesys::Planner;
use crate::ledger::Ledger;
use crate::settings::OnUnknown;
use crate::spool::Spool;
use crate::telemetry::Metrics;
use clip::HeldClip;
use draw::Easel;
use lanes::Lanes;
use parking::Parked;

/// Seconds after which a sender who was refused for late purges should come back.
const RETRY_AFTER_BACKLOG_SECONDS: u32 = 30;

/// How messages are driven.
#[derive(Clone, Copy, Debug)]
pub struct DriveRules {
    /// Tries of a step while the sender waits.
    pub attempts: u32,
    /// Pauses between those.
    pub backoff: Backoff,
    /// Pauses once the sender has its 202.
    pub later_backoff: Backoff,
    /// When delivery is given up, from acceptance.
    pub expires_after_seconds: u64,
    /// What happens to a post that nobody can look up.
    pub on_unknown: OnUnknown,
    /// How long copies are kept.
    pub keeping: Keeping,
    /// New messages are refused while a purge is this much late.
    pub backpressure_seconds: u64,
    /// Whether accepted clips are drawn.
    pub waveforms: bool,
}

/// Everything the pipeline works with.
pub struct Parts {
    /// The durable rows.
    pub ledger: Arc<dyn Ledger>,
    /// Where clips wait.
    pub spool: Arc<dyn Spool>,
    /// The pure half of the route.
    pub planner: Arc<dyn Planner>,
    /// The five actors.
    pub actors: Actors,
    /// Time and chance.
    pub clock: Clock,
    /// How messages are driven.
    pub rules: DriveRules,
    /// What bounds it all.
    pub admission: Admission,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Ends the process.
    pub fatal: Fatal,
}

/// The pipeline. Shared by every thread; its tasks run on the engine.
pub struct Pipeline {
    parts: Parts,
    board: Board,
    lanes: Lanes,
    parked: Parked,
    easel: Easel,
    engine: Engine,
    /// When the next message is let in although purges are late; 0 while they are not.
    probe_at_ms: AtomicI64,
}

/// What a sender is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Delivered: 201.
    Delivered(Box<Receipt>),
    /// Durable here, and on its way or ended since: 202.
    Accepted(Box<Receipt>),
    /// Not accepted, or refused for good while the sender waited.
    Refused(Box<Problem>),
}

impl Pipeline {
    /// A pipeline whose tasks run on `engine`.
    pub fn new(parts: Parts, engine: Engine) -> Arc<Pipeline> {
        let easel = Easel::new(parts.rules.waveforms);
        Arc::new(Pipeline {
            parts,
            easel,
            board: Board::default(),
            lanes: Lanes::default(),
            parked: Parked::default(),
            engine,
            probe_at_ms: AtomicI64::default(),
        })
    }

    /// Takes a message whose body is complete. From here on the caller's fate changes nothing:
    /// the work is a task of its own, and the answer merely waits to be fetched.
    pub async fn submit(
        self: &Arc<Self>,
        message: NewMessage,
        clip: Clip,
        ticket: Ticket,
    ) -> Answer {
        let (answer, answered) = oneshot::channel();
        let pipeline = Arc::clone(self);
        self.engine.spawn(move || accept::accept(pipeline, message, clip, ticket, answer));
        answered.await.unwrap_or_else(|_| {
            let detail = "the request was lost inside the gateway";
            Answer::Refused(Box::new(Problem::new(Code::Internal, detail)))
        })
    }

    /// Lets a request in, or says why not. Called before the body is read. While purges are late
    /// one message now and then is let in all the same: where its purge succeeds, it shows that
    /// deletes do, and that an old copy which cannot be deleted is a trouble of its own.
    pub fn enter(&self) -> Result<Ticket, Problem> {
        match self.purge_backlog() {
            Some(problem) if !self.may_probe() => Err(problem),
            Some(_) => self.parts.admission.enter(),
            None => {
                self.probe_at_ms.store(0, Ordering::Relaxed);
                self.parts.admission.enter()
            }
        }
    }

    /// Whether it is time for the next message that is let in while purges are late.
    fn may_probe(&self) -> bool {
        let now_ms = self.parts.clock.now().0;
        let at_ms = self.probe_at_ms.load(Ordering::Relaxed);
        if at_ms != 0 && now_ms < at_ms {
            return false;
        }
        let next_ms = now_ms + i64::from(RETRY_AFTER_BACKLOG_SECONDS) * 1_000;
        let order = Ordering::Relaxed;
        let mine = self.probe_at_ms.compare_exchange(at_ms, next_ms, order, order).is_ok();
        mine && at_ms != 0
    }

    /// Why no more audio is taken in, where it does not go out in time.
    pub fn purge_backlog(&self) -> Option<Problem> {
        let late_since = (*self.parts.actors.purges_late_since.borrow())?;
        let late_ms = self.parts.clock.now().ms_since(late_since);
        let seconds_max = self.parts.rules.backpressure_seconds;
        if late_ms <= seconds_max.saturating_mul(1_000) {
            return None;
        }
        let seconds = late_ms / 1_000;
        let detail = format!("the oldest purge is {seconds} s late, more than {seconds_max} s");
        let problem = Problem::new(Code::PurgeBacklog, detail);
        let problem = problem.with("limit", seconds_max).with("actual", seconds);
        Some(problem.retry_after(RETRY_AFTER_BACKLOG_SECONDS))
    }

    /// What bounds requests and messages.
    pub fn admission(&self) -> &Admission {
        &self.parts.admission
    }

    /// The actors, to observe them.
    pub fn actors(&self) -> &Actors {
        &self.parts.actors
    }

    /// The ledger, to read it.
    pub fn ledger(&self) -> &Arc<dyn Ledger> {
        &self.parts.ledger
    }

    /// The messages that are awake now.
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// How many messages sleep: durable, and waiting for their next try or their turn.
    pub fn messages_parked(&self) -> usize {
        self.parked.len()
    }

    /// Time and chance.
    pub fn clock(&self) -> &Clock {
        &self.parts.clock
    }

    /// Counters.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.parts.metrics
    }
}
