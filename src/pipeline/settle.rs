//! The steps of a drive that have an effect at Genesys, and what their outcomes make of a message.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::OwnedSemaphorePermit;

use super::HeldClip;
use super::clip::read_back;
use super::drive::{Drive, Stop, draining};
use super::parking::{PARK_AFTER, Until};
use crate::actors::{AskError, LookUpPost, UploadClip};
use crate::domain::{
    ClipPlace, Code, Ending, Event, Failure, Found, Intent, Outcome, Posted, Record, Retry, Step,
    UnixMs,
};
use crate::settings::OnUnknown;
use crate::spool::SpoolError;

/// Attempts at a post and its look-up after which nobody waits for the look-up any more.
const LOOK_UP_ATTEMPTS_MAX: u32 = 12;

/// How a wait for a turn ended.
enum Waited<T> {
    /// The turn came.
    Turn(T),
    /// There is something else to decide.
    Enough,
    /// Somebody else changed the record.
    Nudged,
    /// The message may as well sleep.
    TooLong,
}

impl Drive {
    /// Uploads the clip. The intent is durable before the call leaves (invariant 2).
    pub(super) async fn upload(&mut self) -> Result<(), Stop> {
        if !self.seat.is_near_head() {
            return self.turn_to_upload().await;
        }
        let Some(permit) = self.permit(Step::Upload).await? else { return Ok(()) };
        let Some(clip) = self.clip().await? else { return Ok(()) };
        let clip = match clip {
            Ok(clip) => clip,
            Err(SpoolError::Missing(_)) => {
                let detail = "the clip is no longer there to be uploaded".to_owned();
                return self.fail(Code::Internal, detail).await;
            }
            Err(SpoolError::Damaged(_)) => {
                let detail = "the clip that is there is not the one that was accepted".to_owned();
                return self.fail(Code::Internal, detail).await;
            }
            // Out of descriptors, a disk that went away: the clip is still promised to be sent.
            Err(error) => return self.deferred(unreadable(&error)).await,
        };
        if !self.has_intent(Step::Upload) && !self.commit_intent(Step::Upload, false).await? {
            return Ok(());
        }
        let order = UploadClip { record: Arc::new(self.record.clone()), clip: clip.bytes.clone() };
        let uploader = self.pipeline.parts.actors.uploader.clone();
        let outcome = self.answered(async move { uploader.ask(order, permit).await }).await?;
        drop(clip);
        match outcome.unwrap_or_else(gone) {
            Outcome::Done(copies) => {
                self.permit = self.permit_to_post_at_once();
                let post = self.permit.is_some().then(|| self.intend(Step::Post));
                self.commit(Event::Uploaded { copies, post }).await
            }
            Outcome::Refused(failure) | Outcome::NotSent(failure) => self.deferred(failure).await,
            Outcome::Unknown(failure) => {
                let copies = self.pipeline.parts.planner.lost(&self.record);
                let next_attempt_at = self.next_attempt_at(failure.retry);
                let code = failure.code;
                let crashed = false;
                self.commit(Event::UploadLost { code, copies, next_attempt_at, crashed }).await
            }
        }
    }

    /// A permit to post together with the upload's commit: it is the message's turn and it would go
    /// alone. A post in doubt is settled before anything is posted again; a drain starts none.
    fn permit_to_post_at_once(&self) -> Option<OwnedSemaphorePermit> {
        let draining = self.pipeline.parts.admission.drain().is_draining();
        let alone = self.seat.is_head() && !self.seat.has_company();
        let may_post = alone && !self.record.post_in_doubt && !draining;
        may_post.then(|| self.pipeline.parts.actors.messenger.try_permit()).flatten()
    }

    /// Posts the message when its turn has come, and with it those that wait right behind it.
    pub(super) async fn post(&mut self) -> Result<(), Stop> {
        if !self.has_intent(Step::Post) && !self.seat.is_head() {
            return self.turn_to_post().await;
        }
        let Some(permit) = self.permit(Step::Post).await? else { return Ok(()) };
        if self.has_intent(Step::Post) {
            return self.send_post(Vec::new(), permit).await;
        }
        // The permit may have taken its time: the upload must still be young enough.
        if self.upload_outdated() {
            self.permit = Some(permit);
            return Ok(());
        }
        match self.intend_post().await? {
            Some(along) => self.send_post(along, permit).await,
            None => Ok(()),
        }
    }

