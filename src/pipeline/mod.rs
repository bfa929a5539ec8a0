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
//! `admission` bounds what is under way, `accept` makes a request durable, `draw` looks at its clip
//! beside that, `drive` carries one message to its end, `parking` is where messages sleep, `lanes`
//! keeps the order within a conversation, `board` is the read view, `recovery` goes on after a
//! start, `commands` are what senders and operators may ask for.
//! Everything here runs on the engine's one thread, except the board and the admission, which any
//! thread may ask.

mod accept;
mod admission;
mod board;
mod commands;
mod draw;
mod drive;
mod engine;
mod lanes;
mod parking;
mod promise;
mod recovery;
mod settle;

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

pub use admission::{Admission, ClipBudget, Drain, Reserved, Ticket};
pub use board::Board;
pub use commands::PurgeOwed;
pub use engine::Engine;
pub use recovery::{Recovered, RecoveryError};

use crate::actors::Actors;
use crate::actors::Fatal;
use crate::clock::Clock;
use crate::domain::{Backoff, Code, Keeping, NewMessage, Problem, Receipt};
use crate::genesys::Planner;
use crate::ledger::Ledger;
use crate::settings::OnUnknown;
use crate::spool::Spool;
use crate::telemetry::Metrics;
use lanes::Lanes;
use parking::Parked;

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
    engine: Engine,
}

/// A clip in memory together with its share of the budget.
struct HeldClip {
    bytes: Bytes,
    reserved: Reserved,
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
        Arc::new(Pipeline {
            parts,
            board: Board::default(),
            lanes: Lanes::default(),
            parked: Parked::default(),
            engine,
        })
    }

    /// Takes a message whose body is complete. From here on the caller's fate changes nothing:
    /// the work is a task of its own, and the answer merely waits to be fetched.
    pub async fn submit(
        self: &Arc<Self>,
        message: NewMessage,
        clip: Bytes,
        ticket: Ticket,
        reserved: Reserved,
    ) -> Answer {
        let (answer, answered) = oneshot::channel();
        let pipeline = Arc::clone(self);
        let clip = HeldClip { bytes: clip, reserved };
        self.engine.spawn(move || accept::accept(pipeline, message, clip, ticket, answer));
        answered.await.unwrap_or_else(|_| {
            let detail = "the request was lost inside the gateway";
            Answer::Refused(Box::new(Problem::new(Code::Internal, detail)))
        })
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
