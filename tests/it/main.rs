//! The integration tests, as one binary.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod audio;
mod audio_hostile;
mod gate_properties;
mod ogg_writer;
