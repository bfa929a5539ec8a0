//! What senders and operators may ask of a message, once it is accepted.

use std::sync::Arc;

use serde::Serialize;

use super::{Pipeline, WaitsFor};
use crate::actors::RenewToken;
use crate::domain::{
    ClipPlace, Code, CopyKind, CopyState, Ending, Event, MessageId, Principal, Problem, PurgeState,
    Receipt, Record, Retention, Stage, UnixMs, withdrawal,
};
use crate::ledger::{
    AfterDue, ChangeError, CommitError, DueCopy, HistoryRow, change, change_together,
};

/// How often what was asked for is decided anew because the message moved on meanwhile.
const DECISIONS_MAX: u32 = 8;

/// A kept clip that goes within this time is not replayed any more: its removal may have begun.
const REPLAY_MARGIN_MS: i64 = 5_000;

/// A purge that is still owed, as an operator sees it.
#[derive(Clone, Debug, Serialize)]
pub struct PurgeOwed {
    /// The message.
    pub id: MessageId,
    /// The copy's number within it.
    pub ordinal: u32,
    /// What kind of place it is.
    pub kind: CopyKind,
    /// When it must be deleted.
    pub due_at: Option<UnixMs>,
    /// When JanitorActor looks at it next.
    pub next_attempt_at: Option<UnixMs>,
    /// Failed tries of the call that is owed next.
    pub attempts: u32,
    /// Where its retention call stands.
    pub retention: Retention,
    /// Why the last try did not succeed.
    pub last_error: Option<String>,
    /// What it waits for now.
    pub waits_for: WaitsFor,
}

impl Pipeline {
    /// The record of a message, if it is this principal's; `None` asks as an operator.
    pub async fn find(
        &self,
        id: MessageId,
        principal: Option<&Principal>,
    ) -> Result<Record, Problem> {
        let shown = self.board.find(id).map(|record| Record::clone(&record));
        let record = match shown {
            Some(record) => Some(record),
            None => self.parts.ledger.find(id).await.map_err(internal)?,
        };
        let theirs = |record: &Record| principal.is_none_or(|who| *who == record.principal);
        record.filter(theirs).ok_or_else(|| not_found(id))
    }

    /// What a caller may know of a record now.
    pub fn receipt(&self, record: &Record) -> Receipt {
        record.receipt(self.parts.clock.now())
    }

    /// Withdraws a message: never posted where that can still be, and its audio deleted as soon as
    /// it may be. `true`: everything is proven gone already.
    pub async fn withdraw(
        self: &Arc<Self>,
        id: MessageId,
        principal: &Principal,
    ) -> Result<(Receipt, bool), Problem> {
        // The board may be a commit behind; what is changed is read from the ledger.
        let record = self.read(id).await?;
        if record.principal != *principal {
            return Err(not_found(id));
        }
        self.withdraw_record(record).await
    }

    /// The same, whoever sent the message.
    pub(super) async fn withdraw_as_operator(
        self: &Arc<Self>,
        id: MessageId,
    ) -> Result<(Receipt, bool), Problem> {
        let record = self.read(id).await?;
        self.withdraw_record(record).await
    }

    async fn withdraw_record(
        self: &Arc<Self>,
        mut record: Record,
    ) -> Result<(Receipt, bool), Problem> {
        let id = record.id;
        let mut was_held = false;
        let mut decisions = 0;
        loop {
            let now = self.parts.clock.now();
            let Some(event) = withdrawal(&record, &self.parts.rules.keeping, now) else { break };
            if decisions == DECISIONS_MAX {
                let detail = format!("message {id} changes all the time; try again");
                return Err(Problem::new(Code::Busy, detail).about(id));
            }
            decisions += 1;
            was_held = record.stage == Stage::Held;
            match self.change_as_it_is(record, event).await? {
                Ok(changed) => {
                    record = changed;
                    break;
                }
                // Somebody else was faster; what is left to do is decided by the newer record.
                Err(newer) => record = newer,
            }
        }
        self.board.nudge(id);
        self.parked.wake(id);
        if was_held {
            self.wake(&record);
        }
        let now = self.parts.clock.now();
        let purged = record.purge_state(now) == PurgeState::Purged && record.intent.is_none();
        Ok((record.receipt(now), purged))
    }

    /// Purges a message's copies as soon as they may be.
    pub async fn purge_now(&self, id: MessageId) -> Result<Receipt, Problem> {
        let mut record = self.read(id).await?;
        if record.stage.is_open() || record.stage == Stage::Held {
            let detail =
                format!("message {id} is {}; its copies are in use", record.stage.as_str());
            return Err(Problem::new(Code::WrongState, detail).about(id));
        }
        self.hasten(&mut record).await?;
        // A clip that was kept to be replayed goes as well.
        self.parked.wake(id);
        Ok(self.receipt(&record))
    }

