//! The parts of a voice message that are text.

use serde_json::Value;

use crate::domain::{Code, Envelope, Problem, file_stem};

/// Longest text part that is read at all; each field has its own, shorter limit further on.
pub(super) const FIELD_BYTES_MAX: usize = 16 * 1024;
/// Longest language tag, in bytes (RFC 5646 §4.4.1 asks for at least 35).
const LANGUAGE_BYTES_MAX: usize = 35;
/// Longest metadata, in bytes.
const METADATA_BYTES_MAX: usize = 2048;

/// The text parts as they came.
#[derive(Default)]
pub(super) struct Fields {
    conversation_id: Option<String>,
    sender_id: Option<String>,
    transcript: Option<String>,
    language: Option<String>,
    metadata: Option<String>,
}

/// The text parts, checked as far as every route has them in common.
pub(super) struct CheckedFields {
    pub(super) conversation_id: Option<String>,
    pub(super) transcript: Option<String>,
    pub(super) envelope: Envelope,
}

/// Names of the text parts.
const NAMES: [&str; 5] = ["conversation_id", "sender_id", "transcript", "language", "metadata"];

impl Fields {
    /// The known name of a part, or the refusal that lists the names there are.
    pub(super) fn known(name: &str) -> Result<&'static str, Problem> {
        NAMES.into_iter().find(|known| *known == name).ok_or_else(|| {
            let shown: String = name.chars().take(64).collect();
            let parts = NAMES.join(", ");
            let detail = format!("the part {shown:?} is not known; there are file, {parts}");
            Problem::new(Code::UnknownPart, detail).with("part", shown)
        })
    }

    /// Keeps a part that has come whole.
    pub(super) fn put(&mut self, name: &'static str, bytes: Vec<u8>) -> Result<(), Problem> {
        let Ok(text) = String::from_utf8(bytes) else {
            return Err(invalid(name, format!("the part {name} is not UTF-8")));
        };
        let slot = match name {
            "conversation_id" => &mut self.conversation_id,
            "sender_id" => &mut self.sender_id,
            "transcript" => &mut self.transcript,
            "language" => &mut self.language,
            _ => &mut self.metadata,
        };
        if slot.is_some() {
            return Err(duplicate(name));
        }
        *slot = Some(text);
        Ok(())
    }

    /// Checks what every route has in common, and reduces the file name.
    pub(super) fn check(self, file_name: Option<&str>) -> Result<CheckedFields, Problem> {
        let language = self.language.filter(|tag| !tag.trim().is_empty());
        if let Some(tag) = &language {
            check_language(tag)?;
        }
        let metadata = self.metadata.filter(|text| !text.trim().is_empty());
        if let Some(text) = &metadata {
            check_metadata(text)?;
        }
        Ok(CheckedFields {
            conversation_id: self.conversation_id,
            transcript: self.transcript,
            envelope: Envelope {
                sender_id: self.sender_id,
                language,
                metadata,
                file_stem: file_name.and_then(file_stem),
            },
        })
    }
}

/// A part that came twice.
pub(super) fn duplicate(name: &str) -> Problem {
    let detail = format!("the part {name} was sent twice");
    Problem::new(Code::DuplicatePart, detail).with("part", name)
}

fn check_language(tag: &str) -> Result<(), Problem> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if tag.len() > LANGUAGE_BYTES_MAX || !tag.chars().all(plain) {
        let detail = format!(
            "the part language is no language tag of at most {LANGUAGE_BYTES_MAX} letters, digits \
             and hyphens"
        );
        return Err(invalid("language", detail).with("limit", LANGUAGE_BYTES_MAX));
    }
    Ok(())
}

fn check_metadata(text: &str) -> Result<(), Problem> {
    if text.len() > METADATA_BYTES_MAX {
        let detail =
            format!("the part metadata has {} bytes, more than {METADATA_BYTES_MAX}", text.len());
        return Err(invalid("metadata", detail)
            .with("limit", METADATA_BYTES_MAX)
            .with("actual", text.len()));
    }
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(members)) if members.values().all(Value::is_string) => Ok(()),
        _ => Err(invalid("metadata", "the part metadata is no JSON object of strings".to_owned())),
    }
}

fn invalid(part: &'static str, detail: String) -> Problem {
    Problem::new(Code::InvalidField, detail).with("part", part)
}
