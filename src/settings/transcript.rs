//! Section `transcript`: the text that stands in for the audio.

use serde::Deserialize;

use super::check::Check;
use crate::domain::TRANSCRIPT_BYTES_MAX;

/// Section `transcript`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TranscriptSettings {
    /// What the agent reads when the sender sent no transcript.
    pub placeholder: String,
}

impl TranscriptSettings {
    pub(super) fn check(&self, check: &mut Check) {
        let bytes = self.placeholder.len();
        if self.placeholder.trim().is_empty() {
            check.problem("transcript.placeholder", "is blank; a message always has a text");
        } else if bytes > TRANSCRIPT_BYTES_MAX {
            check.problem(
                "transcript.placeholder",
                format!("has {bytes} bytes, above the maximum of {TRANSCRIPT_BYTES_MAX}"),
            );
        }
    }
}
