//! The integration tests: one binary, because each costs a link.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod audio;
mod cli;
mod ledger;
mod lifecycle;
mod samples;
mod sandbox;
mod settings;
mod spool;
mod telemetry;
