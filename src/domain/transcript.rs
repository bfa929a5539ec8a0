//! The text that stands in for the audio where it cannot be heard.

use serde::{Deserialize, Serialize};

/// Where a transcript came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TranscriptSource {
    /// The sender sent it along.
    Sender,
    /// The configured stand-in sentence, because the sender sent none.
    Placeholder,
}

/// A transcript is never absent or blank once a message is accepted.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transcript {
    /// What the agent reads.
    pub text: String,
    /// Who said so.
    pub source: TranscriptSource,
}

/// Longest transcript in bytes of UTF-8 (media-api contract, "Message").
pub const TRANSCRIPT_BYTES_MAX: usize = 4096;

impl Transcript {
    /// The sender's text, or the placeholder where that is absent or blank.
    pub fn choose(sent: Option<String>, placeholder: &str) -> Transcript {
        match sent.filter(|text| !text.trim().is_empty()) {
            Some(text) => Transcript { text, source: TranscriptSource::Sender },
            None => {
                Transcript { text: placeholder.to_owned(), source: TranscriptSource::Placeholder }
            }
        }
    }
}

// Invariant 8: what a guest said never reaches a log through `Debug`.
impl std::fmt::Debug for Transcript {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Transcript({} bytes, {:?})", self.text.len(), self.source)
    }
}
