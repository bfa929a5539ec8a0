//! Making a message durable while it is still on its way, so that its sender may go.

use super::drive::{Drive, Stop};
use crate::domain::{ClipPlace, Code, Event, Step};

impl Drive {
    /// Makes the clip durable, then tells the sender 202. Invariant 1: the clip is synced, then
    /// the commit that says so, then the answer. Does nothing for a message that has ended.
    ///
    /// Where the spool cannot keep the clip, no promise can be made: a message is then failed,
    /// visibly; one whose post is or may be on the wire goes on, and the sender waits for its
    /// outcome.
    pub(super) async fn promise(&mut self) -> Result<(), Stop> {
        if !self.record.stage.is_open() {
            return Ok(());
        }
        if self.record.clip == ClipPlace::Memory
            && let Some(clip) = self.clip.as_ref().map(|clip| clip.bytes.clone())
        {
            if let Err(error) = self.pipeline.parts.spool.keep(self.record.id, clip).await {
                tracing::error!(message.id = %self.record.id, %error, "clip not spooled");
                if !self.has_intent(Step::Post) && !self.record.post_in_doubt {
                    self.fail(Code::StorageLow, error.to_string()).await?;
                }
                return Ok(());
            }
            self.commit(Event::ClipSpooled).await?;
            // The spool has it: its share of memory goes to others.
            self.clip = None;
        }
        if self.record.is_durable() {
            self.answer();
        }
        Ok(())
    }
}
