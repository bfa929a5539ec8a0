//! Voicepost: a gateway that gives a Genesys Cloud web chat a microphone.

pub mod audio;
pub mod domain;
