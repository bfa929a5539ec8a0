//! What can happen to a message, and what each event makes of its record.
//!
//! [`Record::apply`] is the only code that changes a record. It refuses an event that does not fit
//! the state, so an impossible history stops at the commit that would have begun it.

use super::{
    ClipPlace, Code, Ending, Intent, NewCopy, Posted, Record, Retention, Stage, Step, UnixMs,
    Waveform,
};

/// One durable change of a message, named in the past tense. Each is one history row.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants carry the contract; the fields say what they are")]
pub enum Event {
    /// A call is about to leave. `repeat`: after a post whose outcome nobody can tell.
    Intended { intent: Intent, repeat: bool },
    /// The intended call has not left and will not: the gateway shuts down, or the message ended
    /// before its turn. Only for the drive that would have made the call.
    IntentDropped,
    /// The upload was answered. `post`: the next intent, where the post can leave at once.
    Uploaded { copies: Vec<NewCopy>, post: Option<Intent> },
    /// The answer to an upload was lost: these copies may exist. Orphaned where nobody can name
    /// them; due at once where the route can. `crashed`: with the process that made the call.
    UploadLost { code: Code, copies: Vec<NewCopy>, next_attempt_at: UnixMs, crashed: bool },
    /// The call certainly had no effect and will be tried again.
    Deferred { code: Code, next_attempt_at: UnixMs },
    /// The rate gate was closed: the call has not left. That was no attempt.
    SentBack { next_attempt_at: UnixMs },
    /// The answer to a post was lost. `crashed`: with the process that made the call.
    PostLost { code: Code, next_attempt_at: UnixMs, crashed: bool },
    /// A look-up proved that the post in doubt did not happen.
    PostDisproved,
    /// The post was confirmed; `due_at` is when its copies must go.
    Posted { posted: Posted, due_at: UnixMs, retention: bool },
    /// The pre-signed URL of the upload is too old to be posted: upload again. The old copy is due
    /// at `due_at`.
    UploadOutdated { due_at: UnixMs },
    /// The clip has been decoded to see what it looks like.
    ClipAnalysed { waveform: Waveform },
    /// Our copy of the clip is synced to the spool.
    ClipSpooled,
    /// Our copy of the clip is gone.
    ClipDropped,
    /// Our copy of the clip of an ended message could not be deleted; that will be tried again.
    ClipDropDeferred { detail: String },
    /// The call under way was answered with a final no; copies are due at `due_at`.
    Refused { ending: Ending, due_at: UnixMs },
    /// Delivery was given up; copies are due at `due_at`.
    Failed { ending: Ending, due_at: UnixMs },
    /// The sender withdrew the message before it was posted.
    Cancelled { due_at: UnixMs },
    /// The sender withdrew the message while its post was on the wire.
    WithdrawalAsked,
    /// An operator has to decide.
    Held { ending: Ending },
    /// An operator lets a held message go on, until `expires_at`. A post in doubt counts as made:
    /// the next one is marked as a possible duplicate.
    Released { expires_at: UnixMs },
    /// An operator has a failed message delivered anew, until `expires_at`; its clip is still kept.
    Replayed { expires_at: UnixMs },
    /// Should the message fail, as it does in the same commit, its clip is kept until then: an
    /// operator may have it delivered anew.
    ClipKept { until: UnixMs },
    /// Should the message fail, as it does in the same commit, its sender has been told a 2xx.
    PromiseFails,
    /// Every copy still owed is due at `due_at`, or earlier if it was.
    PurgeHastened { due_at: UnixMs },
    /// Copies that a clock dated that was ahead are due at `due_at` at the latest, and those that
    /// are due and that it put off are tried now.
    PurgesRedated { due_at: UnixMs },
    /// The retention call of a copy was answered for good.
    RetentionSettled { ordinal: u32, set: bool, detail: Option<String> },
    /// A call owed for a copy did not succeed and will be tried again.
    PurgeDeferred { ordinal: u32, detail: String, next_at: UnixMs },
    /// A copy is proven gone.
    CopyPurged { ordinal: u32 },
    /// A copy cannot be deleted on this route.
    CopyNotPurgeable { ordinal: u32, detail: String },
    /// An operator decided to stop trying.
    CopyGivenUp { ordinal: u32, reason: String },
}