    /// A post's answer was lost: look it up, then go by what is found (invariant 3).
    pub(super) async fn settle(&mut self) -> Result<(), Stop> {
        if !self.seat.is_head() {
            return self.turn_to_settle().await;
        }
        let look_ups = self.pipeline.parts.actors.look_ups.clone();
        let permits = look_ups.clone();
        let permit = match self.await_turn(async move { permits.permit().await }, false).await? {
            Some(Ok(permit)) => permit,
            // The actor is gone, and the process is about to end.
            Some(Err(_)) => return Err(Stop::Draining),
            None => return Ok(()),
        };
        let conversation_id = self.last_conversation().await;
        let order = LookUpPost { record: Arc::new(self.record.clone()), conversation_id };
        let found = self.answered(async move { look_ups.ask(order, permit).await }).await?;
        match found.unwrap_or(Found::CannotTell) {
            Found::Yes(posted) => self.posted(posted).await,
            Found::No => self.commit(Event::PostDisproved).await,
            Found::Later(failure) => self.look_up_later(failure).await,
            Found::CannotTell => self.unsettled().await,
        }
    }

    /// The look-up was not answered now. It is repeated while there is time; a withdrawn message
    /// waits for nothing, and of one whose clip is lost nobody was promised more.
    async fn look_up_later(&mut self, failure: Failure) -> Result<(), Stop> {
        let record = &self.record;
        let next_attempt_at = self.next_attempt_at(failure.retry);
        let waits = !record.withdrawn
            && !self.clip_is_lost()
            && record.attempts < LOOK_UP_ATTEMPTS_MAX
            && next_attempt_at < record.expires_at;
        match waits {
            true => self.commit(self.put_off(&failure)).await,
            false => self.unsettled().await,
        }
    }

    /// Where the guest's messages went last; only routes that look posts up have such a place.
    async fn last_conversation(&self) -> Option<String> {
        let Record { route, lane, .. } = &self.record;
        if !route.has_a_lane_for_each_guest() {
            return None;
        }
        let found = self.pipeline.parts.ledger.last_conversation(lane.clone()).await;
        found.unwrap_or_else(|error| {
            tracing::error!(%error, "the lane's conversation cannot be read");
            None
        })
    }

    /// Nobody can tell whether the post in doubt has happened.
    async fn unsettled(&mut self) -> Result<(), Stop> {
        // The clip went with the process that held it, and nobody was told a 2xx: repeating could
        // double what the sender will send again.
        if self.clip_is_lost() {
            let keeping = self.pipeline.parts.rules.keeping;
            let event = crate::domain::interrupted(&self.record, &keeping, self.now());
            return self.commit(event).await;
        }
        // The sender wants it gone: posting it once more would make sure that it is there.
        if self.record.withdrawn {
            let detail = "withdrawn, and the answer to its post was lost".to_owned();
            return self.fail(Code::GenesysAnswerLost, detail).await;
        }
        match self.pipeline.parts.rules.on_unknown {
            OnUnknown::Repeat if self.upload_outdated() => {
                let due_at = self.due_outdated_at();
                self.commit(Event::UploadOutdated { due_at }).await
            }
            OnUnknown::Repeat => self.repeat().await,
            OnUnknown::Hold => self.hold().await,
        }
    }

    /// Leaves a message in doubt to an operator, who may want to send its clip again. The sender
    /// is told a 2xx for it, so the clip has to be durable first (invariant 1).
    async fn hold(&mut self) -> Result<(), Stop> {
        self.keep_clip().await?;
        let code = Code::GenesysAnswerLost;
        let detail = "the answer to its post was lost".to_owned();
        if self.record.is_durable() {
            self.commit(Event::Held { ending: Ending { code, detail } }).await
        } else {
            self.fail(code, detail).await
        }
    }

