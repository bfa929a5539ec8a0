//! A refusal on its way to the caller, before it becomes HTTP.

use serde_json::Value;

use super::{ClipRefusal, Code, MessageId};

/// Why a request is not served: the code, a sentence, and the values that belong to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// What kind of problem; decides status, title and `retryable`.
    pub code: Code,
    /// One sentence that names the limit and the actual value.
    pub detail: String,
    /// Further members of the answer: `limit`, `actual`, `part`…
    pub members: Vec<(&'static str, Value)>,
    /// When to come back, in seconds.
    pub retry_after_seconds: Option<u32>,
    /// The message it is about.
    pub message_id: Option<MessageId>,
}

impl Problem {
    /// A problem with nothing but its sentence.
    pub fn new(code: Code, detail: impl Into<String>) -> Problem {
        Problem {
            code,
            detail: detail.into(),
            members: Vec::new(),
            retry_after_seconds: None,
            message_id: None,
        }
    }

    /// Adds a member to the answer.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Problem {
        self.members.push((name, value.into()));
        self
    }

    /// Says when to come back.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Problem {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// Says which message it is about.
    #[must_use]
    pub fn about(mut self, id: MessageId) -> Problem {
        self.message_id = Some(id);
        self
    }
}

impl From<ClipRefusal> for Problem {
    fn from(refusal: ClipRefusal) -> Problem {
        let problem = Problem::new(refusal.code(), refusal.to_string());
        match refusal {
            ClipRefusal::TooLong { at_least_ms, duration_ms_max } => {
                problem.with("limit", duration_ms_max).with("actual", at_least_ms)
            }
            ClipRefusal::TooShort { duration_ms, duration_ms_min } => {
                problem.with("limit", duration_ms_min).with("actual", duration_ms)
            }
            ClipRefusal::TooLarge { at_least_bytes, bytes_max } => {
                problem.with("limit", bytes_max).with("actual", at_least_bytes)
            }
            ClipRefusal::UnsupportedFormat { detected } => problem
                .with("detected", detected)
                .with("allowed", vec!["audio/mpeg", "audio/wav", "audio/ogg"]),
            ClipRefusal::Empty
            | ClipRefusal::Corrupted { .. }
            | ClipRefusal::Undecodable { .. } => problem,
        }
    }
}
