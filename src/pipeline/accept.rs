//! From a complete request to a durable message: plan, look inside the clip, commit.

use std::sync::Arc;

use ring::digest;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

use super::clip::unstored;
use super::draw;
use super::drive::{self, Drive};
use super::known;
use super::lanes::Seat;
use super::sender::Sender;
use super::{Answer, Clip, HeldClip, Pipeline, Ticket};
use crate::actors::{AskError, CheckClip, CheckedClip, ConvertedClip, NotChecked};
use crate::domain::{
    ClipPlace, Code, Deliverable, Media, MessageId, NewMessage, Patience, Problem, Record, Stage,
    Step, hex,
};
use crate::genesys::Plan;
use crate::ledger::{CommitError, Committed, KeyChange, KeyClaim, KeyHolder, Transition};

/// Seconds after which a repeat may ask again for a message that is not durable yet.
const RETRY_AFTER_IN_PROGRESS_SECONDS: u32 = 1;

/// How often a repeat looks at a message that sleeps.
const REPEAT_LOOK: std::time::Duration = std::time::Duration::from_millis(250);

/// Carries one request from its complete body to its answer, and its message on from there.
pub(super) async fn accept(
    pipeline: Arc<Pipeline>,
    message: NewMessage,
    clip: Clip,
    ticket: Ticket,
    answer: oneshot::Sender<Answer>,
) {
    let started = Instant::now();
    let (patience, has_key) = (message.patience, message.key.is_some());
    match pipeline.begin(message, clip).await {
        Ok(Begun::New { record, seat, clip, upload }) => {
            pipeline.parts.metrics.accepted(started.elapsed());
            draw::draw(&pipeline, &record, clip.as_ref());
            let sender = Sender::new(answer, patience, started, has_key);
            let permit = ticket.into_drive();
            let mut drive = Drive::new(pipeline, *record, seat, clip, Some(sender), permit);
            drive.permit = upload;
            drive::run(drive).await;
        }
        Ok(Begun::Repeat(holder)) => {
            let told = pipeline.repeat(holder, patience, started).await;
            // A sender that hung up has nothing to be told.
            let _ = answer.send(told);
        }
        Err(problem) => {
            tracing::info!(code = %problem.code, "clip refused");
            let _ = answer.send(Answer::Refused(Box::new(problem)));
        }
    }
}

enum Begun {
    /// `upload`: the permit under which the upload's intent is committed already.
    New {
        record: Box<Record>,
        seat: Seat,
        clip: Option<HeldClip>,
        upload: Option<OwnedSemaphorePermit>,
    },
    Repeat(KeyHolder),
}

impl Pipeline {
    /// Up to commit 1. What is not accepted takes its clip with it.
    async fn begin(&self, message: NewMessage, clip: Clip) -> Result<Begun, Problem> {
        let plan = self.parts.planner.plan(&message)?;
        let CheckedClip { media, converted } = self.check_clip(&clip, &message).await?;
        let (clip, converted) = self.take_over(message.id, clip, converted).await?;
        // What is the same of two requests is the clip that was sent, not what was made of it.
        let announced = self.lanes.announce(&plan.lane);
        let claim = message
            .key
            .as_ref()
            .map(|key| (key.clone(), fingerprint(&message)))
            .map(|(key, fingerprint)| KeyClaim { key, fingerprint, taken_from: None });
        let mut record = self.new_record(message, plan, media, clip.place());
        if let Some((sha256, converted_from)) = converted {
            record.sha256 = sha256;
            record.converted_from = Some(converted_from);
        }
        // One that has to wait for its turn, for a place among the uploads, or for its clip to be
        // read back, intends its upload when it comes: an intent that is found at a start counts as
        // a call that was on the wire.
        let may_upload = announced.is_near_head() && record.clip == ClipPlace::Memory;
        let upload = may_upload.then(|| self.parts.actors.uploader.try_permit()).flatten();
        if upload.is_some() {
            let intent = self.parts.planner.intend(&record, Step::Upload, record.created_at);
            record.intent = Some(intent);
            record.attempts = 1;
        }
        // From here on a file without a row is a stray for the next start, and never the reverse.
        let (id, place, clip) = (record.id, clip.place(), clip.claim());
        let asked = Instant::now();
        let committed = self.commit_new(&mut record, claim.clone()).await;
        if let Err(CommitError::KeyTaken(_) | CommitError::StorageFull) = &committed
            && place == ClipPlace::Spooled
        {
            self.remove_clip(id).await;
        }
        match committed {
            Ok(committed) => {
                self.parts.metrics.committed(asked.elapsed());
                record.version = committed.version;
                record.accepted_seq = committed.accepted_seq;
                tracing::info!(
                    message.id = %record.id,
                    media.container = ?record.media.container,
                    media.codec = ?record.media.codec,
                    media.duration_ms = record.media.duration_ms,
                    media.bytes = record.media.bytes,
                    "message accepted"
                );
                let seat = announced.seat(record.accepted_seq);
                Ok(Begun::New { record: Box::new(record), seat, clip, upload })
            }
            Err(CommitError::KeyTaken(holder)) => match claim {
                Some(claim) if claim.fingerprint == holder.fingerprint => Ok(Begun::Repeat(holder)),
                _ => Err(mismatch(holder.id)),
            },
            Err(CommitError::StorageFull) => {
                Err(Problem::new(Code::StorageLow, "the ledger's disk is full").retry_after(60))
            }
            Err(error) => Err(Problem::new(Code::Internal, error.to_string())),
        }
    }