    /// Lets a held message go on where it was, by an operator's decision. Its time begins anew; a
    /// post whose answer was lost is made again, and marked.
    pub async fn release(self: &Arc<Self>, id: MessageId) -> Result<Receipt, Problem> {
        let mut record = self.read(id).await?;
        if record.stage != Stage::Held {
            let detail = format!("message {id} is {}, not held", record.stage.as_str());
            return Err(Problem::new(Code::WrongState, detail).about(id));
        }
        self.check_route(&record)?;
        let seconds = self.parts.rules.expires_after_seconds;
        let expires_at = self.parts.clock.now().plus_seconds(seconds);
        let released = self.change(&mut record, Event::Released { expires_at }).await;
        released.map_err(|error| overtaken(id, error))?;
        tracing::warn!(message.id = %id, "held message released by an operator");
        self.wake(&record);
        Ok(self.receipt(&record))
    }

    /// Refuses to send on what another route accepted.
    fn check_route(&self, record: &Record) -> Result<(), Problem> {
        let Record { id, route, .. } = record;
        let running = self.parts.planner.name();
        if *route == running {
            return Ok(());
        }
        let detail =
            format!("message {id} is of the route {route}, and this gateway runs {running}");
        Err(Problem::new(Code::OtherRoute, detail).about(*id))
    }

    /// Holds a message on its way until it is released, by an operator's decision. Its sender must
    /// have been told 202 and no call of it may be on the wire: else it is refused, and may be
    /// asked for again.
    pub async fn hold(self: &Arc<Self>, id: MessageId, reason: String) -> Result<Receipt, Problem> {
        let mut record = self.read(id).await?;
        let ending = Ending { code: Code::OnHold, detail: reason };
        for _ in 0..DECISIONS_MAX {
            holdable(&record)?;
            match self.change_as_it_is(record, Event::Held { ending: ending.clone() }).await? {
                Ok(held) => {
                    tracing::warn!(message.id = %id, "message held by an operator");
                    self.board.nudge(id);
                    self.parked.wake(id);
                    return Ok(self.receipt(&held));
                }
                Err(newer) => record = newer,
            }
        }
        Err(unfit(id, format!("message {id} moves on all the time; try again")))
    }

    /// Has a failed message delivered anew, with the clip that is still kept. Its time begins anew.
    pub async fn replay(self: &Arc<Self>, id: MessageId) -> Result<Receipt, Problem> {
        let mut record = self.read(id).await?;
        let now = self.parts.clock.now();
        let kept =
            record.clip_kept_until.is_some_and(|until| now.plus_ms(REPLAY_MARGIN_MS) < until);
        if record.stage != Stage::Failed || record.clip != ClipPlace::Spooled || !kept {
            let detail = match record.stage {
                Stage::Failed => format!("message {id} has failed, and its clip is not kept"),
                stage => format!("message {id} is {}, not failed", stage.as_str()),
            };
            return Err(Problem::new(Code::WrongState, detail).about(id));
        }
        self.check_route(&record)?;
        let expires_at = now.plus_seconds(self.parts.rules.expires_after_seconds);
        let replayed = self.change(&mut record, Event::Replayed { expires_at }).await;
        replayed.map_err(|error| overtaken(id, error))?;
        tracing::warn!(message.id = %id, "failed message replayed by an operator");
        self.wake(&record);
        Ok(self.receipt(&record))
    }

    /// Stops trying to purge a copy, by an operator's recorded decision.
    pub async fn give_up(
        &self,
        id: MessageId,
        ordinal: u32,
        reason: String,
    ) -> Result<Receipt, Problem> {
        let mut record = self.read(id).await?;
        let owed = record.copies.iter().any(|c| c.ordinal == ordinal && c.state == CopyState::Owed);
        if !owed || record.stage.is_open() {
            let detail = format!("message {id} has no copy {ordinal} whose purge can be given up");
            return Err(Problem::new(Code::WrongState, detail).about(id));
        }
        let event = Event::CopyGivenUp { ordinal, reason };
        self.change(&mut record, event).await.map_err(|error| overtaken(id, error))?;
        tracing::warn!(message.id = %id, copy.ordinal = ordinal, "purge given up by an operator");
        Ok(self.receipt(&record))
    }

    /// Purges still owed, the earliest first.
    pub async fn purges_owed(
        &self,
        after: AfterDue,
        limit: u32,
    ) -> Result<Vec<PurgeOwed>, Problem> {
        let due = self.parts.ledger.due_copies(after, limit).await.map_err(internal)?;
        let mut owed = Vec::with_capacity(due.len());
        for DueCopy { id, ordinal, .. } in due {
            let Some(record) = self.parts.ledger.find(id).await.map_err(internal)? else {
                continue;
            };
            let Some(copy) = record.copies.iter().find(|copy| copy.ordinal == ordinal) else {
                continue;
            };
            owed.push(PurgeOwed {
                id,
                ordinal,
                kind: copy.kind,
                due_at: copy.due_at,
                next_attempt_at: copy.next_attempt_at,
                attempts: copy.attempts,
                retention: copy.retention,
                last_error: copy.last_error.clone(),
                waits_for: self.purge_waits_for(&record, copy),
            });
        }
        Ok(owed)
    }

