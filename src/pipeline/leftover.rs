//! Our own copy of an ended message's clip: it goes at once, or is kept for a while so that a
//! failed message can be replayed.

use std::sync::Arc;

use super::Pipeline;
use super::parking::Until;
use crate::domain::{Event, Record};

/// Pause before a clip that could not be removed is tried again.
const REMOVE_PAUSE_MS: i64 = 60_000;

impl Pipeline {
    /// Removes the spooled clip of an ended message, or comes back when it is no longer kept. The
    /// file goes first: a commit that says so and does not come is made up for at the next start.
    /// One that cannot be removed is tried again, and its receipt says so.
    pub(super) async fn let_clip_go(self: &Arc<Self>, mut record: Record) {
        if !record.leaves_a_spool_file() {
            return;
        }
        let (id, now) = (record.id, self.parts.clock.now());
        if let Some(until) = record.clip_kept_until.filter(|until| now < *until) {
            self.parked.put(id, None, Until::Time(until), now);
            return;
        }
        let removed = self.parts.spool.remove(id).await;
        if let Err(error) = &removed {
            tracing::error!(message.id = %id, %error, "spooled clip not removed");
        }
        let event = match &removed {
            Ok(()) => Some(Event::ClipDropped),
            // Once it is stuck, one more try is nothing new: the history stays short.
            Err(_) if record.clip_is_stuck() => None,
            Err(error) => Some(Event::ClipDropDeferred { detail: error.to_string() }),
        };
        let written = match event {
            Some(event) => self.change(&mut record, event).await,
            None => Ok(()),
        };
        if let Err(error) = &written {
            tracing::error!(message.id = %id, %error, "what became of a spooled clip not kept");
        }
        if removed.is_err() || written.is_err() {
            self.parked.put(id, None, Until::Time(now.plus_ms(REMOVE_PAUSE_MS)), now);
        }
    }
}
