//! MessengerActor owns the posts in flight.
//!
//! Promises: no more posts at once than permits; a batch is one call and all of it shares one
//! outcome; a lost answer is unknown, not failed. Whose turn it is in a lane is decided before a
//! post gets here, because the turn must be durable before the post leaves. When it dies, the
//! process ends.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use actix::{Actor, Context, Handler, Message, MessageResult, ResponseFuture};
use futures_util::FutureExt;
use serde::Serialize;

use super::guard::{Vigil, contained};
use super::handle::Order;
use super::outcomes::{Outcomes, panicked};
use crate::domain::{Code, Failure, Found, Outcome, Posted, Record, ReplyReceipt};
use crate::genesys::Route;

// 1 limits: the permits of its handle, `genesys.posts_max`

// 2 state

/// Owner of the posts in flight; see the module's head.
pub struct MessengerActor {
    route: Rc<dyn Route>,
    observed: Rc<RefCell<MessengerObserved>>,
    _vigil: Vigil,
}

// 3 observed

/// MessengerActor as an operator sees it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct MessengerObserved {
    /// Posts on the wire now.
    pub in_flight: u64,
    /// What posts came to.
    #[serde(flatten)]
    pub outcomes: Outcomes,
    /// Look-ups of posts in doubt.
    pub look_ups: u64,
    /// Receipts of replies that were sent, or tried.
    pub receipts: u64,
}

// 4 messages

/// Posts messages of one lane, in order, with one call. Each record carries its post's intent,
/// which is durable.
pub struct PostMessages {
    /// The messages.
    pub batch: Vec<Arc<Record>>,
}

/// Asks Genesys whether a post whose answer was lost has happened.
pub struct LookUpPost {
    /// The message in doubt.
    pub record: Arc<Record>,
    /// Where the guest's messages went last, as Genesys told, if it is known.
    pub conversation_id: Option<String>,
}

/// Tells Genesys what became of an agent's reply.
pub struct TellReceipt {
    /// What is told.
    pub receipt: ReplyReceipt,
}

/// Asks for the observable state.
pub struct ObserveMessenger;

impl Message for PostMessages {
    type Result = Outcome<Vec<Posted>>;
}
impl Message for LookUpPost {
    type Result = Found;
}
impl Message for TellReceipt {
    type Result = Result<(), Failure>;
}
impl Message for ObserveMessenger {
    type Result = MessengerObserved;
}

// 5 life-cycle

impl MessengerActor {
    /// An actor that posts by this route.
    pub fn new(route: Rc<dyn Route>, vigil: Vigil) -> MessengerActor {
        MessengerActor { route, observed: Rc::default(), _vigil: vigil }
    }
}

impl Actor for MessengerActor {
    type Context = Context<Self>;
}

// 6 handlers

impl Handler<Order<PostMessages>> for MessengerActor {
    type Result = ResponseFuture<Outcome<Vec<Posted>>>;

    fn handle(&mut self, order: Order<PostMessages>, _: &mut Self::Context) -> Self::Result {
        let route = Rc::clone(&self.route);
        let observed = Rc::clone(&self.observed);
        async move {
            let Order { work: PostMessages { batch }, permit: _permit } = order;
            observed.borrow_mut().in_flight += 1;
            let outcome = contained(route.post(batch), panicked).await;
            let mut observed = observed.borrow_mut();
            observed.in_flight -= 1;
            observed.outcomes.count(&outcome);
            outcome
        }
        .boxed_local()
    }
}

impl Handler<Order<LookUpPost>> for MessengerActor {
    type Result = ResponseFuture<Found>;

    fn handle(&mut self, order: Order<LookUpPost>, _: &mut Self::Context) -> Self::Result {
        let route = Rc::clone(&self.route);
        self.observed.borrow_mut().look_ups += 1;
        async move {
            let Order { work: LookUpPost { record, conversation_id }, permit: _permit } = order;
            contained(route.look_up(record, conversation_id), || Found::CannotTell).await
        }
        .boxed_local()
    }
}

impl Handler<Order<TellReceipt>> for MessengerActor {
    type Result = ResponseFuture<Result<(), Failure>>;

    fn handle(&mut self, order: Order<TellReceipt>, _: &mut Self::Context) -> Self::Result {
        let route = Rc::clone(&self.route);
        self.observed.borrow_mut().receipts += 1;
        async move {
            let Order { work: TellReceipt { receipt }, permit: _permit } = order;
            let panicked = || Err(Failure::last(Code::Internal, "the receipt's call panicked"));
            contained(route.tell_receipt(receipt), panicked).await
        }
        .boxed_local()
    }
}

impl Handler<ObserveMessenger> for MessengerActor {
    type Result = MessageResult<ObserveMessenger>;

    fn handle(&mut self, _: ObserveMessenger, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.observed.borrow().clone())
    }
}

// 7 private: nothing; what a post means is the route's, what follows from it the pipeline's