/// An event that does not fit the record's state: a bug, not a circumstance.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {event} does not fit a message that is {stage}")]
pub struct IllegalEvent {
    /// Name of the event.
    pub event: &'static str,
    /// Stage of the record.
    pub stage: &'static str,
}

impl Event {
    /// The name under which the history keeps it.
    pub fn name(&self) -> &'static str {
        match self {
            Event::Intended { intent, .. } => match intent.step {
                Step::Upload => "upload-intended",
                Step::Post => "post-intended",
            },
            Event::IntentDropped => "intent-dropped",
            Event::Uploaded { .. } => "uploaded",
            Event::UploadLost { .. } => "upload-lost",
            Event::Deferred { .. } => "deferred",
            Event::SentBack { .. } => "sent-back",
            Event::PostLost { .. } => "post-lost",
            Event::PostDisproved => "post-disproved",
            Event::Posted { .. } => "posted",
            Event::UploadOutdated { .. } => "upload-outdated",
            Event::ClipAnalysed { .. } => "clip-analysed",
            Event::ClipSpooled => "clip-spooled",
            Event::ClipDropped => "clip-dropped",
            Event::ClipDropDeferred { .. } => "clip-drop-deferred",
            Event::Refused { .. } => "refused",
            Event::Failed { .. } => "failed",
            Event::Cancelled { .. } => "cancelled",
            Event::WithdrawalAsked => "withdrawal-asked",
            Event::Held { .. } => "held",
            Event::Released { .. } => "released",
            Event::Replayed { .. } => "replayed",
            Event::ClipKept { .. } => "clip-kept",
            Event::PromiseFails => "promise-fails",
            Event::PurgeHastened { .. } => "purge-hastened",
            Event::PurgesRedated { .. } => "purges-redated",
            Event::RetentionSettled { .. } => "retention-settled",
            Event::PurgeDeferred { .. } => "purge-deferred",
            Event::CopyPurged { .. } => "copy-purged",
            Event::CopyNotPurgeable { .. } => "copy-not-purgeable",
            Event::CopyGivenUp { .. } => "copy-given-up",
        }
    }

    /// Whether a message that is on its way, or held, fails by it.
    pub fn fails(&self) -> bool {
        matches!(self, Event::Failed { .. } | Event::Refused { .. })
    }

    /// Whether the message ends and nobody was told that it was accepted.
    pub fn ends_untold(&self) -> bool {
        matches!(self, Event::Failed { ending, .. } if ending.is_untold())
    }

    /// What the history keeps beside the name: never a transcript, an identity or a signed URL.
    pub fn detail(&self) -> Option<String> {
        match self {
            Event::UploadLost { code, next_attempt_at, .. }
            | Event::Deferred { code, next_attempt_at }
            | Event::PostLost { code, next_attempt_at, .. } => {
                Some(format!("{code}; next attempt at {next_attempt_at}"))
            }
            Event::SentBack { next_attempt_at } => {
                Some(format!("next attempt at {next_attempt_at}"))
            }
            Event::Intended { repeat: true, .. } => Some("repeat: possible duplicate".to_owned()),
            Event::Posted { posted, due_at, .. } if posted.audio_dropped => {
                Some(format!("purge due at {due_at}; Genesys dropped the audio"))
            }
            Event::Posted { due_at, .. } => Some(format!("purge due at {due_at}")),
            Event::Refused { ending, .. }
            | Event::Failed { ending, .. }
            | Event::Held { ending } => Some(format!("{}: {}", ending.code, ending.detail)),
            Event::Cancelled { due_at } | Event::PurgeHastened { due_at } => {
                Some(format!("purge due at {due_at}"))
            }
            Event::PurgesRedated { due_at } => Some(format!("due at {due_at} at the latest")),
            Event::ClipKept { until } => Some(format!("until {until}")),
            Event::ClipDropDeferred { detail } => Some(detail.clone()),
            Event::RetentionSettled { ordinal, set, detail } => Some(match detail {
                Some(detail) => format!("copy {ordinal}: {detail}"),
                None if *set => format!("copy {ordinal}: set"),
                None => format!("copy {ordinal}: refused"),
            }),
            Event::PurgeDeferred { ordinal, detail, next_at } => {
                Some(format!("copy {ordinal}: {detail}; next attempt at {next_at}"))
            }
            Event::CopyPurged { ordinal } => Some(format!("copy {ordinal}")),
            Event::CopyNotPurgeable { ordinal, detail } => {
                Some(format!("copy {ordinal}: {detail}"))
            }
            Event::CopyGivenUp { ordinal, reason } => Some(format!("copy {ordinal}: {reason}")),
            Event::ClipAnalysed { waveform } => {
                Some(if waveform.silent { "silent" } else { "audible" }.to_owned())
            }
            Event::Intended { .. }
            | Event::IntentDropped
            | Event::Uploaded { .. }
            | Event::PostDisproved
            | Event::UploadOutdated { .. }
            | Event::ClipSpooled
            | Event::ClipDropped
            | Event::PromiseFails
            | Event::WithdrawalAsked
            | Event::Released { .. }
            | Event::Replayed { .. } => None,
        }
    }
}

