//! The integration tests: one binary, because each costs a link.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::disallowed_methods, reason = "tests wait on plain threads")]

mod admin;
mod audio;
mod audio_hostile;
mod batches;
mod cli;
mod clips;
mod convert;
mod convert_hostile;
mod crash;
mod demo;
mod disconnects;
mod events;
mod full_disk;
mod gate_properties;
mod genesys_says_no;
mod held;
mod lane_order;
mod ledger;
mod ledger_file;
mod lifecycle;
mod limits;
mod load;
mod ogg_writer;
mod operators;
mod outages;
mod pace;
mod parking;
mod parts;
mod problems;
mod process;
mod receipts;
mod reckoning;
mod reckoning_notices;
mod recorder;
mod repeats;
mod replay;
mod restarts;
mod samples;
mod sandbox;
mod secrecy;
mod sender;
mod settings;
mod spill;
mod spool;
mod storage;
mod support;
mod surface;
mod syncs;
mod telemetry;
mod token;
mod wav_hostile;
mod withdrawals;
