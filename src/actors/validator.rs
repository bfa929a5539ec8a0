//! ValidatorActor owns the small pool that looks inside finished clips, and converts those that
//! Genesys would not take.
//!
//! Promises: the verdict comes from the bytes, never from a name or a header; hostile bytes cost
//! a bounded amount of work and kill nothing. It knows no message and keeps no clip. When it dies,
//! the process ends.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use actix::{Actor, Context, Handler, Message, MessageResult, ResponseFuture};
use bytes::Bytes;
use futures_util::FutureExt;
use ring::digest;
use serde::Serialize;
use tokio::sync::Semaphore;

use super::guard::Vigil;
use super::handle::Order;
use crate::audio;
use crate::domain::{AudioLimits, ClipRefusal, Codec, Conversion, Deliverable, Media, Waveform};

// 1 limits

/// Inspections that may run or wait at once; more are refused as busy.
pub const INSPECTIONS_MAX: usize = 64;
/// Clips of at most so many bytes are looked into on the spot: that takes tens of microseconds,
/// about what handing them to another thread and back costs by itself.
const ON_THE_SPOT_BYTES_MAX: usize = 64 * 1024;
/// Clips coded anew that may wait for their turn; more are refused as busy. Each takes up to half a
/// second of a core, so that these are some seconds.
const TRANSCODES_WAITING_MAX: usize = 16;

// 2 state

/// Owner of the inspection pool; see the module's head.
pub struct ValidatorActor {
    rules: ClipRules,
    /// Turns of the clips that are coded anew.
    transcodes: Rc<Semaphore>,
    waiting: Rc<Cell<usize>>,
    observed: Rc<RefCell<ValidatorObserved>>,
    _vigil: Vigil,
}

/// What clips are held to, and what becomes of those that cannot be delivered as they are.
#[derive(Clone, Copy, Debug)]
pub struct ClipRules {
    /// What a clip may be.
    pub limits: AudioLimits,
    /// How clips are converted.
    pub conversion: Conversion,
    /// Clips coded anew at a time.
    pub transcodes_max: usize,
}

// 3 observed

/// ValidatorActor as an operator sees it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ValidatorObserved {
    /// Clips looked into.
    pub inspected: u64,
    /// Clips refused at that.
    pub refused: u64,
    /// Clips converted.
    pub converted: u64,
    /// Clips that wait to be coded anew.
    pub waiting: usize,
}

// 4 messages

/// Looks inside a finished clip that the gate has let through, and converts it where it has to be.
pub struct CheckClip {
    /// The whole clip.
    pub clip: Bytes,
    /// What the gate found.
    pub media: Media,
}

/// A clip that may be delivered.
#[derive(Debug)]
pub struct CheckedClip {
    /// What it is.
    pub media: Media<Deliverable>,
    /// The clip that takes the place of the one that was sent, where that was converted.
    pub converted: Option<ConvertedClip>,
}

/// A clip in place of another.
#[derive(Debug)]
pub struct ConvertedClip {
    /// The whole clip.
    pub clip: Bytes,
    /// SHA-256 of it.
    pub sha256: [u8; 32],
    /// What the other was: its media type with its codec.
    pub converted_from: String,
}

/// Why a clip was not taken.
#[derive(Debug)]
pub enum NotChecked {
    /// For what it is.
    Refused(ClipRefusal),
    /// Too many wait to be coded anew.
    Busy,
}

/// Draws a clip.
pub struct DrawClip {
    /// The whole clip.
    pub clip: Bytes,
    /// What it is.
    pub media: Media<Deliverable>,
}

/// Asks for the observable state.
pub struct ObserveValidator;

impl Message for CheckClip {
    type Result = Result<CheckedClip, NotChecked>;
}
impl Message for DrawClip {
    type Result = Option<Waveform>;
}
impl Message for ObserveValidator {
    type Result = ValidatorObserved;
}

// 5 life-cycle

impl ValidatorActor {
    /// An actor that `vigil` watches over.
    pub fn new(rules: ClipRules, vigil: Vigil) -> ValidatorActor {
        ValidatorActor {
            rules,
            transcodes: Rc::new(Semaphore::new(rules.transcodes_max)),
            waiting: Rc::default(),
            observed: Rc::default(),
            _vigil: vigil,
        }
    }
}

impl Actor for ValidatorActor {
    type Context = Context<Self>;
}

// 6 handlers