impl Record {
    /// Changes the record by one event at time `now`, or refuses and leaves it untouched.
    /// Does not count the version: the ledger's commit does.
    pub fn apply(&mut self, event: &Event, now: UnixMs) -> Result<(), IllegalEvent> {
        if !self.fits(event) {
            return Err(IllegalEvent { event: event.name(), stage: self.stage.as_str() });
        }
        match event {
            Event::Intended { intent, repeat } => {
                self.intent = Some(intent.clone());
                self.attempts = self.attempts.saturating_add(1);
                self.next_attempt_at = None;
                self.possible_duplicate |= *repeat;
                // From here on the earlier post is settled as "maybe twice"; this one counts.
                self.post_in_doubt &= !*repeat;
            }
            Event::IntentDropped => {
                self.intent = None;
                self.attempts = self.attempts.saturating_sub(1);
            }
            Event::Uploaded { copies, post } => self.uploaded(copies, post.as_ref(), now),
            Event::UploadLost { code, copies, next_attempt_at, crashed } => {
                self.upload_lost(copies, now);
                self.lost(*code, *next_attempt_at, *crashed);
            }
            Event::Deferred { code, next_attempt_at } => self.deferred(*code, *next_attempt_at),
            Event::SentBack { next_attempt_at } => self.sent_back(*next_attempt_at),
            Event::PostLost { code, next_attempt_at, crashed } => {
                self.post_in_doubt = true;
                self.lost(*code, *next_attempt_at, *crashed);
            }
            Event::PostDisproved => self.post_in_doubt = false,
            Event::Posted { posted, due_at, retention } => {
                self.posted(posted, *due_at, *retention, now);
            }
            Event::UploadOutdated { due_at } => self.outdated(*due_at),
            Event::ClipAnalysed { waveform } => self.waveform = Some(waveform.clone()),
            Event::ClipSpooled => self.clip = ClipPlace::Spooled,
            Event::ClipDropped => self.clip = ClipPlace::Gone,
            Event::ClipDropDeferred { .. } => {
                self.clip_attempts = self.clip_attempts.saturating_add(1);
            }
            Event::Refused { ending, due_at } => {
                self.intent = None;
                // One that has ended meanwhile stays as it ended: its upload has left no copy.
                if self.stage.is_open() {
                    self.failed(ending, *due_at, now);
                }
            }
            Event::Failed { ending, due_at } => self.failed(ending, *due_at, now),
            Event::Cancelled { due_at } => self.end(Stage::Cancelled, *due_at),
            Event::WithdrawalAsked => self.withdrawn = true,
            Event::Held { ending } => self.held(ending),
            Event::Released { expires_at } => self.released(*expires_at),
            Event::Replayed { expires_at } => self.replayed(*expires_at),
            Event::ClipKept { until } => self.clip_kept_until = Some(*until),
            Event::PromiseFails => self.was_promised = true,
            Event::PurgeHastened { due_at } => {
                self.clip_kept_until = None;
                self.hasten(*due_at);
            }
            Event::PurgesRedated { due_at } => self.redate(*due_at, now),
            Event::RetentionSettled { .. }
            | Event::PurgeDeferred { .. }
            | Event::CopyPurged { .. }
            | Event::CopyNotPurgeable { .. }
            | Event::CopyGivenUp { .. } => self.change_copy(event, now),
        }
        self.forget_when_purged();
        Ok(())
    }

