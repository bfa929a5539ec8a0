//! ValidatorActor owns the small pool that looks inside finished clips.
//!
//! Promises: the verdict comes from the bytes, never from a name or a header; hostile bytes cost
//! a bounded amount of work and kill nothing. It knows no message and keeps no clip. When it dies,
//! the process ends.

use std::cell::RefCell;
use std::rc::Rc;

use actix::{Actor, Context, Handler, Message, MessageResult, ResponseFuture};
use bytes::Bytes;
use futures_util::FutureExt;
use serde::Serialize;

use super::guard::Vigil;
use super::handle::Order;
use crate::audio;
use crate::domain::{ClipRefusal, Media};

// 1 limits

/// Inspections that may run or wait at once; more are refused as busy.
pub const INSPECTIONS_MAX: usize = 64;
/// Clips of at most so many bytes are looked into on the spot: that takes tens of microseconds,
/// about what handing them to another thread and back costs by itself.
const ON_THE_SPOT_BYTES_MAX: usize = 64 * 1024;

// 2 state

/// Owner of the inspection pool; see the module's head.
pub struct ValidatorActor {
    observed: Rc<RefCell<ValidatorObserved>>,
    _vigil: Vigil,
}

// 3 observed

/// ValidatorActor as an operator sees it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ValidatorObserved {
    /// Clips looked into.
    pub inspected: u64,
    /// Clips refused at that.
    pub refused: u64,
}

// 4 messages

/// Looks inside a finished clip that the gate has let through.
pub struct CheckClip {
    /// The whole clip.
    pub clip: Bytes,
    /// What the gate found.
    pub media: Media,
}

/// Asks for the observable state.
pub struct ObserveValidator;

impl Message for CheckClip {
    type Result = Result<Media, ClipRefusal>;
}
impl Message for ObserveValidator {
    type Result = ValidatorObserved;
}

// 5 life-cycle

impl ValidatorActor {
    /// An actor that `vigil` watches over.
    pub fn new(vigil: Vigil) -> ValidatorActor {
        ValidatorActor { observed: Rc::default(), _vigil: vigil }
    }
}

impl Actor for ValidatorActor {
    type Context = Context<Self>;
}

// 6 handlers

impl Handler<Order<CheckClip>> for ValidatorActor {
    type Result = ResponseFuture<Result<Media, ClipRefusal>>;

    fn handle(&mut self, order: Order<CheckClip>, _: &mut Self::Context) -> Self::Result {
        let observed = Rc::clone(&self.observed);
        async move {
            let Order { work: CheckClip { clip, media }, permit: _permit } = order;
            let verdict = inspect(clip, media).await;
            let mut observed = observed.borrow_mut();
            observed.inspected += 1;
            observed.refused += u64::from(verdict.is_err());
            verdict
        }
        .boxed_local()
    }
}

impl Handler<ObserveValidator> for ValidatorActor {
    type Result = MessageResult<ObserveValidator>;

    fn handle(&mut self, _: ObserveValidator, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.observed.borrow().clone())
    }
}

// 7 private

async fn inspect(clip: Bytes, media: Media) -> Result<Media, ClipRefusal> {
    let bytes = clip.len();
    let look = move || audio::inspect(&clip, &media).map(|()| media);
    if bytes <= ON_THE_SPOT_BYTES_MAX {
        return look();
    }
    let inspected = tokio::task::spawn_blocking(look);
    // The decoder's panics are caught inside; one that still gets here refuses this clip alone.
    inspected.await.unwrap_or_else(|_| {
        Err(ClipRefusal::Undecodable { reason: "the check of the clip crashed".to_owned() })
    })
}