    /// Posts once more what may have been posted already; the mark is durable before it leaves.
    async fn repeat(&mut self) -> Result<(), Stop> {
        let Some(permit) = self.permit(Step::Post).await? else { return Ok(()) };
        if self.upload_outdated() {
            self.permit = Some(permit);
            return Ok(());
        }
        if !self.commit_intent(Step::Post, true).await? {
            return Ok(());
        }
        self.send_post(Vec::new(), permit).await
    }

    /// Commits what the post came to.
    pub(super) async fn post_came_to(&mut self, outcome: Outcome<Posted>) -> Result<(), Stop> {
        match outcome {
            Outcome::Done(posted) => self.posted(posted).await,
            Outcome::Refused(failure) | Outcome::NotSent(failure) => self.deferred(failure).await,
            Outcome::Unknown(failure) => {
                let next_attempt_at = self.next_attempt_at(failure.retry);
                let (code, crashed) = (failure.code, false);
                self.commit(Event::PostLost { code, next_attempt_at, crashed }).await
            }
        }
    }

    async fn posted(&mut self, posted: Posted) -> Result<(), Stop> {
        let keeping = self.pipeline.parts.rules.keeping;
        let retention = self.pipeline.parts.planner.retains();
        // A withdrawal may have come while the post was on the wire: the record at the commit says.
        // Its time counts for both when it was posted and when its audio goes.
        self.commit_by(|record, now| Event::Posted {
            posted: posted.clone(),
            due_at: keeping.due_at(now, record.withdrawn),
            retention,
        })
        .await
        .map(drop)
    }

    /// A call that certainly had no effect: try again, or end the message.
    async fn deferred(&mut self, failure: Failure) -> Result<(), Stop> {
        match failure.retry {
            Retry::Never => {
                let due_at = self.due_early_at();
                let ending = Ending { code: failure.code, detail: failure.detail };
                self.commit(Event::Refused { ending, due_at }).await
            }
            Retry::Apart => {
                self.apart = true;
                let next_attempt_at = self.now();
                self.commit(Event::Deferred { code: failure.code, next_attempt_at }).await
            }
            Retry::After { .. } | Retry::Closed { .. } => self.commit(self.put_off(&failure)).await,
        }
    }

    /// A call that is to be made again. One that the rate gate sent back was no attempt.
    fn put_off(&self, Failure { code, retry, .. }: &Failure) -> Event {
        let next_attempt_at = self.next_attempt_at(*retry);
        match retry {
            Retry::Closed { .. } => Event::SentBack { next_attempt_at },
            _ => Event::Deferred { code: *code, next_attempt_at },
        }
    }

    /// While the sender waits a step is tried `attempts` times at the quick pace; then the same
    /// step goes on at the slow one.
    fn next_attempt_at(&self, retry: Retry) -> UnixMs {
        let rules = &self.pipeline.parts.rules;
        let quick = self.sender.is_some() && self.record.attempts < rules.attempts;
        let backoff = if quick { rules.backoff } else { rules.later_backoff };
        let unit_random = self.pipeline.parts.clock.unit();
        let before = if quick { 0 } else { rules.attempts.saturating_sub(1) };
        let attempts = self.record.attempts.saturating_sub(before).max(1);
        let pause_ms = backoff.pause_ms(attempts, retry, unit_random);
        let pause_ms = pause_ms.unwrap_or(backoff.pause_ms_max);
        self.now().plus_ms(i64::try_from(pause_ms).unwrap_or(i64::MAX))
    }

    async fn turn_to_upload(&mut self) -> Result<(), Stop> {
        let seat = self.seat.clone();
        let may_sleep = self.may_sleep();
        self.await_turn(async move { seat.near_head().await }, may_sleep).await.map(drop)
    }

    async fn turn_to_settle(&mut self) -> Result<(), Stop> {
        let seat = self.seat.clone();
        let may_sleep = self.may_sleep();
        self.await_turn(async move { seat.head().await }, may_sleep).await.map(drop)
    }

