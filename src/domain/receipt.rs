//! What a caller is told about a message: a pure view of its record.

use serde::Serialize;

use super::{
    ClipPlace, Codec, CopyState, Ending, MessageId, Note, Record, RouteName, Stage,
    TranscriptSource, UnixMs,
};

/// After so many failed tries of a delete an operator should look: the purge is `stuck`.
const PURGE_ATTEMPTS_STUCK: u32 = 8;

/// The receipt of a voice message: the answer to its POST and to every later GET.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Receipt {
    id: MessageId,
    status: Stage,
    message_id: Option<String>,
    conversation_id: Option<String>,
    media: MediaReceipt,
    transcript: Option<TranscriptReceipt>,
    delivery: DeliveryReceipt,
    purge: PurgeReceipt,
    created_at: UnixMs,
    error: Option<Ending>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct MediaReceipt {
    id: MessageId,
    media_type: &'static str,
    codec: Codec,
    duration_ms: u32,
    bytes: u64,
    sha256: String,
    converted_from: Option<String>,
    notes: Vec<Note>,
    waveform: Option<Vec<u8>>,
    silent: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct TranscriptReceipt {
    /// `None`: not for whoever reads this.
    text: Option<String>,
    source: TranscriptSource,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct DeliveryReceipt {
    route: RouteName,
    attempts: u32,
    possible_duplicate: bool,
    next_attempt_at: Option<UnixMs>,
    last_error_code: Option<super::Code>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

/// Where the purge of a whole message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PurgeState {
    /// Nothing is due yet.
    Scheduled,
    /// A copy is due and being deleted.
    Purging,
    /// Every copy is proven gone.
    Purged,
    /// A delete has failed many times; it goes on, and an operator should look.
    Stuck,
    /// Done as far as possible: a copy is orphaned or cannot be deleted.
    Incomplete,
    /// An operator decided to stop trying.
    GivenUp,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct PurgeReceipt {
    due_at: Option<UnixMs>,
    state: PurgeState,
    copies: Vec<CopyReceipt>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct CopyReceipt {
    kind: &'static str,
    state: CopyState,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl Receipt {
    /// The message it is about.
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// The same for operators, whom the guest's words do not concern (invariant 8).
    #[must_use]
    pub fn without_words(mut self) -> Receipt {
        if let Some(transcript) = &mut self.transcript {
            transcript.text = None;
        }
        self
    }
}

impl Record {
    /// What a caller may know of this message at `now`.
    pub fn receipt(&self, now: UnixMs) -> Receipt {
        Receipt {
            id: self.id,
            status: self.stage,
            message_id: self.message_id.clone(),
            conversation_id: self.conversation_id.clone(),
            media: MediaReceipt {
                id: self.id,
                media_type: self.media.container.container().media_type(),
                codec: self.media.codec,
                duration_ms: self.media.duration_ms,
                bytes: self.media.bytes,
                sha256: self.sha256.clone(),
                converted_from: self.converted_from.clone(),
                notes: self.media.notes.clone(),
                waveform: self.waveform.as_ref().map(|drawn| drawn.peaks.clone()),
                silent: self.waveform.as_ref().map(|drawn| drawn.silent),
            },
            transcript: self.transcript.as_ref().map(|transcript| TranscriptReceipt {
                text: Some(transcript.text.clone()),
                source: transcript.source,
            }),
            delivery: DeliveryReceipt {
                route: self.route,
                attempts: self.attempts,
                possible_duplicate: self.possible_duplicate,
                next_attempt_at: self.next_attempt_at,
                last_error_code: self.last_error_code,
                warning: self.warning(),
            },
            purge: PurgeReceipt {
                due_at: self.due_at(),
                state: self.purge_state(now),
                copies: self.copy_receipts(),
            },
            created_at: self.created_at,
            error: self.ending.clone(),
        }
    }

    /// What was delivered otherwise than it was sent, and what the Genesys admin has to change.
    pub fn warning(&self) -> Option<String> {
        self.audio_dropped.then(|| {
            let media_type = self.media.container.container().media_type();
            format!(
                "Genesys took the message and dropped its audio: the integration's supported \
                 content profile has to admit {media_type} or audio/* inbound"
            )
        })
    }

    /// When the last of the audio must go, our own copy included.
    fn due_at(&self) -> Option<UnixMs> {
        self.copies.iter().filter_map(|copy| copy.due_at).chain(self.clip_kept_until).max()
    }

    /// Where the purge of all copies stands at `now`.
    pub fn purge_state(&self, now: UnixMs) -> PurgeState {
        let any = |state| self.copies.iter().any(|copy| copy.state == state);
        let owed = || self.copies.iter().filter(|copy| copy.state == CopyState::Owed);
        let due = |copy: &super::Copy| copy.due_at.is_some_and(|at| at <= now);
        let stuck = |copy: &super::Copy| due(copy) && copy.attempts >= PURGE_ATTEMPTS_STUCK;
        if owed().any(stuck) || self.clip_is_stuck() {
            PurgeState::Stuck
        } else if owed().any(due) || self.clip_is_overdue() {
            PurgeState::Purging
        } else if any(CopyState::Owed) || self.is_under_way() || self.clip == ClipPlace::Spooled {
            PurgeState::Scheduled
        } else if any(CopyState::GivenUp) {
            PurgeState::GivenUp
        } else if any(CopyState::Orphaned) || any(CopyState::NotPossible) {
            PurgeState::Incomplete
        } else {
            PurgeState::Purged
        }
    }

    /// Whether our own copy should be gone, and could not be deleted.
    pub fn clip_is_overdue(&self) -> bool {
        self.clip == ClipPlace::Spooled && self.clip_attempts > 0
    }

    /// Whether that has failed so often that an operator should look.
    pub fn clip_is_stuck(&self) -> bool {
        self.clip_is_overdue() && self.clip_attempts >= PURGE_ATTEMPTS_STUCK
    }

    /// Whether nothing more happens to it by itself: it has ended, and nothing of its audio is
    /// owed any more.
    pub fn is_settled(&self, now: UnixMs) -> bool {
        let state = self.purge_state(now);
        let over = [PurgeState::Purged, PurgeState::Incomplete, PurgeState::GivenUp];
        !self.is_under_way() && self.clip != ClipPlace::Spooled && over.contains(&state)
    }

    /// On its way, waiting for an operator, or with an upload that may still be answered.
    fn is_under_way(&self) -> bool {
        self.stage.is_open() || self.stage == Stage::Held || self.intent.is_some()
    }

    fn copy_receipts(&self) -> Vec<CopyReceipt> {
        let ours = (self.clip == ClipPlace::Spooled).then_some(CopyReceipt {
            kind: "spool-file",
            state: CopyState::Owed,
            detail: None,
        });
        let theirs = self.copies.iter().map(|copy| CopyReceipt {
            kind: copy.kind.as_str(),
            state: copy.state,
            detail: copy.last_error.clone(),
        });
        theirs.chain(ours).collect()
    }
}
