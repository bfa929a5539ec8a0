//! Making a message durable while it is still on its way, so that its sender may go.

use super::Answer;
use super::drive::{Drive, Stop};
use super::known::RETRY_AFTER_UNDECIDED_SECONDS;
use crate::domain::{ClipPlace, Code, Event, Problem, Step, UnixMs};
use crate::spool::SpoolError;

/// What a sender is told while the ledger has no room.
const DISK_FULL: &str = "the ledger's disk is full";
/// What a sender is told while nobody can write down what became of a post.
const UNDECIDED: &str = "the message may be posted, and it cannot be written down whether it is";

impl Drive {
    /// When the copies of an upload that is too old must go.
    pub(super) fn due_outdated_at(&self) -> UnixMs {
        self.pipeline.parts.rules.keeping.due_outdated_at(&self.record, self.now())
    }

    /// Makes the clip durable, then tells the sender 202. Invariant 1: the clip is synced, then
    /// the commit that says so, then the answer. Does nothing for a message that has ended.
    pub(super) async fn promise(&mut self) -> Result<(), Stop> {
        self.keep_clip().await?;
        if self.record.stage.is_open() {
            match self.record.is_durable() {
                true => self.answer(),
                false => self.let_sender_come_back(),
            }
        }
        Ok(())
    }

    /// Nothing can be promised of a message whose post is or may be on the wire, nor can it be
    /// refused. A sender who has waited as long as they wanted to is told to ask again: under their
    /// key, or for the message alone, since a second request without a key is a second message.
    fn let_sender_come_back(&mut self) {
        let Some(sender) = self.sender.take_if(|sender| sender.waited()) else { return };
        let code = if sender.has_key { Code::InProgress } else { Code::Undecided };
        let problem = Problem::new(code, UNDECIDED)
            .about(self.record.id)
            .retry_after(RETRY_AFTER_UNDECIDED_SECONDS);
        // A sender that hung up can ask as well.
        let _ = sender.answer.send(Answer::Refused(Box::new(problem)));
    }

    /// Makes the clip durable.
    ///
    /// Where the spool cannot keep the clip, no promise can be made: a message is then failed,
    /// visibly; one whose post is or may be on the wire goes on, and the sender waits for its
    /// outcome as long as they want to.
    pub(super) async fn keep_clip(&mut self) -> Result<(), Stop> {
        if !self.record.stage.is_open() || self.record.clip != ClipPlace::Memory {
            return Ok(());
        }
        let Some(clip) = self.clip.as_ref().map(|clip| clip.bytes.clone()) else { return Ok(()) };
        if let Err(error) = self.pipeline.parts.spool.keep(self.record.id, clip).await {
            tracing::error!(message.id = %self.record.id, %error, "clip not spooled");
            let full = error == SpoolError::Full;
            let code = if full { Code::StorageLow } else { Code::StorageFailed };
            if !self.has_intent(Step::Post) && !self.record.post_in_doubt {
                self.fail(code, error.to_string()).await?;
            }
            return Ok(());
        }
        self.commit(Event::ClipSpooled).await?;
        if self.record.clip != ClipPlace::Spooled {
            // Somebody ended the message meanwhile: a file that no row names must not stay.
            self.pipeline.remove_clip(self.record.id).await;
        }
        // The spool has it, or nobody needs it: its share of memory goes to others.
        self.clip = None;
        Ok(())
    }

    /// The ledger has no room, and nobody knows for how long: the sender is told so. Nothing is
    /// promised, so the message will not be delivered, unless a post is or may be on the wire.
    pub(super) fn let_sender_go_unpromised(&mut self) {
        if self.record.is_durable() {
            return self.answer();
        }
        if self.has_intent(Step::Post) || self.record.may_stand() {
            return self.let_sender_come_back();
        }
        // One that offers to go along must not be taken along any more; one that is taken along is
        // decided by what comes of it.
        if self.offered && !self.seat.take_back() {
            return;
        }
        if let Some(sender) = self.sender.take() {
            self.disowned = true;
            let problem = Problem::new(Code::StorageLow, DISK_FULL).about(self.record.id);
            // A sender that hung up is promised as little.
            let _ = sender.answer.send(Answer::Refused(Box::new(problem)));
        }
    }

    /// Ends a message whose sender was told that nothing is promised; its call, if one was intended
    /// meanwhile, has not left.
    pub(super) async fn disown(&mut self) -> Result<(), Stop> {
        self.drop_intent().await?;
        self.fail(Code::StorageLow, DISK_FULL.to_owned()).await
    }
}