impl Handler<Order<CheckClip>> for ValidatorActor {
    type Result = ResponseFuture<Result<CheckedClip, NotChecked>>;

    fn handle(&mut self, order: Order<CheckClip>, _: &mut Self::Context) -> Self::Result {
        let (rules, observed) = (self.rules, Rc::clone(&self.observed));
        let (turns, waiting) = (Rc::clone(&self.transcodes), Rc::clone(&self.waiting));
        async move {
            let Order { work: CheckClip { clip, media }, permit: _permit } = order;
            let verdict = match media.clone().deliverable() {
                Some(deliverable) => inspect(clip, media, deliverable).await,
                None if media.codec == Codec::Opus => remux(clip, media, rules).await,
                None => transcode(clip, media, rules, &turns, &waiting).await,
            };
            observed.borrow_mut().count(&verdict);
            verdict
        }
        .boxed_local()
    }
}

impl Handler<DrawClip> for ValidatorActor {
    type Result = ResponseFuture<Option<Waveform>>;

    fn handle(&mut self, work: DrawClip, _: &mut Self::Context) -> Self::Result {
        async move {
            let DrawClip { clip, media } = work;
            let drawn = tokio::task::spawn_blocking(move || audio::waveform(&clip, &media));
            drawn.await.ok().flatten()
        }
        .boxed_local()
    }
}

impl Handler<ObserveValidator> for ValidatorActor {
    type Result = MessageResult<ObserveValidator>;

    fn handle(&mut self, _: ObserveValidator, _: &mut Self::Context) -> Self::Result {
        let waiting = self.waiting.get();
        MessageResult(ValidatorObserved { waiting, ..self.observed.borrow().clone() })
    }
}

// 7 private

impl ValidatorObserved {
    fn count(&mut self, verdict: &Result<CheckedClip, NotChecked>) {
        self.inspected += 1;
        match verdict {
            Ok(clip) => self.converted += u64::from(clip.converted.is_some()),
            Err(_) => self.refused += 1,
        }
    }
}

async fn inspect(
    clip: Bytes,
    media: Media,
    deliverable: Media<Deliverable>,
) -> Result<CheckedClip, NotChecked> {
    let bytes = clip.len();
    let look = move || audio::inspect(&clip, &media);
    on_some_thread(bytes <= ON_THE_SPOT_BYTES_MAX, look).await?;
    Ok(CheckedClip { media: deliverable, converted: None })
}

/// Moves the packets of a clip into another container, which takes as long as looking into it.
async fn remux(clip: Bytes, media: Media, rules: ClipRules) -> Result<CheckedClip, NotChecked> {
    let bytes = clip.len();
    on_some_thread(bytes <= ON_THE_SPOT_BYTES_MAX, move || converted(&clip, &media, rules)).await
}

/// Codes a clip anew, when its turn comes: so many at once leave the other cores to other work.
async fn transcode(
    clip: Bytes,
    media: Media,
    rules: ClipRules,
    turns: &Semaphore,
    waiting: &Cell<usize>,
) -> Result<CheckedClip, NotChecked> {
    if waiting.get() >= TRANSCODES_WAITING_MAX {
        return Err(NotChecked::Busy);
    }
    waiting.set(waiting.get() + 1);
    let turn = turns.acquire().await;
    waiting.set(waiting.get() - 1);
    let Ok(_turn) = turn else { return Err(NotChecked::Busy) };
    on_some_thread(false, move || converted(&clip, &media, rules)).await
}

fn converted(clip: &[u8], media: &Media, rules: ClipRules) -> Result<CheckedClip, ClipRefusal> {
    let converted = audio::convert(clip, media, rules.conversion, &rules.limits)?;
    let audio::Converted { clip, media, converted_from } = converted;
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(digest::digest(&digest::SHA256, &clip).as_ref());
    let converted = ConvertedClip { clip: clip.into(), sha256, converted_from };
    Ok(CheckedClip { media, converted: Some(converted) })
}

async fn on_some_thread<T: Send + 'static>(
    on_the_spot: bool,
    work: impl FnOnce() -> Result<T, ClipRefusal> + Send + 'static,
) -> Result<T, NotChecked> {
    if on_the_spot {
        return work().map_err(NotChecked::Refused);
    }
    // The decoders' panics are caught inside; one that still gets here refuses this clip alone.
    let done = tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        Err(ClipRefusal::Undecodable { reason: "the check of the clip crashed".to_owned() })
    });
    done.map_err(NotChecked::Refused)
}
