//! The rules, pure: no actor, no clock, no socket, no file. Time and randomness are arguments.
//!
//! - `code`, `media`: the words for what can go wrong and for what a clip is
mod code;
mod media;

pub use code::Code;
pub use media::{AudioLimits, ClipRefusal, Codec, Container, Media, Note};
