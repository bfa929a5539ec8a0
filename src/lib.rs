//! Voicepost: a gateway that gives a Genesys Cloud web chat a microphone.

pub mod access;
pub mod actors;
pub mod app;
pub mod audio;
pub mod cli;
pub mod clock;
pub mod domain;
pub mod durable_file;
pub mod genesys;
pub mod hosted;
pub mod ledger;
pub mod pipeline;
pub mod sandbox;
pub mod sealing;
pub mod settings;
pub mod spool;
pub mod telemetry;
pub mod web;