    /// The history of one message, oldest first.
    pub async fn history(&self, id: MessageId, limit: u32) -> Result<Vec<HistoryRow>, Problem> {
        self.read(id).await?;
        self.parts.ledger.history_after(Some(id), 0, limit).await.map_err(internal)
    }

    /// Exchanges the credentials for a new token now; `Err` says why there is none.
    pub async fn refresh_token(&self) -> Result<u64, Problem> {
        let view = self.parts.actors.token_view.borrow().clone();
        let stale_version = view.token.map_or(0, |token| token.version);
        let renewed =
            self.parts.actors.token.send(RenewToken { stale_version, at_once: true }).await;
        match renewed.map_err(internal)? {
            Ok(token) => Ok(token.version),
            Err(failure) => Err(Problem::new(failure.code, failure.detail).retry_after(5)),
        }
    }

    /// Messages waiting for an operator, the oldest first.
    pub async fn held(&self, limit: u32) -> Result<Vec<Record>, Problem> {
        self.parts.ledger.held(limit).await.map_err(internal)
    }

    async fn hasten(&self, record: &mut Record) -> Result<(), Problem> {
        if !record.has_audio_left() || record.stage == Stage::Held {
            return Ok(());
        }
        let now = self.parts.clock.now();
        let due_at = self.parts.rules.keeping.due_early_at(record, now);
        let id = record.id;
        let hastened = self.change(record, Event::PurgeHastened { due_at }).await;
        hastened.map_err(|error| overtaken(id, error))
    }

    /// Commits an event that was decided by just this version of the record; `Err`: the newer one.
    async fn change_as_it_is(
        &self,
        record: Record,
        event: Event,
    ) -> Result<Result<Record, Record>, Problem> {
        let id = record.id;
        let (now, ledger) = (self.parts.clock.now(), &*self.parts.ledger);
        let mut records = [record];
        match change_together(ledger, &mut records, |_| event.clone(), now).await {
            Ok(()) => {
                let [record] = records;
                self.changed(&record, &event);
                Ok(Ok(record))
            }
            Err(ChangeError::Commit(CommitError::Conflict { .. })) => {
                Ok(Err(self.read(id).await?))
            }
            Err(error) => Err(refused(error)),
        }
    }

    pub(super) async fn change(
        &self,
        record: &mut Record,
        event: Event,
    ) -> Result<(), ChangeError> {
        let events = [event];
        let now = self.parts.clock.now();
        change(&*self.parts.ledger, record, &events, now).await?;
        self.parts.metrics.happened(&events[0]);
        self.board.show(record);
        self.owe(record);
        Ok(())
    }

    async fn read(&self, id: MessageId) -> Result<Record, Problem> {
        let record = self.parts.ledger.find(id).await.map_err(internal)?;
        record.ok_or_else(|| not_found(id))
    }
}

/// Whether a message may be held now: its sender has a 202, and no call of it is on the wire.
fn holdable(record: &Record) -> Result<(), Problem> {
    let id = record.id;
    let wrong = |detail: String| Err(unfit(id, detail));
    if !record.stage.is_open() {
        return wrong(format!("message {id} is {}", record.stage.as_str()));
    }
    if record.clip != ClipPlace::Spooled {
        return wrong(format!("the sender of message {id} still waits for its answer"));
    }
    match &record.intent {
        Some(intent) => {
            let step = intent.step.as_str();
            wrong(format!("the {step} of message {id} is on the wire; try again"))
        }
        None => Ok(()),
    }
}

fn unfit(id: MessageId, detail: String) -> Problem {
    Problem::new(Code::WrongState, detail).about(id)
}

fn not_found(id: MessageId) -> Problem {
    Problem::new(Code::MessageNotFound, format!("there is no voice message {id}"))
}

pub(super) fn internal(error: impl std::fmt::Display) -> Problem {
    Problem::new(Code::Internal, error.to_string())
}

/// An order that came together with another change of the message: it fitted the record as it was
/// read, and no longer fits the one that is there now.
fn overtaken(id: MessageId, error: ChangeError) -> Problem {
    match error {
        ChangeError::Illegal(_) | ChangeError::Commit(CommitError::Conflict { .. }) => {
            unfit(id, format!("message {id} has just changed; look at it and try again"))
        }
        ChangeError::Gone(id) => not_found(id),
        error => refused(error),
    }
}

pub(super) fn refused(error: ChangeError) -> Problem {
    let code = match &error {
        ChangeError::Commit(CommitError::StorageFull) => Code::StorageLow,
        _ => Code::Internal,
    };
    Problem::new(code, error.to_string())
}
