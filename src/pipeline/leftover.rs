//! Our own copy of an ended message's clip: it goes at once, or is kept for a while so that a
//! failed message can be replayed.

use std::sync::Arc;

use super::Pipeline;
use super::parking::Until;
use crate::domain::{ClipPlace, Event, Record, Stage};

/// Pause before a clip that could not be removed is tried again.
const REMOVE_PAUSE_MS: i64 = 60_000;

impl Pipeline {
    /// Removes the spooled clip of an ended message, or comes back when it is no longer kept. The
    /// file goes first: a commit that says so and does not come is made up for at the next start.
    pub(super) async fn let_clip_go(self: &Arc<Self>, mut record: Record) {
        let over = !record.stage.is_open() && record.stage != Stage::Held;
        if !over || record.clip != ClipPlace::Spooled {
            return;
        }
        let (id, now) = (record.id, self.parts.clock.now());
        if let Some(until) = record.clip_kept_until.filter(|until| now < *until) {
            self.parked.put(id, None, Until::Time(until), now);
            return;
        }
        let removed = match self.parts.spool.remove(id).await {
            Ok(()) => self.change(&mut record, Event::ClipDropped).await.map_err(|e| e.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = removed {
            tracing::error!(message.id = %id, error, "spooled clip not removed");
            self.parked.put(id, None, Until::Time(now.plus_ms(REMOVE_PAUSE_MS)), now);
        }
    }
}
