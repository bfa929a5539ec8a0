//! Changing one record durably: apply the event, commit, and start over on a newer record when
//! somebody else was faster. Drives, JanitorActor and operators all change records this way.

use super::{CommitError, KeyChange, Ledger, ReadError, Transition};
use crate::domain::{Event, IllegalEvent, MessageId, Record, UnixMs};

/// How often a change starts over because others changed the record in between. Two writers at
/// most touch one record (its drive and JanitorActor, or an operator), so this many is a bug.
const CONFLICTS_MAX: u32 = 16;

/// Why a change did not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The event does not fit the record as it is now.
    #[error(transparent)]
    Illegal(#[from] IllegalEvent),
    /// The ledger did not commit.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The ledger could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The record is gone.
    #[error("message {0} is no longer in the ledger")]
    Gone(MessageId),
}

/// Applies `events` to `record` and commits them as one change. When it returns `Ok`, the change
/// is durable and `record` is what the ledger holds. On `Conflict` the record is read again and
/// the events are applied to that; an event that no longer fits ends it with `Illegal`, and
/// `record` is then the newer one.
pub async fn change(
    ledger: &dyn Ledger,
    record: &mut Record,
    events: &[Event],
    now: UnixMs,
) -> Result<(), ChangeError> {
    change_by(ledger, record, |_| events.to_vec(), now).await.map(drop)
}

/// Like [`change`], for events that depend on what the record is by the time they are committed:
/// `decide` is asked again for every newer record. Returns the events that were committed.
pub async fn change_by(
    ledger: &dyn Ledger,
    record: &mut Record,
    decide: impl Fn(&Record) -> Vec<Event>,
    now: UnixMs,
) -> Result<Vec<Event>, ChangeError> {
    for _ in 0..CONFLICTS_MAX {
        let events = decide(record);
        let transition = transition(record, &events, now)?;
        let mut changed = transition.record.clone();
        match ledger.commit(vec![transition]).await {
            Ok(committed) => {
                if let Some(committed) = committed.first() {
                    changed.version = committed.version;
                }
                *record = changed;
                return Ok(events);
            }
            Err(CommitError::Conflict { .. }) => {
                let id = record.id;
                *record = ledger.find(id).await?.ok_or(ChangeError::Gone(id))?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    let expected_version = record.version;
    Err(CommitError::Conflict { id: record.id, expected_version }.into())
}

/// Changes several records in one commit, each by the event that `event` gives for it: all or none.
/// Does not start over on a conflict; what to do without the record that has changed is the
/// caller's decision. When it returns `Ok`, the changes are durable and `records` hold them.
pub async fn change_together(
    ledger: &dyn Ledger,
    records: &mut [Record],
    event: impl Fn(&Record) -> Event,
    now: UnixMs,
) -> Result<(), ChangeError> {
    let transitions = records.iter().map(|record| transition(record, &[event(record)], now));
    let transitions = transitions.collect::<Result<Vec<_>, _>>()?;
    let changed: Vec<Record> = transitions.iter().map(|t| t.record.clone()).collect();
    let committed = ledger.commit(transitions).await?;
    for ((record, changed), committed) in records.iter_mut().zip(changed).zip(committed) {
        *record = Record { version: committed.version, ..changed };
    }
    Ok(())
}

fn transition(record: &Record, events: &[Event], now: UnixMs) -> Result<Transition, IllegalEvent> {
    let mut changed = record.clone();
    let mut name = "";
    let mut details = Vec::new();
    for event in events {
        changed.apply(event, now)?;
        name = event.name();
        details.extend(event.detail());
    }
    let untold = events.iter().any(Event::ends_untold);
    Ok(Transition {
        // One that may stand keeps its key, so that the sender's repeat learns of it.
        key: (untold && !changed.may_stand()).then_some(KeyChange::Release),
        record: changed,
        expected_version: Some(record.version),
        event: name,
        detail: (!details.is_empty()).then(|| details.join("; ")),
        at: now,
    })
}
