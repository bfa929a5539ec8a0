//! The waveform of an accepted clip: drawn beside its delivery and written down when that is over,
//! so that it is never in the way. One clip is drawn at a time, at a small share of a core that
//! gets smaller the more messages are on their way; while more come than that can draw, the others
//! stay undrawn.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;

use super::{HeldClip, Pipeline};
use crate::actors::DrawClip;
use crate::domain::{Event, Record};
use crate::ledger::change;

/// Clips that may wait for their turn. Each stays in memory meanwhile, within the budget.
const WAITING_MAX: usize = 16;
/// A turn ends after this many times what its clip took, and once more for every message awake.
/// The time is taken with everything that held the clip up, so that a busy machine draws less.
const PAUSE_FACTOR: u32 = 9;

/// Where clips are drawn.
pub(super) struct Easel {
    places: Arc<Semaphore>,
    turn: Arc<Mutex<()>>,
}

impl Easel {
    /// One that draws, or one that leaves every clip undrawn.
    pub(super) fn new(draws: bool) -> Easel {
        let places = if draws { WAITING_MAX } else { 0 };
        Easel { places: Arc::new(Semaphore::new(places)), turn: Arc::default() }
    }
}

/// Draws the clip of a message that has just been accepted, in a task of its own. One that is in
/// the spool stays undrawn: memory is short.
pub(super) fn draw(pipeline: &Arc<Pipeline>, record: &Record, clip: Option<&HeldClip>) {
    let Some(clip) = clip else { return };
    if pipeline.parts.admission.drain().is_draining() {
        return;
    }
    let Ok(place) = Arc::clone(&pipeline.easel.places).try_acquire_owned() else { return };
    let (clip, media, id) = (clip.clone(), record.media.clone(), record.id);
    let pipeline = Arc::clone(pipeline);
    actix::spawn(async move {
        let turn = Arc::clone(&pipeline.easel.turn).lock_owned().await;
        let started = Instant::now();
        let order = DrawClip { clip: clip.bytes.clone(), media };
        let drawn = pipeline.parts.actors.validator.send(order).await;
        drop((clip, place));
        let awake = u32::try_from(pipeline.board.len()).unwrap_or(u32::MAX);
        let pause: Duration = started.elapsed().saturating_mul(PAUSE_FACTOR.saturating_add(awake));
        actix::spawn(async move {
            tokio::time::sleep(pause).await;
            drop(turn);
        });
        let Ok(Some(waveform)) = drawn else { return };
        if let Some(mut shown) = pipeline.board.follow(id) {
            // Over, or the drive has ended: either way nobody is kept waiting any more.
            let _ = shown.wait_for(|record| !record.stage.is_open()).await;
        }
        let Ok(Some(mut record)) = pipeline.parts.ledger.find(id).await else { return };
        let (now, events) = (pipeline.parts.clock.now(), [Event::ClipAnalysed { waveform }]);
        match change(&*pipeline.parts.ledger, &mut record, &events, now).await {
            Ok(()) => pipeline.board.show(&record),
            Err(error) => tracing::debug!(message.id = %id, %error, "waveform not kept"),
        }
    });
}