    /// A place among the calls of this step, before its intent is committed: an intent stands for a
    /// call that may be on the wire. `None` where something else is to be decided first.
    async fn permit(&mut self, step: Step) -> Result<Option<OwnedSemaphorePermit>, Stop> {
        if let Some(permit) = self.permit.take() {
            return Ok(Some(permit));
        }
        let actors = &self.pipeline.parts.actors;
        let (uploader, messenger) = (actors.uploader.clone(), actors.messenger.clone());
        let (free, wait) = match step {
            Step::Upload => {
                (uploader.try_permit(), async move { uploader.permit().await }.boxed_local())
            }
            Step::Post => {
                (messenger.try_permit(), async move { messenger.permit().await }.boxed_local())
            }
        };
        if free.is_some() {
            return Ok(free);
        }
        match self.await_turn(wait, false).await? {
            Some(Ok(permit)) => Ok(Some(permit)),
            // The actor is gone, and the process is about to end.
            Some(Err(_)) => Err(Stop::Draining),
            None => Ok(None),
        }
    }

    /// Waits for a turn. A shutdown, a nudge and the message's own expiry end the wait with `None`.
    pub(super) async fn await_turn<T>(
        &mut self,
        turn: impl Future<Output = T>,
        may_sleep: bool,
    ) -> Result<Option<T>, Stop> {
        let nudge = self.nudge();
        let drain = self.pipeline.parts.admission.drain().clone();
        let expiry_ms = self.record.expires_at.ms_since(self.now());
        let expiry = tokio::time::sleep(Duration::from_millis(expiry_ms));
        let waited = self
            .patiently(async move {
                tokio::select! {
                    biased;
                    came = turn => Waited::Turn(came),
                    () = draining(&drain) => Waited::Enough,
                    () = expiry => Waited::Enough,
                    () = nudge.notified() => Waited::Nudged,
                    () = tokio::time::sleep(PARK_AFTER), if may_sleep => Waited::TooLong,
                }
            })
            .await?;
        match waited {
            Waited::Turn(came) => Ok(Some(came)),
            Waited::Enough => Ok(None),
            Waited::Nudged => self.refresh().await.map(|()| None),
            Waited::TooLong => Err(Stop::Parked(Until::Turn)),
        }
    }

    /// The clip for an upload, together with its share of memory, which is to be held as long as
    /// the upload takes.
    /// The clip, read back where it is in the spool; `None` where something else is to be decided
    /// before there is room for it.
    async fn clip(&mut self) -> Result<Option<Result<HeldClip, SpoolError>>, Stop> {
        if let Some(clip) = &self.clip {
            return Ok(Some(Ok(clip.clone())));
        }
        let (id, bytes) = (self.record.id, self.record.media.bytes);
        if self.record.clip != ClipPlace::Spooled {
            return Ok(Some(Err(SpoolError::Missing(id))));
        }
        let (pipeline, sha256) = (Arc::clone(&self.pipeline), self.record.sha256.clone());
        let read_back = async move {
            let parts = &pipeline.parts;
            read_back(id, bytes, &sha256, &*parts.spool, parts.admission.uploads()).await
        };
        let read = self.await_turn(read_back, false).await?;
        if let Some(Err(error)) = &read {
            tracing::error!(message.id = %id, %error, "clip not readable");
        }
        Ok(read)
    }

    /// Whether the upload is too old to be posted, and the clip is there to upload it again.
    fn upload_outdated(&self) -> bool {
        let outdated = self.pipeline.parts.planner.upload_outdated(&self.record, self.now());
        outdated && self.record.clip != ClipPlace::Gone
    }

    fn clip_is_lost(&self) -> bool {
        self.record.clip == ClipPlace::Memory && self.clip.is_none()
    }

    pub(super) fn has_intent(&self, step: Step) -> bool {
        self.record.intent.as_ref().is_some_and(|intent| intent.step == step)
    }

    fn intend(&self, step: Step) -> Intent {
        self.pipeline.parts.planner.intend(&self.record, step, self.now())
    }
}

fn unreadable(error: &SpoolError) -> Failure {
    Failure::passing(Code::StorageFailed, error.to_string())
}

pub(super) fn gone<T>(error: AskError) -> Outcome<T> {
    // The order was not carried out, or its answer went down with the actor: nobody knows.
    Outcome::Unknown(Failure::passing(Code::Internal, error.to_string()))
}
