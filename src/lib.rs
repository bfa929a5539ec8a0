//! Voicepost: a gateway that gives a Genesys Cloud web chat a microphone.

pub mod domain;
pub mod sandbox;
