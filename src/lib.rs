//! Voicepost: a gateway that gives a Genesys Cloud web chat a microphone.

pub mod audio;
pub mod cli;
pub mod domain;
pub mod ledger;
pub mod settings;
pub mod spool;
pub mod telemetry;
