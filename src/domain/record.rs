//! The durable record of one voice message.

use serde::{Deserialize, Serialize};

use super::{
    Code, Copy, CopyState, Deliverable, Lane, Media, MessageId, Principal, Private, RouteName,
    Transcript, UnixMs, Waveform,
};

/// How far a message has come. The names are those of `status` in the receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Accepted; the clip is to be uploaded.
    Accepted,
    /// The clip lies at Genesys; the message is to be posted.
    Uploaded,
    /// Posted into the conversation.
    Sent,
    /// Given up, with a reason.
    Failed,
    /// Withdrawn by its sender before it was posted.
    Cancelled,
    /// Waiting for an operator.
    Held,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Stage; 6] = [
        Stage::Accepted,
        Stage::Uploaded,
        Stage::Sent,
        Stage::Failed,
        Stage::Cancelled,
        Stage::Held,
    ];

    /// The name in receipts and the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Accepted => "accepted",
            Stage::Uploaded => "uploaded",
            Stage::Sent => "sent",
            Stage::Failed => "failed",
            Stage::Cancelled => "cancelled",
            Stage::Held => "held",
        }
    }

    /// The stage of this name.
    pub fn parse(text: &str) -> Option<Stage> {
        Stage::ALL.into_iter().find(|stage| stage.as_str() == text)
    }

    /// Whether the message is still on its way by itself.
    pub fn is_open(self) -> bool {
        matches!(self, Stage::Accepted | Stage::Uploaded)
    }
}

/// Where our own copy of the clip is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClipPlace {
    /// In the memory of the process that accepted it. Lost with that process.
    Memory,
    /// In the spool, synced: the message outlives a crash.
    Spooled,
    /// No longer with us.
    Gone,
}

impl ClipPlace {
    /// The name in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            ClipPlace::Memory => "memory",
            ClipPlace::Spooled => "spooled",
            ClipPlace::Gone => "gone",
        }
    }

    /// The place of this name.
    pub fn parse(text: &str) -> Option<ClipPlace> {
        [ClipPlace::Memory, ClipPlace::Spooled, ClipPlace::Gone]
            .into_iter()
            .find(|place| place.as_str() == text)
    }
}

/// A step of delivery that has an effect at Genesys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Bring the clip to Genesys.
    Upload,
    /// Post the message that references it.
    Post,
}

impl Step {
    /// Both steps, in their order.
    pub const ALL: [Step; 2] = [Step::Upload, Step::Post];

    /// The name in the ledger, and in what operators read.
    pub fn as_str(self) -> &'static str {
        match self {
            Step::Upload => "upload",
            Step::Post => "post",
        }
    }

    /// The step of this name.
    pub fn parse(text: &str) -> Option<Step> {
        Step::ALL.into_iter().find(|step| step.as_str() == text)
    }
}

/// A call that may be on the wire: durable before it leaves (invariant 2). A record that is read
/// back with an intent in it belongs to a call whose outcome is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// Which call.
    pub step: Step,
    /// What the route fixed for the wire: ids and times it chose.
    pub private: Private,
}

/// Who speaks, to which conversation, and what came along. The identities in it leave the ledger
/// with the last purge (invariant 11).
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The guest, as the route names them.
    pub sender_id: Option<String>,
    /// BCP 47 tag of the spoken language, if the sender knows it.
    pub language: Option<String>,
    /// Whatever the sender wants to go along: a flat JSON object of strings.
    pub metadata: Option<String>,
    /// The sender's file name, already reduced to what may go on the wire.
    pub file_stem: Option<String>,
}

// Invariant 8: guest identities never reach a log through `Debug`.
impl std::fmt::Debug for Envelope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Envelope(redacted)")
    }
}

/// Why a message ended, or waits for an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// The reason as programs know it.
    pub code: Code,
    /// The reason as people read it.
    pub detail: String,
}

impl Ending {
    /// Whether it is an end that comes before anybody was told of the message.
    pub fn is_untold(&self) -> bool {
        matches!(self.code, Code::Interrupted | Code::StorageLow | Code::StorageFailed)
    }
}

