//! Going on after a start: the rows say where.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Pipeline;
use super::lanes::Seat;
use super::parking::Until;
use crate::domain::{ClipPlace, MessageId, Record, Stage, UnixMs, recover, recover_elsewhere};
use crate::ledger::{ChangeError, change};
use crate::spool::SpoolError;

/// Records read from the ledger at once.
const PAGE: u32 = 256;

/// Why recovery did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// A record could not be read or settled.
    #[error(transparent)]
    Ledger(#[from] ChangeError),
    /// The spool could not be read.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// What the start found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Messages that the pipeline goes on with.
    pub unfinished: usize,
    /// Spool files that no record counts on, deleted.
    pub spool_strays: usize,
}

impl Pipeline {
    /// Settles what the last process left unfinished and queues it. When it returns, every
    /// message has its place in its lane, and new messages of the lane come after it. Must run on
    /// the engine.
    pub async fn recover(self: &Arc<Self>) -> Result<Recovered, RecoveryError> {
        let mut queue: Vec<(MessageId, Option<Seat>, UnixMs)> = Vec::new();
        let mut kept: HashSet<MessageId> = HashSet::new();
        let mut after_seq = 0;
        loop {
            let page = self.parts.ledger.unfinished(after_seq, PAGE).await;
            let page = page.map_err(ChangeError::from)?;
            let Some(last) = page.last() else { break };
            after_seq = last.accepted_seq;
            for mut record in page {
                let now = self.parts.clock.now();
                let running = self.parts.planner.name();
                let is_of_another_route = record.route != running;
                let events = if is_of_another_route {
                    recover_elsewhere(&record, running, now)
                } else {
                    let lost = self.parts.planner.lost(&record);
                    recover(&record, &lost, &self.parts.rules.keeping, now)
                };
                if !events.is_empty() {
                    change(&*self.parts.ledger, &mut record, &events, now).await?;
                    events.iter().for_each(|event| self.parts.metrics.happened(event));
                    self.owe(&record);
                }
                // A file that no commit knows is a stray, even where its message is known:
                // nobody was told of it, and nothing else would ever delete it.
                if record.clip == ClipPlace::Spooled {
                    kept.insert(record.id);
                }
                if is_of_another_route && (record.stage == Stage::Held || record.intent.is_some()) {
                    if !events.is_empty() {
                        let Record { id, route, .. } = &record;
                        tracing::warn!(message.id = %id, %route, "held: of another route");
                    }
                    continue;
                }
                // An ended message is out of its lane: what is left of it is its clip.
                let seat = record.stage.is_open().then(|| self.seat(&record));
                let at = record.clip_kept_until.filter(|_| seat.is_none()).unwrap_or(now);
                queue.push((record.id, seat, at));
            }
        }
        let recovered =
            Recovered { unfinished: queue.len(), spool_strays: self.delete_strays(&kept).await? };
        let now = self.parts.clock.now();
        for (id, seat, at) in queue {
            self.parked.put(id, seat, Until::Time(at.max(now)), now);
        }
        let pipeline = Arc::clone(self);
        self.engine.spawn(move || pipeline.wake_sleepers());
        Ok(recovered)
    }

    /// Deletes spool files on which no record counts and nobody else. `strays` has those that
    /// earlier sweeps have found, and when first: one that is younger than `age_min` is left, for
    /// the commit that names it may be on its way. Tells how many went.
    pub async fn sweep_spool(
        &self,
        strays: &mut HashMap<MessageId, Instant>,
        age_min: Duration,
    ) -> Result<usize, RecoveryError> {
        let mut found = HashMap::new();
        let mut removed = 0;
        for id in self.parts.spool.list().await? {
            if self.is_spooled(id).await? {
                continue;
            }
            let since = strays.get(&id).copied();
            if since.is_some_and(|since| since.elapsed() >= age_min) {
                self.parts.spool.remove(id).await?;
                removed += 1;
            } else {
                found.insert(id, since.unwrap_or_else(Instant::now));
            }
        }
        *strays = found;
        Ok(removed)
    }

    async fn delete_strays(&self, kept: &HashSet<MessageId>) -> Result<usize, RecoveryError> {
        let mut strays = 0;
        for id in self.parts.spool.list().await? {
            if kept.contains(&id) || self.is_spooled(id).await? {
                continue;
            }
            self.parts.spool.remove(id).await?;
            strays += 1;
        }
        Ok(strays)
    }

    /// Whether a row that needs nothing now still names the clip: a held message's.
    async fn is_spooled(&self, id: MessageId) -> Result<bool, ChangeError> {
        let record = self.parts.ledger.find(id).await?;
        Ok(record.is_some_and(|record| record.clip == ClipPlace::Spooled))
    }

    /// Starts a drive for a message that an operator, or its sender, changed. One that has a drive
    /// is only told to look again: two would make its calls twice.
    pub(super) fn wake(&self, record: &Record) {
        if self.board.nudge(record.id) {
            return;
        }
        let now = self.parts.clock.now();
        self.parked.put(record.id, Some(self.seat(record)), Until::Time(now), now);
    }

    /// Reads a record again that was changed while its drive came to its end, and wakes its message
    /// where it is on its way once more.
    pub(super) async fn look_again(&self, record: Record) -> Record {
        match self.parts.ledger.find(record.id).await {
            Ok(Some(newer)) => {
                if newer.stage.is_open() {
                    self.wake(&newer);
                }
                newer
            }
            Ok(None) => record,
            Err(error) => {
                tracing::error!(message.id = %record.id, %error, "message not read");
                record
            }
        }
    }

    fn seat(&self, record: &Record) -> Seat {
        self.lanes.announce(&record.lane).seat(record.accepted_seq)
    }
}
