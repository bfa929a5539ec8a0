//! What the route asks of a message before it is accepted, and what it fixes for the wire.

use super::super::{Plan, Planner};
use crate::domain::{
    Code, Intent, Lane, NewMessage, Origin, Private, Problem, Record, RouteName, Step,
    TRANSCRIPT_BYTES_MAX, Transcript, UnixMs,
};

/// Longest conversation or sender id, in bytes. Genesys' own ids are UUIDs; this leaves room.
const ID_BYTES_MAX: usize = 256;

/// Messages in one post. The contract allows 2,000,000 bytes of JSON; a message whose ids, URL and
/// transcript are as long as they may be, every byte of them escaped, has less than 50,000.
const BATCH_MAX: usize = 32;

/// The settings this route goes by.
#[derive(Clone, Debug)]
pub struct MediaApiRules {
    /// Stand-in transcript.
    pub placeholder: String,
    /// Age at which a pre-signed URL is no longer posted, in seconds.
    pub media_url_seconds_max: u64,
    /// Where copies are made.
    pub origin: Origin,
}

/// The pure half of the route.
pub struct MediaApiPlanner {
    rules: MediaApiRules,
}

impl MediaApiPlanner {
    /// A planner that goes by these rules.
    pub fn new(rules: MediaApiRules) -> MediaApiPlanner {
        MediaApiPlanner { rules }
    }
}

impl Planner for MediaApiPlanner {
    fn name(&self) -> RouteName {
        RouteName::MediaApi
    }

    fn plan(&self, message: &NewMessage) -> Result<Plan, Problem> {
        let conversation_id = required("conversation_id", message.conversation_id.as_deref())?;
        required("sender_id", message.envelope.sender_id.as_deref())?;
        let transcript = Transcript::choose(message.transcript.clone(), &self.rules.placeholder);
        let bytes = transcript.text.len();
        if bytes > TRANSCRIPT_BYTES_MAX {
            let detail = format!(
                "the transcript has {bytes} bytes, more than the maximum of {TRANSCRIPT_BYTES_MAX}"
            );
            return Err(Problem::new(Code::TranscriptTooLong, detail)
                .with("part", "transcript")
                .with("limit", TRANSCRIPT_BYTES_MAX)
                .with("actual", bytes));
        }
        Ok(Plan { lane: Lane(conversation_id.to_owned()), transcript })
    }

    fn intend(&self, _record: &Record, step: Step, _now: UnixMs) -> Intent {
        // This route chooses no ids or times of its own: record and copy fix every byte.
        Intent { step, private: Private::default() }
    }

    fn retains(&self) -> bool {
        true
    }

    fn upload_outdated(&self, record: &Record, now: UnixMs) -> bool {
        let seconds_max = self.rules.media_url_seconds_max;
        // An upload of the future: the clock was stepped back, and its age cannot be told.
        record.uploaded_at.is_some_and(|at| now > at.plus_seconds(seconds_max) || now < at)
    }

    fn batch_max(&self) -> usize {
        BATCH_MAX
    }

    fn origin(&self) -> &Origin {
        &self.rules.origin
    }
}

fn required<'a>(part: &'static str, value: Option<&'a str>) -> Result<&'a str, Problem> {
    let Some(value) = value else {
        let detail = format!("the part {part} is missing");
        return Err(Problem::new(Code::MissingPart, detail).with("part", part));
    };
    let invalid = |detail| Err(Problem::new(Code::InvalidField, detail).with("part", part));
    if value.trim().is_empty() {
        return invalid(format!("the part {part} is blank"));
    }
    if value.len() > ID_BYTES_MAX {
        let bytes = value.len();
        let detail = format!("the part {part} has {bytes} bytes, more than {ID_BYTES_MAX}");
        return Err(Problem::new(Code::InvalidField, detail)
            .with("part", part)
            .with("limit", ID_BYTES_MAX)
            .with("actual", bytes));
    }
    if value.chars().any(char::is_control) {
        return invalid(format!("the part {part} has control characters"));
    }
    Ok(value)
}
