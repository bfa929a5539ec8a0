//! Messages of one lane that go with one call: the head and those that wait right behind it.
//!
//! A message that is ready to be posted, and waits only for its turn, offers to go along. The head
//! takes the offers up when it posts, never waiting for more. One commit fixes the batch; one call
//! carries it; each drive then commits what came of it for its own message. An offer that comes to
//! nothing, because somebody changed one of the records, leaves everything as it was.

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::drive::{Drive, Stop};
use crate::actors::PostMessages;
use crate::domain::{Code, Event, Failure, Outcome, Posted, Record, Step};
use crate::ledger::change_together;

/// What came of the one call for one message, and its record with the intent it went under.
type Ride = (Record, Outcome<Posted>);

/// A message that may go along with the one whose turn it is.
pub(super) struct Offer {
    pub(super) record: Record,
    ride: oneshot::Sender<Ride>,
}

impl Drive {
    /// Waits for this message's turn to post; until then it may go along with the head.
    pub(super) async fn turn_to_post(&mut self) -> Result<(), Stop> {
        let (ride, mut taken) = oneshot::channel();
        let seat = self.seat.clone();
        self.offered = !self.apart;
        if self.offered {
            seat.offer(Offer { record: self.record.clone(), ride });
        }
        let turn = async {
            tokio::select! {
                biased;
                ride = &mut taken => Some(ride),
                () = seat.head() => None,
            }
        };
        let waited = self.await_turn(turn, self.may_sleep()).await;
        if !std::mem::take(&mut self.offered) || self.seat.take_back() {
            return waited.map(drop);
        }
        // The head has taken the offer up: what comes of its call decides.
        let ride = match waited {
            Ok(Some(Some(ride))) => ride,
            Ok(_) | Err(Stop::Parked(_) | Stop::Draining) => self.answered(taken).await?,
            Err(stop) => return Err(stop),
        };
        match ride {
            Ok((record, outcome)) => {
                if record.version > self.record.version {
                    self.record = record;
                }
                self.post_came_to(outcome).await
            }
            // The offer came to nothing; or the head is gone, and nobody knows what it sent.
            Err(_) => {
                self.refresh().await?;
                if !self.has_intent(Step::Post) {
                    return Ok(());
                }
                let detail = "the call that carried the message was given up";
                let failure = Failure::passing(Code::Internal, detail);
                self.post_came_to(Outcome::Unknown(failure)).await
            }
        }
    }

    /// Commits the intent of this message's post, and in the same commit those of the messages
    /// that go along (invariant 2: the batch is fixed before it leaves).
    /// `None`: somebody else changed the message, and nothing may leave.
    pub(super) async fn intend_post(&mut self) -> Result<Option<Vec<Offer>>, Stop> {
        let mut offers = self.take_offers();
        let mut records = vec![self.record.clone()];
        records.extend(offers.iter().map(|offer| offer.record.clone()));
        let now = self.now();
        let pipeline = std::sync::Arc::clone(&self.pipeline);
        let event = |record: &Record| {
            let intent = pipeline.parts.planner.intend(record, Step::Post, now);
            Event::Intended { intent, repeat: false }
        };
        let ledger = &*pipeline.parts.ledger;
        if offers.is_empty() || change_together(ledger, &mut records, event, now).await.is_err() {
            // Offers that come to nothing are dropped first: their drives decide anew.
            offers.clear();
            let intended = self.commit_intent(Step::Post, false).await?;
            // While the ledger was full its sender may have been told that nothing is promised.
            return Ok((intended && !self.disowned).then_some(offers));
        }
        self.record = records.remove(0);
        pipeline.changed(&self.record, &event(&self.record));
        for (offer, record) in offers.iter_mut().zip(records) {
            pipeline.changed(&record, &event(&record));
            offer.record = record;
        }
        Ok(Some(offers))
    }

    fn take_offers(&self) -> Vec<Offer> {
        if self.apart {
            return Vec::new();
        }
        let now = self.now();
        let planner = &self.pipeline.parts.planner;
        let along_max = planner.batch_max().saturating_sub(1);
        self.seat.take_offers(along_max, |record| !planner.upload_outdated(record, now))
    }

    /// Sends the post, with those that go along, and tells each of them what came of it.
    pub(super) async fn send_post(
        &mut self,
        along: Vec<Offer>,
        permit: OwnedSemaphorePermit,
    ) -> Result<(), Stop> {
        let records = std::iter::once(&self.record).chain(along.iter().map(|offer| &offer.record));
        let batch: Vec<_> = records.cloned().map(std::sync::Arc::new).collect();
        let count = batch.len();
        let messenger = self.pipeline.parts.actors.messenger.clone();
        let order = PostMessages { batch };
        let outcome = self.answered(async move { messenger.ask(order, permit).await }).await?;
        let mut outcomes = each(outcome.unwrap_or_else(super::settle::gone), count).into_iter();
        let mine = outcomes.next();
        for (offer, outcome) in along.into_iter().zip(outcomes) {
            // A drive that is gone leaves an intent, which the next start settles.
            let _ = offer.ride.send((offer.record, outcome));
        }
        match mine {
            Some(outcome) => self.post_came_to(outcome).await,
            None => Ok(()),
        }
    }
}

/// What a call for `count` messages came to for each of them.
fn each(outcome: Outcome<Vec<Posted>>, count: usize) -> Vec<Outcome<Posted>> {
    match outcome {
        Outcome::Done(mut posted) => {
            posted.resize(count, Posted::default());
            posted.into_iter().map(Outcome::Done).collect()
        }
        Outcome::Refused(failure) => vec![Outcome::Refused(failure); count],
        Outcome::NotSent(failure) => vec![Outcome::NotSent(failure); count],
        Outcome::Unknown(failure) => vec![Outcome::Unknown(failure); count],
    }
}
