//! The integration tests: one binary, because each costs a link.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::disallowed_methods, reason = "tests wait on plain threads")]

mod admin;
mod audio;
mod audio_hostile;
mod cli;
mod clips;
mod convert;
mod convert_hostile;
mod crash;
mod gate_properties;
mod genesys_says_no;
mod held;
mod lane_order;
mod ledger;
mod ledger_file;
mod lifecycle;
mod ogg_writer;
mod pace;
mod parking;
mod parts;
mod problems;
mod process;
mod receipts;
mod repeats;
mod restarts;
mod samples;
mod sandbox;
mod secrecy;
mod settings;
mod spool;
mod storage;
mod support;
mod surface;
mod telemetry;
mod token;
mod withdrawals;
