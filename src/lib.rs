//! Voicepost: a gateway that gives a Genesys Cloud web chat a microphone.

pub mod audio;
pub mod clock;
pub mod domain;
pub mod genesys;
pub mod ledger;
pub mod sandbox;
pub mod settings;
pub mod spool;
pub mod telemetry;
