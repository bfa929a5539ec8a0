//! UploaderActor owns the uploads in flight.
//!
//! Promises: no more uploads at once than permits; every deadline lies inside the call; a lost
//! answer is unknown, not failed. It keeps no record and decides no retry. When it dies, the
//! process ends.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use actix::{Actor, Context, Handler, Message, MessageResult, ResponseFuture};
use bytes::Bytes;
use futures_util::FutureExt;
use serde::Serialize;

use super::guard::{Vigil, contained};
use super::handle::Order;
use super::outcomes::{Outcomes, panicked};
use crate::domain::{NewCopy, Outcome, Record};
use crate::genesys::Route;

// 1 limits: the permits of its handle, `genesys.uploads_max`

// 2 state

/// Owner of the uploads in flight; see the module's head.
pub struct UploaderActor {
    route: Rc<dyn Route>,
    observed: Rc<RefCell<UploaderObserved>>,
    _vigil: Vigil,
}

// 3 observed

/// UploaderActor as an operator sees it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct UploaderObserved {
    /// Uploads on the wire now.
    pub in_flight: u64,
    /// What uploads came to.
    #[serde(flatten)]
    pub outcomes: Outcomes,
    /// Bytes of clips that Genesys took.
    pub bytes_uploaded: u64,
}

// 4 messages

/// Brings a clip to Genesys. The record carries the upload's intent, which is durable.
pub struct UploadClip {
    /// The message.
    pub record: Arc<Record>,
    /// Its clip.
    pub clip: Bytes,
}

/// Asks for the observable state.
pub struct ObserveUploader;

impl Message for UploadClip {
    type Result = Outcome<Vec<NewCopy>>;
}
impl Message for ObserveUploader {
    type Result = UploaderObserved;
}

// 5 life-cycle

impl UploaderActor {
    /// An actor that uploads by this route.
    pub fn new(route: Rc<dyn Route>, vigil: Vigil) -> UploaderActor {
        UploaderActor { route, observed: Rc::default(), _vigil: vigil }
    }
}

impl Actor for UploaderActor {
    type Context = Context<Self>;
}

// 6 handlers

impl Handler<Order<UploadClip>> for UploaderActor {
    type Result = ResponseFuture<Outcome<Vec<NewCopy>>>;

    fn handle(&mut self, order: Order<UploadClip>, _: &mut Self::Context) -> Self::Result {
        let route = Rc::clone(&self.route);
        let observed = Rc::clone(&self.observed);
        async move {
            let Order { work: UploadClip { record, clip }, permit: _permit } = order;
            let bytes = clip.len() as u64;
            observed.borrow_mut().in_flight += 1;
            let outcome = contained(route.upload(record, clip), panicked).await;
            observed.borrow_mut().finished(&outcome, bytes);
            outcome
        }
        .boxed_local()
    }
}

impl Handler<ObserveUploader> for UploaderActor {
    type Result = MessageResult<ObserveUploader>;

    fn handle(&mut self, _: ObserveUploader, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.observed.borrow().clone())
    }
}

// 7 private

impl UploaderObserved {
    fn finished(&mut self, outcome: &Outcome<Vec<NewCopy>>, bytes: u64) {
        self.in_flight -= 1;
        self.outcomes.count(outcome);
        if matches!(outcome, Outcome::Done(_)) {
            self.bytes_uploaded += bytes;
        }
    }
}