    /// Commits a new record with its key. Where the key's message was never told to anybody, and
    /// its post may stand, the new one takes the key over and says that it may be a double
    /// (invariant 3).
    async fn commit_new(
        &self,
        record: &mut Record,
        claim: Option<KeyClaim>,
    ) -> Result<Committed, CommitError> {
        let first = self.parts.ledger.commit(vec![accepted(record, claim.clone())]).await;
        let committed = match (first, claim) {
            (Err(CommitError::KeyTaken(holder)), Some(claim))
                if self.was_untold(holder.id).await =>
            {
                // Another request under the same key doubles nothing.
                record.possible_duplicate = claim.fingerprint == holder.fingerprint;
                let claim = KeyClaim { taken_from: Some(holder.id), ..claim };
                self.parts.ledger.commit(vec![accepted(record, Some(claim))]).await
            }
            (first, _) => first,
        };
        committed?.into_iter().next().ok_or(CommitError::Closed)
    }

    /// Deletes a clip from the spool that no row names.
    pub(super) async fn remove_clip(&self, id: MessageId) {
        if let Err(error) = self.parts.spool.remove(id).await {
            tracing::error!(message.id = %id, %error, "spooled clip not removed");
        }
    }

    async fn check_clip(&self, clip: &Clip, message: &NewMessage) -> Result<CheckedClip, Problem> {
        let (id, media, spool) = (message.id, message.media.clone(), &*self.parts.spool);
        let inspections = self.parts.admission.inspections();
        let sha256 = hex(&message.sha256);
        let held = clip.bytes(id, media.bytes, &sha256, spool, inspections).await;
        let held = held.map_err(|error| unstored(&error))?;
        let order = CheckClip { clip: held.bytes.clone(), media };
        match self.parts.actors.validator.try_ask(order).await {
            Ok(Ok(checked)) => Ok(checked),
            Ok(Err(NotChecked::Refused(refusal))) => Err(refusal.into()),
            Ok(Err(NotChecked::Busy)) => {
                let detail = "all places for clips that have to be converted are taken";
                Err(Problem::new(Code::Busy, detail).retry_after(2))
            }
            Err(AskError::Busy) => Err(Problem::new(
                Code::Busy,
                format!("all {} places for inspections are taken", crate::actors::INSPECTIONS_MAX),
            )
            .retry_after(2)),
            Err(AskError::Gone) => Err(Problem::new(Code::Internal, "ValidatorActor is gone")),
        }
    }

    /// The clip that is delivered: the one that was sent, or what it was converted to. With the
    /// latter come its hash and what it was before.
    async fn take_over(
        &self,
        id: MessageId,
        clip: Clip,
        converted: Option<ConvertedClip>,
    ) -> Result<(Clip, Option<(String, String)>), Problem> {
        let Some(ConvertedClip { clip: bytes, sha256, converted_from }) = converted else {
            return Ok((clip, None));
        };
        let budget = self.parts.admission.clips();
        let clip = clip.converted_to(id, bytes, &*self.parts.spool, budget).await;
        let clip = clip.map_err(|error| unstored(&error))?;
        Ok((clip, Some((hex(&sha256), converted_from))))
    }