    fn fits(&self, event: &Event) -> bool {
        let in_flight = |step| self.intent.as_ref().is_some_and(|intent| intent.step == step);
        match event {
            // Invariant 3: no call leaves while the outcome of the one before it is open.
            Event::Intended { .. } if self.intent.is_some() => false,
            Event::Intended { intent, repeat } => match intent.step {
                Step::Upload => self.stage == Stage::Accepted && !repeat,
                Step::Post => self.stage == Stage::Uploaded && self.post_in_doubt == *repeat,
            },
            Event::IntentDropped => self.intent.is_some(),
            // Also after a cancellation: the call was on the wire and its copy must be owed for.
            // A post whose predecessor is in doubt is a repeat, and needs an intent that says so.
            Event::Uploaded { post, .. } => {
                let next = post.as_ref().map(|intent| intent.step);
                in_flight(Step::Upload)
                    && matches!((next, self.post_in_doubt), (None, _) | (Some(Step::Post), false))
            }
            Event::UploadLost { .. } => in_flight(Step::Upload),
            Event::Deferred { .. } | Event::SentBack { .. } => {
                self.stage.is_open() || in_flight(Step::Upload)
            }
            Event::PostLost { .. } => self.stage == Stage::Uploaded && in_flight(Step::Post),
            Event::PostDisproved => self.stage == Stage::Uploaded && self.post_in_doubt,
            Event::Posted { .. } => {
                self.stage == Stage::Uploaded && (in_flight(Step::Post) || self.post_in_doubt)
            }
            Event::UploadOutdated { .. } => self.stage == Stage::Uploaded && self.intent.is_none(),
            Event::ClipSpooled => self.clip == ClipPlace::Memory,
            Event::ClipDropped => !self.stage.is_open() && self.clip != ClipPlace::Gone,
            Event::ClipDropDeferred { .. } => self.leaves_a_spool_file(),
            Event::Refused { .. } if self.stage.is_open() => self.intent.is_some(),
            Event::Refused { .. } => in_flight(Step::Upload),
            // A held message may be given up too: by its sender, or by an operator. One whose post
            // is on the wire cannot end as if nobody had been told of it.
            Event::Failed { .. } => {
                let here = self.stage.is_open() || self.stage == Stage::Held;
                here && !(in_flight(Step::Post) && event.ends_untold())
            }
            Event::Held { .. } | Event::WithdrawalAsked => self.stage.is_open(),
            Event::Released { .. } => self.stage == Stage::Held && self.intent.is_none(),
            Event::Replayed { .. } => {
                self.stage == Stage::Failed
                    && self.clip == ClipPlace::Spooled
                    && self.clip_kept_until.is_some()
                    && self.intent.is_none()
            }
            Event::ClipKept { .. } => self.clip == ClipPlace::Spooled,
            Event::PromiseFails => self.stage.is_open() || self.stage == Stage::Held,
            // Once a post is on the wire, or may have been, it cannot be called back.
            Event::Cancelled { .. } => {
                let here = self.stage.is_open() || self.stage == Stage::Held;
                here && !in_flight(Step::Post) && !self.may_stand()
            }
            Event::ClipAnalysed { .. } => true,
            // Before a post can have left, a message is withdrawn by cancelling it.
            Event::PurgeHastened { .. } => {
                !self.stage.is_open() || in_flight(Step::Post) || self.post_in_doubt
            }
            Event::PurgesRedated { .. } => self.has_dated_copy(),
            Event::RetentionSettled { ordinal, .. } => self
                .owed_copy(*ordinal)
                .is_some_and(|copy| copy.due_at.is_some() && copy.retention == Retention::Owed),
            Event::PurgeDeferred { ordinal, .. } => {
                self.owed_copy(*ordinal).is_some_and(|copy| copy.due_at.is_some())
            }
            Event::CopyPurged { ordinal }
            | Event::CopyNotPurgeable { ordinal, .. }
            | Event::CopyGivenUp { ordinal, .. } => self.owed_copy(*ordinal).is_some(),
        }
    }
}
