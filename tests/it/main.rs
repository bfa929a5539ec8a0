//! The integration tests: one binary, because each costs a link.

mod audio;
mod ledger;
mod samples;
mod sandbox;
mod settings;
mod spool;
mod telemetry;
