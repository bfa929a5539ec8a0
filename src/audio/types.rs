//! The types that recorders are told: what the gate lets through, the best first.

use crate::domain::{Codec, Container};

/// What passes, by preference: as it is, then what is only moved into another container, then what
/// is coded anew. Types with a codec come before those that leave the choice to the recorder.
const PREFERRED: [(Container, Option<Codec>); 10] = [
    (Container::Ogg, Some(Codec::Opus)),
    (Container::Webm, Some(Codec::Opus)),
    (Container::Mp4, Some(Codec::Opus)),
    (Container::Mp4, Some(Codec::Aac)),
    (Container::Ogg, None),
    (Container::Webm, None),
    (Container::Mp4, None),
    (Container::Mp3, None),
    (Container::Wav, None),
    (Container::Flac, None),
];

/// Types for `MediaRecorder`, the best first; without those that have to be converted, unless the
/// gateway `converts`.
pub fn recorder_types(converts: bool) -> impl Iterator<Item = String> {
    let passes = move |container: &Container| converts || container.deliverable().is_some();
    let preferred = PREFERRED.into_iter().filter(move |(container, _)| passes(container));
    preferred.map(|(container, codec)| container.type_with(codec))
}
