//! Making known what has just been committed: to metrics and log, to the read view, to
//! JanitorActor, and to the sender.

use super::{Answer, Pipeline};
use crate::actors::OwePurge;
use crate::domain::{Code, Ending, Event, Problem, Record, Stage, UnixMs};
use crate::ledger::DueCopy;

/// Seconds after which to ask again for a message of which nobody can tell whether it is posted.
pub(super) const RETRY_AFTER_UNDECIDED_SECONDS: u32 = 5;

impl Pipeline {
    /// Makes a change known that has just been committed.
    pub(super) fn changed(&self, record: &Record, event: &Event) {
        self.parts.metrics.happened(event);
        tracing::info!(
            message.id = %record.id,
            event = event.name(),
            status = record.stage.as_str(),
            detail = event.detail(),
            "message changed"
        );
        if let (Event::Posted { .. }, Some(warning)) = (event, record.warning()) {
            tracing::warn!(message.id = %record.id, warning, "audio dropped");
        }
        self.board.show(record);
        self.owe(record);
    }

    /// Tells JanitorActor what this record owes.
    pub(super) fn owe(&self, record: &Record) {
        let due: Vec<DueCopy> = record
            .copies
            .iter()
            .filter_map(|copy| {
                let at = copy.next_attempt_at?;
                Some(DueCopy { at, id: record.id, ordinal: copy.ordinal })
            })
            .collect();
        if !due.is_empty() {
            self.parts.actors.janitor.tell(OwePurge(due));
        }
    }
}

/// What a repeat is told: where its sender has a 2xx already, trouble that came later is no error
/// of this request, but stands in the receipt.
pub(super) fn answer_to_repeat(record: &Record, now: UnixMs) -> Answer {
    match record.was_promised && record.stage == Stage::Failed {
        true => Answer::Accepted(Box::new(record.receipt(now))),
        false => answer_of(record, now),
    }
}

/// What a sender is told of a message that has ended or is durable.
pub(super) fn answer_of(record: &Record, now: UnixMs) -> Answer {
    let receipt = Box::new(record.receipt(now));
    match (&record.stage, &record.ending) {
        (Stage::Sent, _) => Answer::Delivered(receipt),
        (Stage::Failed, Some(ending)) => {
            Answer::Refused(Box::new(failure(record, ending).about(record.id)))
        }
        _ => Answer::Accepted(receipt),
    }
}

/// What a sender is told of a message that has failed. Where a post of it may stand nobody is to
/// send it again, whether they have a key or not: under the same key nothing else will be
/// answered, and without it, or under another, the conversation may show the message twice and
/// nothing would say so.
fn failure(record: &Record, ending: &Ending) -> Problem {
    match record.may_stand() {
        true => {
            let detail = format!("{}; the message may be posted all the same", ending.detail);
            Problem::new(Code::Undecided, detail).retry_after(RETRY_AFTER_UNDECIDED_SECONDS)
        }
        false => Problem::new(ending.code, ending.detail.clone()),
    }
}