    fn new_record(
        &self,
        message: NewMessage,
        plan: Plan,
        media: Media<Deliverable>,
        clip: ClipPlace,
    ) -> Record {
        let now = self.parts.clock.now();
        Record {
            id: message.id,
            accepted_seq: 0,
            version: 0,
            principal: message.principal,
            route: self.parts.planner.name(),
            lane: plan.lane,
            stage: Stage::Accepted,
            clip,
            media,
            sha256: hex(&message.sha256),
            converted_from: None,
            waveform: None,
            conversation_id: message.conversation_id,
            envelope: Some(message.envelope),
            transcript: Some(plan.transcript),
            intent: None,
            attempts: 0,
            next_attempt_at: None,
            post_in_doubt: false,
            withdrawn: false,
            possible_duplicate: false,
            audio_dropped: false,
            was_promised: false,
            last_error_code: None,
            ending: None,
            message_id: None,
            crashes: 0,
            created_at: now,
            uploaded_at: None,
            posted_at: None,
            expires_at: now.plus_seconds(self.parts.rules.expires_after_seconds),
            clip_kept_until: None,
            clip_attempts: 0,
            copies: Vec::new(),
        }
    }

    /// The answer to a repeat: it waits like the first and gets the receipt as it is by then.
    async fn repeat(&self, holder: KeyHolder, patience: Patience, started: Instant) -> Answer {
        let refused = |problem| Answer::Refused(Box::new(problem));
        let until = started + std::time::Duration::from_millis(patience.wait_ms);
        if let Some(mut shown) = self.board.follow(holder.id) {
            if !shown.borrow().is_durable() && shown.borrow().stage.is_open() {
                return refused(in_progress(holder.id));
            }
            if !patience.respond_async {
                let ended = shown.wait_for(|record| !record.stage.is_open());
                // Over, or the drive has ended: either way the ledger has the last word.
                let _ = tokio::time::timeout_at(until, ended).await;
            }
        }
        // A message that sleeps is looked at from time to time.
        loop {
            let now = self.parts.clock.now();
            return match self.parts.ledger.find(holder.id).await {
                Ok(Some(record)) if record.stage.is_open() && !record.is_durable() => {
                    refused(in_progress(holder.id))
                }
                Ok(Some(record))
                    if record.stage.is_open()
                        && !patience.respond_async
                        && Instant::now() + REPEAT_LOOK < until =>
                {
                    tokio::time::sleep(REPEAT_LOOK).await;
                    continue;
                }
                Ok(Some(record)) => known::answer_to_repeat(&record, now),
                Ok(None) => refused(in_progress(holder.id)),
                Err(error) => refused(Problem::new(Code::Internal, error.to_string())),
            };
        }
    }
}

fn accepted(record: &Record, claim: Option<KeyClaim>) -> Transition {
    Transition {
        record: record.clone(),
        expected_version: None,
        key: claim.map(KeyChange::Claim),
        event: "accepted",
        detail: None,
        at: record.created_at,
    }
}

fn mismatch(id: MessageId) -> Problem {
    let detail = "the idempotency key was used for another clip or other fields";
    Problem::new(Code::IdempotencyMismatch, detail).about(id)
}

fn in_progress(id: MessageId) -> Problem {
    let detail = "the first request with this idempotency key is not durable yet";
    Problem::new(Code::InProgress, detail).about(id).retry_after(RETRY_AFTER_IN_PROGRESS_SECONDS)
}

/// SHA-256 over the clip's hash and the fields, each with its length, so that no two requests share
/// one by moving bytes between fields. File name and boundary do not count.
fn fingerprint(message: &NewMessage) -> [u8; 32] {
    let envelope = &message.envelope;
    let fields = [
        &message.conversation_id,
        &envelope.sender_id,
        &message.transcript,
        &envelope.language,
        &envelope.metadata,
    ];
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&message.sha256);
    for field in fields {
        let text = field.as_deref();
        context.update(&text.map_or(u64::MAX, |text| text.len() as u64).to_le_bytes());
        context.update(text.unwrap_or_default().as_bytes());
    }
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(context.finish().as_ref());
    fingerprint
}
