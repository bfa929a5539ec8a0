//! Everything that is tested against real files and sockets, in one binary.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod ledger;
mod lifecycle;
mod samples;
mod spool;
