//! The integration tests: one binary, because each costs a link.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod admin;
mod audio;
mod audio_hostile;
mod cli;
mod clips;
mod gate_properties;
mod genesys_says_no;
mod ledger;
mod lifecycle;
mod ogg_writer;
mod parts;
mod problems;
mod receipts;
mod repeats;
mod restarts;
mod samples;
mod sandbox;
mod secrecy;
mod settings;
mod spool;
mod support;
mod surface;
mod telemetry;
mod token;