/// Everything durable about one voice message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its id.
    pub id: MessageId,
    /// Its place in the order of acceptance, given by the ledger's accepting commit; 0 before.
    pub accepted_seq: u64,
    /// Counts the commits that changed this record, from 1; a commit names the one it expects.
    pub version: u64,
    /// Who sent it.
    pub principal: Principal,
    /// The way it takes.
    pub route: RouteName,
    /// What it is ordered by.
    pub lane: Lane,
    /// How far it has come.
    pub stage: Stage,
    /// Where our copy of the clip is.
    pub clip: ClipPlace,
    /// What the clip is that is delivered.
    pub media: Media<Deliverable>,
    /// SHA-256 of the clip that is delivered, in lower-case hex.
    pub sha256: String,
    /// What the sender's clip was, where another is delivered: its media type with its codec.
    pub converted_from: Option<String>,
    /// What the clip looks like, once somebody had the time to look; `None` again once the last
    /// purge is done.
    pub waveform: Option<Waveform>,
    /// The conversation, where the route is told one.
    pub conversation_id: Option<String>,
    /// Identities and extras; `None` once the last purge is done.
    pub envelope: Option<Envelope>,
    /// The text; `None` once the last purge is done.
    pub transcript: Option<Transcript>,
    /// The call that may be on the wire now.
    pub intent: Option<Intent>,
    /// Tries of the step under way, or of the last one.
    pub attempts: u32,
    /// Not before this time, the next try of an open message.
    pub next_attempt_at: Option<UnixMs>,
    /// A post may have happened whose answer was lost.
    pub post_in_doubt: bool,
    /// The sender withdrew it while a post was on the wire: cancelled if that turns out not to
    /// have happened, purged at the floor if it has.
    pub withdrawn: bool,
    /// The conversation may show the message twice.
    pub possible_duplicate: bool,
    /// Genesys took the message and dropped its audio.
    pub audio_dropped: bool,
    /// Why the last try did not succeed.
    pub last_error_code: Option<Code>,
    /// Why it ended, or is held.
    pub ending: Option<Ending>,
    /// The id Genesys gave the message.
    pub message_id: Option<String>,
    /// Whether it has failed after its sender was told a 2xx.
    pub was_promised: bool,
    /// Process starts that found this message in flight since the process last outlived a call of
    /// its own.
    pub crashes: u32,
    /// When it was accepted.
    pub created_at: UnixMs,
    /// When the clip in use was uploaded.
    pub uploaded_at: Option<UnixMs>,
    /// When the post was confirmed.
    pub posted_at: Option<UnixMs>,
    /// When delivery is given up.
    pub expires_at: UnixMs,
    /// Until when the spooled clip of an ended message is kept, so that an operator can replay it.
    /// `None`: not kept.
    pub clip_kept_until: Option<UnixMs>,
    /// Failed tries to delete the spooled clip of an ended message, until it is stuck.
    pub clip_attempts: u32,
    /// Everything that lies, or may lie, outside.
    pub copies: Vec<Copy>,
}

impl Record {
    /// The copy that a post references: that of the last upload, as long as it is there. An older
    /// one is due already and must not be shown.
    pub fn current_copy(&self) -> Option<&Copy> {
        self.copies.last().filter(|copy| copy.state == CopyState::Owed)
    }

    /// The copy of this number, as long as its purge is owed.
    pub fn owed_copy(&self, ordinal: u32) -> Option<&Copy> {
        self.copies.iter().find(|copy| copy.ordinal == ordinal && copy.state == CopyState::Owed)
    }

    /// Whether a 2xx may be told for this message: it is at Genesys, or durable here (invariant 1).
    pub fn is_durable(&self) -> bool {
        self.stage == Stage::Sent || self.clip == ClipPlace::Spooled
    }

    /// Whether a post may stand in the conversation that nobody has confirmed: one is in doubt, or
    /// was and has been, or was to be, repeated.
    pub fn may_stand(&self) -> bool {
        self.post_in_doubt || self.possible_duplicate
    }

    /// Whether it failed and nobody was told that it was accepted: its sender may use its
    /// idempotency key anew.
    pub fn ended_untold(&self) -> bool {
        self.stage == Stage::Failed && self.ending.as_ref().is_some_and(Ending::is_untold)
    }

    /// Whether audio of an ended message waits for its time to go, here or outside.
    pub fn has_audio_left(&self) -> bool {
        !self.purges_done() || self.clip_kept_until.is_some()
    }

    /// Whether it has ended, and its clip still lies in the spool.
    pub fn leaves_a_spool_file(&self) -> bool {
        let over = !self.stage.is_open() && self.stage != Stage::Held;
        over && self.clip == ClipPlace::Spooled
    }

    /// Whether a copy is owed a purge that has its time.
    pub fn has_dated_copy(&self) -> bool {
        let owed = |copy: &&Copy| copy.state == CopyState::Owed;
        self.copies.iter().filter(owed).any(|copy| copy.due_at.is_some())
    }

    /// Whether nothing outside is left to delete by us.
    pub fn purges_done(&self) -> bool {
        !self.copies.iter().any(|copy| copy.state == CopyState::Owed)
    }
}
