//! What routes ask of a message's fields, each refused with its name and limit.

use crate::domain::{Code, ID_BYTES_MAX, Problem, TRANSCRIPT_BYTES_MAX, Transcript};

/// An id that the route cannot do without.
pub(super) fn required<'a>(part: &'static str, value: Option<&'a str>) -> Result<&'a str, Problem> {
    match value {
        Some(value) => id(part, value),
        None => {
            let detail = format!("the part {part} is missing");
            Err(Problem::new(Code::MissingPart, detail).with("part", part))
        }
    }
}

/// An id that is there: not blank, not too long, without control characters.
pub(super) fn id<'a>(part: &'static str, value: &'a str) -> Result<&'a str, Problem> {
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

/// The sender's transcript, or the placeholder.
pub(super) fn transcript(sent: Option<String>, placeholder: &str) -> Result<Transcript, Problem> {
    let transcript = Transcript::choose(sent, placeholder);
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
    Ok(transcript)
}
