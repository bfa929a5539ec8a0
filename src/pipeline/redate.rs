//! Setting right what a clock dated that was ahead. Whether it was ahead, or is behind now, cannot
//! be told from the dates: whoever calls this believes the clock.

use super::Pipeline;
use super::parking::Until;
use crate::domain::{Event, MessageId, Record, UnixMs};
use crate::ledger::{ChangeError, CommitError, change_together};

/// Messages asked for at once.
const PAGE: u32 = 256;

impl Pipeline {
    /// Sets right what lies further in the future than anything that was dated by now: purges,
    /// those that were put off for longer than any wait, and clips that are kept. Tells of how many
    /// messages.
    ///
    /// # Errors
    /// The ledger's; what was set right by then stays so.
    pub async fn redate(&self) -> Result<usize, ChangeError> {
        Ok(self.redate_purges().await? + self.redate_clips().await?)
    }

    async fn redate_purges(&self) -> Result<usize, ChangeError> {
        let now = self.parts.clock.now();
        // Nothing that was posted by now is due later.
        let due_after = self.parts.rules.keeping.due_at(now, false);
        let mut redated = 0;
        loop {
            let page = self.parts.ledger.purges_ahead(now, due_after, PAGE).await?;
            let mut moved = 0;
            for id in page {
                moved += usize::from(self.redate_purges_of(id, now).await?);
            }
            if moved == 0 {
                return Ok(redated);
            }
            redated += moved;
        }
    }

    /// Copies are due as if their message had been posted now; at once, or when the floor is over,
    /// where nobody was to have them for longer.
    async fn redate_purges_of(&self, id: MessageId, now: UnixMs) -> Result<bool, ChangeError> {
        let keeping = &self.parts.rules.keeping;
        let decide = |record: &Record| {
            let unwanted = record.withdrawn || record.posted_at.is_none();
            let due_at = match !record.stage.is_open() && unwanted {
                true => keeping.due_early_at(record, now),
                false => keeping.due_at(now, false),
            };
            record.has_dated_copy().then_some(Event::PurgesRedated { due_at })
        };
        self.redate_one(id, &decide, now).await
    }

    async fn redate_clips(&self) -> Result<usize, ChangeError> {
        let now = self.parts.clock.now();
        let latest = now.plus_seconds(self.parts.rules.keeping.failed_seconds);
        let decide = |record: &Record| {
            let too_long = record.clip_kept_until.is_some_and(|until| until > latest);
            (record.leaves_a_spool_file() && too_long).then_some(Event::ClipKept { until: latest })
        };
        let mut redated = 0;
        for id in self.parked.kept_beyond(latest) {
            if self.redate_one(id, &decide, now).await? {
                self.parked.put(id, None, Until::Time(latest), now);
                redated += 1;
            }
        }
        Ok(redated)
    }

    /// Commits what is decided of the message; whether it was anything.
    async fn redate_one(
        &self,
        id: MessageId,
        decide: &impl Fn(&Record) -> Option<Event>,
        now: UnixMs,
    ) -> Result<bool, ChangeError> {
        let Some(record) = self.parts.ledger.find(id).await? else { return Ok(false) };
        let Some(event) = decide(&record) else { return Ok(false) };
        let mut changed = [record];
        let once = change_together(&*self.parts.ledger, &mut changed, |_| event.clone(), now).await;
        match once {
            Ok(()) => {
                self.changed(&changed[0], &event);
                Ok(true)
            }
            // Somebody else changed it meanwhile. What is still wrong is seen by the next look.
            Err(ChangeError::Commit(CommitError::Conflict { .. })) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
