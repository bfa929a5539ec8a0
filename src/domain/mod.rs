//! The rules, pure: no actor, no clock, no socket, no file. Time and randomness are arguments.
//!
//! - `code`, `media`, `failure`: the words for what can go wrong and for what a clip is
//! - `ids`, `time`, `transcript`, `copy`, `record`: what the ledger knows of a message
//! - `event`, `change`: what can happen to it, and what each event makes of its record
//! - `retry`: when to try again
mod change;
mod code;
mod copy;
mod event;
mod failure;
mod ids;
mod media;
mod record;
mod retry;
mod time;
mod transcript;

pub use code::Code;
pub use copy::{Copy, CopyKind, CopyState, Duty, NewCopy, Private, Retention};
pub use event::{Event, IllegalEvent};
pub use failure::{Failure, Found, Outcome, PurgeOutcome, Retry};
pub use ids::{Lane, MessageId, Principal, RouteName};
pub use media::{AudioLimits, ClipRefusal, Codec, Container, Media, Note};
pub use record::{ClipPlace, Ending, Envelope, Intent, Record, Stage, Step};
pub use retry::Backoff;
pub use time::UnixMs;
pub use transcript::{TRANSCRIPT_BYTES_MAX, Transcript, TranscriptSource};
