//! From a complete request to a durable message: plan, look inside the clip, commit.

use std::sync::Arc;

use ring::digest;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::draw;
use super::drive::{self, Drive, Sender};
use super::{Answer, HeldClip, Pipeline, Ticket};
use crate::actors::{AskError, CheckClip, CheckedClip, ConvertedClip, NotChecked};
use crate::domain::{
    ClipPlace, Code, Deliverable, Media, MessageId, NewMessage, Patience, Problem, Record, Stage,
    Step, hex,
};
use crate::genesys::Plan;
use crate::ledger::{CommitError, KeyChange, KeyClaim, KeyHolder, Transition};

/// Seconds after which a repeat may ask again for a message that is not durable yet.
const RETRY_AFTER_IN_PROGRESS_SECONDS: u32 = 1;

/// Carries one request from its complete body to its answer, and its message on from there.
pub(super) async fn accept(
    pipeline: Arc<Pipeline>,
    message: NewMessage,
    clip: HeldClip,
    ticket: Ticket,
    answer: oneshot::Sender<Answer>,
) {
    let started = Instant::now();
    let patience = message.patience;
    match pipeline.begin(message, clip).await {
        Ok(Begun::New { record, seat, clip }) => {
            pipeline.parts.metrics.accepted(started.elapsed());
            draw::draw(&pipeline, &record, clip.bytes.clone());
            let sender = Sender::new(answer, patience, started);
            let permit = ticket.into_drive();
            let drive = Drive::new(pipeline, *record, seat, Some(clip), Some(sender), permit);
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
    New { record: Box<Record>, seat: super::lanes::Seat, clip: HeldClip },
    Repeat(KeyHolder),
}

impl Pipeline {
    async fn begin(&self, message: NewMessage, clip: HeldClip) -> Result<Begun, Problem> {
        let plan = self.parts.planner.plan(&message)?;
        let CheckedClip { media, converted } = self.check_clip(&clip, &message.media).await?;
        // What is the same of two requests is the clip that was sent, not what was made of it.
        let announced = self.lanes.announce(&plan.lane);
        let claim = message
            .key
            .as_ref()
            .map(|key| KeyClaim { key: key.clone(), fingerprint: fingerprint(&message) });
        let mut record = self.new_record(message, plan, media);
        let clip = self.take_over(clip, converted, &mut record)?;
        // One that has to wait for its turn intends its upload when it comes: an intent that is
        // found at a start counts as a call that was on the wire.
        if announced.is_near_head() {
            let intent = self.parts.planner.intend(&record, Step::Upload, record.created_at);
            record.intent = Some(intent);
            record.attempts = 1;
        }
        let transition = Transition {
            record: record.clone(),
            expected_version: None,
            key: claim.clone().map(KeyChange::Claim),
            event: "accepted",
            detail: None,
            at: record.created_at,
        };
        let asked = Instant::now();
        match self.parts.ledger.commit(vec![transition]).await {
            Ok(committed) => {
                self.parts.metrics.committed(asked.elapsed());
                if let Some(committed) = committed.first() {
                    record.version = committed.version;
                    record.accepted_seq = committed.accepted_seq;
                }
                tracing::info!(
                    message.id = %record.id,
                    media.container = ?record.media.container,
                    media.codec = ?record.media.codec,
                    media.duration_ms = record.media.duration_ms,
                    media.bytes = record.media.bytes,
                    "message accepted"
                );
                let seat = announced.seat(record.accepted_seq);
                Ok(Begun::New { record: Box::new(record), seat, clip })
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

    async fn check_clip(&self, clip: &HeldClip, media: &Media) -> Result<CheckedClip, Problem> {
        let order = CheckClip { clip: clip.bytes.clone(), media: media.clone() };
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

    /// The clip that is delivered: the one that was sent, or the one it was converted to, which
    /// takes over its share of memory.
    fn take_over(
        &self,
        mut clip: HeldClip,
        converted: Option<ConvertedClip>,
        record: &mut Record,
    ) -> Result<HeldClip, Problem> {
        let Some(converted) = converted else { return Ok(clip) };
        clip.reserved.resize(converted.clip.len() as u64, self.parts.admission.clips())?;
        clip.bytes = converted.clip;
        record.sha256 = hex(&converted.sha256);
        record.converted_from = Some(converted.converted_from);
        Ok(clip)
    }

    fn new_record(&self, message: NewMessage, plan: Plan, media: Media<Deliverable>) -> Record {
        let now = self.parts.clock.now();
        Record {
            id: message.id,
            accepted_seq: 0,
            version: 0,
            principal: message.principal,
            route: self.parts.planner.name(),
            lane: plan.lane,
            stage: Stage::Accepted,
            clip: ClipPlace::Memory,
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
            last_error_code: None,
            ending: None,
            message_id: None,
            crashes: 0,
            created_at: now,
            uploaded_at: None,
            posted_at: None,
            expires_at: now.plus_seconds(self.parts.rules.expires_after_seconds),
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
        let now = self.parts.clock.now();
        match self.parts.ledger.find(holder.id).await {
            Ok(Some(record)) if record.stage.is_open() && !record.is_durable() => {
                refused(in_progress(holder.id))
            }
            Ok(Some(record)) => drive::answer_of(&record, now),
            Ok(None) => refused(in_progress(holder.id)),
            Err(error) => refused(Problem::new(Code::Internal, error.to_string())),
        }
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
