//! What a clip looks like: for a picture of it, and to tell a muted microphone.

use serde::{Deserialize, Serialize};

/// How many peaks a picture has.
pub const PEAKS: usize = 64;

/// The loudness of a clip over its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waveform {
    /// The largest deflection in each of [`PEAKS`] equal parts of the clip, 255 being full scale.
    pub peaks: Vec<u8>,
    /// Nothing is to be heard: most likely the microphone was muted.
    pub silent: bool,
}
