//! Connections on which nothing more is asked.
//!
//! actix-http times only the first head of a connection, and forgets its keep-alive time at the
//! first byte that follows an answer (measured): one byte of a second head would hold a connection
//! for ever, and so would whoever reads nothing of an answer. So each connection is looked after
//! here from its first answer on.
//!
//! Of requests that came together it makes the answers as fast as it can, whether anybody takes
//! them or not: 1,400 small ones were 7 MB a connection (measured). So a request waits here until
//! what was answered before it has been sent.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web::Bytes;
use tokio::time::Instant;

use super::linger::Cut;

/// Whose turn it is on a connection.
#[derive(Clone, Copy)]
enum Turn {
    /// The client's, with its first head, which actix-http times.
    First,
    /// Ours: a request is read or worked on, or the next piece of its answer is made.
    Ours,
    /// The client's, with taking a piece of its answer. Since the last of it was taken.
    Taking(Instant),
    /// The client's, with another head, or with reading what it was answered; nothing of the former
    /// came yet. Since its last sign of life.
    Theirs(Instant),
    /// The client's, of whose next head some has come, since then.
    Asking(Instant),
}

/// Whose turn it is on one connection.
pub(super) struct Turns {
    turn: Cell<Turn>,
    /// An answer has been made, and the connection has not taken all of it.
    unsent: Cell<bool>,
    /// The connection's task, where it waits for that.
    next: RefCell<Option<Waker>>,
}

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct TurnRules {
    /// From its last sign of life to the first byte of the next head.
    pub(super) idle_max: Duration,
    /// From there to the head's end; also without taking anything of an answer.
    pub(super) head_max: Duration,
}

impl Turns {
    pub(super) fn new() -> Rc<Turns> {
        let turn = Cell::new(Turn::First);
        Rc::new(Turns { turn, unsent: Cell::default(), next: RefCell::default() })
    }

    /// Something came from the client.
    pub(super) fn came(&self) {
        if let Turn::Theirs(_) = self.turn.get() {
            self.turn.set(Turn::Asking(Instant::now()));
        }
    }

    /// Something went to the client.
    pub(super) fn went(&self) {
        match self.turn.get() {
            Turn::Theirs(_) => self.turn.set(Turn::Theirs(Instant::now())),
            Turn::Taking(_) => self.turn.set(Turn::Taking(Instant::now())),
            Turn::First | Turn::Ours | Turn::Asking(_) => {}
        }
    }

    /// All that there was to send has been taken.
    pub(super) fn flushed(&self) {
        self.unsent.set(false);
        if let Some(next) = self.next.take() {
            next.wake();
        }
    }

    /// Waits until all that was answered is sent.
    async fn sent(&self) {
        if self.unsent.get() {
            self.turn.set(Turn::Taking(Instant::now()));
        }
        poll_fn(|context| match self.is_unsent(context) {
            true => Poll::Pending,
            false => Poll::Ready(()),
        })
        .await;
    }

    /// Whether something that was answered is still to be sent; its end wakes who asks.
    pub(super) fn is_unsent(&self, context: &Context<'_>) -> bool {
        if self.unsent.get() {
            self.next.replace(Some(context.waker().clone()));
        }
        self.unsent.get()
    }

    fn is_over(&self, rules: TurnRules) -> bool {
        match self.turn.get() {
            Turn::First | Turn::Ours => false,
            Turn::Theirs(since) => since.elapsed() >= rules.idle_max,
            Turn::Taking(since) | Turn::Asking(since) => since.elapsed() >= rules.head_max,
        }
    }
}

/// Cuts the connection when the client's turn is over; looked at once in `rules.head_max`.
pub(super) fn watch(turns: &Rc<Turns>, cut: Cut, rules: TurnRules) {
    let turns: Weak<Turns> = Rc::downgrade(turns);
    actix_web::rt::spawn(async move {
        loop {
            tokio::time::sleep(rules.head_max).await;
            let Some(turns) = turns.upgrade() else { return };
            if turns.is_over(rules) {
                return cut.now();
            }
        }
    });
}

/// Stands outermost before every handler: from a request's head to the last of its answer it is our
/// turn, but for the time that the client takes for what there is of the answer.
pub(super) async fn answer(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let turns = request.conn_data::<Rc<Turns>>().cloned();
    if let Some(turns) = &turns {
        turns.sent().await;
    }
    let turn = turns.map(OurTurn::begin);
    let response = next.call(request).await?;
    Ok(response.map_body(|_, body| BoxBody::new(Answer { body, turn })))
}

struct OurTurn(Rc<Turns>);

impl OurTurn {
    fn begin(turns: Rc<Turns>) -> OurTurn {
        turns.turn.set(Turn::Ours);
        OurTurn(turns)
    }
}

impl Drop for OurTurn {
    fn drop(&mut self) {
        self.0.unsent.set(true);
        self.0.turn.set(Turn::Theirs(Instant::now()));
    }
}

/// The body of an answer; dropped when all of it was taken to be sent.
struct Answer {
    body: BoxBody,
    turn: Option<OurTurn>,
}

impl MessageBody for Answer {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let piece = Pin::new(&mut self.body).poll_next(context);
        if let Some(turn) = &self.turn {
            turn.0.turn.set(match &piece {
                Poll::Pending => Turn::Ours,
                Poll::Ready(_) => Turn::Taking(Instant::now()),
            });
        }
        piece
    }
}
