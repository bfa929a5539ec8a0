//! Setting right what a clock dated that was ahead. Whether it was ahead, or is behind now, cannot
//! be told from the dates: it is done by a clock that is believed.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Pipeline;
use super::parking::Until;
use crate::domain::{Credence, DOUBT, Event, MessageId, Record, UnixMs};
use crate::ledger::{ChangeError, CommitError, change_together};

/// How often it is looked for such dates.
const LOOK: Duration = Duration::from_secs(600);
/// Messages asked for at once.
const PAGE: u32 = 256;

impl Pipeline {
    /// Sets right what lies further in the future than anything that was dated by now, for as long
    /// as it is polled: purges, those that were put off for longer than any wait, and clips that
    /// are kept. What the ledger does not let be set right is logged, and left for the next look.
    pub async fn keep_dates_right(self: Arc<Self>) {
        let begun = Instant::now();
        let mut credence = Credence::new(self.parts.clock.now(), DOUBT);
        loop {
            tokio::time::sleep(LOOK).await;
            if !credence.is_believed(self.parts.clock.now(), begun.elapsed()) {
                continue;
            }
            let messages = self.redate_purges().await + self.redate_clips().await;
            if messages > 0 {
                tracing::warn!(messages, "redated: the clock was ahead");
            }
        }
    }

    async fn redate_purges(&self) -> usize {
        let mut redated = 0;
        loop {
            let now = self.parts.clock.now();
            // Nothing that was posted by now is due later.
            let due_after = self.parts.rules.keeping.due_at(now, false);
            let page = self.parts.ledger.purges_ahead(now, due_after, PAGE).await;
            let page = page.unwrap_or_else(|error| {
                tracing::error!(%error, "not looked for purges of a wrong clock");
                Vec::new()
            });
            let mut moved = 0;
            for id in page {
                let keeping = &self.parts.rules.keeping;
                moved += usize::from(
                    self.redate_one(id, |record, now| keeping.redated(record, now)).await,
                );
            }
            if moved == 0 {
                return redated;
            }
            redated += moved;
        }
    }

    async fn redate_clips(&self) -> usize {
        let now = self.parts.clock.now();
        let latest = now.plus_seconds(self.parts.rules.keeping.failed_seconds);
        let decide = |record: &Record, _| {
            let too_long = record.clip_kept_until.is_some_and(|until| until > latest);
            (record.leaves_a_spool_file() && too_long).then_some(Event::ClipKept { until: latest })
        };
        let mut redated = 0;
        for id in self.parked.kept_beyond(latest) {
            if self.redate_one(id, decide).await {
                self.parked.put(id, None, Until::Time(latest), now);
                redated += 1;
            }
        }
        redated
    }

    /// Commits what is decided of the message as it is now; whether it was anything.
    async fn redate_one(
        &self,
        id: MessageId,
        decide: impl Fn(&Record, UnixMs) -> Option<Event>,
    ) -> bool {
        match self.try_to_redate(id, decide).await {
            Ok(redated) => redated,
            // Somebody else changed it meanwhile. What is still wrong is seen by the next look.
            Err(ChangeError::Commit(CommitError::Conflict { .. })) => false,
            Err(error) => {
                tracing::error!(message.id = %id, %error, "dates of a wrong clock not set right");
                false
            }
        }
    }

    async fn try_to_redate(
        &self,
        id: MessageId,
        decide: impl Fn(&Record, UnixMs) -> Option<Event>,
    ) -> Result<bool, ChangeError> {
        let Some(record) = self.parts.ledger.find(id).await? else { return Ok(false) };
        // Later than whatever the record says that a right clock dated.
        let now = self.parts.clock.now();
        let Some(event) = decide(&record, now) else { return Ok(false) };
        let mut changed = [record];
        change_together(&*self.parts.ledger, &mut changed, |_| event.clone(), now).await?;
        self.changed(&changed[0], &event);
        Ok(true)
    }
}
