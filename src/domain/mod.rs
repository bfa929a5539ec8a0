//! The rules, pure: no actor, no clock, no socket, no file. Time and randomness are arguments.
//!
//! - `code`, `media`, `waveform`, `failure`: the words for what can go wrong and for what a clip is
//! - `ids`, `time`, `transcript`, `copy`, `record`: what the ledger knows of a message
//! - `event`, `change`: what can happen to it, and what each event makes of its record
//! - `request`, `receipt`, `problem`: what callers hand over and are told
//! - `finding`: what an examination of an organisation says
//! - `next`, `retry`, `pace`, `token`: what happens next, and when
//! - `backlog`, `steadiness`: whether purges keep up, and whether the clock does
mod backlog;
mod change;
mod code;
mod copy;
mod event;
mod failure;
mod file_name;
mod finding;
mod hex;
mod ids;
mod media;
mod next;
mod pace;
mod problem;
mod receipt;
mod record;
mod reply;
mod request;
mod retry;
mod steadiness;
mod time;
mod token;
mod transcript;
mod waveform;

pub use backlog::Backlog;
pub use code::Code;
pub use copy::{Copy, CopyKind, CopyState, Duty, NewCopy, Origin, Private, Retention};
pub use event::{Event, IllegalEvent};
pub use failure::{Failure, Found, Outcome, Posted, PurgeOutcome, Retry};
pub use file_name::file_stem;
pub use finding::{Finding, Verdict};
pub use hex::hex;
pub use ids::{Lane, MessageId, Principal, RouteName};
pub use media::{AudioLimits, ClipRefusal, Codec, Container, Conversion, Deliverable, Media, Note};
pub use next::{Keeping, NextStep, interrupted, next_step, recover, recover_elsewhere, withdrawal};
pub use pace::{CallClass, Pace, RateHeaders, Turn, Waiting};
pub use problem::Problem;
pub use receipt::{PurgeState, Receipt};
pub use record::{ClipPlace, Ending, Envelope, Intent, Record, Stage, Step};
pub use reply::{Reply, ReplyAttachment, ReplyOutcome, ReplyReceipt, ReplyState};
pub use request::{ID_BYTES_MAX, NewMessage, Patience};
pub use retry::{Backoff, PAUSE_MS_MAX, WAIT_MS_MAX};
pub use steadiness::{ClockStep, Credence, DOUBT, Steadiness};
pub use time::UnixMs;
pub use token::renew_after_ms;
pub use transcript::{TRANSCRIPT_BYTES_MAX, Transcript, TranscriptSource};
pub use waveform::{PEAKS, Waveform};
