//! What a call to the outside came to, and whether to try again. The decision is data; `retry`
//! does the arithmetic and nobody else reads it.

use super::{Code, NewCopy};

/// Whether a failed call is worth repeating.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Final: the same call can only fail again.
    Never,
    /// Again after the usual pause, and not before `not_before_ms` from now if that is later
    /// (the server's `Retry-After`, a floor).
    After {
        /// Milliseconds the server asked for; 0 where it asked for none.
        not_before_ms: u64,
    },
    /// Nothing was tried: the rate gate is closed. Again when it is expected to open; no attempt,
    /// so that whoever waits long does not wait longer for it than whoever comes now.
    Closed {
        /// Milliseconds until it is expected to open.
        opens_in_ms: u64,
    },
    /// A call for several messages was refused as a whole: at once again, each by itself.
    Apart,
}

impl Retry {
    /// Again after the usual pause.
    pub const BACKOFF: Retry = Retry::After { not_before_ms: 0 };
}

/// A call that did not do what it was for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct Failure {
    /// What kind of failure.
    pub code: Code,
    /// For people; never holds secrets, transcripts or guest identities (invariant 8).
    pub detail: String,
    /// Whether to try again.
    pub retry: Retry,
}

impl Failure {
    /// A failure that no repetition mends.
    pub fn last(code: Code, detail: impl Into<String>) -> Failure {
        Failure { code, detail: detail.into(), retry: Retry::Never }
    }

    /// A failure that may pass by itself.
    pub fn passing(code: Code, detail: impl Into<String>) -> Failure {
        Failure { code, detail: detail.into(), retry: Retry::BACKOFF }
    }
}

/// What became of one call that has an effect at Genesys.
///
/// The difference that matters is not success or failure but whether we *know*: an answer that was
/// lost is `Unknown`, never `Refused` (invariant 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    /// It happened.
    Done(T),
    /// It was answered and did not happen.
    Refused(Failure),
    /// It never left, or never reached the other side.
    NotSent(Failure),
    /// It may or may not have happened.
    Unknown(Failure),
}

/// A message as Genesys knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Posted {
    /// The id Genesys gave it, where it gave one.
    pub message_id: Option<String>,
    /// The conversation it stands in, where the answer names it.
    pub conversation_id: Option<String>,
    /// Copies that are there because of the post; none that a later post could reference.
    pub copies: Vec<NewCopy>,
    /// Genesys took the message and dropped its audio.
    pub audio_dropped: bool,
}

/// What a look-up says about a post whose answer was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is there.
    Yes(Posted),
    /// It is certainly not there.
    No,
    /// Genesys takes no question now: ask again as the failure says.
    Later(Failure),
    /// The route has no way to tell.
    CannotTell,
}

/// What became of one attempt to purge a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PurgeOutcome {
    /// Proven gone: a 2xx, or a 404 from the same host and client (invariant 4).
    Gone,
    /// Not yet: ask again after the usual pause or, where given, not before so many milliseconds.
    Later(Failure),
    /// Its deletion was taken on and is not done yet: ask again as for `Later`, nothing is wrong.
    UnderWay(Failure),
    /// The route has no way to delete it, and says why.
    NotPossible(String),
}
