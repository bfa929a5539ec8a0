//! The waveform of an accepted clip: drawn beside its delivery and written down when that is over,
//! so that it is never in the way. While the process is busy clips stay undrawn.

use std::sync::Arc;

use super::{HeldClip, Pipeline};
use crate::actors::DrawClip;
use crate::domain::{Event, Record};
use crate::ledger::change;

/// Requests under way above which the cores are wanted for other things.
const REQUESTS_MAX: usize = 8;

/// Draws the clip of a message that has just been accepted, in a task of its own. The clip stays in
/// memory for that, within its budget: one clip at a time. One that is in the spool stays undrawn:
/// memory is short.
pub(super) fn draw(pipeline: &Arc<Pipeline>, record: &Record, clip: Option<&HeldClip>) {
    let Some(clip) = clip.cloned() else { return };
    let admission = pipeline.admission();
    if admission.requests_in_flight() > REQUESTS_MAX || admission.drain().is_draining() {
        return;
    }
    let (pipeline, id, media) = (Arc::clone(pipeline), record.id, record.media.clone());
    actix::spawn(async move {
        let order = DrawClip { clip: clip.bytes.clone(), media };
        let drawn = pipeline.parts.actors.validator.send(order).await;
        drop(clip);
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
